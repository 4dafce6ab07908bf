"""Verification conditions decided by z3 (de Moura and Bjørner 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Literal

from foolsgold.environments.loops.conditions import Condition
from foolsgold.environments.loops.smtlib import write_assertions
from foolsgold.environments.loops.terms import Term, evaluate, negation, variables_of
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.annotations_workers import Effort
from foolsgold.rewards.verifiers.verdict import VerifierFailure

try:
    import z3
except ImportError as error:
    raise UserError("invariants are proved by z3; install it with: pip install foolsgold[verifiers]") from error


@dataclass(frozen=True)
class Decision:
    """What is known of a condition."""

    status: Literal["holds", "violated", "unknown"]
    values: dict[str, int]
    """Where it is violated: values for all its variables, which make every assumption true and the claim false."""


_ONE_AT_A_TIME = Lock()
"""z3's main context is for one thread at a time."""


def decide(condition: Condition, effort: Effort = Effort()) -> Decision:
    """Whether a condition holds of all integers.

    Raises:
      VerifierFailure: z3 itself failed, or names a counterexample that is none when it is evaluated.
    """
    terms = [*condition.assumptions, negation(condition.claim)]
    status, values = solution(terms, effort)
    if status == "none":
        return Decision("holds", {})
    if status == "unknown":
        return Decision("unknown", {})
    try:
        wrong = [term for term in terms if not evaluate(term, values)]
    except ZeroDivisionError:
        return Decision("unknown", {})  # z3 may give a division by 0 any value
    if wrong:
        raise VerifierFailure(f"z3 gives {values} against {condition.text}, which evaluation does not bear out")
    return Decision("violated", values)


def solution(
    terms: list[Term], effort: Effort = Effort()
) -> tuple[Literal["found", "none", "unknown"], dict[str, int]]:
    """Values of variables that make all `terms` true, those that do not matter 0.

    Raises:
      VerifierFailure: z3 itself failed.
    """
    script = write_assertions(terms)
    with _ONE_AT_A_TIME:
        try:
            # The plain core answers most questions in a third of the time that z3 takes to choose its tactics.
            for make in (z3.SimpleSolver, z3.Solver):
                solver = make()
                solver.set("rlimit", effort.steps)
                if make is z3.Solver:
                    solver.set("timeout", effort.wall_ms)  # by a thread of its own, which is dear on a busy machine
                solver.from_string(script)
                found = solver.check()
                if found == z3.unsat:
                    return "none", {}
                if found == z3.sat:
                    return "found", _values(solver.model(), terms)
            return "unknown", {}
        except z3.Z3Exception as error:
            raise VerifierFailure(f"z3 failed: {error}") from error


def _values(model: z3.ModelRef, terms: list[Term]) -> dict[str, int]:
    values: dict[str, int] = {name: False if each.sort == "Bool" else 0 for name, each in variables_of(*terms).items()}
    for declaration in model.decls():
        if declaration.name() in values:
            value = model[declaration]
            values[declaration.name()] = value.as_long() if z3.is_int(value) else z3.is_true(value)
    return values
