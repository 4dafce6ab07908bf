"""The stages of the study on tiny networks and hand-drawn boards."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from foolsgold.audit.match import Agent
from foolsgold.environments.go import rules
from foolsgold.environments.go.amateurs import Club
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, META
from foolsgold.labels.board_comparisons import BoardPool, pool_boards
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.policies.search import SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.studies.go_pipeline import amateur_games, judge_truly, policy_games, tuned_club
from foolsgold.training.self_play_worker import max_moves

SIZE = 5


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def network() -> GoNetwork:
    torch.manual_seed(0)
    return GoNetwork(NetworkSize(1, 8))


def action_between(before: np.ndarray, after: np.ndarray) -> int:
    point = int(after[META, rules.LAST])
    return rules.action_of(point, SIZE) if after[META, rules.PASSES] <= before[META, rules.PASSES] else SIZE**2


def test_policy_games_are_whole_legal_games(network):
    games = policy_games(network, SIZE, 12, 1, quiet)
    assert len(games) == 12
    openings = set()
    for boards in games:
        board = Board(SIZE)
        board.state = boards[0].copy()
        openings.add(board.moves)
        for before, after in pairwise(boards):
            board.play(action_between(before, after))
            np.testing.assert_array_equal(board.state, after)
        assert board.is_over or board.moves == max_moves(SIZE)
        headers = boards[:-1, META]
        assert (headers[:, rules.PASSES] < 2).all()
        assert (headers[:, rules.MOVES] < max_moves(SIZE)).all()
    assert openings <= {0, 1, 2, 3}
    assert len(openings) > 1


def test_policy_games_are_those_of_their_seed(network):
    one, again, other = (policy_games(network, SIZE, 6, seed, quiet) for seed in (1, 1, 2))
    assert [len(boards) for boards in one] == [len(boards) for boards in again]
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_more_policy_games_than_a_batch(network):
    ticks = []
    games = policy_games(network, SIZE, 300, 1, lambda *tick: ticks.append(tick))
    assert len(games) == 300
    assert ticks == [(256, 300), (300, 300)]
    assert len({boards.tobytes() for boards in games}) > 290


def test_amateurs_play_the_games_they_are_asked_for():
    ticks = []
    games = amateur_games(Club.founded(4, seed=1), SIZE, 10, 0.3, 2, lambda *tick: ticks.append(tick))
    assert ticks == [(i + 1, 10) for i in range(10)]
    assert {int(game.boards[0, META, rules.MOVES]) for game in games} <= {0, 1, 2, 3}
    assert all(len(game.actions) <= max_moves(SIZE) for game in games)
    again = amateur_games(Club.founded(4, seed=1), SIZE, 10, 0.3, 2, quiet)
    assert all(np.array_equal(a.boards, b.boards) for a, b in zip(games, again, strict=True))
    assert len({game.boards.tobytes() for game in games}) == 10


def decided(mark: str) -> np.ndarray:
    """A 7x7 board that one side owns, two eyes in its corners."""
    board = Board(7)
    stones = list(range(1, 48))
    board.set_up(stones if mark == "X" else [], stones if mark == "O" else [])
    return board.state


def one_sided_pool() -> tuple[BoardPool, np.ndarray]:
    """Boards that Black or White owns, one a game; and which are Black's."""
    blacks = np.arange(10) % 3 == 0
    return pool_boards({"drawn": [decided("X" if black else "O")[None] for black in blacks]}), blacks


@pytest.fixture(scope="module")
def judge(network) -> Agent:
    return Agent("judge", network, SearchSettings(simulations=8, considered=4), ScoreReferee())


def test_obviously_better_boards_are_judged_better(judge):
    pool, blacks = one_sided_pool()
    judged = judge_truly(judge, pool, 60, seed=1)
    assert len(judged.a) == len(judged.a_is_better) == 60
    differ = blacks[judged.a] != blacks[judged.b]
    assert differ.sum() > 10
    assert set(judged.color.tolist()) == {1, 2}
    expected = blacks[judged.a] == (judged.color == BLACK)
    np.testing.assert_array_equal(judged.a_is_better[differ], expected[differ])


def test_a_tuned_club_agrees_with_the_truth_as_often_as_wanted(judge):
    pool, _ = one_sided_pool()
    truth = judge_truly(judge, pool, 400, seed=2)
    club = Club.founded(6, seed=1)
    tuned, agreement = tuned_club(club, pool, truth, 0.66, seed=3)
    assert agreement == pytest.approx(0.66, abs=1e-6)
    np.testing.assert_array_equal(tuned.tastes, club.tastes)
    assert tuned.noise > 1e-3
