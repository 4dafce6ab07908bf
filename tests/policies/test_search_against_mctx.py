"""The search and DeepMind's mctx, given the same network, the same noise and the same rules, grow the same trees.

mctx sees Go through a model that shares no code with the search: positions are replayed on `Board`, which keeps the
whole history and so knows superko by itself, and own eyes are found on the drawn grid.
"""

import functools
import hashlib
import math

import numpy as np
import pytest

mctx = pytest.importorskip("mctx")
jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

from foolsgold.environments.go.board import Board  # noqa: E402
from foolsgold.environments.go.rules import BLACK  # noqa: E402
from foolsgold.policies.search import Searcher, SearchSettings  # noqa: E402
from foolsgold.rewards.go_referees import ScoreReferee  # noqa: E402

SIZE = 5
ACTIONS = SIZE * SIZE + 1
POSITIONS = 24
MAX_MOVES = 2 * SIZE * SIZE
MOST_SIMULATIONS = 50
NOBODY = -1e30  # logit of an action that may not be played


def fake_network(grid: np.ndarray, to_play: int, passed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-random logits `[A]` and values `[2]` that depend on the position alone; `grid` is 0, 1 Black, 2 White."""
    digest = hashlib.blake2b(grid.astype(np.int8).tobytes() + bytes([to_play, int(passed)]), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "little"))
    return rng.normal(0, 1.5, ACTIONS).astype(np.float32), rng.normal(0, 0.6, 2).astype(np.float32)


def evaluate(planes: np.ndarray) -> list[np.ndarray]:
    """`fake_network` as the search calls it. Komi is positive, so that its sign tells Black from White."""
    found = []
    for board in planes:
        black_to_play = board[10, 0, 0] < 0
        black, white = (board[0], board[1]) if black_to_play else (board[1], board[0])
        found.append(fake_network(black + 2 * white, 1 if black_to_play else 2, board[11, 0, 0] > 0))
    return [np.stack(column) for column in zip(*found, strict=True)]


def looks_like_own_eye(grid: np.ndarray, y: int, x: int, color: int) -> bool:
    """A one-point eye by the usual test: friends on all sides, at most one hostile diagonal, none at the edge."""
    inside = [(y + dy, x + dx) for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))]
    corners = [(y + dy, x + dx) for dy in (1, -1) for dx in (1, -1)]

    def on_board(points):
        return [p for p in points if 0 <= p[0] < SIZE and 0 <= p[1] < SIZE]

    if any(grid[p] != color for p in on_board(inside)):
        return False
    hostile = sum(grid[p] == 3 - color for p in on_board(corners))
    return hostile == 0 if len(on_board(corners)) < 4 else hostile <= 1


class Model:
    """Go as mctx wants it: a node is the game it belongs to and the actions that lead there."""

    def __init__(self, boards: list[Board], settings: SearchSettings):
        self.settings = settings
        self.first_pass = math.ceil(settings.pass_from * SIZE * SIZE)
        self.boards = {(g,): board for g, board in enumerate(boards)}

    def board(self, node: tuple[int, ...]) -> Board:
        if node not in self.boards:
            self.boards[node] = self.board(node[:-1]).copy()
            self.boards[node].play(node[-1])
        return self.boards[node]

    def over(self, board: Board) -> bool:
        return board.is_over or board.moves >= MAX_MOVES

    def utility(self, result: float, margin: float) -> float:
        weight = self.settings.score_weight
        return (1 - weight) * result + weight * math.tanh(margin / SIZE)

    def considered(self, board: Board) -> np.ndarray:
        """Which actions the search may try, bool `[A]`."""
        legal = board.legal_actions().astype(bool)
        if not self.settings.fill_own_eyes:
            for action in np.flatnonzero(legal[:-1]):
                legal[action] = not looks_like_own_eye(board.grid, *divmod(int(action), SIZE), board.to_play)
        legal[-1] = not legal[:-1].any() or board.moves >= self.first_pass
        return legal

    def predict(self, board: Board) -> tuple[np.ndarray, float]:
        """Masked logits and the value for the player to move."""
        logits, value = fake_network(board.grid, board.to_play, board.moves > 0 and board.last_action == ACTIONS - 1)
        return np.where(self.considered(board), logits, NOBODY), self.utility(math.tanh(value[0]), value[1] * SIZE)

    def step(self, node: tuple[int, ...], action: int) -> tuple[np.ndarray, float, float, float]:
        """Masked logits, value, reward for the mover, discount."""
        nothing = np.zeros(ACTIONS, np.float32)
        if any(self.over(self.board(node[: i + 1])) for i in range(len(node))):
            return nothing, 0.0, 0.0, 0.0  # mctx looks past the end; the discount there hides what it finds
        mover, board = self.board(node).to_play, self.board((*node, action))
        if self.over(board):
            score = board.score() if mover == BLACK else -board.score()
            return nothing, 0.0, self.utility(np.sign(score), score), 0.0
        logits, value = self.predict(board)
        return logits, value, 0.0, -1.0


MODELS: dict[int, Model] = {}
"""What compiled searches call back into, by number, so that one compilation serves many."""


def _answer(number, paths, actions):
    model = MODELS[int(number)]
    found = []
    for game, (path, action) in enumerate(zip(np.asarray(paths), np.asarray(actions), strict=True)):
        found.append(model.step((game, *(int(a) for a in path if a >= 0)), int(action)))
    logits, *rest = zip(*found, strict=True)
    return np.array(logits, np.float32), *(np.array(column, np.float32) for column in rest)


def _recurrent(number, key, action, path):
    rows, one = len(action), jax.ShapeDtypeStruct(action.shape, jnp.float32)
    shapes = (jax.ShapeDtypeStruct((rows, ACTIONS), jnp.float32), one, one, one)
    logits, value, reward, discount = jax.pure_callback(_answer, shapes, number, path, action)
    depth = (path >= 0).sum(1)
    output = mctx.RecurrentFnOutput(reward=reward, discount=discount, prior_logits=logits, value=value)
    return output, path.at[jnp.arange(rows), depth].set(action)


@functools.partial(jax.jit, static_argnames=("simulations", "considered"))
def mctx_search(number, key, logits, values, illegal, value_scale, visit_offset, simulations, considered):
    path = jnp.full((len(values), MOST_SIMULATIONS + 1), -1, jnp.int32)
    output = mctx.gumbel_muzero_policy(
        params=number,
        rng_key=key,
        root=mctx.RootFnOutput(prior_logits=logits, value=values, embedding=path),
        recurrent_fn=_recurrent,
        num_simulations=simulations,
        invalid_actions=illegal,
        qtransform=functools.partial(
            mctx.qtransform_completed_by_mix_value,
            value_scale=value_scale,
            maxvisit_init=visit_offset,
            rescale_values=False,
        ),
        max_num_considered_actions=considered,
        gumbel_scale=1.0,
    )
    return output.action, output.action_weights, output.search_tree.summary().visit_counts


def random_boards(seed: int) -> list[Board]:
    """The empty board, and games after some random moves: openings, middle games, and boards nearly full."""
    rng = np.random.default_rng(seed)
    boards = []
    while len(boards) < POSITIONS:
        board = Board(SIZE, komi=float(rng.choice([0.5, 2.5, 6.5])))
        for _ in range(int(rng.integers(0, 45)) if boards else 0):
            choices = np.flatnonzero(board.legal_actions())
            stones = choices[choices < ACTIONS - 1]
            board.play(int(rng.choice(stones if len(stones) and rng.random() < 0.95 else choices)))
            if board.is_over:
                break
        if not board.is_over:
            boards.append(board)
    return boards


def both_searches(settings: SearchSettings, seed: int):
    boards = random_boards(seed)
    model = MODELS[seed] = Model(boards, settings)
    key = jax.random.PRNGKey(seed)
    predictions = [model.predict(board) for board in boards]
    logits = np.array([p[0] for p in predictions], np.float32)
    values = np.array([p[1] for p in predictions], np.float32)
    illegal = np.array([~model.considered(board) for board in boards])
    theirs = mctx_search(
        seed,
        key,
        logits,
        values,
        illegal,
        settings.value_scale,
        settings.visit_offset,
        simulations=settings.simulations,
        considered=settings.considered,
    )
    _, noise_key = jax.random.split(key)  # as mctx draws it
    gumbel = np.asarray(jax.random.gumbel(noise_key, logits.shape, jnp.float32))
    length = max(len(board.history) for board in boards)
    searcher = Searcher(SIZE, POSITIONS, MOST_SIMULATIONS, MAX_MOVES)
    ours = searcher.run(
        np.stack([board.state for board in boards]),
        np.stack([np.pad(board.history, (0, length - len(board.history))) for board in boards]),
        np.array([board.komi for board in boards], np.float32),
        evaluate,
        ScoreReferee(),
        settings,
        gumbel=gumbel,
    )
    assert searcher.tree.terminal.any(), "some games must end within the trees"
    return (ours.actions, ours.policies, searcher.tree.visits[:, 0]), tuple(np.asarray(found) for found in theirs)


EVERYTHING = {"fill_own_eyes": True, "pass_from": 0.0}


@pytest.fixture(scope="module", autouse=True)
def on_the_cpu():
    with jax.default_device(jax.devices("cpu")[0]):
        yield


@pytest.mark.parametrize(
    ("seed", "settings"),
    [
        (1, SearchSettings(simulations=16, considered=4, **EVERYTHING)),
        (2, SearchSettings(simulations=16, considered=16, **EVERYTHING)),
        (3, SearchSettings(simulations=32, considered=4, **EVERYTHING)),
        (4, SearchSettings(simulations=32, considered=16, **EVERYTHING)),
        (5, SearchSettings(simulations=50, considered=4, **EVERYTHING)),
        (6, SearchSettings(simulations=50, considered=16, **EVERYTHING)),
        (7, SearchSettings(simulations=32, considered=16)),
        (8, SearchSettings(simulations=50, considered=4)),
        (9, SearchSettings(simulations=50, considered=16, value_scale=0.1, visit_offset=20.0, score_weight=0.6)),
        (10, SearchSettings(simulations=50, considered=16, value_scale=0.02, **EVERYTHING)),
    ],
)
def test_same_visits_policy_and_move_as_mctx(seed, settings):
    (actions, policies, visits), (their_actions, their_policies, their_visits) = both_searches(settings, seed)
    assert (visits.sum(1) == settings.simulations).all()
    np.testing.assert_array_equal(visits, their_visits)
    np.testing.assert_allclose(policies, their_policies, atol=1e-4)
    np.testing.assert_array_equal(actions, their_actions)
