"""The stages of RLHF on Go, from people's games to a reward model; each a function of plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foolsgold.audit.go_truth import search_verdicts
from foolsgold.audit.match import RAW_POLICY, Agent
from foolsgold.environments.go import rules
from foolsgold.environments.go.amateurs import Club, GameMoves, noise_for_agreement
from foolsgold.environments.go.rules import BLACK, META
from foolsgold.labels.board_comparisons import BoardPool, draw_pairs, impressions_for
from foolsgold.policies.go_network import GoNetwork
from foolsgold.policies.inference import go_evaluator
from foolsgold.policies.search import Searcher
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.training.self_play_worker import max_moves, open_games

Tick = Callable[[int, int], None]
"""Progress: called with (done, of how many)."""


def amateur_games(club: Club, size: int, games: int, whim: float, seed: int, tick: Tick) -> list[GameMoves]:
    """Games of the club's members against each other, from up to three random stones."""
    rng = np.random.default_rng([seed, 14])
    played = []
    for opening, game_seed in zip(rng.integers(0, 4, games), rng.integers(2**31, size=games), strict=True):
        played.append(club.play(size, max_moves(size), int(opening), whim, int(game_seed)))
        tick(len(played), games)
    return played


def policy_games(network: GoNetwork, size: int, games: int, seed: int, tick: Tick) -> list[np.ndarray]:
    """Games that a policy plays against itself without search: boards of each, uint16 `[T, ROWS, S]`."""
    batch = min(256, games)
    limit = max_moves(size)
    searcher = Searcher(size, batch, 0, limit)
    evaluate = go_evaluator(network, batch, size)
    rng = np.random.default_rng([seed, 15])
    referee = ScoreReferee()  # never asked: without search no game ends inside a tree
    komi = np.zeros(batch, np.float32)
    played: list[np.ndarray] = []
    while len(played) < games:
        states = np.zeros((batch, rules.ROWS, rules.state_points(size)), np.uint16)
        histories = np.zeros((batch, rules.history_length(limit + 4)), np.uint64)
        seeds = rng.integers(1, 2**63, batch, dtype=np.uint64)
        open_games(states, histories, np.arange(batch), rng.integers(0, 4, batch), size, seeds)
        boards = [states.copy()]
        going = np.ones(batch, np.bool_)
        lengths = np.ones(batch, np.int64)
        while going.any():
            found = searcher.run(states, histories, komi, evaluate, referee, RAW_POLICY, seeds, going)
            for g in np.flatnonzero(going):
                rules.play(states[g], histories[g], found.actions[g])
            header = states[:, META]
            lengths += going
            going = going & (header[:, rules.PASSES] < 2) & (header[:, rules.MOVES] < limit)
            boards.append(states.copy())
        stacked = np.stack(boards, 1)
        played += [stacked[g, : lengths[g]] for g in range(batch)]
        tick(min(len(played), games), games)
    return played[:games]


@dataclass(frozen=True)
class JudgedPairs:
    """Pairs whose better board is known by a strong search; K pairs."""

    a: np.ndarray
    """int64 `[K]`, rows of the pool"""
    b: np.ndarray
    color: np.ndarray
    """int8 `[K]`, the side the boards are judged for"""
    a_is_better: np.ndarray
    """bool `[K]`"""


def judge_truly(agent: Agent, pool: BoardPool, pairs: int, seed: int) -> JudgedPairs:
    """Draw `pairs` pairs and let the agent's search say which board is better."""
    a, b = draw_pairs(pool, pairs, seed)
    rng = np.random.default_rng([seed, 16])
    color = rng.choice(np.array([1, 2], np.int8), pairs)
    boards, where = np.unique(np.concatenate([a, b]), return_inverse=True)
    black = search_verdicts(agent, pool.states[boards])[where]
    sign = np.where(color == BLACK, 1, -1)
    return JudgedPairs(a, b, color, sign * (black[:pairs] - black[pairs:]) > 0)


def tuned_club(club: Club, pool: BoardPool, truth: JudgedPairs, target: float, seed: int) -> tuple[Club, float]:
    """The club with the noise at which it agrees with the truth in a share `target` of pairs, and its agreement."""
    seen_a = impressions_for(pool.states[truth.a], truth.color)
    seen_b = impressions_for(pool.states[truth.b], truth.color)
    noise, agreement = noise_for_agreement(club, seen_a, seen_b, truth.a_is_better, target, seed)
    return Club(club.tastes, noise), agreement
