"""Against sums over small distributions, by value and by gradient."""

import math

import pytest
import torch

from foolsgold.objectives.chi_squared import chi_squared, chi_squared_fine, tempered_ratio, weighted_chi_squared

LOGITS, REFERENCE = [0.3, -0.8, 1.1], [1.0, 0.2, -0.5]


def exact(logits, reference):
    """Sum of p^2 / q, less one."""
    p, q = logits.softmax(-1), reference.softmax(-1)
    return (p**2 / q).sum() - 1


def doubles(values, **options):
    return torch.tensor(values, dtype=torch.float64, **options)


def test_worked_by_hand():
    # p = (1/2, 1/2), q = (1/4, 3/4): 1/4 / 1/4 + 1/4 / 3/4 - 1 = 1/3, and as a mean under p: (2 + 2/3) / 2 - 1.
    log_ratio = torch.tensor([math.log(2), math.log(2 / 3)])
    assert chi_squared(log_ratio).item() == pytest.approx(1 / 3)
    assert chi_squared_fine(log_ratio).tolist() == pytest.approx([2, -2 / 3])
    assert exact(doubles([0, 0]), doubles([0, math.log(3)])).item() == pytest.approx(1 / 3)


def test_no_divergence_from_itself():
    assert chi_squared(torch.zeros(4)) == 0
    assert not chi_squared_fine(torch.zeros(4)).any()


def test_the_mean_over_samples_covers_the_truth():
    logits, reference = doubles(LOGITS), doubles(REFERENCE)
    drawn = torch.multinomial(logits.softmax(-1), 40_000, replacement=True, generator=torch.Generator().manual_seed(0))
    log_ratio = (logits.log_softmax(-1) - reference.log_softmax(-1))[drawn]
    error = float(log_ratio.exp().std()) / len(drawn) ** 0.5
    assert abs(float(chi_squared(log_ratio) - exact(logits, reference))) < 4 * error < 0.1


def test_beyond_the_limit_the_tangent():
    # e^2 (1 + 3 - 2) at 3, with the slope e^2 from 2 on.
    x = doubles([1.0, 2.0, 3.0, 200.0], requires_grad=True)
    ratio = tempered_ratio(x, limit=2.0)
    assert ratio[:3].tolist() == pytest.approx([math.e, math.e**2, 2 * math.e**2])
    (slope,) = torch.autograd.grad(ratio.sum(), x)
    assert slope[[0, 2, 3]].tolist() == pytest.approx([math.e, math.e**2, math.e**2])
    assert tempered_ratio(torch.tensor([500.0, -500.0])).isfinite().all()


def test_the_fined_policy_gradient_is_that_of_the_divergence():
    """Sum over p of fine times d log p, all being known."""
    logits, reference = doubles(LOGITS, requires_grad=True), doubles(REFERENCE)
    (true,) = torch.autograd.grad(exact(logits, reference), logits)
    log_p = logits.log_softmax(-1)
    fine = chi_squared_fine((log_p - reference.log_softmax(-1)).detach())
    (got,) = torch.autograd.grad((log_p.exp().detach() * fine * log_p).sum(), logits)
    assert torch.allclose(got, true, atol=1e-12)


@pytest.mark.parametrize("old", [LOGITS, [0.0, 0.5, 0.2]], ids=["on policy", "stale"])
def test_value_and_gradient_of_the_term_are_the_divergence_s(old):
    """Completions of two tokens, each from the same distribution: all nine with their chances of being drawn."""
    logits, reference, old = doubles(LOGITS, requires_grad=True), doubles(REFERENCE), doubles(old)
    first, second = (each.flatten() for each in torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij"))
    tokens = torch.stack([first, second], 1)
    log_prob, old_log_prob, ref_log_prob = (each.log_softmax(-1)[tokens] for each in (logits, old, reference))
    chance = old_log_prob.sum(1).exp()
    terms = weighted_chi_squared(log_prob, old_log_prob, ref_log_prob)
    truth = (1 + exact(logits, reference)) ** 2 - 1  # of two independent draws
    assert torch.equal(terms[:, 0], terms[:, 1])
    assert (chance * terms[:, 0]).sum().item() == pytest.approx(truth.item())
    (true,) = torch.autograd.grad(truth, logits)
    (got,) = torch.autograd.grad((chance[:, None] * terms).sum(), logits)
    assert torch.allclose(got, true, atol=1e-12)


def test_a_far_completion_is_finite_and_is_pushed_back():
    log_prob = torch.zeros(2, 3, requires_grad=True)
    terms = weighted_chi_squared(log_prob, torch.zeros(2, 3), torch.tensor([[-60.0] * 3, [60.0] * 3]))
    assert terms.isfinite().all()
    (slope,) = torch.autograd.grad(terms.sum(), log_prob)
    assert (slope[0] > 1e4).all()  # to be made less likely
    assert slope[1].tolist() == pytest.approx([-2, -2, -2])  # and at most 2 the other way


def test_nothing_to_estimate_from():
    with pytest.raises(ValueError, match="no completions"):
        chi_squared(torch.zeros(0))
