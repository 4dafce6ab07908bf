import numpy as np
import pytest
import torch

from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board
from foolsgold.policies.search import SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee, area_scores
from foolsgold.training.self_play_worker import SelfPlayWorker, WorkerSettings, komi_choices, max_moves, open_games

SIZE = 5
SETTINGS = WorkerSettings(
    size=SIZE,
    games=6,
    full=SearchSettings(simulations=6, considered=4),
    fast=SearchSettings(simulations=3, considered=2),
    full_share=0.5,
)


def evaluate(planes: np.ndarray) -> list[np.ndarray]:
    """An untrained network: linear in the planes."""
    rng = np.random.default_rng(1)
    flat = planes.reshape(len(planes), -1)
    policy, value = rng.normal(0, 0.5, (flat.shape[1], SIZE**2 + 1)), rng.normal(0, 0.1, (flat.shape[1], 2))
    return [(flat @ policy).astype(np.float32), (flat @ value).astype(np.float32)]


def everything(played):
    positions, games = played
    return {**vars(positions), **{f"games.{name}": array for name, array in vars(games).items()}}


def assert_same(one, other):
    one, other = everything(one), everything(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_the_same_seed_plays_the_same_games():
    one, two, other = (SelfPlayWorker(SETTINGS, seed).play(8, evaluate, ScoreReferee()) for seed in (3, 3, 4))
    assert_same(one, two)
    assert one[0].binary.shape != other[0].binary.shape or not np.array_equal(one[0].binary, other[0].binary)


def test_a_restored_worker_plays_on_as_if_nothing_had_happened():
    worker = SelfPlayWorker(SETTINGS, 5)
    worker.play(4, evaluate, ScoreReferee())
    tensors = {name: tensor.clone() for name, tensor in worker.tensors().items()}
    state = worker.state()
    expected = [worker.play(5, evaluate, ScoreReferee()) for _ in range(2)]
    restored = SelfPlayWorker(SETTINGS, 77)
    restored.restore(tensors, state)
    for games in expected:
        assert_same(restored.play(5, evaluate, ScoreReferee()), games)


def test_a_checkpoint_is_a_copy():
    worker = SelfPlayWorker(SETTINGS, 5)
    tensors = worker.tensors()
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    worker.play(3, evaluate, ScoreReferee())
    assert all(torch.equal(tensors[name], before[name]) for name in tensors)


class Recorder(SelfPlayWorker):
    """Also notes, apart from the worker's own arrays, every position that was searched in full."""

    def __init__(self, settings, seed):
        super().__init__(settings, seed)
        self.notes = [[] for _ in range(settings.games)]
        self.finished = []

    def _record(self, policies):
        for g in range(self.settings.games):
            self.notes[g].append(self.arrays["states"][g].copy())
        super()._record(policies)

    def _judge(self, which, referee, positions):
        for g in which:
            self.finished.append((self.notes[g], self.arrays["states"][g].copy(), float(self.arrays["komi"][g])))
            self.notes[g] = []
        return super()._judge(which, referee, positions)


def grid_of(state) -> np.ndarray:
    return state[rules.COLOR, : (SIZE + 2) ** 2].reshape(SIZE + 2, SIZE + 2)[1:-1, 1:-1]


def owner_by_flood(grid: np.ndarray) -> np.ndarray:
    """Each point's owner, +1 Black: a stone's colour, or the one colour that an empty region touches."""
    owner = np.where(grid == 1, 1, np.where(grid == 2, -1, 0))
    for start in np.argwhere(grid == 0):
        region, reach, frontier = set(), set(), [tuple(start)]
        while frontier:
            y, x = frontier.pop()
            if not (0 <= y < SIZE and 0 <= x < SIZE) or (y, x) in region:
                continue
            if grid[y, x]:
                reach.add(1 if grid[y, x] == 1 else -1)
                continue
            region.add((y, x))
            frontier += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        owner[tuple(start)] = reach.pop() if len(reach) == 1 else 0
    return owner.ravel()


def test_results_are_recorded_from_the_side_of_the_player_to_move():
    worker = Recorder(SETTINGS, 6)
    positions, games = worker.play(12, evaluate, ScoreReferee())
    assert len(games.result) == len(worker.finished) >= 12
    row, sides = 0, set()
    for i, (notes, final, komi) in enumerate(worker.finished):
        owner = owner_by_flood(grid_of(final))
        score = owner.sum() - komi
        np.testing.assert_array_equal(games.states[i], final)
        assert games.komi[i] == komi
        assert games.score[i] == games.margin[i] == score
        assert games.result[i] == np.sign(score)
        for state in notes:
            side = 1 if state[rules.META, rules.TO_PLAY] == rules.BLACK else -1
            sides.add((side, int(np.sign(score))))
            assert positions.result[row] == side * np.sign(score)
            assert positions.margin[row] == side * score
            np.testing.assert_array_equal(positions.ownership[row], side * owner)
            own, other = (1, 2) if side == 1 else (2, 1)
            np.testing.assert_array_equal(positions.binary[row, 0], grid_of(state) == own)
            np.testing.assert_array_equal(positions.binary[row, 1], grid_of(state) == other)
            expected = [-side * komi / 10, float(state[rules.META, rules.PASSES] > 0)]
            assert positions.scalars[row] == pytest.approx(expected)
            row += 1
    assert row == len(positions)
    assert len(sides) == 4, "both colours win and both are to move"


def test_recorded_policies_are_distributions_over_legal_moves():
    positions, _ = SelfPlayWorker(SETTINGS, 7).play(6, evaluate, ScoreReferee())
    assert positions.policy.astype(np.float32).sum(1) == pytest.approx(np.ones(len(positions)), abs=5e-3)
    taken = positions.binary[:, :2].any(1) | positions.binary[:, 5].astype(bool)
    assert (positions.policy[:, :-1][taken.reshape(len(positions), -1)] == 0).all()


def test_games_end_by_two_passes_or_at_the_limit_and_komi_is_drawn_from_the_choices():
    _, games = SelfPlayWorker(SETTINGS, 8).play(20, evaluate, ScoreReferee())
    header = games.states[:, rules.META]
    assert ((header[:, rules.PASSES] == 2) | (header[:, rules.MOVES] == max_moves(SIZE))).all()
    assert set(games.komi.tolist()) <= set(komi_choices(SIZE))
    assert len(set(games.komi.tolist())) > 2


class WhiteWins:
    """A referee that does not look."""

    def judge(self, states, komi):
        return np.full(len(states), -0.5, np.float32), np.full(len(states), -2.0, np.float32)


def test_another_referee_changes_the_result_but_not_the_score():
    positions, games = SelfPlayWorker(SETTINGS, 9).play(6, evaluate, WhiteWins())
    assert (games.result == -0.5).all()
    assert set(positions.result.tolist()) == {-0.5, 0.5}
    np.testing.assert_array_equal(games.score, area_scores(games.states)[0] - games.komi)


def test_only_full_searches_are_recorded():
    never = WorkerSettings(**{**vars(SETTINGS), "full_share": 0.0})
    always = WorkerSettings(**{**vars(SETTINGS), "full_share": 1.0, "opening": 0})
    assert len(SelfPlayWorker(never, 1).play(3, evaluate, ScoreReferee())[0]) == 0
    worker = SelfPlayWorker(always, 1)
    positions, games = worker.play(3, evaluate, ScoreReferee())
    assert len(positions) == games.states[:, rules.META, rules.MOVES].sum()


def test_openings_have_the_asked_number_of_stones_played():
    lengths = np.array([0, 1, 4, 9])
    states = np.zeros((4, rules.ROWS, rules.state_points(SIZE)), np.uint16)
    histories = np.zeros((4, rules.history_length(30)), np.uint64)
    open_games(states, histories, np.arange(4), lengths, SIZE, np.arange(1, 5, dtype=np.uint64))
    np.testing.assert_array_equal(states[:, rules.META, rules.MOVES], lengths)
    np.testing.assert_array_equal(histories[:, 0], lengths + 1)  # the empty board and one more after every stone
    np.testing.assert_array_equal(states[0], Board(SIZE).state)


@pytest.mark.parametrize("size", [5, 7, 9, 13])
def test_komi_choices_never_tie(size):
    assert all(komi % 1 == 0.5 for komi in komi_choices(size))
