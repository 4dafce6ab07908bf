"""Counts of legal positions against the published ones (Tromp and Farnebäck 2007, sequence A094777 of the OEIS).

A colouring of the board is legal if every chain has a liberty. Both counts are made by the kernels under test:

- reachable: the positions that stones of either colour, in any order and with captures, lead to from the empty board.
  Every legal position can be built stone by stone, so a `place` or `is_suicide` that is wrong anywhere adds
  positions that are illegal, or loses some.
- set up: the colourings that can be laid stone by stone without suicide or capture.
"""

import numba
import numpy as np
import pytest

from foolsgold.environments.go import rules
from foolsgold.environments.go.rules import BLACK, COLOR, EMPTY, META, OPEN, OPENS, WHITE, is_suicide, place, point_of

PUBLISHED = [(1, 1), (2, 57), (3, 12675), pytest.param(4, 24318165, marks=pytest.mark.slow)]


@numba.njit
def encode(state, size):
    code = 0
    for action in range(size * size):
        code = 3 * code + int(state[COLOR, point_of(action, size)])
    return code


@numba.njit
def decode(state, size, code):
    """Set up a legal position. Part of it is legal as well, so no stone is taken on the way."""
    rules.reset(state, size)
    for action in range(size * size - 1, -1, -1):
        if code % 3 != EMPTY:
            place(state, point_of(action, size), code % 3)
        code //= 3


@numba.njit
def count_reachable(size, state, child, visited, stack):
    """Depth-first over positions, both colours free to move at any time; returns how many there are."""
    visited[0] = 1
    stack[0] = 0
    todo, count = 1, 0
    while todo:
        todo -= 1
        code = np.int64(stack[todo])
        count += 1
        decode(state, size, code)
        if encode(state, size) != code:
            return -1  # a legal position could not be set up
        for i in range(state[META, OPENS]):
            v = np.int64(state[OPEN, i])
            for color in (BLACK, WHITE):
                if is_suicide(state, v, color):
                    continue
                child[:, :] = state
                place(child, v, color)
                following = encode(child, size)
                if not visited[following]:
                    visited[following] = 1
                    stack[todo] = following
                    todo += 1
    return count


@numba.njit
def count_set_up(size, states, action):
    """Colourings of the points from `action` on that can be laid on `states[action]` without suicide or capture."""
    if action == size * size:
        return 1
    state, following = states[action], states[action + 1]
    v = point_of(action, size)
    following[:, :] = state
    count = count_set_up(size, states, action + 1)
    for color in (BLACK, WHITE):
        if is_suicide(state, v, color):
            continue
        following[:, :] = state
        place(following, v, color)
        if following[META, rules.TAKEN_BY_BLACK] + following[META, rules.TAKEN_BY_WHITE] == 0:
            count += count_set_up(size, states, action + 1)
    return count


@pytest.mark.parametrize(("size", "positions"), PUBLISHED)
def test_reachable_positions(size, positions):
    visited = np.zeros(3 ** (size * size), np.uint8)
    stack = np.zeros(positions + 1, np.uint32)
    state = rules.new_state(size)
    assert count_reachable(size, state, state.copy(), visited, stack) == positions


@pytest.mark.parametrize(("size", "positions"), PUBLISHED)
def test_positions_that_can_be_set_up(size, positions):
    states = np.stack([rules.new_state(size)] * (size * size + 1))
    assert count_set_up(size, states, 0) == positions
