"""`foolsgold label`: projects made from files, the demo, links printed, a server that many use at once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foolsgold.environments.poems import critic
from foolsgold.errors import UserError
from foolsgold.labels.labelling import Labelling
from foolsgold.labels.store import open_store
from foolsgold.serving.label_command import LabelCommand, _print_links, _projects
from foolsgold.serving.label_demo import BOARDS, POEMS, demo_projects
from foolsgold.serving.label_pairs import read_pairs
from foolsgold.serving.labelling_view import view
from foolsgold.training.dataset_files import write_jsonl


def written(folder: Path, *rows: dict) -> str:
    return str(write_jsonl(folder / "rows.jsonl", rows))


def test_pairs_from_rows(tmp_path):
    path = written(tmp_path, {"prompt": "p", "a": "x", "b": "y", "known": "a"}, {"prompt": "p", "a": "z", "b": "y"})
    [first, second] = read_pairs(path, 3)
    assert (first.prompt, first.a, first.b, first.known) == ("p", "x", "y", "a")
    assert (second.known, second.wanted) == (None, 3)


def test_preferences_are_judged_again(tmp_path):
    [pair] = read_pairs(written(tmp_path, {"prompt": "p", "chosen": "x", "rejected": "y"}), 1)
    assert (pair.a, pair.b) == ("x", "y")


def test_completions_of_one_prompt_are_paired_each_with_the_next_that_differs(tmp_path):
    said = [("p", "1"), ("q", "7"), ("p", "2"), ("p", "1"), ("p", "3")]
    path = written(tmp_path, *[{"prompt": prompt, "completion": text} for prompt, text in said])
    assert [(pair.a, pair.b) for pair in read_pairs(path, 1)] == [("1", "2"), ("2", "3")]


def test_one_completion_each_is_nothing_to_compare(tmp_path):
    with pytest.raises(UserError, match="--samples 2"):
        list(read_pairs(written(tmp_path, {"prompt": "p", "completion": "x"}), 1))


def test_game_records_side_by_side_become_boards_with_their_moves(tmp_path):
    (tmp_path / "one-a.sgf").write_text("(;GM[1]SZ[5]PB[Lee]PW[Go];B[ba];W[aa];B[ab])")
    (tmp_path / "one-b.sgf").write_text("(;GM[1]SZ[5];B[cc];W[dd];B[bb])")
    with open_store(tmp_path / "s.sqlite") as store:
        command = LabelCommand(store="s.sqlite", project="games", data=str(tmp_path), display="go")
        [labelling] = _projects(command, store)
        told = view(labelling.next_place("anna"))
    assert {len(told[side]["game"]["steps"]) for side in ("left", "right")} == {3}
    assert "Lee" not in json.dumps(told)


def test_a_project_is_made_once_and_added_to(tmp_path, capsys):
    data = written(tmp_path, {"prompt": "p", "a": "x", "b": "y"})
    guidelines = tmp_path / "guidelines.txt"
    guidelines.write_text("Be kind.")
    command = LabelCommand(store="s", project="one", data=data, guidelines=str(guidelines), raters=" anna, ben,anna,")
    assert command.names == ["anna", "ben"]
    with open_store(tmp_path / "s.sqlite") as store:
        [made] = _projects(command, store)
        [again] = _projects(command, store)
        assert (made.id, made.guidelines, made.settings.strength) == (again.id, "Be kind.", False)
        assert len(list(made.pairs())) == 1
        assert [labelling.name for labelling in _projects(LabelCommand(store="s"), store)] == ["one"]
    assert "1 new pairs" in capsys.readouterr().out


def test_a_broken_file_leaves_no_project_behind(tmp_path):
    data = written(tmp_path, {"prompt": "p", "a": "x", "b": "y"}, {"prompt": "p", "a": "x"})
    with open_store(tmp_path / "s.sqlite") as store:
        with pytest.raises(UserError, match="row 2"):
            _projects(LabelCommand(store="s", project="one", data=data), store)
        with pytest.raises(UserError, match="no project yet"):
            _projects(LabelCommand(store="s"), store)


def test_links_are_printed_once_and_nobody_locked_out_is_let_in(tmp_path, capsys):
    with open_store(tmp_path / "s.sqlite") as store:
        labelling = Labelling.create(store, "one", "")
        command = LabelCommand(store="s", raters="anna,ben")
        _print_links(command, labelling, "http://here")
        tokens = re.findall(r"http://here/label/1#(\S{43})", capsys.readouterr().out)
        assert [labelling.rater_of(token) for token in tokens] == ["anna", "ben"]
        labelling.revoke("ben")
        _print_links(command, labelling, "http://here")
        said = capsys.readouterr().out
        assert "#" not in said
        assert "keeps the earlier link" in said
        assert "locked out" in said
        assert labelling.rater_of(tokens[0]) == "anna"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "--store"),
        ({"demo": True, "data": "x"}, "own projects"),
        ({"store": "s", "data": "x"}, "--project"),
        ({"store": "s", "port": 70000}, "--port"),
        ({"store": "s", "wanted": 0}, "--wanted"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        LabelCommand(**settings)


def test_the_demo_has_boards_with_their_games_and_poems_and_clear_checks(tmp_path):
    with open_store(tmp_path / "demo.sqlite") as store:
        boards, poems = demo_projects(store)
        assert [boards.name, poems.name] == [BOARDS, POEMS]
        pairs = list(boards.pairs())
        assert len(pairs) >= 50
        assert sum(stored.pair.known is not None for stored in pairs) == 4
        for _ in range(5):
            place = boards.next_place("anna")
            shown = view(place)
            for side in ("left", "right"):
                moves = int(re.search(r"move (\d+)", place.prompt)[1])
                assert len(shown[side]["game"]["steps"]) == moves
                black = sum(len(step["taken"]) for step in shown[side]["game"]["steps"] if step["color"] == "black")
                assert black == shown[side]["taken"][0]
            boards.judge(place.id, "anna", "a")
        for stored in poems.pairs():
            if stored.pair.known is not None:
                a, b = critic.gold([stored.pair.prompt] * 2, [stored.pair.a, stored.pair.b])
                assert (stored.pair.known == "a") == (a > b)
        assert [labelling.id for labelling in demo_projects(store)] == [boards.id, poems.id]


def started(*arguments: str) -> tuple[subprocess.Popen, str]:
    """A server in a process of its own, and what it said until it was ready."""
    program = "import sys; from foolsgold.cli import main; sys.argv[0] = 'foolsgold'; main()"
    command = [sys.executable, "-c", program, "label", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("stop with"):
            break
    return process, said


async def answers(link: str, count: int) -> tuple[str, set[int]]:
    """A rater's name as the server knows it, and the places whose answers it acknowledged."""
    import httpx

    base, _, token = link.partition("#")
    origin, _, project = base.partition("/label/")
    async with httpx.AsyncClient(base_url=origin, headers={"origin": origin}, timeout=30) as client:
        await client.post(f"/api/label/{project}/sign-in", json={"token": token})
        state = (await client.post(f"/api/label/{project}/open", json={})).json()
        rater, acknowledged = state["rater"], set()
        for _ in range(count):
            place = state["place"]["id"]
            body = {"place": place, "answer": "tie"}
            state = (await client.post(f"/api/label/{project}/judge", json=body)).raise_for_status().json()
            acknowledged.add(place)
    return rater, acknowledged


@pytest.mark.slow
def test_thirty_raters_at_once_and_the_server_killed_nothing_is_lost(tmp_path):
    rows = [{"prompt": f"p {i}", "a": f"x {i}", "b": f"y {i}"} for i in range(300)]
    data, store = written(tmp_path, *rows), str(tmp_path / "s.sqlite")
    names = ",".join(f"rater{i:02d}" for i in range(30))
    process, said = started("--store", store, "--project", "load", "--data", data, "--raters", names)
    try:
        links = re.findall(r"http://\S+/label/\S+#\S{43}", said)

        async def everybody():
            return await asyncio.gather(*[answers(link, 5) for link in links])

        told = asyncio.run(everybody())
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with open_store(store) as opened:
        kept = {comparison.source["place"]: comparison.rater for comparison in opened.comparisons(planted=True)}
    assert kept == {place: rater for rater, places in told for place in places}
    assert len(kept) == 150


@pytest.mark.slow
def test_the_demo_starts_prints_links_and_stops_when_interrupted(tmp_path):
    process, said = started("--demo", "--store", str(tmp_path / "demo.sqlite"))
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert len(re.findall(r"http://127\.0\.0\.1:\d+/label/[12]#\S{43}", said)) == 4
    assert re.search(r"administrator  http://127\.0\.0\.1:\d+/admin#\S{43}", said)
