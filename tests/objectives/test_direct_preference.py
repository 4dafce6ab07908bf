import math

import pytest
import torch
from scipy.optimize import minimize_scalar

from foolsgold.objectives.direct_preference import dpo_loss, implicit_reward, ipo_loss, kto_loss, kto_reference_kl


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_dpo_worked_by_hand():
    # Rewards 0.5 * (-10 + 12) = 1 and 0.5 * (-8 + 7) = -0.5: lead 1.5.
    loss = dpo_loss(column(-10), column(-8), column(-12), column(-7), beta=0.5)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1.5)))


def test_dpo_smoothed_worked_by_hand():
    loss = dpo_loss(column(-10), column(-8), column(-12), column(-7), beta=0.5, label_smoothing=0.1)
    assert loss.item() == pytest.approx(0.9 * math.log(1 + math.exp(-1.5)) + 0.1 * math.log(1 + math.exp(1.5)))


def test_dpo_before_the_first_step_is_log_2():
    log_prob, other = column(-3, -5), column(-4, -9)
    assert dpo_loss(log_prob, other, log_prob, other).item() == pytest.approx(math.log(2))


def test_smoothed_dpo_stops_where_the_lead_says_the_error_rate():
    # One label in ten wrong: best at a preference of 9 : 1.
    best = minimize_scalar(
        lambda x: dpo_loss(column(x), column(0), column(0), column(0), beta=1, label_smoothing=0.1).item()
    )
    assert best.x == pytest.approx(math.log(9), abs=1e-4)


def test_implicit_reward_worked_by_hand():
    assert implicit_reward(column(-10, -8), column(-12, -7), beta=0.5).tolist() == [1, -0.5]


def test_ipo_worked_by_hand():
    # Means over tokens: 2 / 4 and -1 / 2: lead 1, target 1 / (2 * 0.25) = 2.
    loss = ipo_loss(column(-10), column(-8), column(-12), column(-7), column(4), column(2), beta=0.25)
    assert loss.item() == pytest.approx(1)


def test_ipo_is_zero_at_its_target_and_pulls_back_beyond():
    chosen = column(30.0).requires_grad_()
    loss = ipo_loss(chosen, column(0), column(0), column(0), column(5), column(5), beta=0.1)
    loss.backward()
    assert ipo_loss(column(25), column(0), column(0), column(0), column(5), column(5), beta=0.1).item() == 0
    assert chosen.grad.item() > 0


def test_kto_worked_by_hand():
    # Log ratios 3 and -1, reference point 1, beta 0.5: leads 1 and -1.
    # Desirable: 1 - s(1) = s(-1); undesirable: 1 - s(0.5 * (1 - -1)) = s(-1); weights 2 and 1: 3 s(-1) / 2.
    loss = kto_loss(
        column(-5, -9),
        column(-8, -8),
        torch.tensor([True, False]),
        column(1)[0],
        beta=0.5,
        desirable_weight=2.0,
    )
    assert loss.item() == pytest.approx(1.5 / (1 + math.e))


def test_kto_raises_the_desirable_and_lowers_the_other():
    log_prob = column(-5, -5).requires_grad_()
    kto_loss(log_prob, column(-5, -5), torch.tensor([True, False]), column(0)[0]).backward()
    assert log_prob.grad[0] < 0 < log_prob.grad[1]


def test_kto_reference_kl_is_a_constant_of_at_least_zero():
    log_prob = column(-5, -5).requires_grad_()
    kl = kto_reference_kl(log_prob, column(-8, -6))
    assert kl.item() == 2
    assert not kl.requires_grad
    assert kto_reference_kl(log_prob, column(-1, -1)).item() == 0
