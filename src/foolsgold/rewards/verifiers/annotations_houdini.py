"""A baseline that learns nothing: the largest inductive set of simple candidates (Houdini; Flanagan and Leino 2001)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import combinations, permutations

from foolsgold.environments.loops.conditions import Condition
from foolsgold.environments.loops.interpreter import numbers_near
from foolsgold.environments.loops.language import Assign, statements
from foolsgold.environments.loops.smtlib import write_term
from foolsgold.environments.loops.syntax import show
from foolsgold.environments.loops.terms import (
    Apply,
    Choice,
    Constant,
    State,
    Term,
    Variable,
    conjunction,
    evaluate,
    negation,
    variables_of,
    walk,
)
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.annotations_tasks import LoopTask, ProgramTask, SygusTask, task_of
from foolsgold.rewards.verifiers.annotations_workers import Effort
from foolsgold.rewards.verifiers.annotations_z3 import decide

_VARIABLES = 12
"""Numbers among the variables of which pairs are made, and truth values likewise."""

_NUMBERS = 8
_CANDIDATES = 1_500
_EFFORT = Effort(steps=200_000, wall_ms=1_500)


def houdini(program: str, seconds: float = 5.0) -> str | None:
    """An invariant made of simple candidates that proves `program`; None where none was found in time.

    All candidates are tried at once; whatever a counterexample to initiation or consecution makes false is dropped,
    until the rest is inductive. Then all are dropped that the proof can do without.

    Args:
      program: in either format, with one loop.
      seconds: when to give up; a question to z3 that is under way is finished.

    Raises:
      UserError: it has several loops, or is no program.
      VerifierFailure: z3 failed.
    """
    task, end = task_of(program), time.monotonic() + seconds
    if isinstance(task, ProgramTask) and len(task.program.loops) > 1:
        raise UserError("Houdini finds the invariant of one loop; the program has several")
    kept = list(_unique(_candidates(task)))[:_CANDIDATES]
    for state in _seen(task):
        kept = [each for each in kept if _holds(each, state)]
    for kind in ("initiation", "consecution"):
        found = _inductive(task, kept, kind, end)
        if found is None:
            return None
        kept = found
    if not _proves(task, kept, end):
        return None
    return _written(task, _needed(task, kept, end))


def _inductive(task: LoopTask, kept: list[Term], kind: str, end: float) -> list[Term] | None:
    """What is left when no counterexample to `kind` is left."""
    while time.monotonic() < end:
        violated = None
        for condition in _of_kind(task, kept, kind):
            decision = decide(condition, _EFFORT)
            if decision.status == "unknown":
                return None
            if decision.status == "violated":
                violated = condition, decision.values
                break
        if violated is None:
            return kept
        state = _after(*violated)
        kept = [each for each in kept if _holds(each, state)]
    return None


def _of_kind(task: LoopTask, kept: list[Term], kind: str) -> list[Condition]:
    return [condition for condition in task.conditions([conjunction(kept)]) if condition.kind == kind]


def _after(condition: Condition, values: State) -> dict[str, int]:
    given = {**dict.fromkeys(variables_of(*condition.after.values()), 0), **values}
    return {name: evaluate(term, given) for name, term in condition.after.items()}


def _proves(task: LoopTask, kept: list[Term], end: float) -> bool:
    if time.monotonic() > end:
        return False
    return all(decide(each, _EFFORT).status == "holds" for each in task.conditions([conjunction(kept)]))


def _needed(task: LoopTask, kept: list[Term], end: float) -> list[Term]:
    """A part that still proves all: pieces are left out, half of the set first, then ever smaller ones."""
    size = max(1, len(kept) // 2)
    while True:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            if _proves(task, fewer, end):
                kept = fewer
            else:
                start += size
        if size == 1:
            return kept
        size //= 2


def _written(task: LoopTask, kept: list[Term]) -> str:
    invariant = conjunction(kept)
    return show(invariant) if isinstance(task, ProgramTask) else write_term(invariant)


def _holds(term: Term, state: State) -> bool:
    try:
        return bool(evaluate(term, state))
    except (ZeroDivisionError, KeyError):
        return False


def _seen(task: LoopTask) -> Iterator[State]:
    """States that plain runs reach; they spare questions to z3."""
    if isinstance(task, ProgramTask):
        yield from (visit.state for trace in task.traces for visit in trace.visits)
    elif isinstance(task, SygusTask):
        yield from task.reached


def _terms(task: LoopTask) -> list[Term]:
    """What the program says."""
    if isinstance(task, SygusTask):
        return [task.problem.post, task.problem.pre, task.problem.trans]
    assert isinstance(task, ProgramTask)
    return [
        each.value if isinstance(each, Assign) else each.condition
        for each in reversed([*statements(task.program.body)])
    ]


def _variables(task: LoopTask) -> list[Variable]:
    if isinstance(task, SygusTask):
        return list(task.problem.variables)
    assert isinstance(task, ProgramTask)
    return [Variable(name) for name in task.program.variables]


def _candidates(task: LoopTask) -> Iterator[Term]:
    """Comparisons of the program's text, then bounds, equations of two and three variables, multiples, parities."""
    terms = _terms(task)
    known = {variable.name for variable in _variables(task)}
    for part in (part for term in terms for part in walk(term)):
        if part.sort == "Bool" and isinstance(part, Apply) and _is_plain(part, known):
            yield part
            yield negation(part)
    for part in (part for term in terms for part in walk(term)):
        if isinstance(part, Apply) and part.operator in ("<", ">", "<=", ">=") and _is_plain(part, known):
            # A bound that the last pass through the loop may reach.
            yield Apply({"<": "<=", ">": ">="}.get(part.operator, "=="), part.arguments)
    # Variables that the property mentions first: where there are many, the others are its history.
    order = {name: i for i, name in enumerate(variables_of(terms[0]))}
    ranked = sorted(_variables(task), key=lambda each: order.get(each.name, len(order)))
    numbers = [each for each in ranked if each.sort == "Int"][:_VARIABLES]
    truths = [each for each in ranked if each.sort == "Bool"][:_VARIABLES]
    constants = sorted(numbers_near(*terms), key=lambda value: (abs(value), value < 0))[:_NUMBERS]
    factors = [value for value in constants if abs(value) > 1][:4]
    for truth in truths:
        yield truth
        yield negation(truth)
    for a, b in permutations(truths, 2):
        yield Apply("==>", (a, b))
        yield Apply("==>", (a, negation(b)))
    for a in numbers:
        for value in constants:
            yield from (Apply(name, (a, Constant(value))) for name in (">=", "<=", "=="))
        for remainder in (0, 1):
            yield Apply(
                "==", (Apply("mod" if isinstance(task, SygusTask) else "%", (a, Constant(2))), Constant(remainder))
            )
    for a, b in permutations(numbers, 2):
        yield Apply("<=", (a, b))
        yield Apply("==", (a, b))
        for value in factors:
            multiple = Apply("*", (Constant(value), b))
            yield from (Apply(name, (a, multiple)) for name in ("==", "<=", ">="))
        for value in constants:
            yield Apply("<=", (a, Apply("+", (b, Constant(value)))))
            yield Apply("==", (a, Apply("+", (b, Constant(value)))))
    for a, b in combinations(numbers, 2):
        for value in constants:
            yield from (Apply(name, (Apply("+", (a, b)), Constant(value))) for name in ("==", ">=", "<="))
    for a, b, c in permutations(numbers[:6], 3):
        total = Apply("+", (a, b))
        if a.name < b.name:
            yield from (Apply(name, (total, c)) for name in ("==", "<=", ">="))


def _is_plain(term: Term, known: set[str]) -> bool:
    """Says something of one state: no choice, no primes, no inputs; and is not the whole text."""
    parts = list(walk(term))
    return len(parts) <= 60 and all(
        part.name in known if isinstance(part, Variable) else not isinstance(part, Choice) for part in parts
    )


def _unique(candidates: Iterator[Term]) -> Iterator[Term]:
    seen: set[str] = set()
    for candidate in candidates:
        text = write_term(candidate)
        if text not in seen:
            seen.add(text)
            yield candidate
