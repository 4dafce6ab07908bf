"""The board for people: names, turns, passes, set-up, errors that say what is wrong."""

import numpy as np
import pytest

from foolsgold.environments.go.board import Board, IllegalMove, default_komi, handicap_points
from foolsgold.environments.go.rules import BLACK, WHITE


@pytest.mark.parametrize(
    ("size", "name", "action"),
    [(9, "A9", 0), (9, "J9", 8), (9, "A1", 72), (9, "J1", 80), (9, "D4", 48), (19, "T19", 18), (9, "pass", 81)],
)
def test_names_of_points(size, name, action):
    board = Board(size)
    assert board.action_of(name) == action
    assert board.action_of(name.lower()) == action
    assert board.name_of(action) == name


@pytest.mark.parametrize("name", ["", "A", "I5", "K1", "A0", "A10", "AA", "5E", "A-1", "A1.5", "A²"])
def test_names_that_are_no_point(name):
    with pytest.raises(IllegalMove, match="is no point of a 9x9 board"):
        Board(9).action_of(name)


@pytest.mark.parametrize(("size", "komi"), [(5, 24.5), (6, 7.5), (7, 9.5), (9, 7.5), (13, 7.5), (19, 7.5)])
def test_default_komi(size, komi):
    assert default_komi(size) == komi
    assert Board(size).komi == komi
    assert Board(size, komi=0).komi == 0


@pytest.mark.parametrize("size", [0, 4, 20])
def test_sizes_that_are_not_supported(size):
    with pytest.raises(ValueError, match="choose one from 5 to 19"):
        Board(size)


def test_turns_moves_and_the_last_action(play_names):
    board = Board(9)
    assert (board.to_play, board.moves, board.last_action) == (BLACK, 0, None)
    play_names(board, "A9")
    assert (board.to_play, board.moves, board.last_action) == (WHITE, 1, 0)
    play_names(board, "pass")
    assert (board.to_play, board.moves, board.last_action) == (BLACK, 2, 81)


def test_two_passes_in_a_row_end_the_game(play_names):
    board = Board(5)
    play_names(board, "pass C3 pass")
    assert not board.is_over
    play_names(board, "pass")
    assert board.is_over
    assert board.legal_actions().sum() == 0
    with pytest.raises(IllegalMove, match="the game is over"):
        play_names(board, "A1")


@pytest.mark.parametrize(
    ("action", "message"),
    [(12, "C3 is taken"), (-1, "action -1 is not on a board of 5x5"), (26, "action 26 is not on a board of 5x5")],
)
def test_illegal_actions_change_nothing(play_names, action, message):
    board = Board(5)
    play_names(board, "C3")
    before = board.copy()
    with pytest.raises(IllegalMove, match=message):
        board.play(action)
    assert np.array_equal(board.state, before.state)
    assert np.array_equal(board.history, before.history)


def test_a_copy_goes_its_own_way(play_names):
    board = Board(5, komi=3.5)
    other = board.copy()
    play_names(other, "C3 pass")
    assert board.moves == 0
    assert board.grid.sum() == 0
    assert other.komi == 3.5


def test_the_board_as_text(play_names):
    board = Board(5)
    play_names(board, "A5 E1")
    assert str(board).splitlines() == [
        " 5 X . . . .",
        " 4 . . . . .",
        " 3 . . . . .",
        " 2 . . . . .",
        " 1 . . . . O",
        "   A B C D E",
    ]


def test_play_as_gives_the_turn(play_names):
    board = Board(5)
    board.play_as(WHITE, board.action_of("C3"))
    board.play_as(WHITE, board.action_of("C4"))
    assert board.grid[1:3, 2].tolist() == [WHITE, WHITE]
    assert board.to_play == BLACK


def test_play_as_keeps_the_turn_when_the_move_is_illegal():
    board = Board(5)
    with pytest.raises(IllegalMove):
        board.play_as(WHITE, 99)
    assert board.to_play == BLACK


def test_history_grows_past_two_stones_a_point():
    """Players who never pass fill the board and take it empty again: 200 stones, where room was made for 2 * 25."""
    board = Board(5)
    rng = np.random.default_rng(1)
    placements = 0
    while placements < 200:
        stones = np.flatnonzero(board.legal_actions()[:-1])
        board.play(int(rng.choice(stones)) if len(stones) else board.pass_action)
        placements += len(stones) > 0
        assert not board.is_over
    assert int(board.history[0]) == placements + 1


def test_set_up_that_leaves_a_chain_without_liberty_is_refused():
    board = Board(5)
    with pytest.raises(IllegalMove, match="without a liberty"):
        board.set_up(black=[1, 5], white=[0])  # the corner, inside Black's two stones
    with pytest.raises(IllegalMove, match="last liberty of a neighbour"):
        board.set_up(black=[0], white=[1, 5])
    assert board.grid.sum() == 0
    assert board.captures == (0, 0)


@pytest.mark.parametrize(
    ("black", "message"),
    [([3, 3], "D5 is set up twice"), ([25], "action 25 is no point"), ([-1], "action -1 is no point")],
)
def test_set_up_of_a_point_that_cannot_be(black, message):
    with pytest.raises(IllegalMove, match=message):
        Board(5).set_up(black=black)


def test_set_up_after_a_move_is_refused(play_names):
    board = Board(5)
    play_names(board, "pass")
    with pytest.raises(IllegalMove, match="only before the first move"):
        board.set_up(black=[0])


def test_superko_does_not_count_positions_half_set_up(play_names):
    """Black takes A5 and B5, White retakes at B5: what was set up less A5, which never stood on the board.

    . O . O .      O O . O .   set up, Black plays C5
    X X O . .      X X O . .
    """
    board = Board(5)
    actions = [board.action_of(name) for name in ("B5", "D5", "C4", "A5")]
    board.set_up(black=[5, 6], white=actions)
    play_names(board, "C5 B5")
    assert board.captures == (2, 1)


def names(size, stones):
    board = Board(size)
    return [board.name_of(action) for action in handicap_points(size, stones)]


@pytest.mark.parametrize(
    ("size", "stones", "expected"),
    [
        (19, 2, "D4 Q16"),
        (19, 3, "D4 Q16 D16"),
        (19, 4, "D4 Q16 D16 Q4"),
        (19, 5, "D4 Q16 D16 Q4 K10"),
        (19, 6, "D4 Q16 D16 Q4 D10 Q10"),
        (19, 7, "D4 Q16 D16 Q4 D10 Q10 K10"),
        (19, 8, "D4 Q16 D16 Q4 D10 Q10 K4 K16"),
        (19, 9, "D4 Q16 D16 Q4 D10 Q10 K4 K16 K10"),
        (13, 2, "D4 K10"),
        (9, 4, "C3 G7 C7 G3"),
        (8, 4, "C3 F6 C6 F3"),
        (7, 2, "C3 E5"),
    ],
)
def test_handicap_points_are_those_of_gtp(size, stones, expected):
    assert names(size, stones) == expected.split()


@pytest.mark.parametrize(
    ("size", "stones", "allowed"),
    [(19, 1, "2 to 9"), (19, 10, "2 to 9"), (8, 5, "2 to 4"), (7, 5, "2 to 4"), (5, 2, "none")],
)
def test_handicaps_that_do_not_fit(size, stones, allowed):
    with pytest.raises(ValueError, match=f"allowed: {allowed}"):
        handicap_points(size, stones)


def test_white_moves_first_after_a_handicap():
    board = Board(9)
    assert [board.name_of(action) for action in board.place_handicap(2)] == ["C3", "G7"]
    assert board.to_play == WHITE
    assert (board.grid == BLACK).sum() == 2
