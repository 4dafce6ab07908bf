"""How fast language models generate and learn here and in TRL, on the CPU, and how much memory they take.

    python bench/lm.py [--threads 1|2] [--sizes S M] [--works grpo generate reward sft memory] [--rounds 3]

Needs `pip install -e .[bench]`. Both have the same shapes of model, batches and tokens and take turns in one process
with as many threads. The last line is one JSON object. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.console import Console

from foolsgold.objectives.schedules import constant
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.generate import Sampling, generate
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.text_reward_model import TextRewardModel
from foolsgold.training.datasets import PromptRow
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings, working_dtype
from foolsgold.training.policy_gradient import PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings, Task
from foolsgold.training.sft import SFTSettings, sft
from foolsgold.training.text_reward_model import RewardModelSettings, TextComparisons, fit_text_reward_model
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
    Work,
    distinct_words,
    random_ids,
    random_texts,
    word_tokenizer,
)
from rounds import machine, print_table, take_turns

Rate = Callable[[], float]

NOTES = [
    "all: a Llama with random weights and tied embeddings, S 4 layers of width 128 and 512 words, M 6 layers of 384 "
    "and 4,096; random words",
    f"GRPO: {PROMPTS} prompts of {PROMPT} tokens x {SAMPLES} completions of {COMPLETION}, one update a batch, no "
    "reference model, a reward that costs nothing",
    f"reward model: batches of {PAIRS} pairs, prompt + completion 16 + 64 tokens (short) and 128 + 32 (long)",
    f"SFT: batches of {ROWS} x {ROW} tokens, every token learned",
    "training: whole steps, with batches, clipping and AdamW; weights and averages are float32 and products bfloat16, "
    "but 'bf16' keeps weights and averages in bfloat16, where most steps of this size round to nothing",
]


@dataclass(frozen=True)
class Arguments:
    threads: Literal[1, 2] = 1
    """Of each contestant."""
    sizes: tuple[Literal["S", "M"], ...] = ("S", "M")
    works: tuple[Literal["grpo", "generate", "reward", "sft", "memory"], ...] = (
        "grpo",
        "generate",
        "reward",
        "sft",
        "memory",
    )
    rounds: int = 3
    """How often each contestant is measured."""


# Ours


def our_decoder(size: str) -> Decoder:
    shape = SIZES[size]
    torch.manual_seed(0)
    head = shape.width // shape.heads
    return Decoder(
        DecoderConfig(shape.vocabulary, shape.width, shape.layers, shape.heads, shape.heads, shape.mlp, head)
    )


def our_loop(steps: int) -> LoopSettings:
    return LoopSettings(steps, AdamWSettings(LEARNING_RATE), schedule=constant)


def paced(train: Callable[[int, Callable], object], units: int) -> Rate:
    """The rate of `train(steps, report)`: one step more than is measured, whose end starts the clock."""

    def seconds(steps: int) -> float:
        ends: list[float] = []
        train(steps + 1, lambda step, metrics: ends.append(time.perf_counter()))
        return ends[-1] - ends[0]

    seconds(1)
    steps = max(1, round(CHUNK / seconds(1)))
    return lambda: units * steps / seconds(steps)


def our_grpo(size: str) -> Rate:
    shape, policy = SIZES[size], our_decoder(size)
    prompts = [PromptRow(text, {}) for text in random_texts(shape, 64 * PROMPTS, PROMPT)]
    task = Task(prompts, Scorer([WeightedReward(distinct_words)]), word_tokenizer(shape))
    rollouts = RolloutSettings(PROMPTS, SAMPLES, Sampling(COMPLETION, stop_tokens=(shape.vocabulary,)))

    def train(steps: int, report: Callable) -> None:
        train_policy(policy, task, PolicyGradientSettings(our_loop(steps), rollouts), report=report)

    return paced(train, 1)


def our_generation(size: str) -> Rate:
    shape = SIZES[size]
    model = our_decoder(size).to(working_dtype("cpu")).eval()
    prompts = random_ids(shape, PROMPTS, PROMPT)
    sampling = Sampling(COMPLETION, stop_tokens=(shape.vocabulary,))

    def batches(count: int) -> float:
        began = time.perf_counter()
        for seed in range(count):
            generate(model, prompts, sampling, seed, SAMPLES)
        return time.perf_counter() - began

    batches(1)
    count = max(1, round(CHUNK / batches(1)))
    return lambda: count * PROMPTS * SAMPLES * COMPLETION / batches(count)


def our_reward(size: str, prompt: int, completion: int) -> Rate:
    model = TextRewardModel(our_decoder(size))
    ids = random_ids(SIZES[size], 64 * PAIRS, prompt + 2 * completion)
    comparisons = TextComparisons(
        [row[:prompt] for row in ids],
        [row[prompt : prompt + completion] for row in ids],
        [row[prompt + completion :] for row in ids],
    )

    def train(steps: int, report: Callable) -> None:
        fit_text_reward_model(model, comparisons, RewardModelSettings(our_loop(steps), PAIRS), report=report)

    return paced(train, PAIRS)


def our_sft(size: str) -> Rate:
    model = our_decoder(size)
    rows = [(ids[:1], ids[1:]) for ids in random_ids(SIZES[size], 64 * ROWS, ROW)]

    def train(steps: int, report: Callable) -> None:
        sft(model, rows, SFTSettings(our_loop(steps), ROWS, train_on_prompts=True), report=report)

    return paced(train, ROWS * ROW)


def ours(work: Work, size: str) -> Rate:
    if work in PAIR_TOKENS:
        return our_reward(size, *PAIR_TOKENS[work])
    return {"grpo": our_grpo, "generate": our_generation, "sft": our_sft}[work](size)


# The comparison


def trl(work: Work, size: str) -> dict[str, Callable[[], Rate]]:
    """How to build TRL's contestants by name; none where it is not installed."""
    if importlib.util.find_spec("trl") is None:
        print("trl is not installed, so this peer is left out: pip install -e .[bench]", flush=True)
        return {}
    import peers_trl

    found = peers_trl.best(work, size)
    return {f"TRL {each}": lambda each=each: peers_trl.build(work, size, each).rate for each in found}


def compare(work: Work, size: str, rounds: int, found: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """Rows of the table for one work at one size; adds to the ratios and rates in `found`."""
    what, rates, starts = f"{work} {size}, {UNITS[work]}/s", {}, {}
    for name, build in {"foolsgold": lambda: ours(work, size), **trl(work, size)}.items():
        began = time.perf_counter()
        rates[name] = build()
        starts[name] = f"{time.perf_counter() - began:.0f}"
    measured = take_turns(rates, rounds)
    rows, ours_measured = [], measured["foolsgold"]
    for name, peer in measured.items():
        found["rates"][f"{work} {size} {name}"] = float(f"{peer.median:.4g}")
        ratio = ours_measured.over(peer)
        first = name == "foolsgold"
        if not first:
            found["ratios"][f"{work} {size} / {name}"] = round(ratio.median, 2)
        rows.append((what if first else "", name, str(peer), "" if first else f"{ratio} x", starts[name]))
    return rows


# Memory


def peak_megabytes() -> float:
    """Most memory that this process has held since it was started.

    From /proc where there is one: what `getrusage` says includes the memory of the parent at the moment it forked.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)


def print_grpo_peak(name: str, size: str, threads: int) -> None:
    """Run GRPO for a while in this process, print its peak before and after as JSON."""
    torch.set_num_threads(threads)
    contestants = {"foolsgold": lambda: our_grpo(size)} if name == "foolsgold" else trl("grpo", size)
    before = peak_megabytes()
    contestants[name]()()
    print(json.dumps({"before": before, "peak": peak_megabytes()}))


def grpo_peak(name: str, size: str, threads: int) -> dict[str, float]:
    """`print_grpo_peak` in a process of its own."""
    code = f"import lm; lm.print_grpo_peak({name!r}, {size!r}, {threads})"
    folder = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=os.environ)
    if done.returncode:
        raise SystemExit(f"measuring the memory of {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def compare_memory(size: str, arguments: Arguments, found: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """Rows of the table: GRPO's peak memory, and what was taken before the model was made."""
    names = ["foolsgold", *trl("grpo", size)]
    peaks = {name: grpo_peak(name, size, arguments.threads) for name in names}
    rows: list[tuple[str, ...]] = []
    for name, peak in peaks.items():
        times = peak["peak"] / peaks["foolsgold"]["peak"]
        found["rates"][f"memory {size} {name}"] = round(peak["peak"])
        if name != "foolsgold":
            found["ratios"][f"memory {size} / {name}"] = round(times, 2)
        what = f"grpo {size}, peak MiB" if name == "foolsgold" else ""
        text = f"{peak['peak']:,.0f} ({peak['before']:,.0f} imports)"
        rows.append((what, name, text, "" if name == "foolsgold" else f"{times:.2f} x our memory", ""))
    return rows


def main(arguments: Arguments) -> None:
    torch.set_num_threads(arguments.threads)
    console = Console(width=None if sys.stdout.isatty() else 140)
    found: dict[str, dict[str, float]] = {"ratios": {}, "rates": {}}
    works = [work for work in UNITS if work.split()[0] in arguments.works]
    for size in arguments.sizes:
        rows = [row for work in works for row in compare(work, size, arguments.rounds, found)]
        if "memory" in arguments.works:
            rows += compare_memory(size, arguments, found)
        title = f"Language model {size}, threads: {arguments.threads}"
        print_table(console, title, rows, NOTES, rate="per second")
    result = {"bench": "lm", "machine": machine(), "threads": arguments.threads, **found}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
