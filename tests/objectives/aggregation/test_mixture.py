import itertools
import math

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit, log_expit

from foolsgold.objectives.aggregation.mixture import group_mixture, responsibilities


def crowd(seed, raters=200, each=20, features=4, shares=(0.9, 0.1)):
    """Comparisons by raters of several groups, what each group values, and who is in which."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(len(shares), features)) * 1.5
    group = rng.choice(len(shares), raters, p=shares)
    rater = np.repeat(np.arange(raters), each)
    x = rng.normal(size=(raters * each, features))
    y = rng.random(len(x)) < expit((x * weights[group[rater]]).sum(1))
    return x, y.astype(float), rater, weights, group


def test_responsibilities_by_hand():
    # Rater 0: 0.5 · 0.75 against 0.25 · 0.25; rater 1: 0.1 · 0.75 against 0.3 · 0.25.
    likelihood = np.log([[0.5, 0.25], [0.1, 0.3]])
    membership, total = responsibilities(likelihood, np.array([0.75, 0.25]))
    assert membership == pytest.approx(np.array([[6 / 7, 1 / 7], [0.5, 0.5]]))
    assert total == pytest.approx(math.log(0.4375 * 0.15))
    assert responsibilities(likelihood, np.array([1.0, 0.0]))[0].tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_finds_a_minority_of_one_in_ten(seed):
    x, y, rater, weights, group = crowd(seed)
    fit = group_mixture(x, y, rater, 2)
    # Nobody can tell all raters' groups from 20 comparisons, not even who knows what the groups value.
    chance = expit(x @ weights.T)
    likelihood = np.log(np.where(y[:, None] == 1, chance, 1 - chance))
    each = np.stack([np.bincount(rater, weights=column) for column in likelihood.T], 1)
    best = (responsibilities(each, np.array([0.9, 0.1]))[0].argmax(1) == group).mean()
    assert (fit.membership.argmax(1) == group).mean() > best - 0.03
    assert fit.shares == pytest.approx(np.bincount(group) / len(group), abs=0.05)
    assert np.corrcoef(fit.weights.ravel(), weights.ravel())[0, 1] > 0.95
    # The pooled fit is all but the majority's, and tells nothing of the minority.
    assert group_mixture(x, y, rater, 1).log_likelihood < fit.log_likelihood - 50


def test_the_criterion_names_the_number_of_groups():
    x, y, rater, _, _ = crowd(11, shares=(0.5, 0.3, 0.2))
    criteria = [group_mixture(x, y, rater, groups).bic for groups in (1, 2, 3, 4)]
    assert int(np.argmin(criteria)) == 2


def test_one_group_is_logistic_regression():
    x, y, rater, _, _ = crowd(5, raters=10)

    def loss(w):
        return 0.5 * w @ w - y @ log_expit(x @ w) - (1 - y) @ log_expit(-(x @ w))

    fit = group_mixture(x, y, rater, 1)
    assert fit.weights[0] == pytest.approx(optimize.minimize(loss, np.zeros(4), tol=1e-10).x, abs=1e-3)
    assert fit.membership.tolist() == [[1]] * 10


def test_the_likelihood_by_enumeration_of_who_is_in_which_group():
    x, y, rater, _, _ = crowd(6, raters=5, each=4)
    fit = group_mixture(x, y, rater, 2)
    chance = expit(x @ fit.weights.T)
    said = np.where(y[:, None] == 1, chance, 1 - chance)
    total = 0.0
    for group in itertools.product(range(2), repeat=5):
        belongs = np.array(group)
        total += fit.shares[belongs].prod() * said[np.arange(20), belongs[rater]].prod()
    assert fit.log_likelihood == pytest.approx(math.log(total))


def test_no_small_change_of_the_weights_is_likelier():
    x, y, rater, _, _ = crowd(7, raters=40)
    fit = group_mixture(x, y, rater, 2, tolerance=1e-12)

    def value(weights):
        chance = expit(x @ weights.T)
        each = np.log(np.where(y[:, None] == 1, chance, 1 - chance))
        likelihood = np.stack([np.bincount(rater, weights=column) for column in each.T], 1)
        return responsibilities(likelihood, fit.shares)[1] - 0.5 * (weights**2).sum()

    slope = optimize.approx_fprime(fit.weights.ravel(), lambda w: value(w.reshape(2, 4)), 1e-6)
    assert slope == pytest.approx(np.zeros(8), abs=0.05)


def test_items_as_one_hot_features():
    # Two tastes of three items: half the raters order them 0 > 1 > 2, half 2 > 1 > 0.
    a, b = np.array([0, 0, 1] * 40), np.array([1, 2, 2] * 40)
    rater = np.repeat(np.arange(40), 3)
    fit = group_mixture(np.eye(3)[a] - np.eye(3)[b], (rater % 2 == 0).astype(float), rater, 2)
    assert fit.shares == pytest.approx([0.5, 0.5], abs=0.02)
    orders = {tuple(np.argsort(weights)) for weights in fit.weights}
    assert orders == {(0, 1, 2), (2, 1, 0)}
    assert group_mixture(np.eye(3)[a] - np.eye(3)[b], (rater % 2 == 0).astype(float), rater, 1).weights[
        0
    ] == pytest.approx([0, 0, 0], abs=1e-6)


def test_the_same_seed_gives_the_same_fit():
    x, y, rater, _, _ = crowd(8, raters=30)
    assert group_mixture(x, y, rater, 2, seed=3).log_likelihood == group_mixture(x, y, rater, 2, seed=3).log_likelihood


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="a row a comparison"):
        group_mixture(np.ones((2, 1)), [1], [0, 0], 1)
    with pytest.raises(ValueError, match="one group"):
        group_mixture(np.ones((1, 1)), [1], [0], 0)
