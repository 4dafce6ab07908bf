"""What the language-model benchmark asks of every contestant: sizes, numbers of tokens, texts and a reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

PROMPTS, SAMPLES, PROMPT, COMPLETION = 8, 8, 16, 64  # prompts and completions of a GRPO step, tokens of each
PAIRS = 32  # comparisons a batch
ROWS, ROW = 32, 128  # rows of a supervised batch, tokens of each
CHUNK = 3.0  # seconds that one call of rate() aims at
LEARNING_RATE = 1e-5

Work = Literal["grpo", "generate", "reward short", "reward long", "sft"]
UNITS: dict[Work, str] = {
    "grpo": "steps",
    "generate": "new tokens",
    "reward short": "pairs",
    "reward long": "pairs",
    "sft": "tokens",
}
PAIR_TOKENS = {"reward short": (16, 64), "reward long": (128, 32)}  # prompt, completion


@dataclass(frozen=True)
class ModelSize:
    layers: int
    width: int
    heads: int
    mlp: int
    vocabulary: int


SIZES = {"S": ModelSize(4, 128, 4, 344, 512), "M": ModelSize(6, 384, 6, 1024, 4096)}


def word_tokenizer(size: ModelSize) -> PreTrainedTokenizerFast:
    """Words w0, w1, ... and an end token after the last word that a model can say, so that no text ends early."""
    words = {f"w{i}": i for i in range(size.vocabulary)} | {"</s>": size.vocabulary}
    inner = Tokenizer(WordLevel(words, unk_token="w0"))
    inner.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", pad_token="</s>", padding_side="left")


def random_ids(size: ModelSize, rows: int, length: int) -> list[list[int]]:
    return torch.randint(size.vocabulary, (rows, length), generator=torch.Generator().manual_seed(1)).tolist()


def random_texts(size: ModelSize, rows: int, length: int) -> list[str]:
    return [" ".join(f"w{i}" for i in ids) for ids in random_ids(size, rows, length)]


def distinct_words(completions: list[str], **_) -> list[float]:
    """A reward that costs next to nothing."""
    return [float(len(set(completion.split()))) for completion in completions]
