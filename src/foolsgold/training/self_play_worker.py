"""Many games of self-play side by side, recorded as positions to learn from."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

import numpy as np
import torch

from foolsgold.compiled import kernel
from foolsgold.environments.go import rules
from foolsgold.environments.go.board import default_komi
from foolsgold.environments.go.features import BINARY_PLANES
from foolsgold.environments.go.rollouts import random_point
from foolsgold.environments.go.rules import META
from foolsgold.policies.inference import Evaluate
from foolsgold.policies.search import Referee, Searcher, SearchSettings
from foolsgold.rewards.go_referees import area_scores
from foolsgold.training.replay import Positions


def komi_choices(size: int) -> tuple[float, ...]:
    """Komi that games of training and of matches are drawn from, in points.

    Around the value of perfect play; on 5x5, where Black takes all but only with perfect play, from the whole range.
    """
    if size == 5:
        return (0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5)
    komi = default_komi(size)
    return (komi - 2, komi - 1, komi, komi + 1)


def max_moves(size: int) -> int:
    """Moves after which a game of self-play is counted as it stands."""
    return int(1.6 * size * size)


@kernel
def open_games(states, histories, which, lengths, size, seeds):
    """Restart the games `which` with `lengths` random moves played."""
    for i in range(len(which)):
        g = which[i]
        rules.reset(states[g], size)
        rules.reset_history(histories[g])
        played = 0
        while played < lengths[i]:
            v, position, seeds[g] = random_point(states[g], histories[g], seeds[g])
            if v == 0:
                continue
            rules.advance_point(states[g], v)
            rules.remember(histories[g], position)
            played += 1


@kernel
def _play_all(states, histories, actions, limit, over):
    for g in range(len(states)):
        rules.play(states[g], histories[g], actions[g])
        header = states[g, META]
        over[g] = header[rules.PASSES] >= 2 or header[rules.MOVES] >= limit


@dataclass(frozen=True)
class WorkerSettings:
    size: int
    """Side of the board."""
    games: int = 128
    """Games side by side."""
    full: SearchSettings = SearchSettings(simulations=32, considered=16)
    """The search whose policy is learned from."""
    fast: SearchSettings = SearchSettings(simulations=8, considered=4)
    """The cheap search of the other moves (playout cap randomisation, Wu 2019, 3.1)."""
    full_share: float = 0.3
    """Share of moves searched in full."""
    opening: int = 4
    """Random moves at the start of a game, at most."""


@dataclass(frozen=True)
class FinishedGames:
    """Games that ended, in the order they did; K games."""

    states: np.ndarray
    """uint16 `[K, ROWS, S]`"""
    komi: np.ndarray
    """float32 `[K]`, points"""
    result: np.ndarray
    """float32 `[K]`, the referee's for Black, in [-1, 1]"""
    margin: np.ndarray
    """float32 `[K]`, the referee's for Black, in points"""
    score: np.ndarray
    """float32 `[K]`, the true one for Black, komi taken off, in points"""

    @classmethod
    def join(cls, parts: list[FinishedGames]) -> FinishedGames:
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def tensors(self) -> dict[str, torch.Tensor]:
        return {f.name: as_tensor(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> FinishedGames:
        return cls(tensors["states"].numpy().view(np.uint16), *(tensors[f.name].numpy() for f in fields(cls)[1:]))


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """A copy; unsigned integers as the signed ones of the same bits, which safetensors and torch share."""
    signed = {np.dtype(np.uint16): np.int16, np.dtype(np.uint64): np.int64}
    return torch.from_numpy(array.view(signed.get(array.dtype, array.dtype)).copy())


class SelfPlayWorker:
    """Plays games against itself on one thread; the same seed and networks give the same games."""

    def __init__(self, settings: WorkerSettings, seed: int):
        self.settings = settings
        size, games = settings.size, settings.games
        self.limit = max_moves(size)
        length, actions = self.limit + settings.opening + 1, size * size + 1
        most = max(settings.full.simulations, settings.fast.simulations)
        self.searcher = Searcher(size, games, most, self.limit)
        self.rng = np.random.default_rng([seed, 2])
        self.komi_choices = np.array(komi_choices(size), np.float32)
        self.arrays: dict[str, np.ndarray] = {
            "states": np.zeros((games, rules.ROWS, rules.state_points(size)), np.uint16),
            "histories": np.zeros((games, rules.history_length(length)), np.uint64),
            "komi": np.zeros(games, np.float32),
            "seeds": self.rng.integers(1, 2**63, games, dtype=np.uint64),
            "recorded": np.zeros(games, np.int64),
            "binary": np.zeros((games, length, BINARY_PLANES, size, size), np.uint8),
            "scalars": np.zeros((games, length, 2), np.float32),
            "policy": np.zeros((games, length, actions), np.float16),
            "color": np.zeros((games, length), np.int8),
        }
        self._over = np.zeros(games, np.bool_)
        self._start(np.arange(games))

    def _start(self, which: np.ndarray) -> None:
        arrays = self.arrays
        lengths = self.rng.integers(0, self.settings.opening + 1, len(which))
        open_games(arrays["states"], arrays["histories"], which, lengths, self.settings.size, arrays["seeds"])
        arrays["komi"][which] = self.rng.choice(self.komi_choices, len(which))
        arrays["recorded"][which] = 0

    def play(self, games: int, evaluate: Evaluate, referee: Referee) -> tuple[Positions, FinishedGames]:
        """Play on until at least `games` games ended; returns those games and their fully searched positions."""
        positions: list[Positions] = []
        finished: list[FinishedGames] = []
        count = 0
        while count < games:
            which = self._step(evaluate, referee)
            if len(which):
                done = self._judge(which, referee, positions)
                finished.append(done)
                count += len(which)
                self._start(which)
        return Positions.join(positions), FinishedGames.join(finished)

    def _step(self, evaluate: Evaluate, referee: Referee) -> np.ndarray:
        """One move in every game; returns the games that ended."""
        arrays = self.arrays
        full = self.rng.random() < self.settings.full_share
        search = self.settings.full if full else self.settings.fast
        found = self.searcher.run(
            arrays["states"], arrays["histories"], arrays["komi"], evaluate, referee, search, arrays["seeds"]
        )
        if full:
            self._record(found.policies)
        _play_all(arrays["states"], arrays["histories"], found.actions, self.limit, self._over)
        return np.flatnonzero(self._over)

    def _record(self, policies: np.ndarray) -> None:
        arrays, planes = self.arrays, self.searcher.root_planes
        rows = np.arange(self.settings.games), arrays["recorded"]
        arrays["binary"][rows] = planes[:, :BINARY_PLANES]
        arrays["scalars"][rows] = planes[:, BINARY_PLANES + 1 :, 0, 0]
        arrays["policy"][rows] = policies
        arrays["color"][rows] = np.where(arrays["states"][:, META, rules.TO_PLAY] == rules.BLACK, 1, -1)
        arrays["recorded"] += 1

    def _judge(self, which: np.ndarray, referee: Referee, positions: list[Positions]) -> FinishedGames:
        arrays = self.arrays
        states, komi = arrays["states"][which], arrays["komi"][which]
        result, margin = referee.judge(states, komi)
        score, ownership = area_scores(states)
        for i, g in enumerate(which):
            n = int(arrays["recorded"][g])
            side = arrays["color"][g, :n]
            positions.append(
                Positions(
                    binary=arrays["binary"][g, :n].copy(),
                    scalars=arrays["scalars"][g, :n].copy(),
                    policy=arrays["policy"][g, :n].copy(),
                    result=side * np.float32(result[i]),
                    margin=side * np.float32(margin[i]),
                    ownership=side[:, None] * ownership[i],
                )
            )
        return FinishedGames(states, komi, result, margin, score - komi)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The games under way, for a checkpoint."""
        return {name: as_tensor(array) for name, array in self.arrays.items()}

    def state(self) -> str:
        return json.dumps(self.rng.bit_generator.state)

    def restore(self, tensors: dict[str, torch.Tensor], state: str) -> None:
        """Undo `tensors` and `state`."""
        for name, array in self.arrays.items():
            array[...] = tensors[name].numpy().view(array.dtype)
        self.rng.bit_generator.state = json.loads(state)
