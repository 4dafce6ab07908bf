"""Looking at gold again and again while a policy trains, and stopping once it has surely fallen.

Letters: P prompts, the same at every look, K looks so far, N looks planned.

A look gives each prompt's gold. After many looks the highest mean is high by luck too, and whatever follows seems to
fall from it; and the more often one looks, the sooner luck looks like a fall. Both are paid for here: every look is
compared with *all* earlier ones, not only with the best, and one chance of error covers all comparisons at all looks.

Under the null hypothesis the true mean never falls from one look to a later one. Each comparison is a one-sided paired
t test over prompts; (k - 1) / (N - 1) of the chance of error may be spent up to look k (a uniform alpha-spending
function, Lan and DeMets 1983), its share divided equally among its comparisons (Bonferroni). No dependence between
looks does any harm, since the chances are simply added up. Assumed is: prompts are drawn independently, and the mean
difference over P of them is near enough to normal. Rare and large losses break this with few prompts, as they break any
t test. Single looks are noisy, so means of neighbouring looks are compared too: a longer fall is found with fewer
labels. Simulated at a chance of 5 %, with 8 to 256 prompts and 10 to 40 looks, 0 to 4 % of flat runs are said to fall.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

FEWEST_PROMPTS = 8
"""Below it a mean is not near enough to normal far out in the tails, where these tests are made."""
WIDTHS = (1, 2, 4, 8)
"""Neighbouring looks that are pooled on either side of a comparison."""


@dataclass(frozen=True)
class Fall:
    """The surest fall of the mean that ends with the present look."""

    since: int
    """The last of the earlier looks that are compared with, counted from 0."""
    width: int
    """Neighbouring looks pooled on either side, the present one the last of the later side."""
    fall: float
    """Mean of the earlier side less that of the later, in the unit of gold."""
    low: float
    """Lower bound of the true fall, which holds with the given confidence for all comparisons of all looks together."""

    @property
    def certain(self) -> bool:
        """Whether the mean has surely fallen."""
        return self.low > 0


def surest_fall(gold: ArrayLike, planned: int, alpha: float = 0.05) -> Fall | None:
    """Whether the mean gold has fallen at the last look from any earlier one.

    Args:
      gold: `[P, K]`, one column a look.
      planned: N, looks of the whole run.
      alpha: the chance that a mean which never falls is ever said to have fallen, over all looks.

    Returns:
      The comparison of the highest t; None where there is none to make: at the first look, and at looks
      beyond those planned, for which no chance of error is left.

    Raises:
      ValueError: fewer than 8 prompts, NaN, fewer than two looks planned, or an alpha not between 0 and 1.
    """
    gold = np.asarray(gold, np.float64)
    if gold.ndim != 2 or len(gold) < FEWEST_PROMPTS:
        raise ValueError(f"gold must be [prompts, looks] with {FEWEST_PROMPTS} prompts or more, got {gold.shape}")
    if not np.isfinite(gold).all():
        raise ValueError("gold must be finite; leave out prompts that could not be judged at every look")
    if planned < 2 or not 0 < alpha < 1:
        raise ValueError(f"plan two looks or more and an alpha between 0 and 1, not {planned} and {alpha}")
    prompts, looks = gold.shape
    comparisons = list(_comparisons(looks))
    if not comparisons or looks > planned:
        return None
    quantile = stats.t.isf(alpha / (planned - 1) / len(comparisons), prompts - 1)
    summed = np.concatenate([np.zeros((prompts, 1)), gold.cumsum(1)], 1)
    ends, widths = (np.array(column) for column in zip(*comparisons, strict=True))
    earlier = (summed[:, ends + 1] - summed[:, ends + 1 - widths]) / widths
    later = (summed[:, -1:] - summed[:, looks - widths]) / widths
    falls = (earlier - later).mean(0)
    errors = (earlier - later).std(0, ddof=1) / np.sqrt(prompts)
    rounding = 1e-12 * np.abs(gold).max()  # where nothing changes, falls and errors are made of it
    surest = int(((falls - rounding) / np.maximum(errors, 1e-3 * rounding + 1e-300)).argmax())
    low = falls[surest] - quantile * errors[surest] - rounding
    return Fall(int(ends[surest]), int(widths[surest]), float(falls[surest]), float(low))


def _comparisons(looks: int) -> Iterator[tuple[int, int]]:
    """End of the earlier side and width of both sides, for every comparison that the last of `looks` takes part in."""
    for width in WIDTHS:
        yield from ((end, width) for end in range(width - 1, looks - width))


def first_fall(gold: ArrayLike, planned: int | None = None, alpha: float = 0.05) -> int | None:
    """The look, counted from 0, at which `surest_fall` becomes certain for the first time; None if it never does.

    Args:
      gold: `[P, K]`.
      planned: K where None.
    """
    gold = np.asarray(gold, np.float64)
    planned = planned or gold.shape[1]
    for look in range(1, gold.shape[1]):
        found = surest_fall(gold[:, : look + 1], planned, alpha)
        if found is not None and found.certain:
            return look
    return None


def gold_at_best(gold: ArrayLike) -> np.ndarray:
    """Gold of each prompt at the look of the highest mean, without the luck it was picked for (the winner's curse).

    The look that is best on half of the prompts is measured on the other half, and the other way round. The mean is
    thus an unbiased estimate of what is got by choosing with half of the prompts, at most the true best. Choosing for
    each prompt by all others would lose less, but it leaves what prompts get correlated: of flat gold of 64 prompts at
    10 looks, Student's intervals then miss the truth in 28 % of audits, and in 10 % with halves.

    Args:
      gold: `[P, K]`; a single prompt is measured where it is best itself.

    Returns:
      `[P]`
    """
    gold = np.asarray(gold, np.float64)
    if len(gold) < 2:
        return gold.max(1)
    found = np.empty(len(gold))
    for half in (0, 1):
        found[1 - half :: 2] = gold[1 - half :: 2, int(gold[half::2].mean(0).argmax())]
    return found
