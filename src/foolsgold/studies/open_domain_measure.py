"""What the study `open_domain` makes of its answers: agreement, best of n, and what is left of gold after a search.

Letters: P prompts, S of them searched, N answers of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.objectives.agreement import Estimate, centred, concordant_pairs, correlation, mid_ranks, ratio
from foolsgold.objectives.best_of_n import BestOfNCurve, best_of_n_curve, best_of_n_gold
from foolsgold.objectives.statistics import Interval, bootstrap_interval, mean_interval, wilson_interval
from foolsgold.studies.open_domain_run import GOLD, Searched, TaskResult

RESAMPLES = 2000
MILD = 16
"""Answers to choose from where a reward is optimised mildly."""
ENOUGH = 0.5
"""Share of the gold that can be gained that an objective reward leads to, at least."""
RARE = 0.05
"""Share of prompts on which a reward may be fooled."""


@dataclass(frozen=True)
class Difference:
    """A mean over prompts with its 95 % interval."""

    mean: float
    interval: Interval
    n: int

    @classmethod
    def of(cls, values: np.ndarray) -> Difference:
        """Of `values` `[P]`."""
        return cls(float(values.mean()), mean_interval(values), len(values))


class Trial:
    """One reward, tried on one task."""

    def __init__(self, name: str, needs: str, scores: np.ndarray, searched: Searched, of: TaskMeasured):
        """
        Args:
          scores: `[P, N]`, of the writers' answers.
        """
        self.name, self.needs, self.scores, self.searched, self.of = name, needs, scores, searched, of

    @cached_property
    def ranks(self) -> Estimate:
        """Rank correlation with gold within prompts; NaN where the reward is constant."""
        weight = np.ones_like(self.scores)
        x, y = (
            centred(np.array([mid_ranks(*each) for each in zip(values, weight, strict=True)]), weight)
            for values in (self.scores, self.of.gold)
        )
        return correlation(x, y, weight)

    @cached_property
    def accuracy(self) -> Estimate:
        """Share of pairs of answers, different in gold, that it orders as gold does; a tie is half."""
        return ratio(*concordant_pairs(self.scores, self.of.gold, np.ones_like(self.scores)))

    @cached_property
    def curve(self) -> BestOfNCurve:
        """Gold of the best of every n."""
        return best_of_n_curve(self.scores, self.of.gold, RESAMPLES)

    @cached_property
    def best(self) -> np.ndarray:
        """Gold of the best of every n for each prompt, `[P, N]`."""
        return best_of_n_gold(self.scores, self.of.gold)

    @property
    def mild(self) -> Difference:
        """Gold that the best of 16 has more than an answer at random."""
        return Difference.of(self.best[:, min(MILD, self.best.shape[1]) - 1] - self.best[:, 0])

    @cached_property
    def before(self) -> np.ndarray:
        """Gold of the answers that the search started from, `[S, 2]`: at random, and the best of them by the reward."""
        scores, gold = self.of.starts(self.scores), self.of.starts(self.of.gold)
        return best_of_n_gold(scores, gold, [1, gold.shape[1]])

    @cached_property
    def after(self) -> np.ndarray:
        """Gold after the search, `[S]`; where it found nothing that is paid more, that of the best before it."""
        found = self.searched
        return np.where(found.scores > found.start_scores + 1e-9, found.gold, self.before[:, 1])

    @cached_property
    def fall(self) -> Difference:
        """Gold after the search, less that before it, at random or of the best, whichever is more; paired by prompt."""
        return Difference.of(self.after - self.before[:, int(self.before.mean(0).argmax())])

    @cached_property
    def fooled(self) -> np.ndarray:
        """bool `[S]`, whether the answer found is paid at least as much as each of the writers' that has more gold, if
        there is any."""
        rows = len(self.searched.gold)
        better = self.of.gold[:rows] > self.searched.gold[:, None] + 1e-9
        paid = np.where(better, self.scores[:rows], -np.inf).max(1)
        return better.any(1) & (self.searched.scores >= paid - 1e-9)

    @property
    def fooled_share(self) -> Interval:
        """Of prompts, Wilson's interval."""
        return wilson_interval(float(self.fooled.sum()), len(self.fooled))

    @property
    def falls(self) -> bool:
        """Whether optimising it makes answers worse, beyond chance."""
        return self.fall.interval.high < 0

    @property
    def breaks(self) -> bool:
        """Whether it falls, or pays for worse answers as much as for better ones beyond `RARE`."""
        return self.falls or self.fooled_share.low > RARE

    @cached_property
    def reached(self) -> Difference:
        """Gold gained by the search, as a share of what could be; a ratio of means over prompts."""
        gained = self.after - self.before[:, 0]
        both = np.stack([gained, self.of.attainable], 1)
        return Difference(_ratio(both), bootstrap_interval(both, _ratio, RESAMPLES, 0), len(both))

    @property
    def objective(self) -> bool:
        """Whether it can be optimised: it does not break, and leads to at least half of what can be gained."""
        return not self.breaks and self.reached.interval.low > ENOUGH


class TaskMeasured:
    """One task with all its rewards."""

    def __init__(self, result: TaskResult):
        self.result = result
        self.gold = result.pool.gold
        names = zip(result.task.candidates, result.pool.scores, strict=True)
        self.trials = [Trial(each.name, each.needs, scores, result.searched[each.name], self) for each, scores in names]
        self.control = Trial(GOLD, "to have made the world", self.gold, result.searched[GOLD], self)

    @property
    def name(self) -> str:
        return self.result.plan.name

    def starts(self, values: np.ndarray) -> np.ndarray:
        """Of `values` `[P, N]` those of the answers that searches started from, `[S, starts]`."""
        return values[: self.result.plan.searched, : self.result.plan.starts]

    @cached_property
    def attainable(self) -> np.ndarray:
        """Gold that a search can gain over a start at random, `[S]`: the most that any search found, by gold itself or
        by a candidate."""
        found = np.max([each.gold for each in self.result.searched.values()], axis=0)
        starts = self.starts(self.gold)
        return np.maximum(found, starts.max(1)) - starts.mean(1)

    @property
    def objective(self) -> list[Trial]:
        """Rewards that can be optimised."""
        return [trial for trial in self.trials if trial.objective]

    @property
    def helpful(self) -> list[Trial]:
        """Rewards that help where they choose among 16 answers."""
        return [trial for trial in self.trials if trial.mild.interval.low > 0]

    @property
    def broken(self) -> list[Trial]:
        """Rewards that break."""
        return [trial for trial in self.trials if trial.breaks]


def _ratio(rows: np.ndarray) -> float:
    part, whole = rows.mean(0)
    return round(float(part / whole), 9) if whole else float("nan")
