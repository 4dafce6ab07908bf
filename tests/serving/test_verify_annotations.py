"""Annotations from the command line: problems written, their references judged, verdicts reached again."""

import json
from pathlib import Path

import pytest

pytest.importorskip("z3")

from foolsgold.rewards.verifiers.registry import load_verifier_reward
from foolsgold.serving.tasks_command import TasksCommand
from foolsgold.serving.tasks_command import main as write_tasks
from foolsgold.serving.verify_command import VerifyCommand, main

SYGUS = """(set-logic LIA)
(synth-inv inv ((x Int)))
(define-fun pre ((x Int)) Bool (= x 0))
(define-fun trans ((x Int) (x! Int)) Bool (= x! (+ x 2)))
(define-fun post ((x Int)) Bool (>= x 0))
(inv-constraint inv pre trans post)
(check-synth)"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tasks") / "loops.jsonl"
    write_tasks(TasksCommand(world="annotations", split="test", n=12, out=str(path)))
    return path


def test_references_of_the_world_prove_their_programs_and_do_so_again(tasks, tmp_path, capsys):
    out = tmp_path / "verdicts.jsonl"
    main(VerifyCommand(verifier="annotations", data=str(tasks), column="reference", out=str(out)))
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    assert [each["outcome"] for each in verdicts] == ["passed"] * 12
    main(VerifyCommand(replay=str(out)))
    assert "12 verdicts, all the same" in capsys.readouterr().out


def test_problems_of_both_formats_are_judged_side_by_side(tmp_path, capsys):
    loop = "x = 0;\nwhile (*) {\n  x += 2;\n}\nassert(x % 2 == 0);"
    rows = [
        {"task_id": "sygus", "program": SYGUS, "completion": "(>= x 0)"},
        {"task_id": "again", "program": SYGUS, "completion": "(<= x 9)"},
        {"task_id": "loop", "program": loop, "completion": "x % 2 == 0"},
    ]
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    main(VerifyCommand(verifier="annotations", data=str(path), out=str(tmp_path / "verdicts.jsonl")))
    lines = (tmp_path / "verdicts.jsonl").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["passed", "wrong", "passed"]


def test_a_trainer_pays_for_the_column_program(tasks):
    rows = [json.loads(line) for line in tasks.read_text().splitlines()]
    reward = load_verifier_reward("verifier:annotations")
    answers = [row["reference"] for row in rows[:2]] + ["true"]
    asked = {name: [row[name] for row in [*rows[:2], rows[2]]] for name in ("program", "family", "grade")}
    assert reward([row["prompt"] for row in rows[:3]], answers, **asked) == [1.0, 1.0, 0.0]
