"""Reward models of boards under a defence: margins by rote, worked by hand for each side."""

import numpy as np
import pytest
import torch

from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.errors import UserError
from foolsgold.policies.go_network import NetworkSize
from foolsgold.rewards.ensembles import mean, mean_minus_deviations, worst_case
from foolsgold.rewards.go_ensembles import DEFENCES, GoEnsemble, StartBoards, capped, defended_boards
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel

BOARDS = np.stack([Board(5).state] * 3)
COLOR = np.array([BLACK, WHITE, WHITE], np.int8)


class Fixed:
    """Stands for a reward model: Black's margins by rote."""

    def __init__(self, margins):
        self.margins = np.array(margins, np.float32)

    def margin(self, states):
        return self.margins


MEMBERS = [Fixed([4, 1, -3]), Fixed([2, 5, -1])]


def test_margins_are_those_of_the_judged_side():
    assert GoEnsemble(MEMBERS).margins(BOARDS, COLOR).tolist() == [[4, -1, 3], [2, -5, 1]]


@pytest.mark.parametrize(
    ("combine", "expected"),
    [(mean, [3, -3, 2]), (worst_case, [2, -5, 1]), (mean_minus_deviations(0.5), [2.5, -4, 1.5])],
)
def test_white_is_doubted_as_black_is(combine, expected):
    # Black's least of the second board would be 1, and White's thus -1: what flatters White most.
    assert GoEnsemble(MEMBERS, combine)(BOARDS, COLOR).tolist() == expected


def test_beyond_the_cap_more_is_worth_nothing():
    assert capped(GoEnsemble(MEMBERS), 2.5)(BOARDS, COLOR).tolist() == [2.5, -3, 2]


def test_an_ensemble_of_nobody_is_refused():
    with pytest.raises(UserError, match="at least one"):
        GoEnsemble([])


def models() -> list[GoRewardModel]:
    torch.manual_seed(0)
    first = GoRewardModel(NetworkSize(1, 8))
    found = []
    for member in range(3):
        model = GoRewardModel(NetworkSize(1, 8))
        model.load_state_dict(first.state_dict())
        torch.nn.init.normal_(model.out.weight, std=0.1 * (member + 1))
        found.append(model)
    return found


def boards(count: int = 60) -> np.ndarray:
    rng, found = np.random.default_rng(0), []
    for moves in rng.integers(4, 30, count):
        board = Board(5)
        for _ in range(moves):
            stones = np.flatnonzero(board.legal_actions()[:-1])
            board.play(int(rng.choice(stones)) if len(stones) else 25)
        found.append(board.state)
    return np.stack(found)


def test_defences_by_name():
    states, fitted = boards(), models()
    color = np.resize(np.array([BLACK, WHITE], np.int8), len(states))
    each = np.where(color == BLACK, 1, -1) * np.array([GoReward(model, 5).margin(states) for model in fitted])
    # Gold rises with the first member's margin up to its median and falls beyond.
    gold = -np.abs(each[0] - np.median(each[0]))
    start = StartBoards(states, color, gold)
    found = {which: defended_boards(fitted, which, 5, start)(states, color) for which in DEFENCES}
    np.testing.assert_allclose(found["none"], each[0])
    np.testing.assert_allclose(found["mean"], each.mean(0))
    np.testing.assert_allclose(found["worst"], each.min(0))
    np.testing.assert_allclose(found["uncertainty"], each.mean(0) - each.std(0))
    cap = found["capped"].max()
    assert np.quantile(each[0], 0.3) < cap < np.quantile(each[0], 0.7)
    np.testing.assert_allclose(found["capped"], np.minimum(each[0], cap))
    # Members differ in their last layer alone, and a mean of linear layers is the layer of mean weights.
    np.testing.assert_allclose(found["warm"], each.mean(0), atol=0.05 * np.abs(each).max())


def test_a_cap_needs_boards_that_somebody_judged():
    start = StartBoards(BOARDS, COLOR, np.full(3, np.nan))
    with pytest.raises(UserError, match="30 or more"):
        defended_boards(models(), "capped", 5, start)
    with pytest.raises(UserError, match="no defence 'hope'"):
        defended_boards(models(), "hope", 5, start)
