import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from foolsgold.objectives.aggregation.bradley_terry import bradley_terry
from foolsgold.objectives.aggregation.crowd_bt import crowd_bt
from foolsgold.objectives.aggregation.paired import PairedComparisons


def crowd(seed, reliability, items=30, each=200):
    """Comparisons by raters who say the opposite of what Bradley–Terry says with chance 1 - reliability."""
    rng = np.random.default_rng(seed)
    raters = len(reliability)
    scores = rng.normal(size=items) * 2
    rater = np.repeat(np.arange(raters), each)
    a = rng.integers(0, items, len(rater))
    b = (a + rng.integers(1, items, len(rater))) % items
    preferred = rng.random(len(rater)) < expit(scores[a] - scores[b])
    said = np.where(rng.random(len(rater)) < np.asarray(reliability)[rater], preferred, ~preferred)
    return PairedComparisons(a, b, said.astype(float), rater, tuple(range(items)), tuple(range(raters))), scores


def test_finds_reliabilities_and_ranks_better_than_pooling():
    reliability = [0.95] * 4 + [0.5] * 5 + [0.2] * 2
    ours, pooled = [], []
    for seed in range(5):
        comparisons, scores = crowd(seed, reliability)
        fit = crowd_bt(comparisons)
        assert fit.reliability == pytest.approx(reliability, abs=0.15)
        ours.append(stats.kendalltau(fit.scores, scores)[0])
        pooled.append(stats.kendalltau(bradley_terry(comparisons.pairs, 0.1).scores, scores)[0])
    assert np.mean(ours) > np.mean(pooled) + 0.05
    assert np.mean(ours) > 0.8


def test_the_fit_is_a_fixed_point_of_expectation_maximisation():
    comparisons, _ = crowd(3, [0.9, 0.6, 0.8])
    fit = crowd_bt(comparisons, regularization=0.5, prior=(3.0, 2.0))
    chance = expit(fit.scores[comparisons.a] - fit.scores[comparisons.b])
    as_said = np.where(comparisons.outcome == 1, chance, 1 - chance)
    eta = fit.reliability[comparisons.rater]
    read_right = eta * as_said / (eta * as_said + (1 - eta) * (1 - as_said))
    expected = np.bincount(comparisons.rater, weights=read_right)
    assert fit.reliability == pytest.approx((expected + 2) / (200 + 3), abs=1e-4)
    # Likewise the scores are those of Bradley–Terry on what each comparison would say if read right.
    preferred_a = np.where(comparisons.outcome == 1, read_right, 1 - read_right)
    virtual = 30
    soft = PairedComparisons(
        np.r_[comparisons.a, np.arange(30)],
        np.r_[comparisons.b, np.full(30, virtual)],
        np.r_[preferred_a, np.full(30, 0.5)],
        np.zeros(630, int),
        tuple(range(31)),
        (None,),
    )
    scores = bradley_terry(soft.pairs).scores[:30]
    assert fit.scores == pytest.approx(scores - scores.mean(), abs=1e-3)


def test_of_reliable_raters_it_is_bradley_terry():
    comparisons, _ = crowd(4, [1.0, 1.0], each=1000)
    fit = crowd_bt(comparisons, regularization=1e-3, prior=(1e6, 1.0))
    assert fit.scores == pytest.approx(bradley_terry(comparisons.pairs, 1e-3).scores, abs=0.05)


def test_ties_say_nothing_of_a_rater():
    comparisons = PairedComparisons.of("xyxy", "yxyx", [0.5] * 4, raters="abab")
    fit = crowd_bt(comparisons)
    assert fit.scores == pytest.approx([0, 0], abs=1e-4)
    assert fit.reliability == pytest.approx([0.75, 0.75], abs=1e-3)  # the mode of the prior


def test_wrong_arguments_are_refused():
    comparisons = PairedComparisons.of("x", "y", [1])
    for options in ({"regularization": 0.0}, {"prior": (0.5, 1.0)}):
        with pytest.raises(ValueError, match="regularization above 0 and a prior"):
            crowd_bt(comparisons, **options)
