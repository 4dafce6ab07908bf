"""How sure a measured number is: intervals, calibration, agreement with raters, Elo."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Interval(NamedTuple):
    """Both ends of a confidence interval, in the unit of what was measured; unpacks to `low, high`."""

    low: float
    high: float


def wilson_interval(successes: float, n: int, z: float = 1.96) -> Interval:
    """Score interval for a share, such as a win rate; it holds near 0 and 1, where the normal interval does not.

    Args:
      successes: how many of the `n` independent trials succeeded; a drawn game may count as half.
      n: trials.
      z: normal quantile, 1.96 for 95 %.

    Returns:
      Two shares from 0 to 1. No trials tell nothing: [0, 1].

    Raises:
      ValueError: `successes` is not from 0 to `n`.

    Source: Wilson 1927; Newcombe 1998, method 3.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} trials; give from 0 to {n}")
    if n == 0:
        return Interval(0.0, 1.0)
    share = successes / n
    center = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At no or full success one end is exact; rounding must not push it past 0 or 1.
    low = 0.0 if successes == 0 else (center - half) / scale
    high = 1.0 if successes == n else (center + half) / scale
    return Interval(low, high)


def difference_interval(successes_a: float, n_a: int, successes_b: float, n_b: int) -> Interval:
    """95 % interval of share b minus share a, of independent samples (Newcombe 1998, method 10).

    Args:
      successes_a, successes_b: successes in the samples, half ones allowed.
      n_a, n_b: sizes of the samples.
    """
    a, b = successes_a / n_a, successes_b / n_b
    low_a, high_a = wilson_interval(successes_a, n_a)
    low_b, high_b = wilson_interval(successes_b, n_b)
    below = ((b - low_b) ** 2 + (high_a - a) ** 2) ** 0.5
    above = ((high_b - b) ** 2 + (a - low_a) ** 2) ** 0.5
    return Interval(b - a - below, b - a + above)


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's t interval for the mean of `values` `[N]`, independent observations.

    Raises:
      ValueError: fewer than two values; one tells nothing about the spread.
    """
    array = _vector(values)
    if len(array) < 2:
        raise ValueError(f"{len(array)} values have no spread to measure; give two or more")
    half = float(stats.t.ppf((1 + confidence) / 2, len(array) - 1)) * float(stats.sem(array))
    mean = float(array.mean())
    return Interval(mean - half, mean + half)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[[np.ndarray], float],
    n_resamples: int,
    seed: int,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval for any statistic of independent rows.

    Percentile and not BCa: BCa calls the statistic once more for each row and has no answer where all are equal.

    Args:
      values: `[N, ...]`; whole rows are drawn with replacement, so what was measured on one game, prompt or
        run stays together.
      statistic: maps resampled rows `[N, ...]` to one number.
      n_resamples: resamples drawn; 2,000 or more for a 95 % interval.
      seed: the same seed gives the same interval.

    Raises:
      ValueError: no rows, or no resamples.

    Source: Efron 1979.
    """
    rows = np.asarray(values)
    if rows.ndim == 0 or len(rows) == 0 or n_resamples < 1:
        raise ValueError("the bootstrap needs at least one row and one resample")
    rng = np.random.default_rng(seed)
    drawn = [statistic(rows[rng.integers(len(rows), size=len(rows))]) for _ in range(n_resamples)]
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def expected_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = 15) -> float:
    """How far predicted probabilities stand from what then happened, as a share from 0 to 1.

    The predictions are put into `bins` of equal width, open on the left and closed on the right; the distance of
    the mean prediction from the mean outcome is averaged over the bins, weighted by their sizes.

    Args:
      probabilities: `[N]`, predicted, from 0 to 1.
      outcomes: `[N]`, from 0 to 1: what happened, or the share of raters who said so.

    Raises:
      ValueError: empty, of different lengths, or outside 0 to 1.

    Source: Guo et al. 2017, equation 3.
    """
    predicted, happened = _vector(probabilities), _vector(outcomes)
    if len(predicted) == 0 or len(predicted) != len(happened):
        raise ValueError(f"{len(predicted)} probabilities for {len(happened)} outcomes; give as many, at least one")
    for name, array in (("probabilities", predicted), ("outcomes", happened)):
        if not ((array >= 0) & (array <= 1)).all():
            raise ValueError(f"{name} must lie from 0 to 1")
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    index = np.searchsorted(inner_edges, predicted, side="left")
    gaps = np.bincount(index, weights=predicted - happened, minlength=bins)
    return float(np.abs(gaps).sum() / len(predicted))


def _vector(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise ValueError(f"expected one row of numbers, got shape {array.shape}")
    return array
