"""What a network sees of a board, from the side of the player it judges for.

Planes of the policy network, `[PLANES, N, N]`:
0 own stones, 1 opponent's stones, 2-4 stones of chains with 1, 2, 3 liberties, 5 empty points that may not be played,
6-8 the last three moves, 9 the board (ones), 10 komi in the player's favour / 10, 11 the last move was a pass.

Planes 0-8 are 0 or 1 and are what a replay buffer stores; 9-11 follow from the scalars (komi, passed).

Planes of the reward model, `[REWARD_PLANES, N, N]`: 0-4 as above, 5 the board (ones), 6 stones taken by the judged
side minus stones lost / 10. It is shown the board alone: neither the moves that led there, nor komi, nor whose turn.
"""

import numpy as np
from numba import int64

from foolsgold.compiled import kernel
from foolsgold.environments.go import rules
from foolsgold.environments.go.rules import CHAIN, COLOR, EMPTY, META

BINARY_PLANES = 9
PLANES = 12
REWARD_PLANES = 7


@kernel
def _stones_and_liberties(state, color, liberties, out):
    """Planes 0-4; `liberties` uint16 `[S]` is scratch and receives the exact liberties of each chain."""
    size = int64(state[META, rules.SIZE])
    width = size + 2
    rules.chain_liberties(state, liberties)
    for y in range(size):
        for x in range(size):
            v = (y + 1) * width + x + 1
            stone = state[COLOR, v]
            count = int64(liberties[int64(state[CHAIN, v])]) if stone != EMPTY else 0
            out[0, y, x] = stone == color
            out[1, y, x] = stone == 3 - color
            out[2, y, x] = count == 1
            out[3, y, x] = count == 2
            out[4, y, x] = count == 3


@kernel
def policy_planes(state, legal, komi, liberties, out):
    """Write the policy network's planes for the player to move into `out` float32 `[PLANES, N, N]`.

    Args:
      legal: uint8 `[N * N + 1]`, the actions the rules allow, own eyes counted as allowed or not.
      komi: White's compensation in points.
      liberties: uint16 `[S]`, scratch.
    """
    size = int64(state[META, rules.SIZE])
    color = int64(state[META, rules.TO_PLAY])
    _stones_and_liberties(state, color, liberties, out)
    last, last2, last3 = state[META, rules.LAST], state[META, rules.LAST2], state[META, rules.LAST3]
    favour = (komi if color == rules.WHITE else -komi) / 10
    passed = state[META, rules.PASSES] > 0
    for y in range(size):
        for x in range(size):
            v = (y + 1) * (size + 2) + x + 1
            out[5, y, x] = state[COLOR, v] == EMPTY and not legal[y * size + x]
            out[6, y, x] = v == last
            out[7, y, x] = v == last2
            out[8, y, x] = v == last3
            out[9, y, x] = 1
            out[10, y, x] = favour
            out[11, y, x] = passed


@kernel
def _reward_planes(states, color, liberties, out):
    size = int64(states[0, META, rules.SIZE])
    for k in range(len(states)):
        _stones_and_liberties(states[k], color, liberties, out[k])
        taken = float(states[k, META, rules.TAKEN_BY_BLACK]) - float(states[k, META, rules.TAKEN_BY_WHITE])
        if color == rules.WHITE:
            taken = -taken
        for y in range(size):
            for x in range(size):
                out[k, 5, y, x] = 1
                out[k, 6, y, x] = taken / 10


def reward_planes(states: np.ndarray, color: int) -> np.ndarray:
    """Boards `[K, ROWS, S]` as the reward model sees them for `color`: float32 `[K, REWARD_PLANES, N, N]`."""
    size = int(states[0, META, rules.SIZE])
    out = np.empty((len(states), REWARD_PLANES, size, size), np.float32)
    _reward_planes(states, color, np.empty(states.shape[2], np.uint16), out)
    return out


def expand_planes(binary: np.ndarray, scalars: np.ndarray) -> np.ndarray:
    """The policy network's planes from what a replay buffer stores.

    Args:
      binary: uint8 `[B, BINARY_PLANES, N, N]`.
      scalars: float32 `[B, 2]`, komi in the player's favour / 10 and whether the last move was a pass.

    Returns: float32 `[B, PLANES, N, N]`.
    """
    batch, _, size, _ = binary.shape
    planes = np.empty((batch, PLANES, size, size), np.float32)
    planes[:, :BINARY_PLANES] = binary
    planes[:, BINARY_PLANES] = 1
    planes[:, BINARY_PLANES + 1 :] = scalars[:, :, None, None]
    return planes
