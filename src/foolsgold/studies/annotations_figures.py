"""All that the study `annotations` measured, and the differences that follow, paired by program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foolsgold.environments.problems import Problem
from foolsgold.studies.annotations_arm import ArmResult, Method
from foolsgold.studies.annotations_measure import Ending
from foolsgold.studies.overoptimization_measure import Difference


@dataclass(frozen=True)
class Search:
    """What Houdini proves, which learns nothing."""

    tested: np.ndarray
    """bool `[P]`"""
    trained: np.ndarray
    """bool `[Q]`"""


@dataclass(frozen=True)
class Measured:
    """All of it."""

    start: Ending
    """The finetuned policy."""
    arms: Mapping[Method, ArmResult]
    houdini: Search
    tested: list[Problem]
    """`[P]`, of families that training never shows"""
    trained: list[Problem]
    """`[Q]`"""
    workers: np.ndarray
    """bool, whether workers' annotations prove their programs"""
    rechecked: tuple[int, int, int]
    """Proofs believed; how many of them new runs refute; states that these runs came to."""

    @property
    def policies(self) -> dict[str, Ending]:
        """By name, the start first."""
        return {"start": self.start, **{name: result.ending for name, result in self.arms.items()}}

    def gain(self, name: Method) -> Difference:
        """Programs proved at once by an arm's end less those by the start."""
        return Difference.of(self.arms[name].ending.proved(1), self.start.proved(1))

    def gain_by_family(self, name: Method) -> Difference:
        """The same over held-out families, each with the mean of its programs: how sure it is of other structures."""
        of = np.array([problem.family for problem in self.tested])
        ends = (self.arms[name].ending.proved(1), self.start.proved(1))
        after, before = (np.array([values[of == family].mean() for family in np.unique(of)]) for values in ends)
        return Difference.of(after, before)

    def gain_trained(self, name: Method) -> Difference:
        """As `gain`, of the training families."""
        return Difference.of(self.arms[name].ending.proved_trained(1), self.start.proved_trained(1))

    def lead(self, name: Method, over: Method) -> Difference:
        """Programs proved at once by one arm's end less those by another's."""
        return Difference.of(self.arms[name].ending.proved(1), self.arms[over].ending.proved(1))

    @property
    def read(self) -> Difference:
        """Programs proved in an episode that reads counterexamples, by RL on such turns, less those proved by as many
        independent answers of RL on tries."""
        turns = self.arms["turns"].ending
        return Difference.of(turns.proved_by(self.turns), self.arms["tries"].ending.proved(self.turns))

    @property
    def told(self) -> Difference:
        """The same policy, RL on turns: its episodes less as many independent answers."""
        ending = self.arms["turns"].ending
        return Difference.of(ending.proved_by(self.turns), ending.proved(self.turns))

    @property
    def turns(self) -> int:
        """Most turns that an episode of the arms took."""
        return max(1, *(int(each.turns.max()) for each in self.policies.values()))

    def union(self, ending: Ending) -> np.ndarray:
        """Whether Houdini or the policy's likeliest answer proves the program, float `[P]`."""
        return (ending.greedy | self.houdini.tested).astype(float)

    def union_trained(self, ending: Ending) -> np.ndarray:
        """The same of the training families, `[Q]`."""
        return (ending.greedy_trained | self.houdini.trained).astype(float)

    def added(self, ending: Ending) -> Difference:
        """Proved by either less proved by Houdini, held-out families."""
        return Difference.of(self.union(ending), self.houdini.tested.astype(float))

    def added_trained(self, ending: Ending) -> Difference:
        """The same of the training families."""
        return Difference.of(self.union_trained(ending), self.houdini.trained.astype(float))
