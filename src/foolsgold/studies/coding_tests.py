"""What tests that a policy wrote are worth: whether the right function passes them, and wrong ones fail them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from foolsgold.environments.code_tasks.functions import Function
from foolsgold.environments.code_tasks.parts import Part
from foolsgold.environments.problems import Problem
from foolsgold.rewards.verifiers.coding_loop import Check, CodingLoop, Ran, own_checks, passes


@dataclass(frozen=True)
class TestsWritten:
    """Of one text of tests for each of P problems."""

    __test__ = False  # no test of pytest's
    readable: np.ndarray
    """int64 `[P]`, tests that can be read."""
    right: np.ndarray
    """int64 `[P]`, of these, tests that the right function passes."""
    mutants: np.ndarray
    """int64 `[P]`, wrong programs."""
    caught: np.ndarray
    """int64 `[P]`, of these, those that fail a right test."""
    caught_by_given: np.ndarray
    """int64 `[P]`, those that fail a test that is given."""


def tests_written(loop: CodingLoop, problems: Sequence[Problem], texts: Sequence[str], mutants: int) -> TestsWritten:
    """Run the right function and up to `mutants` wrong ones of each problem on the tests of its text.

    Raises:
      VerifierFailure: the sandbox failed.
    """
    own = [own_checks(text, problem.columns["entry_point"]) for problem, text in zip(problems, texts, strict=True)]
    truths = loop.run([(each, each.answer, checks) for each, checks in zip(problems, own, strict=True)])
    right = [[c for c in checks if not _fails([c], ran)] for checks, ran in zip(own, truths, strict=True)]
    wrong = wrong_programs(loop, problems, mutants)
    attempts = [
        (problem, body, [*checks, *loop.given(problem)])
        for problem, bodies, checks in zip(problems, wrong, right, strict=True)
        for body in bodies
    ]
    results = iter(loop.run(attempts))
    ran = [[next(results) for _ in bodies] for bodies in wrong]
    caught = [[_fails(checks, each) for each in those] for checks, those in zip(right, ran, strict=True)]
    given = [[_fails(loop.given(p), each) for each in those] for p, those in zip(problems, ran, strict=True)]
    return TestsWritten(
        np.array([len(checks) for checks in own]),
        np.array([len(checks) for checks in right]),
        np.array([len(bodies) for bodies in wrong]),
        np.array([sum(each) for each in caught]),
        np.array([sum(each) for each in given]),
    )


def wrong_programs(loop: CodingLoop, problems: Sequence[Problem], most: int) -> list[list[str]]:
    """Bodies of each problem that are right but for one part, and that fail one of all its tests."""
    candidates = [(problem, body) for problem in problems for body in _one_part_wrong(problem)]
    right = loop.passes_hidden([problem for problem, _ in candidates], [body for _, body in candidates])
    found: dict[str, list[str]] = {}
    for (problem, body), passed in zip(candidates, right, strict=True):
        if not passed:
            found.setdefault(problem.prompt, []).append(body)
    return [found.get(problem.prompt, [])[:most] for problem in problems]


def _one_part_wrong(problem: Problem) -> list[str]:
    """In an order at random, three at most: not all of them are run."""
    function = Function(*problem.family.split("/"))
    bodies = []
    for name, part in function.parts.items():
        for form in part.forms[1:]:

            def write(table: str, other: Part, here: str = name, form: str = form) -> str:
                return form if table == here else other.forms[0]

            bodies.append(function.body(write))
    Random(f"mutants {problem.prompt}").shuffle(bodies)
    return bodies[:3]


def _fails(checks: Sequence[Check], ran: Ran | str) -> bool:
    return isinstance(ran, str) or not all(passes(check, ran[repr(check)]) for check in checks)
