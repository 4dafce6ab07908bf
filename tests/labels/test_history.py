from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from foolsgold.labels import schema
from foolsgold.labels.labelling import Labelling, Pair, Settings
from foolsgold.labels.store import Comparison, open_store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE = Comparison("Who stands better?", "X.O", "O.X", "a", "amateur", NOON, {"study": "alphago"}, "net", None, 2.0, 3)
TWO = replace(ONE, preferred="tie", strength=None, created=NOON + timedelta(seconds=1))


@pytest.fixture
def store(url):
    with open_store(url) as store:
        yield store


def test_what_is_retracted_leaves_the_comparisons_and_stays_in_the_history(store):
    store.add_many([ONE, TWO])
    later = NOON + timedelta(hours=1)
    assert store.retract(ONE.key, later)
    assert not store.retract(ONE.key)
    assert list(store.comparisons()) == [TWO]
    assert len(store) == 1
    first, second = store.history()
    assert (first.key, first.choice, first.strength, first.retracted) == (ONE.key, "a", 3, later)
    assert (first.source, first.source_a, first.source_b, first.seconds) == ({"study": "alphago"}, "net", None, 2.0)
    assert (second.key, second.retracted) == (TWO.key, None)


def test_a_retraction_is_for_good(store):
    store.add(ONE)
    store.retract(ONE.key)
    store.add(ONE)
    assert list(store.comparisons()) == []
    store.add(replace(ONE, created=NOON + timedelta(minutes=1)))  # judged again
    assert len(store) == 1


def test_only_what_is_there_is_retracted(store):
    with pytest.raises(KeyError):
        store.retract(ONE.key)


def test_rows_of_judgements_never_change(store):
    labelling = Labelling.create(store, "boards", "", settings=Settings(repeat_share=0.4, repeat_gap=0))
    labelling.add_pairs(Pair("?", f"a{i}", f"b{i}") for i in range(8))
    rows: dict[int, tuple] = {}
    for action in ("a", "skipped", "undo", "b", "tie", "undo", "undo", "both_bad", "a"):
        if action == "undo":
            labelling.undo("anna")
        else:
            labelling.judge(labelling.next_place("anna").id, "anna", action)
        with store.database.reading() as connection:
            found = {row.id: tuple(row) for row in connection.execute(sa.select(schema.comparisons))}
        assert rows.items() <= found.items()
        rows = found
    assert len(rows) == 6


def test_projects_and_raters_are_told_apart(store):
    store.add(ONE)
    for name in ("boards", "poems"):
        labelling = Labelling.create(store, name, "")
        labelling.add_pairs([Pair("?", "a", "b", wanted=2)])
        for rater in ("anna", "ben"):
            labelling.judge(labelling.next_place(rater).id, rater, "a")
    assert len(store) == 5
    assert len(list(store.comparisons(project="boards"))) == 2
    assert len(list(store.comparisons(project="boards", rater="ben"))) == 1
    assert len(list(store.history(project="poems", rater="anna"))) == 1
    assert list(store.comparisons(project="chess")) == []
