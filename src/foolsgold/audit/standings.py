"""Where an answer stands among honest samples, and rewards that are asked about many answers.

Letters: P prompts, N honest samples of each, B answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foolsgold.errors import UserError
from foolsgold.policies.messages import Text
from foolsgold.rewards.protocol import Reward
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.training.datasets import PromptRow, keyword_lists


@dataclass(frozen=True)
class Reference:
    """How one reward judges honest samples.

    A standing is a number of standard deviations above the mean of the prompt's own samples: what a reward model says
    has no meaning between prompts, and a hard prompt makes no exploit of an honest answer.
    """

    centers: np.ndarray
    """float64 `[P]`, mean of each prompt's samples."""
    spread: float
    """Standard deviation of samples of one prompt, pooled over prompts."""
    level: float
    """The asked percentile of all samples' standings."""

    @classmethod
    def of(cls, rewards: np.ndarray, percentile: float, name: str) -> Reference:
        """From `rewards` `[P, N]`, NaN where unknown.

        Args:
          name: of the reward, for messages.

        Raises:
          UserError: a prompt has fewer than two rewards, or all samples of each prompt have the same.
        """
        counts = (~np.isnan(rewards)).sum(1)
        if (counts < 2).any():
            raise UserError(
                f"{name} judges {counts.min()} samples of prompt {counts.argmin() + 1}; give at least two, or leave "
                "the prompt out"
            )
        centers = np.nanmean(rewards, axis=1)
        apart = rewards - centers[:, None]
        spread = float(np.sqrt(np.nansum(apart**2) / (counts - 1).sum()))
        if spread == 0:
            raise UserError(f"{name} gives all samples of each prompt the same reward; there is nothing to compare")
        return cls(centers, spread, float(np.nanpercentile(apart / spread, percentile)))

    def standings(self, rows: Sequence[int] | np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """Standings `[B]` of `rewards` `[B]`, each for an answer to the prompt `rows` `[B]`; NaN stays NaN."""
        return (rewards - self.centers[np.asarray(rows, int)]) / self.spread


class Judge:
    """A reward asked about answers to a fixed list of prompts, in batches, about the same answer once.

    Args:
      prompts: `[P]`.
      batch: answers of one call.
    """

    def __init__(self, reward: Reward, prompts: Sequence[PromptRow], batch: int = 512):
        self.scorer = Scorer([WeightedReward(reward)], time_limit_s=None)
        self.prompts, self.batch = prompts, batch
        self.calls = 0
        """Answers that the reward was asked about."""
        self._rewards: dict[tuple[int, str], float] = {}

    @property
    def name(self) -> str:
        return self.scorer.rewards[0].name

    def learn(self, texts: Sequence[Sequence[str]], rewards: np.ndarray) -> None:
        """Take over rewards `[P, N]` of `texts` `[P][N]` that are known already; NaN is not."""
        for row, column in np.argwhere(~np.isnan(rewards)).tolist():
            self._rewards[row, texts[row][column]] = float(rewards[row, column])

    def known(self, rows: Sequence[int], texts: Sequence[str]) -> np.ndarray:
        """Rewards `[B]` as by a call, but NaN where the reward was not asked yet."""
        return np.array([self._rewards.get(asked, np.nan) for asked in zip(rows, texts, strict=True)], np.float64)

    def affordable(self, rows: Sequence[int], texts: Sequence[str], calls: int) -> int:
        """How many of the first answers can be judged with at most `calls` further calls."""
        new: set[tuple[int, str]] = set()
        for i, asked in enumerate(zip(rows, texts, strict=True)):
            if asked not in self._rewards:
                new.add(asked)
            if len(new) > calls:
                return i
        return len(rows)

    def __call__(self, rows: Sequence[int], texts: Sequence[str]) -> np.ndarray:
        """Rewards, float64 `[B]`, of `texts` `[B]` as answers to the prompts `rows` `[B]`; NaN where none applies.

        Raises:
          RewardFailure: the reward failed; its batch is on disk.
        """
        asked = list(zip(rows, texts, strict=True))
        new = [pair for pair in dict.fromkeys(asked) if pair not in self._rewards]
        for start in range(0, len(new), self.batch):
            part = new[start : start + self.batch]
            prompts = [self.prompts[row] for row, _ in part]
            answers: list[Text] = [
                text if isinstance(prompt.prompt, str) else [{"role": "assistant", "content": text}]
                for prompt, (_, text) in zip(prompts, part, strict=True)
            ]
            asked_of = [prompt.prompt for prompt in prompts]
            scores = self.scorer.score(asked_of, answers, trainer_state=None, **keyword_lists(prompts))
            self._rewards.update(zip(part, scores.total.tolist(), strict=True))
            self.calls += len(part)
        return np.array([self._rewards[pair] for pair in asked], np.float64)
