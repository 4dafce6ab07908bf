import math

import numpy as np
import pytest
from scipy.optimize import curve_fit, minimize_scalar

from foolsgold.objectives.overoptimization import BEST_OF_N, REINFORCEMENT_LEARNING, fit_law, resample_fits

LAWS = [BEST_OF_N, REINFORCEMENT_LEARNING]


def formula(law, d, a, b):
    """The laws as the paper prints them."""
    return d * (a - b * d) if law is BEST_OF_N else d * (a - b * np.log(d))


def test_gold_worked_by_hand():
    # d = 2 at 4 nats: 2 (3 - 0.5 * 2) = 4; d = e at e^2 nats: e (3 - 0.5).
    assert BEST_OF_N.gold(3, 0.5, 4) == pytest.approx(4)
    assert REINFORCEMENT_LEARNING.gold(3, 0.5, math.e**2) == pytest.approx(2.5 * math.e)
    assert BEST_OF_N.gold(3, 0.5, 0) == REINFORCEMENT_LEARNING.gold(3, 0.5, 0) == 0


def test_peaks_worked_by_hand():
    # d* = a / 2b = 3, gold a^2 / 4b = 4.5; d* = exp(a/b - 1) = e^2, gold b d*.
    kl, gold = BEST_OF_N.peak(3, 0.5)
    assert (kl, gold) == (9, 4.5)
    kl, gold = REINFORCEMENT_LEARNING.peak(3, 1)
    assert kl == pytest.approx(math.e**4)
    assert gold == pytest.approx(math.e**2)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("a", "b"), [(1.0, 0.7), (2.0, 1.0), (0.3, 0.2)])
def test_peak_is_where_a_search_finds_it(law, a, b):
    kl, gold = law.peak(a, b)
    found = minimize_scalar(lambda d: -formula(law, d, a, b), bounds=(1e-6, 30), options={"xatol": 1e-9})
    assert math.sqrt(kl) == pytest.approx(found.x, rel=1e-4)
    assert gold == pytest.approx(-found.fun)


@pytest.mark.parametrize("law", LAWS)
def test_a_law_that_never_turns_has_no_peak(law):
    kl, gold = law.peak([1.0, 1.0, 0.0, -1.0], [-0.1, 0.0, 0.0, 0.0])
    assert kl.tolist() == gold.tolist() == [math.inf, math.inf, 0, 0]


def test_gold_that_only_falls_peaks_at_the_start():
    assert [float(x) for x in BEST_OF_N.peak(-1, 0.5)] == [0, 0]


def test_a_peak_too_far_to_write_down_is_infinite():
    assert [float(x) for x in REINFORCEMENT_LEARNING.peak(1, 1e-4)] == [math.inf, math.inf]


@pytest.mark.parametrize("law", LAWS)
def test_fit_recovers_the_law_it_is_given(law):
    kl = np.linspace(0.1, 20, 30)
    fit = fit_law(law, kl, formula(law, np.sqrt(kl), 1.3, 0.25))
    assert (fit.a, fit.b, fit.r_squared) == pytest.approx((1.3, 0.25, 1))
    assert (fit.peak_kl, fit.peak_gold) == pytest.approx([float(x) for x in law.peak(1.3, 0.25)])
    assert fit.gold([4.0]) == pytest.approx([formula(law, 2.0, 1.3, 0.25)])


@pytest.mark.parametrize("law", LAWS)
def test_fit_equals_an_iterative_one(law):
    rng = np.random.default_rng(0)
    kl = rng.uniform(0.1, 20, 40)
    sigma = rng.uniform(0.1, 1, 40)
    gold = formula(law, np.sqrt(kl), 1.3, 0.25) + sigma * rng.normal(size=40)
    fit = fit_law(law, kl, gold, weight=1 / sigma**2)
    (a, b), _ = curve_fit(lambda d, a, b: formula(law, d, a, b), np.sqrt(kl), gold, p0=(0, 0), sigma=sigma)
    assert (fit.a, fit.b) == pytest.approx((a, b), rel=1e-5)


def test_r_squared_worked_by_hand():
    # d = 1, 1, 2, 2 and gold 0, 2, 1, 3: the law meets the means 1 and 2; left over 4, about the mean 1.5 there is 5.
    fit = fit_law(BEST_OF_N, [1, 1, 4, 4], [0, 2, 1, 3])
    assert fit.gold([1, 4]) == pytest.approx([1, 2])
    assert fit.r_squared == pytest.approx(0.2)


def test_a_point_at_the_start_and_one_of_weight_0_change_nothing():
    kl, gold = [1, 4, 9], [1.0, 1.5, 1.2]
    fit = fit_law(REINFORCEMENT_LEARNING, kl, gold)
    more = fit_law(REINFORCEMENT_LEARNING, [0, *kl, 16], [0, *gold, 99], weight=[1, 1, 1, 1, 0])
    assert (more.a, more.b) == pytest.approx((fit.a, fit.b))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kl", [[4, 4, 4], [0, 4, 4], [0, 0, 0]])
def test_fit_says_when_points_do_not_determine_it(law, kl):
    with pytest.raises(ValueError, match="two unknowns"):
        fit_law(law, kl, [0, 1, 2])


@pytest.mark.parametrize(("kl", "gold"), [([-0.1, 1], [0, 1]), ([math.nan, 1], [0, 1]), ([1, 4], [0, math.nan])])
def test_fit_says_what_is_no_point(kl, gold):
    with pytest.raises(ValueError, match="must be 0 or more"):
        fit_law(BEST_OF_N, kl, gold)


def units(law, a, b, rng, n_units=12, noise=0.3):
    kl = np.linspace(0.2, 12, 15)
    shift = noise * rng.normal(size=(n_units, 1)) * np.sqrt(kl)  # errors of a unit hang together
    return kl, formula(law, np.sqrt(kl), a, b) + shift + 0.1 * rng.normal(size=(n_units, 15))


def test_resamples_equal_refits_of_resampled_units():
    kl, gold = units(BEST_OF_N, 1, 0.2, np.random.default_rng(0))
    fits = resample_fits(BEST_OF_N, kl, gold, n_resamples=5, seed=3)
    drawn = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), size=5)
    for counts, a, b in zip(drawn, fits.a, fits.b, strict=True):
        fit = fit_law(BEST_OF_N, kl, np.repeat(gold, counts, axis=0))
        assert (a, b) == pytest.approx((fit.a, fit.b))


@pytest.mark.parametrize("law", LAWS)
def test_intervals_cover_the_truth_about_as_often_as_they_say(law):
    rng = np.random.default_rng(1)
    a, b = 1.0, 0.3
    peak_kl, peak_gold = (float(x) for x in law.peak(a, b))
    hits = np.zeros(4)
    for trial in range(200):
        kl, gold = units(law, a, b, rng, n_units=40)
        fits = resample_fits(law, kl, gold, n_resamples=300, seed=trial)
        pairs = [(fits.a_interval, a), (fits.b_interval, b), (fits.peak_kl, peak_kl), (fits.peak_gold, peak_gold)]
        hits += [low <= truth <= high for (low, high), truth in pairs]
    assert (hits / 200 > 0.88).all(), hits / 200
    assert (hits / 200 <= 1).all()


def test_the_band_holds_the_curve():
    kl, gold = units(BEST_OF_N, 1, 0.2, np.random.default_rng(0))
    low, high = resample_fits(BEST_OF_N, kl, gold).gold(kl)
    middle = fit_law(BEST_OF_N, kl, gold).gold(kl)
    assert (low < middle).all()
    assert (middle < high).all()


def test_where_a_turn_is_in_doubt_the_peak_reaches_to_infinity():
    kl, gold = units(BEST_OF_N, 1, 0.0, np.random.default_rng(0))
    fits = resample_fits(BEST_OF_N, kl, gold)
    assert fits.peak_kl.low < fits.peak_kl.high == math.inf
    assert fits.peak_gold.high == math.inf
    assert 0.02 < fits.share_with_peak < 0.98


def test_a_single_curve_goes_in_point_by_point():
    rng = np.random.default_rng(0)
    kl = np.linspace(0.2, 12, 20)
    gold = formula(BEST_OF_N, np.sqrt(kl), 1, 0.2) + 0.05 * rng.normal(size=20)
    low, high = resample_fits(BEST_OF_N, kl[:, None], gold[:, None]).peak_kl
    assert low < 6.25 < high  # (1 / 0.4)^2
    with pytest.raises(ValueError, match="two units"):
        resample_fits(BEST_OF_N, kl, gold)
