"""Each method learns; its gradient is the one written out; interrupted runs, prices of KL, rewards that fail."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from tiny_task import EOS, adapted_llama, gpt2, policy, share_of_w7, task

from foolsgold.errors import UserError
from foolsgold.objectives.kl import exact_kl
from foolsgold.objectives.schedules import constant
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import RewardFailure
from foolsgold.training import checkpoint
from foolsgold.training.datasets import PromptRow
from foolsgold.training.kl_penalty import TERMS, KLSettings
from foolsgold.training.loop import Loop, LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_batches import Updates
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings


def settings(steps=1, learning_rate=1e-2, prompts=8, samples=8, new_tokens=8, **others) -> PolicyGradientSettings:
    rollouts = {name: others.pop(name) for name in ("mask_truncated", "refills") if name in others}
    return PolicyGradientSettings(
        LoopSettings(steps, AdamWSettings(learning_rate), constant, save_every=2, dtype=torch.float32),
        RolloutSettings(prompts, samples, Sampling(new_tokens, stop_tokens=(EOS,)), **rollouts),
        **others,
    )


def logged(*arguments, **keywords) -> list[dict[str, float]]:
    """Metrics of every step, without times."""
    log = []
    train_policy(*arguments, **keywords, report=lambda step, metrics: log.append(metrics))
    return [{name: value for name, value in each.items() if not name.startswith("seconds")} for each in log]


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


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("updates", [Updates(), Updates(epochs=2, minibatches=2)], ids=["on policy", "4 updates"])
def test_every_method_raises_the_reward(name, updates):
    algorithm = ALGORITHMS[name]
    if name == "gspo":  # the paper's bounds are for steps far smaller than these
        algorithm = replace(
            algorithm, loss=lambda *a, **k: ALGORITHMS["gspo"].loss(*a, **k, clip_low=0.1, clip_high=0.1)
        )
    log = logged(policy(), task(), settings(15, algorithm=algorithm, updates=updates))
    assert log[0]["reward"] < 0.1
    assert log[-1]["reward"] > 0.5


def test_metrics_tell_what_happened():
    kl = KLSettings(measure=True)
    (metrics,) = logged(policy(scale=3.0), task(), settings(kl=kl, updates=Updates(micro_batch=7)))
    assert metrics["kl"] == pytest.approx(0, abs=1e-4)
    assert metrics["ratio"] == pytest.approx(1, abs=1e-4)
    assert metrics["sampler_mismatch"] < 1e-4
    assert metrics["clip_fraction"] == 0
    assert metrics["reward/share_of_w7"] == metrics["reward"]
    assert 0 < metrics["entropy"] < 3.5  # the logarithm of 32 is 3.47
    assert metrics["gradient_norm"] > 0


def test_the_gradient_of_two_samples_is_the_one_written_out(gradients):
    """GRPO of one group: advantages of two unequal rewards are +-1/sqrt(2), nearly, and each completion's mean over
    its own tokens counts a half."""
    start, seen = policy(scale=2.0), []
    run = settings(prompts=1, samples=2, new_tokens=6)
    rewarded = task(lambda prompts, completions, **_: [1.0, 0.0])
    train_policy(policy(scale=2.0), rewarded, run, inspect=lambda step, rollouts: seen.append(rollouts))
    advantage = 0.5 / (0.5**0.5 + 1e-4)
    tokens, prompt, lengths = seen[0].batch.tokens, seen[0].batch.prompt_lengths, seen[0].batch.lengths
    value = torch.zeros(())
    for row, sign in ((0, 1), (1, -1)):
        said = start(tokens[row : row + 1]).log_softmax(-1)[0]
        places = range(int(prompt[row]), int(lengths[row]))
        value = value - sum(said[i - 1, tokens[row, i]] for i in places) / len(places) * sign * advantage / 2
    expected = flat_gradient(start, value)
    assert expected.norm() > 0.1
    torch.testing.assert_close(gradients[0], expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("term", ["k2", "weighted_k3"])
def test_the_gradient_of_the_kl_term_is_the_one_written_out(term, gradients):
    """Dr. GRPO with equal rewards: nothing is left but the price of KL, summed over N G completions of 5 tokens."""
    start, seen = policy(scale=2.0), []
    run = settings(
        prompts=2,
        samples=2,
        new_tokens=5,
        algorithm=ALGORITHMS["dr_grpo"],
        kl=KLSettings(in_loss=0.3, term=TERMS[term]),
    )
    other = policy(seed=1, scale=2.0)
    equal = task(lambda prompts, **_: [1.0] * len(prompts))
    train_policy(policy(scale=2.0), equal, run, inspect=lambda step, r: seen.append(r), reference=other)
    tokens, mask = seen[0].batch.tokens, seen[0].mask
    said, of_reference = (
        model(tokens)[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1) for model in (start, other)
    )
    distance = said - of_reference.detach()
    if term == "k2":
        nats = distance**2 / 2
    else:
        nats = (said - said.detach()).exp() * (torch.exp(-distance) - 1 + distance)
    expected = flat_gradient(start, 0.3 * (nats * mask).sum() / (4 * 5))
    assert expected.norm() > 0.01
    torch.testing.assert_close(gradients[0], expected, atol=1e-5, rtol=1e-3)


def test_the_gradient_of_a_bandit_is_right_on_average(gradients):
    """One prompt, one token: the gradient of the expected reward is known exactly, and RLOO's estimate is unbiased."""
    values = torch.linspace(-1, 1, 32)

    def bandit(prompts, completion_ids, **columns):
        return values[torch.tensor(completion_ids).flatten()].tolist()

    one = task(bandit, prompts=[PromptRow("w3 w4", {})])
    start = policy(scale=4.0)
    exact = flat_gradient(start, -(start(torch.tensor([[3, 4]]))[0, -1].softmax(-1) * values).sum())
    run = settings(16, learning_rate=0.0, prompts=32, samples=16, new_tokens=1, algorithm=ALGORITHMS["rloo"])
    train_policy(policy(scale=4.0), one, run)
    along = torch.stack(gradients) @ exact / exact.norm() ** 2
    error = float(along.std() / len(along) ** 0.5)
    assert error < 0.05
    assert abs(float(along.mean()) - 1) < 4 * error
    assert torch.cosine_similarity(torch.stack(gradients).mean(0), exact, dim=0) > 0.98


def test_measured_kl_is_that_of_whole_completions():
    """One token a completion: the KL of the two next-token distributions is known exactly."""
    one = task(prompts=[PromptRow("w3 w4", {})])
    run = settings(learning_rate=0.0, prompts=8, samples=512, new_tokens=1, kl=KLSettings(measure=True))
    other = policy(seed=1, scale=4.0)
    (metrics,) = logged(policy(scale=4.0), one, run, reference=other)
    with torch.no_grad():
        exact = float(exact_kl(*(model(torch.tensor([[3, 4]]))[0, -1] for model in (policy(scale=4.0), other))))
    assert exact > 0.02
    assert abs(metrics["kl"] - exact) < 4 * metrics["kl_se"] < exact
    assert abs(metrics["kl_k3"] - exact) < 4 * metrics["kl_k3_se"]


@pytest.mark.parametrize("kl", [KLSettings(in_loss=0.3), KLSettings(in_reward=0.3)], ids=["loss", "reward"])
def test_a_price_keeps_the_kl_low(kl):
    free, priced = (
        logged(policy(), task(), settings(12, kl=each, algorithm=ALGORITHMS["dr_grpo"]))[-1]
        for each in (KLSettings(measure=True), kl)
    )
    assert priced["kl"] < 0.5 * free["kl"]
    assert priced["kl_coefficient"] == kl.in_reward


def test_the_price_steers_to_its_target():
    for target, grows in ((0.01, True), (1e3, False)):
        kl = KLSettings(in_reward=0.01, target=target)
        prices = [each["kl_coefficient"] for each in logged(policy(), task(), settings(6, kl=kl))]
        assert prices[0] == 0.01
        assert (prices[-1] > prices[-2] > 0.01) if grows else (prices[-1] < prices[-2] < 0.01)


class Killed(Exception):
    pass


def test_a_killed_run_ends_with_the_same_numbers(tmp_path):
    run = settings(
        7,
        updates=Updates(epochs=2, minibatches=3, micro_batch=10),
        kl=KLSettings(in_loss=0.01, in_reward=0.01, target=0.5),
        refills=2,
    )
    whole = logged(policy(), task(), run, tmp_path / "whole")

    def until_5(step, metrics):
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        train_policy(policy(), task(), run, tmp_path / "cut", until_5)
    assert logged(policy(), task(), run, tmp_path / "cut") == whole[4:]
    first, second = (checkpoint.load(tmp_path / name / "state.safetensors")[0] for name in ("whole", "cut"))
    assert torch.equal(first["master"], second["master"])


def test_of_an_adapted_policy_only_the_adapter_learns():
    adapted = adapted_llama()
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    log = logged(adapted, task(), settings(12, kl=KLSettings(measure=True)))
    assert log[0]["reward"] < 0.1
    assert log[-1]["reward"] > 0.4
    assert log[0]["kl"] == pytest.approx(0, abs=1e-4)  # the reference is the base, which the new adapter leaves alone
    assert log[-1]["kl"] > 1
    assert all(metrics["sampler_mismatch"] < 1e-4 for metrics in log)
    changed = {name for name, value in adapted.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "lora_" in name}


def test_a_killed_run_of_an_adapted_policy_ends_with_the_same_numbers(tmp_path):
    run = settings(4, kl=KLSettings(in_loss=0.01, in_reward=0.01, target=0.5))
    whole = logged(adapted_llama(), task(), run, tmp_path / "whole")

    def until_3(step, metrics):
        if step == 3:
            raise Killed

    with pytest.raises(Killed):
        train_policy(adapted_llama(), task(), run, tmp_path / "cut", until_3)
    assert logged(adapted_llama(), task(), run, tmp_path / "cut") == whole[2:]
    first, second = (checkpoint.load(tmp_path / name / "state.safetensors")[0] for name in ("whole", "cut"))
    assert torch.equal(first["master"], second["master"])


def test_a_policy_of_another_family_learns():
    log = logged(gpt2(), task(), settings(12, kl=KLSettings(measure=True)))
    assert log[0]["reward"] < 0.1
    assert log[-1]["reward"] > 0.4
    assert all(metrics["sampler_mismatch"] < 1e-4 for metrics in log)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_micro_batches_change_nothing(name, gradients):
    kl = KLSettings(in_loss=0.1)
    for size in (64, 5):
        updates = Updates(minibatches=2, micro_batch=size)
        run = settings(learning_rate=0.0, algorithm=ALGORITHMS[name], kl=kl, updates=updates)
        train_policy(policy(scale=2.0), task(), run)
    whole, parts = gradients[:2], gradients[2:]
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_every_row_is_learned_from_once_an_epoch():
    updates, rows = Updates(epochs=3, minibatches=4, micro_batch=2), torch.tensor([1, 4, 5, 6, 8, 9, 11])
    portions = list(updates.of(rows, torch.arange(12), seed=0, step=0))
    assert len(portions) == 12
    for epoch in range(3):
        seen = torch.cat([part for micro in portions[4 * epoch : 4 * epoch + 4] for part in micro])
        assert torch.equal(seen.sort().values, rows)
    assert list(updates.of(rows[:0], torch.arange(12), seed=0, step=0)) == []


def test_rows_without_a_reward_are_skipped(gradients):
    """The same gradient whatever was drawn where no reward applies; nothing is learned where none does."""

    def second_group_only(prompts, **columns):
        return [None, None, 1.0, 0.0]

    start, seen = policy(scale=2.0), []
    run = settings(prompts=2, samples=2, new_tokens=5, algorithm=ALGORITHMS["dr_grpo"])
    train_policy(policy(scale=2.0), task(second_group_only), run, inspect=lambda step, r: seen.append(r))
    log_probs = token_log_probs(start, seen[0].batch.tokens, seen[0].mask).sum(1)
    expected = flat_gradient(start, -(0.5 * log_probs[2] - 0.5 * log_probs[3]) / (2 * 5))
    torch.testing.assert_close(gradients[0], expected, atol=1e-5, rtol=1e-3)
    (metrics,) = logged(policy(), task(lambda prompts, **_: [None] * len(prompts)), run)
    assert len(gradients) == 1
    assert metrics["trained"] == 0


def raises(prompts, **columns):
    raise RuntimeError("no connection")


def hangs(prompts, **columns):
    time.sleep(5)


def too_few(prompts, **columns):
    return [1.0]


@pytest.mark.parametrize(
    ("reward", "said"), [(raises, "no connection"), (hangs, "longer than 0.2 s"), (too_few, "1 rewards for 64")]
)
def test_a_reward_that_fails_stops_the_run_and_leaves_the_batch(tmp_path, reward, said):
    failing = task(reward, time_limit_s=0.2, failures=tmp_path / "failures")
    with pytest.raises(RewardFailure, match=said):
        train_policy(policy(), failing, settings(), tmp_path)
    (saved,) = (tmp_path / "failures").glob("*.jsonl")
    assert len(saved.read_text().splitlines()) == 64


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_batch(tmp_path):
    broken = replace(ALGORITHMS["grpo"], advantages=lambda rewards: rewards * float("inf"))
    with pytest.raises(UserError, match=r"the batch is in .*failed-step-1"):
        train_policy(policy(), task(share_of_w7), settings(algorithm=broken), tmp_path)
    tensors, _ = checkpoint.load(tmp_path / "failed-step-1.safetensors")
    assert {"tokens", "mask", "old_log_probs", "advantages"} <= set(tensors)


def test_evaluation_passes_through():
    run = settings(3)
    run = replace(run, loop=replace(run.loop, evaluate_every=2))
    log = {}
    train_policy(policy(), task(), run, report=lambda s, m: log.update({s: m}), evaluate=lambda step: {"gold": step})
    assert {step for step, metrics in log.items() if "gold" in metrics} == {0, 2, 3}


def test_bad_settings_are_refused():
    with pytest.raises(UserError, match="in_reward"):
        KLSettings(target=6.0)
    with pytest.raises(UserError, match="not negative"):
        KLSettings(in_loss=-1.0)
    with pytest.raises(UserError, match="at least 1"):
        Updates(epochs=0)
