"""Models of the hub: transformers' own classes and a full forward are the independent truths."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.foreign import TransformersModel
from foolsgold.policies.generate import Sampling
from foolsgold.policies.hub import load_policy, sample, save_policy, with_lora
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.training.loop import Loop, LoopSettings
from foolsgold.training.optimiser import AdamWSettings

PROMPTS = [[5, 6, 7], [9], [3, 4, 5, 6, 7, 8]]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(["the cat sat on the mat", "a dog sat on a log"], 300)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory, tokenizer):
    """A small model outside the family, with a generation config that would bend what is sampled."""
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5) if parameter.ndim == 2 else None  # so that its tokens are far from equally likely
    model.generation_config.do_sample = True
    model.generation_config.top_k = 2
    model.generation_config.repetition_penalty = 1.5
    model.generation_config.eos_token_id = [1, 4]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, tie_word_embeddings=True,
        )
    ).save_pretrained(folder)  # fmt: skip
    tokenizer.save_pretrained(folder)
    return folder


def load_foreign(folder):
    with pytest.warns(UserWarning, match="runs through transformers.*model_type 'gpt2' is none of llama"):
        return load_policy(folder)


def test_a_model_outside_the_family_runs_through_transformers_and_says_so(gpt2):
    policy = load_foreign(gpt2)
    assert isinstance(policy.model, TransformersModel)
    assert policy.stop_tokens == (1, 4)
    tokens = torch.tensor([[5, 6, 7, 8]])
    expected = AutoModelForCausalLM.from_pretrained(gpt2)(tokens).logits
    torch.testing.assert_close(policy.model(tokens), expected)


def test_a_model_of_the_family_is_a_decoder_and_says_nothing(llama):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy = load_policy(llama)
    assert isinstance(policy.model, Decoder)
    assert policy.stop_tokens == (1, 2)  # 2 from the generation config


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("sampling", [Sampling(20, temperature=0.7, stop_tokens=(1, 2, 3, 40, 41)), Sampling(8)])
def test_log_probs_of_samples_equal_a_full_forward(kind, sampling, request):
    folder = request.getfixturevalue(kind)
    model = load_foreign(folder).model if kind == "gpt2" else load_policy(folder).model
    samples = sample(model, PROMPTS, sampling, seed=3, samples=6)
    assert len(samples.prompts) == 18
    for row, (prompt, completion) in enumerate(zip(samples.prompts, samples.completions(), strict=True)):
        tokens, length = torch.tensor([prompt + completion]), samples.lengths[row]
        with torch.no_grad():
            expected = token_log_probs(model, tokens, temperature=sampling.temperature)[0, len(prompt) - 1 :]
        torch.testing.assert_close(samples.log_probs[row, :length], expected, atol=1e-3, rtol=0)
        assert not samples.log_probs[row, length:].any()
        assert not samples.tokens[row, length:].any()
        assert (completion[-1] in sampling.stop_tokens) == samples.stopped[row]
        assert not set(sampling.stop_tokens) & set(completion[:-1])


def test_samples_of_a_foreign_model_follow_its_distribution_whatever_its_generation_config_says(gpt2):
    model = load_foreign(gpt2).model
    samples = sample(model, [[5, 6]], Sampling(1), seed=0, samples=4000)
    with torch.no_grad():
        expected = model(torch.tensor([[5, 6]]))[0, -1].softmax(-1)
    counts = torch.bincount(samples.tokens[:, 0], minlength=300) / 4000
    assert (counts - expected).abs().max() < 5 * (0.25 / 4000) ** 0.5  # five standard errors at most
    assert (counts > 0).sum() > 10  # its generation config would leave two
    assert model.inner.generation_config.top_k == 2  # and it is kept


def test_greedy_and_stop_strings_of_a_foreign_model(gpt2):
    model = load_foreign(gpt2).model
    (greedy,) = sample(model, [[5, 6, 7]], Sampling(6, temperature=0), seed=0).completions()
    theirs = GPT2LMHeadModel.from_pretrained(gpt2)
    text = [5, 6, 7]
    for token in greedy:
        with torch.no_grad():
            assert token == theirs(torch.tensor([text])).logits[0, -1].argmax()
        text.append(token)

    def decode(tokens):
        return "".join("ab"[token % 2] for token in tokens)

    samples = sample(model, PROMPTS, Sampling(30, stop_strings=("abb",)), seed=3, samples=4, decode=decode)
    assert samples.stopped.any()
    for row, stopped in zip(samples.completions(), samples.stopped.tolist(), strict=True):
        assert decode(row).endswith("abb") == stopped
        assert "abb" not in decode(row[:-1])


def test_bad_calls_are_refused(gpt2):
    model = load_foreign(gpt2).model
    with pytest.raises(ValueError, match="prompt"):
        sample(model, [[]], Sampling(), seed=0)
    with pytest.raises(ValueError, match="decode"):
        sample(model, [[1]], Sampling(stop_strings=("x",)), seed=0)


def fit(policy, folder, stop_after=None):
    """A few steps on one batch; the trained weights and the losses."""
    settings = LoopSettings(6, AdamWSettings(learning_rate=1e-2), save_every=2, dtype=torch.float32)
    loop = Loop(policy.model, settings, folder)
    losses = []

    def body(step):
        tokens = torch.randint(5, 20, (2, 8), generator=torch.Generator().manual_seed(step // 6))
        loss = loop.backward(-token_log_probs(loop.model, tokens).mean(), {"tokens": tokens})
        loop.update()
        losses.append(loss)
        if stop_after == len(losses):
            raise KeyboardInterrupt
        return {"loss": loss}

    loop.run(body)
    return loop.final_weights(), losses


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_lora_trains_the_adapter_alone_resumes_and_comes_back_from_its_folder(kind, request, tmp_path):
    base = request.getfixturevalue(kind)
    tokens = torch.tensor([[5, 6, 7, 8, 9]])
    policy = with_lora(base, rank=4, alpha=8, seed=1)
    untouched = AutoModelForCausalLM.from_pretrained(base)
    torch.testing.assert_close(policy.model(tokens), untouched(tokens).logits)
    weights, losses = fit(policy, tmp_path / "whole")
    assert losses[-1] < losses[0] - 0.1
    for name, parameter in policy.model.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
    theirs = untouched.state_dict()
    for name, value in policy.model.state_dict().items():
        if "lora_" not in name:
            assert torch.equal(value, theirs[name.removeprefix("inner.base_model.model.").replace(".base_layer", "")])

    with pytest.raises(KeyboardInterrupt):
        fit(with_lora(base, rank=4, alpha=8, seed=1), tmp_path / "cut", stop_after=5)
    again, _ = fit(with_lora(base, rank=4, alpha=8, seed=1), tmp_path / "cut")
    assert all(torch.equal(again[name], value) for name, value in weights.items())

    adapter = save_policy(tmp_path / "adapter", policy.model, policy.tokenizer, weights)
    assert not list(adapter.glob("*.bin"))
    assert not (adapter / "model.safetensors").exists()
    expected = policy.model(tokens)
    torch.testing.assert_close(load_policy(adapter).model(tokens), expected)
    whole = save_policy(tmp_path / "merged", policy.model, policy.tokenizer, weights, merge=True)
    torch.testing.assert_close(AutoModelForCausalLM.from_pretrained(whole)(tokens).logits, expected)
    torch.testing.assert_close(policy.model(tokens), expected)  # the trained model is as it was


def test_half_a_model_is_saved_whole(gpt2, tmp_path):
    """A working copy in bfloat16, tied weights and all, is saved from the float32 masters."""
    policy = load_foreign(gpt2)
    loop = Loop(policy.model, LoopSettings(1, dtype=torch.bfloat16))
    save_policy(tmp_path, policy.model, policy.tokenizer, loop.final_weights())
    theirs, ours = GPT2LMHeadModel.from_pretrained(gpt2), GPT2LMHeadModel.from_pretrained(tmp_path)
    for (name, a), (_, b) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_a_saved_decoder_is_a_model_of_transformers(tmp_path, tokenizer):
    torch.manual_seed(1)
    decoder = Decoder(DecoderConfig.sized(len(tokenizer), 32, 2)).eval()
    loop = Loop(decoder, LoopSettings(1, dtype=torch.bfloat16))
    save_policy(tmp_path, decoder, tokenizer, loop.final_weights(), stop_tokens=(4,))
    model, read = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert read("a cat sat")["input_ids"] == tokenizer("a cat sat")["input_ids"]
    assert model.generation_config.eos_token_id == [read.eos_token_id, 4]
    assert model.generation_config.pad_token_id == read.pad_token_id
    tokens = torch.tensor([[5, 6, 7, 8]])
    policy = load_policy(tmp_path, dtype=torch.float32)
    assert policy.stop_tokens == (read.eos_token_id, 4)
    torch.testing.assert_close(policy.model(tokens), model(tokens).logits)
    assert decoder.embedding.weight.dtype == torch.bfloat16  # the trained model is as it was


def test_what_cannot_be_loaded_is_one_line(tmp_path, gpt2, llama, tokenizer):
    with pytest.raises(UserError, match="no model directory"):
        load_policy(tmp_path / "nothing")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    tokenizer.save_pretrained(pickled)
    (pickled / "config.json").write_text((gpt2 / "config.json").read_text())
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(UserError, match="safetensors"), pytest.warns(UserWarning, match="transformers"):
        load_policy(pickled)
    with pytest.raises(UserError, match="at least 1"):
        with_lora(llama, rank=0)
    with pytest.raises(UserError, match="no LoRA adapter on nowhere"):
        with_lora(llama, targets=("nowhere",))


def test_a_tokenizer_of_another_model_is_refused(tmp_path, llama):
    train_bpe([], 400, special=[f"<{i}>" for i in range(50)]).save_pretrained(tmp_path)
    for file in llama.glob("*"):
        if not (tmp_path / file.name).exists():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="not a pair"):
        load_policy(tmp_path)


def test_an_adapter_without_safetensors_or_base_is_refused(tmp_path, llama, tokenizer):
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(llama)}))
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(UserError, match=r"no adapter_model\.safetensors"):
        load_policy(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="names no base model"):
        load_policy(tmp_path)
