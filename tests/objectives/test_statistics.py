import math

import numpy as np
import pytest
from scipy import stats

from foolsgold.objectives.statistics import (
    bootstrap_interval,
    difference_interval,
    expected_calibration_error,
    mean_interval,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_matches_the_published_table(successes, n, low, high):
    # Newcombe 1998, table I, method 3.
    interval = wilson_interval(successes, n, z=1.959964)
    assert interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [1, 7, 400, 100_003])
def test_wilson_ends_are_exact_at_none_and_all(n):
    assert wilson_interval(0, n).low == 0
    assert wilson_interval(n, n).high == 1
    assert wilson_interval(n, n).low == pytest.approx(1 - wilson_interval(0, n).high)


def test_wilson_takes_half_wins_and_no_trials():
    low, high = wilson_interval(2.5, 5)
    assert low + high == pytest.approx(1)
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(("successes", "n"), [(6, 5), (-1, 5), (math.nan, 5)])
def test_wilson_refuses_impossible_counts(successes, n):
    with pytest.raises(ValueError, match="successes of 5"):
        wilson_interval(successes, n)


def test_mean_interval_by_hand():
    # 1..5: mean 3, standard error sqrt(2.5 / 5) = 0.7071, t(0.975, 4) = 2.776 from the printed table.
    assert mean_interval([1, 2, 3, 4, 5]) == pytest.approx((3 - 1.9629, 3 + 1.9629), abs=5e-4)


def test_mean_interval_needs_two_values():
    with pytest.raises(ValueError, match="two or more"):
        mean_interval([1.0])


def test_bootstrap_of_the_mean_is_near_students_t():
    values = np.random.default_rng(0).normal(10, 2, size=400)
    assert bootstrap_interval(values, np.mean, 2000, seed=1) == pytest.approx(mean_interval(values), abs=0.03)


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(3).exponential(size=100)
    reference = stats.bootstrap((values,), np.median, n_resamples=4000, method="percentile", rng=5).confidence_interval
    assert bootstrap_interval(values, np.median, 4000, seed=5) == pytest.approx(tuple(reference), abs=0.03)


def test_bootstrap_keeps_rows_together():
    # Both columns are equal in every row, so their correlation is 1 in every resample.
    column = np.arange(20.0)
    interval = bootstrap_interval(
        np.stack([column, column], axis=1), lambda rows: float(np.corrcoef(rows.T)[0, 1]), 50, seed=0
    )
    assert interval == pytest.approx((1, 1))


def test_bootstrap_repeats_with_its_seed_and_takes_constants():
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(values, np.mean, 100, seed=4) == bootstrap_interval(values, np.mean, 100, seed=4)
    assert bootstrap_interval([7.0] * 5, np.mean, 100, seed=0) == (7, 7)


def test_calibration_error_by_hand():
    # Two bins. (0, 0.5]: mean prediction 0.3, mean outcome 0.5, 2 rows; (0.5, 1]: 0.8 against 1, 2 rows.
    error = expected_calibration_error([0.2, 0.4, 0.7, 0.9], [0, 1, 1, 1], bins=2)
    assert error == pytest.approx(0.5 * 0.2 + 0.5 * 0.2)


def test_calibration_bins_are_closed_on_the_right():
    # 0.5 falls into the lower of two bins, beside 0: predictions sum to 0.5, outcomes to 0.5.
    assert expected_calibration_error([0.0, 0.5], [0.5, 0.0], bins=2) == pytest.approx(0)
    # 0.5 and 1 fall apart: (0.5 - 1) and (1 - 0.5) no longer cancel.
    assert expected_calibration_error([0.5, 1.0], [1.0, 0.5], bins=2) == pytest.approx(0.5)


def test_calibration_with_soft_labels_and_at_the_ends():
    assert expected_calibration_error([0.25, 0.75], [0.25, 0.75]) == 0
    assert expected_calibration_error([0.0, 1.0], [1, 0]) == 1


def test_calibration_refuses_scores():
    with pytest.raises(ValueError, match="probabilities must lie"):
        expected_calibration_error([1.5], [1])
    with pytest.raises(ValueError, match="1 probabilities for 2 outcomes"):
        expected_calibration_error([0.5], [1, 0])


def test_difference_interval_equals_newcombes_published_example():
    """Newcombe 1998, table II, contrast (a), method 10: 56/70 - 48/80 is 0.2000, interval 0.0524 to 0.3339."""
    low, high = difference_interval(48, 80, 56, 70)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
