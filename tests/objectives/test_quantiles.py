import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.objectives.quantiles import reward_quantiles

scores_with_ties = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=40)


def test_different_scores_are_shared_out_evenly():
    quantiles = reward_quantiles([9, 0, 1, 5, 8, 2, 7, 3, 6, 4], 5)
    assert quantiles.bin_of(range(10)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert quantiles.medians.tolist() == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert quantiles.best == 4


def test_a_run_of_equals_is_not_parted():
    # Wanted cuts after 2, 4 and 6 of eight; the one after 4 would part the 1s and moves to their nearer end, after 5.
    quantiles = reward_quantiles([0, 0, 1, 1, 1, 2, 3, 3], 4)
    assert quantiles.bin_of([0, 1, 2, 3]).tolist() == [0, 1, 2, 3]
    quantiles = reward_quantiles([0, 0, 1, 1, 1, 1, 3, 3], 2)
    assert quantiles.bin_of([0, 1, 3]).tolist() == [0, 1, 1]


def test_rare_success_keeps_a_bin_of_its_own():
    quantiles = reward_quantiles([0] * 95 + [1] * 5, 5)
    assert quantiles.bin_of([0, 1]).tolist() == [0, 1]
    assert quantiles.score_of([0, 1]).tolist() == [0, 1]


def test_all_equal_is_one_bin():
    quantiles = reward_quantiles([3, 3, 3], 5)
    assert quantiles.best == 0
    assert quantiles.bin_of([2, 3, 4]).tolist() == [0, 0, 0]


def test_scores_beyond_training_fall_into_the_end_bins():
    quantiles = reward_quantiles(range(10), 5)
    assert quantiles.bin_of([[-100, math.inf]]).tolist() == [[0, 4]]


@given(scores=scores_with_ties, n_bins=st.integers(1, 9))
def test_bins_are_ordered_none_is_empty_and_medians_lead_back(scores, n_bins):
    quantiles = reward_quantiles(scores, n_bins)
    bins = quantiles.bin_of(scores)
    assert set(bins) == set(range(quantiles.best + 1))
    assert quantiles.best < n_bins
    for first, its_bin in zip(scores, bins, strict=True):
        for second, other_bin in zip(scores, bins, strict=True):
            assert (its_bin < other_bin) <= (first < second), "equal scores share a bin, higher ones are not below"
    for number in set(bins):
        within = [score for score, its_bin in zip(scores, bins, strict=True) if its_bin == number]
        assert quantiles.score_of(number) == np.median(within)


@given(n=st.integers(1, 60), n_bins=st.integers(1, 9))
def test_without_ties_sizes_differ_by_at_most_one(n, n_bins):
    sizes = np.bincount(reward_quantiles(range(n), n_bins).bin_of(range(n)))
    assert len(sizes) == min(n, n_bins)
    assert sizes.max() - sizes.min() <= 1


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="NaN"):
        reward_quantiles([1, math.nan], 2)
    with pytest.raises(ValueError, match="at least one"):
        reward_quantiles([], 2)
    with pytest.raises(ValueError, match="at least one"):
        reward_quantiles([1], 0)
    with pytest.raises(ValueError, match="NaN"):
        reward_quantiles([1, 2], 2).bin_of([math.nan])
