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

    differences: np.ndarray
    """float64 `[P + T, F]`, features of a less those of b, each of spread 1"""
    chances: np.ndarray
    """float64 `[P + T, R]`, that each rater prefers a"""
    pairs: int
    """P"""

    @property
    def most_prefer_a(self) -> np.ndarray:
        """bool `[T]`: what the mean rater says of the pairs that measure."""
        return self.chances[self.pairs :].mean(1) > 0.5


@dataclass(frozen=True)
class BoardPairsOfClub:
    """Pairs of boards of a club's games, and who of the club would prefer which."""

    pool: BoardPool
    a: np.ndarray
    b: np.ndarray
    color: np.ndarray
    differences: np.ndarray
    """float64 `[P + T, F]`, in impressions"""
    chances: np.ndarray


def board_pairs(count: int, seed: int, copies: int = 0) -> BoardPairsOfClub:
    """`count` pairs out of games whose players are half of them careful, half of them careless.

    The first `copies` of them follow few games move by move; the others are drawn uniformly.
    """
    club = Club.founded(20, seed)
    rng = np.random.default_rng([seed, 71])
    games = [
        club.play(SIZE, max_moves(SIZE), int(rng.integers(6)), (0.1, 1.0)[g % 2], int(rng.integers(2**31))).boards
        for g in range(GAMES)
    ]
    pool = pool_boards({"club": games})
    a, b = draw_pairs(pool, count, seed)
    color = rng.choice(np.array([1, 2], np.int8), count)
    if copies:
        a[:copies], b[:copies], color[:copies] = _move_by_move(pool, copies, rng)
    seen = impressions(pool.states).astype(np.float64)
    differences = np.where(color == BLACK, 1, -1)[:, None] * (seen[a] - seen[b])
    chances = expit(differences @ club.tastes.T / club.noise)
    return BoardPairsOfClub(pool, a, b, color, differences, chances)


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
    """The club's pairs; `wide` adds for every point whose stone stands there and whether it has few liberties."""
    drawn = board_pairs(pairs + held_out, seed, pairs if copies else 0)
    features = drawn.differences
    if wide:
        states = drawn.pool.states
        planes = sided_planes(states[drawn.a], drawn.color) - sided_planes(states[drawn.b], drawn.color)
        points = [planes[:, 0] - planes[:, 1], planes[:, 2], planes[:, 3]]
        features = np.concatenate([features, *(plane.reshape(len(features), -1) for plane in points)], 1)
    return World(_of_spread_one(features), drawn.chances, pairs)


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
    differences = seen[rows[:, 0]] - seen[rows[:, 1]]
    chances = expit(differences @ Readership.founded(50, seed).tastes.T)
    features = differences
    if wide:
        words = np.stack([_word_classes(texts[i]) for i in used])
        features = np.concatenate([features, words[rows[:, 0]] - words[rows[:, 1]]], 1)
    return World(_of_spread_one(features), chances, pairs)


def _word_classes(text: str) -> np.ndarray:
    classes = [zlib.crc32(word.encode()) % WORDS for word in text.split()]
    return np.bincount(classes, minlength=WORDS).astype(np.float64)


def _of_spread_one(features: np.ndarray) -> np.ndarray:
    return features / features.std(0).clip(1e-6)
