"""The decoder against transformers' own models of the same family."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from foolsgold.errors import UserError
from foolsgold.policies.checkpoints import OutsideTheFamily, load_decoder, save_decoder
from foolsgold.policies.decoder import Decoder, DecoderConfig

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 72,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "llama tied": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=True)),
    "llama biased": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, attention_bias=True, head_dim=16)),
    "llama 3.1 rope": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=LLAMA_3)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=True)),
}


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Also norms and biases, which start as ones and zeros and would hide a mistake."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(0, 97, (3, 40), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", MODELS)
def test_logits_equal_transformers_both_ways(kind, tokens, tmp_path):
    theirs = randomised(MODELS[kind]())
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_decoder(tmp_path / "theirs")
    save_decoder(tmp_path / "ours", ours)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    with torch.no_grad():
        expected = theirs(tokens).logits
        torch.testing.assert_close(ours(tokens), expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(again(tokens).logits, expected, atol=1e-4, rtol=0)
    assert type(again) is type(theirs)


def test_sharded_directories_are_read_and_written(tokens, tmp_path):
    theirs = randomised(MODELS["qwen2"]())
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="50KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    ours = load_decoder(tmp_path / "theirs")
    save_decoder(tmp_path / "ours", ours, max_shard_bytes=50_000)
    assert len(list((tmp_path / "ours").glob("*.safetensors"))) > 1
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    with torch.no_grad():
        torch.testing.assert_close(again(tokens).logits, theirs(tokens).logits, atol=1e-4, rtol=0)


def test_gradients_equal_transformers(tokens, tmp_path):
    theirs = randomised(MODELS["llama tied"]())
    theirs.save_pretrained(tmp_path)
    ours = load_decoder(tmp_path)
    ours(tokens).square().mean().backward()
    theirs(tokens).logits.square().mean().backward()
    torch.testing.assert_close(ours.embedding.weight.grad, theirs.model.embed_tokens.weight.grad, atol=1e-5, rtol=1e-4)
    gate = theirs.model.layers[0].mlp.gate_proj.weight.grad
    torch.testing.assert_close(ours.blocks[0].gate_up.weight.grad[: len(gate)], gate, atol=1e-5, rtol=1e-4)


def test_what_follows_is_not_seen(tokens):
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig.sized(97, 64, 2)).eval()
    changed = tokens.clone()
    changed[:, 20:] = 5
    with torch.no_grad():
        torch.testing.assert_close(decoder(tokens)[:, :20], decoder(changed)[:, :20])


def test_number_of_parameters():
    config = DecoderConfig.sized(97, 64, 2)
    matrices = sum(p.numel() for p in Decoder(config).parameters() if p.ndim == 2)
    assert config.parameters == matrices


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt2"}, "gpt2"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"mlp_bias": True}, "biases"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "yarn"),
    ],
)
def test_models_outside_the_family_are_named(change, said, tmp_path):
    MODELS["llama"]().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(OutsideTheFamily, match=said):
        load_decoder(tmp_path)


def test_damage_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no model directory"):
        load_decoder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"config\.json"):
        load_decoder(tmp_path / "empty")
    MODELS["llama"]().save_pretrained(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        load_decoder(tmp_path / "model")
    weights.unlink()
    with pytest.raises(UserError, match="only safetensors"):
        load_decoder(tmp_path / "model")


def test_rotations_keep_their_digits_in_bfloat16(tmp_path):
    MODELS["llama"]().save_pretrained(tmp_path)
    decoder = load_decoder(tmp_path, torch.bfloat16)
    assert decoder.embedding.weight.dtype == torch.bfloat16
    assert torch.equal(decoder.frequencies, load_decoder(tmp_path).frequencies)
