"""Strength for time: train from nothing for some minutes, then play GNU Go.

    python bench/strength.py --board 7 --minutes 10 --simulations 64 --games 100

Self-play begins with a random network and is told nothing but the score of finished games. The match gives both players
each colour equally often, from openings of two random moves; `foolsgold.audit.gnugo` says how games are counted. An
interrupted training goes on with --resume and the folder it names. The last line is one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from foolsgold.audit.gnugo import GnuGoMatch, find_gnugo, play_against_gnugo
from foolsgold.audit.match import Agent
from foolsgold.environments.go.board import check_size
from foolsgold.errors import UserError
from foolsgold.objectives.statistics import wilson_interval
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.policies.inference import describe_device
from foolsgold.policies.search import SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.training.budget import Budget
from foolsgold.training.self_play import SelfPlay, SelfPlaySettings
from foolsgold.training.self_play_worker import WorkerSettings
from rounds import machine


@dataclass(frozen=True)
class Training:
    """What decides the network; stored in the run's folder."""

    board: int = 7
    """Side of the board, 5 to 19."""
    minutes: float = 10.0
    """Training time; the match is not counted."""
    blocks: int = 4
    """Residual blocks of the network."""
    channels: int = 32
    """Channels of the network."""
    seed: int = 0
    """Of the first weights and the games."""


@dataclass(frozen=True)
class Arguments:
    training: tyro.conf.OmitArgPrefixes[Training]
    simulations: int = 64
    """Network evaluations for each move of the match."""
    games: int = 100
    """Games of the match, an even number."""
    level: int = 10
    """GNU Go's level, 1 to 10."""
    out: Path | None = None
    """Folder of a new run; runs/strength-<board>-<time> unless given."""
    resume: Path | None = None
    """Folder of an interrupted run: goes on as it began, whatever the options of training say."""


def open_folder(arguments: Arguments) -> tuple[Path, Training]:
    """The run's folder and what is trained in it."""
    if arguments.resume is not None:
        stored = arguments.resume / "training.json"
        if not stored.exists():
            raise UserError(f"{arguments.resume} holds no run to resume: {stored.name} is missing")
        return arguments.resume, Training(**json.loads(stored.read_text()))
    training = arguments.training
    folder = arguments.out or Path("runs") / f"strength-{training.board}-{time.strftime('%Y%m%d-%H%M%S')}"
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; choose another folder, or go on there with --resume {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training.json").write_text(json.dumps(asdict(training)))
    return folder, training


def progress_line(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    return Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[told]}"), console=console)


def train(training: Training, folder: Path, console: Console) -> tuple[GoNetwork, int]:
    """Self-play from a random network; returns the averaged network and the number of games it learned from."""
    torch.manual_seed(training.seed)
    network = GoNetwork(NetworkSize(training.blocks, training.channels))
    settings = SelfPlaySettings(WorkerSettings(training.board), seed=training.seed)
    run = SelfPlay(network, ScoreReferee(), settings, Budget(minutes=training.minutes), folder)
    with progress_line(console) as line:
        task = line.add_task("self-play", total=1.0, completed=min(1.0, run.progress.share), told="")

        def report(progress, metrics, _) -> None:
            told = f"{progress.games:,} games, {metrics['games_per_second']:.0f}/s"
            line.update(task, completed=min(1.0, progress.share), told=told)

        trained = run.run(report)
    return trained, run.progress.games


def play(agent: Agent, board: int, arguments: Arguments, seed: int, console: Console) -> GnuGoMatch:
    with progress_line(console) as line:
        task = line.add_task(f"GNU Go level {arguments.level}", total=arguments.games, told="")

        def report(over: int, games: int) -> None:
            line.update(task, completed=over, total=games)

        return play_against_gnugo(agent, board, arguments.games, arguments.level, seed, report=report)


def main(arguments: Arguments) -> None:
    check_size(arguments.training.board)
    if arguments.games < 2 or arguments.games % 2:
        raise UserError(f"{arguments.games} games cannot share openings in pairs; give an even number")
    if find_gnugo() is None:
        raise UserError("GNU Go was not found on PATH or in /usr/games; install it, on Debian: apt install gnugo")
    folder, training = open_folder(arguments)
    console = Console(stderr=True)
    size = NetworkSize(training.blocks, training.channels)
    print(f"{training.board}x{training.board}, {training.minutes:g} minutes, {size}, {describe_device()}, in {folder}")
    network, trained_games = train(training, folder, console)
    considered = min(16, max(2, arguments.simulations))
    search = SearchSettings(simulations=arguments.simulations, considered=considered, gumbel_scale=0.0)
    agent = Agent("self-play", network, search, ScoreReferee())
    began = time.perf_counter()
    match = play(agent, training.board, arguments, training.seed, console)
    seconds = time.perf_counter() - began
    low, high = wilson_interval(match.wins, match.games)
    rate = match.wins / match.games
    half = match.games // 2
    print(f"trained on {trained_games:,} games of self-play")
    print(f"won {match.wins:g} of {match.games} against GNU Go level {match.level}, komi {match.komi:g}")
    print(f"win rate {rate:.1%} [{low:.1%}, {high:.1%}] (Wilson 95 %)")
    print(f"as Black {match.wins_as_black:g} of {half}, as White {match.wins_as_white:g} of {half}; {seconds:.0f} s")
    if match.illegal_moves:
        print(f"{match.illegal_moves} moves of GNU Go broke the superko rule and counted as passes")
    result = {
        "bench": "strength",
        "machine": machine(),
        "training": {**asdict(training), "games": trained_games, "device": describe_device()},
        "match": {
            "opponent": f"GNU Go 3.8 level {match.level}",
            "simulations": arguments.simulations,
            "games": match.games,
            "wins": match.wins,
            "wins_as_black": match.wins_as_black,
            "wins_as_white": match.wins_as_white,
            "win_rate": rate,
            "interval_95": [low, high],
            "mean_margin": float(match.scores.mean()),
            "illegal_moves": match.illegal_moves,
            "seconds": round(seconds, 1),
        },
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except UserError as error:
        print(f"strength: {error}", file=sys.stderr)
        sys.exit(2)
