"""Verification conditions: what must hold of all integers for invariants to prove a program (Floyd 1967, Hoare 1969).

A program is cut at its loops. Between two cuts it is run once on symbols (strongest postconditions; branches are joined
by `ite`, so that conditions grow with the program's length and not with its paths), and each claim met on the way
becomes a condition. Nothing here needs a solver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from foolsgold.environments.loops.language import Assert, Assign, Assume, Block, If, Program, Statement, While, assigned
from foolsgold.environments.loops.syntax import show
from foolsgold.environments.loops.terms import (
    Apply,
    Choice,
    Term,
    Variable,
    conjunction,
    disjunction,
    implication,
    negation,
    replaced,
)

Kind = Literal["initiation", "consecution", "sufficiency"]
KINDS: tuple[Kind, ...] = ("initiation", "consecution", "sufficiency")
"""initiation: the invariant holds when the loop is reached. consecution: one pass through the loop keeps it.
sufficiency: it proves the assertions."""


@dataclass(frozen=True)
class Condition:
    """`assumptions` imply `claim`, for all values of their variables."""

    kind: Kind
    assumptions: tuple[Term, ...]
    claim: Term
    text: str
    """What is claimed, as the program or the invariant says it."""
    before: dict[str, Term]
    """The program's variables at the cut where the run began."""
    after: dict[str, Term]
    """The same where the claim is made."""

    @property
    def formula(self) -> Term:
        """The condition as one term."""
        return implication(conjunction(self.assumptions), self.claim)


def program_conditions(program: Program) -> list[Condition]:
    """Conditions for the program's own invariants; a loop without any has the invariant `true`.

    An assertion in front of a loop or in it is sufficiency as well. Once claimed, it is assumed.
    """
    return list(_Run(program).block(program.body))


class _Run:
    """The symbolic run: values of variables, and what is known of them."""

    def __init__(self, program: Program):
        self.values: dict[str, Term] = {name: Variable(name) for name in program.variables}
        self.before = dict(self.values)
        self.known: list[Term] = []
        self.fresh = count(1)

    def term(self, term: Term) -> Term:
        """What `term` is here. A choice gets a name that no program can use."""
        return replaced(term, self._now)

    def _now(self, part: Variable | Choice) -> Term:
        if isinstance(part, Variable):
            return self.values[part.name]
        return Variable(f"any#{next(self.fresh)}", part.sort)

    def block(self, block: Block) -> Iterator[Condition]:
        for statement in block:
            yield from self.statement(statement)

    def statement(self, statement: Statement) -> Iterator[Condition]:
        if isinstance(statement, Assign):
            self.values[statement.variable] = self.term(statement.value)
        elif isinstance(statement, Assume):
            self.known.append(self.term(statement.condition))
        elif isinstance(statement, Assert):
            yield self.claim("sufficiency", statement.condition)
            self.known.append(self.term(statement.condition))
        elif isinstance(statement, If):
            yield from self.branch(statement)
        else:
            yield from self.loop(statement)

    def claim(self, kind: Kind, condition: Term) -> Condition:
        return Condition(
            kind, tuple(self.known), self.term(condition), show(condition), dict(self.before), dict(self.values)
        )

    def branch(self, statement: If) -> Iterator[Condition]:
        test = self.term(statement.condition)
        start, known, before = dict(self.values), self.known, self.before
        self.known = [*known, test]
        yield from self.block(statement.then)
        then, then_known = self.values, self.known[len(known) :]
        self.values, self.known, self.before = dict(start), [*known, negation(test)], before
        yield from self.block(statement.otherwise)
        otherwise, otherwise_known = self.values, self.known[len(known) :]
        self.values = {
            name: value if value is otherwise[name] else Apply("ite", (test, value, otherwise[name]))
            for name, value in then.items()
        }
        self.known, self.before = known, before
        if len(then_known) > 1 or len(otherwise_known) > 1:
            self.known = [*known, disjunction([conjunction(then_known), conjunction(otherwise_known)])]

    def loop(self, statement: While) -> Iterator[Condition]:
        invariant = conjunction(statement.invariants)
        yield self.claim("initiation", invariant)
        start = next(self.fresh)
        for name in assigned(statement.body):
            self.values[name] = Variable(f"{name}#{start}")
        self.known = [*self.known, self.term(invariant)]
        self.before = dict(self.values)
        # One pass through the body; afterwards the run goes on from the loop's head.
        head, known, before = dict(self.values), self.known, self.before
        test = self.term(statement.condition)
        self.known = [*known, test]
        yield from self.block(statement.body)
        yield self.claim("consecution", invariant)
        self.values, self.before = head, before
        self.known = [*known, negation(self.term(statement.condition))]
