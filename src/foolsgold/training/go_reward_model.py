"""Fit a reward model of Go boards to comparisons (Christiano et al. 2017)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from foolsgold.objectives.preference import preference_cross_entropy
from foolsgold.rewards.go_reward_model import GoRewardModel, sided_planes
from foolsgold.training.go_learner import has_fast_bf16
from foolsgold.training.replay import turned


@dataclass(frozen=True)
class BoardPairs:
    """K comparisons of two boards out of a pool of P."""

    pool: np.ndarray
    """uint16 `[P, ROWS, S]`"""
    a: np.ndarray
    """int64 `[K]`, row of the first board"""
    b: np.ndarray
    """int64 `[K]`, row of the second board"""
    color: np.ndarray
    """int8 `[K]`, the side that is judged"""
    prefers_a: np.ndarray
    """bool `[K]`, what the rater said"""

    def __len__(self) -> int:
        return len(self.a)

    def rows(self, chosen: np.ndarray | slice) -> BoardPairs:
        return BoardPairs(self.pool, self.a[chosen], self.b[chosen], self.color[chosen], self.prefers_a[chosen])


def pair_planes(pairs: BoardPairs) -> np.ndarray:
    """Both boards of each pair as their judged side sees them: float32 `[2 K, REWARD_PLANES, N, N]`, all a, then b."""
    return sided_planes(pairs.pool[np.concatenate([pairs.a, pairs.b])], np.concatenate([pairs.color, pairs.color]))


@dataclass(frozen=True)
class RewardModelSettings:
    batch: int = 256
    """Comparisons a step."""
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    passes: float = 2.0
    """Times each comparison is seen."""
    average: float = 0.995
    """Decay a step of the averaged weights that are returned."""


def fit_reward_model(
    model: GoRewardModel,
    pairs: BoardPairs,
    settings: RewardModelSettings,
    seed: int,
    report: Callable[[int, int, float], None] | None = None,
) -> GoRewardModel:
    """Fit by Bradley-Terry cross-entropy, each batch seen from a random symmetry of the board.

    Args:
      report: called with (step, steps, loss in nats).

    Returns: the averaged model, on the CPU.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    autocast = has_fast_bf16(device)
    model = copy.deepcopy(model).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    rng = np.random.default_rng([seed, 9])
    order = np.concatenate([rng.permutation(len(pairs)) for _ in range(int(np.ceil(settings.passes)))])
    steps = max(1, int(settings.passes * len(pairs) / settings.batch))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1, (step + 1) / 50) * (1 - 0.98 * step / steps)
        batch = pairs.rows(order[step * settings.batch : (step + 1) * settings.batch])
        planes = turned(torch.from_numpy(pair_planes(batch)), int(rng.integers(8)))
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            rewards = model(planes.contiguous(memory_format=torch.channels_last).to(device)).float()
        chance = torch.from_numpy(batch.prefers_a.astype(np.float32)).to(device)
        loss = preference_cross_entropy(rewards[: len(batch)], rewards[len(batch) :], chance)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - settings.average)
        if report:
            report(step + 1, steps, float(loss.detach()))
    return averaged.cpu()


@torch.inference_mode()
def preference_margins(model: GoRewardModel, pairs: BoardPairs) -> np.ndarray:
    """Reward of board a minus reward of board b for the judged side: float32 `[K]`, logits."""
    found = []
    for start in range(0, len(pairs), 2048):
        batch = pairs.rows(slice(start, start + 2048))
        rewards = model(torch.from_numpy(pair_planes(batch))).numpy()
        found.append(rewards[: len(batch)] - rewards[len(batch) :])
    return np.concatenate(found)
