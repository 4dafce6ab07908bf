"""A club of simulated amateurs: people who judge a board by its looks, without reading ahead.

Each member weighs the same impressions by a taste of its own. The impressions are what beginners' books teach:
influence (Bouzy 1996), stones, prisoners, stones in danger, shape. None of them is the score of the game.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import int64

from foolsgold.compiled import kernel, next_random, random_unit
from foolsgold.environments.go import rules
from foolsgold.environments.go.rules import BLACK, CHAIN, COLOR, EMPTY, META, OPEN, OPENS, WHITE

IMPRESSIONS = ("influence", "stones", "prisoners", "atari", "two liberties", "empty triangles", "first line", "chains")
"""What amateurs notice, each a difference between the judged side and the other, divided by the side of the board."""

COMMON_TASTE = np.array([1.0, 0.4, 0.8, 0.6, 0.2, 0.15, 0.1, 0.15], np.float32)
"""Weight of each impression to the average member; see `Club.founded` for what it multiplies."""

ORDINARY_SPREAD = np.array([11.3, 6.9, 6.8, 1.65, 4.0, 4.3, 3.8, 2.7], np.float32)
"""Standard deviation of each impression, in stones, over the boards of 300 games on 7x7 of a club that counts:
`Club.founded(20, 0, counting=True).play(7, 78, 2, 0.1, seed)` for seeds 0 to 299."""

_DILATIONS = 4


@kernel
def _influence(state, here, there):
    """Points under Black's influence minus White's: stones radiate over `_DILATIONS` steps (Bouzy 1996).

    `here`, `there`: int16 `[S]`, scratch.
    """
    size = int64(state[META, rules.SIZE])
    width = size + 2
    for v in range(len(here)):
        color = state[COLOR, v]
        here[v] = 64 if color == BLACK else (-64 if color == WHITE else 0)
    for _ in range(_DILATIONS):
        for y in range(1, size + 1):
            for x in range(1, size + 1):
                v = y * width + x
                black = white = 0
                for u in (v - 1, v + 1, v - width, v + width):
                    black += here[u] > 0
                    white += here[u] < 0
                there[v] = here[v]
                if here[v] >= 0 and white == 0:
                    there[v] += black
                elif here[v] <= 0 and black == 0:
                    there[v] -= white
        for y in range(1, size + 1):
            for x in range(1, size + 1):
                here[y * width + x] = there[y * width + x]
    held = 0
    for y in range(1, size + 1):
        for x in range(1, size + 1):
            value = here[y * width + x]
            held += (value > 0) - (value < 0)
    return held


@kernel
def _look(state, scratch, out):
    """Write the impressions of one board, for Black, into `out` float32 `[F]`; `scratch` int16 `[3, S]`."""
    size = int64(state[META, rules.SIZE])
    width = size + 2
    out[:] = 0
    out[0] = _influence(state, scratch[0], scratch[1])
    liberties = scratch[2]
    rules.chain_liberties(state, liberties)
    for y in range(1, size + 1):
        for x in range(1, size + 1):
            v = y * width + x
            color = state[COLOR, v]
            if color != EMPTY:
                sign = 1 if color == BLACK else -1
                chain = int64(state[CHAIN, v])
                out[1] += sign
                out[3] -= sign * (liberties[chain] == 1)
                out[4] -= sign * (liberties[chain] == 2)
                out[6] -= sign * (x == 1 or y == 1 or x == size or y == size)
                out[7] -= sign * (chain == v)
            black = white = empty = 0
            for u in (v, v + 1, v + width, v + width + 1):
                black += state[COLOR, u] == BLACK
                white += state[COLOR, u] == WHITE
                empty += state[COLOR, u] == EMPTY
            if empty == 1:
                out[5] += (white == 3) - (black == 3)
    out[2] = float(state[META, rules.TAKEN_BY_BLACK]) - float(state[META, rules.TAKEN_BY_WHITE])
    out /= size


@kernel
def _look_at_all(states, out):
    scratch = np.zeros((3, states.shape[2]), np.int16)
    for k in range(len(states)):
        _look(states[k], scratch, out[k])


def impressions(states: np.ndarray) -> np.ndarray:
    """What amateurs notice about boards, for Black; negate for White.

    Args:
      states: uint16 `[K, ROWS, S]`.

    Returns: float32 `[K, F]` in the order of `IMPRESSIONS`.
    """
    out = np.zeros((len(states), len(IMPRESSIONS)), np.float32)
    _look_at_all(states, out)
    return out


@kernel
def _amateur_move(state, history, taste, whim, seed, after, scratch, seen):
    """The move whose board its player likes best, a whim added; own eyes are left alone. Returns (action, seed)."""
    size = int64(state[META, rules.SIZE])
    color = int64(state[META, rules.TO_PLAY])
    sign = 1.0 if color == BLACK else -1.0
    best, choice = -np.inf, size * size
    for i in range(int64(state[META, OPENS])):
        v = int64(state[OPEN, i])
        if rules.is_own_eye(state, v, color) or not rules.is_legal_point(state, history, v):
            continue
        after[:] = state
        rules.place(after, v, color)
        _look(after, scratch, seen)
        seed = next_random(seed)
        liking = sign * np.dot(taste, seen) - whim * np.log(-np.log(random_unit(seed)))
        if liking > best:
            best, choice = liking, rules.action_of(v, size)
    return choice, seed


@kernel
def _amateur_game(state, history, tastes, whim, limit, seed, boards, actions):
    """One game from the position in `state`; writes boards and moves. Returns (moves, seed)."""
    after = np.zeros_like(state)
    scratch = np.zeros((3, state.shape[1]), np.int16)
    seen = np.zeros(tastes.shape[1], np.float32)
    moves = 0
    while moves < limit and state[META, rules.PASSES] < 2:
        side = 0 if state[META, rules.TO_PLAY] == BLACK else 1
        action, seed = _amateur_move(state, history, tastes[side], whim, seed, after, scratch, seen)
        boards[moves] = state
        actions[moves] = action
        rules.play(state, history, action)
        moves += 1
    return moves, seed


@dataclass(frozen=True)
class GameMoves:
    """One game as it was played; T moves."""

    boards: np.ndarray
    """uint16 `[T + 1, ROWS, S]`, before each move and after the last"""
    actions: np.ndarray
    """int64 `[T]`"""


@dataclass(frozen=True)
class Club:
    """Amateurs with tastes `[M, F]`, who judge with logistic noise of scale `noise` (in units of liking)."""

    tastes: np.ndarray
    noise: float

    @classmethod
    def founded(cls, members: int, seed: int, counting: bool = False, variety: float = 0.5) -> Club:
        """A club whose members' weights are the common taste times log-normal factors of spread `variety`.

        Args:
          counting: False: an impression weighs by how much it stands out, its difference measured in its ordinary
            spread (the lens model of judgement, Brunswik 1952), so that five prisoners impress as much as eight
            points of influence. True: by its number of stones, which is nearly how the game is scored.
        """
        rng = np.random.default_rng([seed, 4])
        factors = rng.lognormal(-(variety**2) / 2, variety, (members, len(IMPRESSIONS)))
        scale = 1.0 if counting else ORDINARY_SPREAD[0] / ORDINARY_SPREAD
        return cls((COMMON_TASTE * scale * factors).astype(np.float32), noise=1.0)

    def liking(self, seen: np.ndarray, members: np.ndarray) -> np.ndarray:
        """How much `members` `[K]` like what they see, `[K, F]`: `[K]`, without noise."""
        return (self.tastes[members] * seen).sum(1)

    def preference(self, seen_a: np.ndarray, seen_b: np.ndarray, members: np.ndarray) -> np.ndarray:
        """The chance that each member prefers board a: `[K]`."""
        difference = (self.liking(seen_a, members) - self.liking(seen_b, members)) / self.noise
        return 1 / (1 + np.exp(-np.clip(difference, -50, 50)))

    def play(self, size: int, limit: int, opening: int, whim: float, seed: int) -> GameMoves:
        """One game between two members drawn at random, from `opening` random moves.

        Args:
          limit: moves after which the game is left as it stands.
          whim: scale of the Gumbel noise on the liking of each move.
        """
        rng = np.random.default_rng([seed, 5])
        state, history = rules.new_state(size), rules.new_history(limit + opening + 1)
        for action in rng.permutation(size * size)[:opening]:
            if rules.is_legal_point(state, history, rules.point_of(action, size)):
                rules.play(state, history, action)
        boards = np.zeros((limit + 1, *state.shape), np.uint16)
        actions = np.zeros(limit, np.int64)
        tastes = self.tastes[rng.integers(len(self.tastes), size=2)]
        first = np.uint64(rng.integers(1, 2**63))
        moves, _ = _amateur_game(state, history, tastes, whim, limit, first, boards, actions)
        boards[moves] = state
        return GameMoves(boards[: moves + 1].copy(), actions[:moves].copy())


def noise_for_agreement(
    club: Club, seen_a: np.ndarray, seen_b: np.ndarray, a_is_better: np.ndarray, target: float, seed: int
) -> tuple[float, float]:
    """The noise at which the club agrees with the truth in a share `target` of pairs.

    Args:
      seen_a, seen_b: `[K, F]`, impressions for the judged side.
      a_is_better: bool `[K]`, the truth.
      target: wanted agreement in (0.5, 1).

    Returns: (noise, expected agreement); the smallest noise when even that does not agree as often as wanted.
    """
    members = np.random.default_rng([seed, 6]).integers(len(club.tastes), size=len(seen_a))

    def agreement(noise: float) -> float:
        chance = Club(club.tastes, noise).preference(seen_a, seen_b, members)
        return float(np.where(a_is_better, chance, 1 - chance).mean())

    low, high = 1e-3, 1e2
    if agreement(low) <= target:
        return low, agreement(low)
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if agreement(middle) > target else (low, middle)
    return low, agreement(low)
