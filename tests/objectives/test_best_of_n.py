import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from foolsgold.objectives.best_of_n import (
    best_of_n_curve,
    best_of_n_gold,
    best_of_n_kl,
    best_of_n_win_rate,
    exact_best_of_n,
    exact_best_of_n_kl,
    exact_win_rate,
    pass_at_k,
)


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


def test_equals_exact_rationals():
    # The i-th lowest of N is the highest of n drawn in C(i - 1, n - 1) of C(N, n) subsets.
    samples = 120
    gold = np.random.default_rng(0).permutation(samples)
    exact = [
        float(sum(Fraction(math.comb(i, n - 1) * int(gold[i]), math.comb(samples, n)) for i in range(samples)))
        for n in range(1, samples + 1)
    ]
    assert best_of_n_gold([np.arange(samples)], [gold])[0] == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("samples", [2000, 100_000])
def test_large_numbers_of_samples_keep_their_digits(samples):
    # The expected rank of the highest of n of N is n (N + 1) / (n + 1).
    ranks = np.arange(1, samples + 1.0)[None]
    n = np.arange(1, samples + 1)
    assert best_of_n_gold(ranks, ranks)[0] == pytest.approx(n * (samples + 1) / (n + 1), rel=1e-12)


def test_a_selection_of_n_is_that_of_all():
    proxy, gold = np.random.default_rng(0).normal(size=(2, 3, 40))
    ns = [40, 1, 7]
    assert best_of_n_gold(proxy, gold, ns).tolist() == best_of_n_gold(proxy, gold)[:, [39, 0, 6]].tolist()


def test_prompts_do_not_depend_on_their_company():
    proxy = np.random.default_rng(0).integers(0, 9, size=(150, 30)).astype(float)
    gold = np.random.default_rng(1).normal(size=(150, 30))
    alone = np.concatenate([best_of_n_gold(proxy[[i]], gold[[i]]) for i in range(150)])
    assert best_of_n_gold(proxy, gold).tolist() == alone.tolist()


@pytest.mark.parametrize("ns", [[0], [4], [1.5], 2, [[1]]])
def test_says_which_n_there_are(ns):
    with pytest.raises(ValueError, match="from 1 to 3"):
        best_of_n_gold([[1, 2, 3]], [[1, 2, 3]], ns)


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


def test_interval_is_that_of_resampled_prompts():
    proxy, gold = np.random.default_rng(0).normal(size=(2, 5, 1300))
    drawn = np.random.default_rng(3).multinomial(5, np.full(5, 1 / 5), size=20)
    per_prompt = best_of_n_gold(proxy, gold)
    means = [np.repeat(per_prompt, counts, axis=0).mean(0) for counts in drawn]
    low, high = np.quantile(means, [0.05, 0.95], axis=0)
    curve = best_of_n_curve(proxy, gold, n_resamples=20, seed=3, confidence=0.9)
    assert curve.low == pytest.approx(low)
    assert curve.high == pytest.approx(high)
    some = best_of_n_curve(proxy, gold, n_resamples=20, seed=3, confidence=0.9, ns=[1, 64, 1300])
    assert some.n.tolist() == [1, 64, 1300]
    assert some.high == pytest.approx(high[[0, 63, 1299]])


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


spaces = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=4).filter(
    lambda space: sum(chance for chance, _ in space) > 0
)


def best_of_draws(chance, reward, n):
    """Distribution of the best, summed over all sequences of n draws; each of the best ones drawn is as likely kept."""
    kept = np.zeros(len(chance))
    for draws in itertools.product(range(len(chance)), repeat=n):
        top = [v for v in draws if reward[v] == max(reward[u] for u in draws)]
        for v in top:
            kept[v] += np.prod([chance[u] for u in draws]) / len(top)
    return kept


@given(space=spaces, n=st.integers(1, 4))
def test_exact_equals_enumeration_of_all_draws(space, n):
    chance, reward = np.array(space, float).T
    chance /= chance.sum()
    best = best_of_draws(chance, reward, n)
    assert exact_best_of_n(chance, reward, n) == pytest.approx(best, abs=1e-12)
    kept = best > 0
    assert exact_best_of_n_kl(chance, reward, n) == pytest.approx(
        (best[kept] * np.log(best[kept] / chance[kept])).sum(), abs=1e-12
    )
    lead = np.sign(reward[:, None] - reward)  # of a best one over one of the policy
    assert exact_win_rate(chance, reward, n) == pytest.approx(best @ ((lead + 1) / 2) @ chance)


def test_exact_worked_by_hand():
    # Halves, of which the second is better: the worse is kept where both draws are it, in 1 of 4 cases.
    assert exact_best_of_n([0.5, 0.5], [0, 1], 2) == pytest.approx([0.25, 0.75])
    assert exact_best_of_n_kl([0.5, 0.5], [0, 1], 2) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    # The better, kept with 3/4, beats one half and ties with the other; the worse ties with one half.
    assert exact_win_rate([0.5, 0.5], [0, 1], 2) == pytest.approx(0.625)


def test_a_rare_best_completion_is_found_by_many_draws():
    chance = np.array([1 - 1e-12, 1e-12])
    assert exact_best_of_n(chance, [0, 1], 1e12)[1] == pytest.approx(1 - math.exp(-1), rel=1e-9)
    assert exact_best_of_n(chance, [0, 1], 2)[1] == pytest.approx(2e-12, rel=1e-9, abs=0)


@given(
    chance=arrays.arrays(np.float64, 12, elements=st.floats(0, 1)).filter(lambda chance: chance.sum() > 0.01),
    n=st.integers(1, 10_000),
)
def test_exact_kl_is_at_most_that_without_ties(chance, n):
    chance = chance / chance.sum()
    kl = exact_best_of_n_kl(chance, np.arange(12), n)
    assert -1e-12 <= kl <= best_of_n_kl(n) + 1e-12
    assert exact_best_of_n(chance, np.arange(12), n).sum() == pytest.approx(1)


@pytest.mark.parametrize("n", [1, 2, 8, 100])
def test_many_small_chances_come_to_the_laws_without_ties(n):
    chance, reward = np.full(1_000_000, 1e-6), np.random.default_rng(0).permutation(1_000_000)
    assert exact_best_of_n_kl(chance, reward, n) == pytest.approx(best_of_n_kl(n), abs=1e-4)
    assert exact_win_rate(chance, reward, n) == pytest.approx(best_of_n_win_rate(n), abs=1e-4)


def test_win_rate_worked_by_hand():
    assert best_of_n_win_rate([1, 2, 4]) == pytest.approx([1 / 2, 2 / 3, 4 / 5])


@pytest.mark.parametrize(
    ("chance", "reward", "n", "message"),
    [
        ([0.5, 0.5], [1], 2, "two rows"),
        ([0.5, 0.5], [1, math.nan], 2, "NaN"),
        ([0.5, 0.6], [1, 2], 2, "sum to 1"),
        ([-0.5, 1.5], [1, 2], 2, "0 or more"),
        ([0.5, 0.5], [1, 2], 0, "1 or more"),
    ],
)
def test_exact_says_what_is_wrong(chance, reward, n, message):
    with pytest.raises(ValueError, match=message):
        exact_best_of_n(chance, reward, n)
