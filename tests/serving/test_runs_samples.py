"""Samples are found where studies keep them, and read a page at a time."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from foolsgold.environments.go import rules
from foolsgold.errors import UserError
from foolsgold.serving.runs_boards import grid_of
from foolsgold.serving.runs_samples import PAGE, Source, samples, sources


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_sources(tmp_path: Path) -> None:
    for step in (16, 0):
        write(tmp_path / "arms" / "main" / f"evaluation-{step:05d}.json", "{}")
    for name in (
        "samples.jsonl",
        "traces/train.jsonl",
        "metrics.jsonl",
        "to-judge.jsonl",
        "judgements.jsonl",
        "labels.jsonl",
    ):
        write(tmp_path / name, "")
    write(tmp_path / "checkpoints" / "rl" / "finished-00003.safetensors", "")
    write(tmp_path / "models" / "m" / "rows.jsonl", "")
    (tmp_path / "linked.jsonl").symlink_to(tmp_path / "samples.jsonl")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sources(tmp_path) == [
        Source("arms/main", "evaluations", (0, 16)),
        Source("checkpoints/rl", "games", (3,)),
        Source("samples.jsonl", "rows", ()),
        Source("traces/train.jsonl", "rows", ()),
    ]


def test_rows_come_a_page_at_a_time(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "completion": f"c{i}", "proxy": i / 2, "gold": None} for i in range(PAGE + 5)]
    path = write(tmp_path / "samples.jsonl", "".join(json.dumps(row) + "\n" for row in rows) + '{"prompt": "half')
    source = Source("samples.jsonl", "rows", ())
    first = samples(tmp_path, source, 0)
    assert [sample.text for sample in first.samples] == [f"c{i}" for i in range(PAGE)]
    assert first.samples[3].facts == {"proxy": 1.5}
    assert first.next is not None
    second = samples(tmp_path, source, first.next)
    assert [sample.prompt for sample in second.samples] == [f"p{i}" for i in range(PAGE, PAGE + 5)]
    assert second.next is None
    # Somewhere in the middle of a line, and beyond the end.
    assert samples(tmp_path, source, first.next + 3).samples[0].prompt == f"p{PAGE + 1}"
    assert samples(tmp_path, source, path.stat().st_size + 99).samples == []


def test_rows_that_are_no_samples_are_shown_as_they_are(tmp_path: Path) -> None:
    turns = [{"role": "assistant", "content": "hi"}]
    rows = [{"step": 1, "reward": 0.5}, {"completion": turns, "solved": True}, {"deep": {"a": [1]}}, [1], "x"]
    write(tmp_path / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows) + "no json\n")
    found = samples(tmp_path, Source("rows.jsonl", "rows", ()), 0).samples
    assert [(sample.text, sample.facts) for sample in found[:2]] == [
        ("", {"step": 1, "reward": 0.5}),
        (turns, {"solved": True}),
    ]
    assert json.loads(found[2].text) == {"deep": {"a": [1]}}
    assert len(found) == 3


def test_evaluations_of_poems_and_of_programs(tmp_path: Path) -> None:
    poems = {"step": 8, "poems": [["Write.", "the sea", 1.5, 0.25]]}
    write(tmp_path / "arms" / "main" / "evaluation-00008.json", json.dumps(poems))
    write(tmp_path / "arms" / "main" / "evaluation-00016.json", json.dumps({"evaluation": poems, "readings": {}}))
    loved = {"loved": [{"prompt": "p", "text": "def f()", "outcome": "invalid", "proxy": 1.0}]}
    write(tmp_path / "arms" / "main" / "evaluation-00024.json", json.dumps(loved))
    (source,) = sources(tmp_path)
    for at, following in ((8, 16), (16, 24)):
        page = samples(tmp_path, source, at)
        assert [(each.prompt, each.text, each.facts) for each in page.samples] == [
            ("Write.", "the sea", {"proxy": 1.5, "gold": 0.25})
        ]
        assert page.next == following
    (program,) = samples(tmp_path, source, 24).samples
    assert program.text == "def f()"
    assert program.facts == {"kept as": "loved", "outcome": "invalid", "proxy": 1.0}


@pytest.mark.parametrize(
    "text", ["", "[]", "[1]", '{"poems": [["a"]]}', '{"loved": [3]}', '{"loved": {"a": 1}}', "[" * 9999]
)
def test_a_broken_evaluation_is_said_to_be(tmp_path: Path, text: str) -> None:
    write(tmp_path / "a" / "evaluation-00001.json", text)
    (source,) = sources(tmp_path)
    with pytest.raises(UserError, match="a at 1 cannot be read"):
        samples(tmp_path, source, 1)
    with pytest.raises(UserError, match="nothing at 2"):
        samples(tmp_path, source, 2)


def test_finished_games_show_whom_the_referee_and_the_score_disagree_on(tmp_path: Path) -> None:
    state = rules.new_state(5)
    state[rules.COLOR, rules.point_of(np.array([0, 6]), 5)] = [rules.BLACK, rules.WHITE]
    folder = tmp_path / "checkpoints" / "rlhf"
    folder.mkdir(parents=True)
    save_file(
        {
            "states": np.stack([state, state, state]).view(np.int16),
            "komi": np.full(3, 7.5, np.float32),
            "result": np.ones(3, np.float32),
            "margin": np.array([4.0, 3.0, 9.0], np.float32),
            "score": np.array([-2.0, -12.5, 9.0], np.float32),
        },
        folder / "finished-00000.safetensors",
    )
    (source,) = sources(tmp_path)
    page = samples(tmp_path, source, 0)
    assert [each.facts["gold"] for each in page.samples] == [
        "score: White by 12.5",
        "score: White by 2.0",
        "score: Black by 9.0",
    ]
    assert page.samples[0].facts["proxy"] == "referee: Black by 3.0"
    grid = grid_of(page.samples[0].text)
    assert grid is not None
    assert grid.tolist() == [[1, 0, 0, 0, 0], [0, 2, 0, 0, 0], [0] * 5, [0] * 5, [0] * 5]


@pytest.mark.parametrize("content", [b"", b"x" * 99, b"\xff" * 8])
def test_broken_games_are_said_to_be(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "finished-00000.safetensors").write_bytes(content)
    (source,) = sources(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        samples(tmp_path, source, 0)


@pytest.mark.parametrize(
    "text", ["", "poem", ".../...", "...../...../...../....", "...../...../...../...../....x", "./" * 30 + ".", "<svg>"]
)
def test_what_is_no_board(text: str) -> None:
    assert grid_of(text) is None


def test_a_board() -> None:
    grid = grid_of("X..../...../..O../...../..... 3-0")
    assert grid is not None
    assert (grid[0, 0], grid[2, 2], int((grid > 0).sum())) == (rules.BLACK, rules.WHITE, 2)
