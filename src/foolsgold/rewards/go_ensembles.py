"""Reward models of Go boards under a defence, each board judged for the side that would be rewarded.

A referee speaks for Black alone. To doubt what flatters a policy that plays both colours one must know its side: the
least that any member gives Black is the most that any gives White.

Letters: M members, K boards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from foolsgold.environments.go.rules import BLACK
from foolsgold.errors import UserError
from foolsgold.rewards.defences import proxy_point
from foolsgold.rewards.ensembles import Combine, average_weights, mean, mean_minus_deviations, worst_case
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel

SidedReward = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps boards, uint16 `[K, ROWS, S]`, and the sides they are judged for, int8 `[K]`, to rewards, float64 `[K]`."""


class BoardReward(Protocol):
    """What an ensemble of boards is made of, such as a `GoReward`."""

    def margin(self, states: np.ndarray) -> np.ndarray:
        """Black's reward less White's: uint16 `[K, ROWS, S]` -> `[K]`, in logits."""
        ...


class GoEnsemble:
    """A reward for a side, made of the margins of reward models, all asked about every board.

    A margin is that of one side over the other on the same board, so that no member lies lower than another everywhere
    and nothing need be centred, as it must be with texts.

    Raises:
      UserError: there is no member.
    """

    def __init__(self, members: Sequence[BoardReward], combine: Combine = mean):
        """`combine`: see `rewards.ensembles`."""
        if not members:
            raise UserError("an ensemble needs at least one reward model")
        self.members, self.combine = tuple(members), combine

    def margins(self, states: np.ndarray, color: np.ndarray) -> np.ndarray:
        """Each member's margin for the judged sides, float64 `[M, K]`, in logits."""
        sign = np.where(color == BLACK, 1.0, -1.0)
        return sign * np.array([member.margin(states) for member in self.members], np.float64)

    def __call__(self, states: np.ndarray, color: np.ndarray) -> np.ndarray:
        """The combined margin for the judged sides, float64 `[K]`, in logits."""
        return self.combine(self.margins(states, color))


def capped(reward: SidedReward, cap: float) -> SidedReward:
    """A reward that counts only up to a cap; see `rewards.defences.Capped`."""
    return lambda states, color: np.minimum(reward(states, color), cap)


@dataclass(frozen=True)
class StartBoards:
    """K final boards of games that the policy played before RL."""

    states: np.ndarray
    """uint16 `[K, ROWS, S]`"""
    color: np.ndarray
    """int8 `[K]`, the policy's side"""
    gold: np.ndarray
    """float64 `[K]`, NaN where nobody judged; only a cap needs it"""


DEFENCES = ("none", "mean", "worst", "uncertainty", "warm", "capped")
"""What `defended_boards` knows; as those of `rewards.defences.make_defended`."""


def defended_boards(
    models: Sequence[GoRewardModel], which: str, size: int, start: StartBoards, k: float = 1.0
) -> SidedReward:
    """Reward models of boards under a defence, by name.

    Args:
      models: fitted from one start; none and capped read the first alone.
      which: one of `DEFENCES`.
      size: side of the board.
      start: what a cap is found with.
      k: standard deviations of the members that uncertainty takes off.

    Raises:
      UserError: there is no model, the name is unknown, or nobody judged enough boards for a cap.
    """
    if which not in DEFENCES:
        raise UserError(f"no defence {which!r} of boards; choose one of {', '.join(DEFENCES)}")
    if which == "warm":
        return GoEnsemble([GoReward(average_weights(models), size)])
    first = GoEnsemble([GoReward(model, size) for model in models[:1]])
    if which == "none":
        return first
    if which == "capped":
        return capped(first, proxy_point(first(start.states, start.color), start.gold).value)
    combine = {"mean": mean, "worst": worst_case, "uncertainty": mean_minus_deviations(k)}[which]
    return GoEnsemble([GoReward(model, size) for model in models], combine)
