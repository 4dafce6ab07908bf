"""A proxy reward in a unit that does not hang on its own scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class StandardReward:
    """A reward in standard deviations of its scores over some texts, those of the start, from their mean.

    Args:
      reward: called as rewards are; it gives a number a completion.
      prompts: `[B]`, of the texts.
      texts: `[B]`.
    """

    __name__ = "proxy"

    def __init__(self, reward: Callable[..., Any], prompts: Sequence[str], texts: Sequence[str]):
        self.reward = reward
        scores = np.array(reward(prompts=prompts, completions=texts))
        self.mean, self.deviation = float(scores.mean()), float(scores.std())

    def __call__(self, prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
        scores = np.array(self.reward(prompts=prompts, completions=completions))
        return ((scores - self.mean) / self.deviation).tolist()
