"""What may be said when many things are looked at: luck makes one of them stand out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def holm(p_values: ArrayLike) -> np.ndarray:
    """p-values `[M]` adjusted so that calling those below a level keeps the chance of any false call below it.

    It holds however the tests depend on each other. Source: Holm 1979.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(np.minimum(p[order] * np.arange(len(p), 0, -1), 1))
    return adjusted


def set_of_best(values: ArrayLike, seed: int = 0, confidence: float = 0.95, draws: int = 4000) -> np.ndarray:
    """Which of K things may be the best: a set that holds the one of the highest expectation with `confidence`.

    Each k stays in the set unless some other is clearly better, by paired differences over the P units, at the level
    of the largest of K - 1 correlated t statistics.

    Args:
      values: `[P, K]`, one row a unit, such as gold of a prompt at each checkpoint.
      seed: the same seed gives the same set.
      draws: of the largest t statistic's distribution.

    Returns:
      bool `[K]`; all of them where P is 1, which shows no spread.

    Source: Hsu 1981 (multiple comparisons with the best); the multivariate t with the estimated correlation.
    """
    values = np.asarray(values, np.float64)
    units, k = values.shape
    if units < 2:
        return np.ones(k, bool)
    mean = values.mean(0)
    apart = values - mean
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(draws, units)) @ apart / np.sqrt(units - 1)
    drawn /= np.sqrt(rng.chisquare(units - 1, size=(draws, 1)) / (units - 1))
    rounding = 1e-9 * np.abs(values).max(initial=0)
    may_be = np.empty(k, bool)
    for at in range(k):
        spread = (apart - apart[:, [at]]).std(0, ddof=1)
        lead, differ = mean - mean[at], spread > rounding
        largest = ((drawn - drawn[:, [at]])[:, differ] / spread[differ]).max(1, initial=-np.inf)
        level = np.quantile(largest, confidence) if differ.any() else np.inf
        t = lead[differ] / spread[differ] * np.sqrt(units)
        may_be[at] = (t <= level).all() and (lead[~differ] <= rounding).all()
    return may_be
