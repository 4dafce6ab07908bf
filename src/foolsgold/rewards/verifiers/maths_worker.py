"""The process that compares two expressions by math-verify; run as a program, a line of JSON in and one out.

Sympy may compute for hours or take all memory over a short line of LaTeX, and does not always notice signals then.
Here it takes its process with it, and nothing else.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from typing import Any

MEMORY = 2 * 2**30
"""Bytes."""


def main() -> None:
    """Answer lines {"gold", "answer", "seconds"} with {"outcome", "detail"} until there are none.

    Who takes longer than so many seconds ends the process by SIGALRM.
    """
    _limit_memory()
    logging.disable(logging.CRITICAL)
    try:
        import math_verify
    except Exception as error:
        print(json.dumps({"failure": f"{type(error).__name__}: {error}"}), flush=True)
        return
    _compared(math_verify, "\\sqrt{8}", "2\\sqrt{2}")  # loads the rest of it, which is no answer's fault
    print(json.dumps({"ready": True}), flush=True)
    # Python's own handlers, which math-verify uses, run between bytecodes; the system's default action ends the process
    # within a long computation in C too.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for line in sys.stdin:
        asked = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, asked["seconds"])
        outcome, detail = _compared(math_verify, asked["gold"], asked["answer"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps({"outcome": outcome, "detail": detail}), flush=True)


def _limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _compared(math_verify: Any, gold: str, answer: str) -> tuple[str, str]:
    """(outcome, detail)"""
    try:
        known, given = (_parsed(math_verify, text) for text in (gold, answer))
        if not given:
            return "invalid", "the answer is no expression that can be read"
        if not known:
            return "wrong", f"expected {gold}"
        if _unfinished(known[0], given[0]):
            return "wrong", "the answer is not worked out"
        # Without strings: two answers that are written alike are compared before they get here.
        equal = math_verify.verify(known[0], given[0], timeout_seconds=None, raise_on_error=True)
    except MemoryError:
        return "memory", "the answer takes more memory to compare than there is"
    except Exception as error:
        return "wrong", f"the answer cannot be compared: {type(error).__name__}"
    return ("passed", "") if equal else ("wrong", f"expected {gold}")


def _parsed(math_verify: Any, text: str) -> list[Any]:
    """Its one expression, or nothing."""
    latex = [math_verify.LatexExtractionConfig()]
    found = math_verify.parse(f"${text}$", latex, parsing_timeout=None, raise_on_error=True)
    return [each for each in found if not isinstance(each, str)]


def _unfinished(gold: Any, answer: Any) -> bool:
    """Whether the answer is a question that sympy would work out, such as `6 \\cdot 7` where 42 is asked for."""
    import sympy

    asks = (sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit, sympy.Derivative)
    if answer.has(*asks) and not gold.has(*asks):
        return True
    return bool(gold.is_Number) and not _is_number(answer)


def _is_number(value: Any) -> bool:
    """One number, also a percentage, in scientific notation, or as `x = 42` or `{42}`."""
    import sympy

    if isinstance(value, sympy.Equality):
        return value.lhs.is_Symbol and _is_number(value.rhs)
    if isinstance(value, sympy.FiniteSet):
        return len(value) == 1 and _is_number(value.args[0])
    if _is_power_of_ten(value):
        return True
    if isinstance(value, sympy.Mul) and len(value.args) == 2:
        number, unit = value.args
        per_cent = isinstance(unit, sympy.UnevaluatedExpr) and unit.args[0] == sympy.Rational(1, 100)
        return bool(number.is_Number) and (per_cent or unit == 10 or _is_power_of_ten(unit))
    return bool(value.is_Number)


def _is_power_of_ten(value: Any) -> bool:
    import sympy

    return isinstance(value, sympy.Pow) and value.base == 10 and bool(value.exp.is_Integer)


if __name__ == "__main__":
    main()
