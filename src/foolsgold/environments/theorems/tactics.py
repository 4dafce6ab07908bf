"""Sequents, and the ten tactics that prove them: what each does, and how Coq and Lean write it.

The same script means the same in both tools: goals come in the same order, and names are always given. What a tactic
does is computed here without a tool, so demonstrations and states can be made by the thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from foolsgold.environments.theorems.formulas import FALSE, Formula, Tool, implies

Kind = Literal["intro", "split", "left", "right", "exact", "apply", "unpack", "cases", "specialize", "have", "exfalso"]


class NotApplicable(Exception):
    """The tactic does not fit the goal: both tools report an error."""


@dataclass(frozen=True)
class Tactic:
    """One step on the first goal."""

    kind: Kind
    on: str = ""
    """The hypothesis that it uses."""
    new: tuple[str, ...] = ()
    """Names of hypotheses that it makes."""
    argument: str = ""
    """The second hypothesis of `specialize`."""
    formula: Formula | None = None
    """What `have` claims: first the goal is shown from it, then it is shown."""

    def text(self, tool: Tool) -> str:
        """As the tool writes it, without the sign that ends it."""
        return (_COQ if tool == "coq" else _LEAN)[self.kind].format(
            on=self.on,
            argument=self.argument,
            first=self.new[0] if self.new else "",
            last=self.new[-1] if self.new else "",
            formula=self.formula.text(tool) if self.formula else "",
        )


_COQ: dict[Kind, str] = {
    "intro": "intro {first}",
    "split": "split",
    "left": "left",
    "right": "right",
    "exact": "exact {on}",
    "apply": "apply {on}",
    "unpack": "destruct {on} as [{first} {last}]",
    "cases": "destruct {on} as [{first} | {last}]",
    "specialize": "specialize ({on} {argument})",
    "have": "enough ({first} : {formula})",
    "exfalso": "exfalso",
}
_LEAN: dict[Kind, str] = _COQ | {
    "split": "constructor",
    "unpack": "rcases {on} with ⟨{first}, {last}⟩",
    "cases": "rcases {on} with {first} | {last}",
    "specialize": "specialize {on} {argument}",
    "have": "have {first} : {formula} := ?_",
}


def script_text(script: Sequence[Tactic], tool: Tool) -> str:
    """A whole script on one line: `intro h1. exact h1.` in Coq, `intro h1; exact h1` in Lean."""
    texts = [tactic.text(tool) for tactic in script]
    return " ".join(text + "." for text in texts) if tool == "coq" else "; ".join(texts)


@dataclass(frozen=True)
class Sequent:
    """Hypotheses by name, in the order of their numbers, and a goal."""

    hypotheses: tuple[tuple[str, Formula], ...]
    goal: Formula

    @property
    def line(self) -> str:
        r"""In Coq's signs on one line: `h1: p /\ q, h2: ~ p |- q`."""
        known = ", ".join(f"{name}: {formula.text()}" for name, formula in self.hypotheses)
        return f"{known} |- {self.goal.text()}" if known else f"|- {self.goal.text()}"

    @cached_property
    def names(self) -> dict[str, Formula]:
        """Hypotheses by their names."""
        return dict(self.hypotheses)

    @cached_property
    def formulas(self) -> frozenset[Formula]:
        """Hypotheses without their names."""
        return frozenset(formula for _, formula in self.hypotheses)

    def fresh(self, count: int) -> tuple[str, ...]:
        """The next names: `h4` after `h3`."""
        last = int(self.hypotheses[-1][0][1:]) if self.hypotheses else 0
        return tuple(f"h{last + i}" for i in range(1, count + 1))

    def step(self, tactic: Tactic) -> tuple[Sequent, ...]:
        """The goals that the tactic leaves, none where it proves this one.

        Raises:
          NotApplicable: it does not fit.
        """
        goal = self.goal
        match tactic.kind:
            case "intro" if goal.operator in ("implies", "not"):
                premise, conclusion = _arrow(goal)
                return (self._with(tactic.new, (premise,), conclusion),)
            case "split" if goal.operator in ("and", "iff"):
                return tuple(self._for(part) for part in _sides(goal))
            case "left" | "right" if goal.operator == "or":
                return (self._for(goal.parts[tactic.kind == "right"]),)
            case "exfalso":
                return (self._for(FALSE),)
            case "exact" if self._of(tactic.on) == goal:
                return ()
            case "apply":
                premises = premises_for(self._of(tactic.on), goal)
                if premises is not None:
                    return tuple(self._for(premise) for premise in premises)
            case "unpack" if self._of(tactic.on).operator in ("and", "iff"):
                return (self._with(tactic.new, _sides(self._of(tactic.on)), goal, without=tactic.on),)
            case "cases" if self._of(tactic.on).operator == "or":
                parts = zip(tactic.new, self._of(tactic.on).parts, strict=True)
                return tuple(self._with((name,), (part,), goal, without=tactic.on) for name, part in parts)
            case "specialize" if self._of(tactic.on).operator == "implies":
                premise, conclusion = self._of(tactic.on).parts
                if self._of(tactic.argument) == premise:
                    return (self._with((tactic.on,), (conclusion,), goal, without=tactic.on),)
            case "have" if tactic.formula is not None:
                return self._with(tactic.new, (tactic.formula,), goal), self._for(tactic.formula)
        raise NotApplicable(f"{tactic.text('coq')} does not fit {self.line}")

    def _of(self, name: str) -> Formula:
        if name not in self.names:
            raise NotApplicable(f"there is no {name} in {self.line}")
        return self.names[name]

    def _for(self, goal: Formula) -> Sequent:
        return Sequent(self.hypotheses, goal)

    def _with(self, names: tuple[str, ...], formulas: Sequence[Formula], goal: Formula, without: str = "") -> Sequent:
        kept = [(name, formula) for name, formula in self.hypotheses if name != without]
        if {name for name, _ in kept} & set(names):
            raise NotApplicable(f"one of {', '.join(names)} is taken in {self.line}")
        merged = kept + list(zip(names, formulas, strict=True))
        return Sequent(tuple(sorted(merged, key=lambda pair: int(pair[0][1:]))), goal)


def premises_for(formula: Formula, goal: Formula) -> tuple[Formula, ...] | None:
    """What must be shown for `formula` to give `goal`: (A, B) where it is A -> B -> goal; None where it never does."""
    premises: list[Formula] = []
    while formula != goal:
        if formula.operator not in ("implies", "not"):
            return None
        premise, formula = _arrow(formula)
        premises.append(premise)
    return tuple(premises)


def play(formula: Formula, script: Sequence[Tactic]) -> list[Sequent]:
    """The goals that a script leaves of a theorem: none where it is a proof.

    Raises:
      NotApplicable: a tactic does not fit, or comes after the last goal.
    """
    goals = [Sequent((), formula)]
    for tactic in script:
        if not goals:
            raise NotApplicable(f"{tactic.text('coq')} comes after the end of the proof")
        goals = [*goals[0].step(tactic), *goals[1:]]
    return goals


def _arrow(formula: Formula) -> tuple[Formula, Formula]:
    if formula.operator == "not":
        return formula.parts[0], FALSE
    return formula.parts[0], formula.parts[1]


def _sides(formula: Formula) -> tuple[Formula, ...]:
    if formula.operator == "and":
        return formula.parts
    left, right = formula.parts
    return implies(left, right), implies(right, left)
