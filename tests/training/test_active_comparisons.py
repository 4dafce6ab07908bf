"""The Bayesian linear reward model against other methods, and the rounds of gathering."""

import numpy as np
import pytest
from scipy import optimize

from foolsgold.labels.next_pair import STRATEGIES, Leads, draw_uniformly
from foolsgold.training.active_comparisons import Gathered, Gathering, fit_linear_reward, gather


def world(pairs, features, seed):
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=(pairs, features)), rng.normal(size=features)
    return x, rng.random(pairs) < 1 / (1 + np.exp(-x @ weights)), weights


def negative_log_posterior(w, x, y, deviation):
    return np.logaddexp(0, np.where(y, -1, 1) * (x @ w)).sum() + (w**2).sum() / (2 * deviation**2)


def test_weights_are_the_most_likely_ones():
    x, y, _ = world(60, 4, 0)
    found = optimize.minimize(negative_log_posterior, np.zeros(4), (x, y, 1.5), method="Nelder-Mead", tol=1e-12)
    assert fit_linear_reward(x, y, 1.5).weights == pytest.approx(found.x, abs=1e-4)


def test_spread_is_that_of_the_posterior():
    # One feature: mean and deviation of the posterior by integration on a grid.
    x, y, _ = world(400, 1, 1)
    model = fit_linear_reward(x, y, 2.0)
    grid = np.linspace(-6, 6, 24001)
    log = np.array([-negative_log_posterior(np.array([w]), x, y, 2.0) for w in grid])
    p = np.exp(log - log.max())
    mean = (grid * p).sum() / p.sum()
    assert model.leads(np.array([[2.0]])).variance[0] ** 0.5 == pytest.approx(
        2 * ((grid - mean) ** 2 * p).sum() ** 0.5 / p.sum() ** 0.5, rel=0.03
    )


def test_covariance_is_the_inverse_curvature():
    x, y, _ = world(30, 3, 2)
    model = fit_linear_reward(x, y, 1.0)
    curvature = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            e, f = 1e-4 * np.eye(3)[i], 1e-4 * np.eye(3)[j]
            corners = [
                negative_log_posterior(model.weights + s * e + t * f, x, y, 1.0) for s in (1, -1) for t in (1, -1)
            ]
            curvature[i, j] = (corners[0] - corners[1] - corners[2] + corners[3]) / 4e-8
    np.testing.assert_allclose(model.factor @ model.factor.T @ curvature, np.eye(3), atol=1e-3)


def test_no_comparisons_leave_the_prior():
    model = fit_linear_reward(np.zeros((0, 2)), np.zeros(0), 3.0)
    assert model.weights.tolist() == [0, 0]
    np.testing.assert_allclose(model.factor @ model.factor.T, 9 * np.eye(2))


def test_separable_comparisons_and_a_far_start_converge():
    x = np.array([[1.0], [2.0], [100.0]])
    model = fit_linear_reward(x, np.ones(3), 10.0)
    assert 0 < model.weights[0] < 30
    far = fit_linear_reward(x, np.ones(3), 10.0, start=type(model)(np.array([-500.0]), np.eye(1)))
    assert far.weights == pytest.approx(model.weights, abs=1e-3)


def test_ties_pull_together():
    assert fit_linear_reward(np.ones((5, 1)), np.full(5, 0.5), 1.0).weights == pytest.approx([0], abs=1e-9)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="finite"):
        fit_linear_reward(np.ones((3, 2)), np.ones(2), 1.0)
    with pytest.raises(ValueError, match="finite"):
        fit_linear_reward(np.full((3, 2), np.nan), np.ones(3), 1.0)


def even_leads(model, rows):
    return Leads(np.zeros(len(rows)), np.ones((len(rows), 1)))


def test_rounds_ask_each_pair_once_and_repeat_the_share():
    asked, sizes = [], []

    def ask(rows):
        asked.append(rows)
        return rows % 2 == 0

    plan = Gathering(comparisons=205, batch=8, repeats=0.1)
    gathered = gather(
        300, ask, lambda g: len(g.rows), even_leads, draw_uniformly, plan, 3, lambda n, m: sizes.append((n, m))
    )
    np.testing.assert_array_equal(gathered.rows, np.concatenate(asked))
    np.testing.assert_array_equal(gathered.prefers_a, gathered.rows % 2 == 0)
    counts = np.bincount(gathered.rows, minlength=300)
    assert counts.max() == 2
    assert (counts == 2).sum() == 20
    assert sizes[0] == (8, 8)
    assert sizes[-1] == (205, 205)
    # A pair comes again only after the batch in which it came first.
    for batch in asked:
        assert len(set(batch.tolist())) == len(batch)


def test_the_strategy_chooses_from_what_is_left_after_the_first_batch():
    offered = []

    def strategy(leads, batch, seed):
        offered.append(len(leads))
        return np.arange(batch)

    gather(30, lambda rows: rows > 0, lambda g: None, even_leads, strategy, Gathering(30, 10), 0)
    assert offered == []  # a model of None is no model yet
    gathered = gather(30, lambda rows: rows > 0, lambda g: 1, even_leads, strategy, Gathering(30, 10), 0)
    assert offered == [20, 10]
    assert sorted(gathered.rows) == list(range(30))


def test_too_few_pairs_and_impossible_plans_are_refused():
    with pytest.raises(ValueError, match="cannot be chosen"):
        gather(5, lambda rows: rows > 0, lambda g: 1, even_leads, draw_uniformly, Gathering(10, 10), 0)
    with pytest.raises(ValueError, match="batches"):
        Gathering(10, 0)
    with pytest.raises(ValueError, match="batches"):
        Gathering(10, 1, repeats=1.0)


def test_information_learns_from_fewer_comparisons_than_chance():
    errors: dict[str, list[float]] = {"uniform": [], "information": []}
    for seed in range(6):
        rng = np.random.default_rng([seed, 1])
        x = rng.normal(size=(600, 5)) * rng.lognormal(0, 1, (600, 1))  # most pairs say little, some much
        weights = rng.normal(size=5)

        def ask(rows, x=x, weights=weights, rng=rng):
            return rng.random(len(rows)) < 1 / (1 + np.exp(-x[rows] @ weights))

        def fit(gathered: Gathered, x=x):
            return fit_linear_reward(x[gathered.rows], gathered.prefers_a, 1.0)

        for name in errors:
            gathered = gather(
                600, ask, fit, lambda m, rows, x=x: m.leads(x[rows]), STRATEGIES[name], Gathering(80, 10), seed
            )
            found = fit(gathered).weights
            errors[name].append(1 - found @ weights / np.linalg.norm(found) / np.linalg.norm(weights))
    assert np.mean(errors["information"]) < 0.7 * np.mean(errors["uniform"])
