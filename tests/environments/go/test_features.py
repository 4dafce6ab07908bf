"""What networks see, against a plain reading of the same boards."""

import numpy as np
import pytest

from foolsgold.environments.go.board import Board
from foolsgold.environments.go.features import BINARY_PLANES, PLANES, expand_planes, policy_planes, reward_planes
from foolsgold.environments.go.rules import BLACK, WHITE

LIBERTIES = """
    . X O . .
    X X O . .
    O O . . .
    . . . X .
    . . . . X
"""
"""The corner chain of X has one liberty, which two of its stones share; the last X has two; both O chains three."""

KO = """
    . X O . .
    X O . O .
    . X O . .
    . . . . .
    . . . . .
"""


def planes_of(board: Board) -> np.ndarray:
    out = np.full((PLANES, board.size, board.size), np.nan, np.float32)
    scratch = np.empty(board.state.shape[1], np.uint16)
    policy_planes(board.state, board.legal_actions(), board.komi, scratch, out)
    return out


def marked(plane: np.ndarray) -> set[tuple[int, int]]:
    assert set(np.unique(plane)) <= {0, 1}
    return {(int(y), int(x)) for y, x in np.argwhere(plane)}


def around(point, size):
    y, x = point
    return [(v, u) for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)) if 0 <= v < size and 0 <= u < size]


def chain_and_liberties(grid, point):
    """The stones joined to the stone on `point`, and their empty neighbours; `grid` is a dict of the stones."""
    size, stones = grid["size"], grid["stones"]
    chain, liberties, frontier = {point}, set(), [point]
    while frontier:
        for other in around(frontier.pop(), size):
            if other not in stones:
                liberties.add(other)
            elif stones[other] == stones[point] and other not in chain:
                chain.add(other)
                frontier.append(other)
    return chain, liberties


def plain(board: Board) -> dict:
    return {"size": board.size, "stones": {(int(y), int(x)): int(board.grid[y, x]) for y, x in np.argwhere(board.grid)}}


def played(grid, point, color) -> dict | None:
    """The stones after a move, None for suicide."""
    after = {"size": grid["size"], "stones": {**grid["stones"], point: color}}
    for other in around(point, grid["size"]):
        if after["stones"].get(other) == 3 - color:
            chain, liberties = chain_and_liberties(after, other)
            if not liberties:
                after["stones"] = {p: c for p, c in after["stones"].items() if p not in chain}
    return after if chain_and_liberties(after, point)[1] else None


def test_stones_and_liberties_for_the_player_to_move(draw):
    corner, upper, left = {(0, 1), (1, 0), (1, 1)}, {(0, 2), (1, 2)}, {(2, 0), (2, 1)}
    black, white = corner | {(3, 3), (4, 4)}, upper | left
    for to_play, own, other in ((BLACK, black, white), (WHITE, white, black)):
        planes = planes_of(draw(LIBERTIES, to_play))
        assert marked(planes[0]) == own
        assert marked(planes[1]) == other
        assert marked(planes[2]) == corner
        assert marked(planes[3]) == {(4, 4)}
        assert marked(planes[4]) == white


def test_the_ko_and_suicide_are_the_empty_points_that_may_not_be_played(draw, play_names):
    board = draw(KO)
    play_names(board, "C4")  # takes B4
    assert marked(planes_of(board)[5]) == {(0, 0), (1, 1)}  # suicide in the corner; the ko
    play_names(board, "E1 D1")  # each plays elsewhere: now White may take back
    assert marked(planes_of(board)[5]) == {(0, 0)}


def test_the_last_three_moves_newest_first_a_pass_being_no_point(play_names):
    board = Board(5)
    assert not planes_of(board)[6:9].any()
    play_names(board, "A5 B3 E1")
    assert [marked(plane) for plane in planes_of(board)[6:9]] == [{(4, 4)}, {(2, 1)}, {(0, 0)}]
    play_names(board, "pass C3")
    assert [marked(plane) for plane in planes_of(board)[6:9]] == [{(2, 2)}, set(), {(4, 4)}]


def test_a_stone_that_was_taken_is_still_the_move_that_was_played(draw, play_names):
    board = draw(KO.replace("X O . O .", "X . . . ."), WHITE)
    play_names(board, "B4 C4")  # White throws in, Black takes
    planes = planes_of(board)
    assert marked(planes[6]) == {(1, 2)}
    assert marked(planes[7]) == {(1, 1)}
    assert board.grid[1, 1] == 0


def test_komi_favours_white_and_passing_shows(play_names):
    board = Board(5, komi=7.5)
    assert planes_of(board)[10] == pytest.approx(-0.75)
    play_names(board, "C3")
    planes = planes_of(board)
    assert planes[10] == pytest.approx(0.75)
    assert (planes[9] == 1).all()
    assert (planes[11] == 0).all()
    play_names(board, "pass")
    assert (planes_of(board)[11] == 1).all()
    play_names(board, "C4")
    assert (planes_of(board)[11] == 0).all()


def test_random_games_read_as_plain_python_reads_them():
    superko = 0
    for seed in range(6):
        rng, board = np.random.default_rng(seed), Board(5)
        before = [plain(board)["stones"]]
        while not board.is_over and board.moves < 60:
            grid, own, planes = plain(board), board.to_play, planes_of(board)
            assert marked(planes[0]) == {p for p, c in grid["stones"].items() if c == own}
            assert marked(planes[1]) == {p for p, c in grid["stones"].items() if c != own}
            free = {p: len(chain_and_liberties(grid, p)[1]) for p in grid["stones"]}
            for count in (1, 2, 3):
                assert marked(planes[1 + count]) == {p for p, n in free.items() if n == count}
            empty = [point for point in np.ndindex(5, 5) if point not in grid["stones"]]
            after = {point: played(grid, point, own) for point in empty}
            repeats = {point for point, result in after.items() if result and result["stones"] in before}
            superko += len(repeats)
            assert marked(planes[5]) == repeats | {point for point, result in after.items() if result is None}
            stones = np.flatnonzero(board.legal_actions()[:-1])
            board.play(int(rng.choice(stones)) if len(stones) else board.pass_action)
            before.append(plain(board)["stones"])
    assert superko > 0


def test_a_replay_buffer_keeps_all_that_the_planes_say(draw, play_names):
    boards = [draw(KO, komi=6.5), draw(LIBERTIES, WHITE, komi=-3.0), Board(5, komi=24.5)]
    play_names(boards[0], "C4")
    play_names(boards[2], "C3 pass")
    planes = np.stack([planes_of(board) for board in boards])
    binary = planes[:, :BINARY_PLANES].astype(np.uint8)
    scalars = planes[:, [10, 11], 0, 0]
    np.testing.assert_array_equal(expand_planes(binary, scalars), planes)


def test_a_reward_model_sees_stones_liberties_and_prisoners_of_the_judged_side(draw, play_names):
    board = draw(LIBERTIES, WHITE)
    play_names(board, "A5")  # takes the corner chain, three stones
    white = {(0, 0), (0, 2), (1, 2), (2, 0), (2, 1)}
    black = {(3, 3), (4, 4)}
    for_black, for_white = (reward_planes(board.state[None], color)[0] for color in (BLACK, WHITE))
    assert (marked(for_black[0]), marked(for_black[1])) == (black, white)
    assert (marked(for_white[0]), marked(for_white[1])) == (white, black)
    for planes in (for_black, for_white):
        assert marked(planes[2]) == set()
        assert marked(planes[3]) == {(0, 0), (4, 4)}  # the corner stone: (0, 1) and (1, 0)
        assert marked(planes[4]) == set()  # (0, 2)+(1, 2) and (2, 0)+(2, 1) have gained a liberty or two
        assert (planes[5] == 1).all()
    assert for_black[6] == pytest.approx(-0.3)
    assert for_white[6] == pytest.approx(0.3)


def test_a_reward_model_does_not_see_moves_komi_or_turn(play_names):
    one, other = Board(5, komi=0.5), Board(5, komi=9.5)
    play_names(one, "A1 C3 E5")
    play_names(other, "E5 C3 A1 pass")
    for color in (BLACK, WHITE):
        seen = reward_planes(np.stack([one.state, other.state]), color)
        np.testing.assert_array_equal(seen[0], seen[1])
