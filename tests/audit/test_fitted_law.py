import numpy as np
import pytest
from audit_worlds import run, turning

from foolsgold.audit.fitted_law import FittedLaw, fit_law_of
from foolsgold.audit.gold_curve import GoldCurve, curve_of_best, curve_of_run
from foolsgold.audit.verdict import shown
from foolsgold.objectives.overoptimization import BEST_OF_N, REINFORCEMENT_LEARNING

KL = np.linspace(0, 5, 11) ** 2
"""d = 0, 0.5, … 5."""


def law(a, b):
    d = np.sqrt(KL)
    return d * (a - b * np.log(np.maximum(d, 1e-9)))


def test_the_peak_of_rl_that_is_known():
    found = fit_law_of(curve_of_run(run(law(1.0, 0.5), KL).run))  # d* = exp(a / b - 1) = e
    assert isinstance(found, FittedLaw)
    assert found.fits
    assert found.peak.low < np.e**2 < found.peak.high < 9
    assert found.left_out == 0
    assert found.forecast.holds
    assert found.peak_figure.note == "the law's peak lies within"


def test_gold_on_its_floor_is_left_out():
    gold = np.maximum(law(0.2, 0.5), -0.8)
    found = fit_law_of(curve_of_run(run(gold, KL, prompts=100, noise=0.01).run))
    assert found.left_out > 3
    assert found.fits
    assert found.fit.b == pytest.approx(0.5, abs=0.1)


def test_a_curve_that_is_no_law_is_seen():
    gold = np.where(np.arange(11) % 2, 0.5, -0.5) * (np.arange(11) > 0)
    found = fit_law_of(curve_of_run(run(gold, KL).run))
    assert not found.fits
    assert [figure.name for figure in found.figures] == ["R²"]
    assert found.figures[0].note.startswith("the law does not fit: R² ")


def test_the_law_of_best_of_n_does_not_fit_a_proxy_that_breaks_late():
    found = fit_law_of(curve_of_best(turning(prompts=2000)))
    assert found.misfit.p_value < 0.01


def points(kl, gold, law=REINFORCEMENT_LEARNING, error=None):
    gold = np.asarray(gold, float)
    at = np.arange(gold.shape[1])
    return GoldCurve(law, at, np.asarray(kl, float), gold, gold, None if error is None else np.full(len(at), error))


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        (points([0, 1, 2, 3], [[0, 1, 2, 3]]), "one prompt"),
        (points([2, 3, 4, 5], np.eye(4)), "the first point lies 2 nats"),
        (points([0, 1, 1, 2], np.eye(4)), "it takes points at 3 different KL above 0, and there are 2"),
        (points([0, 1, 2, 3], np.ones((3, 4)), BEST_OF_N), "gold never changes"),
    ],
)
def test_why_no_law_is_fitted(curve, said):
    assert fit_law_of(curve).startswith(said)


def test_a_start_within_its_error_of_0_is_the_start():
    gold = np.random.default_rng(0).normal(size=(9, 5))
    assert isinstance(fit_law_of(points([0.1, 1, 2, 3, 4], gold, error=0.06)), FittedLaw)
    assert isinstance(fit_law_of(points([-0.1, 1, 2, 3, 4], gold)), FittedLaw)
    assert isinstance(fit_law_of(points([0.1, 1, 2, 3, 4], gold, error=0.01)), str)


def test_a_peak_far_beyond_everything_is_none():
    kl = np.array([0, 1, 2, 3, 4.0])
    gold = np.sqrt(kl) * (1 - 1e-3 * np.log(np.maximum(np.sqrt(kl), 1e-9)))  # d* = e^999
    noise = 1e-6 * np.random.default_rng(0).normal(size=(20, 5)) * (kl > 0)
    figure = fit_law_of(points(kl, gold + noise)).peak_figure
    assert (figure.value, figure.low, figure.high) == (np.inf, None, None)
    assert "nats" in str(shown(figure))


def test_a_law_that_falls_from_the_start_is_not_said_to_rise_for_ever():
    gold = law(-0.05, -0.01)  # turns up at d = e^4, far beyond the 5 that are measured
    found = fit_law_of(points(KL, gold + 1e-4 * np.random.default_rng(0).normal(size=(40, len(KL))) * (KL > 0)))
    assert found.fits
    assert (found.peak_figure.value, found.peak_figure.low) == (0.0, None)
    assert "falls from the start" in found.peak_figure.note
