"""Argilla's records and Label Studio's tasks."""

import json
from dataclasses import replace

import pytest
from comparison_strategies import NOON, UNSAID, bare, comparisons
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.argilla import read_argilla, write_argilla
from foolsgold.labels.exchange.label_studio import CONFIG, read_label_studio, write_label_studio
from foolsgold.labels.exchange.records import record_of
from foolsgold.labels.exchange.rows import Notes

ONE = Comparison("p", "A", "B", "b", "anna@example.org", NOON, "a file", seconds=4.5, strength=2)
ANNA, BOB = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def by_key(given_ones):
    return sorted(given_ones, key=lambda one: json.dumps(record_of(one)))


def outcomes(given_ones):
    return [(one.rater, one.a, one.b, one.preferred) for one in given_ones]


@given(st.lists(comparisons(raters=st.text(min_size=1, max_size=8)), max_size=5))
def test_label_studio_gives_everything_back(said):
    tasks = json.loads(json.dumps(write_label_studio(said, notes := Notes())))
    assert by_key(read_label_studio(tasks, UNSAID, notes)) == by_key(said)
    assert notes.lines == []


def test_a_task_by_hand():
    other = replace(ONE, preferred="tie", strength=None, rater="bob@example.org", seconds=None)
    assert write_label_studio([ONE, other], Notes()) == [
        {
            "id": 1,
            "data": {"prompt": "p", "answer1": "A", "answer2": "B", "source": "a file"},
            "annotations": [
                {
                    "id": 1,
                    "completed_by": {"email": "anna@example.org"},
                    "created_at": "2026-03-01T12:00:00.000000+00:00",
                    "was_cancelled": False,
                    "lead_time": 4.5,
                    "result": [
                        {
                            "from_name": "comparison",
                            "to_name": "answer1,answer2",
                            "type": "pairwise",
                            "value": {"selected": "right"},
                        },
                        {"from_name": "strength", "to_name": "prompt", "type": "rating", "value": {"rating": 2}},
                    ],
                },
                {
                    "id": 2,
                    "completed_by": {"email": "bob@example.org"},
                    "created_at": "2026-03-01T12:00:00.000000+00:00",
                    "was_cancelled": False,
                    "result": [
                        {"from_name": "equal", "to_name": "prompt", "type": "choices", "value": {"choices": ["tie"]}}
                    ],
                },
            ],
        }
    ]
    assert all(f'name="{name}"' in CONFIG for name in ("comparison", "answer1", "answer2", "equal", "strength"))


def export(*results, **data):
    """As Label Studio writes it, with fields that we do not ask for."""
    annotation = {
        "id": 7,
        "completed_by": 10,
        "result": [{"id": "Dx_aB91ISN", "origin": "manual", **result} for result in results],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-03-01T12:00:00Z",
        "lead_time": 4.288,
    }
    return {"id": 1, "project": 83, "annotations": [annotation], "predictions": [], "data": data}


def pairwise(selected, to="txt-1,txt-2"):
    return {"from_name": "pw", "to_name": to, "type": "pairwise", "value": {"selected": selected}}


def test_another_interface_is_understood():
    task = export(pairwise("right"), instruction="p", text1="A", text2="B", seconds="unrelated")
    (one,) = read_label_studio([task], UNSAID, Notes())
    assert one == Comparison("p", "A", "B", "b", "10", NOON, "a file", seconds=4.288)


def test_fields_can_be_named():
    task = export(pairwise("left"), ask="p", more="q", x="A", y="B")
    (one,) = read_label_studio([task], replace(UNSAID, prompt=("ask", "more"), a="x", b="y"), Notes())
    assert (one.prompt, one.a, one.b, one.preferred) == ("p\n\nq", "A", "B", "a")


def test_an_order_is_a_comparison_of_each_two():
    items = [{"id": name, "title": name, "body": name.upper()} for name in "xyz"]
    rank = {"from_name": "rank", "to_name": "results", "type": "ranker", "value": {"ranker": ["z", "x", "y"]}}
    found = list(read_label_studio([export(rank, prompt="p", items=items)], UNSAID, Notes()))
    assert outcomes(found) == [("10", "X", "Y", "a"), ("10", "X", "Z", "b"), ("10", "Y", "Z", "b")]


def test_skipped_and_empty_annotations_are_said():
    empty, skipped = (export(pairwise("left"), prompt="p", text1="A", text2="B") for _ in range(2))
    empty["annotations"][0]["result"] = []
    skipped["annotations"][0]["was_cancelled"] = True
    assert list(read_label_studio([empty, skipped], UNSAID, notes := Notes())) == []
    assert notes.left_out == {"annotations choose nothing": 1, "annotations were skipped": 1}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"prompt": "p", "comparison": "left"}, "row 1 has no 'data'"),
        ({"data": {}, "comparison": "left"}, "export from Label Studio as JSON"),
        (export(pairwise("left"), prompt="p", u="A", v="B"), "--a and --b; there are prompt, u, v"),
        (export(pairwise("left"), text1="A", text2="B"), "row 1 has no prompt"),
        (export(pairwise("up"), prompt="p", text1="A", text2="B"), "'up' is no preference"),
    ],
)
def test_other_tasks_are_refused(task, message):
    with pytest.raises(UserError, match=message):
        list(read_label_studio([task], UNSAID, Notes()))


@given(st.lists(bare(raters=st.text(max_size=8)), max_size=6))
def test_argilla_gives_everything_but_times_and_sources_back(said):
    records = json.loads(json.dumps(write_argilla(said, Notes())))
    assert by_key(read_argilla(records, UNSAID, Notes())) == by_key(said)


def test_a_record_by_hand():
    said = [
        replace(ONE, rater=ANNA),
        replace(ONE, rater=BOB, preferred="tie", strength=None),
        replace(ONE, rater=ANNA, preferred="a", strength=None),
    ]
    notes = Notes()
    empty = {"metadata": {}, "suggestions": {}, "vectors": {}}
    fields = {"prompt": "p", "response_a": "A", "response_b": "B"}
    sent = {"status": "submitted"}
    assert write_argilla(said, notes) == [
        {
            "id": "0",
            "fields": fields,
            "responses": {
                "preference": [
                    {"value": "response_b", "user_id": ANNA, **sent},
                    {"value": "tie", "user_id": BOB, **sent},
                ],
                "strength": [{"value": 2, "user_id": ANNA, **sent}],
            },
            **empty,
        },
        {
            "id": "1",
            "fields": fields,
            "responses": {"preference": [{"value": "response_a", "user_id": ANNA, **sent}]},
            **empty,
        },
    ]
    assert notes.lines == ["this format has no place for created (3), source (3), seconds (3)"]


FIELDS = {"prompt": "p", "response-1": "A", "response-2": "B"}


@pytest.mark.parametrize(
    "record",
    [
        {"fields": FIELDS, "responses": {"rank": [{"value": ["response-2", "response-1"], "user_id": ANNA}]}},
        {"fields": FIELDS, "responses": {"which": [{"value": "response-2", "user_id": ANNA}]}},
        {"fields": FIELDS, "responses": {"which": [{"value": "right", "user_id": ANNA}]}},
        {**FIELDS, "rank.responses": [["response-2", "response-1"]], "rank.responses.users": [ANNA]},
        {
            "fields": FIELDS,
            "responses": [
                {
                    "user_id": ANNA,
                    "status": "submitted",
                    "values": {
                        "rank": {"value": [{"value": "response-1", "rank": 2}, {"value": "response-2", "rank": 1}]}
                    },
                }
            ],
        },
    ],
    ids=["ranking", "field as label", "label", "columns", "Argilla 1"],
)
def test_every_form_of_a_record_is_read(record):
    (one,) = read_argilla([record], UNSAID, Notes())
    assert one == Comparison("p", "A", "B", "b", ANNA, NOON, "a file")


def test_equal_ranks_are_ties_and_three_texts_three_comparisons():
    ranks = {"response-1": 1, "response-2": 2, "response-3": 2}
    answer = [{"value": name, "rank": rank} for name, rank in ranks.items()]
    record = {"fields": {**FIELDS, "response-3": "C"}, "responses": {"rank": [{"value": answer, "user_id": ANNA}]}}
    assert outcomes(read_argilla([record], UNSAID, Notes())) == [
        (ANNA, "A", "B", "a"),
        (ANNA, "A", "C", "a"),
        (ANNA, "B", "C", "tie"),
    ]


def test_drafts_and_answers_to_other_questions_are_said():
    responses = {
        "rank": [{"value": ["response-1", "response-2"], "user_id": ANNA, "status": "draft"}],
        "comment": [{"value": "Both are fine.", "user_id": ANNA, "status": "submitted"}],
    }
    assert list(read_argilla([{"fields": FIELDS, "responses": responses}], UNSAID, notes := Notes())) == []
    assert notes.left_out == {"answers are draft": 1, "answers to the question 'comment' compare nothing": 1}
