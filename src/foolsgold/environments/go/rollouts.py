"""Uniformly random games: the rules at full speed, and starting positions of every kind."""

import numpy as np
from numba import int64

from foolsgold.compiled import kernel, next_random, random_below
from foolsgold.environments.go import rules
from foolsgold.environments.go.rules import (
    META,
    OPEN,
    OPENS,
    PASSES,
    TO_PLAY,
    hash_after,
    is_suicide,
    position_hash,
    seen,
)


@kernel
def random_point(state, history, seed):
    """A uniformly random legal point, 0 for a pass, by rejection; returns it, the hash after it, and the next seed."""
    color = int64(state[META, TO_PLAY])
    opens = int64(state[META, OPENS])
    current = position_hash(history)
    while True:
        seed = next_random(seed)
        i = random_below(seed, opens + 1)
        if i == opens:
            return 0, current, seed
        v = int64(state[OPEN, i])
        if is_suicide(state, v, color):
            continue
        position = hash_after(state, v, color, current)
        if not seen(history, position):
            return v, position, seed


@kernel
def random_game(state, history, max_moves, seed):
    """Play uniformly random legal moves until two passes or `max_moves`; returns the moves played and the seed."""
    moves = 0
    while moves < max_moves and state[META, PASSES] < 2:
        v, position, seed = random_point(state, history, seed)
        rules.advance_point(state, v)
        if v:
            rules.remember(history, position)
        moves += 1
    return moves, seed


@kernel
def _random_games(size, games, max_moves, seed, state, history, ownership, queue):
    total_moves = 0
    total_score = 0
    for _ in range(games):
        rules.reset(state, size)
        rules.reset_history(history)
        moves, seed = random_game(state, history, max_moves, seed)
        total_moves += moves
        total_score += rules.area_score(state, ownership, queue)
    return total_moves, total_score


def random_games(size: int, games: int, seed: int) -> tuple[int, int]:
    """Play `games` uniformly random games of at most 2 * N * N moves; returns (moves, sum of Black's area scores)."""
    max_moves = 2 * size * size
    points = size * size
    return _random_games(
        size,
        games,
        max_moves,
        np.uint64(2 * seed + 88172645463325253),
        rules.new_state(size),
        rules.new_history(max_moves),
        np.zeros(points, np.int8),
        np.zeros(points, np.uint16),
    )
