import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from foolsgold.objectives import gumbel

# One node, worked by hand below: v_mix = (0.1 + 3 * (0.5 * 0.5 + 0.3 * -0.4) / 0.8) / 4 = 0.146875.
PRIOR = np.array([0.5, 0.3, 0.2], np.float32)
VISITS = np.array([2, 1, 0], np.int32)
TOTALS = np.array([1.0, -0.4, 0.0], np.float32)
VALUE = 0.1
MIX = 0.146875


def random_node(rng, actions=9):
    """Arrays of a node of which some actions are illegal and some unvisited."""
    prior = rng.dirichlet(np.ones(actions)).astype(np.float32)
    prior[rng.random(actions) < 0.2] = 0
    prior[0] += 0.1
    prior /= prior.sum()
    visits = np.where(prior > 0, rng.integers(0, 5, actions), 0).astype(np.int32)
    totals = (visits * rng.uniform(-1, 1, actions)).astype(np.float32)
    return prior, visits, totals, float(rng.uniform(-1, 1))


@pytest.mark.parametrize(
    ("considered", "simulations", "schedule"),
    [
        (0, 3, [0, 1, 2]),
        (1, 4, [0, 1, 2, 3]),
        (2, 5, [0, 0, 1, 1, 2]),
        (3, 6, [0, 0, 0, 1, 1, 2]),
        (4, 16, [0] * 4 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5, 5]),
        (16, 8, [0] * 8),
        (8, 24, [0] * 8 + [1] * 4 + [2] * 4 + [3, 3, 4, 4, 5, 5, 6, 6]),
    ],
)
def test_schedules_worked_by_hand(considered, simulations, schedule):
    assert gumbel.considered_visits(considered, simulations).tolist() == schedule


def test_schedules_equal_mctx():
    reference = pytest.importorskip("mctx._src.seq_halving")
    for considered in range(34):
        for simulations in (1, 2, 5, 8, 16, 31, 32, 50, 64, 100, 200):
            theirs = reference.get_sequence_of_considered_visits(considered, simulations)
            assert tuple(gumbel.considered_visits(considered, simulations)) == theirs, (considered, simulations)


def test_halving_table_has_a_row_for_every_number_of_actions():
    table = gumbel.halving_table(4, 6)
    assert table.shape == (5, 6)
    assert table[3].tolist() == [0, 0, 0, 1, 1, 2]


def test_mixed_value_worked_by_hand():
    assert gumbel.mixed_value(PRIOR, VISITS, TOTALS, VALUE) == pytest.approx((MIX, 3, 2), abs=1e-6)


def test_mixed_value_of_a_new_node_is_the_networks():
    nothing = np.zeros(3, np.int32)
    assert gumbel.mixed_value(PRIOR, nothing, nothing.astype(np.float32), -0.7) == (-0.7, 0, 0)


def test_improved_policy_worked_by_hand():
    out = np.empty(3, np.float32)
    gumbel.improved_policy(PRIOR, VISITS, TOTALS, VALUE, 0.5, 0.0, out)  # 0.5 * (0 + 2 visits) = 1
    weights = np.array([0.5 * math.exp(0.5), 0.3 * math.exp(-0.4), 0.2 * math.exp(MIX)])
    assert out == pytest.approx(weights / weights.sum(), abs=1e-6)


@pytest.mark.parametrize("value_scale", [0.05, 0.5, 2.0])
def test_improved_policy_equals_mctx(value_scale):
    transforms = pytest.importorskip("mctx._src.qtransforms")
    jax = pytest.importorskip("jax")
    rng = np.random.default_rng(1)
    for _ in range(10):
        prior, visits, totals, value = random_node(rng)
        tree = mctx_node(prior, visits, totals, value)
        q = transforms.qtransform_completed_by_mix_value(
            tree, 0, value_scale=value_scale, maxvisit_init=50.0, rescale_values=False
        )
        out = np.empty_like(prior)
        gumbel.improved_policy(prior, visits, totals, value, value_scale, 50.0, out)
        assert out == pytest.approx(np.asarray(jax.nn.softmax(tree.children_prior_logits[0] + q)), abs=1e-5)


def test_interior_choice_equals_mctx():
    selection = pytest.importorskip("mctx._src.action_selection")
    transforms = pytest.importorskip("mctx._src.qtransforms")
    rng = np.random.default_rng(2)

    def transform(tree, node):
        return transforms.qtransform_completed_by_mix_value(
            tree, node, value_scale=0.1, maxvisit_init=10.0, rescale_values=False
        )

    for _ in range(30):
        prior, visits, totals, value = random_node(rng)
        theirs = selection.gumbel_muzero_interior_action_selection(
            None, mctx_node(prior, visits, totals, value), 0, 1, qtransform=transform
        )
        assert gumbel.select_interior(prior, visits, totals, value, 0.1, 10.0) == theirs


def mctx_node(prior, visits, totals, value):
    """What mctx's formulas read of a tree, for the one node 0."""
    jnp = pytest.importorskip("jax.numpy")
    q = jnp.asarray(totals / np.maximum(visits, 1))
    logits = jnp.where(prior > 0, jnp.log(jnp.maximum(prior, 1e-30)), jnp.finfo(jnp.float32).min)
    return SimpleNamespace(
        qvalues=lambda node: q,
        children_visits=jnp.asarray(visits)[None],
        raw_values=jnp.asarray([value], jnp.float32),
        children_prior_logits=logits[None],
    )


def test_improved_policy_of_a_lost_looking_node_still_ranks_its_wins():
    # v_mix is near -0.9, so both wins lie far above it: 160 and 107 nats at this scale. Their ratio is
    # exp(100 * (0.9 - 0.3)), however large the numbers on the way.
    prior = np.array([0.998, 0.001, 0.001], np.float32)
    visits = np.array([10, 10, 10], np.int32)
    totals = np.array([-9.0, 3.0, 9.0], np.float32)
    out = np.empty(3, np.float32)
    gumbel.improved_policy(prior, visits, totals, -0.9, 1.0, 90.0, out)
    assert out == pytest.approx([0, 0, 1], abs=1e-6)
    assert math.log(out[2] / out[1]) == pytest.approx(60, rel=1e-3)


def test_improved_policy_survives_extreme_scales():
    out = np.empty(3, np.float32)
    gumbel.improved_policy(PRIOR, VISITS, TOTALS, VALUE, 100.0, 1000.0, out)
    assert out == pytest.approx([1, 0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("due", "noise", "choice"),
    [
        (2, [0, 0, 0], 0),
        (1, [0, 0, 0], 1),
        (0, [9, 9, 0], 2),
        (7, [0, 0, 0], -1),  # nobody has seven visits
    ],
)
def test_root_choice_is_among_those_with_the_visits_that_are_due(due, noise, choice):
    assert gumbel.select_root(PRIOR, VISITS, TOTALS, VALUE, np.array(noise, np.float32), due, 0.5, 0.0) == choice


def test_root_choice_adds_noise_logit_and_value():
    # Merits without noise, at scale 1 * (0 + 1): log 0.6 + 0.2 = -0.311 and log 0.4 + 0.5 = -0.416.
    prior, visits = np.array([0.6, 0.4, 0.0], np.float32), np.array([1, 1, 1], np.int32)
    totals = np.array([0.2, 0.5, 1.0], np.float32)

    def choice(noise):
        return gumbel.select_root(prior, visits, totals, 0.0, np.array(noise, np.float32), 1, 1.0, 0.0)

    assert choice([0, 0, 0]) == 0
    assert choice([0, 0.10, 0]) == 0
    assert choice([0, 0.11, 0]) == 1
    assert choice([0, 0, 99]) == 0, "an illegal action is never chosen"


def test_interior_visits_approach_the_improved_policy():
    # Section 5 of the paper: chosen one after the other, visits are shared out as the policy asks.
    prior = np.array([0.6, 0.3, 0.1], np.float32)
    visits, totals = np.zeros(3, np.int32), np.zeros(3, np.float32)
    for _ in range(100):
        visits[gumbel.select_interior(prior, visits, totals, 0.0, 0.5, 50.0)] += 1
    assert visits.tolist() == [60, 30, 10]


def test_softmax_legal_worked_by_hand():
    out = np.empty(4, np.float32)
    logits = np.log(np.array([1, 2, 5, 5], np.float32))
    gumbel.softmax_legal(logits, np.array([1, 1, 0, 0], np.uint8), out)
    assert out == pytest.approx([1 / 3, 2 / 3, 0, 0], abs=1e-6)


def test_softmax_legal_neither_overflows_nor_forgets_a_legal_action():
    out = np.empty(3, np.float32)
    gumbel.softmax_legal(np.array([1000, 0, 2000], np.float32), np.array([1, 1, 0], np.uint8), out)
    assert out[0] == 1
    assert out[1] > 0
    assert out[2] == 0


def test_gumbel_noise_has_gumbels_distribution():
    out = np.empty(200_000, np.float32)
    gumbel.sample_gumbel(np.uint64(12345), 1.0, out)
    assert out.mean() == pytest.approx(0.5772, abs=0.015)  # five standard errors
    assert out.var() == pytest.approx(math.pi**2 / 6, rel=0.03)
    assert stats.kstest(out[:5000], "gumbel_r").pvalue > 0.001


def test_gumbel_noise_is_scaled_and_its_seed_moves_on():
    once, twice = np.empty(8, np.float32), np.empty(8, np.float32)
    after = gumbel.sample_gumbel(np.uint64(7), 1.0, once)
    gumbel.sample_gumbel(np.uint64(7), 2.0, twice)
    assert twice == pytest.approx(2 * once)
    assert after != 7
    gumbel.sample_gumbel(after, 1.0, twice)
    assert not np.array_equal(once, twice)
