"""Edits of Go boards that leave positions: no stone is without liberty, prisoners are counted as in play.

Stones are added as in play, the other side passing; they are taken away, moved and turned over; two boards are joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import numpy as np

from foolsgold.environments.go import rules
from foolsgold.environments.go.rules import BLACK, COLOR, EMPTY, META, WHITE


class BoardEdits:
    """Edits of boards, uint16 `[ROWS, S]`, of the size of `boards` `[K, ROWS, S]`, and up to as many prisoners."""

    def __init__(self, boards: np.ndarray):
        self.size = int(boards[0, META, rules.SIZE])
        self.prisoners = int(boards[:, META, [rules.TAKEN_BY_BLACK, rules.TAKEN_BY_WHITE]].max())

    def single(self, state: np.ndarray) -> list[np.ndarray]:
        """All boards one stone away: one added, taken away or turned over."""
        grid = stones(state)
        found = []
        for action in range(self.size**2):
            if grid[action] == EMPTY:
                found += [self.played(state, action, color) for color in (BLACK, WHITE)]
            else:
                found += [self.changed(state, {action: color}) for color in (EMPTY, BLACK + WHITE - int(grid[action]))]
        return [each for each in found if each is not None]

    def random(self, state: np.ndarray, mate: np.ndarray, rng: Random) -> np.ndarray | None:
        """A board one or more random edits away, None where the last of them leaves a stone without liberty."""
        edited: np.ndarray | None = state
        while edited is not None:
            edited = self._one(edited, mate, rng)
            if rng.random() < 0.6:
                break
        return edited

    def _one(self, state: np.ndarray, mate: np.ndarray, rng: Random) -> np.ndarray | None:
        grid = stones(state)
        action, kind = rng.randrange(self.size**2), rng.random()
        if kind < 0.1:  # one half of each board, upper and lower or left and right
            half = np.zeros((self.size, self.size), bool)
            half[: rng.randrange(1, self.size)] = True
            taken = np.flatnonzero(half if rng.random() < 0.5 else half.T)
            other = stones(mate)
            return self.changed(state, {int(at): int(other[at]) for at in taken})
        if grid[action] == EMPTY:
            return self.played(state, action, rng.choice((BLACK, WHITE)))
        if kind < 0.4:
            return self.changed(state, {action: EMPTY})
        if kind < 0.7:
            return self.changed(state, {action: BLACK + WHITE - int(grid[action])})
        there = rng.choice(np.flatnonzero(grid == EMPTY).tolist() or [action])
        return self.changed(state, {action: EMPTY, there: int(grid[action])})

    def played(self, state: np.ndarray, action: int, color: int) -> np.ndarray | None:
        """The board after a stone of `color` on an empty point, what it captures taken off and counted."""
        point = int(rules.point_of(action, self.size))
        if rules.is_suicide(state, point, color):
            return None
        after = state.copy()
        rules.place(after, point, color)
        taken = max(after[META, rules.TAKEN_BY_BLACK], after[META, rules.TAKEN_BY_WHITE])
        return after if taken <= self.prisoners else None

    def changed(self, state: np.ndarray, colors: Mapping[int, int]) -> np.ndarray | None:
        """The board with other colours at some actions, its prisoners as they were."""
        grid = stones(state)
        grid[list(colors)] = list(colors.values())
        return board_of(grid, state)


def stones(state: np.ndarray) -> np.ndarray:
    """Colours of all points of a board uint16 `[ROWS, S]`, row by row: int8 `[N * N]`; a copy."""
    size = int(state[META, rules.SIZE])
    return state[COLOR, : (size + 2) ** 2].reshape(size + 2, -1)[1:-1, 1:-1].astype(np.int8).ravel()


def board_of(grid: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """A board with the stones of `grid` `[N * N]` and the prisoners of `like`; None if a stone has no liberty."""
    size = int(like[META, rules.SIZE])
    state = rules.new_state(size)
    for action in np.flatnonzero(grid).tolist():
        point, color = int(rules.point_of(action, size)), int(grid[action])
        if rules.is_suicide(state, point, color):
            return None
        rules.place(state, point, color)
        if state[META, rules.TAKEN_BY_BLACK] or state[META, rules.TAKEN_BY_WHITE]:
            return None
    state[META, [rules.TAKEN_BY_BLACK, rules.TAKEN_BY_WHITE]] = like[META, [rules.TAKEN_BY_BLACK, rules.TAKEN_BY_WHITE]]
    return state
