"""Raters added up from a store and from tables, as a person gives the commands."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scipy.special import expit

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.store import open_store
from foolsgold.serving.labels_command import AggregateCommand, ExportCommand, main
from foolsgold.serving.labels_files import read_table
from foolsgold.training.datasets import preferences

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BARZAN = Path(__file__).parents[3] / "shared/data/raters/barzan_mozafari"


def said(*votes: str, prompt: str = "p", a: str = "A", b: str = "B") -> list[Comparison]:
    """Votes of raters 0, 1, …, written `0a`, one second after the other."""
    return [
        Comparison(prompt, a, b, vote[1:], f"rater {vote[0]}", NOON + timedelta(seconds=i), "by hand")
        for i, vote in enumerate(votes)
    ]


def exported(tmp_path, comparisons, method) -> list:
    with open_store(tmp_path / "s.sqlite") as store:
        store.add_many(comparisons)
    main(ExportCommand(store=str(tmp_path / "s.sqlite"), out=str(tmp_path / "out.jsonl"), aggregate=method))
    return read_table(tmp_path / "out.jsonl")


def test_a_majority_is_counted(tmp_path, capsys):
    votes = [*said("0b", "1b", "2a", "3tie"), *said("0a", "1b", prompt="even"), *said("0both_bad", prompt="bad")]
    rows = exported(tmp_path, votes, "majority")
    counts = [(row["chosen"], row["chosen_count"], row["rejected_count"], row["tie_count"]) for row in rows]
    assert counts == [("B", 2, 1, 1), ("A", 1, 1, 0), ("A", 0, 0, 1)]
    assert [row.probability for row in preferences(rows)] == [2.5 / 4, 0.5, 0.5]
    assert "this format has no place for raters (4)" in capsys.readouterr().out


def test_the_last_word_counts_and_sides_do_not(tmp_path, capsys):
    swapped = [replace(one, a="B", b="A") for one in said("1a")]
    (row,) = exported(tmp_path, [*said("0a", "0b"), *swapped], "majority")
    assert (row["chosen"], row["chosen_count"], row["rejected_count"]) == ("B", 2, 0)
    assert "left out: 1 earlier judgements by a rater who judged the item again" in capsys.readouterr().out


def test_dawid_and_skene_do_not_believe_who_is_always_wrong(tmp_path):
    votes = []
    for i in range(40):
        true, false = "ab" if i % 2 else "ba"
        # Two who know, one who says the opposite, and on the last pair only one who knows against the liar.
        votes += said(f"0{true}", *([f"1{true}"] if i < 39 else []), f"2{false}", prompt=str(i))
    last = exported(tmp_path, votes, "dawid-skene")[-1]
    assert (last["chosen"], last["probability"]) == ("A", pytest.approx(1.0, abs=1e-6))


def test_scores_give_the_chance_of_a_pair(tmp_path):
    """Three to one: the most probable lead under a normal prior of precision 0.1 for each score, found by bisection."""
    (row,) = exported(tmp_path, said("0a", "1a", "2a", "3b"), "bradley-terry")
    low, high = 0.0, 2.0
    for _ in range(60):
        lead = (low + high) / 2  # slope in one score: 4 (3/4 - p) - 0.1 score, with score = lead / 2
        low, high = (lead, high) if 4 * (0.75 - expit(lead)) - 0.1 * lead / 2 > 0 else (low, lead)
    assert (row["chosen"], row["probability"]) == ("A", pytest.approx(expit(low), abs=1e-6))


def test_crowd_bt_scores_candidates_and_judges(tmp_path, capsys):
    votes = [vote for i in range(12) for vote in said("0a", "1a", "2b", prompt=str(i))]
    with open_store(tmp_path / "s.sqlite") as store:
        store.add_many(votes)
    main(AggregateCommand(data=str(tmp_path / "s.sqlite"), method="crowd-bt", out=str(tmp_path / "scores.jsonl")))
    rows = read_table(tmp_path / "scores.jsonl")
    assert len(rows) == 24
    assert all(row["score"] > 0 for row in rows if row["candidate"] == "A")
    assert {row["comparisons"] for row in rows} == {3}
    assert "reliability" in capsys.readouterr().out


def test_a_pairs_label_and_its_texts(tmp_path):
    with open_store(tmp_path / "s.sqlite") as store:
        store.add_many(said("0a", "1a", "2tie"))
    main(AggregateCommand(data=str(tmp_path / "s.sqlite"), out=str(tmp_path / "labels.jsonl")))
    (row,) = read_table(tmp_path / "labels.jsonl")
    assert row.pop("item")
    assert row == {"label": "a", "probability": pytest.approx(2 / 3), "votes": 3, "prompt": "p", "a": "A", "b": "B"}


@pytest.mark.skipif(not BARZAN.exists(), reason="the workers of BarzanMozafari are not here")
@pytest.mark.parametrize(("method", "right"), [("majority", "69.6%"), ("dawid-skene", "71.2%")])
def test_known_crowd(capsys, method, right):
    gold = str(BARZAN / "evaluation.txt")
    main(AggregateCommand(data=str(BARZAN / "labels.txt"), method=method, gold=gold))
    shown = capsys.readouterr().out
    assert "5,000 judgements of 1,000 items by 83 raters" in shown
    assert f"{method}: right about {right} of 1,000 items" in shown
    assert "a single judgement: 67.0%" in shown


@pytest.fixture
def votes(tmp_path):
    path = tmp_path / "votes.tsv"
    path.write_text("w1\t1\tyes\nw2\t1\tno\nw3\t1\tyes\n")
    return path


@pytest.mark.parametrize(
    ("settings", "gold", "message"),
    [
        ({"method": "crowd-bt"}, None, "names? candidates|does not name"),
        ({"project": "x"}, None, "is a table"),
        ({}, "2\tyes\n", "names none of the items"),
        ({}, "1\tperhaps\n", "is none of the classes"),
    ],
)
def test_what_cannot_be_added_up_is_refused(tmp_path, votes, settings, gold, message):
    if gold is not None:
        (tmp_path / "gold.tsv").write_text(gold)
        settings = {"gold": str(tmp_path / "gold.tsv")}
    with pytest.raises(UserError, match=message):
        main(AggregateCommand(data=str(votes), **settings))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"missing\.tsv"):
        main(AggregateCommand(data=str(tmp_path / "missing.tsv")))


def test_rows_of_a_crowd_are_written(tmp_path, votes):
    main(AggregateCommand(data=str(votes), out=str(tmp_path / "out.json")))
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {"item": "1", "label": "yes", "probability": pytest.approx(2 / 3), "votes": 3}
    ]
