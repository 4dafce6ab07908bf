"""How well one reward agrees with another on samples of the same prompts, and how sure that is.

Letters: P prompts, N samples of each. Prompts are independent; samples of one prompt may resemble each other, so every
error here is one over prompts. Samples may carry weights, such as 1 over the chance of having been labelled; weight 0
leaves a sample out, whatever its reward, NaN included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from foolsgold.objectives.statistics import Interval, wilson_interval


class Estimate(NamedTuple):
    """A number, its standard error, and over how many prompts; the error is NaN for fewer than two."""

    value: float
    error: float
    prompts: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's interval."""
        half = _quantile(self.prompts, confidence) * self.error
        return Interval(self.value - half, self.value + half)

    def share_interval(self, confidence: float = 0.95) -> Interval:
        """Wilson's interval for a share, with the sample size that independent trials of this error would have.

        Where the error is 0, as when all agree, each prompt counts as one trial. Source: Korn and Graubard 1998.
        """
        trials = self.prompts
        if self.error > 0:
            trials = max(1, round(self.value * (1 - self.value) / self.error**2))
        return wilson_interval(self.value * trials, trials, _quantile(self.prompts, confidence))

    def correlation_interval(self, confidence: float = 0.95) -> Interval:
        """Interval for a correlation, symmetric in Fisher's z and hence within -1 to 1. Source: Fisher 1915."""
        if self.prompts < 2:
            return Interval(math.nan, math.nan)
        if abs(self.value) >= 1:
            return Interval(self.value, self.value)
        half = _quantile(self.prompts, confidence) * self.error / (1 - self.value**2)
        center = math.atanh(self.value)
        return Interval(math.tanh(center - half), math.tanh(center + half))

    @property
    def p_value(self) -> float:
        """Two-sided, against 0."""
        if self.prompts < 2 or math.isnan(self.error):
            return 1.0
        if self.error == 0:
            return float(self.value == 0)
        return float(2 * stats.t.sf(abs(self.value / self.error), self.prompts - 1))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> Estimate:
    """Sum of `numerator` over sum of `denominator`, `[P]` each, such as right pairs over pairs.

    Prompts where both are 0 tell nothing and do not count. NaN where the denominators sum to 0. Source: Cochran 1977,
    section 6.4.
    """
    kept = (numerator != 0) | (denominator != 0)
    top, bottom = numerator[kept], denominator[kept]
    if bottom.sum() == 0:
        return Estimate(math.nan, math.nan, int(kept.sum()))
    value = top.sum() / bottom.sum()
    return Estimate(float(value), _error((top - value * bottom) / bottom.sum()), int(kept.sum()))


def correlation(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Estimate:
    """Correlation of `x` and `y` `[P, N]`, both already centred as the question asks: within prompts, or over all.

    NaN where one of them is constant. The error is that of the linearised statistic, whole prompts taken together.
    """
    kept = (weight > 0).any(1)
    xy, xx, yy = (_sums(a * b, weight)[kept] for a, b in ((x, y), (x, x), (y, y)))
    scale = math.sqrt(xx.sum() * yy.sum())
    if scale == 0:
        return Estimate(math.nan, math.nan, int(kept.sum()))
    value = float(np.clip(xy.sum() / scale, -1, 1))
    influence = xy / scale - value / 2 * (xx / xx.sum() + yy / yy.sum())
    return Estimate(value, _error(influence), int(kept.sum()))


def centred(values: np.ndarray, weight: np.ndarray, within: bool = True) -> np.ndarray:
    """`values` `[P, N]` less their weighted mean, of each prompt or (`within` False) of all; 0 where weight is 0.

    Rounding is no spread: what differs from the mean by less than a 10⁻¹²th of the size of the values becomes 0.
    """
    known = np.where(weight > 0, values, 0.0)
    if within:
        total = weight.sum(1, keepdims=True)
        mean = (weight * known).sum(1, keepdims=True) / np.where(total > 0, total, 1)
    else:
        mean = (weight * known).sum() / weight.sum()
    apart = np.where(weight > 0, known - mean, 0.0)
    return np.where(np.abs(apart) > 1e-12 * np.abs(known).max(initial=0), apart, 0.0)


def without(x: np.ndarray, given: Sequence[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """What of `x` `[P, N]` no linear combination of `given`, each `[P, N]`, explains by weighted least squares.

    All of them centred, and 0 where weight is 0; the correlation of two such remainders is the partial correlation.
    """
    root = np.sqrt(weight).ravel()
    columns = np.stack([root * each.ravel() for each in given], 1)
    scale = np.linalg.norm(columns, axis=0)
    columns = columns / np.where(scale > 0, scale, 1)
    explained = columns @ np.linalg.lstsq(columns, root * x.ravel(), rcond=1e-9)[0]
    remainder = x - (explained / np.where(root > 0, root, 1)).reshape(x.shape)
    return np.where((weight > 0) & (np.abs(remainder) > 1e-12 * np.abs(x).max(initial=0)), remainder, 0.0)


def mid_ranks(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Ranks of `values` `[N]` from 0 to 1: the weight below each, plus half of what is equal; NaN where weight is 0."""
    ranks = np.full(len(values), np.nan)
    kept = weight > 0
    if kept.any():
        _, at = np.unique(values[kept], return_inverse=True)
        equal = np.bincount(at, weights=weight[kept])
        ranks[kept] = ((np.cumsum(equal) - equal / 2) / equal.sum())[at]
    return ranks


def concordant_pairs(proxy: np.ndarray, gold: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of samples of one prompt that differ in gold: weight of those that proxy orders alike, and of all.

    A pair weighs the product of its samples' weights; where proxy calls both equal, half of it counts as alike.

    Args:
      proxy, gold, weight: `[P, N]`.

    Returns:
      Two arrays `[P]`; `ratio` of them is the pairwise accuracy.
    """
    alike, pairs = np.zeros(len(proxy)), np.zeros(len(proxy))
    for p in range(len(proxy)):
        kept = weight[p] > 0
        x, y, w = proxy[p, kept], gold[p, kept], weight[p, kept]
        better = y[:, None] > y
        agrees = (x[:, None] > x) + 0.5 * (x[:, None] == x)
        pairs[p] = w @ better @ w
        alike[p] = w @ (better * agrees) @ w
    return alike, pairs


def _sums(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return (weight * values).sum(1)


def _error(influence: np.ndarray) -> float:
    """Standard error of a sum of independent terms that are estimated to sum to 0."""
    n = len(influence)
    return float(math.sqrt(n / (n - 1) * (influence**2).sum())) if n > 1 else math.nan


def _quantile(prompts: int, confidence: float) -> float:
    return float(stats.t.ppf((1 + confidence) / 2, prompts - 1)) if prompts > 1 else math.nan
