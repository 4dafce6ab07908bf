"""Problems whose answers can be checked: what a world of them gives to a policy, its reviewers and its verifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Problem:
    """A prompt with all that a verifier needs to judge its answers."""

    prompt: str
    """What the policy reads; the answer follows at once, and the end token closes it."""
    answer: str
    """An answer that the verifier accepts."""
    columns: dict[str, Any]
    """What the verifier is given beside the completion, in JSON's types; the same names for all problems of a world."""
    family: str
    """The structure it is made of. The test split has families that the train split never shows."""
    grade: int
    """How hard it is, from 1."""


class Reviewers(Protocol):
    """People who compare two answers by looking at them: they run nothing."""

    def taste(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        """The mean reviewer's noiseless liking of K answers, float64 `[K]`, in nats of log-odds."""
        ...

    def compare(
        self, prompts: Sequence[str], a: Sequence[str], b: Sequence[str], seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each of K pairs is shown to one reviewer: (who prefers a, bool `[K]`; which reviewer, int64 `[K]`)."""
        ...


class ProblemWorld(Protocol):
    """A seeded generator of problems."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        ...

    def problems(self, split: Split, n: int, seed: int) -> list[Problem]:
        """`n` problems of the split's families; a problem of one split has no twin in the other."""
        ...

    def demonstrations(self, n: int, seed: int) -> list[tuple[Problem, str]]:
        """`n` problems of the train split with answers by people who sometimes err."""
        ...

    def reviewers(self, n: int, seed: int) -> Reviewers:
        """`n` people who compare answers by their looks."""
        ...
