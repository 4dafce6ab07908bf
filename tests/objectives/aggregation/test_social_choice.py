import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import optimize

from foolsgold.objectives.aggregation.social_choice import (
    borda,
    condorcet_winner,
    copeland,
    maximal_lottery,
    plurality,
    preference_shares,
    regularized_nash,
)

CYCLE = np.array([[0.5, 0.6, 0.1], [0.4, 0.5, 0.8], [0.9, 0.2, 0.5]])
"""0 beats 1 by 0.2, 1 beats 2 by 0.6, 2 beats 0 by 0.8."""

# Tennessee chooses its capital, as textbooks have it: Memphis, Nashville, Chattanooga, Knoxville.
TENNESSEE = np.array([[3, 2, 1, 0], [0, 3, 2, 1], [0, 1, 3, 2], [0, 1, 2, 3]])
VOTERS = np.array([42, 26, 15, 17])

electorates = st.tuples(st.integers(1, 9), st.integers(1, 6)).flatmap(
    lambda shape: arrays.arrays(np.int64, shape, elements=st.integers(0, 5))
)


def test_tennessee():
    shares = preference_shares(TENNESSEE, VOTERS)
    assert shares[1] == pytest.approx([0.58, 0.5, 0.68, 0.68])
    assert plurality(TENNESSEE, VOTERS) == pytest.approx([0.42, 0.26, 0.15, 0.17])
    assert borda(shares) * 300 == pytest.approx([126, 194, 173, 107])
    assert copeland(shares) * 3 == pytest.approx([0, 3, 2, 1])
    assert condorcet_winner(shares) == 1
    assert maximal_lottery(shares) == pytest.approx([0, 1, 0, 0])


def test_ties_count_half():
    shares = preference_shares([[1, 1, 0], [0, 2, 0]])
    assert shares.tolist() == [[0.5, 0.25, 0.75], [0.75, 0.5, 1], [0.25, 0, 0.5]]
    assert plurality([[1, 1, 0], [0, 2, 0]]).tolist() == [0.25, 0.75, 0]


def test_a_cycle_has_no_winner_and_the_lottery_worked_by_hand():
    # In a cycle each gets the margin of the other two: 1 against 2 is 0.6, 2 against 0 is 0.8, 0 against 1 is 0.2.
    assert condorcet_winner(CYCLE) is None
    assert copeland(CYCLE).tolist() == [0.5, 0.5, 0.5]
    assert maximal_lottery(CYCLE) == pytest.approx(np.array([0.6, 0.8, 0.2]) / 1.6)


def test_equals_get_equal_chances():
    assert maximal_lottery(np.full((4, 4), 0.5)) == pytest.approx([0.25] * 4)
    assert maximal_lottery([[0.5, 0.5, 1], [0.5, 0.5, 1], [0, 0, 0.5]]) == pytest.approx([0.5, 0.5, 0])
    assert maximal_lottery([[0.5]]).tolist() == [1]


@given(electorates)
@settings(deadline=None)
def test_no_candidate_beats_the_maximal_lottery_and_none_is_more_even(utilities):
    shares = preference_shares(utilities)
    margins = shares - shares.T
    chances = maximal_lottery(shares)
    assert chances.sum() == pytest.approx(1)
    assert (chances >= 0).all()
    assert (chances @ margins).min() > -1e-9
    # Lotteries of another solver, at the corners that random directions lead to, are no shorter.
    size = len(margins)
    for cost in np.random.default_rng(0).normal(size=(3, size)):
        other = optimize.linprog(
            cost, A_ub=-margins.T, b_ub=np.zeros(size), A_eq=np.ones((1, size)), b_eq=[1], method="highs-ds"
        ).x
        assert chances @ other >= chances @ chances - 1e-7


@given(electorates)
def test_shares_against_counting(utilities):
    shares = preference_shares(utilities)
    for a in range(utilities.shape[1]):
        for b in range(utilities.shape[1]):
            counted = [(row[a] > row[b]) + (row[a] == row[b]) / 2 for row in utilities]
            assert shares[a, b] == pytest.approx(np.mean(counted))


def test_regularised_nash_is_its_own_best_answer():
    reference = np.array([0.7, 0.2, 0.1])
    for temperature in (5.0, 0.5, 0.05, 0.01):
        p = regularized_nash(CYCLE, reference, temperature)
        answer = reference * np.exp(CYCLE @ p / temperature)
        assert p == pytest.approx(answer / answer.sum(), abs=1e-9)


def test_regularised_nash_goes_from_the_reference_to_the_maximal_lottery():
    reference = np.array([0.7, 0.2, 0.1])
    assert regularized_nash(CYCLE, reference, 1e4) == pytest.approx(reference, abs=1e-4)
    assert regularized_nash(CYCLE, reference, 1e-3) == pytest.approx(maximal_lottery(CYCLE), abs=0.01)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        (np.zeros((2, 3)), r"\[candidates, candidates\]"),
        (np.zeros((2, 2)), "sum to 1"),
        ([[0.5, np.nan], [0.5, 0.5]], "sum to 1"),
    ],
)
def test_what_are_no_shares_is_refused(shares, message):
    with pytest.raises(ValueError, match=message):
        borda(shares)


def test_a_reference_without_a_chance_is_refused():
    with pytest.raises(ValueError, match="every candidate a chance"), np.errstate(divide="ignore"):
        regularized_nash(CYCLE, [1, 0, 0], 1.0)
