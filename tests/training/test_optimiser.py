"""The flat optimiser against PyTorch's own on the same model."""

from __future__ import annotations

import copy

import pytest
import torch

from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.training.optimiser import AdamWSettings, FlatAdamW

SETTINGS = AdamWSettings(learning_rate=1e-2, weight_decay=0.1, clip=0.5)


@pytest.fixture
def model() -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig.sized(31, 32, 2))


def loss(model, seed):
    tokens = torch.randint(0, 31, (4, 9), generator=torch.Generator().manual_seed(seed))
    return model(tokens)[:, :-1].flatten(0, 1).log_softmax(-1).gather(-1, tokens[:, 1:].reshape(-1, 1)).mean().neg()


def test_equals_adamw_with_clipping_and_decay_of_matrices(model):
    other = copy.deepcopy(model)
    groups = [
        {"params": [p for p in other.parameters() if p.ndim == 2], "weight_decay": 0.1},
        {"params": [p for p in other.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    theirs = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
    ours = FlatAdamW(model, SETTINGS, torch.float32)
    for step in range(4):
        loss(model, step).backward()
        ours.collect()
        norm = ours.step(share=0.5 if step == 3 else 1.0)
        theirs.zero_grad()
        loss(other, step).backward()
        theirs.param_groups[0]["lr"] = theirs.param_groups[1]["lr"] = 0.005 if step == 3 else 0.01
        expected = torch.nn.utils.clip_grad_norm_(other.parameters(), 0.5)
        theirs.step()
        assert norm == pytest.approx(float(expected), rel=1e-5)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_small_steps_are_not_lost_in_bfloat16(model):
    """A step of 1e-5 on a weight of 1 is below what bfloat16 can add, so the float32 master must add them up."""
    ours = FlatAdamW(model, AdamWSettings(learning_rate=1e-5), torch.bfloat16)
    assert model.norm.weight.dtype == torch.bfloat16
    start = ours.master.clone()
    for _ in range(20):
        loss(model, 0).backward()
        ours.collect()
        ours.step()
    assert (ours.master - start).abs().median() > 1e-4


def test_micro_batches_add_up(model):
    other = copy.deepcopy(model)
    one, two = FlatAdamW(model, SETTINGS, torch.float32), FlatAdamW(other, SETTINGS, torch.float32)
    (loss(model, 1) + loss(model, 2)).backward()
    one.collect()
    for seed in (1, 2):
        loss(other, seed).backward()
        two.collect()
    assert one.step() == pytest.approx(two.step(), rel=1e-5)


def test_a_gradient_that_is_not_finite_changes_nothing(model):
    ours = FlatAdamW(model, SETTINGS)
    before = ours.master.clone()
    (loss(model, 0) * float("nan")).backward()
    ours.collect()
    assert not ours.step() < float("inf")
    assert torch.equal(ours.master, before)
    assert not ours.gradient.any()


def test_frozen_weights_stay(model):
    model.embedding.weight.requires_grad_(False)
    before = model.embedding.weight.clone()
    ours = FlatAdamW(model, SETTINGS, torch.float32)
    loss(model, 0).backward()
    ours.collect()
    ours.step()
    assert torch.equal(model.embedding.weight, before)
    assert ours.master_weights(model).keys() == model.state_dict().keys()
