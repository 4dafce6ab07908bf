"""Reward models with several heads on one trunk: a head a group of raters, a rater, or a moment of a distribution.

Letters: B candidates, T tokens of the longest text, D width, H heads, N side of the board.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.go_network import NetworkSize
from foolsgold.rewards.go_reward_model import GoRewardModel, sided_planes
from foolsgold.rewards.text_reward_model import TextRewardModel, TokenPair, pad_texts

TOGETHER = 256
"""Candidates scored at once."""


class TextHeads(TextRewardModel):
    """What several heads make of a completion, read at its end token: `forward` gives `[B, H]`.

    Args:
      policy: its trunk is copied.
      heads: H, two or more.
      seed: of the heads, which start small, each otherwise.
    """

    def __init__(self, policy: Decoder, heads: int, seed: int = 0):
        super().__init__(policy, seed)
        if heads < 2:
            raise ValueError("one head is a TextRewardModel")
        start = torch.randn((heads, policy.config.width), generator=torch.Generator().manual_seed(seed)) * 0.02
        self.head = nn.Parameter(start.to(self.head))
        """`[H, D]`"""

    def scores_of(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> torch.Tensor:
        """Scores, float32 `[M, G, H]`, of G completions of each of M prompts, in prompt order."""
        both = super().scores_of(prompts, completions)
        return both.reshape(len(prompts), -1, len(self.head))

    def save(self, folder: str | Path, tokenizer: PreTrainedTokenizerBase) -> Path:
        """Several heads are no sequence classifier of one label: `training.checkpoint` keeps their state.

        Raises:
          UserError: always.
        """
        raise UserError(f"a reward model of {len(self.head)} heads has no one score; save its state as a checkpoint")


class BoardHeads(GoRewardModel):
    """What several heads make of a board for a side: `[B, REWARD_PLANES, N, N]` -> `[B, H]`.

    Args:
      size: of the network.
      heads: H, two or more.
    """

    def __init__(self, size: NetworkSize, heads: int):
        super().__init__(size)
        if heads < 2:
            raise ValueError("one head is a GoRewardModel")
        self.out = nn.Linear(self.out.in_features, heads)


@torch.inference_mode()
def text_scores(model: TextHeads, pairs: Sequence[TokenPair]) -> np.ndarray:
    """Scores of prompts with their completions in tokens, float32 `[B, H]`."""
    order = np.argsort([len(prompt) + len(completion) for prompt, completion in pairs], kind="stable")
    scores = np.empty((len(pairs), len(model.head)), np.float32)
    for start in range(0, len(pairs), TOGETHER):
        rows = order[start : start + TOGETHER]
        scores[rows] = model(*pad_texts([pairs[row] for row in rows])).numpy()
    return scores


@torch.inference_mode()
def board_scores(model: GoRewardModel, states: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Scores of boards uint16 `[B, ROWS, S]` for the judged sides `[B]`: float32 `[B, H]`, of one head `[B]`."""
    parts = [slice(start, start + TOGETHER) for start in range(0, len(states), TOGETHER)]
    return np.concatenate([model(torch.from_numpy(sided_planes(states[part], color[part]))).numpy() for part in parts])
