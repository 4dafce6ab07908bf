"""Tactics as text: everything that fits a goal, and the same tactic in the other prover's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import get_args

from foolsgold.environments.theorems.formulas import FALSE, Formula, Tool, atom, parse
from foolsgold.environments.theorems.tactics import Kind, NotApplicable, Sequent, Tactic, play

_NAME = r"h\d+"
_MARKS = {"ON": _NAME, "FIRST": _NAME, "LAST": _NAME, "ARGUMENT": _NAME, "FORMULA": ".+"}
"""Stand for parts of a tactic, each with what it may be."""


def parse_tactic(text: str, tool: Tool) -> Tactic | None:
    """The tactic that a text is; None where it is none of `environments.theorems.tactics`."""
    for kind, pattern in _patterns(tool).items():
        found = pattern.fullmatch(" ".join(text.split()))
        if found is None:
            continue
        part = found.groupdict()
        try:
            formula = parse(part["formula"], tool) if "formula" in part else None
        except ValueError:
            return None
        new = tuple(part[name] for name in ("first", "last") if name in part)
        return Tactic(kind, part.get("on", ""), new, part.get("argument", ""), formula)
    return None


def translated(text: str, tool: Tool, to: Tool) -> str | None:
    """A tactic of one prover in the words of the other; None where it is none that both have."""
    tactic = parse_tactic(text, tool)
    return None if tactic is None else tactic.text(to)


@cache
def _patterns(tool: Tool) -> dict[Kind, re.Pattern[str]]:
    patterns = {}
    for kind in get_args(Kind):
        text = Tactic(kind, "ON", ("FIRST", "LAST"), "ARGUMENT", atom("FORMULA")).text(tool)
        escaped = re.escape(text)
        for mark, form in _MARKS.items():
            escaped = escaped.replace(mark, f"(?P<{mark.lower()}>{form})")
        patterns[kind] = re.compile(escaped)
    return patterns


def by_the_book(formula: Formula, script: Sequence[str], tool: Tool) -> bool:
    """Whether a script is a proof by the rules of `environments.theorems`, which are narrower than the provers' own.

    Coq's `apply` for one takes a conjunction apart by itself; Lean's does not.
    """
    tactics = [parse_tactic(text, tool) for text in script]
    known = [tactic for tactic in tactics if tactic is not None]
    try:
        return len(known) == len(tactics) and not play(formula, known)
    except NotApplicable:
        return False


def parse_goal(line: str) -> Sequent:
    r"""The goal of a line such as `h1: p /\ q, h2: ~ p |- q`.

    Raises:
      ValueError: it is no goal of propositional logic with hypotheses h1, h2 and so on.
    """
    known, bar, goal = line.strip().rpartition("|-")
    if not bar:
        raise ValueError(f"{line!r} is no goal")
    pairs = [part.split(": ", 1) for part in known.strip().split(", ") if part]
    return Sequent(tuple((name, parse(formula)) for name, formula in pairs), parse(goal))


def menu(line: str, tool: Tool) -> list[str]:
    """All tactics that fit the goal on a line; none where it is no goal of propositional logic.

    What is tried in vain costs nothing here: the prover would refuse what is left out.
    """
    try:
        goal = parse_goal(line)
    except ValueError:
        return []
    return [tactic.text(tool) for tactic in _all(goal) if _fits(goal, tactic)]


def _all(goal: Sequent) -> Iterator[Tactic]:
    one, two = goal.fresh(1), goal.fresh(2)
    for name in goal.names:
        yield Tactic("exact", name)
    yield Tactic("intro", new=one)
    yield Tactic("split")
    yield Tactic("left")
    yield Tactic("right")
    for name, formula in goal.hypotheses:
        yield Tactic("apply", name)
        yield Tactic("unpack", name, new=two)
        yield Tactic("cases", name, new=two)
        for other in goal.names:
            yield Tactic("specialize", name, argument=other)
        if formula.operator == "implies" and formula.parts[1] not in goal.formulas | {goal.goal}:
            yield Tactic("have", new=one, formula=formula.parts[1])
    if goal.goal != FALSE:
        yield Tactic("exfalso")


def _fits(goal: Sequent, tactic: Tactic) -> bool:
    try:
        goal.step(tactic)
    except NotApplicable:
        return False
    return True
