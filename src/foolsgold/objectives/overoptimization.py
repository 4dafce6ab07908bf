"""The laws of reward over-optimization: gold reward against the distance a policy has moved, and where it peaks.

With d the square root of the KL from the initial policy (nats), the gold reward gained is

    best of n                 R(d) = d (a - b d)
    reinforcement learning    R(d) = d (a - b ln d)

so R(0) = 0: subtract the initial policy's gold reward first. Both are linear in a and b, hence least squares has a
closed form. Letters: K points of a curve, M independent units (prompts, or runs), R resamples.

Source: Gao, Schulman and Hilton 2023 (Scaling laws for reward model overoptimization).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from foolsgold.objectives.statistics import Interval

UNDETERMINED = "the law has two unknowns; give points at two or more different KL above 0"


@dataclass(frozen=True)
class Law:
    """One of the two laws, R(d) = a d - b bend(d)."""

    name: str
    bend: Callable[[np.ndarray], np.ndarray]
    turn: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    """From a and a positive b to d and R(d) at the maximum over d >= 0."""

    def gold(self, a: ArrayLike, b: ArrayLike, kl: ArrayLike) -> np.ndarray:
        """Gold reward gained at `kl` nats; the arguments broadcast."""
        d = np.sqrt(np.asarray(kl, np.float64))
        return np.asarray(a) * d - np.asarray(b) * self.bend(d)

    def peak(self, a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """KL in nats and gold reward gained at the maximum, of the shape of `a` and `b`.

        Where b is negative, or 0 with a positive a, the law never turns: both are infinite.
        """
        a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
        with np.errstate(over="ignore"):
            d, gold = self.turn(a, np.where(b > 0, b, 1.0))
            kl = d**2
        forever, flat = (b < 0) | ((b == 0) & (a > 0)), (b == 0) & (a <= 0)
        return np.where(forever, np.inf, np.where(flat, 0.0, kl)), np.where(forever, np.inf, np.where(flat, 0.0, gold))


def _turn_best_of_n(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = np.maximum(a, 0) / (2 * b)
    return d, b * d**2


def _turn_rl(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = np.exp(a / b - 1)
    return d, b * d


BEST_OF_N = Law("best of n", bend=lambda d: d**2, turn=_turn_best_of_n)
REINFORCEMENT_LEARNING = Law("reinforcement learning", bend=lambda d: xlogy(d, d), turn=_turn_rl)


@dataclass(frozen=True)
class Fit:
    """A law fitted to points."""

    law: Law
    a: float
    """Slope at the start (best of n); gold reward gained at d = 1 (RL)."""
    b: float
    """How fast further gain shrinks as the proxy parts from gold; 0 or less says that it does not."""
    r_squared: float
    """Share of the gold reward's variance that the law explains, at most 1; NaN if there is no variance."""

    def gold(self, kl: ArrayLike) -> np.ndarray:
        """Predicted gold reward gained at `kl` nats, of the shape of `kl`."""
        return self.law.gold(self.a, self.b, kl)

    @property
    def peak_kl(self) -> float:
        """Nats at which gold is highest, infinite if never; beyond the measured KL it is an extrapolation."""
        return float(self.law.peak(self.a, self.b)[0])

    @property
    def peak_gold(self) -> float:
        """Gold reward gained at the peak, infinite if there is none."""
        return float(self.law.peak(self.a, self.b)[1])


def fit_law(law: Law, kl: ArrayLike, gold: ArrayLike, weight: ArrayLike = 1.0) -> Fit:
    """Weighted least-squares fit.

    Args:
      law: `BEST_OF_N` or `REINFORCEMENT_LEARNING`.
      kl: `[K]` or any shape that broadcasts to that of `gold`, nats, from 0 up.
      gold: `[K]` or any shape, gold reward less that of the initial policy.
      weight: broadcasts to the shape of `gold`, such as one over each point's variance; 0 leaves a point out.

    Raises:
      ValueError: NaN, a negative KL or weight, or fewer than two different KL above 0.
    """
    kl, gold, weight = _points(kl, gold, weight)
    a, b = _solve(_moments(law, kl.ravel(), gold.ravel(), weight.ravel()))
    if np.isnan(a):
        raise ValueError(UNDETERMINED)
    mean = np.average(gold, weights=weight)
    unexplained = (weight * (gold - law.gold(a, b, kl)) ** 2).sum()
    total = (weight * (gold - mean) ** 2).sum()
    return Fit(law, float(a), float(b), float(1 - unexplained / total) if total > 0 else float("nan"))


def unit_fits(law: Law, kl: ArrayLike, gold: ArrayLike, weight: ArrayLike = 1.0) -> np.ndarray:
    """What each unit says about a and b, `[M, 2]`: the mean over units is the fit to all of them.

    Where the units share KL and weights, each row is the fit to that unit alone. Elsewhere it is the fit to all plus
    the unit's influence on it, M times what its points add to the normal equations: right for small changes.

    Args:
      law: `BEST_OF_N` or `REINFORCEMENT_LEARNING`.
      kl, weight: `[M, K]`, or `[K]` if the units share them; otherwise as for `fit_law`.
      gold: `[M, K]`, one row a unit: a prompt of best of n, or a run of RL.

    Raises:
      ValueError: as for `fit_law`, or fewer than two units.

    Source: Liang and Zeger 1986 (the covariance of these rows is their sandwich estimate).
    """
    moments = _moments(law, *_units(kl, gold, weight))
    dd, db, bb, dy, by = moments.T
    a, b = _solve(moments.sum(0))
    if np.isnan(a):
        raise ValueError(UNDETERMINED)
    mean = np.broadcast_to(moments[:, :3].mean(0), (len(moments), 3))
    unexplained = np.stack([dy - dd * a - db * b, by - db * a - bb * b], 1)
    return np.stack([a, b]) + np.stack(_solve(np.concatenate([mean, unexplained], 1)), 1)


@dataclass(frozen=True)
class ResampledFits:
    """The law fitted to bootstrap resamples: how sure a fit is."""

    law: Law
    a: np.ndarray
    """`[R]`."""
    b: np.ndarray
    """`[R]`."""
    confidence: float

    @property
    def a_interval(self) -> Interval:
        """Interval of `Fit.a`."""
        return self._interval(self.a)

    @property
    def b_interval(self) -> Interval:
        """Interval of `Fit.b`."""
        return self._interval(self.b)

    @property
    def peak_kl(self) -> Interval:
        """Interval of `Fit.peak_kl`; its upper end is infinite where a peak cannot be asserted."""
        return self._interval(self.law.peak(self.a, self.b)[0])

    @property
    def peak_gold(self) -> Interval:
        """Interval of `Fit.peak_gold`; its upper end is infinite where a peak cannot be asserted."""
        return self._interval(self.law.peak(self.a, self.b)[1])

    @property
    def share_with_peak(self) -> float:
        """Share of resamples whose gold reward turns at some finite KL."""
        return float(np.isfinite(self.law.peak(self.a, self.b)[0]).mean())

    def gold(self, kl: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Pointwise lower and upper end of the predicted gold reward at `kl` `[K]` nats, each `[K]`."""
        curves = self.law.gold(self.a[:, None], self.b[:, None], kl)
        low, high = np.quantile(curves, [(1 - self.confidence) / 2, (1 + self.confidence) / 2], axis=0)
        return low, high

    def _interval(self, values: np.ndarray) -> Interval:
        # Whole order statistics, outwards: between infinities there is nothing to interpolate.
        tail = (1 - self.confidence) / 2 * (len(values) - 1)
        ordered = np.sort(values)
        return Interval(float(ordered[int(tail)]), float(ordered[len(values) - 1 - int(tail)]))


def resample_fits(
    law: Law,
    kl: ArrayLike,
    gold: ArrayLike,
    weight: ArrayLike = 1.0,
    n_resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> ResampledFits:
    """Percentile bootstrap of `fit_law`: whole units are drawn with replacement, all their points together.

    Args:
      law, weight: as for `fit_law`.
      kl: `[M, K]`, or `[K]` if the units share it, nats.
      gold: `[M, K]`, one row a unit: a prompt of best of n, or a run of RL. Of a single curve, hand in its points as
        units, `[K, 1]`; that takes their errors for independent, which along one run they are not.
      n_resamples: 2,000 or more for a 95 % interval.
      seed: the same seed gives the same resamples.

    Raises:
      ValueError: as for `fit_law`, or fewer than two units.

    Source: Efron 1979.
    """
    kl, gold, weight = _units(kl, gold, weight)
    # The sums that least squares needs add up over units, so a resample is a weighted sum of sums.
    moments = _moments(law, kl, gold, weight)
    drawn = np.random.default_rng(seed).multinomial(len(gold), np.full(len(gold), 1 / len(gold)), size=n_resamples)
    a, b = _solve(drawn @ moments)
    solvable = ~np.isnan(a)
    if not solvable.any():
        raise ValueError(UNDETERMINED)
    return ResampledFits(law, a[solvable], b[solvable], confidence)


def _points(kl: ArrayLike, gold: ArrayLike, weight: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    gold = np.asarray(gold, np.float64)
    kl = np.broadcast_to(np.asarray(kl, np.float64), gold.shape)
    weight = np.broadcast_to(np.asarray(weight, np.float64), gold.shape)
    if not ((kl >= 0).all() and (weight >= 0).all() and np.isfinite(gold).all()):
        raise ValueError("KL and weights must be 0 or more, and gold finite; cut estimated KL off at 0")
    return kl, gold, weight


def _units(kl: ArrayLike, gold: ArrayLike, weight: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kl, gold, weight = _points(kl, gold, weight)
    if gold.ndim != 2 or len(gold) < 2:
        raise ValueError(f"gold must be [units, points] with two units or more, got shape {gold.shape}")
    return kl, gold, weight


def _moments(law: Law, kl: np.ndarray, gold: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted sums over the last axis of what the normal equations are made of, `[..., 5]`."""
    d = np.sqrt(kl)
    bend = -law.bend(d)
    products = (d * d, d * bend, bend * bend, d * gold, bend * gold)
    return np.stack([(weight * product).sum(-1) for product in products], -1)


def _solve(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and b, each `[...]`; NaN where the points do not determine them."""
    dd, db, bb, dy, by = np.moveaxis(moments, -1, 0)
    determinant = dd * bb - db * db
    determinant = np.where(determinant > 1e-12 * dd * bb, determinant, np.nan)
    return (bb * dy - db * by) / determinant, (dd * by - db * dy) / determinant
