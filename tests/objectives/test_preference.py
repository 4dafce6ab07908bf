import math

import pytest
import torch

from foolsgold.objectives.preference import bradley_terry_loss, centering_penalty, preference_cross_entropy

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)


def test_equal_scores_cost_ln_2():
    scores = torch.tensor([0.3, -7.0])
    assert bradley_terry_loss(scores, scores).item() == pytest.approx(LN2)


def test_a_lead_of_ln_3_is_three_to_one():
    # sigma(ln 3) = 3/4: the loss is ln(4/3) when right and ln 4 when wrong.
    high, low = torch.tensor([LN3]), torch.tensor([0.0])
    assert bradley_terry_loss(high, low).item() == pytest.approx(LN4 - LN3)
    assert bradley_terry_loss(low, high).item() == pytest.approx(LN4)


def test_margin_eats_the_lead():
    lead, zero = torch.tensor([LN3 + 2]), torch.tensor([0.0])
    assert bradley_terry_loss(lead, zero, margin=2.0).item() == pytest.approx(LN4 - LN3)
    assert bradley_terry_loss(lead, zero, margin=torch.tensor([LN3 + 2])).item() == pytest.approx(LN2)


def test_weights_make_a_weighted_mean():
    chosen, rejected = torch.tensor([0.0, LN3]), torch.tensor([0.0, 0.0])
    loss = bradley_terry_loss(chosen, rejected, weight=torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx((LN2 + 3 * (LN4 - LN3)) / 4)


def test_far_apart_scores_stay_finite():
    chosen = torch.tensor([-1000.0], requires_grad=True)
    loss = bradley_terry_loss(chosen, torch.tensor([1000.0]))
    loss.backward()
    assert loss.item() == 2000
    assert chosen.grad.item() == -1


def test_soft_label_by_hand():
    # sigma(ln 3) = 3/4 against 3/4: the entropy of a 3:1 coin, ln 4 - (3/4) ln 3.
    loss = preference_cross_entropy(torch.tensor([LN3]), torch.tensor([0.0]), torch.tensor([0.75]))
    assert loss.item() == pytest.approx(LN4 - 0.75 * LN3)


def test_hard_labels_are_bradley_terry():
    a, b = torch.tensor([1.5, -0.5]), torch.tensor([0.25, 2.0])
    loss = preference_cross_entropy(a, b, torch.tensor([1, 0]))
    assert loss.item() == pytest.approx(bradley_terry_loss(torch.tensor([1.5, 2.0]), torch.tensor([0.25, -0.5])).item())


def test_a_tie_pulls_the_scores_together():
    a, b = torch.tensor([LN3], requires_grad=True), torch.tensor([0.0], requires_grad=True)
    loss = preference_cross_entropy(a, b, torch.tensor([0.5]))
    loss.backward()
    # The gradient is sigma(lead) - 0.5 = 3/4 - 1/2.
    assert loss.item() == pytest.approx(LN4 - 0.5 * LN3)
    assert a.grad.item() == pytest.approx(0.25)
    assert b.grad.item() == pytest.approx(-0.25)
    equal = torch.tensor([4.0])
    assert preference_cross_entropy(equal, equal, torch.tensor([0.5])).item() == pytest.approx(LN2)


def test_soft_labels_take_weights():
    zero = torch.zeros(2)
    loss = preference_cross_entropy(torch.tensor([LN3, 0.0]), zero, torch.tensor([1.0, 1.0]), torch.tensor([0.0, 2.0]))
    assert loss.item() == pytest.approx(LN2)


def test_centering_is_the_mean_square_of_sums():
    chosen, rejected = torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 1.0])
    assert float(centering_penalty(chosen, rejected)) == 4.5  # (0 + 9) / 2
