"""What the java verifier costs: methods a second, first seen and seen before, beside the Python side alone.

    python bench/verifiers_java.py [--methods 200] [--rounds 3]

The last line is one JSON object. `rows` is for a table with other verifiers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import tyro
from rich.console import Console

from foolsgold.environments.java_tasks.world import JavaTasks
from foolsgold.rewards.sandbox import Sandbox
from foolsgold.rewards.verifiers.java import JavaProblem, JavaVerifier
from foolsgold.rewards.verifiers.java_server import JavaServer
from rounds import Measured, machine, print_table, take_turns

NOTES = [
    "methods of the world java with their answers; 10 generated inputs each, and those of the world where it has some",
    "new methods: compiled and run on 40 drawn inputs, then the translation on the 10 chosen, all in one batch",
    "Java kept: the same methods again, as for a group's completions in RL; Python side alone: the sandbox's part",
]


@dataclass(frozen=True)
class Arguments:
    """What to measure."""

    methods: int = 200
    """Methods in a batch."""
    rounds: int = 3
    """Turns of each contestant."""


def rates(methods: int, rounds: int) -> dict[str, Measured]:
    """Methods a second on a warm JVM and a warm sandbox."""
    problems = JavaTasks().problems("train", methods, seed=0)
    columns = {name: [each.columns.get(name) for each in problems] for name in problems[0].columns}
    prompts, answers = [each.prompt for each in problems], [each.answer for each in problems]

    def rate(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        return methods / (time.perf_counter() - began)

    with Sandbox() as sandbox, JavaServer() as server:

        def verifier() -> JavaVerifier:
            return JavaVerifier(generated=10, largest=1000, sandbox=sandbox, server=server)

        warm = verifier()
        warm.verdicts(prompts, answers, **columns)
        asked = [
            JavaProblem(each["java"], each["entry_point"], "", tuple(map(tuple, each.get("inputs") or ())))
            for each in (problem.columns for problem in problems)
        ]
        references = warm.references(asked)
        translations = [
            (problem, reference, answer)
            for problem, reference, answer in zip(asked, references, answers, strict=True)
            if not isinstance(reference, str)
        ]
        return take_turns(
            {
                "new methods": lambda: rate(lambda: verifier().verdicts(prompts, answers, **columns)),
                "Java kept": lambda: rate(lambda: warm.verdicts(prompts, answers, **columns)),
                "Python side alone": lambda: rate(lambda: warm.translated(translations)),
            },
            rounds,
        )


def rows(measured: dict[str, Measured]) -> list[tuple[str, ...]]:
    """For `rounds.print_table`; methods seen before are compared with the others."""
    kept = measured["Java kept"]
    return [
        ("java", who, str(each), "" if each is kept else str(kept.over(each)), "") for who, each in measured.items()
    ]


def main(arguments: Arguments) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    measured = rates(arguments.methods, arguments.rounds)
    print_table(console, "Translations from Java", rows(measured), NOTES, "methods/s")
    kept = measured["Java kept"].over(measured["Python side alone"]).median
    found = {
        "ratios": {"java kept / python alone": kept},
        "rates": {who: each.median for who, each in measured.items()},
    }
    print(json.dumps({"bench": "verifiers_java", "machine": machine(), **found}), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
