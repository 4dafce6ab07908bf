"""Prompts read once against every text read in full, and compiled attention against PyTorch's own."""

from __future__ import annotations

import copy

import pytest
import torch

from foolsgold.policies import fused
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.layouts import SharedPrompts

LENGTHS = [3, 7, 5]
SAMPLES, LONGEST, CONTINUATION = 2, 7, 6


def decoder(**changes) -> Decoder:
    torch.manual_seed(0)
    config = {"heads": 4, "kv_heads": 2, "hidden": 48, "head_size": 8, "qkv_bias": True} | changes
    model = Decoder(DecoderConfig(37, 32, 2, **config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def texts():
    """Prompts `[N, L]`, their lengths, and continuations `[N G, T]`."""
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(0, 37, (3, LONGEST), generator=generator)
    return prompts, torch.tensor(LENGTHS), torch.randint(0, 37, (6, CONTINUATION), generator=generator)


def in_full(model, prompts, lengths, continuations):
    """States of each continuation after a forward over its prompt and itself."""
    found = []
    for row, continuation in enumerate(continuations):
        prompt = prompts[row // SAMPLES, : lengths[row // SAMPLES]]
        found.append(model.hidden(torch.cat((prompt, continuation))[None])[0, len(prompt) :])
    return torch.stack(found)


def shared(model, prompts, lengths, continuations):
    layout = SharedPrompts(lengths, LONGEST, SAMPLES, CONTINUATION)
    states = model.states(torch.cat((prompts.reshape(-1), continuations.reshape(-1))), layout)
    return states[prompts.numel() :].view(6, CONTINUATION, -1)


@pytest.mark.parametrize("qk_norm", [False, True])  # the second goes without compiled attention
def test_a_shared_prompt_changes_nothing(texts, qk_norm):
    model = decoder(qk_norm=qk_norm)
    other = copy.deepcopy(model)
    upstream = torch.randn(6, CONTINUATION, 32, generator=torch.Generator().manual_seed(2))
    ours, theirs = shared(model, *texts), in_full(other, *texts)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    (ours * upstream).sum().backward()
    (theirs * upstream).sum().backward()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("threads", [1, 2])
def test_compiled_steps_equal_plain_ones(texts, monkeypatch, threads):
    monkeypatch.setattr(fused, "LEAST_WORK", 0)  # two threads also for a few tokens
    model = decoder()
    plain = copy.deepcopy(model)
    tokens = torch.randint(0, 37, (5, 19), generator=torch.Generator().manual_seed(3))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = model(tokens)
        ours.square().mean().backward()
    finally:
        torch.set_num_threads(before)
    monkeypatch.setattr(fused, "usable", lambda weight: False)
    theirs = plain(tokens)
    theirs.square().mean().backward()
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-3)


def test_bfloat16_stays_near_float32(texts):
    model = decoder()
    half = copy.deepcopy(model)
    for parameter in half.parameters():
        parameter.data = parameter.data.bfloat16()
    tokens = torch.randint(0, 37, (4, 24), generator=torch.Generator().manual_seed(3))
    exact, rounded = model(tokens), half(tokens).float()
    assert (exact - rounded).abs().max() < 0.03 * exact.abs().max()
    exact.square().mean().backward()
    rounded.square().mean().backward()
    for a, b in zip(model.parameters(), half.parameters(), strict=True):
        assert torch.cosine_similarity(a.grad.flatten(), b.grad.float().flatten(), dim=0) > 0.995
