import math

import numpy as np
import pytest
from scipy import stats

from foolsgold.objectives.overoptimization import BEST_OF_N, REINFORCEMENT_LEARNING, fit_law
from foolsgold.objectives.peak import peak_interval

LAWS = [BEST_OF_N, REINFORCEMENT_LEARNING]
KL = np.linspace(0.2, 12, 15)


def curves(law, a, b, rng, shape, noise=0.3):
    """`[..., 15]`: gold of units at `KL`; errors of a unit hang together and grow with KL."""
    shift = noise * rng.normal(size=(*shape, 1)) * np.sqrt(KL)
    bend = noise / 4 * rng.normal(size=(*shape, 1)) * KL
    return law.gold(a, b, KL) + shift - bend + 0.1 * rng.normal(size=(*shape, len(KL)))


def test_ends_are_where_the_slope_is_just_significant():
    # A t test of the units' own slopes, a - 2 b d, at either end: p is 5 %; and at the peak it is 1.
    gold = curves(BEST_OF_N, 1.0, 0.2, np.random.default_rng(0), (20,))
    found = peak_interval(BEST_OF_N, KL, gold)
    own = [fit_law(BEST_OF_N, KL, unit) for unit in gold]
    for kl, chance in ((found.low, 0.05), (found.high, 0.05), (found.peak, 1.0)):
        slopes = [unit.a - 2 * unit.b * math.sqrt(kl) for unit in own]
        assert stats.ttest_1samp(slopes, 0).pvalue == pytest.approx(chance)
    assert found.low < found.peak < found.high
    assert found.kind == "bounded"


@pytest.mark.parametrize("law", LAWS)
def test_the_peak_is_that_of_the_fit(law):
    gold = curves(law, 1.0, 0.3, np.random.default_rng(0), (12,))
    weight = 1 / (1 + KL)
    assert peak_interval(law, KL, gold, weight).peak == pytest.approx(fit_law(law, KL, gold, weight).peak_kl)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("units", [12, 64])
def test_covers_the_peak_as_often_as_it_says(law, units):
    gold = curves(law, 1.0, 0.3, np.random.default_rng(units), (1000, units))
    truth = law.peak(1.0, 0.3)[0]
    found = [peak_interval(law, KL, each) for each in gold]
    assert 0.93 <= np.mean([each.low <= truth <= each.high for each in found]) <= 0.97


@pytest.mark.parametrize("law", LAWS)
def test_covers_with_a_kl_of_each_unit_too(law):
    rng = np.random.default_rng(0)
    truth, hits = law.peak(1.0, 0.3)[0], 0
    for _ in range(400):
        kl = KL * rng.uniform(0.7, 1.3, size=(40, 1))
        gold = law.gold(1.0, 0.3, kl) + 0.3 * rng.normal(size=(40, 1)) * np.sqrt(kl) + 0.1 * rng.normal(size=kl.shape)
        found = peak_interval(law, kl, gold)
        hits += found.low <= truth <= found.high
    assert 0.91 <= hits / 400 <= 0.98


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("a", "b"), [(1.0, 0.02), (0.05, 0.02), (-0.2, 0.02), (0.5, 0.1)])
def test_misses_no_more_where_the_turn_is_in_doubt(law, a, b):
    gold = curves(law, a, b, np.random.default_rng(0), (500, 12))
    truth = law.peak(a, b)[0]
    found = [peak_interval(law, KL, each) for each in gold]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.93


def test_gold_that_rises_without_a_turn_has_no_upper_end():
    found = peak_interval(BEST_OF_N, KL, curves(BEST_OF_N, 1.0, 0.0, np.random.default_rng(0), (12,)))
    assert 0 < found.low < found.high == math.inf
    assert found.kind == "at least"


def test_gold_that_bends_upwards_never_turns():
    found = peak_interval(BEST_OF_N, KL, curves(BEST_OF_N, 1.0, -0.5, np.random.default_rng(0), (12,)))
    assert found.low == found.high == found.peak == math.inf
    assert found.kind == "never"


@pytest.mark.parametrize("law", LAWS)
def test_noise_alone_is_rarely_taken_for_something(law):
    noise = np.random.default_rng(1).normal(size=(1000, 12, 15))
    kinds = [peak_interval(law, KL, each).kind for each in noise]
    assert kinds.count("unknown") > 920


def test_gold_that_falls_from_the_start_peaks_there():
    for b in (0.0, 0.3):
        found = peak_interval(BEST_OF_N, KL, curves(BEST_OF_N, -1.0, b, np.random.default_rng(0), (12,)))
        assert (found.low, found.high, found.kind) == (0, 0, "bounded")


def test_one_unit_is_not_enough():
    with pytest.raises(ValueError, match="two units"):
        peak_interval(BEST_OF_N, [1, 4, 9], [[1, 2, 1]])
    with pytest.raises(ValueError, match="two unknowns"):
        peak_interval(BEST_OF_N, [0, 4, 4], [[1, 2, 1], [1, 2, 2]])
