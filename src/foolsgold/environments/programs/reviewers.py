"""Simulated reviewers, who compare programs by looking at them: nothing is run, so what shows is all that counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from foolsgold.errors import UserError

Impress = Callable[[str, str], np.ndarray]
"""What is seen at a glance of a prompt and an answer, float64 `[F]`."""


@dataclass(frozen=True)
class CodeReviewers:
    """N reviewers; their preferences follow Bradley and Terry (1952): log-odds are differences of liking."""

    impress: Impress
    tastes: np.ndarray
    """float64 `[N, F]`, what each impression is worth to each reviewer, in nats of log-odds"""

    @classmethod
    def founded(
        cls, reviewers: int, seed: int, impress: Impress, weights: np.ndarray, variety: float = 0.5
    ) -> CodeReviewers:
        """Reviewers whose weights are the common ones times log-normal factors of spread `variety`.

        Args:
          weights: float64 `[F]`, in nats of log-odds a unit of each impression.

        Raises:
          UserError: there are no reviewers.
        """
        if reviewers < 1:
            raise UserError(f"{reviewers} reviewers cannot compare programs; ask for at least one")
        rng = np.random.default_rng([seed, 51])
        return cls(impress, weights * rng.lognormal(-(variety**2) / 2, variety, (reviewers, len(weights))))

    def __len__(self) -> int:
        return len(self.tastes)

    def taste(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        """The mean reviewer's noiseless liking of K answers, float64 `[K]`, in nats of log-odds."""
        return self._seen(prompts, answers) @ self.tastes.mean(0)

    def compare(
        self, prompts: Sequence[str], a: Sequence[str], b: Sequence[str], seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each of K pairs of answers is shown to one reviewer drawn at random.

        Returns: (the reviewer prefers a, bool `[K]`; which reviewer, int64 `[K]`).
        """
        rng = np.random.default_rng([seed, 52])
        who = rng.integers(0, len(self), len(prompts))
        lead = ((self._seen(prompts, a) - self._seen(prompts, b)) * self.tastes[who]).sum(1)
        chance = 1 / (1 + np.exp(-np.clip(lead, -50, 50)))
        return rng.random(len(prompts)) < chance, who

    def _seen(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        seen = [self.impress(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        return np.stack(seen) if seen else np.zeros((0, self.tastes.shape[1]))


def nearness(a: int, b: int) -> float:
    """How near two counts are: the smaller over the larger, each with one more."""
    return (min(a, b) + 1) / (max(a, b) + 1)
