"""The Go network: a residual trunk with global pooling and four heads (Wu 2019, KataGo).

No normalisation layers: each residual branch starts at zero (Zhang et al. 2019, Fixup), which trains a fifth faster on
a CPU than batch normalisation and means the same in training and play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from foolsgold.environments.go import features


@dataclass(frozen=True)
class NetworkSize:
    blocks: int = 4
    """Residual blocks."""
    channels: int = 32
    """Channels of the trunk."""

    def __str__(self) -> str:
        return f"{self.blocks} blocks x {self.channels} channels"


def pooled(x: Tensor) -> Tensor:
    """Mean and maximum over the board: `[B, C, N, N]` -> `[B, 2 C]`."""
    return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)


class Block(nn.Module):
    """Two convolutions and a skip; with `pooling`, the board's mean and maximum bias the branch (Wu 2019, 3.3)."""

    def __init__(self, channels: int, pooling: bool):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.pool = nn.Linear(2 * channels, channels) if pooling else None
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        if self.pool is not None:
            y = torch.relu(y + self.pool(pooled(y))[:, :, None, None])
        return torch.relu(x + self.second(y))


class Trunk(nn.Module):
    """`[B, P, N, N]` -> `[B, C, N, N]`; every third block pools globally, from the second on."""

    def __init__(self, planes: int, size: NetworkSize):
        super().__init__()
        self.stem = nn.Conv2d(planes, size.channels, 3, padding=1)
        self.blocks = nn.ModuleList(Block(size.channels, pooling=i % 3 == 1) for i in range(size.blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return x


class Prediction(NamedTuple):
    """What the network says of a position, for the player to move."""

    policy: Tensor
    """Logits of the actions, `[B, N * N + 1]`, the last is pass."""
    value: Tensor
    """`[B, 2]`: arctanh of the expected result in [-1, 1]; expected score in points / N, komi included."""
    ownership: Tensor
    """`[B, N * N]`: arctanh of each point's expected owner, +1 the player to move."""


class GoNetwork(nn.Module):
    """Policy, win, score and ownership of a position; for boards of any size."""

    def __init__(self, size: NetworkSize = NetworkSize()):
        super().__init__()
        self.size = size
        channels = size.channels
        self.trunk = Trunk(features.PLANES, size)
        self.policy_point = nn.Conv2d(channels, 1, 1)
        self.policy_pass = nn.Linear(2 * channels, 1)
        self.value_hidden = nn.Linear(2 * channels, 64)
        self.value_out = nn.Linear(64, 2)
        self.owner = nn.Conv2d(channels, 1, 1)
        nn.init.zeros_(self.value_out.weight)  # an untrained network finds every position even
        nn.init.zeros_(self.value_out.bias)

    def forward(self, planes: Tensor) -> Prediction:
        """`planes`: `[B, PLANES, N, N]`, see `environments.go.features`."""
        x = self.trunk(planes)
        board = pooled(x)
        policy = torch.cat([self.policy_point(x).flatten(1), self.policy_pass(board)], 1)
        value = self.value_out(torch.relu(self.value_hidden(board)))
        return Prediction(policy, value, self.owner(x).flatten(1))
