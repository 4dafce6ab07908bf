"""The client of GNU Go, and matches against it."""

import numpy as np
import pytest
import torch

from foolsgold.audit import gnugo
from foolsgold.audit.gnugo import GnuGo, GnuGoMatch, find_gnugo, play_against_gnugo, settled_score
from foolsgold.audit.match import Agent
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.errors import UserError
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.policies.search import SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee

needs_gnugo = pytest.mark.skipif(find_gnugo() is None, reason="GNU Go is not installed")

# Two walls on 7x7: Black owns columns A to C, White columns D to G. Black's stone at F4 is dead.
WALLS = [(BLACK, f"C{y}") for y in range(1, 8)] + [(WHITE, f"D{y}") for y in range(1, 8)]
INTRUDER = [(BLACK, "F4")]


def board_of(moves, komi):
    board = Board(7, komi)
    for color, vertex in moves:
        board.play_as(color, board.action_of(vertex))
    return board


def untrained():
    torch.manual_seed(0)
    network = GoNetwork(NetworkSize(1, 8))
    return Agent("untrained", network, SearchSettings(simulations=2, considered=2, gumbel_scale=0), ScoreReferee())


def test_dead_stones_leave_the_board_before_it_is_counted():
    board = board_of(WALLS + INTRUDER, komi=0.5)
    # The intruder makes the empty points behind White's wall nobody's: White has its 7 stones alone.
    assert board.score() == 21 + 1 - 7 - 0.5
    # Without it: 3 columns against 4.
    assert settled_score(board, ["F4"]) == 21 - 28 - 0.5


def test_wins_are_counted_by_color():
    match = GnuGoMatch(
        level=1,
        komi=9.5,
        agent_is_black=np.array([True, False, True, False]),
        scores=np.array([3.5, -2.5, 0.5, 9.5], np.float32),
        moves=np.array([40, 41, 42, 43]),
        illegal_moves=0,
    )
    assert (match.games, match.wins, match.wins_as_black, match.wins_as_white) == (4, 3, 2, 1)


def test_a_missing_program_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(gnugo.shutil, "which", lambda *_, **__: None)
    with pytest.raises(UserError, match="install"):
        GnuGo(1, 7, 9.5)


def test_an_odd_number_of_games_is_refused():
    with pytest.raises(ValueError, match="even"):
        play_against_gnugo(untrained(), 5, games=3)


@pytest.mark.gnugo
@needs_gnugo
def test_gnugo_counts_a_finished_position_as_we_do():
    with GnuGo(1, 7, 0.5) as engine:
        engine.set_position(WALLS + INTRUDER)
        dead = engine.dead_stones()
        assert dead == ["F4"]
        assert settled_score(board_of(WALLS + INTRUDER, 0.5), dead) == engine.final_score() == -7.5


@pytest.mark.gnugo
@needs_gnugo
def test_a_dead_process_is_an_error():
    with GnuGo(1, 7, 9.5) as engine:
        engine.close()
        with pytest.raises(UserError, match="ended"):
            engine.genmove(BLACK)


@pytest.mark.gnugo
@needs_gnugo
def test_a_refused_command_is_an_error():
    with GnuGo(1, 7, 9.5) as engine, pytest.raises(UserError, match="refused"):
        engine.play(BLACK, "Z99")


@pytest.mark.gnugo
@needs_gnugo
def test_the_same_seed_gives_the_same_games():
    first, second = (play_against_gnugo(untrained(), 5, games=4, level=1, seed=3) for _ in range(2))
    assert first.games == 4
    assert first.illegal_moves == 0
    assert (first.moves >= 4).all()
    assert (first.moves == second.moves).all()
    assert (first.scores == second.scores).all()
    assert first.agent_is_black.tolist() == [True, False, True, False]
