"""Pairs to choose from, with the chance that each simulated rater prefers a: boards and poems.

Each world comes twice: its reward models see what the raters notice and nothing else, or that among much else.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from foolsgold.environments.go.amateurs import Club, impressions
from foolsgold.environments.go.rules import BLACK
from foolsgold.environments.poems.readers import Readership, impressions_of
from foolsgold.environments.poems.world import Poems
from foolsgold.labels.board_comparisons import BoardPool, draw_pairs, pool_boards
from foolsgold.rewards.go_reward_model import sided_planes
from foolsgold.training.self_play_worker import max_moves

SIZE = 7
"""Side of the boards."""
GAMES = 300
POEMS = 12_000
WORDS = 64
"""Classes that the words of a poem fall into."""


@dataclass(frozen=True)
class World:
    """P pairs that may be judged, and T that only measure the reward models; R raters, F features."""

    a: np.ndarray
    """float64 `[P + T, F]`, features of candidates a; differences from b have spread 1"""
    b: np.ndarray
    chances: np.ndarray
    """float64 `[P + T, R]`, that each rater prefers a"""
    pairs: int
    """P"""

    @classmethod
    def of_features(cls, a: np.ndarray, b: np.ndarray, chances: np.ndarray, pairs: int) -> World:
        spread = (a - b).std(0).clip(1e-6)
        return cls(a / spread, b / spread, chances, pairs)

    @property
    def most_prefer_a(self) -> np.ndarray:
        """bool `[T]`: what the mean rater says of the pairs that measure."""
        return self.chances[self.pairs :].mean(1) > 0.5


def _move_by_move(pool: BoardPool, count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """`count` pairs of boards, two games compared after every move for one side, then two others."""
    games = rng.permutation(pool.game.max() + 1)
    drawn = []
    for first, second in zip(games[::2], games[1::2], strict=True):
        rows_a, rows_b = np.flatnonzero(pool.game == first), np.flatnonzero(pool.game == second)
        moves = min(len(rows_a), len(rows_b))
        drawn.append(np.stack([rows_a[:moves], rows_b[:moves], np.full(moves, rng.integers(1, 3))]))
    found = np.concatenate(drawn, 1)
    if found.shape[1] < count:
        raise ValueError(f"the games give {found.shape[1]} pairs; {count} are wanted")
    return tuple(found[:, :count])


def boards(pairs: int, held_out: int, seed: int, wide: bool, copies: bool = False) -> World:
    """Pairs out of games whose players are half of them careful, half of them careless.

    Args:
      wide: also shows for every point whose stone stands there and whether it has few liberties.
      copies: the pairs to choose from follow few games move by move; else they are drawn like those that measure.
    """
    club, count = Club.founded(20, seed), pairs + held_out
    rng = np.random.default_rng([seed, 71])
    games = [
        club.play(SIZE, max_moves(SIZE), int(rng.integers(6)), (0.1, 1.0)[g % 2], int(rng.integers(2**31))).boards
        for g in range(GAMES)
    ]
    pool = pool_boards({"club": games})
    a, b = draw_pairs(pool, count, seed)
    color = rng.choice(np.array([1, 2], np.int8), count)
    if copies:
        a[:pairs], b[:pairs], color[:pairs] = _move_by_move(pool, pairs, rng)
    seen = impressions(pool.states).astype(np.float64)
    sign = np.where(color == BLACK, 1, -1)[:, None]
    sides = [sign * seen[a], sign * seen[b]]
    chances = expit((sides[0] - sides[1]) @ club.tastes.T / club.noise)
    if wide:
        sides = [
            np.concatenate([noticed, _points(pool.states[rows], color)], 1)
            for noticed, rows in zip(sides, (a, b), strict=True)
        ]
    return World.of_features(*sides, chances, pairs)


def _points(states: np.ndarray, color: np.ndarray) -> np.ndarray:
    planes = sided_planes(states, color)
    shown = np.stack([planes[:, 0] - planes[:, 1], planes[:, 2], planes[:, 3]], 1)
    return shown.reshape(len(states), -1)


def poems(pairs: int, held_out: int, seed: int, wide: bool) -> World:
    """Poems by people of different care, two of one prompt; `wide` adds how often words of each class stand in them."""
    prompts, texts = zip(*Poems().demonstrations(POEMS, seed), strict=True)
    of_prompt: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        of_prompt.setdefault(prompt, []).append(i)
    rng = np.random.default_rng([seed, 72])
    usable = [group for group in of_prompt.values() if len(group) > 1]
    groups = rng.choice(len(usable), pairs + held_out, p=np.array([len(g) for g in usable]) / sum(map(len, usable)))
    drawn = np.array([rng.choice(usable[g], 2, replace=False) for g in groups])
    used, rows = np.unique(drawn, return_inverse=True)
    rows = rows.reshape(drawn.shape)
    seen = impressions_of([prompts[i] for i in used], [texts[i] for i in used])
    chances = expit((seen[rows[:, 0]] - seen[rows[:, 1]]) @ Readership.founded(50, seed).tastes.T)
    if wide:
        seen = np.concatenate([seen, np.stack([_word_classes(texts[i]) for i in used])], 1)
    return World.of_features(seen[rows[:, 0]], seen[rows[:, 1]], chances, pairs)


def _word_classes(text: str) -> np.ndarray:
    classes = [zlib.crc32(word.encode()) % WORDS for word in text.split()]
    return np.bincount(classes, minlength=WORDS).astype(np.float64)
