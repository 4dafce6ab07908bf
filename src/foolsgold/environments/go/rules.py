"""The rules of Go as compiled kernels: area scoring, positional superko, no suicide (Tromp and Taylor 1995).

A game is two arrays and nothing else, so that thousands of games lie side by side and a copy is a memory copy:

- `state`: uint16 `[ROWS, S]`, the position; see the row names below. S = points of the padded board.
- `history`: uint64 `[H]`, the hashes of every position so far; see `history_length`.

A *point* is an index into the padded board: (y + 1) * (N + 2) + (x + 1). An *action* is what players choose: y * N + x
for a stone, N * N to pass. Chains carry pseudo-liberties (each empty neighbour counted once for every stone that
touches it), which are exact where rules ask: zero if and only if the chain has no liberty.
"""

import numpy as np
from numba import int64, uint64

from foolsgold.compiled import kernel

EMPTY, BLACK, WHITE, WALL = 0, 1, 2, 3

# Rows of `state`, each indexed by point.
COLOR = 0  # EMPTY, BLACK, WHITE or WALL
CHAIN = 1  # the point that names the chain of a stone; itself elsewhere
NEXT = 2  # next stone of the same chain, a ring
LIBERTIES = 3  # pseudo-liberties, valid at the naming point
STONES = 4  # number of stones, valid at the naming point
AROUND = 5  # packed counts of the four neighbours: black | white << 4 | empty << 8; walls count as both colours
SLOT = 6  # where an empty point stands in OPEN
OPEN = 7  # the empty points, in no order
META = 8  # the header below
ROWS = 9

# Columns of row META.
SIZE, TO_PLAY, PASSES, MOVES, OPENS, LAST, LAST2, LAST3, TAKEN_BY_BLACK, TAKEN_BY_WHITE = range(10)

MIN_SIZE, MAX_SIZE = 5, 19
_MAX_POINTS = (MAX_SIZE + 2) ** 2
ZOBRIST = np.random.default_rng(20240808).integers(1, 2**63, size=(3, _MAX_POINTS), dtype=np.uint64)

_BLOOM_WORDS = 128
_COUNT, _BLOOM, _HASHES = 0, 1, 1 + _BLOOM_WORDS


def state_points(size: int) -> int:
    """Columns of `state` for a board of `size`: the padded board, at least as long as the header."""
    return max((size + 2) ** 2, 16)


def history_length(placements: int) -> int:
    """Length of `history` for a game of at most `placements` stones played."""
    return _HASHES + placements + 1


def new_state(size: int) -> np.ndarray:
    """An empty board: uint16 `[ROWS, S]`."""
    state = np.zeros((ROWS, state_points(size)), np.uint16)
    reset(state, size)
    return state


def new_history(placements: int) -> np.ndarray:
    """The history of a game that has only its empty board: uint64 `[H]`."""
    history = np.zeros(history_length(placements), np.uint64)
    reset_history(history)
    return history


@kernel
def neighbours(v, width):
    """The four points around v; unsigned, which spares each access the test for an index from the end."""
    return uint64(v - 1), uint64(v + 1), uint64(v - width), uint64(v + width)


@kernel
def reset(state, size):
    """Make `state` the empty board of `size`, Black to play."""
    state[:, :] = 0
    width = size + 2
    opens = 0
    for v in range(state.shape[1]):
        state[COLOR, v] = WALL
        state[CHAIN, v] = v
        state[NEXT, v] = v
    for y in range(1, size + 1):
        for x in range(1, size + 1):
            v = y * width + x
            state[COLOR, v] = EMPTY
            state[SLOT, v] = opens
            state[OPEN, opens] = v
            opens += 1
    for i in range(opens):
        v = int64(state[OPEN, i])
        around = 0
        for u in neighbours(v, width):
            around += 0x011 if state[COLOR, u] == WALL else 0x100
        state[AROUND, v] = around
    state[META, SIZE] = size
    state[META, TO_PLAY] = BLACK
    state[META, OPENS] = opens


@kernel
def reset_history(history):
    """Forget all positions but the empty board, whose hash is 0."""
    for i in range(_HASHES):
        history[i] = 0
    remember(history, uint64(0))


@kernel
def remember(history, position):
    """Add the hash of a position."""
    n = int64(history[_COUNT])
    history[_HASHES + n] = position
    history[_COUNT] = n + 1
    bit = position & uint64(_BLOOM_WORDS * 64 - 1)
    history[_BLOOM + int64(bit >> uint64(6))] |= uint64(1) << (bit & uint64(63))


@kernel
def seen(history, position):
    """Whether a position with this hash has stood on the board."""
    bit = position & uint64(_BLOOM_WORDS * 64 - 1)
    if not (history[_BLOOM + int64(bit >> uint64(6))] >> (bit & uint64(63))) & uint64(1):
        return False
    for i in range(int64(history[_COUNT])):
        if history[_HASHES + i] == position:
            return True
    return False


@kernel
def position_hash(history):
    """Hash of the position on the board: the last remembered, since passes change nothing."""
    return history[_HASHES + int64(history[_COUNT]) - 1]


@kernel
def point_of(action, size):
    return (action // size + 1) * (size + 2) + action % size + 1


@kernel
def action_of(point, size):
    width = size + 2
    return (point // width - 1) * size + point % width - 1


@kernel
def _chains_around(state, v, width):
    """Names of the four chains around v; empty points and walls name themselves."""
    west, east, north, south = neighbours(v, width)
    return (
        uint64(state[CHAIN, west]),
        uint64(state[CHAIN, east]),
        uint64(state[CHAIN, north]),
        uint64(state[CHAIN, south]),
    )


@kernel
def _press(state, chains):
    """Take a pseudo-liberty from each of the chains, as a stone between them would."""
    for chain in chains:
        state[LIBERTIES, chain] -= 1


@kernel
def _release(state, chains):
    """Undo `_press`."""
    for chain in chains:
        state[LIBERTIES, chain] += 1


@kernel
def is_suicide(state, v, color):
    """Whether a stone of `color` on the empty point v would stand without liberty after captures."""
    if state[AROUND, v] >> 8:
        return False
    chains = _chains_around(state, v, int64(state[META, SIZE]) + 2)
    _press(state, chains)
    suicide = True
    for chain in chains:
        neighbour = state[COLOR, chain]
        if neighbour != WALL and (neighbour == color) == (state[LIBERTIES, chain] > 0):
            suicide = False  # a friend keeps a liberty, or an enemy loses its last
    _release(state, chains)
    return suicide


@kernel
def hash_after(state, v, color, position):
    """Hash of the position after `color` plays v, which must not be suicide, from the position with hash `position`."""
    position ^= ZOBRIST[color, v]
    enemies = (int64(state[AROUND, v]) >> (4 if color == BLACK else 0)) & 15
    if enemies == 0:
        return position
    chains = _chains_around(state, v, int64(state[META, SIZE]) + 2)
    _press(state, chains)
    # Up to four enemy chains touch v, and one chain may touch it twice: its hash must be removed once.
    first = second = third = uint64(0)
    for chain in chains:
        if state[COLOR, chain] != 3 - color or state[LIBERTIES, chain] > 0:
            continue
        if chain == first or chain == second or chain == third:
            continue
        first, second, third = chain, first, second
        w = chain
        while True:
            position ^= ZOBRIST[3 - color, w]
            w = uint64(state[NEXT, w])
            if w == chain:
                break
    _release(state, chains)
    return position


@kernel
def is_legal_point(state, history, v):
    """Whether the player to move may play the empty point v."""
    color = int64(state[META, TO_PLAY])
    if is_suicide(state, v, color):
        return False
    return not seen(history, hash_after(state, v, color, position_hash(history)))


@kernel
def _join(state, a, b):
    """Merge the chains named a and b; returns the name of the union."""
    if state[STONES, a] < state[STONES, b]:
        a, b = b, a
    state[LIBERTIES, a] += state[LIBERTIES, b]
    state[STONES, a] += state[STONES, b]
    w = b
    while True:
        state[CHAIN, w] = a
        w = int64(state[NEXT, w])
        if w == b:
            break
    state[NEXT, a], state[NEXT, b] = state[NEXT, b], state[NEXT, a]
    return a


@kernel
def _lift(state, start, color, width):
    """Take the chain of `color` through `start` off the board; returns its stones and the change of hash."""
    count = 0
    change = uint64(0)
    recount = 0x100 - (0x001 if color == BLACK else 0x010)
    w = start
    while True:
        following = int64(state[NEXT, w])
        state[COLOR, w] = EMPTY
        state[CHAIN, w] = w
        state[NEXT, w] = w
        change ^= ZOBRIST[color, w]
        opens = int64(state[META, OPENS])
        state[OPEN, opens] = w
        state[SLOT, w] = opens
        state[META, OPENS] = opens + 1
        for u in neighbours(w, width):
            state[AROUND, u] += recount
            state[LIBERTIES, int64(state[CHAIN, u])] += 1
        count += 1
        w = following
        if w == start:
            return count, change


@kernel
def place(state, v, color):
    """Put a stone of `color` on the empty point v, which must not be suicide; returns the change of the hash."""
    width = int64(state[META, SIZE]) + 2
    change = ZOBRIST[color, v]
    opens = int64(state[META, OPENS]) - 1
    state[META, OPENS] = opens
    slot = int64(state[SLOT, v])
    last = int64(state[OPEN, opens])
    state[OPEN, slot] = last
    state[SLOT, last] = slot
    state[COLOR, v] = color
    state[LIBERTIES, v] = state[AROUND, v] >> 8
    state[STONES, v] = 1
    recount = (0x001 if color == BLACK else 0x010) - 0x100
    chain = v
    for u in neighbours(v, width):
        state[AROUND, u] += recount
        neighbour = int64(state[COLOR, u])
        if neighbour == EMPTY or neighbour == WALL:
            continue
        other = int64(state[CHAIN, u])
        state[LIBERTIES, other] -= 1
        if neighbour == color:
            if other != chain:
                chain = _join(state, chain, other)
        elif state[LIBERTIES, other] == 0:
            taken, lifted = _lift(state, int64(u), 3 - color, width)
            change ^= lifted
            state[META, TAKEN_BY_BLACK if color == BLACK else TAKEN_BY_WHITE] += taken
    return change


@kernel
def advance_point(state, v):
    """Play a legal point, or pass where v is 0, for the player to move; returns the change of the position's hash."""
    color = int64(state[META, TO_PLAY])
    state[META, LAST3] = state[META, LAST2]
    state[META, LAST2] = state[META, LAST]
    state[META, LAST] = v
    state[META, TO_PLAY] = 3 - color
    state[META, MOVES] += 1
    if v == 0:
        state[META, PASSES] += 1
        return uint64(0)
    state[META, PASSES] = 0
    return place(state, v, color)


@kernel
def advance(state, action):
    """Play a legal action for the player to move; returns the change of the position's hash (0 for a pass)."""
    size = int64(state[META, SIZE])
    return advance_point(state, 0 if action == size * size else point_of(action, size))


@kernel
def play(state, history, action):
    """Play a legal action and remember the position that results."""
    change = advance(state, action)
    if action != int64(state[META, SIZE]) ** 2:
        remember(history, position_hash(history) ^ change)


@kernel
def legal_actions(state, history, mask):
    """Write 1 into `mask` uint8 `[N * N + 1]` for each legal action; returns the number of legal stones."""
    size = int64(state[META, SIZE])
    mask[:] = 0
    count = 0
    for i in range(int64(state[META, OPENS])):
        v = int64(state[OPEN, i])
        if is_legal_point(state, history, v):
            mask[action_of(v, size)] = 1
            count += 1
    mask[size * size] = 1
    return count


@kernel
def is_own_eye(state, v, color):
    """Whether the empty point v looks like a one-point eye of `color`: surrounded by it, diagonals held.

    The usual test of Monte-Carlo Go (Gelly et al. 2006): at most one hostile diagonal, none at the edge.
    """
    if (int64(state[AROUND, v]) >> (0 if color == BLACK else 4)) & 15 != 4:
        return False
    width = int64(state[META, SIZE]) + 2
    hostile = edge = 0
    for u in (v - width - 1, v - width + 1, v + width - 1, v + width + 1):
        if state[COLOR, u] == 3 - color:
            hostile += 1
        elif state[COLOR, u] == WALL:
            edge = 1
    return hostile + edge < 2


@kernel
def chain_liberties(state, liberties):
    """Exact liberties of each chain, at its naming point, into `liberties` `[S]`; other entries mean nothing."""
    width = int64(state[META, SIZE]) + 2
    liberties[:] = 0
    for i in range(int64(state[META, OPENS])):
        west, east, north, south = _chains_around(state, int64(state[OPEN, i]), width)
        liberties[west] += 1
        liberties[east] += east != west
        liberties[north] += north != west and north != east
        liberties[south] += south != west and south != east and south != north


@kernel
def area_score(state, ownership, queue):
    """Area score (Tromp and Taylor 1995), stones and the empty points that reach one colour only.

    Args:
      ownership: int8 `[N * N]`, filled with +1 Black, -1 White, 0 neither.
      queue: uint16, at least `[N * N]`, scratch.

    Returns: Black's points minus White's, before komi.
    """
    size = int64(state[META, SIZE])
    width = size + 2
    score = 0
    unvisited = 2
    for action in range(size * size):
        color = state[COLOR, point_of(action, size)]
        if color == EMPTY:
            ownership[action] = unvisited
        else:
            ownership[action] = 1 if color == BLACK else -1
            score += int64(ownership[action])
    for i in range(int64(state[META, OPENS])):
        start = int64(state[OPEN, i])
        if ownership[action_of(start, size)] != unvisited:
            continue
        queue[0] = start
        ownership[action_of(start, size)] = 0
        head, tail, reaches = 0, 1, 0
        while head < tail:
            v = int64(queue[head])
            head += 1
            for u in neighbours(v, width):
                color = state[COLOR, u]
                if color == EMPTY:
                    if ownership[action_of(u, size)] == unvisited:
                        ownership[action_of(u, size)] = 0
                        queue[tail] = u
                        tail += 1
                elif color != WALL:
                    reaches |= int64(color)
        if reaches == BLACK or reaches == WHITE:
            owner = 1 if reaches == BLACK else -1
            score += owner * tail
            for j in range(tail):
                ownership[action_of(int64(queue[j]), size)] = owner
    return score
