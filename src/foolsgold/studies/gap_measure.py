"""What the study `gap` measured, and the figures that follow from it.

Letters: P prompts, N poems of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from foolsgold.environments.poems.critic import Critique
from foolsgold.environments.poems.readers import Readership, impressions_of
from foolsgold.objectives.best_of_n import BestOfNCurve, best_of_n_curve, best_of_n_gold
from foolsgold.objectives.statistics import Interval, bootstrap_interval

RESAMPLES = 2000
KEPT = 8
"""A verifier's filter keeps one poem in so many."""
LEADS = (0.0, 0.05, 0.1, 0.2, 0.3, 1.0)
"""Bounds between which pairs of poems count as equally far apart in gold."""

REWARD_MODEL, TASTE, READER, ITSELF, CRITIC = (
    "the reward model",
    "the readers' mean taste",
    "one reader at a glance",
    "the policy itself",
    "the critic",
)
VERIFIERS = (REWARD_MODEL, TASTE, READER, ITSELF)
"""Whoever picks without knowing gold."""
PARTS = tuple(Critique.__dataclass_fields__)
"""What gold is made of."""


@dataclass(frozen=True)
class GapPool:
    """Fresh poems of the finetuned policy, with what everybody makes of them."""

    prompts: list[str]
    """`[P]`"""
    texts: list[list[str]]
    """`[P][N]`"""
    parts: np.ndarray
    """`[P, N, 6]`, the critic's parts in the order of `PARTS`."""
    gold: np.ndarray
    """`[P, N]`"""
    scores: dict[str, np.ndarray]
    """`[P, N]` each, by who picks; the higher, the better the poem seems."""


@dataclass(frozen=True)
class Share:
    """A ratio of two means over prompts, with its 95 % interval."""

    value: float
    interval: Interval
    n: int


class Measured:
    """All of it.

    Args:
      pool: poems and scores.
      n: poems to pick from in the figures of the verdict.
      readers_agree: bool, of compared pairs, whether the reader's preference was the critic's.
      demonstrations_gold: of poems that people wrote.
    """

    def __init__(self, pool: GapPool, n: int, readers_agree: np.ndarray, demonstrations_gold: np.ndarray):
        self.pool, self.n = pool, n
        self.readers_agree, self.demonstrations_gold = readers_agree, demonstrations_gold

    @cached_property
    def generator(self) -> np.ndarray:
        """Mean gold of each prompt's poems, `[P]`."""
        return self.pool.gold.mean(1)

    @cached_property
    def curves(self) -> dict[str, BestOfNCurve]:
        """Gold of the best of n by each who picks."""
        return {name: best_of_n_curve(scores, self.pool.gold, RESAMPLES) for name, scores in self.pool.scores.items()}

    @cached_property
    def best(self) -> dict[str, np.ndarray]:
        """Gold of the best of every n for each prompt, `[P, N]` each."""
        return {name: best_of_n_gold(scores, self.pool.gold) for name, scores in self.pool.scores.items()}

    def gain(self, name: str, n: int) -> np.ndarray:
        """Gold that picking one of n adds to the generator's, `[P]`."""
        return self.best[name][:, n - 1] - self.generator

    def recovered(self, name: str, n: int) -> Share:
        """The gain as a share of the critic's own."""
        both = np.stack([self.gain(name, n), self.gain(CRITIC, n)], 1)
        return Share(_ratio(both), bootstrap_interval(both, _ratio, RESAMPLES, 0), len(both))

    def filtered(self, name: str) -> np.ndarray:
        """The generation-verification gap, `[P]`: gold of the poems that the filter keeps less the generator's.

        Source: Song et al. 2024 (Mind the Gap), with the best of each prompt's poems by the verifier as its weights.
        """
        kept = max(1, self.pool.gold.shape[1] // KEPT)
        order = np.argsort(self.pool.scores[name], axis=1, kind="stable")[:, -kept:]
        return np.take_along_axis(self.pool.gold, order, 1).mean(1) - self.generator

    def accuracy(self, name: str) -> np.ndarray:
        """Share of a prompt's pairs in which the better poem by gold was picked, `[P]`; NaN where all are equal."""
        return self._accuracies[name][:, 0]

    def accuracy_by_lead(self, name: str) -> np.ndarray:
        """The same for pairs whose lead in gold lies between neighbouring `LEADS`, `[P, 5]`."""
        return self._accuracies[name][:, 1:]

    @cached_property
    def mean_leads(self) -> np.ndarray:
        """Mean lead in gold of the pairs between neighbouring `LEADS`, `[5]`."""
        leads = np.concatenate([_leads(gold) for gold in self.pool.gold])
        return np.array([leads[within].mean() if within.any() else np.nan for within in _groups(leads)])

    def part_gain(self, name: str, n: int) -> np.ndarray:
        """What picking one of n adds to each of `PARTS`, `[P, 6]`."""
        parts = np.moveaxis(self.pool.parts, -1, 0)
        picked = [best_of_n_gold(self.pool.scores[name], part)[:, n - 1] - part.mean(1) for part in parts]
        return np.stack(picked, 1)

    @cached_property
    def _accuracies(self) -> dict[str, np.ndarray]:
        """`[P, 1 + 5]` by who picks, over all pairs and over those of each lead."""
        gold = self.pool.gold
        return {
            name: np.array([_shares(true, seen) for true, seen in zip(gold, scores, strict=True)])
            for name, scores in self.pool.scores.items()
        }


def glances(readership: Readership, prompts: list[str], texts: list[list[str]], seed: int) -> np.ndarray:
    """What one reader a prompt, drawn at random, makes of its poems at a glance, `[P, N]`.

    Liking and Gumbel noise: whoever takes the highest of them prefers any poem to any other with Bradley and Terry's
    chance (Yellott 1977).
    """
    rng = np.random.default_rng([seed, 33])
    reader = rng.integers(len(readership), size=len(prompts))
    liking = [
        impressions_of([prompt] * len(poems), poems) @ readership.tastes[who]
        for prompt, poems, who in zip(prompts, texts, reader, strict=True)
    ]
    return np.array(liking) + rng.gumbel(size=(len(prompts), len(texts[0])))


def _ratio(rows: np.ndarray) -> float:
    part, whole = rows.mean(0)
    return float(part / whole) if whole else float("nan")


def _leads(gold: np.ndarray) -> np.ndarray:
    """By how much one poem is better, for each pair of `gold` `[N]`."""
    first, second = np.triu_indices(len(gold), 1)
    return np.abs(gold[first] - gold[second])


def _groups(leads: np.ndarray) -> list[np.ndarray]:
    return [(leads > low) & (leads <= high) for low, high in pairwise(LEADS)]


def _shares(gold: np.ndarray, scores: np.ndarray) -> list[float]:
    """Shares of pairs picked right: of all, and of those of each lead. Equal scores are a tossed coin."""
    first, second = np.triu_indices(len(gold), 1)
    right = (1 + np.sign(gold[first] - gold[second]) * np.sign(scores[first] - scores[second])) / 2
    leads = _leads(gold)
    return [float(right[within].mean()) if within.any() else np.nan for within in (leads > 0, *_groups(leads))]
