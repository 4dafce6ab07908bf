import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from foolsgold.objectives.aggregation.distributional import MeanAndSpread, mean_and_spread, mean_and_spread_loss
from foolsgold.objectives.aggregation.paired import PairedComparisons, Pairs


def everything(mean, spread, n):
    """Exact shares of all pairs, as if each were compared n times."""
    a, b = np.triu_indices(len(mean), 1)
    chance = stats.norm.cdf((mean[a] - mean[b]) / np.sqrt(spread[a] ** 2 + spread[b] ** 2))
    return Pairs(a, b, n * chance, np.full(len(a), float(n)), len(mean))


def test_probabilities_and_quantiles_by_hand():
    got = MeanAndSpread(np.array([5.0, 0.0]), np.array([3.0, 4.0]))
    assert got.probability(0, 1) == pytest.approx(stats.norm.cdf(1))
    assert got.lower_quantile(0.1587) == pytest.approx([2, -4], abs=1e-3)
    assert got.explained == pytest.approx(6.25 / (6.25 + 12.5))


def test_recovers_means_and_spreads_up_to_their_unit():
    rng = np.random.default_rng(0)
    mean, spread = rng.normal(size=12) * 1.5, rng.uniform(0.3, 2, 12)
    fit = mean_and_spread(everything(mean, spread, 100_000), precision=0.01)
    unit = np.exp(np.log(fit.spread).mean() - np.log(spread).mean())
    assert fit.spread / unit == pytest.approx(spread, rel=0.03)
    assert fit.mean / unit == pytest.approx(mean - mean.mean(), abs=0.03)


def test_tells_what_divides_users_from_what_they_agree_on():
    # Half the users gain 2 by item 0 and half lose 2; item 1 is worth 0 to all: the same mean. The others are a scale.
    rng = np.random.default_rng(1)
    users, comparisons = 2000, 60_000
    taste = rng.choice([-1, 1], users)
    worth = np.stack([2 * taste, np.zeros(users), *(np.full(users, m) for m in (-2, -1, 1, 2))], 1)
    who, a = rng.integers(0, users, comparisons), rng.integers(0, 6, comparisons)
    b = (a + rng.integers(1, 6, comparisons)) % 6
    lead = worth[who, a] - worth[who, b] + 0.5 * rng.normal(size=comparisons)
    fit = mean_and_spread(PairedComparisons.of(a, b, (lead > 0).astype(float)).pairs)
    name = list(dict.fromkeys(np.r_[a, b].tolist()))
    spread = {item: fit.spread[k] for k, item in enumerate(name)}
    quantile = {item: fit.lower_quantile(0.1)[k] for k, item in enumerate(name)}
    assert spread[0] > 2 * spread[1]
    assert quantile[0] < quantile[1]


def test_the_fit_against_a_general_optimiser():
    rng = np.random.default_rng(2)
    a, b = np.triu_indices(4, 1)
    pairs = Pairs(a, b, rng.integers(0, 11, 6).astype(float), np.full(6, 10.0), 4)

    def loss(x):
        chance = stats.norm.cdf((x[a] - x[b]) / np.sqrt(np.exp(2 * x[4 + a]) + np.exp(2 * x[4 + b])))
        return 0.25 * x @ x - pairs.wins @ np.log(chance) - (pairs.n - pairs.wins) @ np.log(1 - chance)

    theirs = optimize.minimize(loss, np.zeros(8), tol=1e-9).x
    fit = mean_and_spread(pairs, 0.5)
    assert fit.mean == pytest.approx(theirs[:4] - theirs[:4].mean(), abs=1e-3)
    assert fit.spread == pytest.approx(np.exp(theirs[4:]), abs=1e-3)


def test_the_loss_of_a_network_by_hand():
    mean_a, mean_b = torch.tensor([5.0, 0.0, 1.0]), torch.tensor([0.0, 0.0, 1.0])
    spread_a, spread_b = torch.tensor([3.0, 1.0, 2.0]), torch.tensor([4.0, 1.0, 0.1])
    got = mean_and_spread_loss(mean_a, spread_a, mean_b, spread_b, torch.tensor([1.0, 0.5, 0.0]))
    assert got.item() == pytest.approx((-math.log(stats.norm.cdf(1)) + 2 * math.log(2)) / 3, rel=1e-5)


def test_the_loss_far_out_is_finite_and_has_a_slope():
    mean = torch.tensor([-40.0], requires_grad=True)
    one = torch.ones(1)
    loss = mean_and_spread_loss(mean, one, torch.zeros(1), one, one)
    loss.backward()
    assert loss.item() == pytest.approx(-stats.norm.logcdf(-40 / math.sqrt(2)), rel=1e-4)
    assert mean.grad is not None
    assert mean.grad.item() < 0


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="precision is 0"):
        mean_and_spread(everything(np.zeros(2), np.ones(2), 1), 0)
    with pytest.raises(ValueError, match="share is 1"):
        MeanAndSpread(np.zeros(1), np.ones(1)).lower_quantile(1)
