"""What is drawn, how it is laid out and rewarded, and that it can be drawn again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_task import EOS, adapted_llama, gpt2, policy, share_of_w7, task

from foolsgold.errors import UserError
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import WeightedReward
from foolsgold.training.datasets import PromptRow
from foolsgold.training.rollouts import RolloutSettings, Task, derived_seed, frozen_copy, roll_out, unequal

SETTINGS = RolloutSettings(prompts=4, samples=3, sampling=Sampling(12, stop_tokens=(EOS, 5, 6)))
NAN = float("nan")


@pytest.fixture(scope="module")
def writer():
    return policy(scale=4.0)


def test_the_same_weights_seed_and_step_give_the_same_rollouts(writer):
    first, again = (roll_out(writer, task(), SETTINGS, seed=3, step=5) for _ in range(2))
    assert torch.equal(first.batch.tokens, again.batch.tokens)
    assert torch.equal(first.log_probs, again.log_probs)
    assert torch.equal(first.rewards, again.rewards)
    for other in (roll_out(writer, task(), SETTINGS, seed=4, step=5), roll_out(writer, task(), SETTINGS, 3, step=6)):
        assert first.texts != other.texts


def test_log_probs_lie_where_the_tokens_do(writer):
    rollouts = roll_out(writer, task(), SETTINGS, seed=0, step=0)
    with torch.no_grad():
        expected = token_log_probs(writer, rollouts.batch.tokens, rollouts.mask)
    torch.testing.assert_close(rollouts.log_probs, expected, atol=1e-4, rtol=0)
    assert rollouts.mask.sum() == rollouts.lengths.sum()
    assert (rollouts.lengths[~rollouts.stopped] == 12).all()
    assert 0 < rollouts.stopped.sum() < 12


def test_texts_prompts_and_columns_reach_the_reward_side_by_side(writer):
    seen = {}

    def look(prompts, completions, number, completion_ids, trainer_state, **columns):
        seen.update(prompts=prompts, completions=completions, number=number, ids=completion_ids, state=trainer_state)
        return [float(i) for i in range(len(prompts))]

    rollouts = roll_out(writer, task(look), SETTINGS, seed=0, step=2, max_steps=9)
    assert seen["completions"] == rollouts.texts
    assert [len(ids) for ids in seen["ids"]] == rollouts.lengths.tolist()
    assert seen["prompts"] == rollouts.prompts
    assert [f"w{2 + n} w{3 + n}" + " w9" * (n % 3) for n in seen["number"]] == rollouts.prompts
    assert rollouts.prompts[0] == rollouts.prompts[2] != rollouts.prompts[3]
    assert (seen["state"].global_step, seen["state"].max_steps) == (2, 9)
    assert torch.equal(rollouts.rewards, torch.arange(12.0).view(4, 3))
    for ids, text in zip(seen["ids"], rollouts.texts, strict=True):
        assert [f"w{i}" for i in ids if i > EOS] == text.split()


def test_messages_are_answered_by_messages(writer):
    def look(prompts, completions, **columns):
        assert all(answer[0]["role"] == "assistant" for answer in completions)
        return [float(len(answer[0]["content"])) for answer in completions]

    chat = task(look)
    chat.tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    rows = [PromptRow([{"role": "user", "content": "w3 w4"}], {})]
    rollouts = roll_out(writer, Task(rows, chat.scorer, chat.tokenizer), SETTINGS, seed=0, step=0)
    assert rollouts.rewards.flatten().tolist() == [len(text) for text in rollouts.texts]


def test_every_prompt_comes_once_an_epoch(writer):
    settings = RolloutSettings(prompts=1, samples=1, sampling=Sampling(1))
    asked = [roll_out(writer, task(), settings, seed=0, step=step).prompts[0] for step in range(11)]
    assert len(set(asked)) == 11


def test_none_is_nan_and_does_not_train(writer):
    def sometimes(prompts, completions, **columns):
        return [None if i % 4 == 1 else 1.0 for i in range(len(prompts))]

    def never(prompts, completions, **columns):
        return [None] * len(prompts)

    rewards = WeightedReward(sometimes, 2.0), WeightedReward(never)
    rollouts = roll_out(writer, task(*rewards), SETTINGS, seed=0, step=0)
    torch.testing.assert_close(rollouts.rewards.flatten(), torch.tensor([2, NAN, 2, 2] * 3), equal_nan=True)
    assert rollouts.trained.tolist() == [True, False, True, True] * 3
    metrics = rollouts.metrics()
    assert (metrics["reward"], metrics["reward_std"], metrics["reward/sometimes"]) == (2, 0, 1)
    assert np.isnan(metrics["reward/never"])


def test_truncated_completions_get_their_reward_and_do_not_train(writer):
    settings = RolloutSettings(4, 3, SETTINGS.sampling, mask_truncated=True, truncated_reward=-7.0)
    rollouts = roll_out(writer, task(), settings, seed=0, step=0)
    assert torch.equal(rollouts.trained, rollouts.stopped)
    assert (rollouts.rewards.flatten()[~rollouts.stopped] == -7).all()
    assert (rollouts.rewards.flatten()[rollouts.stopped] >= 0).all()


def test_groups_of_equals_are_drawn_anew(writer):
    def by_length(prompts, completions, **columns):
        return [float(len(text.split()) < 4) for text in completions]

    plain = RolloutSettings(4, 2, SETTINGS.sampling)
    assert not unequal(roll_out(writer, task(by_length), plain, seed=0, step=0).rewards).all()
    refilled = roll_out(writer, task(by_length), RolloutSettings(4, 2, SETTINGS.sampling, refills=20), seed=0, step=0)
    assert refilled.trained.sum() == 4 * 2  # as many groups as were asked for
    assert torch.equal(refilled.trained.view(-1, 2)[:, 0], unequal(refilled.rewards))
    assert len(refilled.rewards) > 4  # the others are still there to be counted
    assert refilled.metrics()["reward"] == pytest.approx(float(refilled.rewards.mean()))
    limited = roll_out(writer, task(lambda prompts, **_: [1.0] * len(prompts)), RolloutSettings(4, 2, refills=2), 0, 0)
    assert limited.rewards.shape == (12, 2)
    assert not limited.trained.any()


def test_unequal_looks_at_what_applied():
    rewards = torch.tensor([[1.0, 1.0, 1.0], [1.0, 2.0, NAN], [1.0, NAN, 1.0], [NAN, NAN, 1.0], [NAN, NAN, NAN]])
    assert unequal(rewards).tolist() == [False, True, False, False, False]


def test_seeds_differ_by_every_number():
    assert len({derived_seed(*numbers) for numbers in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0, 1)]}) == 5


@pytest.mark.parametrize("make", [policy, gpt2, adapted_llama])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_leaves_a_frozen_copy_alone(make, dtype):
    model, tokens = make(), torch.tensor([[3, 4, 5]])
    before = model(tokens)
    copied = frozen_copy(model, dtype)
    torch.testing.assert_close(copied(tokens).float(), before, atol=1e-6 if dtype == torch.float32 else 0.1, rtol=0)
    assert {parameter.dtype for parameter in copied.parameters()} == {dtype}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    said = copied(tokens)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1
    assert torch.equal(copied(tokens), said)
    assert not torch.equal(model(tokens), before)


def test_a_frozen_copy_of_an_adapted_model_takes_the_adapters_memory_only():
    model = adapted_llama()
    pairs = zip(model.parameters(), frozen_copy(model, torch.float32).parameters(), strict=True)
    assert all((ours.data_ptr() == copied.data_ptr()) != ours.requires_grad for ours, copied in pairs)


def test_bad_settings_are_refused():
    with pytest.raises(UserError, match="temperature 0"):
        RolloutSettings(sampling=Sampling(temperature=0))
    with pytest.raises(UserError, match="stop_tokens"):
        RolloutSettings(mask_truncated=True)
    with pytest.raises(UserError, match="samples >= 1"):
        RolloutSettings(samples=0)
    with pytest.raises(UserError, match="no prompts"):
        Task([], task().scorer, task().tokenizer)
    with pytest.raises(UserError, match="prompt 2 has no tokens"):
        task(share_of_w7, prompts=[PromptRow("w3", {}), PromptRow("", {})])
