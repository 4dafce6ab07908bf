"""What Java did beside what Python did with the same arguments: the same or not, and the line that says so.

Rules: True and False equal only booleans. An integer equals the same int, and no float. A floating-point number equals
an int or float within a relative 1e-6; NaN equals NaN. A char is a str of length 1. Lists and tuples equal arrays and
lists; sets and dictionaries equal sets and maps in any order. Nothing but None equals null; a `void` method returns
None. Arrays, lists, sets and maps that were arguments must be the same after the call.

Where Java throws, Python must raise one of `COUNTERPARTS`, or anything but `BROKEN` where Java's class is not listed.
So Python that reads a[-1] where Java throws is no translation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from foolsgold.rewards.sandbox_jobs import Returned
from foolsgold.rewards.verifiers.java_server import JavaResult
from foolsgold.rewards.verifiers.java_types import JavaType, frozen

TOLERANCE = 1e-6
"""Relative, of floating-point numbers."""
LONGEST = 80
"""Characters of a value that are shown."""
COUNTERPARTS = {
    "java.lang.ArithmeticException": ("ZeroDivisionError", "OverflowError"),
    "java.lang.ArrayIndexOutOfBoundsException": ("IndexError",),
    "java.lang.StringIndexOutOfBoundsException": ("IndexError", "ValueError"),
    "java.lang.IndexOutOfBoundsException": ("IndexError",),
    "java.lang.NegativeArraySizeException": ("ValueError", "IndexError", "MemoryError", "OverflowError"),
    "java.lang.NullPointerException": ("TypeError", "AttributeError", "KeyError"),
    "java.lang.ClassCastException": ("TypeError", "AttributeError", "ValueError"),
    "java.lang.NumberFormatException": ("ValueError",),
    "java.util.EmptyStackException": ("IndexError",),
    "java.util.NoSuchElementException": ("IndexError", "KeyError", "StopIteration", "ValueError"),
    "java.util.ConcurrentModificationException": ("RuntimeError",),
}
"""What Python raises where Java throws."""
BROKEN = ("NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError", "SyntaxError", "RecursionError")
"""What only a broken function raises."""

Difference = Literal["", "value", "exception", "mutation"]


def difference(java: JavaResult, python: Returned, parameters: Sequence[JavaType]) -> Difference:
    """In what the two differ first; empty when they agree. The Java call was not dropped."""
    if java.raised or python.raised or python.timeout:
        return "" if _same_exception(java.raised, python) else "exception"
    if not same(java.value, python.value):
        return "value"
    return "mutation" if _changed(java, python, parameters) is not None else ""


def _same_exception(java: str, python: Returned) -> bool:
    if not java or not python.raised or python.timeout:
        return False
    counterparts = COUNTERPARTS.get(java)
    return python.raised in counterparts if counterparts else python.raised not in BROKEN


def _changed(java: JavaResult, python: Returned, parameters: Sequence[JavaType]) -> int | None:
    """The first argument that differs after the call."""
    for i, type_ in enumerate(parameters):
        if type_.mutable and not (i < len(python.arguments) and same_text(java.arguments[i], python.arguments[i])):
            return i
    return None


def same(java: Any, python: Any) -> bool:
    """Whether a value of Python's is what Java returned, by the module's rules."""
    if java is None or isinstance(java, (bool, str)):
        return type(python) is type(java) and python == java
    if isinstance(java, int):
        return type(python) is int and python == java
    if isinstance(java, float):
        return type(python) in (int, float) and _close(java, python)
    if isinstance(java, list):
        return (
            isinstance(python, (list, tuple))
            and len(java) == len(python)
            and all(same(mine, other) for mine, other in zip(java, python, strict=True))
        )
    if isinstance(java, set):
        return isinstance(python, (set, frozenset)) and _marked(java) == _marked(python)
    return (
        isinstance(python, dict)
        and _marked(set(java)) == _marked(set(python))
        and all(same(value, python[key]) for key, value in java.items())
    )


def same_text(java: Any, python: Any) -> bool:
    """`same`, where an array of chars may be a str that a caller gave for it."""
    return "".join(java) == python if isinstance(python, str) and isinstance(java, list) else same(java, python)


def _close(java: float, python: float) -> bool:
    try:
        other = float(python)
    except OverflowError:
        return False
    return math.isclose(java, other, rel_tol=TOLERANCE) or (math.isnan(java) and math.isnan(other))


def _marked(items: Any) -> set[Any]:
    """Elements with their types: True is not 1."""
    return {(type(each), each) for each in map(frozen, items)}


def disagreement(
    entry: str, call: Sequence[Any], java: JavaResult, python: Returned, parameters: Sequence[JavaType]
) -> str:
    """A line such as `f(-7, 2): Java -3, Python -4`."""
    where = f"{entry}({', '.join(short(each) for each in call)})"
    if difference(java, python, parameters) == "mutation":
        i = _changed(java, python, parameters)
        assert i is not None
        left = python.arguments[i] if i < len(python.arguments) else None
        return f"{where}: argument {i + 1} is {short(java.arguments[i])} after Java, {short(left)} after Python"
    return f"{where}: Java {java_end(java)}, Python {python_end(python)}"


def java_end(java: JavaResult) -> str:
    """How the call ended, in a few words."""
    return f"throws {java.raised.rpartition('.')[2]}" if java.raised else short(java.value)


def python_end(python: Returned) -> str:
    """How the call ended, in a few words."""
    if python.timeout:
        return "takes too long"
    return f"raises {python.raised}" if python.raised else short(python.value)


def short(value: Any) -> str:
    """`repr` in at most LONGEST characters, on one line."""
    try:
        written = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        written = hex(value) if isinstance(value, int) else "…"
    return written if len(written) <= LONGEST else written[: LONGEST - 1] + "…"
