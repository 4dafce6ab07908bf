"""How far annotators agree beyond chance: pairwise agreement, Fleiss' kappa, Krippendorff's alpha, with intervals.

Everything is computed from `counts` `[I, K]`: how often each item got each label, as `Judgements.counts` gives them.
Items are independent; an interval therefore says how much the figure would vary over other items judged by such
annotators. Of other annotators it says nothing. Items with fewer than two labels tell nothing and do not count.

Letters: I items, K labels, U distinct rows of `counts`, which is all that has to be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foolsgold.objectives.agreement import Estimate, ratio
from foolsgold.objectives.statistics import Interval

TOGETHER = 64
"""Resamples that are held in memory at once."""

Distance = Callable[[np.ndarray], np.ndarray]
"""From how often each label was used, `[..., K]`, to squared distances of labels, `[..., K, K]`."""


def pairwise_agreement(counts: ArrayLike) -> Estimate:
    """Share of pairs of labels of one item that are the same; an item of m labels has m (m - 1) / 2 pairs.

    Returns:
      An estimate over items; `share_interval` gives its interval.

    Raises:
      ValueError: no item has two labels.
    """
    votes = _shared(counts)
    size = votes.sum(1)
    return ratio((votes * (votes - 1)).sum(1), size * (size - 1))


def unanimity(counts: ArrayLike) -> Estimate:
    """Share of items of which all labels are the same; compare only where items have equally many.

    Returns, Raises: as `pairwise_agreement`.
    """
    votes = _shared(counts)
    return ratio((votes.max(1) == votes.sum(1)).astype(float), np.ones(len(votes)))


def fleiss_kappa(counts: ArrayLike) -> Estimate:
    """Agreement beyond chance, 1 if perfect and 0 if labels were drawn at random.

    Items may have differently many labels; each item counts once.

    Returns:
      An estimate whose `interval` is Student's, with the large-sample error over items of Gwet, not the one by Fleiss,
      which holds only where the true kappa is 0. NaN where only one label was ever used.

    Raises:
      ValueError: no item has two labels.

    Source: Fleiss 1971; error, Gwet 2021 (Large-sample variance of Fleiss generalized kappa).
    """
    votes = _shared(counts)
    size = votes.sum(1)
    agreed = (votes * (votes - 1)).sum(1) / (size * (size - 1))
    used = (votes / size[:, None]).mean(0)
    expected = float((used**2).sum())
    if expected > 1 - 1e-12:
        return Estimate(math.nan, math.nan, len(votes))
    kappa = float((agreed.mean() - expected) / (1 - expected))
    by_chance = votes @ used / size
    influence = (agreed - expected) / (1 - expected) - 2 * (1 - kappa) * (by_chance - expected) / (1 - expected)
    error = influence.std(ddof=1) / math.sqrt(len(votes)) if len(votes) > 1 else math.nan
    return Estimate(kappa, float(error), len(votes))


def nominal(used: np.ndarray) -> np.ndarray:
    """Any two different labels are equally far apart."""
    return np.broadcast_to(1.0 - np.eye(used.shape[-1]), (*used.shape, used.shape[-1]))


def ordinal(used: np.ndarray) -> np.ndarray:
    """Labels in their order, as far apart as there are uses of labels between them."""
    place = np.cumsum(used, -1) - used / 2
    return (place[..., :, None] - place[..., None, :]) ** 2


def interval_scaled(values: ArrayLike) -> Distance:
    """Labels that stand for numbers `[K]`, such as points or strengths of preference."""
    number = np.asarray(values, np.float64)
    apart = (number[:, None] - number) ** 2
    return lambda used: np.broadcast_to(apart, (*used.shape, used.shape[-1]))


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha."""

    value: float
    """1 if all agree, 0 if labels were drawn at random, below 0 if they disagree more than that; NaN where only one
    label was ever used."""
    error: float
    """Standard error by the jackknife over items."""
    bootstrap: Interval
    """95 % interval over items, percentile; NaN where `value` is."""
    items: int
    """With two labels at least."""

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's interval with the jackknife's error; the bootstrap's follows a lopsided distribution better."""
        return Estimate(self.value, self.error, self.items).interval(confidence)


def krippendorff_alpha(
    counts: ArrayLike, distance: Distance = nominal, n_resamples: int = 2000, seed: int = 0
) -> Alpha:
    """Observed against expected disagreement, for labels of any scale and with missing judgements.

    Args:
      counts: `[I, K]`; for `ordinal` the labels must be in their order.
      distance: `nominal`, `ordinal`, or `interval_scaled` of the labels' values.
      n_resamples: of the bootstrap over items, which are drawn whole. (Krippendorff's own bootstrap draws pairs of
        labels as if they were independent, and so its intervals are too narrow.)
      seed: the same seed gives the same interval.

    Raises:
      ValueError: no item has two labels.

    Source: Krippendorff 2004 (Content analysis), chapter 11; jackknife, Tukey 1958.
    """
    votes = _shared(counts)
    patterns, often = np.unique(votes, axis=0, return_counts=True)
    items = len(votes)
    # Coincidences of a pattern: pairs of labels of one item, each item of m labels worth m of them.
    size = patterns.sum(1)
    pairs = patterns[:, :, None] * patterns[:, None, :] - patterns[:, :, None] * np.eye(patterns.shape[1])
    pairs = (pairs / (size - 1)[:, None, None]).reshape(len(patterns), -1)

    def alpha(coincidences: np.ndarray, used: np.ndarray) -> np.ndarray:
        """From sums over items, `[N, K²]` of pairs and `[N, K]` of labels: `[N]`."""
        apart = distance(used).reshape(len(used), -1)
        n = used.sum(-1)
        chance = (used[:, :, None] * used[:, None, :]).reshape(len(used), -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return 1 - (coincidences * apart).sum(-1) / (chance * apart).sum(-1) * (n - 1)

    all_pairs, all_used = often @ pairs, often @ patterns
    value = float(alpha(all_pairs[None], all_used[None])[0])
    if math.isnan(value) or items < 2:
        return Alpha(value, math.nan, Interval(math.nan, math.nan), items)
    left_out = alpha(all_pairs - pairs, all_used - patterns)
    error = math.sqrt((items - 1) / items * float(often @ (left_out - often @ left_out / items) ** 2))
    rng = np.random.default_rng(seed)
    resampled = []
    for drawn in range(0, n_resamples, TOGETHER):
        times = rng.multinomial(items, often / items, min(TOGETHER, n_resamples - drawn))
        resampled.append(alpha(times @ pairs, times @ patterns))
    low, high = np.nanquantile(np.concatenate(resampled), [0.025, 0.975])
    return Alpha(value, error, Interval(float(low), float(high)), items)


def _shared(counts: ArrayLike) -> np.ndarray:
    """The rows of items that got two labels or more."""
    votes = np.asarray(counts, np.float64)
    if votes.ndim != 2 or not (votes >= 0).all():
        raise ValueError(f"counts must be [items, labels] and not below 0; got shape {votes.shape}")
    votes = votes[votes.sum(1) >= 2]
    if len(votes) == 0:
        raise ValueError("no item has two labels; agreement needs items that two annotators judged")
    return votes
