import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.objectives.aggregation.welfare import (
    aspirations,
    group_means,
    maximin_lottery,
    mean_utility,
    share_satisfied,
    worst_group,
    worst_off,
)

# Nine users want the first candidate, the tenth the second; the third is tolerable to all.
MINORITY = np.array([[1.0, 0.0, 0.6]] * 9 + [[0.0, 1.0, 0.5]])
GROUP = np.array([0] * 9 + [1])


def test_a_minority_of_one_in_ten():
    assert mean_utility(MINORITY) == pytest.approx([0.9, 0.1, 0.59])
    assert group_means(MINORITY, GROUP).tolist() == [[1, 0, pytest.approx(0.6)], [0, 1, 0.5]]
    assert worst_group(MINORITY, GROUP).tolist() == [0, 0, 0.5]
    assert share_satisfied(MINORITY, np.full(10, 0.5)).tolist() == [0.9, 0.1, 1]
    assert worst_off(MINORITY, 0.1) == pytest.approx([0, 0, 0.5])
    assert worst_off(MINORITY, 0.2) == pytest.approx([0.5, 0, 0.55])
    assert worst_off(MINORITY, 1) == pytest.approx(mean_utility(MINORITY))


def test_weights_are_copies():
    weight = np.array([2.0, 1.0, 3.0])
    values, group = np.array([[1.0, 5.0], [2.0, 1.0], [4.0, 0.0]]), np.array([0, 0, 1])
    copies, groups = values[[0, 0, 1, 2, 2, 2]], group[[0, 0, 1, 2, 2, 2]]
    assert mean_utility(values, weight) == pytest.approx(mean_utility(copies))
    assert group_means(values, group, weight) == pytest.approx(group_means(copies, groups))
    assert worst_off(values, 0.4, weight) == pytest.approx(worst_off(copies, 0.4))
    assert share_satisfied(values, np.full(3, 2.0), weight) == pytest.approx(share_satisfied(copies, np.full(6, 2.0)))


def test_the_lottery_does_better_than_any_candidate():
    # Each group wants its own; by turns each has half.
    assert maximin_lottery([[1, 0, 0.4], [0, 1, 0.4]]) == pytest.approx([0.5, 0.5, 0])
    # 3 p = 1 - p: a quarter of the first.
    assert maximin_lottery([[3, 0], [0, 1]]) == pytest.approx([0.25, 0.75])
    assert maximin_lottery([[1, 0, 0.6], [0, 1, 0.6]]) == pytest.approx([0, 0, 1])


@given(st.integers(0, 10_000))
def test_the_lottery_against_a_grid(seed):
    values = np.random.default_rng(seed).normal(size=(3, 2))
    grid = np.linspace(0, 1, 2001)
    best = (values @ np.stack([grid, 1 - grid])).min(0).max()
    assert (values @ maximin_lottery(values)).min() == pytest.approx(best, abs=5e-3)


def test_aspirations_satisfy_as_many_samples_as_asked():
    samples = np.random.default_rng(0).normal(size=(7, 100))
    share = (samples >= aspirations(samples, 0.75)[:, None]).mean(1)
    assert share == pytest.approx(np.full(7, 0.25), abs=0.01)


def test_what_cannot_be_answered_is_refused():
    with pytest.raises(ValueError, match="group 1 has no users"):
        group_means(np.ones((2, 1)), [0, 2])
    with pytest.raises(ValueError, match="share is 0"):
        worst_off(np.ones((2, 1)), 0)
    with pytest.raises(ValueError, match="finite"):
        maximin_lottery([[np.nan, 1.0]])
