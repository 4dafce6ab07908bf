"""How fast Go is here and in OpenSpiel, pgx and mctx: rules alone, and self-play with search.

    python bench/go.py [--quick] [--only rules|self-play]

Needs `pip install -e .[bench]`; a peer that is missing is left out. Contestants take turns in one run, each at its best
settings, with as many threads as we use. The last line is one JSON object. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.console import Console

from foolsgold.environments.go.rollouts import random_games
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.policies.inference import describe_device, go_evaluator
from foolsgold.policies.search import SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.training.self_play_worker import SelfPlayWorker, WorkerSettings
from peers_pgx import CONSIDERED, SIMULATIONS, PgxProcess
from rounds import Measured, machine, print_table, take_turns

SIZE = 9
MAX_MOVES = 2 * SIZE * SIZE  # what random_games plays at most
WORKERS = 2
SEARCH = SearchSettings(simulations=SIMULATIONS, considered=CONSIDERED)

RULES_NOTES = [
    f"all: uniformly random legal moves, pass included, no suicide, two passes end, at most {MAX_MOVES} moves",
    "superko: ours forbids a move that repeats a position; OpenSpiel and pgx allow it and end the game there",
    "counting: ours and OpenSpiel count the area of each finished game in the time measured; pgx does after every move",
    "OpenSpiel: its C++ rollouts; moves = games x mean length, which 10,000 of its own games give (see the code)",
    "pgx: one compiled program for the whole batch; games that end start again; it makes the planes of each position",
]
SELF_PLAY_NOTES = [
    f"both: 9x9, Gumbel search of {SIMULATIONS} simulations from {CONSIDERED} actions on every move, untrained network",
    "network: as many residual blocks and channels; ours no normalisation, global pooling in every third block and 12 "
    "planes; pgx scales and shifts each channel and reads 17 planes, 8 positions of history",
    "heads: ours policy, result and score from pooled features (ownership only in training); pgx policy and value from "
    "dense layers over the board",
    "rules: both forbid suicide; ours forbids superko within the tree too; pgx ends the game there as the mover's loss",
    "moves: ours considers no filling of its own eyes and no pass in the first third; pgx considers every legal move",
    "ends: ours after 129 moves at most and 0 to 4 random moves to begin with; pgx after 162",
    "recorded: ours stores the positions to learn from in the time measured; pgx stores nothing",
]


@dataclass(frozen=True)
class Arguments:
    quick: bool = False
    """Two minutes: fewer and shorter rounds, one network, one candidate for each setting of pgx."""
    only: Literal["rules", "self-play"] | None = None
    """Measure only this part."""


@dataclass(frozen=True)
class Effort:
    rounds: int
    rules_seconds: float
    play_seconds: float
    rules_batches: tuple[int, ...]
    play_batches: tuple[int, ...]
    dtypes: tuple[str, ...]
    networks: tuple[NetworkSize, ...]


QUICK = Effort(3, 1.0, 5.0, (32,), (64,), ("float32",), (NetworkSize(4, 32),))
FULL = Effort(
    7,
    2.0,
    8.0,
    (8, 32, 128, 512),
    (16, 32, 128, 512),
    ("float32", "bfloat16"),
    (NetworkSize(4, 32), NetworkSize(6, 64)),
)


class Findings:
    """What the run prints at its end."""

    def __init__(self):
        self.ratios: dict[str, float] = {}
        self.rates: dict[str, float] = {}

    def rows(self, what: str, found: dict[str, Measured], starts: dict[str, str]) -> list[tuple[str, ...]]:
        """Rows of the table; the first contestant is ours."""
        ours, rows = next(iter(found.values())), []
        for i, (name, measured) in enumerate(found.items()):
            self.rates[f"{what} {name}"] = round(measured.median, 1)
            ratio = ours.over(measured)
            if i:
                self.ratios[f"{what} / {name}"] = round(ratio.median, 2)
            rows.append(("" if i else what, name, str(measured), f"{ratio} x" if i else "", starts.get(name, "")))
        return rows


def missing(*modules: str) -> bool:
    """Whether a peer cannot be imported; says so."""
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    if absent:
        print(f"{', '.join(absent)} is not installed, so this peer is left out: pip install -e .[bench]", flush=True)
    return bool(absent)


# Rules


def our_rollouts(seconds: float) -> float:
    began, moves, seed = time.perf_counter(), 0, 0
    while time.perf_counter() - began < seconds:
        seed += 1
        moves += random_games(SIZE, 500, seed)[0]
    return moves / (time.perf_counter() - began)


def openspiel_rollouts() -> Callable[[float], float]:
    """Random play inside OpenSpiel's C++ library, moves per second.

    The fastest way there from Python: `RandomRolloutEvaluator` has no method to call, but a Monte-Carlo bot of one
    simulation evaluates the position it is given by that many rollouts and then draws a move: all C++, one call of
    Python. It does not say how many moves were played, so the mean length of a game comes from as many games as make
    its standard error 0.3 %, drawn from the same distribution: two of its C++ bots that play uniformly random moves
    from the same empty board, whose finished game remembers its moves.
    """
    import pyspiel

    game = pyspiel.load_game("go", {"board_size": SIZE, "komi": 7.5, "max_game_length": MAX_MOVES})
    bots = [pyspiel.make_uniform_random_bot(player, 1 + player) for player in range(2)]
    sampled, moves = 10_000, 0
    for seed in range(sampled):
        state = game.new_initial_state()
        pyspiel.evaluate_bots(state, bots, seed)
        moves += state.move_number()
    length = moves / sampled
    games = 400
    evaluator = pyspiel.RandomRolloutEvaluator(games, 1)
    bot = pyspiel.MCTSBot(game, evaluator, 1.0, 1, 10, False, 1, False)
    empty = game.new_initial_state()

    def rate(seconds: float) -> float:
        began, played = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            bot.step(empty)
            played += games
        return played * length / (time.perf_counter() - began)

    return rate


def fastest(peer: PgxProcess, candidates: list[dict], seconds: float) -> tuple[str, float, list[str]]:
    """Compile and try the candidates; returns the best one's name, its seconds to the first move, and all results."""
    tried: dict[str, tuple[float, float]] = {}
    for candidate in candidates:
        name = f"batch {candidate['batch']}"
        if "dtype" in candidate:
            name = f"{candidate['blocks']}x{candidate['channels']} {candidate['dtype']} {name}"
        start = peer.compile(name, **candidate)
        tried[name] = peer.rate(name, seconds), start
    best = max(tried, key=lambda name: tried[name])
    return best, tried[best][1], [f"{name}: {rate:,.0f}" for name, (rate, _) in tried.items()]


def bench_rules(effort: Effort, findings: Findings, console: Console) -> None:
    seconds = effort.rules_seconds
    began = time.perf_counter()
    our_rollouts(0)
    starts = {"foolsgold": f"{time.perf_counter() - began:.1f}"}
    contestants = {"foolsgold": lambda: our_rollouts(seconds)}
    notes = list(RULES_NOTES)
    with ExitStack() as stack:
        if not missing("pyspiel"):
            openspiel = openspiel_rollouts()
            contestants["OpenSpiel"] = lambda: openspiel(seconds)
        if not missing("jax", "pgx"):
            peer = stack.enter_context(PgxProcess(cores=1))
            best, start, tried = fastest(peer, [{"batch": b} for b in effort.rules_batches], seconds)
            starts["pgx"] = f"{start:.1f}"
            contestants["pgx"] = lambda: peer.rate(best, seconds)
            notes.append(f"pgx at its best batch; moves/s tried: {'; '.join(tried)}")
        found = take_turns(contestants, effort.rounds)
    rows = findings.rows("rules", found, starts)
    print_table(console, "Random play, 9x9, positional superko, one core", rows, notes)


# Self-play


class OurSelfPlay:
    """Two worker threads, as `training.self_play` runs them, without training."""

    def __init__(self, size: NetworkSize):
        began = time.perf_counter()
        torch.set_num_threads(1)
        torch.manual_seed(0)
        settings = WorkerSettings(size=SIZE, full=SEARCH, full_share=1.0)
        self.evaluate = go_evaluator(GoNetwork(size), settings.games, SIZE)
        self.workers = [SelfPlayWorker(settings, seed) for seed in range(WORKERS)]
        self.referee = ScoreReferee()
        self.workers[0].searcher.run(
            *(self.workers[0].arrays[name] for name in ("states", "histories", "komi")),
            self.evaluate,
            self.referee,
            SearchSettings(simulations=1),
        )
        self.start = time.perf_counter() - began

    def _play(self, worker: SelfPlayWorker, seconds: float) -> int:
        # Every move is searched in full and therefore recorded: those of ended games in what play() returns.
        moves = -int(worker.arrays["recorded"].sum())
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            positions, _ = worker.play(1, self.evaluate, self.referee)
            moves += len(positions)
        return moves + int(worker.arrays["recorded"].sum())

    def rate(self, seconds: float) -> float:
        """Moves per second of both workers together; the first call plays until the first games end."""
        began = time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as pool:
            moves = sum(pool.map(lambda worker: self._play(worker, seconds), self.workers))
        return moves / (time.perf_counter() - began)


def first_start() -> float:
    """Seconds to the first searched move with nothing in the compilers' cache, in a process of its own."""
    code = "import time; t = time.perf_counter(); import go; go.OurSelfPlay(go.QUICK.networks[0]); "
    code += "print(time.perf_counter() - t)"
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        folder = Path(__file__).parent
        done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"a fresh start of self-play failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def bench_self_play(effort: Effort, findings: Findings, console: Console, cold: bool) -> None:
    rows: list[tuple[str, ...]] = []
    seconds = effort.play_seconds
    notes = [*SELF_PLAY_NOTES, f"ours: {describe_device()}, {WorkerSettings(SIZE).games} games on each of 2 threads"]
    with ExitStack() as stack:
        peer = None if missing("jax", "pgx", "mctx") else stack.enter_context(PgxProcess(cores=WORKERS))
        for size in effort.networks:
            ours = OurSelfPlay(size)
            ours.rate(0)
            starts = {"foolsgold": f"{ours.start:.1f}"}
            contestants = {"foolsgold": lambda ours=ours: ours.rate(seconds)}
            if peer is not None:
                best, start, tried = _best_search(peer, size, effort)
                starts["pgx + mctx"] = f"{start:.1f}"
                contestants["pgx + mctx"] = lambda best=best: peer.rate(best, seconds)
                notes.append(f"pgx + mctx at its best, {best}, 2 threads of XLA; moves/s tried: {'; '.join(tried)}")
            found = take_turns(contestants, effort.rounds)
            rows += findings.rows(f"self-play {size.blocks}x{size.channels}", found, starts)
    notes.append("start: seconds to the first move, not measured above; ours with its kernels in the disk cache")
    if cold:
        notes.append(f"start of ours on a new machine, nothing in the cache: {first_start():.0f} s, once")
    print_table(console, "Self-play with Gumbel search, 9x9, two cores", rows, notes)


def _best_search(peer: PgxProcess, size: NetworkSize, effort: Effort) -> tuple[str, float, list[str]]:
    """The fastest batch in float32, then that batch in the other precisions: the two hardly depend on each other."""
    shape = {"blocks": size.blocks, "channels": size.channels}
    first, *others = effort.dtypes
    candidates = [{"batch": batch, "dtype": first, **shape} for batch in effort.play_batches]
    best, start, tried = fastest(peer, candidates, effort.play_seconds / 2)
    if others:
        batch = int(best.split()[-1])
        rest = [{"batch": batch, "dtype": dtype, **shape} for dtype in others]
        other, other_start, other_tried = fastest(peer, rest, effort.play_seconds / 2)
        tried += other_tried
        if peer.rate(other, effort.play_seconds / 2) > peer.rate(best, effort.play_seconds / 2):
            best, start = other, other_start
    return best, start, tried


def main(arguments: Arguments) -> None:
    effort, findings = QUICK if arguments.quick else FULL, Findings()
    console = Console(width=None if sys.stdout.isatty() else 120)
    if arguments.only != "self-play":
        bench_rules(effort, findings, console)
    if arguments.only != "rules":
        bench_self_play(effort, findings, console, cold=not arguments.quick)
    result = {"bench": "go", "machine": machine(), "ratios": findings.ratios, "rates": findings.rates}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
