"""Verdicts on boards that are decided: both sides can only pass, and the score is counted by eye."""

import numpy as np
import pytest
import torch

from foolsgold.audit.go_truth import search_verdicts
from foolsgold.audit.match import Agent
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, META, TO_PLAY, WHITE
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.policies.search import SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee


def all_black(mark: str = "X") -> str:
    """Black owns all 49 points: 49 - 9.5."""
    return "\n".join([". X X X X X X", *["X X X X X X X"] * 5, "X X X X X X ."]).replace("X", mark)


def shared(columns: int) -> str:
    """Black has so many of the seven columns, White the others; each side has an eye in two corners."""
    row = ["X"] * columns + ["O"] * (7 - columns)
    edge = [".", *row[1:-1], "."]
    return "\n".join(" ".join(line) for line in [edge, *[row] * 5, edge])


def drawn(art: str, to_play: int) -> np.ndarray:
    marks = art.split()
    board = Board(7)
    board.set_up(*([i for i, mark in enumerate(marks) if mark == color] for color in "XO"))
    board.state[META, TO_PLAY] = to_play
    return board.state


@pytest.fixture(scope="module")
def untrained() -> Agent:
    torch.manual_seed(0)
    network = GoNetwork(NetworkSize(1, 8))  # finds every position even: what it says of them is the referee's
    return Agent("untrained", network, SearchSettings(simulations=16, considered=4), ScoreReferee())


# White gets 9.5 points of komi.
DECIDED = [(all_black(), 49 - 9.5), (all_black("O"), -49 - 9.5), (shared(5), 35 - 14 - 9.5), (shared(4), 28 - 21 - 9.5)]


@pytest.mark.parametrize("to_play", [BLACK, WHITE])
def test_verdicts_are_blacks_whoever_is_to_move(untrained, to_play):
    states = np.stack([drawn(art, to_play) for art, _ in DECIDED])
    truth = np.tanh([margin / 7 for _, margin in DECIDED])
    found = search_verdicts(untrained, states)
    assert np.sign(found).tolist() == [1, -1, 1, -1]
    # The average over the search begins with the network's own "even", hence a little nearer to 0 than the truth.
    assert (np.abs(found) <= np.abs(truth) + 1e-5).all()
    assert (np.abs(found) >= 0.75 * np.abs(truth)).all()


def test_more_boards_than_a_batch_get_the_verdicts_they_would_get_alone(untrained):
    few = np.stack([drawn(art, color) for art, _ in DECIDED for color in (BLACK, WHITE)])
    rows = np.random.default_rng(0).integers(0, len(few), 259)
    verdicts = search_verdicts(untrained, few[rows])
    assert verdicts.shape == (259,)
    np.testing.assert_allclose(verdicts, search_verdicts(untrained, few)[rows], atol=1e-6)
