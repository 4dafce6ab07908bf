import math

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import BradleyTerry as CrowdKit
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import expit

from foolsgold.objectives.aggregation.bradley_terry import bradley_terry
from foolsgold.objectives.aggregation.paired import PairedComparisons, Pairs
from foolsgold.objectives.aggregation.social_choice import borda, preference_shares


def tournament(seed, items=8, games=600):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=items)
    a = rng.integers(0, items, games)
    b = (a + rng.integers(1, items, games)) % items
    won = rng.random(games) < expit(scores[a] - scores[b])
    return PairedComparisons(a, b, won.astype(float), np.zeros(games, int), tuple(range(items)), (None,)), scores


def test_three_to_one_is_ln_3():
    fit = bradley_terry(PairedComparisons.of("xxxx", "yyyy", [1, 1, 1, 0]).pairs)
    assert fit.scores == pytest.approx([math.log(3) / 2, -math.log(3) / 2])
    assert fit.probability(0, 1) == pytest.approx(0.75)
    # The information on the lead is n p (1 - p) = 0.75.
    low, high = fit.lead_interval(0, 1)
    assert (high - low) / 2 == pytest.approx(1.959964 / math.sqrt(0.75), rel=1e-5)
    assert fit.errors() == pytest.approx([0.5 / math.sqrt(0.75)] * 2)


def test_ties_are_half_wins():
    fit = bradley_terry(PairedComparisons.of("xx", "yy", [1, 0.5]).pairs)
    assert fit.probability(0, 1) == pytest.approx(0.75)


def test_agrees_with_crowd_kit():
    comparisons, _ = tournament(0)
    frame = pd.DataFrame({"left": comparisons.a, "right": comparisons.b})
    frame["label"] = np.where(comparisons.outcome == 1, frame.left, frame.right)
    theirs = np.log(CrowdKit(n_iter=20_000, tol=-1).fit_predict(frame).sort_index().to_numpy())
    assert bradley_terry(comparisons.pairs).scores == pytest.approx(theirs - theirs.mean(), abs=1e-6)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_with_a_prior_against_a_general_optimiser(seed):
    comparisons, _ = tournament(seed, items=5, games=12)
    pairs = comparisons.pairs

    def loss(scores):
        lead = scores[pairs.a] - scores[pairs.b]
        each = pairs.wins * np.log(expit(lead)) + (pairs.n - pairs.wins) * np.log(expit(-lead))
        return 0.15 * (scores**2).sum() - each.sum()

    theirs = optimize.minimize(loss, np.zeros(pairs.items), tol=1e-10).x
    assert bradley_terry(pairs, 0.3).scores == pytest.approx(theirs, abs=1e-4)


def test_errors_are_those_of_the_dense_inverse():
    pairs = tournament(1)[0].pairs
    for precision in (0.0, 0.4):
        fit = bradley_terry(pairs, precision)
        centring = np.eye(8) - 1 / 8
        covariance = centring @ np.linalg.pinv(fit.information.toarray()) @ centring
        assert fit.errors() == pytest.approx(np.sqrt(np.diag(covariance)))
        contrast = np.eye(8)[2] - np.eye(8)[5]
        low, high = fit.lead_interval(2, 5)
        assert high - low == pytest.approx(2 * 1.959964 * math.sqrt(contrast @ covariance @ contrast), rel=1e-5)


def test_intervals_cover():
    held = []
    for seed in range(200):
        comparisons, scores = tournament(seed, items=5, games=300)
        low, high = bradley_terry(comparisons.pairs).lead_interval(0, 3)
        held.append(low <= scores[0] - scores[3] <= high)
    assert 0.91 <= np.mean(held) <= 0.99


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_the_order_of_a_pooled_fit_is_that_of_borda(seed):
    shares = preference_shares(np.random.default_rng(seed).normal(size=(25, 5)))
    low, high = np.triu_indices(5, 1)
    fit = bradley_terry(Pairs(low, high, 25 * shares[low, high], np.full(10, 25.0), 5), 1e-6)
    lead = np.subtract.outer(fit.scores, fit.scores)
    points = np.subtract.outer(borda(shares), borda(shares))
    assert (np.sign(lead)[np.abs(points) > 1e-9] == np.sign(points)[np.abs(points) > 1e-9]).all()


def test_scores_without_a_finite_maximum_are_refused():
    never_lost = PairedComparisons.of("xxy", "yzz", [1, 1, 0.5]).pairs
    with pytest.raises(ValueError, match="fall into 2 parts"):
        bradley_terry(never_lost)
    scores = bradley_terry(never_lost, 0.1).scores
    assert scores[0] > scores[1] == pytest.approx(scores[2])
    with pytest.raises(ValueError, match="precision is -1"):
        bradley_terry(never_lost, -1)


def test_a_chain_of_a_thousand_items():
    # Neighbours only, each beaten by the one before with odds 2 : 1: leads add up along the chain.
    first = np.arange(999)
    pairs = Pairs(first, first + 1, np.full(999, 2.0), np.full(999, 3.0), 1000)
    scores = bradley_terry(pairs).scores
    assert -np.diff(scores) == pytest.approx(np.full(999, math.log(2)), abs=1e-6)
