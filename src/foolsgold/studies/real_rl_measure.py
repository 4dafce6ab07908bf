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
    """End less the evaluation nearest to half of the steps."""
    rise: Difference
    """Peak less start; see `gold_at_best`."""
    fall: Difference
    """End less peak."""

    @classmethod
    def of(cls, values: np.ndarray, steps: np.ndarray) -> Course:
        """
        Args:
          values: `[P, K]`.
          steps: `[K]`.
        """
        nothing, start, end, peak = np.zeros(len(values)), values[:, 0], values[:, -1], gold_at_best(values)
        middle = int(np.abs(steps - steps[-1] / 2).argmin())
        return cls(
            start=Difference.of(start, nothing),
            end=Difference.of(end, nothing),
            gain=Difference.of(end, start),
            late=Difference.of(end, values[:, middle]),
            rise=Difference.of(peak, start),
            fall=Difference.of(end, peak),
        )


@dataclass(frozen=True)
class Measured:
    """All of it."""

    verifier: ArmResult
    """RL on the verifier."""
    reviewers: ArmResult
    """RL on the reward model."""
    priced: ArmResult
    """RL on the reward model with a price on KL."""
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

    @property
    def arms(self) -> tuple[ArmResult, ArmResult, ArmResult]:
        return self.verifier, self.reviewers, self.priced

    @cached_property
    def on_verifier(self) -> Course:
        """Pass rate on test problems."""
        return Course.of(self.verifier.sampled, self.verifier.steps)

    @cached_property
    def on_reviewers(self) -> Course:
        return Course.of(self.reviewers.sampled, self.reviewers.steps)

    @cached_property
    def on_priced(self) -> Course:
        return Course.of(self.priced.sampled, self.priced.steps)

    @cached_property
    def lead(self) -> Difference:
        """Pass rate at the end of RL on the verifier less that of RL on the reward model."""
        return Difference.of(self.verifier.sampled[:, -1], self.reviewers.sampled[:, -1])

    @cached_property
    def lead_over_priced(self) -> Difference:
        """The same against RL on the reward model with a price on KL."""
        return Difference.of(self.verifier.sampled[:, -1], self.priced.sampled[:, -1])

    @cached_property
    def best_stop(self) -> np.ndarray:
        """`[P]`, pass rate by problem where RL on the reward model, priced or not, had best been stopped.

        Of all evaluations of both arms, found with the verifier's help, which who has only reviewers lacks; see
        `gold_at_best`.
        """
        return gold_at_best(np.concatenate([self.reviewers.sampled, self.priced.sampled], 1))

    @cached_property
    def stopped_gain(self) -> Difference:
        """At the best stop, less the start."""
        return Difference.of(self.best_stop, self.reviewers.sampled[:, 0])

    @cached_property
    def lead_over_stopped(self) -> Difference:
        """Pass rate at the end of RL on the verifier less that at the best stop."""
        return Difference.of(self.verifier.sampled[:, -1], self.best_stop)

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
