"""The world code: a function is described in a line, its body is asked for."""

from __future__ import annotations

import functools
from random import Random
from typing import Any

from foolsgold.environments.code_tasks.functions import Function, some_function
from foolsgold.environments.code_tasks.programmers import programmers
from foolsgold.environments.code_tasks.reviewers import founded
from foolsgold.environments.problems import Problem, Split
from foolsgold.environments.programs.inputs import as_tests, chosen_calls, some_array, some_int
from foolsgold.environments.programs.reviewers import CodeReviewers

CALLS = 10
"""Tests of a problem, at most."""
PROGRAMMERS = 60
"""People who write demonstrations."""
ENTRY = "f"


class CodeTasks:
    """Problems: a comment and the head of a function; an answer is its body."""

    name = "code"

    def problems(self, split: Split, n: int, seed: int) -> list[Problem]:
        """`n` problems of the split's families.

        Columns: `entry_point`; `preamble`, empty; and `tests`, assertions of what the description asks for.
        """
        rng = Random(f"code {split} {seed}")
        return [_problem(_usable(split, rng)) for _ in range(n)]

    def demonstrations(self, n: int, seed: int) -> list[tuple[Problem, str]]:
        """`n` problems of the train split as people of different care and knowledge solved them."""
        rng, people = Random(f"code demonstrations {seed}"), programmers(PROGRAMMERS, 0)
        found = []
        for _ in range(n):
            function = _usable("train", rng)
            person = people[int(rng.random() * len(people))]
            found.append((_problem(function), person.write(function, rng)))
        return found

    def reviewers(self, n: int, seed: int) -> CodeReviewers:
        """`n` people who read description and function and run nothing."""
        return founded(n, seed)


def _problem(function: Function) -> Problem:
    columns = {"entry_point": ENTRY, "preamble": "", "tests": list(_tests(function))}
    return Problem(function.prompt, function.body(), columns, function.family, function.grade)


def _usable(split: Split, rng: Random) -> Function:
    """A function that returns different things for different arguments."""
    while True:
        function = some_function(split, rng)
        results = {test.split(" == ")[1] for test in _tests(function)}
        if len(results) >= (2 if function.result == "rising" else 4):
            return function


@functools.lru_cache(maxsize=50_000)
def _tests(function: Function) -> tuple[str, ...]:
    """The same for the same function: a problem is tested alike wherever it turns up."""
    rng = Random(f"calls {function.family}")

    def arguments(rng: Random) -> list[Any]:
        return [_argument(name, rng) for name in function.parameters]

    return tuple(as_tests(ENTRY, chosen_calls(arguments, function.truth, CALLS, rng)))


def _argument(name: str, rng: Random) -> Any:
    if name == "a":
        return some_array(rng)
    if name == "s":
        return "".join(rng.choice((" ", "  ", "an ", "a", "word ", "of ")) for _ in range(rng.randint(0, 9)))
    if name == "m":
        return rng.choice((rng.randint(-99, 99), rng.randint(-9999, 9999), rng.randint(0, 99999)))
    if name == "n":
        return rng.randint(-2, 25)
    return rng.randint(0, 6) if name == "j" else rng.choice((some_int(rng), rng.randint(-3, 5)))
