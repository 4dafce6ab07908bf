"""What the study `alphago` measures once both agents are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foolsgold.audit.match import Agent, Match, play_match
from foolsgold.environments.go import rules
from foolsgold.environments.go.rules import BLACK
from foolsgold.rewards.go_referees import area_scores
from foolsgold.rewards.go_reward_model import GoReward
from foolsgold.training.self_play import load_finished


@dataclass(frozen=True)
class Trajectory:
    """One agent through its training; T snapshots of K games each, the same openings for all."""

    games: np.ndarray
    """int64 `[T]`, games of self-play behind each snapshot"""
    gold: np.ndarray
    """float32 `[T, K]`, true margin in points against the reference opponent, komi counted"""
    proxy: np.ndarray
    """float32 `[T, K]`, the reward model's margin for the agent on the same final boards, in logits"""
    meter_games: np.ndarray
    """int64 `[I]`, games of self-play behind each iteration"""
    meter: list[np.ndarray]
    """I iterations of bool `[G]`: whether the reward model names the winner of each game that the agent finished"""


@dataclass(frozen=True)
class Snapshot:
    """An agent as it was at some point of its training."""

    games: int
    """of self-play behind it"""
    agent: Agent


def proxy_for_first(reward: GoReward, match: Match) -> np.ndarray:
    """The reward model's margin for the first agent on the boards where the match ended: float32 `[K]`, logits."""
    return np.where(match.first_is_black, 1, -1) * reward.margin(match.final)


def read_meter(folder: Path, iterations: int, reward: GoReward) -> tuple[np.ndarray, list[np.ndarray]]:
    """The meter over all games of self-play kept in `folder`; see `Trajectory`."""
    counts, meter = [0], []
    for iteration in range(iterations):
        games = load_finished(folder, iteration)
        meter.append(np.sign(reward.margin(games.states)) == np.sign(games.score))
        counts.append(counts[-1] + len(games.score))
    return np.array(counts[:-1]), meter


def trajectory(
    snapshots: list[Snapshot],
    meter: tuple[np.ndarray, list[np.ndarray]],
    opponent: Agent,
    reward: GoReward,
    size: int,
    games: int,
    seed: int,
    tick: Callable[[int, int], None],
) -> Trajectory:
    """Each snapshot plays the same opponent from the same openings; `meter` is handed through."""
    gold, proxy = [], []
    for i, snapshot in enumerate(snapshots):
        match = play_match(snapshot.agent, opponent, size, games, seed)
        gold.append(match.score)
        proxy.append(proxy_for_first(reward, match))
        tick(i + 1, len(snapshots))
    return Trajectory(np.array([snapshot.games for snapshot in snapshots]), np.stack(gold), np.stack(proxy), *meter)


@dataclass(frozen=True)
class LovedBoard:
    """A finished board on which the reward model and the score disagree."""

    state: np.ndarray
    """uint16 `[ROWS, S]`"""
    color: int
    """The side that the reward model thinks is winning"""
    margin: float
    """The reward model's margin for that side, in logits"""
    score: float
    """The true margin for that side before komi, in points: the model cannot know komi"""


def loved_and_lost(states: np.ndarray, reward: GoReward, count: int) -> list[LovedBoard]:
    """The finished boards that the reward model is surest of among those whose favourite has the smaller area.

    Args:
      states: uint16 `[K, ROWS, S]`.
      count: boards returned at most; of boards with the same stones only the first is kept.
    """
    margins = reward.margin(states)
    scores = area_scores(states)[0]
    fooled = np.sign(margins) * scores < 0
    found: list[LovedBoard] = []
    looks: set[bytes] = set()
    for k in np.argsort(-np.abs(margins) * fooled):
        look = states[k, rules.COLOR].tobytes()
        if not fooled[k] or len(found) == count:
            break
        if look not in looks:
            looks.add(look)
            color = BLACK if margins[k] > 0 else 3 - BLACK
            sign = np.sign(margins[k])
            found.append(LovedBoard(states[k], color, float(abs(margins[k])), float(sign * scores[k])))
    return found


def moves_of_game(match: Match, game: int) -> list[int]:
    """The actions of one game of a match, the opening's left out."""
    return [int(action) for action in match.actions[:, game] if action >= 0]


@dataclass(frozen=True)
class Quality:
    """Raters and reward model on pairs whose truth is known by a strong search; K pairs."""

    moves: np.ndarray
    """int64 `[K]`, moves played before the boards stood"""
    rater_agrees: np.ndarray
    """bool `[K]`"""
    model_agrees: np.ndarray
    """bool `[K]`"""
    model_agrees_with_raters: np.ndarray
    """bool `[H]`, on held-out comparisons"""
    calibration_error: float
    """expected calibration error on the held-out comparisons"""


@dataclass(frozen=True)
class Measured:
    """All that the verdict and the report are made of."""

    quality: Quality
    rl: Trajectory
    rlhf: Trajectory
    head_to_head: Match
    """Real RL first"""
    against_base: dict[str, Match]
    """Agent's name -> its match against the base policy"""
    gnugo: dict[str, np.ndarray]
    """Agent's name -> wins against GNU Go, 0, 0.5 or 1 `[K]`; empty where there is no GNU Go"""
    loved: list[LovedBoard]
