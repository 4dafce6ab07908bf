"""Who decides that a game of Go was won: the score, or a reward model."""

from __future__ import annotations

import numpy as np

from foolsgold.compiled import kernel
from foolsgold.environments.go import rules


@kernel
def _area_scores(states, ownership, queue, out):
    for k in range(len(states)):
        out[k] = rules.area_score(states[k], ownership[k], queue)


def area_scores(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area scores before komi for Black, float32 `[K]`, and owners of the points, int8 `[K, N * N]`.

    Args:
      states: uint16 `[K, ROWS, S]`.
    """
    points = int(states[0, rules.META, rules.SIZE]) ** 2
    scores = np.empty(len(states), np.float32)
    ownership = np.empty((len(states), points), np.int8)
    _area_scores(states, ownership, np.empty(points, np.uint16), scores)
    return scores, ownership


class ScoreReferee:
    """Real RL: counts the board."""

    def judge(self, states: np.ndarray, komi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `policies.search.Referee`."""
        margins = area_scores(states)[0] - komi
        return np.sign(margins), margins
