"""What is really true about a board before the game is over: the verdict of a strong search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foolsgold.audit.match import Agent
from foolsgold.environments.go import rules
from foolsgold.environments.go.board import default_komi
from foolsgold.environments.go.rules import BLACK, META
from foolsgold.policies.inference import go_evaluator
from foolsgold.policies.search import Searcher

_BATCH = 256


def search_verdicts(agent: Agent, states: np.ndarray) -> np.ndarray:
    """How well boards stand for Black by the agent's search: tanh(expected margin / N), averaged over the search.

    The game is taken to start at each board: earlier positions, which superko would forbid, are not known.

    Args:
      agent: the strongest player at hand; its search is asked for the margin alone.
      states: uint16 `[K, ROWS, S]`, of games that are not over.

    Returns: float32 `[K]` in [-1, 1].
    """
    size = int(states[0, META, rules.SIZE])
    settings = replace(agent.search, score_weight=1.0, gumbel_scale=0.0)
    searcher = Searcher(size, _BATCH, settings.simulations, max_moves=10_000)
    evaluate = go_evaluator(agent.network, _BATCH, size)
    histories = np.stack([rules.new_history(1)] * _BATCH)
    komi = np.full(_BATCH, default_komi(size), np.float32)
    verdicts = np.empty(len(states), np.float32)
    for start in range(0, len(states), _BATCH):
        chunk = states[start : start + _BATCH]
        padded = np.concatenate([chunk, np.repeat(chunk[:1], _BATCH - len(chunk), 0)])
        found = searcher.run(padded, histories, komi, evaluate, agent.referee, settings)
        sign = np.where(padded[:, META, rules.TO_PLAY] == BLACK, 1, -1)
        verdicts[start : start + len(chunk)] = (sign * found.values)[: len(chunk)]
    return verdicts
