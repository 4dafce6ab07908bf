"""Labels of a crowd, tables with a column for each rater, and judgements gathered by pair."""

import json
from dataclasses import replace

import pytest
from comparison_strategies import NOON, UNSAID, bare
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.crowd import Label, labels_of, read_crowd, write_crowd
from foolsgold.labels.exchange.pairs import judged_pairs
from foolsgold.labels.exchange.rows import Notes
from foolsgold.labels.exchange.wide import read_wide

ONE = Comparison("p", "A", "B", "b", "anna", NOON, "a file")
SWAPPED = replace(ONE, a="B", b="A", rater="bob")


def test_a_pair_is_one_whichever_side_its_texts_were_on():
    (pair,) = judged_pairs([ONE, SWAPPED, replace(ONE, preferred="tie")])
    assert (pair.prompt, pair.a, pair.b) == ("p", "A", "B")
    assert pair.votes == [("anna", "b"), ("bob", "a"), ("anna", "tie")]
    assert pair.last_votes == {"anna": "tie", "bob": "a"}


def test_labels_and_items_by_hand():
    labels, items = write_crowd([ONE, SWAPPED], Notes())
    (item,) = items
    assert item == {"item": judged_pairs([ONE])[0].key, "prompt": "p", "a": "A", "b": "B"}
    assert labels == [
        {"worker": "anna", "item": item["item"], "label": "b"},
        {"worker": "bob", "item": item["item"], "label": "a"},
    ]


@given(st.lists(bare(), max_size=6))
def test_crowds_give_everything_but_sides_times_and_sources_back(said):
    labels, items = json.loads(json.dumps(write_crowd(said, Notes())))
    expected = {
        (pair.prompt, pair.a, pair.b, rater, preferred)
        for pair in judged_pairs(said)
        for rater, preferred in pair.votes
    }
    found = list(read_crowd(labels, items, UNSAID, Notes()))
    assert len(found) == len(said)
    assert {(one.prompt, one.a, one.b, one.rater, one.preferred) for one in found} == expected


def test_crowd_kits_names_are_known():
    assert list(labels_of([{"task": 3, "worker": "w", "label": 1}])) == [Label("w", "3", "1")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"worker": "w", "item": "1"}, "row 1 has no column label"),
        ({"worker": "w", "item": None, "label": "a"}, "row 1 has no 'item'"),
        ({"worker": "w", "item": "2", "label": "a"}, "item 2 is not among the items"),
        ({"worker": "w", "item": "1", "label": "c"}, "row 1: preferred is 'c'"),
    ],
)
def test_broken_labels_are_named(row, message):
    with pytest.raises(UserError, match=message):
        list(read_crowd([row], [{"item": 1, "prompt": "p", "a": "A", "b": "B"}], UNSAID, Notes()))


def test_a_column_for_each_rater():
    unsaid = replace(UNSAID, prompt=("instruction", "input"), a="response1", b="response2")
    row = {"instruction": "p", "input": "q", "response1": "A", "response2": "B", "one": 0, "two": 1.0, "three": "2"}
    notes = Notes()
    found = list(read_wide([{**row, "four": None}], ["one", "two", "three", "four"], unsaid, notes))
    assert {one.rater: one.preferred for one in found} == {"one": "tie", "two": "a", "three": "b"}
    assert {(one.prompt, one.a, one.b) for one in found} == {("p\n\nq", "A", "B")}
    assert notes.lines == ["left out: 1 cells are empty"]


@pytest.mark.parametrize(("raters", "message"), [(["x"], "no column 'x'"), (["one"], "'7' is no preference")])
def test_broken_tables_are_named(raters, message):
    with pytest.raises(UserError, match=message):
        list(read_wide([{"prompt": "p", "a": "A", "b": "B", "one": "7"}], raters, UNSAID, Notes()))
