"""Prompts are masked, tokens weigh the same, and micro-batches and kills change nothing."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.sft import SFTSettings, sft, sft_loss

VOCABULARY = 31
RNG = np.random.default_rng(0)
ROWS = [
    (RNG.integers(0, VOCABULARY, RNG.integers(1, 6)).tolist(), RNG.integers(0, VOCABULARY, RNG.integers(1, 8)).tolist())
    for _ in range(11)
]


def fresh() -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig.sized(VOCABULARY, 32, 2))


def loop(steps=6, **other):
    return LoopSettings(**{"adamw": AdamWSettings(learning_rate=1e-2), "dtype": torch.float32, **other}, steps=steps)


def log_of(settings, folder=None, until=None, rows=ROWS):
    model, log = fresh(), {}

    def report(step, metrics):
        log[step] = {name: value for name, value in metrics.items() if name != "tokens_per_second"}
        if step == until:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        sft(model, rows, settings, folder, report)
    return model, log


def losses_by_hand(model, rows, prompts_too=False):
    """Cross-entropy of every learned token, one row at a time."""
    losses = []
    for prompt, completion in rows:
        tokens = torch.tensor([*prompt, *completion])
        first = 1 if prompts_too else len(prompt)
        logits = model(tokens[None])[0, first - 1 : -1]
        losses.append(F.cross_entropy(logits, tokens[first:], reduction="none"))
    return torch.cat(losses)


@pytest.mark.parametrize("prompts_too", [False, True])
def test_loss_and_gradient_are_those_of_the_learned_tokens_alone(prompts_too):
    model = fresh()
    losses = losses_by_hand(model, ROWS, prompts_too)
    assert len(losses) == sum(len(c) + (len(p) - 1) * prompts_too for p, c in ROWS)
    losses.mean().backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    clip = AdamWSettings(clip=float("inf"))
    settings = SFTSettings(loop(1, adamw=clip), batch=len(ROWS), micro_batch=4, train_on_prompts=prompts_too)
    _, log = log_of(settings)
    assert log[1]["loss"] == pytest.approx(losses.mean().item(), rel=1e-5)
    assert log[1]["gradient_norm"] == pytest.approx(gradient.norm().item(), rel=1e-4)
    assert sft_loss(fresh(), ROWS, micro_batch=3, train_on_prompts=prompts_too) == pytest.approx(log[1]["loss"])


def test_micro_batches_do_not_change_the_result():
    whole, log = log_of(SFTSettings(loop(), batch=5))
    split, parts = log_of(SFTSettings(loop(), batch=5, micro_batch=2))
    assert [m["loss"] for m in parts.values()] == pytest.approx([m["loss"] for m in log.values()], rel=1e-4)
    assert torch.allclose(split.embedding.weight, whole.embedding.weight, atol=1e-4)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_killed_run_ends_with_the_same_numbers(tmp_path, grouped):
    settings = SFTSettings(LoopSettings(steps=7, save_every=2, dtype=torch.bfloat16), batch=4, length_grouped=grouped)
    whole, log = log_of(settings)
    log_of(settings, tmp_path, until=5)
    again, rest = log_of(settings, tmp_path)
    assert list(rest) == [5, 6, 7]
    assert all(log[step] == metrics for step, metrics in rest.items())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_long_row_keeps_its_completion():
    cut, _ = log_of(SFTSettings(loop(2), batch=2, max_length=4), rows=[([9, 8, 7, 1], [2, 3, 4])])
    same, _ = log_of(SFTSettings(loop(2), batch=2), rows=[([1], [2, 3, 4])])
    assert torch.equal(cut.embedding.weight, same.embedding.weight)


def test_it_learns_to_answer():
    rows = [([i, i], [(i + 1) % 9, 30]) for i in range(9)]
    model, log = log_of(SFTSettings(loop(60), batch=9), rows=rows)
    assert log[60]["loss"] < 0.1 < log[1]["loss"]
    assert sft_loss(model, rows) < 0.1


def test_rows_with_nothing_to_learn_are_refused():
    with pytest.raises(UserError, match="no rows"):
        sft(fresh(), [], SFTSettings(loop()))
    with pytest.raises(UserError, match="row 2 has no token to learn"):
        sft(fresh(), [([1], [2]), ([1, 2], [])], SFTSettings(loop()))


@pytest.mark.slow
def test_the_loss_is_that_of_trl(tmp_path):
    pytest.importorskip("trl")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    from foolsgold.policies.checkpoints import save_decoder
    from foolsgold.policies.tokenizer import encode_pair, train_bpe

    tokenizer = train_bpe(["the rain falls on the roof and on the sea"] * 4, 300)
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig.sized(len(tokenizer), 32, 2))
    save_decoder(tmp_path / "policy", decoder, extra={"eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0})
    texts = [("a poem:", " the rain falls"), ("rain", " on the sea and on the roof"), ("tell", " sea")]
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(tmp_path / "policy"),
        SFTConfig(str(tmp_path), max_steps=1, per_device_train_batch_size=3, report_to=[], use_cpu=True, bf16=False),
        train_dataset=Dataset.from_list([{"prompt": p, "completion": c} for p, c in texts]),
        processing_class=tokenizer,
    )
    trainer.train()
    theirs = next(row["train_loss"] for row in trainer.state.log_history if "train_loss" in row)
    assert sft_loss(decoder, [encode_pair(tokenizer, p, c) for p, c in texts]) == pytest.approx(theirs, abs=1e-4)
