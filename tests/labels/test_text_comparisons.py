"""Judgements of texts in the comparison store."""

from datetime import UTC, datetime

import numpy as np
import pytest

from foolsgold.labels.store import open_store
from foolsgold.labels.text_comparisons import as_comparisons

WHEN = datetime(2024, 5, 1, tzinfo=UTC)


def judged(**sources):
    prefers_a, raters = np.array([True, False]), np.array([3, 12])
    return list(as_comparisons(["p", "q"], ["a1", "a2"], ["b1", "b2"], prefers_a, raters, WHEN, **sources))


def test_rows_by_hand():
    first, second = judged(source_a="demonstrations", source_b={"policy": "sft"})
    assert (first.prompt, first.a, first.b, first.preferred, first.rater) == ("p", "a1", "b1", "a", "reader-03")
    assert (second.prompt, second.a, second.b, second.preferred, second.rater) == ("q", "a2", "b2", "b", "reader-12")
    assert (first.source_a, first.source_b, first.created) == ("demonstrations", {"policy": "sft"}, WHEN)


def test_the_same_again_is_stored_once(tmp_path):
    with open_store(tmp_path / "comparisons.sqlite") as store:
        store.add_many(judged())
        store.add_many(judged())
        assert list(store.comparisons()) == judged()


def test_lengths_must_match():
    with pytest.raises(ValueError, match="zip"):
        list(as_comparisons(["p"], ["a"], [], np.array([True]), np.array([0]), WHEN))
