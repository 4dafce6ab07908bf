"""What an audit costs: the gold curve of the best of n against plain NumPy, and a run of RL that is watched.

    python bench/audit.py [--prompts 1000] [--samples 10000] [--resamples 1000] [--steps 40] [--rounds 3]

Contestants take turns in one run, with as many threads. The last line is one JSON object. Run it on a machine that does
nothing else, with 4 GB to spare.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich.console import Console
from scipy.special import gammaln

from foolsgold.audit.alarm_callback import Probes, alarm_callback
from foolsgold.audit.alarms import Alarms
from foolsgold.audit.stopping import GoldStop, LookSettings
from foolsgold.objectives.best_of_n import best_of_n_curve
from foolsgold.objectives.schedules import constant
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.hub import Policy
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel
from foolsgold.serving.alarm_watch import DEFAULT, EVERY, ROWS, watched_of
from foolsgold.training.datasets import PromptRow
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import LoopSettings, Metrics
from foolsgold.training.optimiser import AdamWSettings, working_dtype
from foolsgold.training.policy_gradient import PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings, Task, draw_and_score, frozen_copy
from foolsgold.training.snapshots import Snapshots
from lm_works import COMPLETION, LEARNING_RATE, PROMPT, SIZES, distinct_words, random_texts, word_tokenizer
from rounds import machine, print_table, take_turns

NOTES = [
    "curve: mean gold of the best of n by proxy for every n from 1 to the samples of a prompt, unbiased, with a 95 % "
    "bootstrap interval over prompts; random rewards",
    "plain NumPy: the matrix of all chances C(i-1, n-1) / C(N, n) from a table of log-factorials, one matrix product, "
    "then the bootstrap at once; equal proxies are told apart by their place, where ours share",
    "peak: most memory of a process of its own, rewards included",
]
WATCHED_NOTES = [
    "RL: GRPO against a reward model, 4 layers of width 128 both, 16 prompts of 16 tokens x 8 completions of 64",
    "watched, as a run of 200 steps is by default: every 10 steps the alarm chi-squared on all rollouts, every 20 a "
    "snapshot, and gold of 64 held-out prompts, which costs nothing here but the drawing; steps per second of CPU time",
]


@dataclass(frozen=True)
class Arguments:
    prompts: int = 1000
    samples: int = 10_000
    """Of each prompt."""
    resamples: int = 1000
    steps: int = 40
    """Of RL, in each round."""
    rounds: int = 3
    """How often each contestant is measured."""


# The curve of the best of n

Ends = tuple[np.ndarray, np.ndarray]


def our_curve(proxy: np.ndarray, gold: np.ndarray, resamples: int) -> Ends:
    curve = best_of_n_curve(proxy, gold, resamples)
    return curve.low, curve.high


def plain_curve(proxy: np.ndarray, gold: np.ndarray, resamples: int) -> Ends:
    prompts, samples = gold.shape
    ordered = np.take_along_axis(gold, np.argsort(proxy, axis=1), 1)
    log_factorial = gammaln(np.arange(samples + 1) + 1.0)
    chance = np.zeros((samples, samples))
    for n in range(1, samples + 1):
        of_rank = log_factorial[n - 1 : samples] - log_factorial[: samples - n + 1] - log_factorial[n - 1]
        of_all = log_factorial[samples] - log_factorial[n] - log_factorial[samples - n]
        chance[n - 1, n - 1 :] = np.exp(of_rank - of_all)
    per_prompt = ordered @ chance.T
    drawn = np.random.default_rng(0).multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples)
    low, high = np.quantile(drawn @ per_prompt / prompts, [0.025, 0.975], axis=0)
    return low, high


CURVES: dict[str, Callable[[np.ndarray, np.ndarray, int], Ends]] = {"foolsgold": our_curve, "plain NumPy": plain_curve}


def rewards(prompts: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Proxy and gold `[P, N]`, correlated."""
    proxy, noise = np.random.default_rng(0).normal(size=(2, prompts, samples))
    return proxy, proxy + noise


def print_curve_peak(name: str, prompts: int, samples: int, resamples: int) -> None:
    """Compute the curve in this process and print the most memory it has held, MiB."""
    CURVES[name](*rewards(prompts, samples), resamples)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / 1024 / (1024 if sys.platform == "darwin" else 1))


def curve_peak(name: str, arguments: Arguments) -> float:
    """`print_curve_peak` in a process of its own; Linux counts in what its parent held when it was started."""
    code = "import audit; "
    code += f"audit.print_curve_peak({name!r}, {arguments.prompts}, {arguments.samples}, {arguments.resamples})"
    folder = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=os.environ)
    if done.returncode:
        raise SystemExit(f"measuring the memory of {name} failed:\n{done.stderr}")
    return float(done.stdout.splitlines()[-1])


def bench_curve(arguments: Arguments, found: dict[str, dict[str, float]], console: Console) -> None:
    peaks = {name: curve_peak(name, arguments) for name in CURVES}  # first, while this process is small
    starts, ends = {}, {}
    for name, curve in CURVES.items():
        began = time.perf_counter()
        ends[name] = curve(*rewards(64, arguments.samples), 2)
        starts[name] = f"{time.perf_counter() - began:.1f}"
    if not np.allclose(ends["foolsgold"], ends["plain NumPy"]):
        raise SystemExit("the contestants do not agree on the curve")
    proxy, gold = rewards(arguments.prompts, arguments.samples)

    def rate(curve: Callable[[np.ndarray, np.ndarray, int], Ends]) -> float:
        began = time.perf_counter()
        curve(proxy, gold, arguments.resamples)
        return arguments.prompts / (time.perf_counter() - began)

    measured = take_turns({name: lambda curve=curve: rate(curve) for name, curve in CURVES.items()}, arguments.rounds)
    rows: list[tuple[str, ...]] = []
    for name, rates in measured.items():
        first = name == "foolsgold"
        ratio = measured["foolsgold"].over(rates)
        found["rates"][f"curve {name}, s"] = round(arguments.prompts / rates.median, 2)
        found["rates"][f"curve {name}, peak MiB"] = round(peaks[name])
        if not first:
            found["ratios"][f"curve / {name}"] = round(ratio.median, 2)
            found["ratios"][f"curve memory / {name}"] = round(peaks[name] / peaks["foolsgold"], 2)
        rows.append(
            ("curve, prompts/s" if first else "", name, str(rates), "" if first else f"{ratio} x", starts[name])
        )
    for name, peak in peaks.items():
        first = name == "foolsgold"
        times = "" if first else f"{peak / peaks['foolsgold']:.2f} x our memory"
        rows.append(("curve, peak MiB" if first else "", name, f"{peak:,.0f}", times, ""))
    title = (
        f"Best of n, {arguments.prompts:,} prompts x {arguments.samples:,} samples, {arguments.resamples:,} resamples"
    )
    print_table(console, title, rows, NOTES, rate="per second")


# A watched run of RL


def rl_seconds(steps: int, watched: bool) -> float:
    """Seconds of CPU time that so many steps take, from after the first one on, which compiles."""
    size = SIZES["S"]
    tokenizer = word_tokenizer(size)
    torch.manual_seed(0)
    policy = Decoder(DecoderConfig.sized(size.vocabulary + 1, size.width, size.layers, max_positions=128))
    model = TextRewardModel(Decoder(policy.config))
    reward = TextReward(model, tokenizer, 256, dtype=working_dtype("cpu"))
    rows = [PromptRow(text, {}) for text in random_texts(size, 256, PROMPT)]
    task = Task(rows[:192], Scorer([WeightedReward(reward)], None), tokenizer)
    sampling = Sampling(COMPLETION, stop_tokens=())
    settings = PolicyGradientSettings(
        LoopSettings(steps, AdamWSettings(LEARNING_RATE), constant, save_every=10**9, evaluate_every=20),
        RolloutSettings(16, 8, sampling),
        kl=KLSettings(measure=True),
    )
    times: list[float] = []

    def report(step: int, metrics: Metrics) -> None:
        if watched:
            snapshots.keep(step)
        times.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        whole = Policy(policy, tokenizer, "", ())
        snapshots = Snapshots(Path(folder), whole, frozenset(range(20, steps + 1, 20)), working_dtype("cpu"))
        watch: dict[str, Any] = {}
        if watched:
            gold = Task(rows[192:], Scorer([WeightedReward(distinct_words)], None), tokenizer)
            looks = LookSettings(steps, budget=64 * max(3, steps // 20 + 1), every=20)
            probes = Probes(reference=frozen_copy(policy))
            reference = watched_of(draw_and_score(policy, task, range(128), sampling, 2, 1), 0, None)
            watch = {
                "evaluate": GoldStop(policy, gold, sampling, looks, Path(folder) / "looks"),
                "inspect": alarm_callback(
                    Alarms.of(reference, names=(DEFAULT,)), probes, lambda step, readings: None, EVERY, ROWS[DEFAULT]
                ),
            }
        train_policy(policy, task, settings, None, report, **watch)
    return times[-1] - times[0]


def bench_watched(arguments: Arguments, found: dict[str, dict[str, float]], console: Console) -> None:
    steps = arguments.steps
    rl_seconds(21, watched=True)  # compiles
    contestants = {name: partial(rl_seconds, steps, watched) for name, watched in (("plain", False), ("watched", True))}
    rates = take_turns(
        {name: lambda run=run: (steps - 1) / run() for name, run in contestants.items()}, arguments.rounds
    )
    cost = rates["plain"].over(rates["watched"])
    for name, rate in rates.items():
        found["rates"][f"RL {name}, steps/s"] = round(rate.median, 3)
    found["ratios"]["RL plain / watched"] = round(cost.median, 3)
    rows = [
        ("RL, steps/s", "plain", str(rates["plain"]), "", ""),
        ("", "watched", str(rates["watched"]), f"{cost} x", ""),
    ]
    print_table(console, "A run that is watched", rows, WATCHED_NOTES, rate="per second")


def main(arguments: Arguments) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    found: dict[str, dict[str, float]] = {"ratios": {}, "rates": {}}
    bench_curve(arguments, found, console)
    bench_watched(arguments, found, console)
    print(json.dumps({"bench": "audit", "machine": machine(), **found}), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
