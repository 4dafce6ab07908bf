"""Programming tasks in the forms in which they come: asserts on a function, HumanEval, MBPP, text in and text out."""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from foolsgold.errors import UserError

COLUMNS = (
    ("inputs", "outputs"),
    ("test", "entry_point"),
    ("tests", "test_list", "entry_point", "preamble", "test_setup_code", "test_imports"),
)
"""Columns of the three forms, in the order in which they are looked for."""
SEEDED = "import random\nrandom.seed(0)\n"
"""Before all tests, so that those which draw their inputs draw the same ones again."""


@dataclass(frozen=True)
class Asserts:
    """A function to define, and statements that raise where it is wrong."""

    entry: str
    tests: tuple[str, ...]
    preamble: str = ""
    """Runs before the tests, in their process."""

    @property
    def checks(self) -> int:
        """How many verdicts count."""
        return len(self.tests)


@dataclass(frozen=True)
class Streams:
    """A program that reads and writes text."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def checks(self) -> int:
        """As for `Asserts`."""
        return len(self.inputs)


def task_of(row: Mapping[str, Any], place: str) -> Asserts | Streams:
    """The task that a row's columns describe; columns that are None are not there.

    Args:
      place: names the row in messages.

    Raises:
      UserError: there are no tests, or they are written otherwise.
    """
    given = {name: value for name, value in row.items() if value is not None}
    if "inputs" in given:
        return _streams(given, place)
    if "test" in given:
        preamble, tests = _parsed(split_check, place, _text(given, "test", place))
        if "entry_point" not in given:
            _fail(place, "a HumanEval task needs a column entry_point, the name of the function")
        return Asserts(_text(given, "entry_point", place), tests, _joined(given, place) + preamble)
    listed = next((name for name in ("tests", "test_list") if name in given), None)
    if listed is None:
        _fail(place, "it has no tests; give a column tests, test_list, test, or inputs and outputs")
    tests, preamble = _texts(given, listed, place), _joined(given, place)
    entry = given.get("entry_point") or _parsed(called, place, tests, preamble)
    if not entry:
        _fail(place, f"its {listed} call no function by name; give a column entry_point")
    return Asserts(str(entry), tests, preamble)


@functools.lru_cache(1024)
def split_check(test: str) -> tuple[str, tuple[str, ...]]:
    """HumanEval's `check(candidate)` as (preamble, one statement or more a test), so that it can be passed in part.

    Each assert ends a test, which begins with the assignments and imports before it; a loop is one test. Asserts of
    constants are left out: whoever fails all others passes these.

    Raises:
      ValueError: there is no `check`, or it asserts nothing.
      SyntaxError: it is no Python.
    """
    tree = ast.parse(test)
    check = next((each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "check"), None)
    if check is None:
        raise ValueError("its test defines no function check")
    tests, before = [], list[ast.stmt]()
    for statement in check.body:
        if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Constant):
            continue
        before.append(statement)
        if any(isinstance(each, ast.Assert | ast.Raise) for each in ast.walk(statement)):
            tests.append("\n".join(map(ast.unparse, before)))
            before = []
    if not tests:
        raise ValueError("its function check asserts nothing")
    return "\n".join(ast.unparse(each) for each in tree.body if each is not check) + "\n", tuple(tests)


@functools.lru_cache(1024)
def called(tests: tuple[str, ...], preamble: str = "") -> str | None:
    """The first function that all of `tests` call by its name, and that neither Python nor `preamble` gives them.

    Raises:
      SyntaxError: a test is no Python.
    """
    known = set(vars(builtins))
    for each in ast.walk(ast.parse(preamble)):
        names = (getattr(each, name, None) for name in ("name", "asname", "id"))  # definitions, imports, assignments
        known.update(name for name in names if isinstance(name, str))
    calls = [
        sorted(
            (each.lineno, each.col_offset, each.func.id)
            for each in ast.walk(ast.parse(test))
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id not in known
        )
        for test in tests
    ]
    everywhere = set.intersection(*({name for *_, name in found} for found in calls))
    return next((name for *_, name in calls[0] if name in everywhere), None)


def same_output(expected: str, got: str) -> bool:
    """Whether two texts are the same but for blanks at the ends of lines and empty lines at the end."""
    return _lines(expected) == _lines(got)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _streams(given: Mapping[str, Any], place: str) -> Streams:
    inputs, outputs = _texts(given, "inputs", place), _texts(given, "outputs", place)
    if len(inputs) != len(outputs):
        _fail(place, f"it has {len(inputs)} inputs and {len(outputs)} outputs; give as many")
    return Streams(inputs, outputs)


def _joined(given: Mapping[str, Any], place: str) -> str:
    """What runs before the tests: the column preamble, or MBPP's imports and setup code."""
    lines = list(_texts(given, "test_imports", place)) if given.get("test_imports") else []
    lines += [_text(given, name, place) for name in ("test_setup_code", "preamble") if given.get(name)]
    return "".join(line + "\n" for line in lines)


def _parsed(parse: Any, place: str, *arguments: Any) -> Any:
    try:
        return parse(*arguments)
    except SyntaxError as error:
        _fail(place, f"its tests are no Python: {error}")
    except ValueError as error:
        _fail(place, str(error))


def _text(given: Mapping[str, Any], name: str, place: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        _fail(place, f"column {name} is {type(value).__name__}, not a text")
    return value


def _texts(given: Mapping[str, Any], name: str, place: str) -> tuple[str, ...]:
    value = given.get(name)
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(each, str) for each in value):
        _fail(place, f"column {name} is no list of texts")
    if not value and name != "test_imports":
        _fail(place, f"column {name} is empty; give at least one")
    return tuple(value)


def _fail(place: str, problem: str) -> NoReturn:
    raise UserError(f"{place}: {problem}")
