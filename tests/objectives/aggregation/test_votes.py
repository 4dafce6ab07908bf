import math

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import MajorityVote
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.objectives.aggregation.votes import (
    Judgements,
    agreement_with_others,
    codes,
    consensus_accuracy,
    majority_vote,
    rater_accuracy,
    vote_shares,
    winners,
)

# Three raters on three items; nobody but ben judged the third.
ROWS = [
    ("anna", "x", "no"),
    ("ben", "x", "yes"),
    ("cleo", "x", "yes"),
    ("anna", "y", "no"),
    ("ben", "y", "yes"),
    ("ben", "z", "no"),
]


def judgements(rows=ROWS, **options):
    return Judgements.of(*zip(*rows, strict=True), **options)


def test_names_become_codes():
    got = judgements()
    assert got.raters == ("anna", "ben", "cleo")
    assert got.items == ("x", "y", "z")
    assert got.classes == ("no", "yes")
    assert got.label.tolist() == [0, 1, 1, 0, 1, 0]
    assert judgements(classes=("yes", "no", "tie")).label.tolist() == [1, 0, 0, 1, 0, 1]


def test_numbers_are_coded_like_other_names():
    index, names = codes(np.array([30, 10, 30, 20, 10]))
    assert (index.tolist(), names) == ([0, 1, 0, 2, 1], (30, 10, 20))
    assert codes(["30", "10", "30", "20", "10"])[0].tolist() == index.tolist()


def test_votes_by_hand():
    counts = judgements().counts()
    assert counts.tolist() == [[1, 2], [1, 1], [1, 0]]
    assert vote_shares(counts)[0] == pytest.approx([1 / 3, 2 / 3])
    assert majority_vote(counts).tolist() == [[0, 1], [0.5, 0.5], [1, 0]]


def test_weighted_votes_by_hand():
    counts = judgements().counts([3.0, 1.0, 1.0])
    assert counts.tolist() == [[3, 2], [3, 1], [1, 0]]


def test_a_drawn_vote_is_half_right():
    got = judgements()
    truth = got.truth({"x": "yes", "y": "no"})
    assert truth.tolist() == [1, 0, -1]
    assert consensus_accuracy(majority_vote(got.counts()), truth) == 0.75
    right, judged = rater_accuracy(got, truth)
    assert right.tolist() == [1, 1, 1]
    assert judged.tolist() == [2, 2, 1]


def test_agreement_with_others_by_hand():
    # anna: 0 of 2 on x, 0 of 1 on y. ben: 1 of 2 on x, 0 of 1 on y, alone on z. cleo: 1 of 2 on x.
    assert agreement_with_others(judgements()).tolist() == [0, 0.25, 0.5]
    assert math.isnan(agreement_with_others(judgements([("anna", "x", 1)]))[0])


def test_equal_but_for_rounding_is_equal():
    assert winners(np.array([0.1 + 0.2, 0.3, 0.1])).tolist() == [0.5, 0.5, 0]
    assert winners(np.zeros(2)).tolist() == [0.5, 0.5]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.sampled_from("abc")), min_size=1, max_size=40))
def test_shares_are_those_of_crowd_kit(rows):
    got = judgements(rows)
    theirs = MajorityVote().fit_predict_proba(pd.DataFrame(rows, columns=["worker", "task", "label"]))
    ours = pd.DataFrame(vote_shares(got.counts()), index=got.items, columns=got.classes)
    assert np.allclose(ours.loc[theirs.index, theirs.columns], theirs)


@pytest.mark.parametrize(
    ("rows", "classes", "message"),
    [
        (([1], [1, 2], ["a"]), None, "1 raters, 2 items and 1 labels"),
        (([], [], []), None, "0 raters"),
        (([1], [1], ["c"]), ("a", "b"), "label 'c' is none of"),
    ],
)
def test_what_is_no_judgement_is_refused(rows, classes, message):
    with pytest.raises(ValueError, match=message):
        Judgements.of(*rows, classes=classes)


def test_truth_must_be_known_and_a_class():
    with pytest.raises(ValueError, match="'maybe' is none"):
        judgements().truth({"x": "maybe"})
    with pytest.raises(ValueError, match="no item has a known truth"):
        consensus_accuracy(np.ones((1, 1)), np.array([-1]))


@pytest.mark.parametrize("weight", [[1.0], [1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [1.0, np.nan, 1.0]])
def test_weights_are_one_each_from_0_up(weight):
    with pytest.raises(ValueError, match="give 3 weights"):
        judgements().counts(weight)
