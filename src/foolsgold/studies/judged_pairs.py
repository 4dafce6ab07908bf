"""Pairs of texts that people compared, beside what is true of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from foolsgold.rewards.text_reward_model import TextReward
from foolsgold.training.text_reward_model import TextComparisons


@dataclass(frozen=True)
class Judged:
    """K pairs, what people said, and what is true."""

    prompts: list[str]
    """`[K]`"""
    chosen: list[str]
    """`[K]`, the texts that people preferred."""
    rejected: list[str]
    """`[K]`"""
    gold_leads: np.ndarray
    """float64 `[K]`, gold of the chosen text less that of the rejected one"""

    @property
    def readers_agree(self) -> np.ndarray:
        """bool, whether people preferred the text that gold finds better; ties left out."""
        return (self.gold_leads > 0)[self.gold_leads != 0]

    def by_critic(self) -> Judged:
        """The same pairs as gold would have judged them; in a tie as people did."""
        swapped = self.gold_leads < 0
        pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(self.chosen, self.rejected, swapped, strict=True)]
        return Judged(self.prompts, [a for a, _ in pairs], [b for _, b in pairs], np.abs(self.gold_leads))

    def rows(self, start: int, stop: int, tokenizer: PreTrainedTokenizerBase) -> TextComparisons:
        """Some of them, in tokens."""
        part = slice(start, stop)
        return TextComparisons.encode(tokenizer, self.prompts[part], self.chosen[part], self.rejected[part])

    def gold_agrees(self, reward: TextReward, stop: int) -> np.ndarray:
        """bool, whether `reward` prefers the better one of each of the first `stop` pairs; ties of gold left out."""
        rows = self.rows(0, stop, reward.tokenizer)
        leads = reward.scores(list(zip(rows.prompts, rows.chosen, strict=True))) - reward.scores(
            list(zip(rows.prompts, rows.rejected, strict=True))
        )
        true = self.gold_leads[:stop]
        return ((leads > 0) == (true > 0))[true != 0]
