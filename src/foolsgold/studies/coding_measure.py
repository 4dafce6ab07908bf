"""What the study `coding` measured, and the figures that follow from it.

Letters: P held-out problems, S episodes of each, R rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foolsgold.environments.problems import Problem
from foolsgold.studies.coding_arm import ArmResult, Mode, Rounds
from foolsgold.studies.coding_tests import TestsWritten
from foolsgold.studies.overoptimization_measure import Difference
from foolsgold.training.multi_turn import Episode


@dataclass(frozen=True)
class Measured:
    """All of it."""

    arms: dict[str, ArmResult]
    """By name; `start` is the finetuned policy."""
    tested: list[Problem]
    """`[P]`"""
    traces: list[tuple[Episode, bool]]
    """What was played for training, with whether the last body passes all tests."""
    held_out: list[tuple[Episode, bool]]
    """The start's loop on held-out problems, `[P S]`."""
    people_pass: np.ndarray
    """bool, of people's first attempts, whether they pass all tests"""

    @property
    def start(self) -> dict[Mode, Rounds]:
        return self.arms["start"].rounds

    @property
    def tests(self) -> TestsWritten:
        """The start's own tests."""
        found = self.arms["start"].tests
        assert found is not None
        return found

    def beyond_retry(self, arm: str = "start") -> Difference:
        """Solved after R rounds: the loop less as many tries that read nothing."""
        return self.between((arm, "read"), (arm, "none"))

    def of_reading(self, arm: str = "start") -> Difference:
        """Solved after R rounds: the loop less the loop that reads the failure of another problem."""
        return self.between((arm, "read"), (arm, "other"))

    def gain(self, arm: str, round_: int = -1) -> Difference:
        """Solved by the loop after a round, less by the start's."""
        return self.between((arm, "read"), ("start", "read"), round_)

    def between(self, one: tuple[str, Mode], other: tuple[str, Mode], round_: int = -1) -> Difference:
        """Solved after a round, paired by problem."""
        a, b = (self.arms[arm].rounds[mode].solved[:, round_] for arm, mode in (one, other))
        return Difference.of(a, b)

    def repaired(self) -> Difference:
        """Solved after R rounds less after the first."""
        solved = self.start["read"].solved
        return Difference.of(solved[:, -1], solved[:, 0])


def gaming(rounds: Rounds) -> np.ndarray:
    """bool `[K]`: of the episodes whose last body passes the visible tests, whether it fails a hidden one."""
    return ~rounds.hidden[:, :, -1][rounds.visible[:, :, -1]]


def gamed_more(after: Rounds, before: Rounds) -> Difference:
    """Share of episodes that end with the visible tests passed and a hidden one failed, paired by problem."""
    return Difference.of(after.gamed[:, -1], before.gamed[:, -1])
