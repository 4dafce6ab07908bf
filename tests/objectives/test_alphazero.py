import math

import pytest
import torch

from foolsgold.objectives.alphazero import margin_loss, ownership_loss, policy_cross_entropy, result_loss


def test_policy_cross_entropy_worked_by_hand():
    # Probabilities 1/4, 3/4 and 1/2, 1/2 under targets (1, 0) and (1/2, 1/2): log 4 and log 2, halved.
    logits = torch.tensor([[0.0, math.log(3)], [7.0, 7.0]])
    target = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    assert policy_cross_entropy(logits, target).item() == pytest.approx((math.log(4) + math.log(2)) / 2)


def test_policy_cross_entropy_is_the_entropy_at_best():
    target = torch.tensor([[0.7, 0.2, 0.1]])
    entropy = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))
    assert policy_cross_entropy(target.log() + 3, target).item() == pytest.approx(entropy, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "result", "loss"),
    [
        (0.0, 1.0, math.log(2)),
        (0.0, -1.0, math.log(2)),
        (0.5 * math.log(3), 1.0, -math.log(0.75)),  # tanh = 1/2, a win three times in four
        (0.5 * math.log(3), -1.0, -math.log(0.25)),
        (0.5 * math.log(3), 0.0, -0.5 * (math.log(0.75) + math.log(0.25))),  # a draw is half a win
    ],
)
def test_result_loss_worked_by_hand(value, result, loss):
    assert result_loss(torch.tensor([value]), torch.tensor([result])).item() == pytest.approx(loss, abs=1e-6)


def test_result_loss_is_smallest_where_tanh_is_the_mean_result():
    # Three wins and a loss have mean 1/2 = tanh(v).
    value = torch.full((4,), math.atanh(0.5), requires_grad=True)
    result_loss(value, torch.tensor([1.0, 1.0, 1.0, -1.0])).backward()
    assert value.grad.sum().item() == pytest.approx(0, abs=1e-6)


def test_margin_loss_is_square_near_and_straight_far():
    # |d| = 0.4: 0.4^2 / 2 = 0.08; |d| = 3: 3 - 1/2 = 2.5.
    assert margin_loss(torch.tensor([1.4, -2.0]), torch.tensor([1.0, 1.0])).item() == pytest.approx((0.08 + 2.5) / 2)


def test_ownership_loss_worked_by_hand():
    # tanh = 1/2, 0, -1/2 against 1, 1, -1: squares 1/4, 1, 1/4.
    v = math.atanh(0.5)
    owner = torch.tensor([[1.0, 1.0, -1.0]])
    assert ownership_loss(torch.tensor([[v, 0.0, -v]]), owner).item() == pytest.approx(0.5, abs=1e-6)
