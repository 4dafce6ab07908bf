"""What verifying costs: small Python programs in the sandbox's warm pool against a fresh bubblewrap for each.

    python bench/verifiers.py [--programs 400] [--fresh 40] [--rounds 5]

Contestants take turns in one run. The last line is one JSON object. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial

import tyro
from rich.console import Console

from foolsgold.rewards.sandbox import Job, Limits, Program, ProgramResult, Sandbox, Tests, TestsResult, sandboxed
from rounds import machine, print_table, take_turns

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
]


@dataclass(frozen=True)
class Arguments:
    programs: int = 400
    """For the sandbox, in each round."""
    fresh: int = 40
    """For fresh interpreters, in each round."""
    rounds: int = 5
    """How often each contestant is measured."""


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


def bench_python(arguments: Arguments, found: dict[str, dict[str, float]], console: Console) -> None:
    """Programs a second."""
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
    rows: list[tuple[str, ...]] = []
    for name, rate in measured.items():
        found["rates"][f"Python {name}, /s"] = round(rate.median, 1)
        ratio = ""
        if name in ("bwrap python3", "python3"):
            over = measured["sandbox"].over(rate)
            found["ratios"][f"Python sandbox / {name}"] = round(over.median, 2)
            ratio = f"{over} x"
        what = "programs/s" if name == "sandbox" else "tested functions/s" if name == "sandbox, tests" else ""
        rows.append((what, name.split(",")[0], str(rate), ratio, f"{start:.1f}" if name == "sandbox" else ""))
    print_table(console, "Python", rows, NOTES, rate="per second")


def main(arguments: Arguments) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    found: dict[str, dict[str, float]] = {"ratios": {}, "rates": {}}
    bench_python(arguments, found, console)
    print(json.dumps({"bench": "verifiers", "machine": machine(), **found}), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
