"""The margin rises; losses worked by hand; micro-batches and kills change nothing; TRL's loss."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.training.direct_preference import (
    Comparisons,
    DirectPreferenceSettings,
    JudgedCompletions,
    completion_log_probs,
    dpo,
    fit_preferences,
    ipo,
)
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.text_reward_model import TextComparisons

VOCABULARY = 31
RNG = np.random.default_rng(0)


def words(low, high, of=(2, 16)):
    return RNG.integers(*of, RNG.integers(low, high)).tolist()


PAIRS = TextComparisons(
    [words(1, 5) for _ in range(11)],
    [words(1, 6, of=(2, 16)) for _ in range(11)],
    [words(1, 6, of=(16, 31)) for _ in range(11)],
)
JUDGED = [
    *zip(PAIRS.prompts, PAIRS.chosen, strict=True),
    *zip(PAIRS.prompts, PAIRS.rejected, strict=True),
]
THUMBS = [True] * 11 + [False] * 11


def fresh() -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig.sized(VOCABULARY, 32, 2))


def kto(**other):
    return JudgedCompletions(JUDGED, THUMBS, **other)


OBJECTIVES = {"dpo": lambda: Comparisons(PAIRS, dpo()), "ipo": lambda: Comparisons(PAIRS, ipo()), "kto": kto}


def loop(steps=6, **other):
    return LoopSettings(**{"adamw": AdamWSettings(learning_rate=3e-3), "dtype": torch.float32, **other}, steps=steps)


def log_of(objective, settings, folder=None, until=None):
    policy, log = fresh(), {}

    def report(step, metrics):
        log[step] = {name: value for name, value in metrics.items() if name != "rows_per_second"}
        if step == until:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        fit_preferences(policy, objective, settings, folder, report)
    return policy, log


def by_hand(model, prompt, completion):
    """Log-probability of a completion, one row, with PyTorch's own cross-entropy."""
    tokens = torch.tensor([*prompt, *completion])
    with torch.no_grad():
        logits = model(tokens[None])[0, len(prompt) - 1 : -1]
    return -F.cross_entropy(logits, tokens[len(prompt) :], reduction="sum").item()


def test_log_probabilities_of_completions():
    model = fresh()
    expected = [by_hand(model, *pair) for pair in JUDGED]
    assert completion_log_probs(model, JUDGED).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_first_losses_are_those_of_a_policy_that_is_its_reference(dtype):
    first = {}
    for name, objective in OBJECTIVES.items():
        _, log = log_of(objective(), DirectPreferenceSettings(loop(1, dtype=dtype), batch=11, micro_batch=4))
        first[name] = log[1]["loss"]
    # Leads of 0: log 2; (1 / (2 beta))^2 = 25; sigmoid(0).
    wide = 1e-5 if dtype == torch.float32 else 0.02
    assert first == {
        "dpo": pytest.approx(math.log(2), rel=wide),
        "ipo": pytest.approx(25, rel=wide),
        "kto": pytest.approx(0.5, rel=wide),
    }


def test_second_step_worked_by_hand():
    """The reference stays what the policy was, so the second loss follows from the policy after the first step."""
    settings = DirectPreferenceSettings(loop(2), batch=11)
    start, once = fresh(), fresh()
    after_one = DirectPreferenceSettings(loop(2, save_every=1), batch=11)
    seen = []

    def keep(step, metrics):
        seen.append({name: value.clone() for name, value in once.state_dict().items()})

    fit_preferences(once, Comparisons(PAIRS, dpo(beta=0.3)), after_one, report=keep)
    moved = fresh()
    moved.load_state_dict(seen[0])
    losses, margins = [], []
    for prompt, chosen, rejected in zip(PAIRS.prompts, PAIRS.chosen, PAIRS.rejected, strict=True):
        gain = by_hand(moved, prompt, chosen) - by_hand(start, prompt, chosen)
        loss = by_hand(moved, prompt, rejected) - by_hand(start, prompt, rejected)
        margins.append(gain - loss)
        losses.append(math.log(1 + math.exp(-0.3 * (gain - loss))))
    _, log = log_of(Comparisons(PAIRS, dpo(beta=0.3)), settings)
    assert log[2]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert log[2]["margin"] == pytest.approx(np.mean(margins), rel=1e-3)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_preferences_are_learned(name):
    policy, log = log_of(OBJECTIVES[name](), DirectPreferenceSettings(loop(40), batch=11))
    assert log[40]["loss"] < 0.9 * log[1]["loss"]
    start = fresh()
    gains = [
        (by_hand(policy, p, c) - by_hand(start, p, c)) - (by_hand(policy, p, r) - by_hand(start, p, r))
        for p, c, r in zip(PAIRS.prompts, PAIRS.chosen, PAIRS.rejected, strict=True)
    ]
    assert min(gains) > 0
    if name == "kto":
        assert log[40]["desirable_log_ratio"] > log[40]["undesirable_log_ratio"]
    else:
        assert log[40]["accuracy"] == 1


@pytest.mark.parametrize("name", OBJECTIVES)
def test_micro_batches_do_not_change_the_result(name):
    whole, log = log_of(OBJECTIVES[name](), DirectPreferenceSettings(loop(), batch=5))
    split, parts = log_of(OBJECTIVES[name](), DirectPreferenceSettings(loop(), batch=5, micro_batch=2))
    for step, metrics in log.items():
        metrics.pop("accuracy", None)  # in the first step of leads that are all 0 to rounding
        for figure, value in metrics.items():
            assert parts[step][figure] == pytest.approx(value, rel=1e-3, abs=1e-4)
    assert torch.allclose(split.embedding.weight, whole.embedding.weight, atol=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_killed_run_ends_with_the_same_numbers(tmp_path, name):
    settings = DirectPreferenceSettings(LoopSettings(steps=7, save_every=2, dtype=torch.bfloat16), batch=4)
    whole, log = log_of(OBJECTIVES[name](), settings)
    log_of(OBJECTIVES[name](), settings, tmp_path, until=5)
    again, rest = log_of(OBJECTIVES[name](), settings, tmp_path)
    assert list(rest) == [5, 6, 7]
    assert all(log[step] == metrics for step, metrics in rest.items())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_run_is_not_taken_up_with_another_reference(tmp_path):
    settings = DirectPreferenceSettings(loop(3), batch=4)
    trained, _ = log_of(Comparisons(PAIRS, dpo()), settings, tmp_path)
    with pytest.raises(UserError, match="begun with another policy"):
        fit_preferences(trained, Comparisons(PAIRS, dpo()), settings, tmp_path)


def test_kto_measures_on_answers_to_other_prompts():
    objective = kto(seed=3)
    for own, stranger in zip(objective.members[:, 0], objective.strangers[:, 0], strict=True):
        prompt, completion = objective.sequences[stranger]
        assert prompt == objective.sequences[own][0]
        authors = [p for p, c in JUDGED if c == completion]
        assert any(author != prompt for author in authors)
    with pytest.raises(UserError, match="other prompts"):
        JudgedCompletions([([1], [2]), ([1], [3])], [True, False])


def test_what_the_losses_cannot_use_is_refused():
    soft = TextComparisons([[1]], [[2]], [[3]], probabilities=np.array([0.7]))
    with pytest.raises(UserError, match="plain comparisons"):
        Comparisons(soft, dpo())
    with pytest.raises(UserError, match="no preferences"):
        fit_preferences(fresh(), Comparisons(TextComparisons([], [], []), dpo()), DirectPreferenceSettings(loop()))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "loss"), [("sigmoid", dpo(beta=0.2)), ("ipo", ipo(beta=0.2))])
def test_losses_are_those_of_trl(tmp_path, kind, loss):
    pytest.importorskip("trl")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import DPOConfig, DPOTrainer

    from foolsgold.policies.checkpoints import save_decoder

    tokenizer = train_bpe(["the rain falls on the roof and on the sea"] * 4, 300)
    torch.manual_seed(0)
    policy = Decoder(DecoderConfig.sized(len(tokenizer), 32, 2))
    extra = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    save_decoder(tmp_path / "policy", policy, extra=extra)
    prompts, chosen = ["a poem:", "rain", "tell"], [" the rain falls", " on the sea and on the roof", " sea"]
    rejected = [" no", " sea", " the roof falls"]
    columns = {"prompt": prompts, "chosen": chosen, "rejected": rejected}
    trainer = DPOTrainer(
        AutoModelForCausalLM.from_pretrained(tmp_path / "policy"),
        args=DPOConfig(
            str(tmp_path), max_steps=3, per_device_train_batch_size=3, beta=0.2, loss_type=kind, logging_steps=1,
            report_to=[], use_cpu=True, bf16=False, learning_rate=1e-3, lr_scheduler_type="constant",
            weight_decay=0.0, max_grad_norm=1.0, adam_beta2=0.95, warmup_steps=0,
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    theirs = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    rows = TextComparisons.encode(tokenizer, prompts, chosen, rejected)
    ours = []
    settings = DirectPreferenceSettings(
        loop(3, adamw=AdamWSettings(learning_rate=1e-3), schedule=lambda step, steps: 1.0), batch=3
    )
    fit_preferences(policy, Comparisons(rows, loss), settings, report=lambda step, m: ours.append(m["loss"]))
    assert ours == pytest.approx(theirs, rel=2e-3)
