"""A separable taste is learned; losses worked by hand; micro-batches, kills, ensembles; TRL's loss."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest
import torch

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.text_reward_model import (
    RewardModelSettings,
    TextComparisons,
    agreement,
    fit_ensemble,
    fit_text_reward_model,
    fitted,
    measure,
    preference_loss,
    score_pairs,
)

VOCABULARY, END, LIKED = 31, 1, 7


def comparisons(n, seed, **columns):
    """The chosen completion holds the liked token, the rejected one does not."""
    rng = np.random.default_rng(seed)

    def words(low, high):
        return rng.integers(8, VOCABULARY, rng.integers(low, high)).tolist()

    prompts, chosen, rejected = [], [], []
    for _ in range(n):
        prompts.append(words(1, 5))
        good = words(2, 8)
        good[rng.integers(len(good))] = LIKED
        chosen.append([*good, END])
        rejected.append([*words(2, 8), END])
    return TextComparisons(prompts, chosen, rejected, **columns)


def fresh(seed=0) -> TextRewardModel:
    torch.manual_seed(0)
    return TextRewardModel(Decoder(DecoderConfig.sized(VOCABULARY, 32, 2)), seed)


def loop(steps=6, **other):
    return LoopSettings(**{"adamw": AdamWSettings(learning_rate=3e-3), "dtype": torch.float32, **other}, steps=steps)


def log_of(settings, folder=None, until=None, rows=None):
    model, log = fresh(), {}

    def report(step, metrics):
        log[step] = {name: value for name, value in metrics.items() if name != "comparisons_per_second"}
        if step == until:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        fit_text_reward_model(model, rows or comparisons(13, 0), settings, folder, report)
    return model, log


def test_a_separable_taste_is_learned():
    model, held_out, seen = fresh(), comparisons(200, 1), {}
    fit_text_reward_model(
        model,
        comparisons(400, 0),
        RewardModelSettings(loop(60, evaluate_every=60), batch=32),
        report=lambda step, metrics: seen.update({step: metrics}),
        evaluate=lambda step: measure(model, held_out).metrics(),
    )
    found = measure(model, held_out)
    assert found.accuracy > 0.95
    assert found.interval.low > 0.9
    assert found.n == 200
    assert seen[60]["held_out_accuracy"] == pytest.approx(found.accuracy, abs=0.02)
    assert seen[60]["margin"] > 1
    assert seen[0]["held_out_loss"] == pytest.approx(math.log(2), abs=0.05)


def test_both_completions_are_scored_with_their_prompt():
    rows, model = comparisons(5, 0), fresh().eval()
    chosen, rejected = score_pairs(model, rows.prompts, rows.chosen, rows.rejected)
    for scores, completions in ((chosen, rows.chosen), (rejected, rows.rejected)):
        for score, prompt, completion in zip(scores.tolist(), rows.prompts, completions, strict=True):
            text = torch.tensor([[*prompt, *completion]])
            assert model(text, torch.tensor([text.shape[1]])).item() == pytest.approx(score, abs=1e-6)


def test_losses_worked_by_hand():
    def softplus(x):
        return math.log(1 + math.exp(x))

    chosen, rejected = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 3.0])  # leads 1 and -3
    plain = preference_loss(chosen, rejected, comparisons(2, 0))
    assert plain.item() == pytest.approx((softplus(-1) + softplus(3)) / 2)
    margin = preference_loss(chosen, rejected, comparisons(2, 0, margins=np.array([1.0, 0.5])))
    assert margin.item() == pytest.approx((softplus(0) + softplus(3.5)) / 2)
    weighted = comparisons(2, 0, probabilities=np.array([0.75, 0.5]), weights=np.array([1.0, 3.0]))
    of_first = 0.75 * softplus(-1) + 0.25 * softplus(1)
    of_second = 0.5 * softplus(3) + 0.5 * softplus(-3)
    assert preference_loss(chosen, rejected, weighted).item() == pytest.approx((of_first + 3 * of_second) / 4)


def test_one_step_logs_the_loss_of_its_batch():
    rows = comparisons(6, 0)
    model = fresh()
    chosen, rejected = score_pairs(model, rows.prompts, rows.chosen, rows.rejected)
    bradley_terry = torch.log1p(torch.exp(rejected - chosen)).mean().item()
    centred = bradley_terry + 0.1 * ((chosen + rejected) ** 2).mean().item()
    _, log = log_of(RewardModelSettings(loop(1), batch=6, centering=0.1, micro_batch=4), rows=rows)
    assert log[1]["loss"] == pytest.approx(centred, rel=1e-5)
    assert log[1]["margin"] == pytest.approx((chosen - rejected).mean().item(), abs=1e-6)
    assert log[1]["accuracy"] == pytest.approx((chosen > rejected).float().mean().item())


def test_agreement_with_raters():
    lead = np.array([2.0, -1.0, 0.0, 1.0])
    assert agreement(lead, None).tolist() == [1, 0, 0.5, 1]
    assert agreement(lead, np.array([0.8, 0.8, 0.8, 0.5])).tolist() == pytest.approx([0.8, 0.2, 0.5, 0.5])


def test_a_sure_model_that_is_right_is_calibrated_and_a_sure_one_that_is_wrong_is_not():
    class Sure(torch.nn.Module):
        def __init__(self, sign):
            super().__init__()
            self.sign = torch.nn.Parameter(torch.tensor(sign))

        def forward(self, tokens, lengths):
            return 20 * self.sign * (tokens == LIKED).any(1).float()

    right, wrong = measure(Sure(1.0), comparisons(50, 0)), measure(Sure(-1.0), comparisons(50, 0))
    assert (right.accuracy, wrong.accuracy) == (1, 0)
    assert right.calibration_error == pytest.approx(0, abs=1e-6)
    assert wrong.calibration_error == pytest.approx(1, abs=1e-6)
    assert wrong.loss == pytest.approx(20, rel=1e-4)


WEIGHTS = np.linspace(0.5, 2, 13)


@pytest.mark.parametrize("columns", [{}, {"weights": WEIGHTS, "probabilities": np.linspace(0.3, 1, 13)}])
def test_micro_batches_do_not_change_the_result(columns):
    rows = comparisons(13, 0, **columns)
    whole, log = log_of(RewardModelSettings(loop(), batch=5, centering=0.01), rows=rows)
    split, parts = log_of(RewardModelSettings(loop(), batch=5, centering=0.01, micro_batch=2), rows=rows)
    assert [m["loss"] for m in parts.values()] == pytest.approx([m["loss"] for m in log.values()], rel=1e-4)
    assert torch.allclose(split.head, whole.head, atol=1e-4)
    assert measure(whole, rows, micro_batch=3).loss == pytest.approx(measure(whole, rows).loss, rel=1e-5)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_killed_run_ends_with_the_same_numbers(tmp_path, grouped):
    plan = LoopSettings(steps=7, save_every=2, dtype=torch.bfloat16)
    settings = RewardModelSettings(plan, batch=4, length_grouped=grouped)
    whole, log = log_of(settings)
    log_of(settings, tmp_path, until=5)
    again, rest = log_of(settings, tmp_path)
    assert list(rest) == [5, 6, 7]
    assert all(log[step] == metrics for step, metrics in rest.items())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_an_ensemble_has_a_model_a_seed(tmp_path):
    settings = RewardModelSettings(loop(3), batch=4)
    steps = []
    models = fit_ensemble(
        fresh, comparisons(13, 0), settings, [3, 4], tmp_path, lambda seed, step, metrics: steps.append((seed, step))
    )
    assert steps == [(seed, step) for seed in (3, 4) for step in (1, 2, 3)]
    assert not torch.equal(models[0].head, models[1].head)
    again = fit_ensemble(fresh, comparisons(13, 0), settings, [3, 4], tmp_path)
    assert torch.equal(again[1].head, models[1].head)


def test_texts_become_tokens_that_the_reward_reads_too():
    tokenizer = train_bpe(["the rain falls on the sea"] * 4, 300)
    rows = TextComparisons.encode(tokenizer, ["rain: ", "sea: "], ["the rain", "the sea"], ["roof", "no"])
    torch.manual_seed(0)
    model = TextRewardModel(Decoder(DecoderConfig.sized(len(tokenizer), 32, 1))).eval()
    with torch.no_grad():
        chosen, rejected = score_pairs(model, rows.prompts, rows.chosen, rows.rejected)
    reward = TextReward(model, tokenizer)
    assert reward(["rain: ", "sea: "], ["the rain", "the sea"]) == pytest.approx(chosen.tolist(), abs=1e-6)
    assert reward(["rain: ", "sea: "], ["roof", "no"]) == pytest.approx(rejected.tolist(), abs=1e-6)


def test_long_comparisons_lose_the_start_of_their_prompt():
    assert fitted([1, 2, 3], [4, 5], [6], 4) == ([2, 3], [4, 5], [6])
    assert fitted([1, 2, 3], [4, 5, 6, 7], [8], 3) == ([3], [6, 7], [8])
    assert fitted([1], [2], [3], None) == ([1], [2], [3])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UserError, match="no comparisons"):
        fit_text_reward_model(fresh(), comparisons(0, 0), RewardModelSettings(loop()))
    with pytest.raises(ValueError, match="one of them"):
        comparisons(2, 0, margins=np.ones(2), probabilities=np.ones(2))
    with pytest.raises(ValueError, match="one length"):
        comparisons(2, 0, weights=np.ones(3))
    with pytest.raises(ValueError, match="above 0"):
        comparisons(2, 0, weights=np.zeros(2))


@pytest.mark.slow
def test_the_loss_is_that_of_trl(tmp_path):
    pytest.importorskip("trl")
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    tokenizer = train_bpe(["the rain falls on the roof and on the sea"] * 4, 300)
    torch.manual_seed(0)
    model = TextRewardModel(Decoder(DecoderConfig.sized(len(tokenizer), 32, 2)))
    with torch.no_grad():
        model.head.mul_(10)
    model.save(tmp_path / "start", tokenizer)
    prompts, chosen = ["a poem:", "rain", "tell"], [" the rain falls", " on the sea and on the roof", " sea"]
    rejected, margins = [" no", " sea", " the roof falls"], [0.5, 0.0, 2.0]
    texts = zip(prompts, chosen, rejected, margins, strict=True)
    trainer = RewardTrainer(
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "start"),
        RewardConfig(
            str(tmp_path), max_steps=1, per_device_train_batch_size=3, center_rewards_coefficient=0.1,
            report_to=[], use_cpu=True, bf16=False, disable_dropout=False,
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": p, "chosen": c, "rejected": r, "margin": m} for p, c, r, m in texts]
        ),
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    theirs = next(row["train_loss"] for row in trainer.state.log_history if "train_loss" in row)
    rows = TextComparisons.encode(tokenizer, prompts, chosen, rejected, margins=np.array(margins))
    seen = {}
    settings = RewardModelSettings(loop(1), batch=3, centering=0.1)
    fit_text_reward_model(model, rows, settings, report=lambda step, metrics: seen.update(metrics))
    assert seen["loss"] == pytest.approx(theirs, abs=1e-4)
