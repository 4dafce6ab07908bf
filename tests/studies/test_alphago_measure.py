"""What is measured after training, with reward models that answer by rote."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from foolsgold.audit.match import RAW_POLICY, Agent, Match, play_match
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.studies import alphago_measure
from foolsgold.studies.alphago_measure import (
    Snapshot,
    loved_and_lost,
    moves_of_game,
    proxy_for_first,
    read_meter,
    trajectory,
)


class ByRote:
    """A reward model that says its margins in order."""

    def __init__(self, *margins: float):
        self.margins = np.array(margins, np.float32)

    def margin(self, states: np.ndarray) -> np.ndarray:
        return self.margins[: len(states)]


class CountsStones:
    """A reward model to which a board is as good as its stones are many."""

    def margin(self, states: np.ndarray) -> np.ndarray:
        stones = [(state[0] == BLACK).sum() - (state[0] == WHITE).sum() for state in states.astype(np.int64)]
        return np.array(stones, np.float32)


def columns(black: int, hole: int | None = None) -> np.ndarray:
    """5x5: Black's columns from the left, White's from the right, an empty point in the first and the last corner.

    The score is -5 with two black columns. With one, its corner is neutral: 4 - 20 = -16. And the reverse.
    """
    board = Board(5)
    marks = [1 if x < black else 2 for _ in range(5) for x in range(5)]
    empty = {0, 24} | ({hole} if hole is not None else set())
    board.set_up(*([i for i, mark in enumerate(marks) if mark == color and i not in empty] for color in (1, 2)))
    return board.state


def test_loved_and_lost_boards_come_surest_first():
    states = np.stack([columns(n) for n in (4, 1, 3, 2, 4)])  # scores +16, -16, +5, -5, +16
    # White loved and lost; right; right; Black loved and lost; right.
    found = loved_and_lost(states, ByRote(-1.0, -9.0, 3.0, 2.0, 8.0), 10)
    assert [(board.color, board.margin, board.score) for board in found] == [(BLACK, 2.0, -5), (WHITE, 1.0, -16)]
    for board, row in zip(found, (3, 0), strict=True):
        np.testing.assert_array_equal(board.state, states[row])


def test_no_more_are_shown_than_asked_for():
    states = np.stack([columns(n) for n in (1, 2)])
    assert [board.margin for board in loved_and_lost(states, ByRote(1, 2), 1)] == [2]
    assert loved_and_lost(states, ByRote(1, 2), 0) == []


def test_of_boards_with_the_same_stones_the_surest_is_shown():
    states = np.stack([columns(2), columns(2, hole=12), columns(2)])
    found = loved_and_lost(states, ByRote(1, 2, 3), 10)
    assert [board.margin for board in found] == [3, 2]


def test_a_reward_model_that_is_always_right_or_has_no_view_is_never_fooled():
    states = np.stack([columns(4), columns(1), columns(2)])
    assert loved_and_lost(states, ByRote(5.0, -5.0, 0.0), 10) == []


def drawn_match(final: list[np.ndarray], score: list[float]) -> Match:
    opening = Board(5)
    opening.play(12)
    opening.play(13)
    games = len(final)
    return Match(
        first_is_black=np.tile([True, False], games // 2),
        komi=np.full(games, 0.5, np.float32),
        score=np.array(score, np.float32),
        final=np.stack(final),
        openings=np.stack([opening.state] * games),
        actions=np.array([[3, 4], [25, 25], [25, 7], [-1, 25], [-1, 25]]),
    )


def test_the_proxy_is_the_reward_models_margin_for_the_first_agent():
    match = drawn_match([columns(4), columns(4)], [15.5, -15.5])
    assert proxy_for_first(ByRote(2.0, 3.0), match).tolist() == [2, -3]


def test_the_meter_says_how_often_the_reward_model_names_the_winner(monkeypatch, tmp_path):
    boards = [columns(4), columns(1), columns(3)]  # more stones of Black, of White, of Black
    kept = {
        0: SimpleNamespace(states=np.stack(boards), score=np.array([15.5, -16.5, -2.5])),
        1: SimpleNamespace(states=np.stack(boards[:1]), score=np.array([-0.5])),
        2: SimpleNamespace(states=np.stack(boards[1:]), score=np.array([-3.0, 4.0])),
    }
    monkeypatch.setattr(alphago_measure, "load_finished", lambda folder, iteration: kept[iteration])
    games, meter = read_meter(tmp_path, 3, CountsStones())
    assert games.tolist() == [0, 3, 4]  # behind each iteration
    assert [agrees.tolist() for agrees in meter] == [[True, True, False], [False], [True, True]]


def test_moves_of_a_game_stop_at_its_end():
    match = drawn_match([columns(4), columns(4)], [15.5, -15.5])
    assert moves_of_game(match, 0) == [3, 25, 25]
    assert moves_of_game(match, 1) == [4, 25, 7, 25, 25]


@pytest.fixture(scope="module")
def agents() -> list[Agent]:
    torch.manual_seed(0)
    return [Agent(str(i), GoNetwork(NetworkSize(1, 8)), RAW_POLICY, ScoreReferee()) for i in range(3)]


def test_a_trajectory_is_one_match_a_snapshot_against_the_same_opponent(agents):
    *players, opponent = agents
    snapshots, ticks = [Snapshot(10 * i, agent) for i, agent in enumerate(players)], []
    meter = np.array([0, 7]), [np.array([True]), np.array([False])]
    found = trajectory(snapshots, meter, opponent, CountsStones(), 5, 6, 3, lambda *tick: ticks.append(tick))
    assert found.games.tolist() == [0, 10]
    assert found.gold.shape == found.proxy.shape == (2, 6)
    assert ticks == [(1, 2), (2, 2)]
    for row, agent in enumerate(players):
        match = play_match(agent, opponent, 5, 6, 3)
        np.testing.assert_array_equal(found.gold[row], match.score)
        stones = CountsStones().margin(match.final)
        np.testing.assert_array_equal(found.proxy[row], np.where(match.first_is_black, stones, -stones))
