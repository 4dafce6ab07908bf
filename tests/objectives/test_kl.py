import math

import pytest
import torch

from foolsgold.objectives.kl import AdaptiveKL, exact_kl, k1, k2, k3, sequence_kl, weighted_k3


def test_estimators_worked_by_hand():
    # p = 1/2 under the policy, 1/4 under the reference: log 2; (log 2)^2 / 2; 1/2 - 1 + log 2.
    log_p, log_q = torch.tensor(math.log(0.5)), torch.tensor(math.log(0.25))
    assert k1(log_p, log_q).item() == pytest.approx(math.log(2))
    assert k2(log_p, log_q).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert k3(log_p, log_q).item() == pytest.approx(math.log(2) - 0.5)


def test_exact_kl_worked_by_hand():
    # (1/2, 1/2) from (1/4, 3/4): log(2) / 2 + log(2/3) / 2 = log(4/3) / 2. Adding to all logits changes nothing.
    logits, ref_logits = torch.tensor([[5.0, 5.0]]), torch.tensor([[0.0, math.log(3)]])
    assert exact_kl(logits, ref_logits).tolist() == pytest.approx([math.log(4 / 3) / 2])


def test_expected_k1_and_k3_are_the_exact_kl():
    generator = torch.Generator().manual_seed(0)
    logits, ref_logits = torch.randn(2, 5, 11, generator=generator, dtype=torch.float64)
    p, log_p, log_q = logits.softmax(-1), logits.log_softmax(-1), ref_logits.log_softmax(-1)
    kl = exact_kl(logits, ref_logits)
    for estimator in (k1, k3):
        assert torch.allclose((p * estimator(log_p, log_q)).sum(-1), kl, atol=1e-12)
    assert (k3(log_p, log_q) >= 0).all()


def test_expected_gradient_of_k2_is_that_of_the_kl():
    logits = torch.tensor([0.3, -0.8, 1.1], dtype=torch.float64, requires_grad=True)
    ref_logits = torch.tensor([1.0, 0.2, -0.5], dtype=torch.float64)
    (true,) = torch.autograd.grad(exact_kl(logits, ref_logits), logits)
    log_p = logits.log_softmax(-1)
    expected = (log_p.detach().exp() * k2(log_p, ref_logits.log_softmax(-1))).sum()
    (got,) = torch.autograd.grad(expected, logits)
    assert torch.allclose(got, true, atol=1e-12)


@pytest.mark.parametrize("old_logits", [[0.3, -0.8, 1.1], [0.0, 0.5, 0.2]], ids=["on policy", "stale"])
def test_expected_value_and_gradient_of_weighted_k3_are_those_of_the_kl(old_logits):
    logits = torch.tensor([0.3, -0.8, 1.1], dtype=torch.float64, requires_grad=True)
    ref_logits = torch.tensor([1.0, 0.2, -0.5], dtype=torch.float64)
    old_log_p = torch.tensor(old_logits, dtype=torch.float64).log_softmax(-1)
    kl = exact_kl(logits, ref_logits)
    expected = (old_log_p.exp() * weighted_k3(logits.log_softmax(-1), old_log_p, ref_logits.log_softmax(-1))).sum()
    assert expected.item() == pytest.approx(kl.item())
    (true,), (got,) = torch.autograd.grad(kl, logits), torch.autograd.grad(expected, logits)
    assert torch.allclose(got, true, atol=1e-12)


def test_exact_kl_of_a_truncated_policy_is_finite_and_has_a_gradient():
    logits = torch.tensor([0.0, 0.0, -math.inf], requires_grad=True)
    ref_logits = torch.tensor([0.0, 0.0, 0.0])
    kl = exact_kl(logits, ref_logits)
    kl.backward()
    assert kl.item() == pytest.approx(math.log(3 / 2))
    assert logits.grad.isfinite().all()


def test_exact_kl_is_infinite_where_the_reference_never_goes():
    assert exact_kl(torch.zeros(2), torch.tensor([0.0, -math.inf])).item() == math.inf
    both = torch.tensor([0.0, -math.inf])
    assert exact_kl(both, both).item() == 0


def test_k3_keeps_its_digits_near_zero():
    # For a log ratio d it is d^2 / 2 to first order: 5e-9 for 1e-4, lost if exp(d) - 1 - d were taken in float32.
    assert k3(torch.tensor(0.0), torch.tensor(1e-4)).item() == pytest.approx(5e-9, rel=1e-2)


def test_sequence_kl_worked_by_hand():
    # Sums over the masked tokens: 3, 1 and 2 nats: mean 2, deviation 1, standard error 1 / sqrt 3.
    log_prob = torch.tensor([[1.0, 2.0, math.nan], [1.0, math.nan, math.nan], [0.0, 0.0, 2.0]])
    mean, error = sequence_kl(log_prob, torch.zeros(3, 3), ~log_prob.isnan())
    assert mean == pytest.approx(2)
    assert error == pytest.approx(1 / math.sqrt(3))


def test_sequence_kl_covers_the_truth():
    # Two tokens of a chain whose second distribution hangs on the first: KL(first) + E[KL(second | first)].
    generator = torch.Generator().manual_seed(1)
    first, ref_first = torch.randn(2, 3, generator=generator).log_softmax(-1)
    second, ref_second = torch.randn(2, 3, 3, generator=generator).log_softmax(-1)
    truth = (exact_kl(first, ref_first) + (first.exp() * exact_kl(second, ref_second)).sum()).item()
    a = torch.multinomial(first.exp(), 20_000, replacement=True, generator=generator)
    b = torch.multinomial(second.exp()[a], 1, generator=generator)[:, 0]
    log_prob = torch.stack([first[a], second[a, b]], 1)
    ref_log_prob = torch.stack([ref_first[a], ref_second[a, b]], 1)
    mask = torch.ones_like(log_prob, dtype=torch.bool)
    for estimator in (k1, k3):
        mean, error = sequence_kl(log_prob, ref_log_prob, mask, estimator)
        assert abs(mean - truth) < 4 * error


def test_sequence_kl_of_one_sequence_has_no_error_and_of_none_no_value():
    mean, error = sequence_kl(torch.ones(1, 2), torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool))
    assert mean == 2
    assert math.isnan(error)
    with pytest.raises(ValueError, match="no sequences"):
        sequence_kl(torch.ones(0, 2), torch.ones(0, 2), torch.ones(0, 2, dtype=torch.bool))


@pytest.mark.parametrize(
    ("kl", "coefficient"),
    [(6.0, 0.2), (6.6, 0.202), (5.4, 0.198), (100.0, 0.204), (0.0, 0.196)],  # at most a fifth of the gain
)
def test_adaptive_kl_worked_by_hand(kl, coefficient):
    controller = AdaptiveKL(coefficient=0.2, target=6.0)
    assert controller.updated(kl) == AdaptiveKL(pytest.approx(coefficient), 6.0)
    assert controller.coefficient == 0.2
