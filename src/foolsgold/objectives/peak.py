"""Between which KL the peak of gold lies: Fieller's interval, which says so where there may be no peak.

Both laws turn where a - b s(d) = 0, with the slope function s(d) = 2 d (best of n) or 1 + ln d (RL) and d the square
root of the KL. So the peak is known as well as the ratio a / b, and ratios of estimated means have an interval that
holds for any number of units and however small b is. Letters: K points of a curve, M units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from foolsgold.objectives.overoptimization import Law, unit_fits


@dataclass(frozen=True)
class PeakInterval:
    """Where gold is highest according to a law, KL in nats."""

    low: float
    """Up to here gold surely rises; 0 where not even that is known, or where gold falls from the start."""
    high: float
    """From here on gold surely falls; infinite where that is not known."""
    peak: float
    """Of the fitted law; infinite if it never turns."""

    @property
    def kind(self) -> Literal["bounded", "at least", "never", "unknown"]:
        """What is known: both ends; that gold rises up to `low` and no more; that the law never turns; nothing."""
        if math.isfinite(self.high):
            return "bounded"
        return "never" if math.isinf(self.low) else "at least" if self.low > 0 else "unknown"


def peak_interval(
    law: Law, kl: ArrayLike, gold: ArrayLike, weight: ArrayLike = 1.0, confidence: float = 0.95
) -> PeakInterval:
    """Confidence interval of `Fit.peak_kl`, from how the units differ (Student's t, M - 1 degrees of freedom).

    With KL shared by the units and normal errors, dependent within a unit as they may be, it covers as often as it
    says for any M. With a KL of each unit's own it is linearised (`unit_fits`), and trustworthy from some 30 units on.
    It knows of no error in the KL itself, and holds only if the law does: look at `lack_of_fit` first. An end beyond
    the measured KL is an extrapolation.

    Where the sign of b is uncertain, gold is known to rise up to `low` and `high` is infinite; or gold is known to
    fall from `high` on and `low` is 0 (a negative b, not ruled out, would let it rise again farther out). Where the
    curve may be flat, neither is claimed.

    Args:
      law, weight: as for `fit_law`; the weight of a point is best the same for all units.
      kl: `[K]`, or `[M, K]`, nats.
      gold: `[M, K]`, one row a unit (a prompt, or a run), less the gold of the initial policy.

    Raises:
      ValueError: as for `unit_fits`.

    Source: Fieller 1954 (Some problems in interval estimation).
    """
    fits = unit_fits(law, kl, gold, weight)
    (a, b), scatter = fits.mean(0), np.cov(fits.T) / len(fits)
    # The slope a - b s may be 0 where (a - b s)^2 <= t^2 var(a - b s): a quadratic in s, bend s^2 - 2 mixed s + start.
    scatter = scatter * stats.t.ppf((1 + confidence) / 2, len(fits) - 1) ** 2
    bend, mixed, start = b * b - scatter[1, 1], a * b - scatter[0, 1], a * a - scatter[0, 0]
    root = mixed**2 - bend * start
    low, high = -math.inf, math.inf
    if bend > 0:
        # b is surely not 0, and between the roots lies the turn: a peak, or with a negative b a trough.
        half = math.sqrt(max(root, 0.0))
        low, high = ((mixed - half) / bend, (mixed + half) / bend) if b > 0 else (math.inf, math.inf)
    elif root > 0 and bend < 0 and _moves(fits, confidence):
        # Between the roots the slope is surely not 0; beyond them nothing is known.
        first, last = sorted((mixed + sign * math.sqrt(root)) / bend for sign in (-1, 1))
        low, high = (last, high) if a - b * (first + last) / 2 > 0 else (low, first)
    ends = law.peak([low, high], 1.0)[0]
    return PeakInterval(float(ends[0]), float(ends[1]), float(law.peak(a, b)[0]))


def _moves(fits: np.ndarray, confidence: float) -> bool:
    """Whether gold changes at all: in a flat curve some slope or other often looks significant (Hotelling's T²)."""
    units, mean = len(fits), fits.mean(0)
    t_squared = units * mean @ np.linalg.pinv(np.cov(fits.T), hermitian=True) @ mean
    return bool(t_squared * (units - 2) / (2 * (units - 1)) > stats.f.ppf(confidence, 2, units - 2))
