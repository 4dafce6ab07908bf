import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from foolsgold.objectives.best_of_n import best_of_n_curve, best_of_n_gold, best_of_n_kl, pass_at_k


def brute(proxy, gold, n):
    """Mean over all subsets of n samples of the gold of their best by proxy; equals share."""
    means = []
    for subset in itertools.combinations(range(len(proxy)), n):
        top = max(proxy[i] for i in subset)
        means.append(np.mean([gold[i] for i in subset if proxy[i] == top]))
    return np.mean(means)


def test_worked_by_hand():
    # Pairs of proxy (1, 2, 3) with gold (6, 0, 3): best of {1, 2} has 0, of {1, 3} and {2, 3} has 3: mean 2.
    got = best_of_n_gold([[1, 2, 3], [3, 1, 2]], [[6, 0, 3], [3, 6, 0]])
    assert got == pytest.approx(np.array([[3, 2, 3], [3, 2, 3]]))


def test_ties_worked_by_hand():
    # Proxy (1, 1, 0), gold (4, 0, 9). Pairs: {1, 1} one of 4 and 0 at random: 2; {1, 0}: 4 and 0: mean 2. All three: 2.
    assert best_of_n_gold([[1, 1, 0]], [[4, 0, 9]])[0] == pytest.approx([13 / 3, 2, 2])


@given(
    proxy=arrays.arrays(np.float64, (2, 6), elements=st.integers(0, 4).map(float)),
    gold=arrays.arrays(np.float64, (2, 6), elements=st.integers(-9, 9).map(float)),
)
def test_equals_enumeration_of_all_subsets(proxy, gold):
    got = best_of_n_gold(proxy, gold)
    for prompt, n in itertools.product(range(2), range(1, 7)):
        assert got[prompt, n - 1] == pytest.approx(brute(proxy[prompt], gold[prompt], n), abs=1e-9)


def test_an_indifferent_proxy_gains_nothing():
    gold = np.random.default_rng(0).normal(size=(3, 50))
    assert best_of_n_gold(np.zeros((3, 50)), gold) == pytest.approx(np.broadcast_to(gold.mean(1)[:, None], (3, 50)))


def test_large_numbers_of_samples_keep_their_digits():
    # The expected rank of the highest of n of N is n (N + 1) / (n + 1).
    samples = 2000
    ranks = np.arange(1, samples + 1.0)[None]
    n = np.arange(1, samples + 1)
    assert best_of_n_gold(ranks, ranks)[0] == pytest.approx(n * (samples + 1) / (n + 1), rel=1e-10)


@pytest.mark.parametrize(
    ("proxy", "gold", "message"),
    [
        ([[1, 2]], [[1, 2, 3]], "must both be"),
        ([1, 2], [1, 2], "must both be"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "must both be"),
        ([[1, math.nan]], [[1, 2]], "NaN"),
    ],
)
def test_says_what_is_wrong(proxy, gold, message):
    with pytest.raises(ValueError, match=message):
        best_of_n_gold(proxy, gold)


def test_kl_worked_by_hand():
    assert best_of_n_kl([1, 2, 4]) == pytest.approx([0, math.log(2) - 0.5, math.log(4) - 0.75])


def test_kl_is_that_of_the_highest_of_n_uniform_numbers():
    # The density of the highest is n u^(n-1): integrate its log under itself.
    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    density = 8 * u**7
    assert best_of_n_kl(8) == pytest.approx((density * np.log(density)).mean(), abs=1e-5)


def test_curve_is_the_mean_over_prompts_within_its_interval():
    rng = np.random.default_rng(0)
    proxy, gold = rng.normal(size=(2, 40, 8))
    curve = best_of_n_curve(proxy, gold, n_resamples=500)
    assert curve.n.tolist() == list(range(1, 9))
    assert curve.kl == pytest.approx(best_of_n_kl(curve.n))
    assert curve.gold == pytest.approx(best_of_n_gold(proxy, gold).mean(0))
    assert (curve.low < curve.gold).all()
    assert (curve.gold < curve.high).all()


def test_interval_covers_the_truth_about_as_often_as_it_says():
    # Gold is the proxy: the best of 2 standard normals is 1 / sqrt(pi) on average, and of 1, 0.
    rng = np.random.default_rng(0)
    truth = np.array([0, 1 / math.sqrt(math.pi)])
    hits = np.zeros(2)
    for trial in range(200):
        rewards = rng.normal(size=(60, 4))
        curve = best_of_n_curve(rewards, rewards, n_resamples=300, seed=trial)
        hits += (curve.low[:2] <= truth) & (truth <= curve.high[:2])
    assert (hits / 200 > 0.88).all()
    assert (hits / 200 < 0.99).all()


def test_the_same_seed_gives_the_same_interval():
    rewards = np.random.default_rng(0).normal(size=(10, 3))
    first, second = (best_of_n_curve(rewards, rewards, n_resamples=50, seed=7) for _ in range(2))
    assert first.low.tolist() == second.low.tolist()


def test_pass_at_k_worked_by_hand():
    # 2 of 4 correct: both of two wrong in 1 of 6 pairs.
    assert pass_at_k(4, [0, 2, 4], 2) == pytest.approx([0, 5 / 6, 1])


@pytest.mark.parametrize("k", [1, 3, 10])
def test_pass_at_k_equals_binomials_and_the_best_of_k(k):
    correct = np.arange(11)
    expected = [1 - math.comb(10 - c, k) / math.comb(10, k) for c in correct]
    assert pass_at_k(10, correct, k) == pytest.approx(expected)
    outcomes = (np.arange(10) < correct[:, None]).astype(float)
    assert best_of_n_gold(outcomes, outcomes)[:, k - 1] == pytest.approx(expected)


@pytest.mark.parametrize(("correct", "k"), [(1, 5), (1, 0), (5, 1), (-1, 1)])
def test_pass_at_k_says_what_is_out_of_range(correct, k):
    with pytest.raises(ValueError, match=r"pass@|correct"):
        pass_at_k(4, correct, k)
