"""HumanEval's own solutions, and what becomes of them with one mistake; its tests without a sandbox are the truth."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from mutations import mutants

from foolsgold.rewards.sandbox import Limits, Sandbox
from foolsgold.rewards.verifiers.code import CodeVerifier

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "code" / "HumanEval.jsonl.gz"
LIMITS = Limits(cpu_s=2.0, wall_s=30.0)
TOGETHER = 128
PLAIN = """
import json, signal, sys
def stop(*_):
    raise BaseException("over time")
signal.signal(signal.SIGPROF, stop)
out, sys.stdout = sys.stdout, sys.stderr
passed = []
for program, test, entry in json.load(sys.stdin):
    signal.setitimer(signal.ITIMER_PROF, 2)
    try:
        space = {"__name__": "plain"}
        exec(program + "\\n" + test, space)
        space["check"](space[entry])
        passed.append(True)
    except BaseException:
        passed.append(False)
    signal.setitimer(signal.ITIMER_PROF, 0)
json.dump(passed, out)
"""
"""Runs programs and their tests in one process, as HumanEval's authors do; only for programs that are known."""

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="HumanEval is not here")


@pytest.fixture(scope="module")
def tasks() -> list[dict]:
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def verifier():
    with Sandbox() as sandbox:
        yield CodeVerifier(sandbox, LIMITS)


def outcomes(verifier, tasks: list[dict], completions: list[str]) -> list[str]:
    found = []
    for i in range(0, len(tasks), TOGETHER):
        some = tasks[i : i + TOGETHER]
        columns = {name: [task[name] for task in some] for name in ("test", "entry_point")}
        found += verifier.verdicts([task["prompt"] for task in some], completions[i : i + TOGETHER], **columns)
    return [each.outcome for each in found]


def plain(tasks: list[dict], programs: list[str]) -> list[bool]:
    asked = [(program, task["test"], task["entry_point"]) for program, task in zip(programs, tasks, strict=True)]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def check_mutants(verifier, tasks: list[dict]) -> tuple[int, int]:
    """(how many mutants, how many were rejected)"""
    changed = [
        (task, program)
        for task in tasks
        for _, program in mutants(task["prompt"] + task["canonical_solution"], task["entry_point"])
    ]
    of, programs = [task for task, _ in changed], [program for _, program in changed]
    found = outcomes(verifier, of, programs)
    assert [outcome == "passed" for outcome in found] == plain(of, programs)
    assert not {"invalid", "output", "refused"} & set(found)
    return len(found), len(found) - found.count("passed")


def test_some_solutions_pass_and_their_mutants_fare_as_without_a_sandbox(verifier, tasks):
    some = [tasks[i] for i in (2, 4, 38, 50, 53, 60)]  # two need the helpers of their prompts, three draw inputs
    assert set(outcomes(verifier, some, [task["canonical_solution"] for task in some])) == {"passed"}
    assert check_mutants(verifier, some) == (20, 20)


def test_all_solutions_pass(verifier, tasks):
    assert outcomes(verifier, tasks, [task["canonical_solution"] for task in tasks]) == ["passed"] * 164


@pytest.mark.slow
def test_all_mutants_fare_as_without_a_sandbox(verifier, tasks):
    """Those that pass are equivalent to the solution, or differ where HumanEval does not look."""
    count, rejected = check_mutants(verifier, tasks)
    assert count == 1523
    assert rejected / count > 0.87
