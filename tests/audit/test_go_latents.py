"""What a reward model sees in a board: the head, put on it by hand, must give the reward."""

import numpy as np
import torch

from foolsgold.audit.go_latents import board_latents
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.policies.go_network import NetworkSize
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel


def drawn(*rows: str) -> np.ndarray:
    """The state of a drawn board: X Black, O White."""
    board = Board(len(rows))
    marks = "".join(rows)
    board.set_up(*([i for i, mark in enumerate(marks) if mark == color] for color in "XO"))
    return board.state


LEFT = drawn(*["XX.OO", "XX.O.", "XX.OO", ".X.OO", "XX..O"])
SWAPPED = drawn(*["OO.XX", "OO.X.", "OO.XX", ".O.XX", "OO..X"])


def model() -> GoRewardModel:
    torch.manual_seed(1)
    return GoRewardModel(NetworkSize(1, 8))


def test_the_head_reads_the_reward_off_them():
    states, color = np.stack([LEFT, LEFT, SWAPPED]), np.array([BLACK, WHITE, WHITE], np.int8)
    found = board_latents(model(), states, color)
    assert found.shape == (3, 16)
    head = model()
    with torch.inference_mode():
        rewards = head.out(torch.relu(head.hidden(torch.from_numpy(found))))[:, 0].numpy()
    expected = [GoReward(head, 5)(state[None], int(side))[0] for state, side in zip(states, color, strict=True)]
    np.testing.assert_allclose(rewards, expected, atol=0.03)  # playing speed is in bfloat16


def test_a_side_sees_what_the_other_sees_with_colours_swapped():
    found = board_latents(model(), np.stack([LEFT, SWAPPED]), np.array([BLACK, WHITE], np.int8))
    np.testing.assert_array_equal(found[0], found[1])


def test_many_boards_are_as_each_by_itself():
    states, color = np.stack([LEFT, SWAPPED] * 200), np.array([BLACK, BLACK, WHITE, WHITE] * 100, np.int8)
    found = board_latents(model(), states, color)
    for k in (0, 1, 2, 255, 256, 399):
        np.testing.assert_allclose(found[k], board_latents(model(), states[k : k + 1], color[k : k + 1])[0], atol=1e-5)
