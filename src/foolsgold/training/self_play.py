"""One self-play loop, any referee.

Two worker threads play with the averaged network while this thread trains on the games of earlier iterations; then the
networks are swapped. What the referee says is the only thing that differs between real RL and RLHF.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from foolsgold.environments.go.rules import META, MOVES
from foolsgold.policies.go_network import GoNetwork
from foolsgold.policies.inference import go_evaluator
from foolsgold.policies.search import Referee
from foolsgold.training import checkpoint
from foolsgold.training.budget import Budget
from foolsgold.training.go_learner import GoLearner, LearnerSettings, LossWeights
from foolsgold.training.replay import Positions, Replay
from foolsgold.training.self_play_worker import FinishedGames, SelfPlayWorker, WorkerSettings

FORMAT = "self-play 1"
WORKERS = 2


@dataclass(frozen=True)
class SelfPlaySettings:
    worker: WorkerSettings
    learner: LearnerSettings = LearnerSettings()
    weights: LossWeights = LossWeights()
    games_an_iteration: int = 512
    """Games between two swaps of the playing network."""
    reuse: float = 4.0
    """How often a recorded position is trained on, on average."""
    window: int = 200_000
    """Positions that are trained on: the newest ones."""
    snapshots: int = 10
    """Networks kept along the way for evaluation, the first and last included."""
    seed: int = 0


@dataclass
class Progress:
    """Where a run stands; saved with every checkpoint."""

    iteration: int = 0
    games: int = 0
    seconds: float = 0.0
    share: float = 0.0
    """Share of the budget used."""
    new_positions: int = 0
    """Positions that arrived with the last iteration and are to be trained on."""
    first_chunk: int = 0
    """Number of the oldest replay chunk in the window."""
    snapshots: list[tuple[int, int, float]] = field(default_factory=list)
    """(iteration, games, share) of the networks kept."""


Report = Callable[[Progress, dict[str, float], FinishedGames | None], None]
"""Called after every iteration with the progress, its metrics and the games that ended in it."""


class SelfPlay:
    """Trains a network by self-play; killed at any moment, a new one on the same folder goes on."""

    def __init__(self, network: GoNetwork, referee: Referee, settings: SelfPlaySettings, budget: Budget, folder: Path):
        """Start, or resume where the newest checkpoint in `folder` stands.

        Args:
          network: where training starts; not changed.
          folder: holds checkpoint, replay chunks, snapshots and finished games of this run alone.
        """
        self.referee = referee
        self.settings = settings
        self.budget = budget
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.learner = GoLearner(network, settings.learner, settings.weights, settings.seed)
        self.workers = [SelfPlayWorker(settings.worker, settings.seed * WORKERS + i) for i in range(WORKERS)]
        self.replay = Replay(settings.window)
        self.rng = np.random.default_rng([settings.seed, 3])
        self.progress = Progress()
        if self._checkpoint.exists():
            self._resume()
        else:
            self._keep_snapshot()

    def run(self, report: Report | None = None) -> GoNetwork:
        """Train until the budget is spent; returns the averaged network, on the CPU."""
        torch.set_num_threads(1)
        progress = self.progress
        with ThreadPoolExecutor(WORKERS) as pool:
            while progress.share < 1:
                began = time.perf_counter()
                metrics, games = self._iterate(pool)
                progress.seconds += time.perf_counter() - began
                progress.share = self.budget.spent(progress.seconds, progress.games)
                self._save()
                if report:
                    report(progress, metrics, games)
        return copy.deepcopy(self.learner.averaged).cpu()

    def _iterate(self, pool: ThreadPoolExecutor) -> tuple[dict[str, float], FinishedGames]:
        worker = self.settings.worker
        evaluate = go_evaluator(self.learner.averaged, worker.games, worker.size)
        quota = self.settings.games_an_iteration
        if self.budget.games is not None:
            left = self.budget.games - self.progress.games
            quota = left if left < 1.5 * quota else quota  # the last iteration is never a handful of games
        shares = [quota // WORKERS + (i < quota % WORKERS) for i in range(WORKERS)]
        began = time.perf_counter()
        playing = [
            pool.submit(player.play, share, evaluate, self.referee)
            for player, share in zip(self.workers, shares, strict=True)
            if share
        ]
        losses = self._train()
        played = [game.result() for game in playing]
        seconds = time.perf_counter() - began
        positions = Positions.join([p for p, _ in played])
        games = FinishedGames.join([f for _, f in played])
        checkpoint.save(finished_path(self.folder, self.progress.iteration), games.tensors(), {})
        self._take_in(positions, len(games.result))
        agree = np.sign(games.result) == np.sign(games.score)
        metrics = {
            "games_per_second": len(games.result) / seconds,
            "moves_a_game": float(games.states[:, META, MOVES].mean()),
            "referee_black_wins": float((games.result > 0).mean()),
            "referee_agrees_with_score": float(agree.mean()),
            "referee_margin": float(np.abs(games.margin).mean()),
            "score_black_wins": float((games.score > 0).mean()),
            **{f"loss_{name}": value for name, value in losses.items()},
        }
        return metrics, games

    def _train(self) -> dict[str, float]:
        """Fit the positions of earlier iterations."""
        settings = self.settings
        steps = int(self.progress.new_positions * settings.reuse / settings.learner.batch)
        rate = settings.learner.learning_rate * self._schedule()
        sums: dict[str, torch.Tensor] = {}
        for _ in range(steps):
            parts = self.learner.step(self.replay.sample(settings.learner.batch, self.rng), rate)
            sums = {name: sums.get(name, 0) + part for name, part in parts.items()}  # type: ignore[misc]
        return {name: float(total) / steps for name, total in sums.items()}

    def _schedule(self) -> float:
        """Warm-up over the first three iterations, then a cosine to a twentieth."""
        warm = min(1.0, self.progress.iteration / 3)
        return warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress.share))))

    def _take_in(self, positions: Positions, games: int) -> None:
        progress = self.progress
        chunk = self._chunk(progress.iteration)
        checkpoint.save(chunk, positions.tensors(), {"format": FORMAT})
        dropped = self.replay.add(positions)
        progress.first_chunk += dropped
        progress.new_positions = len(positions)
        progress.iteration += 1
        progress.games += games

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "latest.safetensors"

    def _chunk(self, iteration: int) -> Path:
        return self.folder / f"positions-{iteration:05d}.safetensors"

    def _save(self) -> None:
        progress = self.progress
        kept = self.settings.snapshots - 1
        if progress.share >= 1 or progress.share * kept >= len(progress.snapshots):
            self._keep_snapshot()
        tensors = self.learner.tensors()
        meta = {"format": FORMAT, "progress": vars(progress), "learner": self.learner.state()}
        meta["rng"] = self.rng.bit_generator.state
        for i, worker in enumerate(self.workers):
            tensors |= {f"worker{i}.{name}": tensor for name, tensor in worker.tensors().items()}
            meta[f"worker{i}"] = worker.state()
        checkpoint.save(self._checkpoint, tensors, meta)
        for old in self.folder.glob("positions-*.safetensors"):
            if old < self._chunk(progress.first_chunk) or progress.share >= 1:
                old.unlink()

    def _keep_snapshot(self) -> None:
        progress = self.progress
        progress.snapshots.append((progress.iteration, progress.games, progress.share))
        checkpoint.save(snapshot_path(self.folder, progress.iteration), self.learner.averaged.state_dict(), {})

    def _resume(self) -> None:
        tensors, meta = checkpoint.load(self._checkpoint)
        self.progress = Progress(**meta["progress"])
        self.rng.bit_generator.state = meta["rng"]
        self.learner.restore(tensors, meta["learner"])
        for i, worker in enumerate(self.workers):
            prefix = f"worker{i}."
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            worker.restore(own, meta[f"worker{i}"])
        if self.progress.share < 1:
            for iteration in range(self.progress.first_chunk, self.progress.iteration):
                self.replay.chunks.append(Positions.from_tensors(checkpoint.load(self._chunk(iteration))[0]))


def snapshot_path(folder: Path, iteration: int) -> Path:
    """Where the averaged network after `iteration` is kept."""
    return folder / f"network-{iteration:05d}.safetensors"


def finished_path(folder: Path, iteration: int) -> Path:
    """Where the games that ended in `iteration` are kept, counted from 0."""
    return folder / f"finished-{iteration:05d}.safetensors"


def load_finished(folder: Path, iteration: int) -> FinishedGames:
    """The games that ended in `iteration`, counted from 0."""
    return FinishedGames.from_tensors(checkpoint.load(finished_path(folder, iteration))[0])


def load_snapshot(folder: Path, iteration: int, network: GoNetwork) -> GoNetwork:
    """A copy of `network` with the weights kept after `iteration`."""
    loaded = copy.deepcopy(network)
    loaded.load_state_dict(checkpoint.load(snapshot_path(folder, iteration))[0])
    return loaded
