import math

import numpy as np
import pytest
from scipy import stats

from foolsgold.objectives.agreement import (
    Estimate,
    centred,
    concordant_pairs,
    correlation,
    mid_ranks,
    ratio,
    without,
)

NAN = math.nan


def test_pairs_worked_by_hand():
    # Gold 1 < 2 < 3; the proxy swaps the last two: 2 of 3 pairs alike. Second prompt: equal gold makes no pair, and
    # a proxy that cannot tell the one pair left gets half of it.
    proxy = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])
    gold = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    alike, pairs = concordant_pairs(proxy, gold, np.ones((2, 3)))
    assert alike.tolist() == [2, 1]
    assert pairs.tolist() == [3, 2]


def test_pairs_weigh_what_their_samples_do_and_leave_out_the_unlabelled():
    gold = np.array([[1.0, 2.0, NAN, 3.0]])
    alike, pairs = concordant_pairs(np.array([[1.0, 2.0, 9.0, 0.0]]), gold, np.array([[2.0, 1.0, 0.0, 3.0]]))
    # Pairs (1, 2): 2 alike; (1, 3): 6 and (2, 3): 3 the other way round.
    assert (alike[0], pairs[0]) == (2, 11)


def test_pairwise_accuracy_is_kendalls_tau():
    rng = np.random.default_rng(0)
    proxy, gold = rng.normal(size=(2, 1, 60))
    found = ratio(*concordant_pairs(proxy, gold, np.ones((1, 60))))
    assert found.value == pytest.approx((1 + stats.kendalltau(proxy[0], gold[0]).statistic) / 2)


def test_ratio_worked_by_hand():
    # 3 of 6; residuals 1 - 0.5 * 2 = 0, 2 - 0.5 * 2 = 1, 0 - 1 = -1, so the error is sqrt(3 / 2 * 2) / 6; the prompt
    # without a pair does not count.
    found = ratio(np.array([1.0, 2, 0, 0]), np.array([2.0, 2, 2, 0]))
    assert found == pytest.approx(Estimate(0.5, math.sqrt(3) / 6, 3))


def test_ratio_of_nothing_is_not_a_number():
    found = ratio(np.zeros(3), np.zeros(3))
    assert math.isnan(found.value)
    assert found.p_value == 1


def test_correlation_equals_scipys_over_all_samples():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 40, 1))
    weight = np.ones((40, 1))
    found = correlation(centred(x, weight, within=False), centred(y, weight, within=False), weight)
    assert found.value == pytest.approx(stats.pearsonr(x[:, 0], y[:, 0]).statistic)


@pytest.mark.parametrize("truth", [0.0, 0.6])
def test_intervals_cover_the_truth_as_often_as_they_say(truth):
    rng = np.random.default_rng(2)
    weight = np.ones((30, 8))
    covered = 0
    for _ in range(400):
        x = rng.normal(size=(30, 8))
        y = truth * x + math.sqrt(1 - truth**2) * rng.normal(size=(30, 8))
        low, high = correlation(centred(x, weight), centred(y, weight), weight).correlation_interval()
        covered += low <= truth <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_share_interval_knows_that_no_miss_is_no_proof():
    low, high = Estimate(1.0, 0.0, 20).share_interval()
    assert 0.75 < low < 0.9
    assert high == 1


def test_one_prompt_has_no_interval():
    found = correlation(np.array([[1.0, -1.0]]), np.array([[2.0, -2.0]]), np.ones((1, 2)))
    assert found.value == pytest.approx(1)
    assert math.isnan(found.correlation_interval().low)
    assert found.p_value == 1


def test_what_is_left_after_regression_is_scipys_partial_correlation():
    rng = np.random.default_rng(3)
    z = rng.normal(size=(50, 1))
    x, y = z + rng.normal(size=(50, 1)), z + rng.normal(size=(50, 1))
    weight = np.ones((50, 1))
    x, y, z = (centred(each, weight, within=False) for each in (x, y, z))
    found = correlation(without(x, [z], weight), without(y, [z], weight), weight)
    r = np.corrcoef(np.stack([x, y, z])[..., 0])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / math.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert found.value == pytest.approx(expected)


def test_without_what_is_the_same_twice_and_constant():
    x, weight = np.array([[1.0, -1.0, 2.0, -2.0]]), np.ones((1, 4))
    assert without(x, [2 * x, x, 0 * x], weight).tolist() == [[0, 0, 0, 0]]


def test_centred_leaves_no_rounding_of_a_constant():
    assert not centred(np.full((3, 7), 0.1), np.ones((3, 7))).any()


def test_mid_ranks_worked_by_hand():
    ranks = mid_ranks(np.array([5.0, 1.0, 5.0, NAN]), np.array([1.0, 2.0, 1.0, 0.0]))
    assert ranks[:3].tolist() == [0.75, 0.25, 0.75]
    assert math.isnan(ranks[3])
