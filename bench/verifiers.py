"""What verifying costs: Python programs in the sandbox, translations from Java, invariants, and proofs by Coq.

    python bench/verifiers.py [--quick] [--programs 400] [--fresh 40] [--rounds 5]

Rows whose tools are not installed are left out, and said to be. Contestants take turns in one run. The last line is
one JSON object. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial

import tyro
from rich.console import Console

import verifiers_annotations
import verifiers_java
from foolsgold.environments.theorems.world import Theorems
from foolsgold.rewards.sandbox import Job, Limits, Program, ProgramResult, Sandbox, Tests, TestsResult, sandboxed
from foolsgold.rewards.verifiers.annotations import AnnotationsVerifier
from foolsgold.rewards.verifiers.coq import STEPS, CoqVerifier
from foolsgold.rewards.verifiers.verdict import Verifier
from rounds import Measured, machine, print_table, take_turns

SOURCE = "numbers = sorted(map(int, input().split()))\nprint(sum(numbers), numbers[0], numbers[-1])\n"
STDIN, STDOUT = "5 3 9 1", "18 1 9\n"
FUNCTION = "def middle(numbers):\n    numbers = sorted(numbers)\n    return numbers[len(numbers) // 2]\n"
TESTS = ["assert middle([3, 1, 2]) == 2", "assert middle([5]) == 5", "assert middle([4, 4, 1, 9, 7]) == 4"]
NOTES = [
    "program: reads a line, sorts, prints; tests: three assertions of one function, which runs apart from them",
    "sandbox: one worker for each processor, each program a fork in namespaces of its own, behind a filter of calls",
    "bwrap python3: a fresh interpreter in a fresh bubblewrap, one after the other, read-only system, no network, the "
    "same limits, no filter of calls",
    "python3: a fresh interpreter, one after the other, with no protection at all",
    *verifiers_java.NOTES,
    *verifiers_annotations.NOTES,
    "coq: right proofs of the world theorems, tactic by tactic, closed by the kernel and searched for axioms, in one "
    "session",
]
Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Arguments:
    programs: int = 400
    """For the sandbox, in each round."""
    fresh: int = 40
    """For fresh interpreters, in each round."""
    rounds: int = 5
    """How often each contestant is measured."""
    methods: int = 200
    """Translated from Java, in each round."""
    answers: int = 512
    """Invariants, in each round."""
    theorems: int = 200
    """Proved in Coq, in each round."""
    quick: bool = False
    """A tenth of all that, in two rounds: to see that it works, not to measure."""


def pool_rate(sandbox: Sandbox, job: Job, n: int) -> float:
    """Jobs a second, in one batch."""
    began = time.perf_counter()
    results = sandbox.run([job] * n)
    seconds = time.perf_counter() - began
    for result in results:
        right = (
            result.stdout == STDOUT
            if isinstance(result, ProgramResult)
            else isinstance(result, TestsResult) and set(result.results) == {"passed"}
        )
        if not right:
            raise SystemExit(f"the sandbox gave {result}")
    return n / seconds


def fresh_rate(argv: list[str], n: int) -> float:
    """Programs a second, one after the other."""
    began = time.perf_counter()
    for _ in range(n):
        done = subprocess.run(argv, input=STDIN, capture_output=True, text=True)
        if done.stdout != STDOUT:
            raise SystemExit(f"{argv[0]} gave {done}")
    return n / (time.perf_counter() - began)


def bench_python(arguments: Arguments) -> tuple[Rows, dict[str, Measured]]:
    """Programs and tested functions a second."""
    plain = ["/usr/bin/python3", "-I", "-S", "-c", SOURCE]
    began = time.perf_counter()
    with Sandbox(Limits(wall_s=60)) as sandbox:
        sandbox.run([Program(SOURCE, STDIN)])
        start = time.perf_counter() - began
        program, tests = Program(SOURCE, STDIN), Tests(FUNCTION, "middle", TESTS)
        contestants = {
            "sandbox": partial(pool_rate, sandbox, program, arguments.programs),
            "bwrap python3": partial(fresh_rate, sandboxed(plain, limits=Limits()), arguments.fresh),
            "python3": partial(fresh_rate, plain, arguments.fresh),
            "sandbox, tests": partial(pool_rate, sandbox, tests, arguments.programs),
        }
        measured = take_turns(contestants, arguments.rounds)
    rows: Rows = []
    for name, rate in measured.items():
        ratio = f"{measured['sandbox'].over(rate)} x" if name in ("bwrap python3", "python3") else ""
        what = "programs" if name == "sandbox" else "tested functions" if name == "sandbox, tests" else ""
        rows.append((what, name.split(",")[0], str(rate), ratio, f"{start:.1f}" if name == "sandbox" else ""))
    return rows, measured


def bench_java(arguments: Arguments) -> tuple[Rows, dict[str, Measured]]:
    """Translated methods a second."""
    measured = verifiers_java.rates(arguments.methods, arguments.rounds)
    return verifiers_java.rows(measured), measured


def bench_annotations(arguments: Arguments) -> tuple[Rows, dict[str, Measured]]:
    """Invariants a second, by two processes."""
    programs, answers = verifiers_annotations.different(arguments.answers)
    began = time.perf_counter()
    with AnnotationsVerifier(workers=2, remembered=0) as verifier:
        verifier.verdicts([""], answers[:1], program=programs[:1])
        start = time.perf_counter() - began
        measure = verifiers_annotations.verdicts_per_second(verifier, programs, answers)
        measured = take_turns({"2 processes": measure}, arguments.rounds)
    return [("invariants", "2 processes", str(measured["2 processes"]), "", f"{start:.1f}")], measured


def bench_coq(arguments: Arguments) -> tuple[Rows, dict[str, Measured]]:
    """Proofs a second."""
    problems = Theorems("coq").problems("train", arguments.theorems, seed=0)
    verifier = CoqVerifier(tactics=STEPS)
    began = time.perf_counter()
    proofs_per_second(verifier, [problems[0].columns["statement"]], [problems[0].answer])
    start = time.perf_counter() - began
    statements, answers = [each.columns["statement"] for each in problems], [each.answer for each in problems]
    measured = take_turns({"one session": partial(proofs_per_second, verifier, statements, answers)}, arguments.rounds)
    verifier.close()
    return [("proofs in Coq", "one session", str(measured["one session"]), "", f"{start:.1f}")], measured


def proofs_per_second(verifier: Verifier, statements: list[str], answers: list[str]) -> float:
    began = time.perf_counter()
    verdicts = verifier.verdicts(statements, answers, statement=statements)
    seconds = time.perf_counter() - began
    wrong = [verdict for verdict in verdicts if verdict.outcome != "passed"]
    if wrong:
        raise SystemExit(f"a right proof was judged {wrong[0]}")
    return len(verdicts) / seconds


BENCHES = {
    "Python": (bench_python, True),
    "java": (bench_java, shutil.which("javac")),
    "annotations": (bench_annotations, importlib.util.find_spec("z3")),
    "coq": (bench_coq, shutil.which("coqtop")),
}
"""By verifier; and whether its tool is there."""


def main(arguments: Arguments) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    if arguments.quick:
        arguments = replace(arguments, programs=40, fresh=4, rounds=2, methods=20, answers=64, theorems=20)
    found: dict[str, dict[str, float]] = {"ratios": {}, "rates": {}}
    table: Rows = []
    for name, (bench, installed) in BENCHES.items():
        if not installed:
            console.print(f"{name}: its tool is not installed; left out")
            continue
        rows, measured = bench(arguments)
        table += rows
        found["rates"] |= {f"{name} {who}, /s": round(rate.median, 1) for who, rate in measured.items()}
        if name == "Python":
            over = {who: measured["sandbox"].over(measured[who]).median for who in ("bwrap python3", "python3")}
            found["ratios"] |= {f"Python sandbox / {who}": round(ratio, 2) for who, ratio in over.items()}
        if name == "java":
            kept = measured["Java kept"].over(measured["Python side alone"]).median
            found["ratios"]["java kept / python alone"] = round(kept, 2)
    print_table(console, "Verifiers", table, NOTES, rate="per second")
    print(json.dumps({"bench": "verifiers", "machine": machine(), **found}), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
