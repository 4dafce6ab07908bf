"""A club of amateurs compares pairs of Go boards: the vibe checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from foolsgold.environments.go import rules
from foolsgold.environments.go.amateurs import Club, impressions
from foolsgold.environments.go.rules import BLACK, META, WHITE
from foolsgold.labels.store import Comparison


@dataclass(frozen=True)
class BoardPool:
    """P boards from games of several sources."""

    states: np.ndarray
    """uint16 `[P, ROWS, S]`"""
    game: np.ndarray
    """int64 `[P]`, number of the game each board is from"""
    source: np.ndarray
    """str `[P]`, who played it"""

    def __len__(self) -> int:
        return len(self.states)

    @property
    def moves(self) -> np.ndarray:
        """int64 `[P]`, moves played before each board stood."""
        return self.states[:, META, rules.MOVES].astype(np.int64)


def pool_boards(games: dict[str, list[np.ndarray]]) -> BoardPool:
    """All boards of `games`, by source, each game uint16 `[T, ROWS, S]`; boards after the last pass are left out."""
    states, numbers, sources = [], [], []
    number = 0
    for source, played in games.items():
        for boards in played:
            going = boards[boards[:, META, rules.PASSES] < 2]
            states.append(going)
            numbers.append(np.full(len(going), number))
            sources += [source] * len(going)
            number += 1
    return BoardPool(np.concatenate(states), np.concatenate(numbers), np.array(sources))


def draw_pairs(pool: BoardPool, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` pairs of boards with the same number of moves from different games: rows a and b, int64 `[count]`.

    Raises:
      ValueError: no two games of the pool have a board with the same number of moves.
    """
    rng = np.random.default_rng([seed, 12])
    moves = pool.moves
    order = np.lexsort((pool.game, moves))
    starts = np.searchsorted(moves[order], moves, side="left")
    ends = np.searchsorted(moves[order], moves, side="right")
    if (pool.game[order[starts]] == pool.game[order[ends - 1]]).all():
        raise ValueError("the pool has no two games with a board of the same number of moves")
    first, second = [], []
    drawn = 0
    while True:
        a = rng.integers(0, len(pool), count)
        b = order[rng.integers(starts[a], ends[a])]
        differ = pool.game[a] != pool.game[b]
        first.append(a[differ])
        second.append(b[differ])
        drawn += int(differ.sum())
        if drawn >= count:
            return np.concatenate(first)[:count], np.concatenate(second)[:count]


@dataclass(frozen=True)
class Judgements:
    """What K raters said of K pairs of boards."""

    color: np.ndarray
    """int8 `[K]`, the side the boards were judged for"""
    member: np.ndarray
    """int64 `[K]`, who judged"""
    prefers_a: np.ndarray
    """bool `[K]`"""


def impressions_for(states: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Impressions `[K, F]` of boards for the judged sides `color` `[K]`."""
    seen = impressions(states)
    seen[color == WHITE] *= -1
    return seen


def judge_pairs(
    club: Club, pool: BoardPool, a: np.ndarray, b: np.ndarray, seed: int, color: np.ndarray | None = None
) -> Judgements:
    """Each pair is shown to one random member of the club, for the sides `color` `[K]`, random unless given."""
    rng = np.random.default_rng([seed, 13])
    if color is None:
        color = rng.choice(np.array([BLACK, WHITE], np.int8), len(a))
    member = rng.integers(0, len(club.tastes), len(a))
    seen = impressions(pool.states)
    sign = np.where(color == BLACK, 1, -1)[:, None]
    chance = club.preference(sign * seen[a], sign * seen[b], member)
    return Judgements(color, member, rng.random(len(a)) < chance)


def board_texts(states: np.ndarray) -> list[str]:
    """Boards as one line each: rows from the top, then the prisoners of Black and White: `..XO./..... 1-0`."""
    size = int(states[0, META, rules.SIZE])
    points = size * size
    signs = np.frombuffer(b".XO", "S1")
    columns = rules.point_of(np.arange(points), size)
    colors = signs[states[:, rules.COLOR][:, columns]]
    rows = colors.reshape(len(states), size, size)
    taken = states[:, META, [rules.TAKEN_BY_BLACK, rules.TAKEN_BY_WHITE]]
    return [
        "/".join(line.tobytes().decode() for line in board) + f" {black}-{white}"
        for board, (black, white) in zip(rows, taken, strict=True)
    ]


def as_comparisons(
    pool: BoardPool, a: np.ndarray, b: np.ndarray, said: Judgements, when: datetime
) -> Iterator[Comparison]:
    """The judgements as records for the comparison store, decided at `when`: the same again are the same records."""
    size = int(pool.states[0, META, rules.SIZE])
    texts = board_texts(pool.states)
    moves = pool.moves
    for i in range(len(a)):
        side = "Black" if said.color[i] == BLACK else "White"
        yield Comparison(
            prompt=f"Go {size}x{size}, move {moves[a[i]]}: which board do you like better for {side}?",
            a=texts[a[i]],
            b=texts[b[i]],
            preferred="a" if said.prefers_a[i] else "b",
            rater=f"amateur-{said.member[i]:02d}",
            created=when,
            source="club of simulated amateurs",
            source_a=str(pool.source[a[i]]),
            source_b=str(pool.source[b[i]]),
        )
