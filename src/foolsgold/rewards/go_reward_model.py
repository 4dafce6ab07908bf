"""A reward model of Go boards, and the referee that trusts it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from foolsgold.environments.go import features, rules
from foolsgold.environments.go.rules import BLACK, META, WHITE
from foolsgold.policies.go_network import NetworkSize, Trunk, pooled
from foolsgold.policies.inference import Evaluate, evaluator

_ROWS = 32
"""Boards a call of the evaluator: few games end at the same time."""


class GoRewardModel(nn.Module):
    """How good a board looks for a side: the policy's trunk and one number."""

    def __init__(self, size: NetworkSize = NetworkSize()):
        super().__init__()
        self.size = size
        self.trunk = Trunk(features.REWARD_PLANES, size)
        self.hidden = nn.Linear(2 * size.channels, 64)
        self.out = nn.Linear(64, 1)

    def forward(self, planes: Tensor) -> Tensor:
        """`[B, REWARD_PLANES, N, N]` -> rewards `[B]`, in logits of being preferred (Bradley and Terry 1952)."""
        return self.out(torch.relu(self.hidden(pooled(self.trunk(planes))))).squeeze(1)


def sided_planes(states: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Boards `[K, ROWS, S]` as the judged sides `color` `[K]` see them: float32 `[K, REWARD_PLANES, N, N]`."""
    size = int(states[0, META, rules.SIZE])
    planes = np.empty((len(states), features.REWARD_PLANES, size, size), np.float32)
    for side in (BLACK, WHITE):
        if (color == side).any():
            planes[color == side] = features.reward_planes(states[color == side], side)
    return planes


def _reward_head(graph, x, model: GoRewardModel) -> list:
    hidden = graph.ops.relu(graph.linear(graph.pooled(x), model.hidden))
    return [graph.flatten(graph.linear(hidden, model.out))]


class GoReward:
    """A reward model at playing speed."""

    def __init__(self, model: GoRewardModel, size: int):
        self._evaluate: Evaluate = evaluator(model, _reward_head, 1, _ROWS, size)

    def __call__(self, states: np.ndarray, color: int) -> np.ndarray:
        """Rewards of boards for `color`: uint16 `[K, ROWS, S]` -> float32 `[K]`."""
        rewards = np.empty(len(states), np.float32)
        for start in range(0, len(states), _ROWS):
            planes = features.reward_planes(states[start : start + _ROWS], color)
            padded = np.zeros((_ROWS, *planes.shape[1:]), np.float32)
            padded[: len(planes)] = planes
            rewards[start : start + _ROWS] = self._evaluate(padded)[0].reshape(-1)[: len(planes)]
        return rewards

    def margin(self, states: np.ndarray) -> np.ndarray:
        """Black's reward minus White's on the same boards: float32 `[K]`, in logits."""
        return self(states, BLACK) - self(states, WHITE)


class RewardModelReferee:
    """RLHF: asks the reward model which side's board looks better."""

    def __init__(self, reward: GoReward, logits_a_board: float):
        """`logits_a_board`: the margin in logits that counts as N points; about twice its spread on ordinary boards."""
        self.reward = reward
        self.logits_a_board = logits_a_board

    def judge(self, states: np.ndarray, komi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `policies.search.Referee`; komi means nothing to it."""
        margins = self.reward.margin(states)
        size = float(states[0, META, rules.SIZE])
        return np.sign(margins), margins * np.float32(size / self.logits_a_board)
