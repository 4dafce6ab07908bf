"""Sampling against full forwards, closed forms and counted frequencies."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.generate import Sampling, draw, generate
from foolsgold.policies.likelihood import linear_log_probs, token_log_probs

PROMPTS = [[5, 6, 7], [9], [3, 4, 5, 6, 7, 8, 9, 10]]


@pytest.fixture(scope="module")
def model() -> Decoder:
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(61, 64, 3, heads=4, kv_heads=2, hidden=96, head_size=16, qk_norm=True)).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(4) if parameter.ndim == 2 else parameter.add_(0.1 * torch.randn_like(parameter))
    return decoder


def full_forward(model, samples, temperature=1.0):
    """Log-probabilities of each completion from one forward over its whole text."""
    rows = []
    for prompt, completion in zip(samples.prompts, samples.completions(), strict=True):
        tokens = torch.tensor([prompt + completion])
        with torch.no_grad():
            rows.append(token_log_probs(model, tokens, temperature=temperature)[0, len(prompt) - 1 :])
    return rows


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_equal_a_full_forward(model, temperature):
    samples = generate(model, PROMPTS, Sampling(24, temperature=temperature, stop_tokens=(1, 2)), seed=4, samples=5)
    assert 0 < samples.stopped.sum() < 15  # some rows retire while others go on
    for row, expected in enumerate(full_forward(model, samples, temperature)):
        length = samples.lengths[row]
        torch.testing.assert_close(samples.log_probs[row, :length], expected, atol=1e-3, rtol=0)
        assert not samples.log_probs[row, length:].any()
        assert not samples.tokens[row, length:].any()


def test_rows_do_not_depend_on_each_other(model):
    together = generate(model, PROMPTS, Sampling(12, temperature=0), seed=0)
    for prompt, expected in zip(PROMPTS, together.completions(), strict=True):
        assert generate(model, [prompt], Sampling(12, temperature=0), seed=1).completions() == [expected]


def test_greedy_takes_the_likeliest_token_of_a_full_forward(model):
    (completion,) = generate(model, [[5, 6, 7]], Sampling(10, temperature=0), seed=0).completions()
    text = [5, 6, 7]
    for token in completion:
        with torch.no_grad():
            assert token == model(torch.tensor([text]))[0, -1].argmax()
        text.append(token)


def test_the_same_seed_gives_the_same_samples(model):
    first, again, other = (generate(model, PROMPTS, Sampling(16), seed=seed, samples=3) for seed in (7, 7, 8))
    assert torch.equal(first.tokens, again.tokens)
    assert not torch.equal(first.tokens, other.tokens)


def test_stop_tokens_end_a_row(model):
    samples = generate(model, PROMPTS, Sampling(40, stop_tokens=(1, 2, 3)), seed=3, samples=6)
    for row, stopped in zip(samples.completions(), samples.stopped.tolist(), strict=True):
        assert not {1, 2, 3} & set(row[:-1])
        assert (row[-1] in (1, 2, 3)) == stopped
        assert stopped or len(row) == 40


def test_stop_strings_end_a_row(model):
    def decode(tokens):
        return "".join("ab"[token % 2] for token in tokens)

    samples = generate(model, PROMPTS, Sampling(40, stop_strings=("abb",)), seed=3, samples=4, decode=decode)
    assert samples.stopped.any()
    for row, stopped in zip(samples.completions(), samples.stopped.tolist(), strict=True):
        assert decode(row).endswith("abb") == stopped
        assert "abb" not in decode(row[:-1])


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), [0.5, 0.3, 0.15, 0.05]),
        (Sampling(top_k=2), [0.625, 0.375, 0, 0]),
        (Sampling(top_p=0.7), [0.625, 0.375, 0, 0]),  # 0.5 is short of 0.7, with 0.3 it is crossed
        (Sampling(top_p=0.5), [1, 0, 0, 0]),
        (Sampling(temperature=0.5), [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),  # squared
    ],
)
def test_frequencies_follow_the_distribution(sampling, expected):
    n = 20_000
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().repeat(n, 1)
    tokens, log_probs = draw(logits, torch.rand(n, generator=torch.Generator().manual_seed(1)), sampling)
    counts = torch.bincount(tokens, minlength=4).numpy()
    kept = [i for i, share in enumerate(expected) if share]
    assert counts[kept].sum() == n
    if len(kept) > 1:
        assert chisquare(counts[kept], [n * expected[i] for i in kept]).pvalue > 1e-3
    untruncated = [0.5, 0.3, 0.15, 0.05] if sampling.temperature == 1 else expected
    torch.testing.assert_close(log_probs.exp(), torch.tensor(untruncated)[tokens])


def test_the_last_uniform_does_not_fall_off_the_end():
    tokens, _ = draw(torch.tensor([[0.0, 0.0, -torch.inf]]), torch.tensor([1 - 2**-24]), Sampling())
    assert tokens.tolist() == [1]


def test_bad_calls_are_refused(model):
    with pytest.raises(ValueError, match="prompt"):
        generate(model, [[1], []], Sampling(), seed=0)
    with pytest.raises(ValueError, match="decode"):
        generate(model, [[1]], Sampling(stop_strings=("x",)), seed=0)
    with pytest.raises(ValueError, match="temperature"):
        Sampling(temperature=-1)


def test_linear_log_probs_in_chunks_equal_a_log_softmax(monkeypatch):
    monkeypatch.setattr("foolsgold.policies.likelihood.CHUNK_ELEMENTS", 50)  # 5 rows of 11 tokens at a time
    generator = torch.Generator().manual_seed(2)
    states, matrix = torch.randn(13, 8, generator=generator), torch.randn(11, 8, generator=generator)
    targets, upstream = torch.randint(0, 11, (13,), generator=generator), torch.randn(13, generator=generator)
    a = [x.clone().requires_grad_() for x in (states, matrix)]
    b = [x.clone().requires_grad_() for x in (states, matrix)]
    ours = linear_log_probs(*a, targets, temperature=0.7)
    theirs = (b[0] @ b[1].T / 0.7).log_softmax(-1)[torch.arange(13), targets]
    torch.testing.assert_close(ours, theirs)
    (ours * upstream).sum().backward()
    (theirs * upstream).sum().backward()
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x.grad, y.grad)


def test_masked_targets_are_left_out(model):
    tokens = torch.randint(0, 61, (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.rand((3, 8), generator=torch.Generator().manual_seed(1)) < 0.5
    with torch.no_grad():
        everything = token_log_probs(model, tokens)
        torch.testing.assert_close(token_log_probs(model, tokens, mask), everything * mask)
        torch.testing.assert_close(token_log_probs(torch.nn.Sequential(model), tokens, mask), everything * mask)
