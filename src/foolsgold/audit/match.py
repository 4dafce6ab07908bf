"""Two agents play a match: colours alternated, openings varied, judged by the true score."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from foolsgold.compiled import kernel
from foolsgold.environments.go import rules
from foolsgold.environments.go.rules import META
from foolsgold.policies.go_network import GoNetwork
from foolsgold.policies.inference import Evaluate, go_evaluator
from foolsgold.policies.search import Referee, Searcher, SearchSettings
from foolsgold.rewards.go_referees import area_scores
from foolsgold.training.self_play_worker import komi_choices, max_moves, open_games

RAW_POLICY = SearchSettings(simulations=0, gumbel_scale=1.0)
"""No search: moves are drawn from the network's policy."""


@dataclass(frozen=True)
class Agent:
    """A network, how it searches, and the referee it believes in."""

    name: str
    network: GoNetwork
    search: SearchSettings
    referee: Referee


@dataclass(frozen=True)
class Match:
    """K games between two agents; game 2 i and 2 i + 1 share an opening with colours swapped."""

    first_is_black: np.ndarray
    """bool `[K]`"""
    komi: np.ndarray
    """float32 `[K]`, points"""
    score: np.ndarray
    """float32 `[K]`, the first agent's true margin, komi counted, in points"""
    final: np.ndarray
    """uint16 `[K, ROWS, S]`, where each game ended"""
    openings: np.ndarray
    """uint16 `[K, ROWS, S]`, where each game began"""
    actions: np.ndarray
    """int64 `[T, K]`, the moves, -1 after a game's end"""

    @property
    def wins(self) -> np.ndarray:
        """float64 `[K]`: 1 where the first agent won, 0.5 for a draw."""
        return (np.sign(self.score) + 1) / 2


@kernel
def _play_group(states, histories, actions, active, limit, played):
    for g in range(len(states)):
        played[g] = -1
        if active[g]:
            played[g] = actions[g]
            rules.play(states[g], histories[g], actions[g])
            header = states[g, META]
            active[g] = header[rules.PASSES] < 2 and header[rules.MOVES] < limit


class _Side:
    """One agent's searches over one half of the games at a time."""

    def __init__(self, agent: Agent, size: int, games: int, limit: int, seed: int):
        self.agent = agent
        self.evaluate: Evaluate = go_evaluator(agent.network, games, size)
        self.searcher = Searcher(size, games, agent.search.simulations, limit)
        self.seeds = np.random.default_rng([seed, 10]).integers(1, 2**63, games, dtype=np.uint64)

    def move(self, states, histories, komi, active) -> np.ndarray:
        search, agent = self.searcher.run, self.agent
        found = search(
            states, histories, komi, self.evaluate, agent.referee, agent.search, self.seeds, active.astype(np.bool_)
        )
        return found.actions


def play_match(
    first: Agent,
    second: Agent,
    size: int,
    games: int,
    seed: int,
    opening: int = 4,
    report: Callable[[int, int], None] | None = None,
) -> Match:
    """Play `games` (an even number) games side by side, the two agents thinking at the same time on two threads.

    Args:
      opening: random moves before the agents take over: 2, 4, ... up to this, drawn for each pair of games.
      report: called with (games over, games).
    """
    if games % 2:
        raise ValueError("a match has an even number of games: each opening is played with both colours")
    pairs, limit = games // 2, max_moves(size)
    rng = np.random.default_rng([seed, 11])
    states = np.zeros((2, pairs, rules.ROWS, rules.state_points(size)), np.uint16)
    histories = np.zeros((2, pairs, rules.history_length(limit + opening + 1)), np.uint64)
    lengths = 2 * rng.integers(1, opening // 2 + 1, pairs) if opening else np.zeros(pairs, np.int64)
    seeds = rng.integers(1, 2**63, pairs, dtype=np.uint64)
    komi = rng.choice(np.array(komi_choices(size), np.float32), pairs)
    open_games(states[0], histories[0], np.arange(pairs), lengths, size, seeds)
    states[1], histories[1] = states[0], histories[0]
    openings = states.copy()
    active = np.ones((2, pairs), np.bool_)
    sides = (_Side(first, size, pairs, limit, 2 * seed), _Side(second, size, pairs, limit, 2 * seed + 1))
    moves: list[np.ndarray] = []
    with ThreadPoolExecutor(2) as pool:
        ply = 0
        while active.any():
            # In group 0 the first agent is Black; openings are even, so that Black moves on even plies everywhere.
            groups = (ply % 2, 1 - ply % 2)
            chosen = list(pool.map(lambda s, g: s.move(states[g], histories[g], komi, active[g]), sides, groups))
            played = np.full((2, pairs), -1, np.int64)
            for group, actions in zip(groups, chosen, strict=True):
                _play_group(states[group], histories[group], actions, active[group], limit, played[group])
            moves.append(played)
            ply += 1
            if report:
                report(int((~active).sum()), games)
    return _interleave(states, openings, komi, moves)


def _interleave(states: np.ndarray, openings: np.ndarray, komi: np.ndarray, moves: list[np.ndarray]) -> Match:
    """Games of one pair side by side."""
    pairs = len(komi)
    both = np.swapaxes(states, 0, 1).reshape(2 * pairs, *states.shape[2:])
    first_is_black = np.tile([True, False], pairs)
    all_komi = np.repeat(komi, 2)
    black = area_scores(both)[0] - all_komi
    return Match(
        first_is_black=first_is_black,
        komi=all_komi,
        score=np.where(first_is_black, black, -black).astype(np.float32),
        final=both,
        openings=np.swapaxes(openings, 0, 1).reshape(both.shape),
        actions=np.stack([np.swapaxes(m, 0, 1).reshape(-1) for m in moves]),
    )
