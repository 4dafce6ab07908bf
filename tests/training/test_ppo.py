"""PPO learns, with either critic; its first gradient is the one written out; interrupted runs and prices of KL."""

from __future__ import annotations

import pytest
import torch
from tiny_task import EOS, adapted_llama, policy, task

from foolsgold.errors import UserError
from foolsgold.objectives.schedules import constant
from foolsgold.policies.sampling import Sampling
from foolsgold.training import checkpoint
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import Loop, LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_batches import Updates
from foolsgold.training.ppo import ActorCritic, PPOSettings, train_ppo
from foolsgold.training.rollouts import RolloutSettings


def settings(steps=1, learning_rate=5e-3, prompts=64, **others) -> PPOSettings:
    return PPOSettings(
        LoopSettings(steps, AdamWSettings(learning_rate), constant, save_every=2, dtype=torch.float32),
        RolloutSettings(prompts, 1, Sampling(8, stop_tokens=(EOS,))),
        **{"updates": Updates(epochs=2), **others},
    )


def logged(*arguments, **keywords) -> list[dict[str, float]]:
    """Metrics of every step, without times."""
    log = []
    train_ppo(*arguments, **keywords, report=lambda step, metrics: log.append(metrics))
    return [{name: value for name, value in each.items() if not name.startswith("seconds")} for each in log]


@pytest.fixture
def gradients(monkeypatch):
    """Every update's gradient by parameter, before clipping."""
    seen, update = [], Loop.update

    def spy(self, batch=None):
        seen.append({name: parameter.grad.clone() for name, parameter in self.model.named_parameters()})
        return update(self, batch)

    monkeypatch.setattr(Loop, "update", spy)
    return seen


@pytest.mark.parametrize("shared", [False, True], ids=["own trunk", "shared trunk"])
def test_ppo_raises_the_reward_and_the_critic_follows(shared):
    log = logged(policy(), task(), settings(20, shared_trunk=shared))
    assert log[0]["reward"] < 0.1
    assert log[0]["value"] == pytest.approx(0, abs=0.05)
    assert log[-1]["reward"] > 0.6
    assert log[-1]["value"] > 0.3


def test_the_first_gradient_is_the_one_written_out(gradients):
    """With values of 0 and lambda 1, every token's advantage and return is its completion's reward."""
    start, seen = policy(scale=2.0), []
    run = settings(prompts=3, lam=1.0, updates=Updates())
    rewarded = task(lambda prompts, **_: [1.0, 0.0, -2.0])
    train_ppo(policy(scale=2.0), rewarded, run, inspect=lambda step, rollouts: seen.append(rollouts))
    tokens, mask = seen[0].batch.tokens, seen[0].mask
    returns = torch.tensor([1.0, 0.0, -2.0])[:, None].expand(mask.shape)[mask]
    said = start(tokens)[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)[mask]
    (-(said * (returns - returns.mean()) / (returns.std() + 1e-4)).mean()).backward()
    for name, parameter in start.named_parameters():
        torch.testing.assert_close(gradients[0][f"policy.{name}"], parameter.grad, atol=1e-5, rtol=1e-3)
    assert start.embedding.weight.grad.norm() > 0.1
    # Half of the mean of (value - return)^2 / 2, at a value of 0.
    states = start.hidden(tokens)[:, :-1][mask]
    torch.testing.assert_close(
        gradients[0]["value.weight"][0], -0.5 * (returns[:, None] * states).mean(0).detach(), atol=1e-5, rtol=1e-3
    )
    assert gradients[0]["trunk.embedding.weight"].norm() == 0


def test_a_price_keeps_the_kl_low():
    free, priced = (
        logged(policy(), task(), settings(12, kl=kl))[-1]
        for kl in (KLSettings(measure=True), KLSettings(in_reward=0.3))
    )
    assert priced["kl"] < 0.5 * free["kl"]


class Killed(Exception):
    pass


@pytest.mark.parametrize("shared", [False, True], ids=["own trunk", "shared trunk"])
def test_a_killed_run_ends_with_the_same_numbers(tmp_path, shared):
    updates = Updates(epochs=2, minibatches=2, micro_batch=10)
    run = settings(6, shared_trunk=shared, updates=updates, kl=KLSettings(in_reward=0.01, target=0.5))
    whole = logged(policy(), task(), run, tmp_path / "whole")

    def until_3(step, metrics):
        if step == 3:
            raise Killed

    with pytest.raises(Killed):
        train_ppo(policy(), task(), run, tmp_path / "cut", until_3)
    assert logged(policy(), task(), run, tmp_path / "cut") == whole[2:]
    first, second = (checkpoint.load(tmp_path / name / "state.safetensors")[0] for name in ("whole", "cut"))
    assert torch.equal(first["master"], second["master"])


def test_micro_batches_change_nothing(gradients):
    for size in (64, 5):
        run = settings(updates=Updates(micro_batch=size), kl=KLSettings(in_loss=0.1, in_reward=0.1), learning_rate=0.0)
        train_ppo(policy(scale=2.0), task(), run)
    whole, parts = gradients
    for name, gradient in whole.items():
        torch.testing.assert_close(gradient, parts[name], atol=1e-6, rtol=1e-4)


def test_rows_without_a_reward_are_skipped(gradients):
    """Their tokens reach neither the gradient nor the whitening: it is that of the rows that are left."""
    start, seen = policy(scale=2.0), []
    run = settings(prompts=4, lam=1.0, updates=Updates())
    some = task(lambda prompts, **_: [1.0, None, -2.0, None])
    train_ppo(policy(scale=2.0), some, run, inspect=lambda step, rollouts: seen.append(rollouts))
    tokens, mask = seen[0].batch.tokens[[0, 2]], seen[0].mask[[0, 2]]
    returns = torch.tensor([1.0, -2.0])[:, None].expand(mask.shape)[mask]
    said = start(tokens)[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)[mask]
    (-(said * (returns - returns.mean()) / (returns.std() + 1e-4)).mean()).backward()
    expected = start.embedding.weight.grad
    torch.testing.assert_close(gradients[0]["policy.embedding.weight"], expected, atol=1e-5, rtol=1e-3)


def test_a_policy_whose_states_no_critic_reads_is_refused():
    with pytest.raises(UserError, match="or another algorithm, such as grpo"):
        train_ppo(adapted_llama(), task(), settings())


def test_the_critic_starts_at_0_and_sees_no_later_token():
    model = ActorCritic(policy(), shared_trunk=False)
    tokens = torch.randint(2, 32, (3, 9), generator=torch.Generator().manual_seed(0))
    assert not model.values(tokens).any()
    with torch.no_grad():
        model.value.weight.normal_()
    before = model.values(tokens)
    tokens[:, 5] = 4
    after = model.values(tokens)
    assert torch.equal(before[:, :5], after[:, :5])  # column t is what is expected before token t + 1
    assert not torch.allclose(before[:, 5:], after[:, 5:])
