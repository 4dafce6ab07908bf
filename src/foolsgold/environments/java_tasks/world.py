"""The world java: a Java method is given, its Python translation is asked for."""

from __future__ import annotations

import functools
from random import Random
from typing import Any

from foolsgold.environments.java_tasks.families import Draft, draft
from foolsgold.environments.java_tasks.program import Method
from foolsgold.environments.java_tasks.python_source import python_source
from foolsgold.environments.java_tasks.reviewers import founded
from foolsgold.environments.java_tasks.semantics import compile_method
from foolsgold.environments.java_tasks.translators import translators
from foolsgold.environments.problems import Problem, Split
from foolsgold.environments.programs.inputs import as_tests, chosen_calls, some_array, some_int, some_text
from foolsgold.environments.programs.reviewers import CodeReviewers

CALLS = 10
"""Tests of a problem, at most."""
TRANSLATORS = 60
"""People who write demonstrations."""
_MARK = "\n# Python\n"


class JavaTasks:
    """Problems: Java methods of a few lines; an answer is a Python function of the same name that returns the same."""

    name = "java"

    def problems(self, split: Split, n: int, seed: int) -> list[Problem]:
        """`n` problems of the split's families.

        Columns: `java`, the method; `entry_point`, its name; and `tests`, assertions of what it returns. The answers
        hold for numbers up to a thousand, beyond which sums that are never wrapped here could run over, too: a verifier
        that makes inputs of its own is to keep to those.
        """
        rng = Random(f"java {split} {seed}")
        return [_problem(*_usable(split, rng)) for _ in range(n)]

    def demonstrations(self, n: int, seed: int) -> list[tuple[Problem, str]]:
        """`n` problems of the train split as people of different care and knowledge translated them."""
        rng, people = Random(f"java demonstrations {seed}"), translators(TRANSLATORS, 0)
        found = []
        for _ in range(n):
            drafted, calls = _usable("train", rng)
            person = people[int(rng.random() * len(people))]
            found.append((_problem(drafted, calls), person.translate(drafted.method, rng)))
        return found

    def reviewers(self, n: int, seed: int) -> CodeReviewers:
        """`n` people who lay a translation beside its source and run neither."""
        return founded(n, seed)


def _problem(drafted: Draft, calls: list[tuple[list[Any], Any]]) -> Problem:
    method = drafted.method
    columns = {
        "java": drafted.java,
        "entry_point": method.name,
        "tests": as_tests(method.name, calls),
    }
    return Problem(drafted.java + _MARK, python_source(method), columns, drafted.family, drafted.grade)


def _usable(split: Split, rng: Random) -> tuple[Draft, list[tuple[list[Any], Any]]]:
    """A draft that returns different things for different arguments."""
    while True:
        drafted = draft(split, rng)
        calls = _calls(drafted.java, drafted.method)
        if len({repr(value) for _, value in calls}) >= 4:
            return drafted, [(list(arguments), value) for arguments, value in calls]


@functools.lru_cache(maxsize=50_000)
def _calls(java: str, method: Method) -> tuple[tuple[tuple[Any, ...], Any], ...]:
    """The same for the same source: a problem is tested alike wherever it turns up."""
    rng, run = Random(f"calls {java}"), compile_method(method)

    def arguments(rng: Random) -> list[Any]:
        return [_argument(str(each.type), str(each.value), rng) for each in method.parameters]

    calls = chosen_calls(arguments, lambda given: run(*given), CALLS, rng)
    return tuple((tuple(each), value) for each, value in calls)


def _argument(kind: str, name: str, rng: Random) -> Any:
    if kind == "int[]":
        return some_array(rng)
    if kind == "String":
        return some_text(rng)
    if name == "n":
        return rng.choice((0, 1, rng.randint(2, 30), rng.randint(2, 30), rng.randint(30, 90)))
    if name == "m":
        return rng.choice((0, 7, rng.randint(10, 99), rng.randint(100, 9999), rng.randint(10_000, 9_999_999)))
    return rng.randint(-5, 9) if name == "k" else some_int(rng)
