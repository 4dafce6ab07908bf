import math
from functools import partial

import pytest
import torch

from foolsgold.objectives.policy_gradient import (
    Normalizer,
    cispo_loss,
    clipped_value_loss,
    gspo_loss,
    per_constant_length,
    per_sequence_mean,
    ppo_clip_loss,
    reinforce_loss,
    token_mean,
)

LOSSES = [reinforce_loss, ppo_clip_loss, partial(gspo_loss, clip_low=0.1, clip_high=0.1), cispo_loss]
AGGREGATIONS = [per_sequence_mean, token_mean, per_constant_length(9)]


def close(expected, tolerance=1e-6):
    return pytest.approx(expected, abs=tolerance)


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


def random_batch(seed=0, sequences=6, tokens=7):
    generator = torch.Generator().manual_seed(seed)
    old = -torch.rand(sequences, tokens, generator=generator, dtype=torch.float64) * 3
    log_prob = old + 0.3 * torch.randn(sequences, tokens, generator=generator, dtype=torch.float64)
    advantage = torch.randn(sequences, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, tokens + 1, (sequences, 1), generator=generator)
    return log_prob, old, advantage, torch.arange(tokens) < lengths


@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "gradient", "clipped"),
    [
        (1.1, 2.0, -2.2, -2.2, 0),  # within: -r A, whose derivative by the log-probability is itself
        (1.5, 2.0, -2.4, 0, 1),  # pushed up far enough: -1.2 A
        (1.5, -2.0, 3.0, 3.0, 0),  # too likely and bad: brought back
        (0.5, -2.0, 1.6, 0, 1),  # pushed down far enough: -0.8 A
        (0.5, 2.0, -1.0, -1.0, 0),  # too unlikely and good: brought back
    ],
)
def test_ppo_clip_worked_by_hand(ratio, advantage, value, gradient, clipped):
    log_prob = row(math.log(ratio)).requires_grad_()
    loss = ppo_clip_loss(log_prob, row(0.0), torch.tensor([advantage]), torch.tensor([[True]]))
    loss.value.backward()
    assert loss.value.item() == close(value)
    assert log_prob.grad.item() == close(gradient)
    assert loss.clip_fraction.item() == clipped


def test_clip_higher_moves_only_the_upper_bound():
    log_prob = row(math.log(1.25), math.log(0.75))
    loss = ppo_clip_loss(log_prob, row(0, 0), row(1, -1), torch.tensor([[True, True]]), clip_high=0.28)
    # 1.25 is below 1.28 now; 0.75 is still cut to 0.8: (-1.25 + 0.8) / 2.
    assert loss.value.item() == close(-0.225)
    assert loss.clip_fraction.item() == 0.5


def test_diagnostics_worked_by_hand():
    # Ratios 2 and 1/2, mean 1.25; k3: 2 - 1 - log 2 and 1/2 - 1 + log 2, mean 0.25.
    log_prob = row(math.log(2), -math.log(2), 7.0)
    loss = reinforce_loss(log_prob, row(0, 0, 0), torch.tensor([1.0]), torch.tensor([[True, True, False]]))
    assert loss.ratio_mean.item() == close(1.25)
    assert loss.approx_kl.item() == close(0.25)
    assert loss.clip_fraction.item() == 0


def test_gspo_worked_by_hand():
    # Log ratios 0.3 and -0.1: mean 0.1. Unclipped: -e^0.1 A, and each token gets half of it as gradient.
    log_prob = row(0.3, -0.1).requires_grad_()
    loss = gspo_loss(log_prob, row(0, 0), torch.tensor([2.0]), torch.tensor([[True, True]]), clip_high=0.2)
    loss.value.backward()
    assert loss.value.item() == close(-2 * math.exp(0.1))
    assert log_prob.grad[0].tolist() == close([-math.exp(0.1), -math.exp(0.1)])


def test_gspo_clips_whole_sequences():
    log_prob = row(0.3, -0.1).requires_grad_()
    loss = gspo_loss(log_prob, row(0, 0), torch.tensor([2.0]), torch.tensor([[True, True]]), clip_high=0.05)
    loss.value.backward()
    assert loss.value.item() == close(-2.1)
    assert loss.clip_fraction.item() == 1
    assert log_prob.grad[0].tolist() == [0, 0]


def test_cispo_bounds_the_weight_and_keeps_the_gradient():
    # Ratios 8 and 2, weights 5 and 2: gradients -w A / 2 tokens; value -(5 log 8 + 2 log 2) A / 2 = -17 log 2.
    log_prob = row(math.log(8), math.log(2)).requires_grad_()
    loss = cispo_loss(log_prob, row(0, 0), torch.tensor([2.0]), torch.tensor([[True, True]]))
    loss.value.backward()
    assert loss.value.item() == close(-17 * math.log(2))
    assert log_prob.grad[0].tolist() == close([-5, -2])
    assert loss.clip_fraction.item() == 0.5


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_on_policy_every_loss_has_the_gradient_of_reinforce(loss, aggregate):
    _, old, advantage, mask = random_batch()
    gradients = []
    for function in (loss, reinforce_loss):
        log_prob = old.clone().requires_grad_()
        function(log_prob, old, advantage, mask, aggregate=aggregate).value.backward()
        gradients.append(log_prob.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-12)


@pytest.mark.parametrize("loss", [ppo_clip_loss, partial(gspo_loss, clip_low=0.1, clip_high=0.1)])
@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_gradient_equals_finite_differences(loss, aggregate):
    log_prob, old, advantage, mask = random_batch()

    def value(x):
        return loss(x, old, advantage, mask, aggregate=aggregate).value

    assert torch.autograd.gradcheck(value, log_prob.requires_grad_())


def test_aggregations_worked_by_hand():
    terms = torch.tensor([[1.0, 2.0, 3.0], [10.0, 99.0, 99.0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    normalizer = Normalizer.of(mask)
    assert per_sequence_mean(terms, mask, normalizer).item() == 6  # (2 + 10) / 2
    assert token_mean(terms, mask, normalizer).item() == 4  # 16 / 4
    assert per_constant_length(4)(terms, mask, normalizer).item() == 2  # 16 / (2 * 4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_micro_batches_add_up_to_the_batch(loss, aggregate):
    log_prob, old, advantage, mask = random_batch()
    mask[2] = False  # padding
    whole = log_prob.clone().requires_grad_()
    expected = loss(whole, old, advantage, mask, aggregate=aggregate)
    expected.value.backward()

    pieces = log_prob.clone().requires_grad_()
    normalizer = Normalizer.of(mask)
    got = []
    for rows in (slice(0, 1), slice(1, 3), slice(3, 6)):
        part = loss(pieces[rows], old[rows], advantage[rows], mask[rows], aggregate=aggregate, normalizer=normalizer)
        part.value.backward()
        got.append(part)
    assert torch.allclose(pieces.grad, whole.grad, atol=1e-12)
    for name in ("value", "clip_fraction", "approx_kl", "ratio_mean"):
        total = sum(getattr(part, name).item() for part in got)
        assert total == close(getattr(expected, name).item(), 1e-12), name


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_what_is_masked_reaches_neither_loss_nor_gradient(loss, aggregate):
    log_prob, old, advantage, mask = random_batch()
    clean = log_prob.clone().requires_grad_()
    loss(clean, old, advantage, mask, aggregate=aggregate).value.backward()
    dirty = torch.where(mask, log_prob, -math.inf).requires_grad_()
    dirty_old = torch.where(mask, old, math.nan)
    loss(dirty, dirty_old, advantage, mask, aggregate=aggregate).value.backward()
    assert torch.equal(dirty.grad, clean.grad)
    assert (dirty.grad[~mask] == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_without_tokens_has_no_loss(loss):
    log_prob = torch.zeros(2, 3, requires_grad=True)
    got = loss(log_prob, torch.zeros(2, 3), torch.ones(2), torch.zeros(2, 3, dtype=torch.bool))
    got.value.backward()
    assert got.value.item() == 0
    assert (log_prob.grad == 0).all()


@pytest.mark.parametrize("loss", [reinforce_loss, ppo_clip_loss, cispo_loss])
def test_one_advantage_a_sequence_is_the_same_for_all_its_tokens(loss):
    log_prob, old, advantage, mask = random_batch()
    per_token = advantage[:, None].expand_as(mask)
    assert loss(log_prob, old, per_token, mask).value == loss(log_prob, old, advantage, mask).value


@pytest.mark.parametrize(
    ("value", "old", "returns", "loss", "gradient"),
    [
        (0.1, 0.0, 1.0, 0.405, -0.9),  # moved little: 0.9^2 / 2
        (0.5, 0.0, 1.0, 0.32, 0.0),  # moved 0.5 towards the return: judged at 0.2, 0.8^2 / 2, no more pull
        (-0.5, 0.0, 1.0, 1.125, -1.5),  # moved away: judged where it is
    ],
)
def test_clipped_value_loss_worked_by_hand(value, old, returns, loss, gradient):
    x = row(value, 7.0).requires_grad_()
    got = clipped_value_loss(x, row(old, 0), row(returns, 0), torch.tensor([[True, False]]))
    got.backward()
    assert got.item() == close(loss)
    assert x.grad[0].tolist() == close([gradient, 0])
