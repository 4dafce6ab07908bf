"""Random games move by move against the Go of OpenSpiel, an independent implementation.

Where the two agree: no suicide, simple ko, two passes end the game, Tromp-Taylor area. Where they differ, and what the
tests make of it:

- OpenSpiel allows a move that repeats a position farther back than the simple ko, and ends the game there as a draw;
  we forbid it. So our moves must be exactly those of its moves that do not end the game in that way.
- OpenSpiel ends a game after `max_game_length` moves; the games here stop before.
- OpenSpiel tells who won, not by how much: each game is replayed with komi half a point below and above our score,
  where Black must win and lose.
- OpenSpiel counts rows from the bottom, we from the top, as SGF does.
"""

import functools

import numpy as np
import pytest

from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board

pyspiel = pytest.importorskip("pyspiel")


@functools.cache
def load(size, komi):
    return pyspiel.load_game("go", {"board_size": size, "komi": float(komi), "max_game_length": 10 * size * size})


@functools.cache
def actions_of_openspiel(size):
    """Our action -> OpenSpiel's: int `[N * N + 1]`."""
    points = np.arange(size * size).reshape(size, size)[::-1].ravel()
    return np.append(points, size * size)


def ends_by_repetition(state, action):
    following = state.child(int(action))
    return following.is_terminal() and following.returns() == [0.0, 0.0]


def compare_one_game(size, rng, max_moves, look_at_children):
    """Play one random game in both; returns the number of moves and of moves that superko forbade."""
    to_theirs = actions_of_openspiel(size)
    ours_of = np.argsort(to_theirs)
    state, history = rules.new_state(size), rules.new_history(max_moves)
    mask = np.zeros(size * size + 1, np.uint8)
    # With komi n + 1/2 there is no draw but by repetition.
    theirs, played, forbidden = load(size, 0.5).new_initial_state(), [], 0
    while len(played) < max_moves and state[rules.META, rules.PASSES] < 2:
        assert not theirs.is_terminal()
        rules.legal_actions(state, history, mask)
        their_mask = np.zeros_like(mask)
        their_mask[ours_of[theirs.legal_actions()]] = 1
        assert not (mask & ~their_mask).any(), "we allow a move that OpenSpiel forbids"
        for action in np.flatnonzero(their_mask & ~mask):
            assert ends_by_repetition(theirs, to_theirs[action]), "we forbid a move that OpenSpiel allows"
            forbidden += 1
        if look_at_children:
            for action in np.flatnonzero(mask):
                assert not ends_by_repetition(theirs, to_theirs[action]), "we allow a repetition"
        stones = np.flatnonzero(mask[:-1])
        # Mostly stones, so that boards fill, empty and fill again.
        pass_now = len(stones) == 0 or rng.random() < 0.01
        action = size * size if pass_now else int(rng.choice(stones))
        rules.play(state, history, action)
        theirs.apply_action(int(to_theirs[action]))
        played.append(int(to_theirs[action]))
    score = rules.area_score(state, np.zeros(size * size, np.int8), np.zeros(size * size, np.uint16))
    ending = [] if state[rules.META, rules.PASSES] >= 2 else [size * size] * (2 - int(state[rules.META, rules.PASSES]))
    for komi, winner in ((score - 0.5, 1), (score + 0.5, -1)):
        final = load(size, komi).new_initial_state()
        for action in played + ending:
            final.apply_action(action)
        assert final.is_terminal()
        assert final.returns() == [winner, -winner]
    return len(played), forbidden


def compare_games(size, games, seed, look_at_children=False):
    rng = np.random.default_rng(seed)
    totals = np.zeros(2, int)
    for _ in range(games):
        totals += compare_one_game(size, rng, 3 * size * size, look_at_children)
    return totals


@pytest.mark.parametrize("size", [5, 9])
def test_names_of_points_agree(size):
    board, theirs = Board(size), load(size, 0.5).new_initial_state()
    for action, other in enumerate(actions_of_openspiel(size)[:-1]):
        assert theirs.action_to_string(0, int(other)).lower() == f"b {board.name_of(action).lower()}"


@pytest.mark.parametrize(("size", "games"), [(5, 1500), (7, 600), (9, 400), (13, 40), (19, 10)])
def test_legal_moves_and_scores_agree(size, games):
    moves, forbidden = compare_games(size, games, seed=size)
    assert moves > games * size * size
    assert size > 5 or forbidden > 0, "these games should have met superko"


def test_superko_is_repetition_and_nothing_else():
    compare_games(5, 200, seed=1, look_at_children=True)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "games"), [(5, 20000), (7, 8000), (9, 5000), (13, 600), (19, 150)])
def test_legal_moves_and_scores_agree_in_many_games(size, games):
    compare_games(size, games, seed=1000 + size)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "games"), [(5, 2000), (7, 500), (9, 200)])
def test_superko_is_repetition_and_nothing_else_in_many_games(size, games):
    compare_games(size, games, seed=2000 + size, look_at_children=True)
