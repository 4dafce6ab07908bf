import numpy as np
import pytest

from foolsgold.objectives.multiplicity import holm, set_of_best


def test_holm_worked_by_hand():
    # 0.01 * 4, 0.02 * 3, then 0.03 * 2 and 0.04 are raised to the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert holm([]).tolist() == []


def test_a_clear_winner_stands_alone():
    values = np.random.default_rng(0).normal([0, 0, 3, 0], size=(50, 4))
    assert set_of_best(values).tolist() == [False, False, True, False]


def test_prompts_in_common_do_not_blur_the_lead():
    rng = np.random.default_rng(0)
    values = 100 * rng.normal(size=(50, 1)) + rng.normal(size=(50, 3)) + [0, 0, 2]
    assert set_of_best(values).tolist() == [False, False, True]


def test_a_lead_that_never_varies_is_certain():
    assert set_of_best([[1.0, 2.0, 2.0], [3.0, 4.0, 4.0]]).tolist() == [False, True, True]


def test_one_unit_tells_nothing():
    assert set_of_best([[1.0, 9.0]]).tolist() == [True, True]


def test_the_best_is_inside_as_often_as_said():
    rng = np.random.default_rng(1)
    means = np.array([0.0, 0.2, 0.3, 0.3001, 0.25, 0.0])
    inside = sum(set_of_best(rng.normal(size=(12, 6)) + means, seed, draws=500)[3] for seed in range(400))
    assert inside / 400 >= 0.93
