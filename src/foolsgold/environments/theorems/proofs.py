"""The shortest proof by the tactics of `tactics`, found by looking ever deeper, and only where a proof can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from foolsgold.environments.theorems.formulas import FALSE, Formula
from foolsgold.environments.theorems.provability import provable
from foolsgold.environments.theorems.tactics import Sequent, Tactic, premises_for

LONGEST = 14
"""Tactics of the longest proof that is looked for."""


@dataclass(frozen=True)
class Proof:
    """A goal, the tactic for it, and proofs of the goals that it leaves."""

    goal: Sequent
    tactic: Tactic
    parts: tuple[Proof, ...]

    @property
    def size(self) -> int:
        """Tactics in all."""
        return 1 + sum(part.size for part in self.parts)

    @property
    def steps(self) -> Iterator[tuple[Sequent, Tactic]]:
        """Each goal with its tactic, in the order of a script."""
        yield self.goal, self.tactic
        for part in self.parts:
            yield from part.steps

    @property
    def script(self) -> list[Tactic]:
        """The tactics in order."""
        return [tactic for _, tactic in self.steps]


def shortest_proof(formula: Formula, longest: int = LONGEST) -> Proof | None:
    """A proof of the fewest tactics; None where there is none of at most `longest`."""
    if not provable(frozenset(), formula):
        return None
    failed: dict[tuple[frozenset[Formula], Formula], int] = {}
    for bound in range(1, longest + 1):
        proof = _search(Sequent((), formula), bound, failed)
        if proof is not None:
            return proof
    return None


def _search(goal: Sequent, bound: int, failed: dict[tuple[frozenset[Formula], Formula], int]) -> Proof | None:
    """The first proof of at most `bound` tactics; `failed` remembers bounds that were too small."""
    key = goal.formulas, goal.goal
    if bound <= failed.get(key, 0):
        return None
    best: Proof | None = None
    for tactic, goals in _moves(goal):
        left = (bound if best is None else best.size - 1) - 1
        parts: list[Proof] = []
        for i, each in enumerate(goals):
            part = _search(each, left - (len(goals) - 1 - i), failed)
            if part is None:
                break
            parts.append(part)
            left -= part.size
        else:
            best = Proof(goal, tactic, tuple(parts))
            if best.size == 1:
                break
    if best is None:
        failed[key] = bound
    return best


def _moves(goal: Sequent) -> Iterator[tuple[Tactic, tuple[Sequent, ...]]]:
    """Tactics that leave goals with proofs, and those goals. What can never hurt is offered alone."""
    for tactic in _sensible(goal):
        goals = goal.step(tactic)
        if all(provable(each.formulas, each.goal) for each in goals):
            yield tactic, goals


def _sensible(goal: Sequent) -> Iterator[Tactic]:
    by_formula = {formula: name for name, formula in reversed(goal.hypotheses)}
    if goal.goal in by_formula:
        yield Tactic("exact", by_formula[goal.goal])
        return
    if FALSE in by_formula:
        yield Tactic("exfalso")
        return
    one, two = goal.fresh(1), goal.fresh(2)
    if goal.goal.operator in ("implies", "not"):
        yield Tactic("intro", new=one)
        return
    for name, formula in goal.hypotheses:
        if premises_for(formula, goal.goal):
            yield Tactic("apply", name)
    if goal.goal.operator in ("and", "iff"):
        yield Tactic("split")
    if goal.goal.operator == "or":
        yield Tactic("left")
        yield Tactic("right")
    for name, formula in goal.hypotheses:
        if formula.operator in ("and", "iff"):
            yield Tactic("unpack", name, new=two)
        if formula.operator == "or":
            yield Tactic("cases", name, new=two)
        if formula.operator == "implies" and formula.parts[1] not in by_formula:
            premise, conclusion = formula.parts
            if premise in by_formula:
                yield Tactic("specialize", name, argument=by_formula[premise])
            elif conclusion != goal.goal:
                yield Tactic("have", new=one, formula=conclusion)
    if goal.goal != FALSE:
        yield Tactic("exfalso")
