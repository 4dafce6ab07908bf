"""Rows that hold all of a comparison, and what every format shares."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from comparison_strategies import NOON, UNSAID, comparisons
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.records import read_records, write_records
from foolsgold.labels.exchange.rows import Notes, Unsaid, content_of, text_of

ONE = Comparison("Who stands better?", "X.O", "O.X", "a", "anna", NOON, {"study": "go"}, "base", "rl", 3.5, 2)


@given(st.lists(comparisons(), max_size=5))
def test_everything_comes_back(said):
    notes = Notes()
    rows = json.loads(json.dumps(write_records(said, notes)))
    assert list(read_records(rows, UNSAID, notes)) == said
    assert notes.lines == []


@given(st.lists(comparisons(), max_size=5))
def test_empty_cells_are_nothing_said(said):
    """As CSV has them, in which also numbers are text."""
    rows = write_records(said, Notes())
    names = {name: "" for row in rows for name in row}
    table = [{name: str(told) for name, told in {**names, **row}.items()} for row in rows]
    nameless = [replace(one, rater=one.rater or "someone") for one in said]
    assert [replace(one, rater=one.rater or "someone") for one in read_records(table, UNSAID, Notes())] == nameless


def test_a_row_by_hand():
    row = {
        "prompt": "Who stands better?", "a": "X.O", "b": "O.X", "preferred": "a", "rater": "anna",
        "created": "2026-03-01T12:00:00.000000+00:00", "source": '{"study": "go"}', "source_a": "base",
        "source_b": "rl", "seconds": 3.5, "strength": 2,
    }  # fmt: skip
    assert write_records([ONE], Notes()) == [row]


def test_what_a_row_does_not_say_is_as_told():
    unsaid = Unsaid("bob", NOON + timedelta(days=1), "import", ("instruction", "input"), "one", "two")
    row = {"instruction": "Sum up.", "input": "", "one": "A", "two": "B", "preferred": "tie"}
    assert list(read_records([row], unsaid, Notes())) == [
        Comparison("Sum up.", "A", "B", "tie", "bob", NOON + timedelta(days=1), "import")
    ]


def test_a_moment_without_a_zone_is_utc():
    row = {"prompt": "", "a": "A", "b": "B", "preferred": "a", "created": "2026-03-01T13:30:00"}
    (one,) = read_records([row], UNSAID, Notes())
    assert one.created == datetime(2026, 3, 1, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "p", "a": "A", "preferred": "a"}, "row 1 has no 'b'"),
        ({"a": "A", "b": "B", "preferred": "a"}, "row 1 has no prompt"),
        ({"prompt": "p", "a": "A", "b": "B", "preferred": "left"}, "row 1: preferred is 'left'"),
        ({"prompt": "p", "a": "A", "b": "B", "preferred": "a", "created": "noon"}, "row 1: 'noon' is no moment"),
        ({"prompt": "p", "a": "A", "b": "B", "preferred": "a", "seconds": "fast"}, "row 1: 'fast' is no number"),
        ({"prompt": "p", "a": "A", "b": "B", "preferred": "a", "strength": 4}, "row 1: strength is 4"),
        ({"prompt": "p", "a": "A", "b": "B", "preferred": "a", "strength": 1.5}, "row 1: 1.5 is no whole number"),
        ({"prompt": "p", "a": 3, "b": "B", "preferred": "a"}, "row 1 holds neither text nor"),
        ({"prompt": "p", "a": "\ud800", "b": "B", "preferred": "a"}, "row 1: a holds half a character"),
    ],
)
def test_broken_rows_are_named(row, message):
    with pytest.raises(UserError, match=message):
        list(read_records([row], UNSAID, Notes()))


messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=10)}), min_size=1
)


@given(messages | st.text())
def test_chats_are_kept_as_text(content):
    assert content_of(text_of(content, "here")) == content


@pytest.mark.parametrize("text", ["[{", '[{"role":"user"}]', '[{"content": "no role"}]', "[{" * 100_000, "[]"])
def test_text_that_looks_like_a_chat_stays_text(text):
    assert content_of(text) == text
