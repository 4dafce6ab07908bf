"""How fast invariants are judged: in this process, and by processes of their own.

    python bench/verifiers_annotations.py [--answers 512] [--workers 2] [--rounds 3]

Answers of workers of the world `annotations` to its problems, all of them different, in batches of 128 as in a step of
RL. The last line is one JSON object. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import tyro
from rich.console import Console

from foolsgold.environments.loops.world import Loops
from foolsgold.rewards.verifiers.annotations import AnnotationsVerifier
from rounds import machine, print_table, take_turns

BATCH = 128

NOTES = [
    "a verdict: three questions to z3 and more, each counterexample evaluated again, and where all hold the states of "
    "40 plain runs",
    "every answer is judged afresh; the same answer to the same program again costs a look into a table",
]


@dataclass(frozen=True)
class Arguments:
    answers: int = 512
    """Judged in a round."""
    workers: int = 2
    """Processes."""
    rounds: int = 3


def different(n: int) -> tuple[list[str], list[str]]:
    """(programs, answers), no pair twice."""
    pairs: dict[tuple[str, str], None] = {}
    seed = 0
    while len(pairs) < n:
        for problem, answer in Loops().demonstrations(n, seed):
            pairs.setdefault((problem.columns["program"], answer))
        seed += 1
    programs, answers = zip(*list(pairs)[:n], strict=True)
    return list(programs), list(answers)


def verdicts_per_second(verifier: AnnotationsVerifier, programs: list[str], answers: list[str]) -> Callable[[], float]:
    """A round: all answers in batches."""

    def measure() -> float:
        start = time.perf_counter()
        for i in range(0, len(answers), BATCH):
            batch = slice(i, i + BATCH)
            verifier.verdicts([""] * len(answers[batch]), answers[batch], program=programs[batch])
        return len(answers) / (time.perf_counter() - start)

    return measure


def main(arguments: Arguments) -> None:
    programs, answers = different(arguments.answers)
    ours, starts = {}, {}
    verifiers = {f"{n} processes" if n else "this process": n for n in (0, 1, arguments.workers)}
    for name, workers in verifiers.items():
        began = time.perf_counter()
        verifier = AnnotationsVerifier(workers, remembered=0)
        verifier.verdicts([""], answers[:1], program=programs[:1])
        starts[name] = time.perf_counter() - began
        ours[name] = verdicts_per_second(verifier, programs, answers)
    measured = take_turns(ours, arguments.rounds)
    base = measured["this process"]
    rows = [
        ("invariants", name, str(found), str(found.over(base)), f"{starts[name]:.1f}")
        for name, found in measured.items()
    ]
    print_table(Console(), "Verdicts on invariants", rows, NOTES, rate="verdicts/s")
    ratios = {name: found.over(base).median for name, found in measured.items()}
    rates = {name: found.median for name, found in measured.items()}
    print(json.dumps({"bench": "verifiers_annotations", "machine": machine(), "rates": rates, "ratios": ratios}))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
