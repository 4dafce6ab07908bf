"""A world of several turns: write a function, run it on tests, read what went wrong, write it again.

The one who writes sees a few tests, given or their own, and stops when those pass. All tests of the problem, hidden
ones too, say whether the function is right. Between the two lies what this loop's own reward can be gamed by.
"""

from __future__ import annotations

import ast
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
LONGEST_TEST = 200
"""Characters of a test that is read."""
MOST_TESTS = 3
"""Tests of one's own that count."""


@dataclass(frozen=True)
class Check:
    """One test: a call and what it is to return, plain data."""

    arguments: tuple[Any, ...]
    expected: Any


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
    _known: dict[tuple[str, str, tuple[Check, ...]], list[Returned] | str] = field(
        default_factory=dict, repr=False, compare=False
    )

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
        nothing to fail.

        Raises:
          VerifierFailure: the sandbox failed.
        """
        wanted = [not state.wants_tests for state in states]
        runs = [(s.problem, action, s.checks) for s, action, code in zip(states, actions, wanted, strict=True) if code]
        found = iter(self.run(runs))
        return [
            self._tried(state, action, next(found)) if code else _with_tests(state, action)
            for state, action, code in zip(states, actions, wanted, strict=True)
        ]

    def _tried(self, state: CodingState, action: str, returned: list[Returned] | str) -> Step[CodingState]:
        checks = state.checks
        if isinstance(returned, str):
            passed, failure = 0, returned if checks else ""
        else:
            right = [passes(check, each) for check, each in zip(checks, returned, strict=False)]
            passed = sum(right)
            wrong = next((i for i, yes in enumerate(right) if not yes), None)
            failure = "" if wrong is None else failure_line(state.problem, checks[wrong], returned[wrong])
        if not failure:
            return Step(replace(state, attempt=action, failure=""), True, True, 1.0)
        after = {"read": failure, "other": self._other(state.problem, action, failure), "none": ""}[self.feedback]
        shown = "" if self.feedback == "none" else action.strip("\n") or "    pass"
        return Step(replace(state, attempt=shown, failure=after), False, False, passed / len(checks), failure)

    def _other(self, problem: Problem, action: str, failure: str) -> str:
        """A failure of another problem with the same arguments, always the same for the same attempt."""
        lines = [line for line in self.others.get(head(problem), ()) if line != failure]
        return lines[zlib.crc32((problem.prompt + action).encode()) % len(lines)] if lines else failure

    def passes_hidden(self, problems: Sequence[Problem], bodies: Sequence[str]) -> list[bool]:
        """Whether bodies pass all tests of their problems, those that are shown too.

        Raises:
          VerifierFailure: the sandbox failed.
        """
        found = self.run([(problem, body, self.given(problem)) for problem, body in zip(problems, bodies, strict=True)])
        return [
            not isinstance(returned, str)
            and all(
                passes(check, each)
                for check, each in zip(self._checks(problem, self.given(problem)), returned, strict=True)
            )
            for problem, returned in zip(problems, found, strict=True)
        ]

    def run(self, attempts: Sequence[tuple[Problem, str, tuple[Check, ...]]]) -> list[list[Returned] | str]:
        """What each body returns: for its visible tests, then for the others; or why there is none to run.

        Raises:
          VerifierFailure: the sandbox failed.
        """
        keys = [(problem.prompt, body, checks) for problem, body, checks in attempts]
        new = {key: each for key, each in zip(keys, attempts, strict=True) if key not in self._known}
        jobs: dict[tuple[str, str, tuple[Check, ...]], Calls] = {}
        for key, (problem, body, checks) in new.items():
            entry = problem.columns["entry_point"]
            try:
                source = program_of(problem.prompt, body, entry)
            except NoCode as error:
                self._known[key] = str(error).partition(":")[0]
            else:
                calls = [check.arguments for check in self._checks(problem, checks)]
                jobs[key] = Calls(source, entry, calls, self.limits)
        for key, result in zip(jobs, (self.sandbox or shared_sandbox()).run(list(jobs.values())), strict=True):
            assert isinstance(result, CallsResult)
            self._known[key] = result.returned
        return [self._known[key] for key in keys]

    def _checks(self, problem: Problem, checks: tuple[Check, ...]) -> list[Check]:
        """Visible ones first, then those of the problem that are not among them."""
        return [*checks, *(each for each in hidden_checks(problem) if each not in checks)]


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
    checks = [check_of(test, problem.columns["entry_point"]) for test in problem.columns["tests"]]
    if None in checks:
        raise ValueError(f"a test of {head(problem)} is no `assert f(…) == …` of plain values")
    return [each for each in checks if each is not None]


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
    came = f"raised {returned.raised[:SHOWN]}" if returned.raised else f"gave {_brief(returned.value)}"
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
