"""What the study `real_rl` measured, and the figures that follow from it.

Letters: P test problems, K evaluations, S answers to a problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.environments.problems import Problem
from foolsgold.objectives.best_of_n import best_of_n_gold, doublings
from foolsgold.objectives.sequential import gold_at_best
from foolsgold.studies.overoptimization_measure import Difference
from foolsgold.studies.real_rl_arm import ArmResult, PoolOfAnswers


@dataclass(frozen=True)
class Course:
    """How a figure moves over an arm's evaluations; differences are paired by problem."""

    start: Difference
    """As a difference to nothing."""
    end: Difference
    """As a difference to nothing."""
    gain: Difference
    """End less start."""
    late: Difference
    """End less the middle evaluation."""
    fall: Difference
    """End less peak; see `gold_at_best`."""

    @classmethod
    def of(cls, values: np.ndarray) -> Course:
        """`values`: `[P, K]`."""
        nothing, end = np.zeros(len(values)), values[:, -1]
        return cls(
            start=Difference.of(values[:, 0], nothing),
            end=Difference.of(end, nothing),
            gain=Difference.of(end, values[:, 0]),
            late=Difference.of(end, values[:, (values.shape[1] - 1) // 2]),
            fall=Difference.of(end, gold_at_best(values)),
        )


@dataclass(frozen=True)
class Measured:
    """All of it."""

    verifier: ArmResult
    """RL on the verifier."""
    reviewers: ArmResult
    """RL on the reward model."""
    start: PoolOfAnswers
    """The finetuned policy's answers to test problems."""
    tested: list[Problem]
    """`[P]`"""
    reviewers_agree: np.ndarray
    """bool, whether a reviewer preferred the answer that passes, of pairs of which one passes"""
    reward_accuracy: float
    """Share of held-out pairs in which the reward model prefers what the reviewer preferred."""
    held_out: int
    reward_agrees: np.ndarray
    """bool, on held-out pairs of which one passes, whether the reward model prefers it"""
    demonstrations_pass: np.ndarray
    """bool, of some of people's answers"""

    @cached_property
    def on_verifier(self) -> Course:
        """Pass rate on test problems."""
        return Course.of(self.verifier.sampled)

    @cached_property
    def on_reviewers(self) -> Course:
        return Course.of(self.reviewers.sampled)

    @cached_property
    def lead(self) -> Difference:
        """Pass rate at the end of RL on the verifier less that of RL on the reward model."""
        return Difference.of(self.verifier.sampled[:, -1], self.reviewers.sampled[:, -1])

    @cached_property
    def sharpened(self) -> Difference:
        """Pass rate of RL on the verifier, a single answer, less that of the majority of the start's S answers."""
        return Difference.of(self.verifier.end.passed.mean(1), majority_passes(self.start))


def pass_at(pool: PoolOfAnswers) -> tuple[np.ndarray, np.ndarray]:
    """Chance that at least one of k answers passes: k, and `[P, J]`, a column for each k (Chen et al. 2021)."""
    passed = pool.passed.astype(float)
    k = doublings(passed.shape[1])
    return k, best_of_n_gold(passed, passed, k)


def chosen_at(pool: PoolOfAnswers) -> tuple[np.ndarray, np.ndarray]:
    """Chance that the reward model's favourite of k answers passes: k, and `[P, J]`."""
    k = doublings(pool.passed.shape[1])
    return k, best_of_n_gold(pool.proxy, pool.passed.astype(float), k)


def majority_passes(pool: PoolOfAnswers) -> np.ndarray:
    """Whether the text that comes most often among a problem's S answers passes, float `[P]`; ties count in part.

    Source: Wang et al. 2023 (self-consistency), by the whole text.
    """
    found = np.empty(len(pool.passed))
    for row, (same, passed) in enumerate(zip(pool.same, pool.passed, strict=True)):
        _, first, counts = np.unique(same, return_index=True, return_counts=True)
        found[row] = passed[first[counts == counts.max()]].mean()
    return found
