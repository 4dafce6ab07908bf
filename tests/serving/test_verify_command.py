"""Verdicts from the command line: files of them, tables, resuming, replaying."""

from __future__ import annotations

import json

import pytest
import torch
from scipy.special import comb

from foolsgold import cli
from foolsgold.errors import UserError
from foolsgold.objectives.statistics import wilson_interval
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.hub import save_policy
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.rewards.sandbox import Sandbox
from foolsgold.rewards.scoring import Scorer
from foolsgold.rewards.verifiers.code import CodeVerifier
from foolsgold.rewards.verifiers.maths import MathsVerifier
from foolsgold.rewards.verifiers.verdict import Verdict, VerifierFailure, VerifierReward
from foolsgold.serving.reward_specs import absolute_spec, load_rewards
from foolsgold.serving.verdict_tables import figures, read_lines
from foolsgold.serving.verify_command import VerifyCommand, answers_of, main

TASKS = [
    {"task_id": "add", "prompt": "def f(x):\n", "tests": ["assert f(0) == 1", "assert f(2) == 3"]},
    {"task_id": "two", "prompt": "def g():\n", "tests": ["assert g() == 2"]},
]
SUMS = [{"question": "1 + 1?", "answer": "so 1+1=2\n#### 2"}, {"question": "2 + 3?", "answer": "#### 5"}]


def write(path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def tasks(tmp_path) -> str:
    return write(tmp_path / "tasks.jsonl", TASKS)


@pytest.fixture
def samples(tmp_path) -> str:
    """Four answers to the first task, of which two pass, and four to the second, of which none does."""
    answers = ["    return x + 1\n", "    return 1\n", "```python\ndef f(x):\n    return 1 + x\n```", "pardon?"]
    rows = [{"task_id": "add", "completion": each} for each in answers]
    rows += [{"task_id": "two", "completion": "    return 3\n"}] * 4
    return write(tmp_path / "samples.jsonl", rows)


def test_answers_in_a_file_of_their_own_are_judged_and_counted(tasks, samples, tmp_path, capsys):
    out = tmp_path / "new" / "verdicts.jsonl"
    main(VerifyCommand(verifier="code", data=tasks, completions=samples, out=str(out), partial=True))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["outcome"] for row in rows] == ["passed", "wrong", "passed", "invalid", *["wrong"] * 4]
    assert [(row["passed"], row["of"]) for row in rows[:4]] == [(2, 2), (1, 2), (2, 2), (0, 2)]
    assert set(rows[0]["record"]) == {"verifier", "prompt", "completion", "columns", "limits", "versions"}
    shown = capsys.readouterr().out
    for row in ("passed 2", "wrong 5", "invalid 1", "pass rate 25.0 %", "pass@1 25.0 %", "pass@4 50.0 %"):
        assert row in " ".join(shown.replace("│", " ").split())
    by_name = {figure.name: figure for figure in figures(read_lines(out), partial=True)}
    assert by_name["checks passed"].value == 2.5 / 8  # shares 1, 1/2, 1, 0 and four of 0
    assert by_name["pass@2"].value == pytest.approx((1 - comb(2, 2) / comb(4, 2)) / 2)
    assert (by_name["pass@2"].low, by_name["pass@2"].high) == pytest.approx((0, 5 / 6))  # of two tasks


def test_single_answers_have_wilsons_interval(tmp_path, capsys):
    data = write(tmp_path / "sums.jsonl", [{**each, "completion": "#### 2"} for each in SUMS])
    main(VerifyCommand(verifier="maths", data=data))
    shown = capsys.readouterr().out
    assert "'row 1'  passed (1 of 1)\n" in shown
    assert "'row 2'  wrong (0 of 1): expected 5\n" in shown
    assert "pass@" not in shown
    low, high = wilson_interval(1, 2)
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in shown


def test_an_interrupted_command_goes_on_where_it_was(tmp_path, monkeypatch):
    data = write(tmp_path / "sums.jsonl", [{**each, "completion": "#### 2"} for each in SUMS * 40])
    out = tmp_path / "verdicts.jsonl"
    command = VerifyCommand(verifier="maths", data=data, out=str(out))
    judge, calls = MathsVerifier.verdicts, []

    def verdicts(self, prompts, completions, **columns):
        calls.append(len(prompts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judge(self, prompts, completions, **columns)

    monkeypatch.setattr(MathsVerifier, "verdicts", verdicts)
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 130
    with out.open("a") as file:
        file.write('{"task": "half a li')
    main(command)
    assert calls == [64, 16, 16]
    assert [line.outcome for line in read_lines(out)] == ["passed", "wrong"] * 40
    main(command)
    assert calls == [64, 16, 16]
    write(tmp_path / "sums.jsonl", [{**each, "completion": "#### 3"} for each in SUMS * 40])
    with pytest.raises(UserError, match="line 1 is a verdict on something else"):
        main(command)


def test_a_replay_tells_what_differs(tasks, samples, tmp_path, capsys):
    out = tmp_path / "verdicts.jsonl"
    main(VerifyCommand(verifier="code", data=tasks, completions=samples, out=str(out)))
    main(VerifyCommand(replay=str(out)))
    assert "8 verdicts, all the same" in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    rows[1] |= {"outcome": "passed", "passed": 2}
    rows[1]["record"]["versions"]["python"] = "2.7"
    write(out, rows)
    with pytest.raises(SystemExit) as ended:
        main(VerifyCommand(replay=str(out)))
    assert ended.value.code == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 of 8 verdicts differ" in shown
    assert "2.7" in shown


def test_a_verifier_that_fails_is_one_line_and_what_is_judged_is_kept(tasks, samples, tmp_path, monkeypatch):
    def fails(*_):
        raise VerifierFailure("no bubblewrap")

    monkeypatch.setattr(Sandbox, "run", fails)
    with pytest.raises(UserError, match=r"the verifier failed: no bubblewrap; the verdicts so far are in .*out\.jsonl"):
        main(VerifyCommand(verifier="code", data=tasks, completions=samples, out=str(tmp_path / "out.jsonl")))


def test_answers_are_joined_by_task_by_prompt_or_by_order(tmp_path):
    data = write(tmp_path / "data.jsonl", [{"prompt": "a", "answer": "1"}, {"prompt": "b", "answer": "2"}])
    backwards = [{"prompt": "b", "completion": "x"}, {"prompt": "a", "completion": "y"}]

    def joined(rows) -> list[tuple[str, str]]:
        answers = write(tmp_path / "answers.jsonl", rows)
        found = answers_of(VerifyCommand(verifier="maths", data=data, completions=answers))
        return [(each.completion, each.columns["answer"]) for each in found]

    assert joined(backwards) == [("x", "2"), ("y", "1")]
    assert joined([{"completion": "x"}, {"completion": "y"}]) == [("x", "1"), ("y", "2")]
    with pytest.raises(UserError, match="1 rows and"):
        joined([{"completion": "x"}])
    with pytest.raises(UserError, match="row 1: no task of"):
        joined([{"prompt": "c", "completion": "x"}])
    with pytest.raises(UserError, match="row 2 has no completion; name the column"):
        joined([{"prompt": "a", "completion": "x"}, {"prompt": "a", "answer": "x"}])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "--verifier and --data are missing"),
        ({"verifier": "maths"}, "--verifier and --data are missing"),
        ({"replay": "a.jsonl", "data": "b.jsonl"}, "--replay takes everything from its file"),
        ({"verifier": "maths", "data": "a.jsonl", "out": "b.csv"}, "written as .jsonl"),
        ({"verifier": "maths", "data": "a.jsonl", "unsafe_subprocess": True}, "--unsafe-subprocess is for"),
        ({"verifier": "taste", "data": "a.jsonl"}, "choose one of"),
        ({"verifier": "maths", "data": "nowhere.jsonl"}, "no file"),
        ({"replay": "nowhere.jsonl"}, "cannot be read"),
    ],
)
def test_a_mistake_is_said(settings, message):
    with pytest.raises(UserError, match=message):
        main(VerifyCommand(**settings))


def test_a_file_of_something_else_is_no_file_of_verdicts(tasks):
    with pytest.raises(UserError, match="line 1 is no verdict"):
        main(VerifyCommand(replay=tasks))


def test_rewards_are_verifiers_where_a_command_line_says_so(tmp_path, monkeypatch):
    rewards = load_rewards(["gold=verifier:maths@0", "verifier:code+partial@0.5", "verifier:maths"])
    assert [(each.name, each.weight) for each in rewards] == [("gold", 0), ("code", 0.5), ("maths", 1)]
    code = rewards[1].reward
    assert isinstance(code, VerifierReward)
    assert isinstance(code.verifier, CodeVerifier)
    assert code.partial
    scorer = Scorer([rewards[0], rewards[2]], failures=tmp_path)
    assert scorer.score(["", ""], ["#### 2", "#### 3"], answer=["2", "2"]).total.tolist() == [1, 0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "verifier").mkdir()
    assert absolute_spec("gold=verifier:code@0") == "gold=verifier:code@0"


def test_an_audit_asks_a_verifier_for_gold(tmp_path, monkeypatch):
    tokenizer = train_bpe(["1 2 3 4 5 6 7 8 9 0"] * 3, 270)
    torch.manual_seed(0)
    save_policy(tmp_path / "model", Decoder(DecoderConfig.sized(len(tokenizer), 16, 1)), tokenizer)
    (tmp_path / "proxy.py").write_text(
        "def proxy(completions, **columns):\n    return [sum(map(ord, c)) for c in completions]\n"
    )
    prompts = write(
        tmp_path / "prompts.jsonl", [{"prompt": "1 + 1 =", "answer": "2"}, {"prompt": "3 =", "answer": "3"}]
    )
    places = ("--policy", tmp_path / "model", "--proxy", tmp_path / "proxy.py:proxy", "--prompts", prompts)

    def verdicts(self, prompts, completions, answer, **columns):
        """A policy that knows nothing gives no right answers: half of its answers shall be."""
        assert set(answer) <= {"2", "3"}
        return [Verdict("passed" if sum(map(ord, each)) % 2 else "wrong", 1, 2) for each in completions]

    monkeypatch.setattr(MathsVerifier, "verdicts", verdicts)
    words = (*places, "--gold", "verifier:maths+partial", "--samples", 4, "--max-new-tokens", 2, "--out", tmp_path)
    monkeypatch.setattr("sys.argv", ["foolsgold", "audit", *map(str, words), "--device", "cpu"])
    cli.main()
    (samples,) = tmp_path.glob("audit-*/samples.jsonl")
    golds = [json.loads(line)["gold"] for line in samples.read_text().splitlines()]
    assert len(golds) == 8
    assert set(golds) == {0.5, 1.0}
