"""Policies at one KL: against candidates worked by hand, brute force, and the solver of one prompt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from foolsgold.objectives.aggregation.social_choice import preference_shares, regularized_nash
from foolsgold.objectives.tilting import expected, kl_from_uniform, maximin_at_kl, nash_at_kl, tilt_at_kl


def test_two_candidates_by_hand():
    # KL of (p, 1 - p) from evens is log 2 - entropy; at p = 0.9 that is 0.36806 nats.
    chances = tilt_at_kl([[0.0, 3.0]], 0.3680642)
    assert chances == pytest.approx(np.array([[0.1, 0.9]]), abs=1e-6)


@given(st.integers(0, 10_000), st.floats(0.05, 1.2))
@settings(max_examples=30, deadline=None)
def test_no_other_policy_at_the_kl_earns_more(seed, kl):
    rng = np.random.default_rng(seed)
    reward = rng.normal(size=(3, 12))
    best = tilt_at_kl(reward, kl)
    assert kl_from_uniform(best) == pytest.approx(kl, abs=1e-8)
    other = tilt_at_kl(rng.normal(size=(3, 12)) + 0.5 * reward, kl)
    assert expected(best, reward) >= expected(other, reward) - 1e-9


def test_unit_and_a_prompts_own_level_do_not_matter():
    reward = np.random.default_rng(0).normal(size=(4, 9))
    moved = 7 * reward + np.arange(4)[:, None]
    assert tilt_at_kl(moved, 0.8) == pytest.approx(tilt_at_kl(reward, 0.8), abs=1e-9)


def test_ties_bound_the_kl():
    with pytest.raises(ValueError, match=r"below 0\.693"):
        tilt_at_kl([[0.0, 0.0, 1.0, 1.0]], 0.7)


def test_opposed_groups_of_equal_stakes_are_left_as_they_were():
    reward = np.array([[-1.0, 0.0, 1.0, 0.0]])
    common = np.array([[0.0, 0.0, 0.0, 1.0]])
    # What both want is all that can be had: the opposed parts cancel.
    chances, weights = maximin_at_kl([reward + common, common - reward], 0.3)
    assert weights == pytest.approx([0.5, 0.5], abs=1e-6)
    assert chances[0].argmax() == 3
    assert chances[0, 0] == pytest.approx(chances[0, 2], abs=1e-6)


@pytest.mark.parametrize("groups", [2, 3])
def test_the_worst_group_cannot_be_helped_at_this_kl(groups):
    rewards = np.random.default_rng(groups).normal(size=(groups, 2, 6))
    rewards[1] -= 0.8 * rewards[0]
    chances, weights = maximin_at_kl(rewards, 0.5)
    worst = expected(chances, rewards).min()
    assert kl_from_uniform(chances) == pytest.approx(0.5, abs=1e-8)
    # Every mixture of the groups' rewards on a grid, tilted to the same KL, leaves its worst group worse off.
    grid = np.random.default_rng(0).dirichlet(np.ones(groups), 400)
    others = [expected(tilt_at_kl(np.tensordot(w, rewards, 1), 0.5), rewards).min() for w in grid]
    assert worst >= max(others) - 1e-6
    assert weights @ expected(chances, rewards) == pytest.approx(worst, abs=1e-4)


def test_nash_is_the_equilibrium_of_each_prompt_at_one_price():
    utilities = np.random.default_rng(5).normal(size=(7, 3, 8))
    shares = np.array([preference_shares(utilities[:, p]) for p in range(3)])
    found = nash_at_kl(shares, 0.4)
    assert kl_from_uniform(found) == pytest.approx(0.4, abs=1e-6)
    reference = np.full(8, 1 / 8)

    def all_prompts(temperature):
        return np.array([regularized_nash(each, reference, temperature) for each in shares])

    temperature = optimize.brentq(lambda t: kl_from_uniform(all_prompts(t)) - 0.4, 0.02, 2, xtol=1e-10)
    assert found == pytest.approx(all_prompts(temperature), abs=1e-4)


def test_a_cycle_has_no_favourite():
    cycle = np.array([[0.5, 1, 0, 1], [0, 0.5, 1, 1], [1, 0, 0.5, 1], [0, 0, 0, 0.5]])
    found = nash_at_kl(cycle[None], 0.2)[0]
    assert found[:3] == pytest.approx(found[0], abs=1e-8)
    assert found[3] < found[0]
