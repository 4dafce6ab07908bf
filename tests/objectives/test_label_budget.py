import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from foolsgold.objectives.best_of_n import best_of_n_curve, best_of_n_gold
from foolsgold.objectives.label_budget import (
    augmented_gold,
    drawn,
    effective_labels,
    importance_of_best,
    inclusion_chances,
)


def labels(gold, chances, seed):
    return np.where(drawn(chances, seed), gold, np.nan)


def pool(rng, prompts=64, samples=256):
    """Proxy and gold `[P, N]`: gold rises with the proxy up to 1.75, then falls, and has a part of the prompt's own."""
    proxy = rng.normal(size=(prompts, samples))
    own, noise = 0.3 * rng.normal(size=(prompts, 1)), 0.7 * rng.normal(size=proxy.shape)
    return proxy, proxy - 0.4 * np.maximum(proxy - 0.5, 0) ** 2 + own + noise


# What labels tell of all


def test_all_gold_comes_back_as_it_is():
    proxy, gold = pool(np.random.default_rng(0), 3, 5)
    np.testing.assert_array_equal(augmented_gold(proxy, gold, np.ones((3, 5))), gold)


def test_one_prompt_worked_by_hand():
    # No other prompt to learn from: plain Horvitz-Thompson, gold over its chance.
    got = augmented_gold([[1, 2, 3]], [[4, math.nan, 6]], [[0.5, 0.5, 0.25]])
    assert got == pytest.approx(np.array([[8, 0, 24]]))


def test_equal_proxies_worked_by_hand():
    # What the proxy tells is nothing, so a prompt expects the mean of the other's labels: 5 of 4 and 6, and 1 of 1.
    nan = math.nan
    got = augmented_gold(np.zeros((2, 3)), [[4, nan, 6], [nan, 1, nan]], np.full((2, 3), 0.5))
    assert got == pytest.approx(np.array([[1 + 3 / 0.5, 1, 1 + 5 / 0.5], [5, 5 - 4 / 0.5, 5]]))


def test_a_prompts_labels_do_not_change_what_is_expected_of_it():
    rng = np.random.default_rng(1)
    proxy, gold = pool(rng, 6, 20)
    gold[rng.random(gold.shape) < 0.5] = np.nan
    chance = np.full(gold.shape, 0.5)
    other = gold.copy()
    other[2] += 100
    gaps = np.isnan(gold[2])
    before, after = augmented_gold(proxy, gold, chance), augmented_gold(proxy, other, chance)
    np.testing.assert_allclose(before[2, gaps], after[2, gaps])
    assert not np.allclose(before[3], after[3])


def test_every_possible_draw_averages_to_gold():
    # Two of each prompt's three samples at equal chance, prompts apart: nine draws, all as likely.
    proxy, gold = np.array([[1.0, 2, 3], [6, 5, 4]]), np.array([[3.0, 1, 4], [-1, 5, 9]])
    pairs = list(itertools.combinations(range(3), 2))
    estimates = []
    for first, second in itertools.product(pairs, pairs):
        known = np.full((2, 3), np.nan)
        known[0, first], known[1, second] = gold[0, first], gold[1, second]
        estimates.append(augmented_gold(proxy, known, np.full((2, 3), 2 / 3)))
    assert np.mean(estimates, axis=0) == pytest.approx(gold)


def test_gold_that_follows_the_proxy_needs_few_labels():
    # Gold turns over in the proxy's rank, without noise: what is labelled is known elsewhere too.
    proxy = np.random.default_rng(2).normal(size=(40, 100))
    gold = 10 + np.where(proxy < 1, proxy, 2 - proxy)
    chance = np.full(proxy.shape, 0.1)
    estimate = augmented_gold(proxy, labels(gold, chance, 0), chance)
    plain = np.where(np.isnan(labels(gold, chance, 0)), 0, gold / 0.1)
    best = best_of_n_gold(proxy, gold)
    error = np.abs(best_of_n_gold(proxy, estimate).mean(0) - best.mean(0))
    assert error.max() < 0.05 * np.abs(best_of_n_gold(proxy, plain).mean(0) - best.mean(0)).max()


def test_far_proxies_do_no_harm():
    # One proxy broke out to 1e9; estimates depend on ranks for the most, hence no number explodes.
    rng = np.random.default_rng(3)
    proxy, gold = pool(rng, 20, 50)
    proxy[4, 7] = 1e9
    chance = inclusion_chances(importance_of_best(proxy), 200)
    assert np.abs(augmented_gold(proxy, labels(gold, chance, 1), chance)).max() < 300


@pytest.mark.parametrize(
    ("gold", "chance", "message"),
    [
        ([[1, 2, 3]], [[1, 1]], "must be"),
        ([[1, 2]], [[1, 0]], "above 0"),
        ([[1, 2]], [[1, 1.1]], "above 0"),
        ([[1, math.nan]], [[0.5, 1]], "1 samples were certain to be labelled"),
    ],
)
def test_says_what_is_wrong_with_labels(gold, chance, message):
    with pytest.raises(ValueError, match=message):
        augmented_gold([[1, 2]], gold, chance)


# Which samples to label


def test_importance_worked_by_hand():
    # N = 3: weights of the highest, middle and lowest are 1/3 each for n = 1, (2/3, 1/3, 0) for n = 2, (1, 0, 0) for 3.
    expected = [math.sqrt(1 / 9 + 4 / 9 + 1), math.sqrt(1 / 9 + 1 / 9), 1 / 3]
    got = importance_of_best([[10, 30, 20]])
    assert got[0] == pytest.approx([expected[2], expected[0], expected[1]])
    assert importance_of_best([[10, 30, 20]], [2])[0] == pytest.approx([0, 2 / 3, 1 / 3])


@settings(deadline=None)
@given(proxy=arrays.arrays(np.float64, (2, 7), elements=st.integers(0, 5).map(float)), n=st.integers(1, 7))
def test_importance_for_one_n_is_its_weight(proxy, n):
    # The weight of a sample is the gold of the best of n where that sample alone has gold of 1.
    got = importance_of_best(proxy, [n])
    for i in range(7):
        alone = np.zeros_like(proxy)
        alone[:, i] = 1
        assert got[:, i] == pytest.approx(best_of_n_gold(proxy, alone)[:, n - 1], abs=1e-12)


def test_effective_labels_worked_by_hand():
    # N = 2, all labelled: for n = 1 all four count the same, for n = 2 the higher ones only. Without the first
    # prompt's higher one, at chances of 1/2: three of four, and one of two.
    proxy = [[1, 2], [4, 3]]
    assert effective_labels(proxy, np.ones((2, 2), bool), np.ones((2, 2)), [1, 2]) == pytest.approx([4, 2])
    some = effective_labels(proxy, [[True, False], [True, True]], np.full((2, 2), 0.5), [1, 2])
    assert some == pytest.approx([3, 1])
    # Weights of 1/2 over chances of 1/2 and 1/4 are 1 and 2: (1 + 2)^2 / (1 + 4).
    assert effective_labels([[1, 2]], [[True, True]], [[0.5, 0.25]], [1]) == pytest.approx([9 / 5])
    assert effective_labels([[1, 2]], [[True, False]], [[0.5, 0.25]], [2]) == pytest.approx([0])


def test_chances_worked_by_hand():
    # In proportion 12 : 4 : 3 : 1 a budget of 2 would give the first 1.2: it is certain, and the others share 1 as
    # 4 : 3 : 1. None is below a tenth of the mean of 5, which 1 is not.
    assert inclusion_chances([[12, 4], [3, 1]], 2) == pytest.approx(np.array([[1, 0.5], [0.375, 0.125]]))
    # What does not matter at all still counts as a tenth of the mean of 2.
    assert inclusion_chances([[4, 4, 0, 0]], 2)[0] == pytest.approx([20 / 21, 20 / 21, 1 / 21, 1 / 21])
    assert inclusion_chances([[4, 1]], 2).tolist() == inclusion_chances([[4, 1]], 9).tolist() == [[1, 1]]
    assert inclusion_chances(np.zeros((2, 4)), 2) == pytest.approx(np.full((2, 4), 0.25))


@settings(deadline=None)
@given(
    importance=arrays.arrays(np.float64, (3, 8), elements=st.floats(0, 1e6)),
    budget=st.integers(2, 24),
)
def test_chances_add_up_to_the_budget(importance, budget):
    chances = inclusion_chances(importance, budget)
    assert chances.sum() == pytest.approx(budget)
    assert (chances > 0).all()
    assert (chances <= 1).all()
    assert (np.diff(chances.ravel()[np.argsort(importance, axis=None)]) >= -1e-12).all()


@pytest.mark.parametrize(
    ("importance", "budget", "message"),
    [([[1, 2, 3]], 1, "2 or more"), ([[1, -1, 1]], 2, "0 or more"), ([[1, math.nan, 1]], 2, "finite")],
)
def test_says_what_is_wrong_with_a_budget(importance, budget, message):
    with pytest.raises(ValueError, match=message):
        inclusion_chances(importance, budget)


# The draw


def test_draws_hold_the_budget_and_every_chance():
    rng = np.random.default_rng(4)
    chances = inclusion_chances(rng.exponential(size=(6, 10)), 17)
    draws = np.array([drawn(chances, seed) for seed in range(4000)])
    assert (draws.sum((1, 2)) == 17).all()
    assert draws[:, chances == 1].all()
    error = (draws.mean(0) - chances) / np.sqrt(np.maximum(chances * (1 - chances), 1e-9) / 4000)
    assert np.abs(error).max() < 4.5
    # Of each prompt, as many as its chances add up to, but for rounding up or down.
    assert (np.abs(draws.sum(2) - chances.sum(1)) < 1).all()


def test_prompts_do_not_err_together():
    # One label a prompt, each sample as likely. Drawn in one sweep, all prompts would have the same sample labelled.
    draws = np.array([drawn(np.full((5, 4), 0.25), seed) for seed in range(4000)])
    assert (draws.sum(2) == 1).all()
    together = np.einsum("dpi,dqj->piqj", draws, draws, dtype=float) / 4000
    for p, q in itertools.permutations(range(5), 2):
        assert np.abs(together[p, :, q] - 1 / 16).max() < 4.5 * math.sqrt(1 / 16 * 15 / 16 / 4000)


@settings(deadline=None)
@given(
    chances=arrays.arrays(np.float64, (4, 5), elements=st.floats(0, 1)),
    seed=st.integers(0, 2**32),
)
def test_any_chances_are_drawn_to_their_sum(chances, seed):
    chosen = drawn(chances, seed)
    assert abs(chosen.sum() - chances.sum()) < 1 + 1e-6
    assert not chosen[chances == 0].any()
    assert chosen[chances == 1].all()
    np.testing.assert_array_equal(chosen, drawn(chances, seed))


def test_chances_must_be_chances():
    with pytest.raises(ValueError, match="from 0 to 1"):
        drawn([[0.5, 1.5]], 0)


# All together


@pytest.mark.slow
@pytest.mark.parametrize("budget", [200, 1000, 4000])
def test_intervals_hold_the_truth_and_importance_beats_uniform(budget):
    rng = np.random.default_rng(budget)
    n = np.array([1, 16, 256]) - 1
    truth = np.mean([best_of_n_gold(*pool(rng))[:, n].mean(0) for _ in range(150)], axis=0)
    held, error, plain_error = [], [], []
    for seed in range(200):
        proxy, gold = pool(rng)
        best = best_of_n_gold(proxy, gold)[:, n].mean(0)
        chances = inclusion_chances(importance_of_best(proxy), budget)
        curve = best_of_n_curve(proxy, augmented_gold(proxy, labels(gold, chances, seed), chances), 400, seed)
        held.append((curve.low[n] <= truth) & (truth <= curve.high[n]))
        error.append(curve.gold[n] - best)
        # Plain means over labels drawn with equal chances, each weighted as best-of-n weighs its sample; at n of 256 a
        # small budget may have no label that counts, and this trial is then left out, to the good of plain means.
        uniform = drawn(np.full(proxy.shape, budget / proxy.size), seed)
        share = best_of_n_gold(proxy, uniform)[:, n].mean(0)
        share[share == 0] = math.nan
        plain_error.append(best_of_n_gold(proxy, gold * uniform)[:, n].mean(0) / share - best)
    # 200 trials of 95 % have a standard error of 1.5 %; the percentile bootstrap of 64 prompts is short by 1 %.
    assert np.mean(held, axis=0).min() > 0.89
    assert np.abs(np.mean(error, axis=0)).max() < 4 * np.std(error, axis=0).max() / 200**0.5
    gain = np.sqrt(np.nanmean(np.square(plain_error), axis=0) / np.maximum(np.mean(np.square(error), axis=0), 1e-12))
    assert (gain[1:] > [2, 10]).all()
    assert gain[0] > 0.6  # the price: at n of 1 all samples count the same
