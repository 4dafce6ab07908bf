"""What the list says of each run, and that it stays inside its folder."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from foolsgold.audit.verdict import Figure, Verdict
from foolsgold.errors import UserError
from foolsgold.serving.runs_index import NoSuchRun, RunIndex

NOW = 1_800_000_000.0


def run_folder(root: Path, name: str, study: str = "gaming", age: float = 0.0, **files: str) -> Path:
    """A run whose files were written `age` seconds before NOW."""
    folder = root / name
    (folder / "checkpoints").mkdir(parents=True)
    record = {"format": 1, "study": study, "config_version": 1, "config": {"seed": 0}, "created": name[-15:]}
    for file, text in {"config.json": json.dumps(record), "metrics.jsonl": "", **files}.items():
        (folder / file.replace("__", ".")).write_text(text)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (NOW - age, NOW - age))
    return folder


def verdict(folder: Path, sentence: str = "Gold fell.", **more: Any) -> None:
    Verdict("gaming", "It is found.", "fails", sentence, (Figure("gold", 0.5, 0.4, 0.6, 10, "%"),)).write(
        folder / "verdict.json"
    )
    os.utime(folder / "verdict.json", (NOW, NOW))


def index(root: Path) -> RunIndex:
    return RunIndex(root, clock=lambda: NOW)


def test_states(tmp_path: Path) -> None:
    run_folder(tmp_path, "a-20260101-000000", age=10)
    run_folder(tmp_path, "b-20260102-000000", age=9000)
    verdict(run_folder(tmp_path, "c-20260103-000000"))
    run_folder(tmp_path, "audit-20260104-000000", "audit", 90_000, **{"to-judge__jsonl": "{}"})
    (run_folder(tmp_path, "rl-20260105-000000", "rl", 5000) / "model").mkdir()
    cards = index(tmp_path).cards()
    assert {name.partition("-")[0]: card.state for name, card in cards.items()} == {
        "a": "running",
        "audit": "waiting",
        "rl": "finished",
        "c": "finished",
        "b": "quiet",
    }
    # What is at work or waits comes first, then the newest.
    assert [name.partition("-")[0] for name in cards] == ["a", "audit", "rl", "c", "b"]
    assert (cards["c-20260103-000000"].answer, cards["c-20260103-000000"].tone) == ("The claim fails", "fails")


def test_a_run_that_fills_its_checkpoints_is_at_work(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "a-20260101-000000", age=9000)
    (folder / "checkpoints" / "rl").mkdir()
    os.utime(folder / "checkpoints" / "rl", (NOW - 20, NOW - 20))
    assert index(tmp_path).card(folder.name).state == "running"


def test_a_finished_run_that_goes_on_is_at_work(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "a-20260101-000000", age=10)
    verdict(folder)
    os.utime(folder / "verdict.json", (NOW - 5000, NOW - 5000))
    assert index(tmp_path).card(folder.name).state == "running"


def test_pages_and_filters(tmp_path: Path) -> None:
    for i in range(7):
        run_folder(tmp_path, f"gaming-2026010{i}-000000", age=9000)
    verdict(run_folder(tmp_path, "gap-20260109-000000", "gap"), "Picking is Easier.")
    runs = index(tmp_path)
    page = runs.page(count=3, start=1)
    assert [card.name[-15:-7] for card in page.cards] == ["20260106", "20260105", "20260104"]
    assert (page.total, page.states, page.studies) == (8, {"finished": 1, "quiet": 7}, {"gaming": 7, "gap": 1})
    assert [card.study for card in runs.page("easier PICKING").cards] == ["gap"]
    assert runs.page(study="gaming").total == 7
    assert runs.page(states=["finished"]).total == 1


def test_what_is_no_run_is_not_listed(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    outside = run_folder(tmp_path / "elsewhere", "secret-20260101-000000")
    root.mkdir()
    (root / "linked").symlink_to(outside)
    (root / "empty").mkdir()
    (root / "file").write_text("x")
    for name, text in (("broken", "{"), ("list", "[]"), ("other", '{"study": 1, "config": {}}')):
        (root / name).mkdir()
        (root / name / "config.json").write_text(text)
    (root / "link").mkdir()
    (root / "link" / "config.json").symlink_to(outside / "config.json")
    runs = index(root)
    assert runs.cards() == {}
    for name in ("linked", "..", "../elsewhere/secret-20260101-000000", "", ".", "/etc"):
        with pytest.raises(NoSuchRun):
            runs.folder(name)
    with pytest.raises(UserError, match="no folder"):
        index(tmp_path / "nowhere")


def test_a_broken_verdict_is_none(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "a-20260101-000000", verdict__json='{"study": "x", "figures": 3}')
    card = index(tmp_path).card(folder.name)
    assert (card.answer, card.state) == ("", "finished")


def test_files_are_read_again_when_they_change(tmp_path: Path) -> None:
    moment = [NOW]
    folder = run_folder(tmp_path, "a-20260101-000000")
    runs = RunIndex(tmp_path, clock=lambda: moment[0])
    assert runs.verdict(folder.name) is None
    verdict(folder)
    assert runs.verdict(folder.name) is None  # a listing of less than two seconds ago is good enough
    moment[0] += 3
    found = runs.verdict(folder.name)
    assert found is not None
    assert found.sentence == "Gold fell."
    assert runs.record(folder.name)["config"] == {"seed": 0}


def test_thousands_of_runs_are_listed_in_a_moment(tmp_path: Path) -> None:
    for i in range(1000):
        run_folder(tmp_path, f"gaming-{i:015d}", age=90_000)
    runs = index(tmp_path)
    runs.cards()
    runs._listed = 0.0
    start = time.perf_counter()
    assert len(runs.cards()) == 1000
    assert time.perf_counter() - start < 1.5  # measured: 0.06 s
