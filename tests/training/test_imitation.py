"""Game records as positions to learn from, and a policy that learns from them."""

import numpy as np
import pytest
import torch

from foolsgold.environments.go import rules
from foolsgold.environments.go.amateurs import Club
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, META, WHITE
from foolsgold.environments.go.sgf import read_game
from foolsgold.errors import UserError
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.training.go_learner import LearnerSettings
from foolsgold.training.imitation import (
    imitate,
    move_accuracy,
    positions_of_amateurs,
    positions_of_game,
    positions_of_records,
)
from foolsgold.training.replay import Positions
from foolsgold.training.self_play_worker import komi_choices


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these networks are too small to share
    yield
    torch.set_num_threads(threads)


def marked(plane: np.ndarray) -> list[int]:
    """The actions of the points that a plane marks."""
    assert set(np.unique(plane)) <= {0, 1}
    return np.flatnonzero(plane.ravel()).tolist()


def point(action: int | None, size: int) -> list[int]:
    return [] if action is None or action == size * size else [action]


def assert_sees(positions: Positions, row: int, board: Board, earlier: list[int], action: int, komi: float) -> None:
    """Row `row` shows `board` to its player to move, after the moves `earlier`, with `action` as the target."""
    size, own = board.size, board.to_play
    binary = positions.binary[row]
    assert marked(binary[0]) == np.flatnonzero(board.grid.ravel() == own).tolist()
    assert marked(binary[1]) == np.flatnonzero(board.grid.ravel() == 3 - own).tolist()
    forbidden = (board.grid.ravel() == 0) & (board.legal_actions()[:-1] == 0)
    assert marked(binary[5]) == np.flatnonzero(forbidden).tolist()
    newest_first = [None, None, None, *earlier][:-4:-1]
    assert [marked(plane) for plane in binary[6:9]] == [point(a, size) for a in newest_first]
    passed = float(earlier[-1:] == [size * size])
    assert positions.scalars[row] == pytest.approx([(komi if own == WHITE else -komi) / 10, passed])
    expected = np.zeros(size * size + 1)
    expected[action] = 1
    np.testing.assert_array_equal(positions.policy[row], expected)


def test_a_game_becomes_the_positions_before_its_moves():
    rng, board, komi = np.random.default_rng(3), Board(5), 6.5
    actions = []
    while not board.is_over and board.moves < 60:
        actions.append(int(rng.choice(np.flatnonzero(board.legal_actions()))))
        board.play(actions[-1])
    assert actions.count(board.pass_action) > 1
    colors = np.arange(len(actions)) % 2 + 1
    positions = positions_of_game(rules.new_state(5), colors, np.array(actions), komi)
    assert len(positions) == len(actions)
    board = Board(5)
    for row, action in enumerate(actions):
        assert_sees(positions, row, board, actions[:row], action, komi)
        board.play(action)
    assert not positions.result.any()
    assert not positions.margin.any()
    assert not positions.ownership.any()


def test_the_first_state_is_left_as_it_was():
    first = rules.new_state(5)
    positions_of_game(first, np.array([BLACK, WHITE]), np.array([0, 1]), 0.5)
    np.testing.assert_array_equal(first, rules.new_state(5))


def test_amateurs_games_become_positions_with_any_komi():
    games = [Club.founded(4, seed=1).play(5, 20, opening, 0.3, seed) for seed, opening in enumerate([0, 1, 2, 3] * 3)]
    positions = positions_of_amateurs(games, seed=2)
    assert len(positions) == sum(len(game.actions) for game in games)
    np.testing.assert_array_equal(positions.policy.argmax(1), np.concatenate([game.actions for game in games]))
    komis, row = set(), 0
    for game in games:
        side = np.where(game.boards[:-1, META, rules.TO_PLAY] == WHITE, 1, -1)
        komi = positions.scalars[row : row + len(side), 0] * 10 * side
        assert komi == pytest.approx(np.full(len(side), komi[0]))
        komis.add(round(float(komi[0]), 3))
        row += len(side)
    assert komis <= set(komi_choices(5))
    assert len(komis) > 2


HANDICAP = "(;GM[1]FF[4]SZ[7]KM[0.5]HA[2]AB[bb][ff];W[dd];B[cc];B[ed];W[];B[aa])"
"""Black on B6 and F2; Black moves twice in a row; White passes."""


def test_a_handicap_game_is_read_from_whites_first_move():
    positions = positions_of_records([read_game(HANDICAP)])
    moves = [(WHITE, 24), (BLACK, 16), (BLACK, 25), (WHITE, 49), (BLACK, 0)]
    assert len(positions) == 5
    board = Board(7)
    board.set_up([8, 40], [])
    for row, (color, action) in enumerate(moves):
        board.state[META, rules.TO_PLAY] = color
        assert_sees(positions, row, board, [a for _, a in moves[:row]], action, 0.5)
        board.play(action)
    # By eye: at Black's second move in a row, Black has B6, F2, C5 against D4.
    assert marked(positions.binary[2, 0]) == [8, 16, 40]
    assert marked(positions.binary[2, 1]) == [24]


def test_games_follow_one_another_and_unstated_komi_is_the_default():
    records = [read_game("(;SZ[7];B[aa];W[bb])"), read_game("(;SZ[7]KM[3.5];B[cc])")]
    positions = positions_of_records(iter(records))
    assert positions.policy.argmax(1).tolist() == [0, 8, 16]
    assert positions.scalars[:, 0] == pytest.approx([-0.95, 0.95, -0.35])
    assert not positions.binary[2, :2].any()


def test_an_illegal_record_is_named():
    with pytest.raises(UserError, match=r"game 7.*move 2"):
        positions_of_records([read_game("(;SZ[7];B[aa];W[aa])", source="game 7")])


def only_one_point_may_be_played(count: int, seed: int) -> Positions:
    """Positions whose move is the one point that is not forbidden: a child could learn it."""
    moves = np.random.default_rng(seed).integers(0, 25, count)
    binary = np.zeros((count, 9, 5, 5), np.uint8)
    binary[:, 5] = 1
    binary[:, 5].reshape(count, 25)[np.arange(count), moves] = 0
    policy = np.zeros((count, 26), np.float16)
    policy[np.arange(count), moves] = 1
    nothing = np.zeros(count, np.float32)
    return Positions(binary, np.zeros((count, 2), np.float32), policy, nothing, nothing, np.zeros((count, 25), np.int8))


SETTINGS = LearnerSettings(batch=64, learning_rate=1e-2, average=0.9)


def small_network() -> GoNetwork:
    torch.manual_seed(0)
    return GoNetwork(NetworkSize(1, 8))


def test_a_policy_learns_what_a_child_could_learn():
    network, seen = small_network(), []
    fitted = imitate(
        network, only_one_point_may_be_played(512, 0), 16, 1, SETTINGS, lambda *progress: seen.append(progress)
    )
    assert [(step, steps) for step, steps, _ in seen] == [(i + 1, 128) for i in range(128)]
    losses = [loss for _, _, loss in seen]
    assert losses[0] == pytest.approx(np.log(26), abs=0.4)  # it knows nothing
    assert np.mean(losses[-10:]) < 0.2
    unseen = only_one_point_may_be_played(300, 9)
    assert move_accuracy(network, unseen) < 0.3
    assert move_accuracy(fitted, unseen) > 0.95


def test_accuracy_is_the_share_of_moves_foretold():
    network = small_network()
    with torch.no_grad():
        network.policy_pass.bias.fill_(100)  # always passes
    positions = only_one_point_may_be_played(8, 0)
    positions.policy[:6] = np.eye(26)[25]
    assert move_accuracy(network, positions) == 0.75


def test_imitation_touches_neither_the_value_heads_nor_the_network_it_starts_from():
    network = small_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fitted = imitate(network, only_one_point_may_be_played(256, 0), 4, 1, SETTINGS).state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    heads = [name for name in before if name.startswith(("value_", "owner"))]
    assert len(heads) == 6
    assert [name for name in heads if not torch.equal(fitted[name], before[name])] == []
    assert not torch.equal(fitted["policy_point.weight"], before["policy_point.weight"])


def test_imitation_is_that_of_its_seed():
    positions = only_one_point_may_be_played(256, 0)
    one, again, other = (imitate(small_network(), positions, 2, seed, SETTINGS).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
