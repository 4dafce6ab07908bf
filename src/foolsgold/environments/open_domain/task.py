"""What a task without a known reward gives to a study: requests, writers, gold, and rewards to be tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Request:
    """One prompt."""

    prompt: str
    truth: Any
    """What only the world knows of it; gold and candidates take from it what each is entitled to."""


Scores = Callable[[Sequence[Request], Sequence[str]], np.ndarray]
"""Of B answers to B requests, float64 `[B]`."""


@dataclass(frozen=True)
class Candidate:
    """A reward that somebody may propose."""

    name: str
    needs: str
    """What one must have to compute it."""
    score: Scores


class OpenTask(Protocol):
    """A seeded world of one task."""

    name: str
    asks: str
    """What is asked for, in one line."""
    gold_is: str
    """What gold is, in one line."""
    candidates: Sequence[Candidate]

    def requests(self, n: int, seed: int) -> list[Request]:
        """`n` different requests."""
        ...

    def write(self, request: Request, rng: Random) -> str:
        """The answer of a writer of random care."""
        ...

    def gold(self, requests: Sequence[Request], answers: Sequence[str]) -> np.ndarray:
        """How good B answers are, float64 `[B]`, 1 at best."""
        ...


def one_by_one(score: Callable[[Any, str], float]) -> Scores:
    """A reward of the truth of a request and one answer, for many of them."""

    def scores(requests: Sequence[Request], answers: Sequence[str]) -> np.ndarray:
        pairs = zip(requests, answers, strict=True)
        return np.array([score(request.truth, answer) for request, answer in pairs], np.float64)

    return scores
