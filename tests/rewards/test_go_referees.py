"""Who won: the score against a plain flood fill, the reward model against its own forward pass."""

import numpy as np
import pytest
import torch

from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, META, WHITE
from foolsgold.policies.go_network import NetworkSize
from foolsgold.rewards.go_referees import ScoreReferee, area_scores
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel, RewardModelReferee

BF16 = 2**-8


def drawn(*rows: str) -> np.ndarray:
    """The state of a drawn board: X Black, O White."""
    marks = [mark for row in rows for mark in row.split()]
    board = Board(len(rows))
    board.set_up(*([i for i, mark in enumerate(marks) if mark == color] for color in "XO"))
    return board.state


def random_boards(size: int, count: int, seed: int) -> list[Board]:
    rng, boards = np.random.default_rng(seed), []
    for moves in rng.integers(0, 2 * size * size, count):
        board = Board(size)
        for _ in range(moves):
            stones = np.flatnonzero(board.legal_actions()[:-1])
            if len(stones):
                board.play(int(rng.choice(stones)))
        boards.append(board)
    return boards


def colours_swapped(board: Board) -> np.ndarray:
    """The same stones in the other colours, prisoners included."""
    swapped = Board(board.size)
    swapped.set_up(*(np.flatnonzero(board.grid.ravel() == color).tolist() for color in (WHITE, BLACK)))
    swapped.state[META, [rules.TAKEN_BY_WHITE, rules.TAKEN_BY_BLACK]] = board.captures
    return swapped.state


def owners(grid: np.ndarray) -> np.ndarray:
    """+1 Black's points, -1 White's, by flooding every empty region anew."""
    size, found = len(grid), np.where(grid == 1, 1, np.where(grid == 2, -1, 0))
    for start in np.argwhere(grid == 0):
        region, colors, frontier = set(), set(), [tuple(start)]
        while frontier:
            y, x = frontier.pop()
            if 0 <= y < size and 0 <= x < size and (y, x) not in region:
                if grid[y, x]:
                    colors.add(int(grid[y, x]))
                else:
                    region.add((y, x))
                    frontier += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        found[tuple(start)] = {frozenset({1}): 1, frozenset({2}): -1}.get(frozenset(colors), 0)
    return found


@pytest.mark.parametrize("size", [5, 7, 9])
def test_area_is_what_a_flood_fill_finds(size):
    boards = random_boards(size, 12, seed=size)
    scores, ownership = area_scores(np.stack([board.state for board in boards]))
    for board, score, owner in zip(boards, scores, ownership, strict=True):
        np.testing.assert_array_equal(owner.reshape(size, size), owners(board.grid))
        assert score == owners(board.grid).sum()


def test_the_score_decides_komi_counted():
    # Black: 5 stones, 10 points behind them; White: 5 stones and 5 points. The lead is 5.
    state = drawn(*[". . X O ."] * 5)
    komi = np.array([0, 4.5, 5, 5.5, -3], np.float32)
    results, margins = ScoreReferee().judge(np.stack([state] * 5), komi)
    assert margins.tolist() == [5, 0.5, 0, -0.5, 8]
    assert results.tolist() == [1, 1, 0, -1, 1]


def test_an_empty_board_is_whites_by_komi():
    results, margins = ScoreReferee().judge(Board(7).state[None], np.array([9.5], np.float32))
    assert (results.tolist(), margins.tolist()) == ([-1], [-9.5])


@pytest.fixture(scope="module")
def model() -> GoRewardModel:
    """A reward model whose residual branches, zero at birth, say something."""
    torch.manual_seed(0)
    model = GoRewardModel(NetworkSize(2, 8))
    for block in model.trunk.blocks:
        torch.nn.init.normal_(block.second.weight, std=0.1)
    return model


@pytest.fixture(scope="module")
def reward(model) -> GoReward:
    return GoReward(model, 5)


def plain_planes(board: Board, color: int) -> np.ndarray:
    """The seven planes of the reward model, read off the board point by point."""
    taken = board.captures[0] - board.captures[1]
    planes = np.zeros((7, board.size, board.size), np.float32)
    planes[0], planes[1], planes[5] = board.grid == color, board.grid == 3 - color, 1
    planes[6] = (taken if color == BLACK else -taken) / 10
    for count in (1, 2, 3):
        for y, x in np.argwhere(board.grid):
            planes[1 + count, y, x] = liberties(board.grid, (int(y), int(x))) == count
    return planes


def liberties(grid: np.ndarray, point: tuple[int, int]) -> int:
    size, chain, free, frontier = len(grid), {point}, set(), [point]
    while frontier:
        y, x = frontier.pop()
        for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if 0 <= v < size and 0 <= u < size:
                if grid[v, u] == 0:
                    free.add((v, u))
                elif grid[v, u] == grid[point] and (v, u) not in chain:
                    chain.add((v, u))
                    frontier.append((v, u))
    return len(free)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 70])
def test_rewards_are_the_models_for_any_number_of_boards(model, reward, count):
    boards = random_boards(5, count, seed=count)
    states = np.stack([board.state for board in boards])
    for color in (BLACK, WHITE):
        planes = torch.from_numpy(np.stack([plain_planes(board, color) for board in boards]))
        with torch.inference_mode():
            expected = model(planes).numpy()
        found = reward(states, color)
        assert found.shape == (count,)
        assert np.abs(found - expected).max() <= 8 * BF16 * np.abs(expected).max()


def test_the_margin_changes_sign_with_the_colours(reward):
    boards = random_boards(5, 40, seed=7)
    margins = reward.margin(np.stack([board.state for board in boards]))
    assert np.ptp(margins) > 0
    np.testing.assert_array_equal(reward.margin(np.stack([colours_swapped(b) for b in boards])), -margins)


def test_the_margin_is_blacks_reward_less_whites(reward):
    states = np.stack([board.state for board in random_boards(5, 5, seed=8)])
    np.testing.assert_allclose(reward.margin(states), reward(states, BLACK) - reward(states, WHITE), atol=1e-6)


class Fixed:
    """Stands for a reward model: margins by rote."""

    def __init__(self, margins):
        self.margins = np.array(margins, np.float32)

    def margin(self, states):
        return self.margins


def test_the_reward_models_favourite_wins_by_its_margin_in_points():
    states = np.stack([Board(7).state] * 3)
    referee = RewardModelReferee(Fixed([4.0, 0.0, -1.0]), logits_a_board=2.0)
    for komi in (0.5, 50.5):  # komi means nothing to it
        results, margins = referee.judge(states, np.full(3, komi, np.float32))
        assert results.tolist() == [1, 0, -1]
        assert margins.tolist() == [14, 0, -3.5]  # two logits are one board of side 7
        assert margins.dtype == np.float32
