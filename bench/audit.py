"""What an audit costs: the gold curve of the best of n with its interval, against plain NumPy.

    python bench/audit.py [--prompts 1000] [--samples 10000] [--resamples 1000] [--rounds 3]

Contestants take turns in one run, with as many threads. The last line is one JSON object. Run it on a machine that does
nothing else, with 4 GB to spare.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from scipy.special import gammaln

from foolsgold.objectives.best_of_n import best_of_n_curve
from rounds import machine, print_table, take_turns

NOTES = [
    "curve: mean gold of the best of n by proxy for every n from 1 to the samples of a prompt, unbiased, with a 95 % "
    "bootstrap interval over prompts; random rewards",
    "plain NumPy: the matrix of all chances C(i-1, n-1) / C(N, n) from a table of log-factorials, one matrix product, "
    "then the bootstrap at once; equal proxies are told apart by their place, where ours share",
    "peak: most memory of a process of its own, rewards included",
]


@dataclass(frozen=True)
class Arguments:
    prompts: int = 1000
    samples: int = 10_000
    """Of each prompt."""
    resamples: int = 1000
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


def main(arguments: Arguments) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    found: dict[str, dict[str, float]] = {"ratios": {}, "rates": {}}
    bench_curve(arguments, found, console)
    print(json.dumps({"bench": "audit", "machine": machine(), **found}), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
