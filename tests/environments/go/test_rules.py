"""The rules, on positions that a reader can check on paper."""

import numpy as np
import pytest

from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board, IllegalMove
from foolsgold.environments.go.rules import BLACK, WHITE

KO = """
. X O . .
X O . O .
. X O . .
. . . . .
. . . . .
"""


def test_a_stone_in_atari_is_taken(draw, play_names):
    board = draw("""
        . X . . .
        X O . . .
        . X . . .
        . . . . .
        . . . . .
    """)
    play_names(board, "C4")
    assert board.grid[1, 1] == 0
    assert board.captures == (1, 0)


def test_one_move_takes_three_chains(draw, play_names):
    board = draw("""
        . X . X .
        X O . O X
        . X O X .
        . . X . .
        . . . . .
    """)
    play_names(board, "C4")
    assert board.captures == (3, 0)
    assert str(board).splitlines()[1].split() == ["4", "X", ".", "X", ".", "X"]
    assert str(board).splitlines()[2].split() == ["3", ".", "X", ".", "X", "."]


def test_a_chain_that_touches_the_move_twice_is_taken_once(draw, play_names):
    board = draw("""
        . O X . .
        O O X . .
        X X . . .
        . . . . .
        . . . . .
    """)
    play_names(board, "A5")
    assert board.captures == (3, 0)
    assert board.grid[:2, :2].tolist() == [[1, 0], [0, 0]]


def test_ko_may_not_be_retaken_at_once(draw, play_names):
    board = draw(KO)
    play_names(board, "C4")
    assert board.captures == (1, 0)
    with pytest.raises(IllegalMove, match=r"B4 repeats an earlier position \(superko\)"):
        play_names(board, "B4")
    assert board.legal_actions()[board.action_of("B4")] == 0


def test_ko_may_be_retaken_after_a_threat_and_its_answer(draw, play_names):
    board = draw(KO)
    play_names(board, "C4 E1 E2 B4")
    assert board.captures == (1, 1)
    with pytest.raises(IllegalMove, match="superko"):
        play_names(board, "C4")


def test_ko_may_be_retaken_once_the_rest_of_the_board_has_changed(draw, play_names):
    board = draw(KO)
    play_names(board, "C4 pass E1 B4")
    assert board.captures == (1, 1)


def test_send_two_return_one_is_superko(draw, play_names):
    """The position returns with the other player to move: positional superko forbids what situational would not."""
    board = draw(
        """
        . O . O .
        X X O . .
        . . . . .
        . . . . .
        . . . . .
    """,
        to_play=WHITE,
    )
    play_names(board, "A5 C5")
    assert board.captures == (2, 0)
    with pytest.raises(IllegalMove, match="B5 repeats"):
        play_names(board, "B5")


def test_triple_ko_ends_at_the_sixth_move(draw, play_names):
    board = draw("""
        X O . O . X . X O
        . X O . . . X O .
        . . . . . . . . .
        . . . . . . . . .
        . . . . . . . . .
        . . . . . . . . .
        . . . . . . . . .
        . X O . . . . . .
        X O . O . . . . .
    """)
    play_names(board, "C9 G9 C1 B9 H9")
    assert board.captures == (3, 2)
    with pytest.raises(IllegalMove, match="B1 repeats"):
        play_names(board, "B1")


def test_snapback(draw, play_names):
    board = draw("""
        . . O X .
        O O O X .
        X X X . .
        . . . . .
        . . . . .
    """)
    play_names(board, "B5 A5 B5")
    assert board.captures == (5, 1)
    assert board.grid[:2, :3].tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("art", "move"),
    [
        (". X . . .\nX . . . .\n. . . . .\n. . . . .\n. . . . .", "A5"),
        ("O . X . .\nX X . . .\n. . . . .\n. . . . .\n. . . . .", "B5"),
        (". . X . .\n. X O X .\n. X . X .\n. X O X .\n. . X . .", "C3"),
    ],
    ids=["one stone", "two stones", "joining two chains"],
)
def test_suicide_is_forbidden(draw, play_names, art, move):
    board = draw(art, to_play=WHITE)
    with pytest.raises(IllegalMove, match=f"{move} is suicide"):
        play_names(board, move)
    assert board.legal_actions()[board.action_of(move)] == 0


def test_a_capture_on_a_point_without_liberties_is_no_suicide(draw, play_names):
    board = draw(
        """
        . X O . .
        X X O . .
        O O O . .
        . . . . .
        . . . . .
    """,
        to_play=WHITE,
    )
    play_names(board, "A5")
    assert board.captures == (0, 3)


SEKI = """
. X . O .
X X X O O
X X X O O
X X X O O
X X X O O
"""


def test_the_shared_liberty_of_a_seki_is_nobodys(draw):
    """Black 13 stones and an eye, White 9 stones and an eye, C5 nobody's: 14 - 10."""
    assert draw(SEKI).score() == 4


@pytest.mark.parametrize(("to_play", "moves", "captures"), [(BLACK, "C5 A5", (0, 14)), (WHITE, "C5 E5", (10, 0))])
def test_who_fills_the_shared_liberty_of_a_seki_loses_it(draw, play_names, to_play, moves, captures):
    board = draw(SEKI, to_play=to_play)
    play_names(board, moves)
    assert board.captures == captures


def test_area_counts_stones_and_territory_and_leaves_dame_out(draw, play_names):
    board = draw(
        """
        . X O O .
        X X . O O
        . X . O .
        X X . O O
        . X O O .
    """,
        komi=0.5,
    )
    play_names(board, "pass pass")
    # Black: 8 stones and A5, A3, A1. White: 10 stones and E5, E3, E1. C4, C3, C2 touch both.
    assert board.is_over
    assert board.score() == 11 - 13 - 0.5
    ownership, queue = np.zeros(25, np.int8), np.zeros(25, np.uint16)
    rules.area_score(board.state, ownership, queue)
    assert ownership.reshape(5, 5).tolist() == [
        [1, 1, -1, -1, -1],
        [1, 1, 0, -1, -1],
        [1, 1, 0, -1, -1],
        [1, 1, 0, -1, -1],
        [1, 1, -1, -1, -1],
    ]


def test_an_empty_board_is_nobodys_and_one_stone_owns_it_all(play_names):
    board = Board(9, komi=0)
    assert board.score() == 0
    play_names(board, "E5")
    assert board.score() == 81
    play_names(board, "A1")
    assert board.score() == 0  # one stone each, and the rest touches both


@pytest.mark.parametrize(
    ("art", "eye"),
    [
        (". X . . .\nX X . . .\n. . . . .\n. . . . .\n. . . . .", True),
        (". X . . .\nX O . . .\n. . . . .\n. . . . .\n. . . . .", False),
        (". X O . .\n. . . . .\n. . . . .\n. . . . .\n. . . . .", False),
    ],
    ids=["corner", "false", "open"],
)
def test_own_eye_in_the_corner(draw, art, eye):
    board = draw(art)
    assert rules.is_own_eye(board.state, rules.point_of(0, 5), BLACK) == eye
    assert not rules.is_own_eye(board.state, rules.point_of(0, 5), WHITE)


@pytest.mark.parametrize(("hostile", "eye"), [("", True), ("B4", True), ("B4 D2", False)])
def test_own_eye_in_the_middle_bears_one_hostile_diagonal(hostile, eye):
    board = Board(5)
    white = [board.action_of(name) for name in hostile.split()]
    board.set_up(black=[board.action_of(name) for name in ("C4", "C2", "B3", "D3")], white=white)
    assert rules.is_own_eye(board.state, rules.point_of(board.action_of("C3"), 5), BLACK) == eye
