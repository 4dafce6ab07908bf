"""Two projects to try the labelling page with: Go boards of simulated amateurs, and poems of more or less care."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from random import Random

import numpy as np

from foolsgold.environments.go import rules
from foolsgold.environments.go.amateurs import Club, GameMoves
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.environments.go.sgf import GameRecord, write_game
from foolsgold.environments.poems import critic, poet
from foolsgold.environments.poems.lexicon import asked_topic
from foolsgold.environments.poems.world import Poems
from foolsgold.labels.board_comparisons import BoardPool, board_texts, draw_pairs, pool_boards
from foolsgold.labels.comparison import Preferred
from foolsgold.labels.labelling import Labelling, Pair, Settings, projects
from foolsgold.labels.store import ComparisonStore
from foolsgold.studies.go_pipeline import amateur_games

PAIRS = 60
"""Pairs of each project."""
CHECKS = 4
"""Attention checks of each project: pairs where one candidate is better by far."""
SIZE = 7
GAMES = 60
EARLIEST, LATEST = 14, 40
"""Moves between which a board is worth a look."""
BOARDS, POEMS = "Go boards", "Poems"

_BOARD_GUIDELINES = """\
Two positions after the same number of moves. Choose the one you would rather have, for the colour that is asked for.

- Look at which points each side surrounds, and which stones are in danger.
- Stones taken are shown under each board; the arrow keys step through both games.
- Tie: you would as gladly have one as the other. Both bad: the colour asked for is lost on both."""
_POEM_GUIDELINES = """\
Two poems for the same request. Choose the one you would rather read.

- A good poem is about what was asked, keeps its rhythm and rhymes, and says nothing twice.
- Take the poem as a whole; do not count.
- Both bad: neither is a poem that anyone should be given."""


def demo_projects(store: ComparisonStore, seed: int = 0) -> list[Labelling]:
    """The demo's projects of `store`, made where they are not there yet."""
    there = set(projects(store))
    settings = Settings(check_share=0.08, repeat_share=0.08, strength=False)
    if BOARDS not in there:
        boards = Labelling.create(store, BOARDS, _BOARD_GUIDELINES, "go", seed, settings)
        boards.add_pairs(_board_pairs(seed))
    if POEMS not in there:
        poems = Labelling.create(store, POEMS, _POEM_GUIDELINES, "text", seed, settings)
        poems.add_pairs(_poem_pairs(seed))
    return [Labelling.open(store, name) for name in (BOARDS, POEMS)]


def _board_pairs(seed: int) -> Iterator[Pair]:
    games = amateur_games(Club.founded(20, seed), SIZE, GAMES, 0.3, seed, lambda done, of: None)
    pool = pool_boards({"amateurs": [game.boards for game in games]})
    a, b = draw_pairs(pool, 40 * PAIRS, seed)
    middle = (pool.moves[a] >= EARLIEST) & (pool.moves[a] <= LATEST)
    a, b = a[middle], b[middle]
    lead = _area(pool, a) - _area(pool, b)
    clearest = np.argsort(-np.abs(lead))[:CHECKS]
    usual = np.setdiff1d(np.arange(len(a)), clearest)[: PAIRS - CHECKS]
    rng = np.random.default_rng([seed, 17])
    texts = board_texts(pool.states)
    for i in np.concatenate([clearest, usual]):
        color = rng.choice([BLACK, WHITE])
        side = "Black" if color == BLACK else "White"
        known: Preferred | None = None
        if i in clearest:
            known = "a" if (lead[i] > 0) == (color == BLACK) else "b"
        yield Pair(
            f"Go {SIZE}x{SIZE}, move {pool.moves[a[i]]}: which board do you like better for {side}?",
            texts[a[i]],
            texts[b[i]],
            wanted=2,
            known=known,
            details={"moves_a": _record(pool, a[i], games), "moves_b": _record(pool, b[i], games)},
            source_a="amateurs",
            source_b="amateurs",
        )


def _area(pool: BoardPool, which: np.ndarray) -> np.ndarray:
    """Black's lead on each board, points `[K]`."""
    ownership, queue = np.zeros(SIZE**2, np.int8), np.zeros(SIZE**2, np.uint16)
    return np.array([rules.area_score(pool.states[i], ownership, queue) for i in which])


def _record(pool: BoardPool, row: int, games: list[GameMoves]) -> str:
    """The moves that led to a board, as SGF; the up to three random stones of its opening in any order."""
    game = games[pool.game[row]]
    first = game.boards[0]
    colors = first[rules.COLOR][rules.point_of(np.arange(SIZE**2), SIZE)]
    opening = [np.flatnonzero(colors == color).tolist() for color in (BLACK, WHITE)]
    opened = [point for turn in zip_longest(*opening) for point in turn if point is not None]
    actions = [*opened, *game.actions.tolist()][: int(pool.moves[row])]
    return write_game(GameRecord(SIZE, moves=tuple(((BLACK, WHITE)[i % 2], a) for i, a in enumerate(actions))))


def _poem_pairs(seed: int) -> Iterator[Pair]:
    rng = Random(f"labelling demo {seed}")
    prompts = Poems().prompts("train", 3 * PAIRS, seed)
    poems = [[poet.write(asked_topic(prompt), rng.betavariate(2.2, 1.6), rng) for _ in "ab"] for prompt in prompts]
    gold = [critic.gold([prompt] * 2, pair) for prompt, pair in zip(prompts, poems, strict=True)]
    lead = np.array([(a or 0.0) - (b or 0.0) for a, b in gold])
    clearest = set(np.argsort(-np.abs(lead))[:CHECKS].tolist())
    usual = [i for i in range(len(prompts)) if i not in clearest][: PAIRS - CHECKS]
    for i in [*sorted(clearest), *usual]:
        better: Preferred = "a" if lead[i] > 0 else "b"
        a, b = poems[i]
        if a != b:
            yield Pair(
                prompts[i], a, b, wanted=2, known=better if i in clearest else None, source_a="poet", source_b="poet"
            )
