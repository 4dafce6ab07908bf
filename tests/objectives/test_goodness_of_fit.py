import numpy as np
import pytest
from scipy import stats

from foolsgold.objectives.goodness_of_fit import extrapolation, lack_of_fit
from foolsgold.objectives.overoptimization import BEST_OF_N, REINFORCEMENT_LEARNING, fit_law

LAWS = [BEST_OF_N, REINFORCEMENT_LEARNING]
KL = np.linspace(0, 12, 9)


def curves(law, rng, shape, noise=0.3):
    """`[..., 9]`: gold of units that follow the law, with noise that is larger and more alike at large KL."""
    walk = noise * rng.normal(size=(*shape, len(KL))).cumsum(-1) / 3
    return law.gold(1.0, 0.2, KL) + walk - walk[..., :1]


def test_with_three_points_it_is_a_t_test():
    # d = 1, 2, 3: the law's columns are d and d^2, and (3, -3, 1) is at right angles to both.
    gold = np.random.default_rng(0).normal((0, 1, 0), size=(10, 3))
    expected = stats.ttest_1samp(gold @ [3, -3, 1], 0).pvalue
    assert lack_of_fit(BEST_OF_N, [1, 4, 9], gold).p_value == pytest.approx(expected)
    # A point at the start, where the law is 0 whatever its a and b, has no say.
    assert lack_of_fit(BEST_OF_N, [0, 1, 4, 9], np.insert(gold, 0, 0, axis=1)).p_value == pytest.approx(expected)


def test_many_units_equal_a_regression_on_the_misfits():
    # Hotelling's T^2 is the F test of regressing 1 on the unit's misfits, without intercept.
    gold = curves(BEST_OF_N, np.random.default_rng(0), (30,)) + 0.1 * np.sin(KL)
    misfits = gold[:, 1:] - np.array([fit_law(BEST_OF_N, KL, unit).gold(KL[1:]) for unit in gold])
    # 8 points less 2 unknowns: any 6 of a unit's misfits determine the others.
    _, left, _, _ = np.linalg.lstsq(misfits[:, :6], np.ones(30), rcond=None)
    ratio = ((30 - left[0]) / 6) / (left[0] / (30 - 6))
    assert lack_of_fit(BEST_OF_N, KL, gold).p_value == pytest.approx(stats.f.sf(ratio, 6, 24))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("units", "most"), [(40, 0.065), (8, 0.09)])
def test_a_law_that_is_true_is_rejected_as_often_as_it_says(law, units, most):
    gold = curves(law, np.random.default_rng(units), (1000, units))
    p_values = np.array([lack_of_fit(law, KL, each).p_value for each in gold])
    assert 0.02 <= (p_values < 0.05).mean() <= most


@pytest.mark.parametrize("units", [8, 200])
def test_a_curve_of_another_shape_does_not_fit(units):
    # Gold that stands still and then drops at once.
    drop = np.where(KL > 9, -1.0, 0.0)
    found = lack_of_fit(BEST_OF_N, KL, drop + 0.1 * np.random.default_rng(0).normal(size=(units, 9)))
    assert found.p_value < 0.01
    assert found.r_squared < 0.8
    assert not found.fits


def test_a_small_misfit_that_many_units_resolve_does_not_matter():
    gold = curves(BEST_OF_N, np.random.default_rng(0), (5000,), noise=0.1) + 0.02 * np.sin(3 * KL)
    found = lack_of_fit(BEST_OF_N, KL, gold)
    assert found.p_value < 0.01
    assert found.r_squared > 0.8
    assert found.fits


def test_a_flat_curve_in_noise_speaks_against_no_law():
    found = lack_of_fit(BEST_OF_N, KL, np.random.default_rng(0).normal(size=(40, 9)))
    assert found.r_squared < 0.8
    assert found.noise > 0.3
    assert found.fits


def test_noise_is_what_a_true_law_leaves_unexplained():
    gold = curves(BEST_OF_N, np.random.default_rng(0), (500, 30))
    found = [lack_of_fit(BEST_OF_N, KL, each) for each in gold]
    left = np.mean([1 - each.r_squared for each in found])
    assert np.mean([each.noise for each in found]) == pytest.approx(left, rel=0.1)


def test_without_noise_only_the_law_itself_fits():
    exact = np.tile(BEST_OF_N.gold(1.0, 0.2, KL), (5, 1))
    assert lack_of_fit(BEST_OF_N, KL, exact).p_value == 1
    assert lack_of_fit(BEST_OF_N, KL, exact + np.sin(KL)).p_value < 1e-9


@pytest.mark.parametrize(
    ("kl", "gold", "message"),
    [
        ([0, 1, 4], np.zeros((5, 3)), "three or more"),
        ([0, 4, 4], np.zeros((5, 3)), "two unknowns"),
        ([1, 4, 9], np.zeros((5, 4)), "units, points"),
        ([1, 4, 9], np.zeros((1, 3)), "two or more"),
        ([1, 4, 9], np.full((5, 3), np.nan), "finite"),
    ],
)
def test_lack_of_fit_says_what_is_wrong(kl, gold, message):
    with pytest.raises(ValueError, match=message):
        lack_of_fit(BEST_OF_N, kl, gold)


def test_extrapolation_worked_by_hand():
    # d = 0, 1, 2, 4: up to d = 2 both units follow d (a - b d) with (2, 0.5) and (3, 0.5), which at d = 4 give 0 and 4.
    gold = [[0, 1.5, 2, 1], [0, 2.5, 4, 4]]
    found = extrapolation(BEST_OF_N, [0, 1, 4, 16], gold)
    assert found.fitted_kl == 4
    assert found.kl.tolist() == [16]
    assert found.predicted == pytest.approx([2])
    assert found.measured == pytest.approx([2.5])
    # Errors -1 and 0: mean -0.5, standard error 0.5, and t with one degree of freedom is 12.706.
    assert found.error == pytest.approx(-0.5)
    assert found.error_interval == pytest.approx((-0.5 - 6.353, -0.5 + 6.353), abs=1e-3)
    assert found.holds


@pytest.mark.parametrize("law", LAWS)
def test_extrapolation_of_a_true_law_holds_as_often_as_it_says(law):
    gold = curves(law, np.random.default_rng(0), (1000, 12))
    assert 0.93 <= np.mean([extrapolation(law, KL, each).holds for each in gold]) <= 0.97


@pytest.mark.parametrize("law", LAWS)
def test_extrapolation_past_a_break_does_not_hold(law):
    gold = curves(law, np.random.default_rng(0), (40,)) - np.where(KL > 8, 2.0, 0)
    found = extrapolation(law, KL, gold)
    assert not found.holds
    assert found.error == pytest.approx(2, abs=0.5)


def test_extrapolation_needs_points_to_begin_with():
    with pytest.raises(ValueError, match="two unknowns"):
        extrapolation(BEST_OF_N, [0, 1, 9, 16], np.zeros((3, 4)))
