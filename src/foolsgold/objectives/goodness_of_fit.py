"""Whether a law of over-optimization describes what was measured, and whether it foretells what was not.

Letters: K points of a curve at the same KL for all of M units, which are prompts or runs, and whose differences tell
the noise. Gold is what was gained since the initial policy, as everywhere with the laws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from foolsgold.objectives.overoptimization import Law, fit_law, unit_fits
from foolsgold.objectives.statistics import Interval, mean_interval

WITHIN_NOISE = 0.01
"""p-value from which on a misfit counts as noise."""
ENOUGH = 0.8
"""Share of the mean curve's variance that a law must explain to be of use although it is seen not to be exact."""
ROUNDING = 1e-12
"""Misfit, as a share of gold, that is float64 and not nature."""


@dataclass(frozen=True)
class LackOfFit:
    """How far the mean curve lies from a law."""

    p_value: float
    """Chance of a misfit at least this large if the law were exact."""
    r_squared: float
    """Share of the mean curve's variance that the law explains, at most 1; NaN if it has none."""
    noise: float
    """Share of that variance which noise alone would leave unexplained, on average; above 1 the curve itself is not
    resolved, and the law could not be told from a flat line. NaN if there is no variance."""

    @property
    def fits(self) -> bool:
        """Whether the misfit is within noise (p at least 0.01) or the law explains at least 0.8 of the variance.

        With enough units any law is rejected for a deviation too small to matter: hence the second. A flat curve in
        noise has a low R² and yet nothing speaks against the law; it fits, and `peak_interval` then claims nothing.
        """
        return self.p_value >= WITHIN_NOISE or self.r_squared >= ENOUGH


def lack_of_fit(law: Law, kl: ArrayLike, gold: ArrayLike) -> LackOfFit:
    """Test of the law against everything that is not the law, with the noise that the units show.

    The mean curve less its fit has as many dimensions as there are points above a KL of 0, less 2. Hotelling's T² asks
    whether it is 0 whatever the errors within a unit have to do with each other. It needs many units; with fewer than
    two a dimension, the F test of the pooled variances is taken, with its degrees of freedom cut by Box's epsilon.

    Args:
      law: `BEST_OF_N` or `REINFORCEMENT_LEARNING`.
      kl: `[K]`, nats.
      gold: `[M, K]`.

    Raises:
      ValueError: as for `unit_fits`, or fewer than three points above a KL of 0: two unknowns meet any two.

    Source: Hotelling 1931; Box 1954 and Greenhouse and Geisser 1959.
    """
    kl, gold = _curve(kl, gold)
    mean = gold.mean(0)
    fit = fit_law(law, kl, mean)
    moved = kl > 0
    dimensions = int(moved.sum()) - 2
    if dimensions < 1:
        raise ValueError("any two points lie on the law; give three or more at KL above 0 to see whether it fits")
    total = ((mean - mean.mean()) ** 2).sum()
    d = np.sqrt(kl[moved])
    beside = np.linalg.qr(np.stack([d, law.bend(d)], 1), mode="complete")[0][:, 2:]
    misfits = gold[:, moved] @ beside
    noise = np.atleast_2d(np.cov(misfits.T)).trace() / len(gold)
    return LackOfFit(
        p_value=1.0 if np.linalg.norm(misfits.mean(0)) <= ROUNDING * np.linalg.norm(mean) else _chance(misfits),
        r_squared=fit.r_squared,
        noise=float(noise / total) if total > 0 else float("nan"),
    )


def _chance(misfits: np.ndarray) -> float:
    """p-value of the mean of `misfits` `[M, Q]` being 0."""
    units, dimensions = misfits.shape
    mean, scatter = misfits.mean(0), np.atleast_2d(np.cov(misfits.T))
    if units >= 2 * dimensions and np.linalg.matrix_rank(scatter) == dimensions:
        t_squared = units * mean @ np.linalg.solve(scatter, mean)
        ratio = t_squared * (units - dimensions) / (dimensions * (units - 1))
        return float(stats.f.sf(ratio, dimensions, units - dimensions))
    if scatter.trace() == 0:
        return 0.0
    freedom = scatter.trace() ** 2 / (scatter**2).sum()  # Box's epsilon times the dimensions
    return float(stats.f.sf(units * mean @ mean / scatter.trace(), freedom, freedom * (units - 1)))


@dataclass(frozen=True)
class Extrapolation:
    """A law fitted to the beginning of a curve against the rest of it."""

    fitted_kl: float
    """Largest KL it was fitted to, nats."""
    kl: np.ndarray
    """`[J]`, of the points beyond, nats, in their order."""
    predicted: np.ndarray
    """`[J]`, gold by the law."""
    measured: np.ndarray
    """`[J]`, gold, mean over units."""
    error: float
    """Predicted less measured gold at the largest KL."""
    error_interval: Interval
    """Of `error`; units are paired, so what a unit has in common at all KL cancels."""

    @property
    def holds(self) -> bool:
        """Whether an error of 0 lies within `error_interval`; a wide interval is no praise."""
        return self.error_interval.low <= 0 <= self.error_interval.high


def extrapolation(
    law: Law, kl: ArrayLike, gold: ArrayLike, share: float = 0.5, confidence: float = 0.95
) -> Extrapolation:
    """What the law, fitted only where d is at most `share` of its largest, says about the rest; d is the root of KL.

    Args:
      law: `BEST_OF_N` or `REINFORCEMENT_LEARNING`.
      kl: `[K]`, nats.
      gold: `[M, K]`.
      share: above 0 and below 1.

    Raises:
      ValueError: as for `unit_fits` with the points that are left to fit.
    """
    kl, gold = _curve(kl, gold)
    d = np.sqrt(np.maximum(kl, 0))
    early = d <= share * d.max()
    fits = unit_fits(law, kl[early], gold[:, early])
    a, b = fits.mean(0)
    last = int(kl.argmax())
    errors = law.gold(fits[:, 0], fits[:, 1], kl[last]) - gold[:, last]
    beyond = ~early
    return Extrapolation(
        fitted_kl=float(kl[early].max()),
        kl=kl[beyond],
        predicted=law.gold(a, b, kl[beyond]),
        measured=gold[:, beyond].mean(0),
        error=float(errors.mean()),
        error_interval=mean_interval(errors, confidence),
    )


def _curve(kl: ArrayLike, gold: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    kl, gold = np.asarray(kl, np.float64), np.asarray(gold, np.float64)
    if kl.ndim != 1 or gold.ndim != 2 or gold.shape[1] != len(kl):
        raise ValueError(f"gold {gold.shape} must be [units, points] at the KL {kl.shape} of all units")
    if len(gold) < 2:
        raise ValueError("one unit does not tell the noise; give two or more")
    return kl, gold
