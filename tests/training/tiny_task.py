"""A policy of two layers that writes words, and a reward that counts one of them."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from foolsgold.policies.decoder import Decoder, DecoderConfig
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


def share_of_w7(prompts, completions, **columns):
    """Share of the completion's words that are w7; 0 for an empty one."""
    return [text.split().count("w7") / max(1, len(text.split())) for text in completions]


def task(*rewards, prompts=None, time_limit_s=None, failures="failures") -> Task:
    weighted = [reward if isinstance(reward, WeightedReward) else WeightedReward(reward) for reward in rewards]
    rows = prompts or [PromptRow(f"w{2 + i} w{3 + i}" + " w9" * (i % 3), {"number": i}) for i in range(11)]
    return Task(rows, Scorer(weighted or [WeightedReward(share_of_w7)], time_limit_s, failures), tokenizer())
