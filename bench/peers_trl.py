"""Language models in TRL and transformers, at the settings that are fastest on a CPU.

    python bench/peers_trl.py [--sizes S M] [--works grpo ...] [--threads 1]     tries every setting, prints the rates

Each peer is built once and warm; then `rate()` measures one chunk of work. The trainers run `trainer.train()` whole,
with TRL's own data loader, generation, reward call, loss, clipping of the gradient, optimiser and schedule; the clock
starts when its loop starts and stops after the last optimiser step, so that building the loop is not counted.
Models have random weights, texts random words; the end token lies beyond the words, so nothing ends early and no
setting is needed that would make the peer slower. Nothing is downloaded.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

import torch
import tyro
from datasets import Dataset, disable_progress_bars
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
)
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from lm_works import (
    CHUNK,
    COMPLETION,
    LEARNING_RATE,
    PAIR_TOKENS,
    PAIRS,
    PROMPT,
    PROMPTS,
    ROW,
    ROWS,
    SAMPLES,
    SIZES,
    UNITS,
    ModelSize,
    Work,
    distinct_words,
    random_ids,
    random_texts,
    word_tokenizer,
)
from rounds import take_turns

Precision = Literal["fp32", "autocast bf16", "bf16"]
Attention = Literal["sdpa", "eager"]


@dataclass(frozen=True)
class Setting:
    """What may make the peer faster without changing what it computes, precision aside."""

    precision: Precision = "fp32"
    """`bf16` holds the weights and the optimiser's averages in bfloat16 too."""
    attention: Attention = "sdpa"
    accumulate: int = 1
    """Micro-batches of one optimiser step."""
    cache: Literal["static"] | None = None
    continuous: bool = False
    """The continuous batching of transformers, with its paged cache."""
    compiled: bool = False
    """`torch.compile` of the model."""
    checkpointing: bool = False
    """Activations made again in the backward pass."""

    def __str__(self) -> str:
        words = [self.precision, self.attention]
        words += [f"{self.accumulate} micro-batches"] if self.accumulate > 1 else []
        words += ["static cache"] if self.cache else []
        words += [word for word in ("continuous", "compiled", "checkpointing") if getattr(self, word)]
        return ", ".join(words)


def model(size: ModelSize, setting: Setting, kind=LlamaForCausalLM):
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        intermediate_size=size.mlp,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=size.vocabulary,
        num_labels=1,
        attn_implementation=setting.attention,
    )
    torch.manual_seed(0)
    return kind(config).to(torch.bfloat16 if setting.precision == "bf16" else torch.float32)


class Peer(Protocol):
    """A contestant; `rate()` gives units a second."""

    def rate(self) -> float: ...


class Clock(TrainerCallback):
    """Seconds from the start of the loop to the end of its last optimiser step."""

    def on_train_begin(self, *_, **__) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_, **__) -> None:
        self.seconds = time.perf_counter() - self.began


class TrainerPeer:
    """A TRL trainer; `rate()` runs it for about `CHUNK` seconds and returns units per second."""

    def __init__(self, trainer: Trainer, units: int):
        self.trainer, self.units, self.clock = trainer, units, Clock()
        trainer.add_callback(self.clock)
        trainer.remove_callback(PrinterCallback)
        self._train(2)
        self.steps = max(1, round(CHUNK / self._train(1)))

    def _train(self, steps: int) -> float:
        self.trainer.args.max_steps = steps
        self.trainer.train()
        return self.clock.seconds

    def rate(self) -> float:
        return self.units * self.steps / self._train(self.steps)


def arguments(setting: Setting, batch: int) -> dict:
    """Arguments common to the three trainers, whose defaults (gradient checkpointing, bf16, logs) are for GPUs."""
    return {
        "output_dir": tempfile.gettempdir(),
        "use_cpu": True,
        "bf16": setting.precision == "autocast bf16",
        "gradient_checkpointing": setting.checkpointing,
        "per_device_train_batch_size": batch // setting.accumulate,
        "gradient_accumulation_steps": setting.accumulate,
        "optim": "adamw_torch_fused",
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1.0,
        "max_steps": 1,
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "torch_compile": setting.compiled,
    }


def grpo(size: ModelSize, setting: Setting) -> TrainerPeer:
    """Optimiser steps per second: 8 prompts x 8 samples x 64 tokens, one update a batch, no reference model."""
    config = GRPOConfig(
        **arguments(setting, PROMPTS * SAMPLES),
        num_generations=SAMPLES,
        max_completion_length=COMPLETION,
        beta=0.0,
        cache_implementation=setting.cache,
        use_transformers_continuous_batching=setting.continuous,
    )
    trainer = GRPOTrainer(
        model(size, setting),
        distinct_words,
        config,
        Dataset.from_dict({"prompt": random_texts(size, 64 * PROMPTS, PROMPT)}),
        processing_class=word_tokenizer(size),
    )
    return TrainerPeer(trainer, 1)


def reward_model(size: ModelSize, setting: Setting, prompt: int, completion: int) -> TrainerPeer:
    """Pairs per second of Bradley-Terry training, batches of 32 pairs whose texts share the prompt."""
    rows = 64 * PAIRS
    ids = random_ids(size, rows, prompt + 2 * completion)
    data = {
        "chosen_ids": [row[: prompt + completion] for row in ids],
        "rejected_ids": [row[:prompt] + row[prompt + completion :] for row in ids],
    }
    config = RewardConfig(**arguments(setting, PAIRS), max_length=None)
    network = model(size, setting, LlamaForSequenceClassification)
    trainer = RewardTrainer(
        network, config, train_dataset=Dataset.from_dict(data), processing_class=word_tokenizer(size)
    )
    return TrainerPeer(trainer, PAIRS)


def sft(size: ModelSize, setting: Setting) -> TrainerPeer:
    """Tokens per second of supervised training, 32 full rows of 128 tokens a batch."""
    data = Dataset.from_dict({"input_ids": random_ids(size, 64 * ROWS, ROW)})
    config = SFTConfig(**arguments(setting, ROWS), max_length=ROW)
    trainer = SFTTrainer(model(size, setting), config, train_dataset=data, processing_class=word_tokenizer(size))
    return TrainerPeer(trainer, ROWS * ROW)


class GenerationPeer:
    """`generate` of transformers as TRL calls it; new tokens per second, 64 rows of 64."""

    def __init__(self, size: ModelSize, setting: Setting):
        self.model, self.setting = model(size, setting).eval(), setting
        self.prompts = [ids for ids in random_ids(size, PROMPTS, PROMPT) for _ in range(SAMPLES)]
        self.config = GenerationConfig(
            max_new_tokens=COMPLETION,
            do_sample=True,
            top_k=0,
            pad_token_id=size.vocabulary,
            eos_token_id=size.vocabulary,
            cache_implementation=setting.cache,
            disable_compile=not setting.compiled,
        )
        self._generate()
        began = time.perf_counter()
        self._generate()
        self.batches = max(1, round(CHUNK / (time.perf_counter() - began)))

    @torch.no_grad()
    def _generate(self) -> int:
        if self.setting.continuous:
            found = self.model.generate_batch(self.prompts, generation_config=self.config, progress_bar=False)
            return sum(len(output.generated_tokens) for output in found.values())
        ids = torch.tensor(self.prompts)
        found = self.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=self.config)
        return found[:, PROMPT:].numel()

    def rate(self) -> float:
        began = time.perf_counter()
        tokens = sum(self._generate() for _ in range(self.batches))
        seconds = time.perf_counter() - began
        if tokens != self.batches * PROMPTS * SAMPLES * COMPLETION:
            raise SystemExit(f"generate made {tokens} tokens, not {PROMPTS * SAMPLES * COMPLETION} a batch")
        return tokens / seconds


def best(work: Work, size: str) -> list[Setting]:
    """The fastest setting found; for training first the fastest with float32 weights and averages, as ours has.

    What was tried on Zen 5, one thread (AVX-512 with bfloat16 products), medians:
      attention: eager beats sdpa by 1.2 to 1.7 in bfloat16, where sdpa's backward is slow; in float32 they are equal.
      precision: autocast to bfloat16 beats float32 by 1.5 to 2.9 in training. Bfloat16 weights gain 1 to 27 % more
        there, and double the speed of generation for M, since autocast converts the weights anew for every token.
      compiled: 1.1 to 1.3 times in training on given texts, 1.1 times (M) and nothing (S) in GRPO, whose generation
        TRL does not compile. With `forward` compiled by hand and a static cache, generation in float32 stays below
        eager in bfloat16.
      micro-batches: 2 (S) and 4 (M) keep activations in the cache; compiled, S is faster whole.
      cache: static is 4 to 24 % slower than dynamic, continuous batching 15 to 50 times.
      checkpointing: 4 % slower. The optimiser is fused AdamW, logs and checkpoints are off.
    """
    autocast, weights = Setting("autocast bf16", "eager"), Setting("bf16", "eager")
    if work == "generate":
        return [weights]
    if (work, size) == ("grpo", "S"):
        return [replace(setting, accumulate=2) for setting in (autocast, weights)]
    parts = {"S": 1, "M": 4}[size]
    return [replace(setting, accumulate=parts, compiled=True) for setting in (autocast, weights)]


def build(work: Work, size: str, setting: Setting) -> Peer:
    """The contestant, warm."""
    prepare()
    if work in PAIR_TOKENS:
        return reward_model(SIZES[size], setting, *PAIR_TOKENS[work])
    return {"grpo": grpo, "generate": GenerationPeer, "sft": sft}[work](SIZES[size], setting)


def prepare() -> None:
    # Past its limit PyTorch runs models uncompiled; several of one class in one process would reach it.
    torch._dynamo.config.recompile_limit = 256
    transformers_logging.set_verbosity_error()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="(trl|transformers|accelerate|torch)")
    disable_progress_bars()


@dataclass(frozen=True)
class Arguments:
    sizes: tuple[Literal["S", "M"], ...] = ("S", "M")
    works: tuple[Work, ...] = tuple(UNITS)
    threads: Literal[1, 2] = 1
    rounds: int = 3


def candidates(work: Work) -> list[Setting]:
    """Settings worth trying on a machine that is new to the benchmark, the more telling ones of those in `best`."""
    found = [Setting(precision, attention) for precision in get_args(Precision) for attention in get_args(Attention)]
    autocast = Setting("autocast bf16", "eager")
    if work == "generate":
        return [*found, Setting(cache="static"), Setting(continuous=True)]
    return [*found, *(replace(autocast, accumulate=parts, compiled=on) for parts in (1, 2, 4) for on in (False, True))]


def main(arguments: Arguments) -> None:
    torch.set_num_threads(arguments.threads)
    for size in arguments.sizes:
        for work in arguments.works:
            peers = {str(setting): build(work, size, setting).rate for setting in candidates(work)}
            for name, rates in take_turns(peers, arguments.rounds).items():
                print(f"{work} {size}, {UNITS[work]}/s: {rates} {name}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
