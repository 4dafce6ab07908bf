"""Pairs of boards, who judges them how, and the records that are kept."""

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats

from foolsgold.environments.go import rules
from foolsgold.environments.go.amateurs import IMPRESSIONS, Club
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, META, WHITE
from foolsgold.labels.board_comparisons import (
    BoardPool,
    Judgements,
    as_comparisons,
    board_texts,
    draw_pairs,
    impressions_for,
    judge_pairs,
    pool_boards,
)
from foolsgold.labels.store import open_store


def game(names: str) -> np.ndarray:
    """The boards of a 5x5 game, before its first move and after each."""
    board, boards = Board(5), []
    boards.append(board.state.copy())
    for name in names.split():
        board.play(board.action_of(name))
        boards.append(board.state.copy())
    return np.stack(boards)


def flat_pool(moves: list[int], games: list[int]) -> BoardPool:
    """Boards of which only the numbers matter: move and game."""
    states = np.stack([Board(5).state] * len(moves))
    states[:, META, rules.MOVES] = moves
    return BoardPool(states, np.array(games), np.array(["someone"] * len(moves)))


def test_a_pool_leaves_out_the_board_after_two_passes():
    pool = pool_boards({"one": [game("C3 pass pass"), game("pass C3")], "two": [game("A1")]})
    assert len(pool) == 3 + 3 + 2
    assert pool.moves.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert pool.game.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert pool.source.tolist() == ["one"] * 6 + ["two"] * 2
    np.testing.assert_array_equal(pool.states[:3], game("C3 pass"))


def test_pairs_have_the_same_number_of_moves_and_different_games():
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 30, 12)
    pool = flat_pool([m for n in lengths for m in range(n)], np.repeat(np.arange(12), lengths).tolist())
    a, b = draw_pairs(pool, 5000, seed=1)
    assert len(a) == len(b) == 5000
    np.testing.assert_array_equal(pool.moves[a], pool.moves[b])
    assert (pool.game[a] != pool.game[b]).all()
    again = draw_pairs(pool, 5000, seed=1)
    np.testing.assert_array_equal([a, b], again)
    assert not np.array_equal(a, draw_pairs(pool, 5000, seed=2)[0])


def test_all_pairs_are_equally_likely_where_all_games_are_equally_long():
    games, moves, count = 4, 3, 18_000
    pool = flat_pool(list(range(moves)) * games, np.repeat(np.arange(games), moves).tolist())
    a, b = draw_pairs(pool, count, seed=3)
    drawn = np.zeros((len(pool), len(pool)))
    np.add.at(drawn, (a, b), 1)
    allowed = (pool.moves[:, None] == pool.moves) & (pool.game[:, None] != pool.game)
    assert allowed.sum() == moves * games * (games - 1)
    assert stats.chisquare(drawn[allowed]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("moves", "games"), [([0, 1, 2], [0, 0, 0]), ([0, 1], [0, 1])], ids=["one game", "no move in common"]
)
def test_a_pool_without_a_pair_is_refused(moves, games):
    with pytest.raises(ValueError, match="no two games"):
        draw_pairs(flat_pool(moves, games), 10, seed=0)


def test_a_pair_is_found_however_many_boards_have_none():
    moves, games = [*range(2000), 1999], [0] * 2000 + [1]
    a, b = draw_pairs(flat_pool(moves, games), 50, seed=0)
    assert {frozenset(pair) for pair in zip(a.tolist(), b.tolist(), strict=True)} == {frozenset({1999, 2000})}


def stone_counters(*weights: float, noise: float) -> Club:
    tastes = np.zeros((len(weights), len(IMPRESSIONS)), np.float32)
    tastes[:, IMPRESSIONS.index("stones")] = weights
    return Club(tastes, noise)


def three_stones_against_none() -> BoardPool:
    full, empty = Board(5), Board(5)
    full.set_up([0, 6, 12], [])
    return BoardPool(np.stack([full.state, empty.state]), np.array([0, 1]), np.array(["one", "two"]))


@pytest.mark.parametrize(("color", "sign"), [(BLACK, 1), (WHITE, -1)])
def test_members_judge_as_often_as_their_taste_says(color, sign):
    count = 30_000
    club = stone_counters(5.0, 10.0, noise=4.0)
    a, b = np.zeros(count, np.int64), np.ones(count, np.int64)
    said = judge_pairs(club, three_stones_against_none(), a, b, seed=4, color=np.full(count, color, np.int8))
    assert set(said.color.tolist()) == {color}
    for member, lead in enumerate((5.0 * 3 / 5 / 4, 10.0 * 3 / 5 / 4)):
        own = said.prefers_a[said.member == member]
        chance = 1 / (1 + np.exp(-sign * lead))
        assert stats.binomtest(int(own.sum()), len(own), chance).pvalue > 1e-3
    assert stats.binomtest(int((said.member == 0).sum()), count, 0.5).pvalue > 1e-3


def test_sides_are_drawn_evenly_unless_given():
    count = 20_000
    nothing = np.zeros(count, np.int64)
    said = judge_pairs(stone_counters(1.0, noise=1.0), three_stones_against_none(), nothing, nothing, seed=5)
    assert set(said.color.tolist()) == {BLACK, WHITE}
    assert stats.binomtest(int((said.color == BLACK).sum()), count, 0.5).pvalue > 1e-3
    assert stats.binomtest(int(said.prefers_a.sum()), count, 0.5).pvalue > 1e-3  # a board against itself


def test_black_and_white_have_opposite_impressions():
    states = three_stones_against_none().states[[0, 0]]
    black, white = impressions_for(states, np.array([BLACK, WHITE]))
    assert black[IMPRESSIONS.index("stones")] == pytest.approx(3 / 5)
    np.testing.assert_array_equal(white, -black)


def test_boards_as_text():
    board = Board(5)
    board.set_up([1, 5, 11], [2, 6])
    taken = board.copy()
    taken.play(taken.action_of("C4"))
    assert board_texts(np.stack([board.state, taken.state])) == [
        ".XO../XO.../.X.../...../..... 0-0",
        ".XO../X.X../.X.../...../..... 1-0",
    ]


def test_comparisons_come_back_from_the_store(tmp_path):
    pool = pool_boards({"base": [game("C3 D3")], "rl": [game("A1 B1")]})
    said = Judgements(np.array([BLACK, WHITE], np.int8), np.array([3, 11]), np.array([True, False]))
    when = datetime(2024, 8, 8, 12, tzinfo=UTC)
    written = list(as_comparisons(pool, np.array([1, 2]), np.array([4, 5]), said, when))
    with open_store(tmp_path / "comparisons.sqlite") as store:
        store.add_many(written)
        store.add_many(as_comparisons(pool, np.array([1, 2]), np.array([4, 5]), said, when))  # the same records
    with open_store(tmp_path / "comparisons.sqlite") as store:
        first, second = store.comparisons()
    assert [first, second] == written
    assert first.prompt == "Go 5x5, move 1: which board do you like better for Black?"
    assert second.prompt == "Go 5x5, move 2: which board do you like better for White?"
    assert (first.a, first.b) == ("...../...../..X../...../..... 0-0", "...../...../...../...../X.... 0-0")
    assert (first.preferred, second.preferred) == ("a", "b")
    assert (first.rater, second.rater) == ("amateur-03", "amateur-11")
    assert first.created == second.created == when
    assert (first.source_a, first.source_b) == ("base", "rl")
