"""Supervised finetuning of a Go policy: imitate the moves of games that people played."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numba import int64

from foolsgold.compiled import kernel
from foolsgold.environments.go import rules
from foolsgold.environments.go.amateurs import GameMoves
from foolsgold.environments.go.board import default_komi
from foolsgold.environments.go.features import BINARY_PLANES, PLANES, policy_planes
from foolsgold.environments.go.rules import META
from foolsgold.environments.go.sgf import GameRecord, replay, starting_board
from foolsgold.policies.go_network import GoNetwork
from foolsgold.training.go_learner import GoLearner, LearnerSettings, LossWeights
from foolsgold.training.replay import Positions
from foolsgold.training.self_play_worker import komi_choices

MOVES_ALONE = LossWeights(policy=1, result=0, margin=0, ownership=0)


@kernel
def _follow(state, history, colors, actions, komi, legal, liberties, planes, binary, scalars):
    for t in range(len(actions)):
        state[META, rules.TO_PLAY] = colors[t]
        rules.legal_actions(state, history, legal)
        policy_planes(state, legal, komi, liberties, planes)
        for p in range(binary.shape[1]):
            for y in range(binary.shape[2]):
                for x in range(binary.shape[3]):
                    binary[t, p, y, x] = int64(planes[p, y, x])
        scalars[t, 0] = planes[BINARY_PLANES + 1, 0, 0]
        scalars[t, 1] = planes[BINARY_PLANES + 2, 0, 0]
        rules.play(state, history, actions[t])


def positions_of_game(first: np.ndarray, colors: np.ndarray, actions: np.ndarray, komi: float) -> Positions:
    """The positions of one game with its moves as targets; results and owners are left 0.

    Args:
      first: uint16 `[ROWS, S]`, where the game began.
      colors: int64 `[T]`, who moved.
      actions: int64 `[T]`, legal moves.
      komi: points.
    """
    size, moves = int(first[META, rules.SIZE]), len(actions)
    binary = np.zeros((moves, BINARY_PLANES, size, size), np.uint8)
    scalars = np.zeros((moves, 2), np.float32)
    legal = np.zeros(size * size + 1, np.uint8)
    planes = np.zeros((PLANES, size, size), np.float32)
    liberties = np.zeros(first.shape[1], np.uint16)
    history = rules.new_history(moves)
    _follow(first.copy(), history, colors, actions, komi, legal, liberties, planes, binary, scalars)
    policy = np.zeros((moves, size * size + 1), np.float16)
    policy[np.arange(moves), actions] = 1
    nothing = np.zeros(moves, np.float32)
    return Positions(binary, scalars, policy, nothing, nothing, np.zeros((moves, size * size), np.int8))


def positions_of_amateurs(games: Sequence[GameMoves], seed: int) -> Positions:
    """The positions of amateurs' games; komi, which amateurs do not look at, is drawn at random."""
    rng = np.random.default_rng([seed, 7])
    parts = []
    for game in games:
        size = int(game.boards[0, META, rules.SIZE])
        colors = game.boards[:-1, META, rules.TO_PLAY].astype(np.int64)
        parts.append(positions_of_game(game.boards[0], colors, game.actions, float(rng.choice(komi_choices(size)))))
    return Positions.join(parts)


def positions_of_records(records: Iterable[GameRecord]) -> Positions:
    """The positions of game records; who moves is as they say, two moves of one side running included.

    Raises:
      UserError: a record breaks the rules; the message names it.
    """
    parts = []
    for record in records:
        first = starting_board(record).state.copy()
        for _ in replay(record):  # raises where a move is illegal
            pass
        colors, actions = np.array(record.moves, np.int64).reshape(-1, 2).T
        komi = default_komi(record.size) if record.komi is None else record.komi
        parts.append(positions_of_game(first, np.ascontiguousarray(colors), np.ascontiguousarray(actions), komi))
    return Positions.join(parts)


def imitate(
    network: GoNetwork,
    positions: Positions,
    passes: float,
    seed: int,
    settings: LearnerSettings = LearnerSettings(),
    report: Callable[[int, int, float], None] | None = None,
) -> GoNetwork:
    """Fit the policy head to the moves of `positions`, one cycle of a linearly falling learning rate.

    Args:
      passes: times each position is seen, on average.
      report: called with (step, steps, policy loss in nats).

    Returns: the averaged network. Its value heads are untouched: what is good is for a referee to say.
    """
    learner = GoLearner(network, settings, MOVES_ALONE, seed)
    rng = np.random.default_rng([seed, 8])
    steps = max(1, int(passes * len(positions) / settings.batch))
    for step in range(steps):
        chosen = rng.integers(0, len(positions), settings.batch)
        rate = settings.learning_rate * min(1, (step + 1) / 50) * (1 - 0.95 * step / steps)
        parts = learner.step(positions.rows(chosen), rate)
        if report:
            report(step + 1, steps, float(parts["policy"]))
    return learner.averaged.cpu()


def move_accuracy(network: GoNetwork, positions: Positions) -> float:
    """Share of positions where the network's first choice is the move that was played."""
    import torch

    from foolsgold.training.replay import make_batch

    hits = 0
    with torch.inference_mode():
        for start in range(0, len(positions), 2048):
            batch = make_batch(positions.rows(slice(start, start + 2048)), 0)
            hits += int((network(batch.planes).policy.argmax(1) == batch.policy.argmax(1)).sum())
    return hits / len(positions)
