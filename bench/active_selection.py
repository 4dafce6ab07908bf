"""Which pair next: comparisons that a reward model needs for a given accuracy, by strategy, against uniform.

    python bench/active_selection.py [--seeds 12] [--networks]

Simulated raters (boards: a club of amateurs; poems: readers) judge pairs chosen by each strategy; the reward model is a
Bayesian Bradley-Terry on features. Accuracy: share of pairs, drawn uniformly and never to choose from, in which it
prefers what most raters prefer. A seed has raters, pairs and judgements of its own, shared by all strategies. The last
line is one JSON object.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.optimize import isotonic_regression

from active_selection_networks import network_curve
from active_selection_worlds import World, boards, poems
from foolsgold.labels.next_pair import STRATEGIES, Leads, Strategy, disagreement, expected_information
from foolsgold.objectives.statistics import mean_interval
from foolsgold.training.active_comparisons import Gathered, Gathering, LinearReward, fit_linear_reward, gather
from rounds import machine

PAIRS, HELD_OUT = 2500, 4000
TYPICAL_LEAD = 2.0
"""Nats: prior spread of a lead, shared out among the features."""


@dataclass(frozen=True)
class Arguments:
    seeds: int = 12
    """Worlds of each kind."""
    networks: bool = False
    """Measure ensembles of small networks instead."""


@dataclass(frozen=True)
class Kind:
    """A kind of world, and how long one learns in it."""

    name: str
    make: Callable[[int], World]
    plan: Gathering
    targets: tuple[float, ...]
    """Accuracies to reach."""


KINDS = (
    Kind("boards, 8 features", partial(boards, PAIRS, HELD_OUT, wide=False), Gathering(600, 10), (0.85, 0.90, 0.93)),
    Kind("boards, 155 features", partial(boards, PAIRS, HELD_OUT, wide=True), Gathering(1400, 20), (0.70, 0.75, 0.80)),
    Kind("poems, 7 features", partial(poems, PAIRS, HELD_OUT, wide=False), Gathering(600, 10), (0.85, 0.90, 0.93)),
    Kind("poems, 71 features", partial(poems, PAIRS, HELD_OUT, wide=True), Gathering(1400, 20), (0.75, 0.80, 0.85)),
)

COPIES = Kind(
    "boards of games followed move by move, 155 features",
    partial(boards, PAIRS, HELD_OUT, wide=True, copies=True),
    Gathering(1400, 100),
    (0.70, 0.75),
)
"""Some 40 pairs of games, each compared after every move: each pair of boards has tens of near copies."""


def ranked(leads: Leads, batch: int, seed: int, merit: Callable) -> np.ndarray:
    """A batch of the pairs of greatest merit, each by itself."""
    return np.argsort(-merit(leads.mean, leads.variance), kind="stable")[:batch]


RANKED: dict[str, Strategy] = {
    "disagreement, ranked singly": partial(ranked, merit=disagreement),
    "information, ranked singly": partial(ranked, merit=expected_information),
}


@dataclass(frozen=True)
class Curve:
    """Accuracy after each fit."""

    comparisons: np.ndarray
    accuracy: np.ndarray

    def needed(self, target: float) -> float:
        """Comparisons for the accuracy, infinity where it was not reached; read off the nearest rising curve."""
        rising = isotonic_regression(self.accuracy).x
        if rising[-1] < target:
            return np.inf
        return float(np.interp(target, *_strictly(rising, self.comparisons)))


def _strictly(rising: np.ndarray, comparisons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first point of each level."""
    first = np.append(True, np.diff(rising) > 0)
    return rising[first], comparisons[first]


def linear_curve(world: World, strategy: Strategy, plan: Gathering, seed: int) -> Curve:
    """Learn in a world; each pair has one rater, who answers anew each time."""
    rng = np.random.default_rng([seed, 73])
    rater = rng.integers(world.chances.shape[1], size=world.pairs)
    # The same first answer and the same repeated answer to a pair, whichever strategy asks.
    draws = rng.random((2, world.pairs))
    asked = np.zeros(world.pairs, np.int64)
    differences = world.a - world.b
    x, held_out = differences[: world.pairs], differences[world.pairs :]
    deviation = TYPICAL_LEAD / x.shape[1] ** 0.5
    fitted: list[LinearReward] = []
    comparisons, accuracy = [], []

    def ask(rows: np.ndarray) -> np.ndarray:
        said = draws[asked[rows], rows] < world.chances[rows, rater[rows]]
        asked[rows] += 1
        return said

    def fit(gathered: Gathered) -> LinearReward:
        start = fitted.pop() if fitted else None
        fitted.append(fit_linear_reward(x[gathered.rows], gathered.prefers_a, deviation, start))
        return fitted[0]

    def report(judged: int, model: LinearReward) -> None:
        comparisons.append(judged)
        accuracy.append(((held_out @ model.weights > 0) == world.most_prefer_a).mean())

    gather(world.pairs, ask, fit, lambda model, rows: model.leads(x[rows]), strategy, plan, seed, report)
    return Curve(np.array(comparisons), np.array(accuracy))


def ratio(curves: list[Curve], to: list[Curve], target: float) -> tuple[float, float, float] | None:
    """Comparisons needed relative to others, geometric mean over seeds with its 95 % interval; None: not reached."""
    needed = np.array([[curve.needed(target) for curve in group] for group in (curves, to)])
    if not np.isfinite(needed).all():
        return None
    logs = np.log(needed[0] / needed[1])
    low, high = mean_interval(logs)
    return float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high))


def rows_against(base: str, curves: dict[str, list[Curve]], targets: tuple[float, ...]) -> list[dict]:
    """For each contestant and target: median comparisons needed, and the ratio to the base."""
    return [
        {
            "strategy": name,
            "target": target,
            "needed": float(np.median([curve.needed(target) for curve in found])),
            "reached": int(sum(np.isfinite(curve.needed(target)) for curve in found)),
            "ratio": ratio(found, curves[base], target),
        }
        for name, found in curves.items()
        for target in targets
    ]


def print_rows(console: Console, title: str, rows: list[dict], seeds: int) -> None:
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for column in ("strategy", "accuracy", "comparisons, median", "ratio [95 %]"):
        table.add_column(column, justify="left" if column == "strategy" else "right")
    for row in rows:
        needed = f"{row['needed']:.0f}" if np.isfinite(row["needed"]) else "—"
        if row["reached"] < seeds:
            needed += f" ({row['reached']} of {seeds} reached)"
        shown = "{:.2f} [{:.2f}, {:.2f}]".format(*row["ratio"]) if row["ratio"] else "—"
        table.add_row(row["strategy"], f"{row['target']:.0%}", needed, shown)
    console.print(table)


def measure(kind: Kind, contestants: dict[str, tuple[Strategy, Gathering]], seeds: int) -> dict[str, list[Curve]]:
    """All contestants on the same worlds."""
    curves: dict[str, list[Curve]] = {name: [] for name in contestants}
    for seed in range(seeds):
        world = kind.make(seed=seed)
        for name, (strategy, plan) in contestants.items():
            curves[name].append(linear_curve(world, strategy, plan, seed))
    return curves


def linear_tables(console: Console, seeds: int) -> dict:
    """Strategies; batches; repeats."""
    results = {}
    many = 2 * seeds  # what repeats cost is little against what differs from world to world
    for kind in KINDS:
        contestants = {name: (strategy, kind.plan) for name, strategy in STRATEGIES.items()}
        results[kind.name] = rows_against("uniform", measure(kind, contestants, seeds), kind.targets)
        print_rows(console, kind.name, results[kind.name], seeds)
    for kind in (KINDS[1], KINDS[3], COPIES):
        large = replace(kind.plan, batch=100)
        name = f"{kind.name}, batches of 100"
        contestants = {key: (strategy, large) for key, strategy in {**STRATEGIES, **RANKED}.items()}
        del contestants["uncertainty"]
        curves = measure(kind, contestants, seeds)
        results[name] = rows_against("uniform", curves, kind.targets)
        print_rows(console, name, results[name], seeds)
        chosen = {key: curves[key] for key in ("information, ranked singly", "information")}
        results[f"{name}: against ranked singly"] = rows_against("information, ranked singly", chosen, kind.targets)
        print_rows(console, f"{name}: against ranked singly", results[f"{name}: against ranked singly"], seeds)
    for kind in (KINDS[0], KINDS[2]):
        plans = {f"{share:.0%} repeats": replace(kind.plan, repeats=share) for share in (0.0, 0.1, 0.2)}
        curves = measure(kind, {key: (STRATEGIES["information"], plan) for key, plan in plans.items()}, many)
        results[f"{kind.name}, repeats"] = rows_against("0% repeats", curves, kind.targets)
        print_rows(console, f"{kind.name}, repeats", results[f"{kind.name}, repeats"], many)
    return results


def network_tables(console: Console, seeds: int) -> dict:
    """Strategies, told what the members of an ensemble say and no more."""
    results = {}
    for kind in (KINDS[1], KINDS[3]):
        curves: dict[str, list[Curve]] = {name: [] for name in STRATEGIES}
        for seed in range(seeds):
            world = kind.make(seed=seed)
            for name, strategy in STRATEGIES.items():
                curves[name].append(Curve(*network_curve(world, strategy, replace(kind.plan, batch=50), seed)))
        results[f"{kind.name}, networks"] = rows_against("uniform", curves, kind.targets)
        print_rows(console, f"{kind.name}, networks", results[f"{kind.name}, networks"], seeds)
    return results


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    console = Console()
    started = time.perf_counter()
    results = (network_tables if arguments.networks else linear_tables)(console, arguments.seeds)
    console.print(f"{time.perf_counter() - started:.0f} s")
    print(json.dumps({"machine": machine(), "seeds": arguments.seeds, "results": results}))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
