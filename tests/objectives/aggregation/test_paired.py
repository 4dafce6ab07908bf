import numpy as np
import pytest

from foolsgold.objectives.aggregation.paired import PairedComparisons


def test_pairs_add_up_whichever_side_an_item_was_on():
    comparisons = PairedComparisons.of(
        ["x", "y", "x", "y"], ["y", "x", "y", "z"], [1, 0, 0.5, 1], raters=["anna", "anna", "ben", "ben"]
    )
    pairs = comparisons.pairs
    assert comparisons.items == ("x", "y", "z")
    assert comparisons.rater.tolist() == [0, 0, 1, 1]
    assert (pairs.a.tolist(), pairs.b.tolist()) == ([0, 1], [1, 2])
    assert pairs.wins.tolist() == [2.5, 1]
    assert pairs.n.tolist() == [3, 1]
    assert pairs.shares() == pytest.approx(np.array([[0.5, 5 / 6, 0.5], [1 / 6, 0.5, 1], [0.5, 0, 0.5]]))
    assert pairs.beats().toarray().tolist() == [[0, 2.5, 0], [0.5, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("a", "b", "outcome", "message"),
    [
        ([], [], [], "one entry a comparison"),
        ([1, 2], [2, 3], [1], "one entry a comparison"),
        ([1], [1], [1], "compared with itself"),
        ([1], [2], [2], "from 0"),
        ([1], [2], [np.nan], "from 0"),
    ],
)
def test_what_is_no_comparison_is_refused(a, b, outcome, message):
    with pytest.raises(ValueError, match=message):
        PairedComparisons.of(a, b, outcome)
