"""Random legal play: what the kernels keep up to date is what plain Python finds from scratch at every move."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.environments.go import rollouts, rules
from foolsgold.environments.go.rules import BLACK, EMPTY, META, WALL, WHITE

# Small boards fill up and empty again within few moves: captures, kos and superko are dense.
games = st.tuples(st.integers(2, 5), st.lists(st.integers(0, 2**16), min_size=20, max_size=80))


def neighbours(v, width):
    return (v - 1, v + 1, v - width, v + width)


def chain_of(colors, v, width):
    """The stones of the chain through v, or the empty region through it, by flood fill."""
    found, todo = {v}, [v]
    while todo:
        for u in neighbours(todo.pop(), width):
            if u not in found and colors[u] == colors[v]:
                found.add(u)
                todo.append(u)
    return found


def liberties_of(colors, stones, width):
    return {u for v in stones for u in neighbours(v, width) if colors[u] == EMPTY}


def after(colors, v, color, width):
    """The rules in plain Python: the colours after `color` plays v and takes, or None for suicide."""
    colors = {**colors, v: color}
    for u in neighbours(v, width):
        if colors[u] == 3 - color:
            stones = chain_of(colors, u, width)
            if not liberties_of(colors, stones, width):
                colors.update(dict.fromkeys(stones, EMPTY))
    return colors if liberties_of(colors, chain_of(colors, v, width), width) else None


def area(colors, width):
    score = 0
    for v, color in colors.items():
        if color == EMPTY:
            region = chain_of(colors, v, width)
            reached = {colors[u] for w in region for u in neighbours(w, width)} - {EMPTY, WALL}
            color = reached.pop() if len(reached) == 1 else EMPTY
        score += {BLACK: 1, WHITE: -1}.get(color, 0)
    return score


def zobrist(colors):
    total = 0
    for v, color in colors.items():
        if color in (BLACK, WHITE):
            total ^= int(rules.ZOBRIST[color, v])
    return total


def check_state(state, colors, width):
    """Every row of `state` against `colors`, which maps points, walls included, to colours."""
    empty = {v for v, color in colors.items() if color == EMPTY}
    assert {v: int(state[rules.COLOR, v]) for v in colors} == colors
    assert set(state[rules.OPEN, : state[META, rules.OPENS]].tolist()) == empty
    assert state[META, rules.OPENS] == len(empty)
    for v in empty:
        assert state[rules.OPEN, state[rules.SLOT, v]] == v
        assert state[rules.CHAIN, v] == v
        assert state[rules.NEXT, v] == v
    for v, color in colors.items():
        if color == WALL:
            continue
        around = [colors[u] for u in neighbours(v, width)]
        black, white = around.count(BLACK) + around.count(WALL), around.count(WHITE) + around.count(WALL)
        assert state[rules.AROUND, v] == black | white << 4 | around.count(EMPTY) << 8
        if color == EMPTY:
            continue
        stones = chain_of(colors, v, width)
        name = int(state[rules.CHAIN, v])
        assert name in stones
        assert {int(state[rules.CHAIN, w]) for w in stones} == {name}
        ring, w = [v], int(state[rules.NEXT, v])
        while w != v and len(ring) <= len(stones):
            ring.append(w)
            w = int(state[rules.NEXT, w])
        assert sorted(ring) == sorted(stones)
        assert state[rules.STONES, name] == len(stones)
        pseudo = sum(colors[u] == EMPTY for w in stones for u in neighbours(w, width))
        assert state[rules.LIBERTIES, name] == pseudo > 0


@settings(max_examples=60, deadline=None)
@given(games)
def test_state_legal_moves_and_score_are_those_of_plain_python(game):
    size, picks = game
    width = size + 2
    state, history = rules.new_state(size), rules.new_history(len(picks))
    colors = dict.fromkeys(range(width * width), WALL)
    colors.update({rules.point_of(action, size): EMPTY for action in range(size * size)})
    stood, taken, color = [dict(colors)], {BLACK: 0, WHITE: 0}, BLACK
    mask = np.zeros(size * size + 1, np.uint8)
    for number, pick in enumerate(picks):
        moves = {}
        for action in range(size * size):
            v = rules.point_of(action, size)
            if colors[v] != EMPTY:
                continue
            position = after(colors, v, color, width)
            assert rules.is_suicide(state, v, color) == (position is None)
            if position is not None:
                assert rules.hash_after(state, v, color, rules.position_hash(history)) == zobrist(position)
                if position not in stood:
                    moves[action] = position
        assert rules.legal_actions(state, history, mask) == len(moves)
        assert np.flatnonzero(mask).tolist() == [*moves, size * size]
        action = [*moves, size * size][pick % (len(moves) + 1)]
        rules.play(state, history, action)
        if action != size * size:
            count = sum(value == 3 - color for value in colors.values())
            colors = moves[action]
            stood.append(colors)
            taken[color] += count - sum(value == 3 - color for value in colors.values())
        color = 3 - color
        check_state(state, colors, width)
        assert rules.position_hash(history) == zobrist(colors)
        assert state[META, rules.TO_PLAY] == color
        assert state[META, rules.MOVES] == number + 1
        assert state[META, rules.TAKEN_BY_BLACK] == taken[BLACK]
        assert state[META, rules.TAKEN_BY_WHITE] == taken[WHITE]
        ownership, queue = np.zeros(size * size, np.int8), np.zeros(size * size, np.uint16)
        assert rules.area_score(state, ownership, queue) == area(colors, width) == ownership.sum()


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 9), st.integers(1, 2**62))
def test_a_random_game_never_repeats_a_position_and_its_state_is_exact(size, seed):
    max_moves = 3 * size * size
    state, history = rules.new_state(size), rules.new_history(max_moves)
    moves, _ = rollouts.random_game(state, history, max_moves, np.uint64(seed))
    stood = history[len(history) - max_moves - 1 :][: int(history[0])]
    assert len(set(stood.tolist())) == len(stood)
    assert moves == state[META, rules.MOVES]
    assert moves == max_moves or state[META, rules.PASSES] == 2
    width = size + 2
    colors = {v: int(state[rules.COLOR, v]) for v in range(width * width)}
    check_state(state, colors, width)
    assert rules.position_hash(history) == zobrist(colors)


def test_random_games_follow_from_their_seed():
    assert rollouts.random_games(7, 20, seed=3) == rollouts.random_games(7, 20, seed=3)
    assert rollouts.random_games(7, 20, seed=3) != rollouts.random_games(7, 20, seed=4)


def test_random_moves_are_uniform():
    """On the empty 2x2 board four points and a pass have a fifth each; 10,000 draws, 5 standard deviations."""
    state, history = rules.new_state(2), rules.new_history(1)
    choices = [0, *(rules.point_of(action, 2) for action in range(4))]
    drawn, seed = [], np.uint64(88172645463325252)
    for _ in range(10_000):
        point, _, seed = rollouts.random_point(state, history, np.uint64(seed))
        drawn.append(point)
    counts = np.array([drawn.count(point) for point in choices])
    assert counts.sum() == 10_000
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(10_000 * 0.2 * 0.8)
