"""A policy of two layers that writes words, and a reward that counts one of them."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.foreign import TransformersModel, add_lora
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.training.datasets import PromptRow
from foolsgold.training.rollouts import Task

WORDS = [f"w{i}" for i in range(2, 32)]
EOS = 1


def tokenizer() -> PreTrainedTokenizerFast:
    model = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": EOS, **{word: int(word[1:]) for word in WORDS}}, "<pad>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=model, pad_token="<pad>", eos_token="<eos>")


def policy(seed: int = 0, scale: float = 1.0) -> Decoder:
    torch.manual_seed(seed)
    decoder = Decoder(DecoderConfig.sized(32, 32, 2))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(scale if parameter.ndim == 2 else 1.0)
    return decoder.eval()


def adapted_llama() -> TransformersModel:
    """A policy with a LoRA adapter; its fixed output matrix is large enough to write one word alone."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    return add_lora(TransformersModel(LlamaForCausalLM(config).eval()), rank=4, alpha=16, targets=(), seed=0)


def gpt2() -> TransformersModel:
    """A policy outside the Llama and Qwen family, all of whose weights train."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=32, n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1)
    return TransformersModel(GPT2LMHeadModel(config).eval())


def share_of_w7(prompts, completions, **columns):
    """Share of the completion's words that are w7; 0 for an empty one."""
    return [text.split().count("w7") / max(1, len(text.split())) for text in completions]


def task(*rewards, prompts=None, time_limit_s=None, failures="failures") -> Task:
    weighted = [reward if isinstance(reward, WeightedReward) else WeightedReward(reward) for reward in rewards]
    rows = prompts or [PromptRow(f"w{2 + i} w{3 + i}" + " w9" * (i % 3), {"number": i}) for i in range(11)]
    return Task(rows, Scorer(weighted or [WeightedReward(share_of_w7)], time_limit_s, failures), tokenizer())
