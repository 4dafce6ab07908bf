"""What the study `conditioned` measured, and the figures that follow from it.

Letters: P prompts, K bins of scores that were learned, W words for scores, those beyond the bins included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.objectives.best_of_n import best_of_n_gold
from foolsgold.objectives.statistics import Interval
from foolsgold.studies.overoptimization_measure import Difference, PoolOfBest
from foolsgold.studies.poem_arm import ArmResult

RESAMPLES = 2000


@dataclass(frozen=True)
class Answers:
    """Poems of a policy that was asked for one score."""

    kl: float
    """Nats from the finetuned policy, which is not asked for a score; mean over poems of the log ratio."""
    gold: list[float]
    """`[P]`, mean over each prompt's poems."""
    proxy: list[float]
    """`[P]`, in standard deviations of the finetuned policy's poems from their mean."""
    poems: list[tuple[str, str, float, float]]
    """Some of them: prompt, poem, proxy, gold."""


@dataclass(frozen=True)
class Conditioned:
    """A policy trained on (prompt, score) -> poem, and what it answers."""

    asked: np.ndarray
    """`[K]`, median score of each bin in training, the worst first: what asking for it asks for."""
    answers: list[Answers]
    """`[W]`, K or more."""

    @property
    def best(self) -> int:
        """Number of the best bin seen."""
        return len(self.asked) - 1

    @property
    def middle(self) -> int:
        """Number of the middle bin."""
        return self.best // 2

    @cached_property
    def gold(self) -> np.ndarray:
        """`[P, W]`"""
        return np.array([each.gold for each in self.answers]).T

    @cached_property
    def proxy(self) -> np.ndarray:
        """`[P, W]`"""
        return np.array([each.proxy for each in self.answers]).T

    def spread(self, obtained: np.ndarray) -> Difference:
        """What is obtained, `[P, W]`, from the worst bin to the best, as a share of what was asked for."""
        asked = self.asked[-1] - self.asked[0]
        # One bin asks for no spread at all.
        share = (obtained[:, self.best] - obtained[:, 0]) / (asked or np.nan)
        return Difference.of(share, np.zeros(len(share)))

    def beyond(self, obtained: np.ndarray) -> Difference:
        """Mean over the words beyond the best bin less what the best bin gives."""
        return Difference.of(obtained[:, self.best + 1 :].mean(1), obtained[:, self.best])


@dataclass(frozen=True)
class Measured:
    """All of it, on the same P prompts."""

    by_proxy: Conditioned
    """Trained on the reward model's scores."""
    by_gold: Conditioned
    """Trained on the critic's: the method without the fault of the proxy."""
    drawn: PoolOfBest
    """The finetuned policy's poems for the same prompts, as many in all as the others learned from."""
    rl: ArmResult
    samples: int
    """Poems drawn for training, by RL as well as by the finetuned policy for score-conditioned training."""

    @property
    def finetuned_proxy(self) -> np.ndarray:
        """`[P]`"""
        return self.drawn.proxy.mean(1)

    @property
    def finetuned_gold(self) -> np.ndarray:
        """`[P]`"""
        return self.drawn.gold.mean(1)

    @cached_property
    def best_proxy(self) -> np.ndarray:
        """Proxy of the best of all of a prompt's poems, by proxy, `[P]`."""
        return best_of_n_gold(self.drawn.proxy, self.drawn.proxy)[:, -1]

    @cached_property
    def best_gold(self) -> np.ndarray:
        """Its gold, `[P]`."""
        return best_of_n_gold(self.drawn.proxy, self.drawn.gold)[:, -1]

    @cached_property
    def worth(self) -> tuple[float, Interval]:
        """The n whose best by proxy has the proxy of the best bin, infinite where n would be more than were drawn."""
        best = self.by_proxy.proxy[:, self.by_proxy.best]
        curve = best_of_n_gold(self.drawn.proxy, self.drawn.proxy)
        prompts = len(best)
        drawn = np.random.default_rng(0).multinomial(prompts, np.full(prompts, 1 / prompts), size=RESAMPLES)
        many = _first_at(drawn @ curve, drawn @ best)
        low, high = np.quantile(many, [0.025, 0.975], method="inverted_cdf")  # between infinities lies nothing
        return float(_first_at(curve.sum(0)[None], best.sum(keepdims=True))[0]), Interval(float(low), float(high))


def _first_at(curves: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """`[R]`: the first n at which each of `curves` `[R, N]` reaches its level of `levels` `[R]`."""
    reached = curves >= levels[:, None]
    return np.where(reached.any(1), reached.argmax(1) + 1.0, np.inf)
