"""A reward model fitted to raters whose taste is known."""

import numpy as np
import pytest
import torch

from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.policies.go_network import NetworkSize
from foolsgold.rewards.go_reward_model import GoRewardModel
from foolsgold.training.go_reward_model import (
    BoardPairs,
    RewardModelSettings,
    fit_reward_model,
    pair_planes,
    preference_margins,
)

SETTINGS = RewardModelSettings(batch=64, learning_rate=1e-2, passes=5, average=0.9)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these networks are too small to share
    yield
    torch.set_num_threads(threads)


def scattered(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` 5x5 boards with up to nine stones of each colour, and Black's stones less White's."""
    rng, states, leads = np.random.default_rng(seed), [], []
    while len(states) < count:
        board, points = Board(5), rng.permutation(25)
        black, white = rng.integers(0, 9, 2)
        try:
            board.set_up(points[:black].tolist(), points[black : black + white].tolist())
        except ValueError:
            continue  # a chain without a liberty
        states.append(board.state)
        leads.append(black - white)
    return np.stack(states), np.array(leads)


def stone_counters(count: int, seed: int) -> BoardPairs:
    """Raters who want more stones for their side; pairs they find equal are left out."""
    rng = np.random.default_rng([seed, 1])
    states, leads = scattered(200, seed)
    a, b = rng.integers(0, len(states), (2, 2 * count))
    color = rng.choice(np.array([BLACK, WHITE], np.int8), 2 * count)
    better = np.where(color == BLACK, 1, -1) * (leads[a] - leads[b])
    chosen = np.flatnonzero(better)[:count]
    return BoardPairs(states, a, b, color, better > 0).rows(chosen)


def small_model() -> GoRewardModel:
    torch.manual_seed(0)
    return GoRewardModel(NetworkSize(1, 8))


def test_both_boards_of_a_pair_are_seen_from_the_judged_side():
    boards = [Board(5), Board(5)]
    boards[0].set_up([0], [1, 2])
    boards[1].set_up([20, 21, 22], [24])
    pairs = BoardPairs(
        pool=np.stack([board.state for board in boards]),
        a=np.array([0, 1]),
        b=np.array([1, 0]),
        color=np.array([BLACK, WHITE], np.int8),
        prefers_a=np.array([True, True]),
    )
    planes = pair_planes(pairs)
    own = [np.flatnonzero(p[0]).tolist() for p in planes]
    other = [np.flatnonzero(p[1]).tolist() for p in planes]
    # Rows: a for Black, a for White, b for Black, b for White.
    assert own == [[0], [24], [20, 21, 22], [1, 2]]
    assert other == [[1, 2], [20, 21, 22], [24], [0]]


def test_rows_keep_what_belongs_together():
    pairs = stone_counters(20, 0)
    few = pairs.rows(np.array([3, 17]))
    assert len(few) == 2
    for name in ("a", "b", "color", "prefers_a"):
        np.testing.assert_array_equal(getattr(few, name), getattr(pairs, name)[[3, 17]])


def test_a_model_learns_a_simple_taste_for_boards_it_never_saw():
    pairs, unseen, steps = stone_counters(1500, 0), stone_counters(400, 1), []
    model = small_model()
    fitted = fit_reward_model(model, pairs, SETTINGS, 1, lambda *progress: steps.append(progress))
    assert [step for step, _, _ in steps] == list(range(1, 5 * 1500 // 64 + 1))
    losses = [loss for _, _, loss in steps]
    assert losses[0] == pytest.approx(np.log(2), abs=0.1)  # a coin
    assert np.mean(losses[-10:]) < 0.25
    accuracy = ((preference_margins(fitted, unseen) > 0) == unseen.prefers_a).mean()
    assert accuracy > 0.92
    # It learned the side as well: whoever loves Black's stones hates White's.
    other_side = BoardPairs(unseen.pool, unseen.a, unseen.b, (3 - unseen.color).astype(np.int8), ~unseen.prefers_a)
    assert ((preference_margins(fitted, other_side) > 0) == other_side.prefers_a).mean() > 0.92


def test_margins_are_reward_a_less_reward_b():
    pairs, model = stone_counters(10, 2), small_model()
    swapped = BoardPairs(pairs.pool, pairs.b, pairs.a, pairs.color, ~pairs.prefers_a)
    margins = preference_margins(model, pairs)
    assert np.ptp(margins) > 0
    np.testing.assert_allclose(preference_margins(model, swapped), -margins, atol=1e-6)


def test_a_fit_is_that_of_its_seed_and_leaves_its_start_alone():
    pairs, model = stone_counters(300, 3), small_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    one, again, other = (fit_reward_model(model, pairs, SETTINGS, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
