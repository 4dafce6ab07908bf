"""Loss worked by PyTorch's own cross-entropy; micro-batches, resuming and the number of tokens."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.pretrain import PretrainSettings, language_model_loss, pretrain

VOCABULARY = 31
BLOCKS = np.random.default_rng(0).integers(0, VOCABULARY, (13, 10), dtype=np.int32)


def fresh() -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig.sized(VOCABULARY, 32, 2))


def loop(steps=6, **other):
    return LoopSettings(steps=steps, adamw=AdamWSettings(learning_rate=1e-2), dtype=torch.float32, **other)


def log_of(settings, folder=None, until=None, **other):
    model, log = fresh(), {}

    def report(step, metrics):
        log[step] = {name: value for name, value in metrics.items() if name != "tokens_per_second"}
        if step == until:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        pretrain(model, BLOCKS, settings, folder, report, **other)
    return model, log


def test_the_loss_is_the_mean_cross_entropy_of_next_tokens():
    tokens = torch.from_numpy(BLOCKS).long()
    logits = fresh()(tokens)
    expected = F.cross_entropy(logits[:, :-1].reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1)).item()
    assert language_model_loss(fresh(), BLOCKS, micro_batch=4) == pytest.approx(expected, rel=1e-5)
    _, log = log_of(PretrainSettings(loop(1), batch=13))
    assert log[1]["loss"] == pytest.approx(expected, rel=1e-5)


def test_micro_batches_do_not_change_the_result():
    whole, log = log_of(PretrainSettings(loop(), batch=5))
    split, parts = log_of(PretrainSettings(loop(), batch=5, micro_batch=2))
    assert [m["loss"] for m in parts.values()] == pytest.approx([m["loss"] for m in log.values()], rel=1e-4)
    assert torch.allclose(split.embedding.weight, whole.embedding.weight, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_killed_run_ends_with_the_same_numbers(tmp_path, dtype):
    settings = PretrainSettings(LoopSettings(steps=7, save_every=2, dtype=dtype), batch=4)
    whole, log = log_of(settings)
    log_of(settings, tmp_path, until=5)
    again, rest = log_of(settings, tmp_path)
    assert list(rest) == [5, 6, 7]
    assert all(log[step] == metrics for step, metrics in rest.items())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_the_model_comes_back_in_float32():
    model, _ = log_of(PretrainSettings(LoopSettings(steps=2, dtype=torch.bfloat16), batch=4))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(p.grad is None for p in model.parameters())
    assert not torch.equal(model.embedding.weight, model.embedding.weight.bfloat16().float())


def test_tokens_set_the_number_of_steps():
    _, log = log_of(PretrainSettings(loop(99), tokens=121, batch=4))
    assert list(log) == [1, 2, 3, math.ceil(121 / 40)]
    assert log[4]["tokens"] == 160


def test_it_learns_and_is_measured_on_the_way():
    model = fresh()
    blocks = np.tile(np.arange(10, dtype=np.int32), (8, 1))
    seen = {}
    pretrain(
        model,
        blocks,
        PretrainSettings(loop(30, evaluate_every=15), batch=8),
        report=lambda step, metrics: seen.update({step: metrics}),
        evaluate=lambda step: {"held_out_loss": language_model_loss(model, blocks)},
    )
    held_out = {step: metrics["held_out_loss"] for step, metrics in seen.items() if "held_out_loss" in metrics}
    assert list(held_out) == [0, 15, 30]
    assert held_out[0] == pytest.approx(math.log(VOCABULARY), rel=0.05)
    assert held_out[30] < 0.5


def test_nothing_to_learn_from():
    with pytest.raises(UserError, match="teach nothing"):
        pretrain(fresh(), BLOCKS[:0], PretrainSettings(loop()))
