"""Positions to learn from: what self-play and imitation hand to the learner."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import numpy as np
import torch

from foolsgold.environments.go.features import expand_planes


@dataclass(frozen=True)
class Positions:
    """B recorded positions, each from the view of the player to move."""

    binary: np.ndarray
    """uint8 `[B, 9, N, N]`, see `environments.go.features`"""
    scalars: np.ndarray
    """float32 `[B, 2]`, komi in the player's favour / 10, last move was a pass"""
    policy: np.ndarray
    """float16 `[B, A]`, the distribution to imitate"""
    result: np.ndarray
    """float32 `[B]`, in [-1, 1]"""
    margin: np.ndarray
    """float32 `[B]`, in points"""
    ownership: np.ndarray
    """int8 `[B, N * N]`, +1 the player's, at the end of the game"""

    def __len__(self) -> int:
        return len(self.binary)

    def rows(self, chosen: np.ndarray | slice) -> Positions:
        return Positions(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def tensors(self) -> dict[str, torch.Tensor]:
        return {f.name: torch.from_numpy(np.ascontiguousarray(getattr(self, f.name))) for f in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> Positions:
        return cls(**{f.name: tensors[f.name].numpy() for f in fields(cls)})

    @classmethod
    def join(cls, parts: list[Positions]) -> Positions:
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})


@dataclass(frozen=True)
class Batch:
    """B training examples as float tensors; shapes as in `Positions`, planes `[B, 12, N, N]`."""

    planes: torch.Tensor
    policy: torch.Tensor
    result: torch.Tensor
    margin: torch.Tensor
    ownership: torch.Tensor


def turned(x: torch.Tensor, symmetry: int) -> torch.Tensor:
    """One of the board's eight symmetries (0-7) applied to the last two dimensions."""
    if symmetry >= 4:
        x = x.flip(-1)
    return torch.rot90(x, symmetry % 4, (-2, -1))


def make_batch(positions: Positions, symmetry: int) -> Batch:
    """`positions` as seen from one of the eight symmetries (0-7) of the board."""
    size = positions.binary.shape[-1]
    policy = torch.from_numpy(positions.policy.astype(np.float32))
    points = turned(policy[:, :-1].reshape(-1, size, size), symmetry).flatten(1)
    owner = torch.from_numpy(positions.ownership.astype(np.float32)).reshape(-1, size, size)
    planes = torch.from_numpy(expand_planes(positions.binary, positions.scalars))
    return Batch(
        planes=turned(planes, symmetry).contiguous(memory_format=torch.channels_last),
        policy=torch.cat([points, policy[:, -1:]], 1),
        result=torch.from_numpy(positions.result),
        margin=torch.from_numpy(positions.margin),
        ownership=turned(owner, symmetry).flatten(1),
    )


class Replay:
    """A window over the newest positions, kept in the chunks they arrived in."""

    def __init__(self, window: int):
        self.window = window
        self.chunks: deque[Positions] = deque()

    def __len__(self) -> int:
        return sum(len(chunk) for chunk in self.chunks)

    def add(self, positions: Positions) -> int:
        """Append a chunk; returns how many of the oldest chunks fell out of the window."""
        self.chunks.append(positions)
        dropped = 0
        while len(self) - len(self.chunks[0]) >= self.window:
            self.chunks.popleft()
            dropped += 1
        return dropped

    def sample(self, count: int, rng: np.random.Generator) -> Positions:
        """`count` positions drawn uniformly with replacement from the window."""
        bounds = np.cumsum([len(chunk) for chunk in self.chunks])
        drawn = rng.integers(0, bounds[-1], count)
        home = np.searchsorted(bounds, drawn, side="right")
        parts = []
        for i, chunk in enumerate(self.chunks):
            here = drawn[home == i]
            if len(here):
                parts.append(chunk.rows(here - (bounds[i] - len(chunk))))
        return Positions.join(parts)
