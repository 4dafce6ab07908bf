"""The chi-squared term in a run: its gradient is the one written out, it holds completions back, it is logged."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_task import EOS, policy, share_of_w7, task

from foolsgold.objectives.schedules import constant
from foolsgold.policies.sampling import Sampling
from foolsgold.training.datasets import PromptRow
from foolsgold.training.kl_penalty import TERMS, KLSettings, kl_metrics
from foolsgold.training.loop import Loop, LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_batches import Updates
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings


def settings(kl, steps=1, learning_rate=1e-2, prompts=8, samples=8, new_tokens=8, micro_batch=32):
    return PolicyGradientSettings(
        LoopSettings(steps, AdamWSettings(learning_rate), constant, dtype=torch.float32),
        RolloutSettings(prompts, samples, Sampling(new_tokens, stop_tokens=(EOS,))),
        ALGORITHMS["rloo"],
        Updates(micro_batch=micro_batch),
        kl,
    )


@pytest.fixture
def gradients(monkeypatch):
    """The gradient of every update, before clipping."""
    seen, update = [], Loop.update

    def spy(self, batch=None):
        seen.append(self.optimiser.gradient.clone())
        return update(self, batch)

    monkeypatch.setattr(Loop, "update", spy)
    return seen


def flat_gradient(model, value) -> torch.Tensor:
    """In the order of the optimiser: matrices first."""
    parameters = list(model.parameters())
    ordered = [p for p in parameters if p.ndim >= 2] + [p for p in parameters if p.ndim < 2]
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, ordered)])


CHI_SQUARED = KLSettings(in_loss=0.3, term=TERMS["chi_squared"])


def equal(prompts, **columns):
    return [1.0] * len(prompts)


def test_the_gradient_of_the_term_is_the_one_written_out(gradients):
    """Equal rewards leave nothing but the price: 0.3 times the mean over 4 completions of ratio + 1 / ratio - 2, whose
    middle is 1 on average, each weighed by a ratio to what drew it that is 1 in value alone."""
    start, other, seen = policy(scale=2.0), policy(seed=1, scale=2.0), []
    for size in (32, 3):
        run = settings(CHI_SQUARED, prompts=2, samples=2, new_tokens=5, micro_batch=size)
        train_policy(policy(scale=2.0), task(equal), run, inspect=lambda step, each: seen.append(each), reference=other)
    tokens, mask = seen[0].batch.tokens, seen[0].mask
    said, of_reference = (
        (model(tokens)[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1) * mask).sum(1)
        for model in (start, other)
    )
    ratio = (said - of_reference.detach()).exp()
    assert 0.1 < float((ratio - 1).detach().abs().max()) < 1e4
    expected = flat_gradient(start, 0.3 * ((said - said.detach()).exp() * (ratio + 1 / ratio - 2)).mean())
    torch.testing.assert_close(gradients[0], expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-4, rtol=1e-4)  # whatever the micro-batches


def test_the_gradient_of_a_bandit_is_right_on_average(gradients):
    """One prompt, one token: the divergence's gradient is known exactly."""
    one = task(equal, prompts=[PromptRow("w3 w4", {})])
    start, other = policy(scale=3.0), policy(seed=1, scale=3.0)
    p, q = (model(torch.tensor([[3, 4]]))[0, -1].softmax(-1) for model in (start, other))
    exact = flat_gradient(start, 0.3 * ((p**2 / q.detach()).sum() - 1))
    run = settings(CHI_SQUARED, steps=12, learning_rate=0.0, prompts=16, samples=32, new_tokens=1)
    train_policy(policy(scale=3.0), one, run, reference=other)
    along = torch.stack(gradients) @ exact / exact.norm() ** 2
    error = float(along.std() / len(along) ** 0.5)
    assert error < 0.1
    assert abs(float(along.mean()) - 1) < 4 * error


def test_a_run_ends_where_reward_less_price_is_highest():
    """One prompt, one word, a reward of 1 for w7, of chance q at the start: p - c (p^2 / q + (1 - p)^2 / (1 - q) - 1)
    is highest at p = q + q (1 - q) / 2c."""
    one, trained, price = task(share_of_w7, prompts=[PromptRow("w3 w4", {})]), policy(), 0.04

    def chance():
        with torch.no_grad():
            return float(trained(torch.tensor([[3, 4]]))[0, -1].softmax(-1)[7])

    q = chance()
    kl = KLSettings(in_loss=price, term=TERMS["chi_squared"])
    train_policy(trained, one, settings(kl, steps=50, learning_rate=3e-3, prompts=8, samples=32, new_tokens=1))
    assert chance() == pytest.approx(q + q * (1 - q) / (2 * price), abs=0.05)
    assert chance() > 0.3 > 5 * q


def test_the_divergence_is_logged():
    # Ratios 2 and 2/3, as in tests/objectives: 1/3; what lies outside of the mask is not seen.
    log_probs = torch.tensor([[math.log(2), 5.0], [0.0, math.log(2 / 3)]])
    mask = torch.tensor([[True, False], [True, True]])
    assert kl_metrics(log_probs, torch.zeros(2, 2), mask)["chi_squared"] == pytest.approx(1 / 3)
