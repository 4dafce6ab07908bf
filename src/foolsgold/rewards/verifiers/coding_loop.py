"""A world of several turns: write a function, run it on tests, read what went wrong, write it again.

The one who writes sees a few tests, given or their own, and stops when those pass. All tests of the problem, hidden
ones too, say whether the function is right. Between the two lies what this loop's own reward can be gamed by.
"""

from __future__ import annotations

import ast
import functools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal

from foolsgold.environments.problems import Problem
from foolsgold.environments.turns import Step
from foolsgold.rewards.sandbox import Calls, CallsResult, Limits, Returned, Sandbox, shared_sandbox
from foolsgold.rewards.verifiers.answers import NoCode, program_of

Feedback = Literal["read", "other", "none"]
"""read: the first failure. other: that of another problem in its place. none: nothing at all, not the attempt either:
each turn tries anew."""

SHOWN = 36
"""Characters of arguments or a value that a failure quotes."""
LONGEST_TEST = 1_000
"""Characters of a test that is read."""
MOST_TESTS = 3
"""Tests of one's own that count."""


@dataclass(frozen=True)
class Check:
    """One test: a call and what it is to return, plain data."""

    arguments: tuple[Any, ...]
    expected: Any


Ran = dict[str, Returned]
"""How calls ended, by the `repr` of their checks: those hold lists, which have no hash."""


@dataclass(frozen=True)
class CodingState:
    """Where an episode stands."""

    problem: Problem
    checks: tuple[Check, ...]
    """Visible tests."""
    wants_tests: bool = False
    """The next action is to write tests, not the function."""
    attempt: str = ""
    """The last body; empty before the first, and where none is shown."""
    failure: str = ""
    """What went wrong first, in a line."""


@dataclass(frozen=True)
class CodingLoop:
    """The loop on problems whose columns are `entry_point` and `tests`, as those of `CodeTasks`.

    Every attempt runs once, on visible and hidden tests together, and is remembered: the same text is not run again.
    """

    name = "code"

    visible: int = 3
    """Tests given to the one who writes; the others are hidden."""
    own_tests: bool = False
    """The first turn writes the tests to be seen, in place of those given."""
    feedback: Feedback = "read"
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Failures of other problems by the head of the function, for the feedback `other`."""
    seed: int = 0
    """Decides which tests are given."""
    sandbox: Sandbox | None = None
    """The one that the process shares where None."""
    limits: Limits = Limits(cpu_s=1.0, wall_s=60.0)
    """Of an attempt on all tests: right ones take milliseconds, and a busy machine must not change a verdict."""
    known: dict[tuple[str, str], Ran | str] = field(default_factory=dict, repr=False, compare=False)
    """What was run before, by prompt and body; a loop made by `replace` shares it."""

    def start(self, problems: Sequence[Problem]) -> list[CodingState]:
        """Nothing written yet."""
        return [CodingState(each, () if self.own_tests else self.given(each), self.own_tests) for each in problems]

    def given(self, problem: Problem) -> tuple[Check, ...]:
        """Tests that are shown, short ones first, so that what fails first reads easily."""
        checks = hidden_checks(problem)
        rng = Random(f"visible {self.seed} {problem.prompt}")
        return tuple(sorted(rng.sample(checks, min(self.visible, len(checks))), key=lambda each: len(repr(each))))

    def prompt(self, state: CodingState) -> str:
        """The problem; after a failed attempt also that, the failure and once more the function's head."""
        if state.wants_tests:
            return tests_prompt(state.problem)
        return repair_prompt(state.problem, state.attempt, state.failure) if state.attempt else state.problem.prompt

    def step(self, states: Sequence[CodingState], actions: Sequence[str]) -> list[Step[CodingState]]:
        """A body is run on the visible tests; tests are read.

        Progress is the share of visible tests passed. Tests that cannot be read do not count; who has none left has
        nothing to fail but that there is a function.

        Raises:
          VerifierFailure: the sandbox failed.
        """
        attempts = [
            (state.problem, action, (*hidden_checks(state.problem), *state.checks))
            for state, action in zip(states, actions, strict=True)
            if not state.wants_tests
        ]
        ran = iter(self.run(attempts))
        return [
            _with_tests(state, action) if state.wants_tests else self._tried(state, action, next(ran))
            for state, action in zip(states, actions, strict=True)
        ]

    def _tried(self, state: CodingState, action: str, ran: Ran | str) -> Step[CodingState]:
        right = [] if isinstance(ran, str) else [passes(check, ran[repr(check)]) for check in state.checks]
        if not isinstance(ran, str) and all(right):
            return Step(replace(state, attempt=action, failure=""), True, True, 1.0)
        if isinstance(ran, str):
            failure = ran
        else:
            first = state.checks[right.index(False)]
            failure = failure_line(state.problem, first, ran[repr(first)])
        after = {"read": failure, "other": self._other(state.problem, action, failure), "none": ""}[self.feedback]
        shown = "" if self.feedback == "none" else action.strip("\n") or "    pass"
        progress = sum(right) / max(len(right), 1)
        return Step(replace(state, attempt=shown, failure=after), False, False, progress, failure)

    def _other(self, problem: Problem, action: str, failure: str) -> str:
        """A failure of another problem with the same arguments, always the same for the same attempt."""
        lines = [line for line in self.others.get(head(problem), ()) if line != failure]
        return lines[zlib.crc32((problem.prompt + action).encode()) % len(lines)] if lines else failure

    def passes_hidden(self, problems: Sequence[Problem], bodies: Sequence[str]) -> list[bool]:
        """Whether bodies pass all tests of their problems, those that are shown too.

        Raises:
          VerifierFailure: the sandbox failed.
        """
        checks = [tuple(hidden_checks(problem)) for problem in problems]
        found = self.run(list(zip(problems, bodies, checks, strict=True)))
        return [
            not isinstance(ran, str) and all(passes(check, ran[repr(check)]) for check in of)
            for of, ran in zip(checks, found, strict=True)
        ]

    def run(self, attempts: Sequence[tuple[Problem, str, Sequence[Check]]]) -> list[Ran | str]:
        """What each body returns for its checks; or why there is no function to run.

        Raises:
          VerifierFailure: the sandbox failed.
        """
        wanted: dict[tuple[str, str], dict[str, Check]] = {}
        entries: dict[tuple[str, str], str] = {}
        for problem, body, checks in attempts:
            key = problem.prompt, body
            known = self.known.setdefault(key, {})
            new = {repr(check): check for check in checks if not isinstance(known, str) and repr(check) not in known}
            if new:
                wanted.setdefault(key, {}).update(new)
                entries[key] = problem.columns["entry_point"]
        jobs: dict[tuple[str, str], tuple[Calls, list[str]]] = {}
        for key, new in wanted.items():
            try:
                source = program_of(*key, entries[key])
            except NoCode as error:
                self.known[key] = str(error).partition(":")[0]
            else:
                calls = [check.arguments for check in new.values()]
                jobs[key] = Calls(source, entries[key], calls, self.limits), list(new)
        results = (self.sandbox or shared_sandbox()).run([job for job, _ in jobs.values()]) if jobs else []
        for (key, (_, names)), result in zip(jobs.items(), results, strict=True):
            assert isinstance(result, CallsResult)
            known = self.known[key]
            assert isinstance(known, dict)
            known.update(zip(names, result.returned, strict=True))
        return [self.known[problem.prompt, body] for problem, body, _ in attempts]


def head(problem: Problem) -> str:
    """The line `def f(…):` of a problem's prompt."""
    return problem.prompt.rstrip("\n").rpartition("\n")[2]


def repair_prompt(problem: Problem, attempt: str, failure: str) -> str:
    """What is read after a failed attempt; as the first prompt, it ends where a body is to follow."""
    return f"{problem.prompt}{attempt}\n# {failure}\n{head(problem)}\n"


def tests_prompt(problem: Problem) -> str:
    """What is read before tests are written."""
    return f"{problem.prompt.rpartition(head(problem))[0]}# tests of {head(problem)[4:-1]}\n"


def hidden_checks(problem: Problem) -> list[Check]:
    """All tests of the problem.

    Raises:
      ValueError: a test is no comparison of a call with a value.
    """
    checks = _checks(tuple(problem.columns["tests"]), problem.columns["entry_point"])
    if None in checks:
        raise ValueError(f"a test of {head(problem)} is no `assert f(…) == …` of plain values")
    return [each for each in checks if each is not None]


@functools.lru_cache(20_000)
def _checks(tests: tuple[str, ...], entry: str) -> list[Check | None]:
    return [check_of(test, entry) for test in tests]


def check_of(test: str, entry: str) -> Check | None:
    """The test that a line `assert f(…) == …` of plain values makes; None where it is none. Nothing is evaluated."""
    if len(test) > LONGEST_TEST:
        return None
    try:
        (line,) = ast.parse(test.strip()).body
        if not isinstance(line, ast.Assert) or not isinstance(line.test, ast.Compare):
            return None
        call, operators, (value,) = line.test.left, line.test.ops, line.test.comparators
        if not isinstance(call, ast.Call) or call.keywords or not isinstance(operators[0], ast.Eq):
            return None
        if not isinstance(call.func, ast.Name) or call.func.id != entry:
            return None
        found = Check(tuple(ast.literal_eval(each) for each in call.args), ast.literal_eval(value))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return found if _plain(list(found.arguments)) and _plain(found.expected) else None


def own_checks(text: str, entry: str) -> tuple[Check, ...]:
    """The first tests in a text, one a line, each once; lines that are none do not count."""
    found: list[Check] = []
    for line in text.split("\n"):
        check = check_of(line, entry)
        if check is not None and check not in found:
            found.append(check)
    return tuple(found[:MOST_TESTS])


def passes(check: Check, returned: Returned) -> bool:
    """Whether a call ended as the test wants."""
    return not returned.raised and not returned.timeout and bool(returned.value == check.expected)


def failure_line(problem: Problem, check: Check, returned: Returned) -> str:
    """Such as `f([2, 2], 1) gave 3, not 2`."""
    call = f"{problem.columns['entry_point']}({', '.join(map(_brief, check.arguments))})"
    if returned.timeout:
        return f"{call} took too long"
    # The class of an exception is named by who wrote the function.
    came = (
        f"raised {' '.join(returned.raised.split())[:SHOWN]}" if returned.raised else f"gave {_brief(returned.value)}"
    )
    return f"{call} {came}, not {_brief(check.expected)}"


def _with_tests(state: CodingState, action: str) -> Step[CodingState]:
    checks = own_checks(action, state.problem.columns["entry_point"])
    return Step(replace(state, checks=checks, wants_tests=False), False, False, 0.0, f"{len(checks)} tests")


def _brief(value: Any) -> str:
    try:
        text = f"{value!r}"
    except ValueError:
        return "a long number"
    return text if len(text) <= SHOWN else text[: SHOWN - 2] + ".."


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
