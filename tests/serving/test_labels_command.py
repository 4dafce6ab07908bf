"""Judgements into a store and out of it, as a person gives the commands."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tyro

from foolsgold import cli
from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.labelling import Labelling, Pair, Settings
from foolsgold.labels.store import open_store
from foolsgold.serving.labels_command import COMMANDS, ExportCommand, ImportCommand, main
from foolsgold.serving.labels_files import read_table

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE = Comparison("Who stands better?", "A", "B", "a", "anna", NOON, "by hand", seconds=2.5)
SAID = [
    ONE,
    replace(ONE, preferred="b", rater="bob", strength=3),
    replace(ONE, prompt="And here?", preferred="tie", rater="bob"),
    replace(ONE, prompt="And here?", preferred="both_bad"),
]
PANDALM = Path(__file__).parents[3] / "shared/data/raters/pandalm/testset-v1.json.gz"


def labels(*arguments) -> None:
    name, *settings = map(str, arguments)
    main(tyro.cli(COMMANDS[name], args=settings))


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "labels.sqlite") as store:
        store.add_many(SAID)
    return tmp_path / "labels.sqlite"


def stored(path) -> list[Comparison]:
    with open_store(path) as store:
        return list(store.comparisons())


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz", "all.json", "all.parquet", "all.csv", "all.tsv", "all"])
def test_everything_goes_to_another_store(tmp_path, store, name, capsys):
    labels("export", store, "--out", tmp_path / name, "--format", "comparisons")
    assert capsys.readouterr().out == f"4 comparisons, 4 rows: {tmp_path / name}\n"
    labels("import", tmp_path / "other.sqlite", tmp_path / name)
    assert stored(tmp_path / "other.sqlite") == SAID


@pytest.mark.parametrize(
    ("format", "name"),
    [("trl-preference", "p.jsonl"), ("argilla", "p.json"), ("label-studio", "p.json"), ("crowd", "p.csv")],
)
def test_other_programs_files_are_known_by_their_columns(tmp_path, store, format, name, capsys):
    labels("export", store, "--out", tmp_path / name, "--format", format)
    items = ["--items", tmp_path / "p.items.csv"] if format == "crowd" else []
    labels("import", tmp_path / "other.sqlite", tmp_path / name, *items)
    assert "4 comparisons: " in capsys.readouterr().out
    kept = ["a", "b", "tie", "tie" if format == "trl-preference" else "both_bad"]
    assert sorted(one.preferred for one in stored(tmp_path / "other.sqlite")) == sorted(kept)


def test_the_same_file_counts_once(tmp_path, capsys):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"prompt": "p", "chosen": "A", "rejected": "B"}) + "\n")
    for _ in range(2):
        labels("import", tmp_path / "labels.sqlite", pairs)
    assert capsys.readouterr().out.splitlines() == [
        f"1 comparisons: {tmp_path / 'labels.sqlite'}",
        f"1 comparisons, 1 of them known before: {tmp_path / 'labels.sqlite'}",
    ]
    (one,) = stored(tmp_path / "labels.sqlite")
    assert (one.rater, one.source) == ("pairs.jsonl", {"file": "pairs.jsonl"})


def test_two_rows_are_two_judgements(tmp_path):
    (tmp_path / "pairs.jsonl").write_text(2 * (json.dumps({"prompt": "p", "chosen": "A", "rejected": "B"}) + "\n"))
    labels("import", tmp_path / "s.sqlite", tmp_path / "pairs.jsonl", "--created", "2026-03-01T12:00")
    assert [one.created for one in stored(tmp_path / "s.sqlite")] == [NOON, NOON + timedelta(microseconds=1)]


def test_who_and_when_can_be_given(tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"prompt": "p", "chosen": "A", "rejected": "B"}) + "\n")
    labels("import", tmp_path / "s.sqlite", pairs, "--rater", "anna", "--created", "2026-03-01T13:00+01:00")
    (one,) = stored(tmp_path / "s.sqlite")
    assert (one.rater, one.created) == ("anna", NOON)


def test_what_trl_has_no_place_for_is_said(tmp_path, store, capsys):
    labels("export", store, "--out", tmp_path / "pairs.jsonl", "--ties", "drop")
    assert capsys.readouterr().out.splitlines() == [
        f"4 comparisons, 2 rows: {tmp_path / 'pairs.jsonl'}",
        "left out: 2 ties",
        "this format has no place for rater (4), created (4), source (4), seconds (4)",
    ]


def test_one_raters_comparisons(tmp_path, store):
    labels("export", store, "--out", tmp_path / "bob.jsonl", "--rater", "bob", "--format", "comparisons")
    assert [row["rater"] for row in read_table(tmp_path / "bob.jsonl")] == ["bob", "bob"]


@pytest.fixture
def project(tmp_path):
    """A project with one pair that anna judged, and an attention check that she judged too."""
    with open_store(tmp_path / "labels.sqlite") as store:
        made = Labelling.create(store, "poems", "Which?", settings=Settings(check_share=0.5, repeat_share=0))
        made.add_pairs([Pair("p", "A", "B"), Pair("p", "good", "bad", known="a")])
        while place := made.next_place("anna"):
            made.judge(place.id, "anna", "a")
    return tmp_path / "labels.sqlite"


def test_attention_checks_stay_behind_and_that_is_said(tmp_path, project, capsys):
    labels("export", project, "--out", tmp_path / "pairs.jsonl", "--project", "poems")
    assert len(read_table(tmp_path / "pairs.jsonl")) == 1
    assert "left out: 1 attention checks and repeats" in capsys.readouterr().out


A, B = "(;GM[1]SZ[5];B[cc];W[bc])", "(;GM[1]SZ[5];B[aa];W[ee])"


@pytest.fixture
def games(tmp_path):
    folder = tmp_path / "games"
    folder.mkdir()
    (folder / "one-a.sgf").write_text(A)
    (folder / "one-b.sgf").write_text(B)
    return folder


def test_judged_boards_go_in_and_out(tmp_path, games):
    (games / "pairs.jsonl").write_text(json.dumps({"pair": "one", "preferred": "b", "rater": "anna"}) + "\n")
    labels("import", tmp_path / "s.sqlite", games)
    labels("export", tmp_path / "s.sqlite", "--out", tmp_path / "out", "--format", "sgf")
    labels("import", tmp_path / "again.sqlite", tmp_path / "out")
    assert stored(tmp_path / "again.sqlite") == stored(tmp_path / "s.sqlite")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0001-a.sgf", "0001-b.sgf", "pairs.jsonl"]


def test_boards_without_judgements_are_for_the_page(tmp_path, games):
    with pytest.raises(UserError, match=r"no pairs\.jsonl that says who preferred which"):
        labels("import", tmp_path / "s.sqlite", games)


@pytest.mark.skipif(not PANDALM.exists(), reason="PandaLM's annotations are not here")
def test_pandalms_three_annotators(tmp_path, capsys):
    table = tmp_path / "testset.json"
    table.write_bytes(gzip.decompress(PANDALM.read_bytes()))
    columns = ["--prompt", "instruction", "input", "--a", "response1", "--b", "response2"]
    annotators = [f"annotator{i}" for i in (1, 2, 3)]
    labels("import", tmp_path / "s.sqlite", table, "--raters", *annotators, *columns)
    assert "2,997 comparisons: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"x": 1}', "the columns x are of no format known here"),
        ('{"chosen": "A", "rejected": 3, "prompt": "p"}', "row 1: 'rejected' is neither"),
        ('{"data": {"prompt": "p"}, "annotations": [3]}', "is not as label-studio is written: AttributeError"),
        ('{"fields": {"prompt": "p"}, "responses": {"q": [7]}}', "is not as argilla is written"),
        ('{"worker": "w", "item": 1, "label": "a"}', "give their table with --items"),
        ("", "holds no rows"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, content, message):
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(UserError, match=message):
        labels("import", tmp_path / "s.sqlite", tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"a": "x"}, "give both"),
        ({"format": "wide"}, "needs --raters"),
        ({"format": "crowd", "raters": ("x",)}, "columns of --format wide"),
        ({"format": "wide", "raters": ("x",), "items": "i.csv"}, "belong to --format crowd"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        ImportCommand(store="s.sqlite", data="d.jsonl", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "wide"}, "is only read"),
        ({"format": "crowd", "aggregate": "majority"}, "makes rows of trl-preference"),
        ({"format": "argilla", "out": "x.csv"}, "ends in .json"),
        ({"format": "sgf", "out": "x.sgf"}, "without an ending"),
        ({"format": "sgf", "out": "x"}, "no comparison is of Go boards"),
        ({"project": "none"}, "has no project 'none'"),
        ({"rater": "carol"}, "holds no comparisons by carol"),
        ({"store": "missing.sqlite"}, "there is no store missing.sqlite"),
    ],
)
def test_exports_that_cannot_be_are_refused(store, settings, message):
    with pytest.raises(UserError, match=message):
        main(ExportCommand(**{"store": str(store), "out": "x.jsonl", **settings}))


@pytest.mark.slow
def test_an_export_trains_a_reward_model(tmp_path, monkeypatch):
    """One command to write the pairs, one to train."""
    monkeypatch.chdir(tmp_path)
    said = [
        replace(
            ONE, prompt=f"Tell me of number {i}: ", a="the cat sat", b="the dog sat", preferred="a" if i % 4 else "tie"
        )
        for i in range(40)
    ]
    with open_store("labels.sqlite") as store:
        store.add_many(said)
    texts = [{"text": one.prompt + text} for one in said for text in (one.a, one.b)]
    Path("texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    labels("export", "labels.sqlite", "--out", "pairs.jsonl")
    small = ["--steps", "4", "--batch", "8"]
    start = ["--width", "32", "--layers", "2", "--vocabulary", "300", "--block", "32"]
    monkeypatch.setattr("sys.argv", ["foolsgold", "train", "pretrain", "--data", "texts.jsonl", *start, *small])
    cli.main()
    (model,) = Path("runs").glob("pretrain-*/model")
    monkeypatch.setattr(
        "sys.argv", ["foolsgold", "train", "reward", "--model", str(model), "--data", "pairs.jsonl", *small]
    )
    cli.main()
    assert list(Path("runs").glob("reward-*/model/model.safetensors"))


@pytest.fixture
def waiting(tmp_path):
    """A project of which each pair has a number, candidate a the longer by it."""
    place = tmp_path / "project.sqlite"
    with open_store(place) as store:
        pairs = [Pair("p", "x" * (20 + n), "x" * 20) for n in range(1, 6)]
        Labelling.create(store, "poems", "Which?").add_pairs(pairs)
    (tmp_path / "lengths.py").write_text(
        "def longer(prompts, completions, **columns): return [len(c) / 9 for c in completions]\n"
        "def shorter(prompts, completions, **columns): return [-len(c) / 9 for c in completions]\n"
    )
    return place


def test_what_models_differ_about_most_comes_first(tmp_path, waiting, capsys):
    models = [f"{tmp_path / 'lengths.py'}:{name}" for name in ("longer", "shorter")]
    labels("prioritise", waiting, "--project", "poems", "--batch", 2, "--strategy", "disagreement", "--reward", *models)
    assert capsys.readouterr().out.startswith("2 pairs come first, by disagreement")
    with open_store(waiting) as store:
        place = Labelling.open(store, "poems").next_place("anna")
        assert max(len(place.left), len(place.right)) == 25


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("--reward", "a", "b", "--project", "stories"), "no project 'stories'"),
        (("--reward", "a", "--project", "poems"), "two models or more"),
        (("--reward", "a", "b", "--project", "poems", "--batch", "0"), "at least 1"),
    ],
)
def test_priorities_that_cannot_be_set(waiting, settings, said):
    with pytest.raises(UserError, match=said):
        labels("prioritise", waiting, *settings)
