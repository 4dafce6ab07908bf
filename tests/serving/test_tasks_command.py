"""Problems as a data set that other commands read."""

from __future__ import annotations

import json

import pytest

from foolsgold.environments.code_tasks.world import CodeTasks
from foolsgold.errors import UserError
from foolsgold.serving.tasks_command import TasksCommand, main


def written(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_worlds_problems(tmp_path, capsys):
    main(TasksCommand(world="code", split="test", n=5, seed=3, out=str(tmp_path / "code.jsonl")))
    rows, problems = written(tmp_path / "code.jsonl"), CodeTasks().problems("test", 5, 3)
    assert [row["prompt"] for row in rows] == [each.prompt for each in problems]
    assert [row["tests"] for row in rows] == [each.columns["tests"] for each in problems]
    assert [row["reference"] for row in rows] == [each.answer for each in problems]
    assert "5 rows" in capsys.readouterr().out


def test_demonstrations_are_pairs_to_imitate(tmp_path):
    main(TasksCommand(world="code", demonstrations=True, n=4, out=str(tmp_path / "pairs.jsonl")))
    pairs = [(problem.prompt, answer) for problem, answer in CodeTasks().demonstrations(4, 0)]
    assert [(row["prompt"], row["completion"]) for row in written(tmp_path / "pairs.jsonl")] == pairs


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "one of them"),
        ({"world": "code", "taskset": "sums"}, "one of them"),
        ({"world": "code", "n": 0}, "at least 1"),
        ({"world": "code", "split": "test", "demonstrations": True}, "train split"),
    ],
)
def test_settings_that_say_nothing_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        TasksCommand(out="tasks.jsonl", **settings)
