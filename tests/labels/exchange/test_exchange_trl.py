"""TRL's preference and unpaired columns."""

import json
from dataclasses import replace

import pytest
from comparison_strategies import NOON, UNSAID, bare
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.rows import Notes
from foolsgold.labels.exchange.trl import read_preferences, read_unpaired, write_preferences, write_unpaired


def said(preferred, strength=None, a="A", b="B", prompt="p"):
    return Comparison(prompt, a, b, preferred, "someone", NOON, "a file", strength=strength)


def test_the_preferred_one_is_chosen():
    assert write_preferences([said("a"), said("b")], Notes()) == [
        {"prompt": "p", "chosen": "A", "rejected": "B"},
        {"prompt": "p", "chosen": "B", "rejected": "A"},
    ]


def test_strength_becomes_a_margin_in_every_row():
    rows = write_preferences([said("a", 1), said("b", 3), said("a")], Notes())
    assert [row["margin"] for row in rows] == pytest.approx([1 / 3, 1.0, 0.0])


@pytest.mark.parametrize(
    ("ties", "pairs"),
    [("drop", ["AB"]), ("both", ["AB", "BA", "AB"]), ("probability", ["AB", "AB"])],
)
def test_ties_as_wished(ties, pairs):
    notes = Notes()
    rows = write_preferences([said("a"), said("tie")], notes, ties)
    assert sorted(row["chosen"] + row["rejected"] for row in rows) == sorted(pairs)
    assert [row.get("probability") for row in rows] == ([1.0, 0.5] if ties == "probability" else [None] * len(pairs))
    assert notes.left_out.total() == (ties == "drop")


def test_what_trl_has_no_place_for_is_said():
    notes = Notes()
    write_preferences([replace(said("both_bad"), seconds=2.0)], notes)
    assert notes.lines == [
        "changed: 1 judged both bad, which are ties here",
        "changed: 1 ties: probability 0.5, which foolsgold train reads and TRL does not (see --ties)",
        "this format has no place for rater (1), created (1), source (1), seconds (1)",
    ]


def sorted_pair(comparison: Comparison) -> Comparison:
    """As a data set gives it back that does not say what was shown first."""
    if comparison.a <= comparison.b:
        return comparison
    swapped = {"a": "b", "b": "a"}.get(comparison.preferred, comparison.preferred)
    return replace(comparison, a=comparison.b, b=comparison.a, preferred=swapped)


@given(st.lists(bare(raters=st.just("someone")).filter(lambda each: each.a != each.b), max_size=5))
def test_preferences_come_back(given_ones):
    expected = [
        sorted_pair(replace(one, preferred="tie") if one.preferred == "both_bad" else one) for one in given_ones
    ]
    rows = json.loads(json.dumps(write_preferences(given_ones, Notes())))
    assert list(read_preferences(rows, UNSAID, Notes())) == expected


def test_chats_come_back_as_chats():
    prompt = [{"role": "user", "content": "Hi"}]
    row = {
        "prompt": prompt,
        "chosen": [{"role": "assistant", "content": "B"}],
        "rejected": [{"role": "assistant", "content": "A"}],
    }
    (one,) = read_preferences([row], UNSAID, Notes())
    assert one.preferred == "b"
    assert write_preferences([one], Notes()) == [row]


def test_shares_of_several_raters_are_left_out_and_said():
    notes = Notes()
    rows = [{"prompt": "p", "chosen": "A", "rejected": "B", "probability": 0.75}]
    assert list(read_preferences(rows, UNSAID, notes)) == []
    assert notes.lines == ["left out: 1 rows are the share of several raters and no single judgement"]


def test_unpaired_by_hand():
    rows = write_unpaired([said("b"), said("both_bad"), said("tie")], notes := Notes())
    assert rows == [
        {"prompt": "p", "completion": "B", "label": True},
        {"prompt": "p", "completion": "A", "label": False},
        {"prompt": "p", "completion": "A", "label": False},
        {"prompt": "p", "completion": "B", "label": False},
    ]
    assert notes.left_out.total() == 1


sure = bare(raters=st.just("someone")).filter(lambda one: one.preferred in ("a", "b") and one.a != one.b)


@given(st.lists(sure, max_size=5))
def test_unpaired_answers_find_each_other(given_ones):
    rows = json.loads(json.dumps(write_unpaired(given_ones, notes := Notes())))
    expected = [sorted_pair(replace(one, strength=None)) for one in given_ones]
    assert list(read_unpaired(rows, UNSAID, notes)) == expected
    assert notes.left_out.total() == 0


def test_answers_without_a_counterpart_are_said():
    rows = [{"prompt": "p", "completion": str(i), "label": label} for i, label in enumerate(["True", "0", "1", "1"])]
    rows.append({"prompt": "q", "completion": "x", "label": False})
    (one,) = read_unpaired(rows, UNSAID, notes := Notes())
    assert (one.a, one.b, one.preferred) == ("0", "1", "a")
    assert notes.left_out == {
        "good answers without a counterpart for their prompt": 2,
        "bad answers without a counterpart for their prompt": 1,
    }


def test_labels_are_true_or_false():
    with pytest.raises(UserError, match="row 1: label is 'good'"):
        list(read_unpaired([{"prompt": "p", "completion": "c", "label": "good"}], UNSAID, Notes()))
