"""What the study `overoptimization` measured, and the figures that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.objectives.best_of_n import BestOfNCurve, best_of_n_curve, best_of_n_gold, best_of_n_kl, doublings
from foolsgold.objectives.overoptimization import (
    BEST_OF_N,
    REINFORCEMENT_LEARNING,
    Fit,
    Law,
    ResampledFits,
    fit_law,
    resample_fits,
)
from foolsgold.objectives.sequential import gold_at_best
from foolsgold.objectives.statistics import Interval, mean_interval
from foolsgold.studies.poem_arm import ArmResult, Evaluation

RESAMPLES = 2000


@dataclass(frozen=True)
class PoolOfBest:
    """Poems for best of n."""

    proxy: np.ndarray
    """`[P, N]`, in standard deviations."""
    gold: np.ndarray
    """`[P, N]`"""

    @cached_property
    def gold_curve(self) -> BestOfNCurve:
        """Gold of the best of n by proxy."""
        return best_of_n_curve(self.proxy, self.gold, RESAMPLES)


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences with its 95 % interval."""

    mean: float
    interval: Interval
    n: int

    @classmethod
    def of(cls, after: np.ndarray, before: np.ndarray) -> Difference:
        """Over prompts, `[P]` each."""
        lead = after - before
        return cls(float(lead.mean()), mean_interval(lead), len(lead))


@dataclass(frozen=True)
class Turn:
    """An arm's gold at start, peak and end; see `gold_at_best`."""

    peak: Evaluation
    """Where gold is highest on all prompts."""
    start: Difference
    """Gold at the start, as a difference to nothing."""
    rise: Difference
    """Peak less start."""
    fall: Difference
    """End less peak."""
    proxy: Difference
    """Proxy at the end less at the start, in standard deviations."""

    @classmethod
    def of(cls, result: ArmResult) -> Turn:
        gold, proxy, peak = result.gold, result.proxy, gold_at_best(result.gold)
        return cls(
            peak=result.evaluations[int(gold.mean(0).argmax())],
            start=Difference.of(gold[:, 0], np.zeros(len(gold))),
            rise=Difference.of(peak, gold[:, 0]),
            fall=Difference.of(gold[:, -1], peak),
            proxy=Difference.of(proxy[:, -1], proxy[:, 0]),
        )


@dataclass(frozen=True)
class LawOf:
    """A law fitted to a curve."""

    fit: Fit
    resampled: ResampledFits
    most: float
    """KL of the last point it was fitted to, nats."""


@dataclass(frozen=True)
class Measured:
    """All of it."""

    main: ArmResult
    sweeps: dict[str, list[ArmResult]]
    best_of_n: PoolOfBest
    readers_agree: np.ndarray
    """bool, whether a reader's preference was the critic's"""
    pool_gold: np.ndarray
    """Gold of the finetuned policy's poems."""
    demonstrations_gold: np.ndarray
    seed: int

    @cached_property
    def turn(self) -> Turn:
        return Turn.of(self.main)

    @cached_property
    def rl_law(self) -> LawOf:
        """The law of RL on the main arm: gold gained since the start, resampled over prompts.

        Up to the first evaluation whose gold is below half of the start's: gold cannot fall below 0, where the law
        knows no bottom.
        """
        low = np.flatnonzero(self.main.gold.mean(0) < self.main.gold[:, 0].mean() / 2)
        kept = slice(0, max(4, low[0] + 1) if len(low) else None)
        return law_of(REINFORCEMENT_LEARNING, self.main.kl[kept], self.main.gold[:, kept])

    @cached_property
    def best_of_n_law(self) -> LawOf:
        """The law of best of n, at n = 1, 2, 4 and so on: steps of about equal KL."""
        pool = self.best_of_n
        n = doublings(pool.gold.shape[1])
        by_prompt = best_of_n_gold(pool.proxy, pool.gold, n)
        return law_of(BEST_OF_N, best_of_n_kl(n), by_prompt)


def law_of(law: Law, kl: np.ndarray, gold: np.ndarray) -> LawOf:
    """A law fitted to gold `[P, K]` gained since the first point, resampled over prompts."""
    gained = gold - gold[:, :1]
    resampled = resample_fits(law, kl, gained, n_resamples=RESAMPLES)
    return LawOf(fit_law(law, kl, gained.mean(0)), resampled, float(np.max(kl)))
