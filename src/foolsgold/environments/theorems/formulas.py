"""Formulas of propositional logic, and how Coq and Lean write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Tool = Literal["coq", "lean"]
Operator = Literal["atom", "false", "not", "and", "or", "implies", "iff"]

_SIGNS: dict[Tool, dict[Operator, str]] = {
    "coq": {"not": "~ ", "and": " /\\ ", "or": " \\/ ", "implies": " -> ", "iff": " <-> "},
    "lean": {"not": "¬", "and": " ∧ ", "or": " ∨ ", "implies": " → ", "iff": " ↔ "},
}
_STRENGTH: dict[Operator, int] = {"iff": 0, "implies": 1, "or": 2, "and": 3, "not": 4, "atom": 5, "false": 5}
"""How closely an operator binds; both tools agree but for `<->` beside `->`, which is always put in brackets."""


@dataclass(frozen=True)
class Formula:
    """An atom by its name, `False`, or an operator over its parts: one for `not`, two for the others."""

    operator: Operator
    parts: tuple[Formula, ...] = ()
    name: str = ""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Formulas are keys all the time; without this, each look-up would go through the whole tree.
        object.__setattr__(self, "_hash", hash((self.operator, self.parts, self.name)))

    def __hash__(self) -> int:
        return self._hash

    def text(self, tool: Tool = "coq") -> str:
        """As the tool writes it, with no more brackets than it needs. Coq's form is plain ASCII."""
        return self._written(tool)

    def _written(self, tool: Tool) -> str:
        if self.operator == "atom":
            return self.name
        if self.operator == "false":
            return "False"
        sign, own = _SIGNS[tool][self.operator], _STRENGTH[self.operator]
        if self.operator == "not":
            return sign + self.parts[0]._bracketed(tool, own)
        left, right = self.parts
        # Operators but `iff` group to the right in both tools; a chain of the same sign needs brackets on its left.
        strict = own + 1 if self.operator != "iff" else _STRENGTH["or"]
        return left._bracketed(tool, strict) + sign + right._bracketed(tool, own if self.operator != "iff" else strict)

    def _bracketed(self, tool: Tool, least: int) -> str:
        text = self._written(tool)
        return text if _STRENGTH[self.operator] >= least else f"({text})"

    @cached_property
    def atoms(self) -> tuple[str, ...]:
        """Names of its atoms, each once, from left to right."""
        return tuple(dict.fromkeys(self._atoms()))

    def _atoms(self) -> Iterator[str]:
        if self.operator == "atom":
            yield self.name
        for part in self.parts:
            yield from part._atoms()

    @cached_property
    def skeleton(self) -> str:
        """Its structure: the formula with every atom written `_`."""
        return re.sub(r"\b[a-z]\w*", "_", self.text())

    @property
    def operators(self) -> int:
        """How many operators it has."""
        own = self.operator not in ("atom", "false")
        return own + sum(part.operators for part in self.parts)

    def rows(self, columns: Mapping[str, int], every: int) -> int:
        """Rows of a truth table in which it is true, one bit a row.

        Args:
          columns: rows in which each atom is true.
          every: all rows.
        """
        parts = [part.rows(columns, every) for part in self.parts]
        match self.operator:
            case "atom":
                return columns[self.name]
            case "false":
                return 0
            case "not":
                return every ^ parts[0]
            case "and":
                return parts[0] & parts[1]
            case "or":
                return parts[0] | parts[1]
            case "implies":
                return (every ^ parts[0]) | parts[1]
            case _:
                return every ^ parts[0] ^ parts[1]

    @property
    def tautology(self) -> bool:
        """Whether it is true classically, whatever its atoms are."""
        n = 1 << len(self.atoms)
        every = (1 << n) - 1
        columns = {name: sum(1 << row for row in range(n) if row >> i & 1) for i, name in enumerate(self.atoms)}
        return self.rows(columns, every) == every


FALSE = Formula("false")


def atom(name: str) -> Formula:
    """A propositional variable."""
    return Formula("atom", name=name)


def negation(part: Formula) -> Formula:
    """Not `part`, which both tools define as `part -> False`."""
    return Formula("not", (part,))


def both(left: Formula, right: Formula) -> Formula:
    """`left` and `right`."""
    return Formula("and", (left, right))


def either(left: Formula, right: Formula) -> Formula:
    """`left` or `right`."""
    return Formula("or", (left, right))


def implies(premise: Formula, conclusion: Formula) -> Formula:
    """`premise` implies `conclusion`."""
    return Formula("implies", (premise, conclusion))


def equivalent(left: Formula, right: Formula) -> Formula:
    """`left` if and only if `right`."""
    return Formula("iff", (left, right))


def statement(formula: Formula, tool: Tool) -> str:
    """What follows a theorem's name: `(p q : Prop) : p -> q -> p` in Coq, with → in Lean."""
    binders = f"({' '.join(formula.atoms)} : Prop) " if formula.atoms else ""
    return f"{binders}: {formula.text(tool)}"


_TOKEN = re.compile(r"\s*(<->|->|/\\|\\/|~|↔|→|∧|∨|¬|[()]|[A-Za-z_]\w*)")
_BINARY: dict[str, Operator] = {
    "<->": "iff",
    "->": "implies",
    "/\\": "and",
    "\\/": "or",
    "↔": "iff",
    "→": "implies",
    "∧": "and",
    "∨": "or",
}
_BINDING: dict[Tool, dict[Operator, int]] = {
    "coq": {"implies": 1, "iff": 2, "or": 3, "and": 4},
    "lean": {"iff": 1, "implies": 2, "or": 3, "and": 4},
}


def parse(text: str, tool: Tool = "coq") -> Formula:
    """The formula of a text that the tool, or `Formula.text`, wrote; its signs may be either tool's.

    Args:
      tool: whose brackets are meant: `p -> q <-> r` is `p -> (q <-> r)` to Coq, `(p -> q) <-> r` to Lean.

    Raises:
      ValueError: it is no formula of propositional logic.
    """
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()):
        raise ValueError(f"{text!r} is no formula of propositional logic")
    formula, rest = _parsed(tokens, 0, _BINDING[tool])
    if rest:
        raise ValueError(f"{text!r} is no formula from {rest[0]!r} on")
    return formula


def _parsed(tokens: list[str], least: int, binding: Mapping[Operator, int]) -> tuple[Formula, list[str]]:
    """The formula that the tokens begin with, as far as signs bind at least so closely, and the other tokens."""
    if not tokens:
        raise ValueError("the formula ends too soon")
    sign, rest = tokens[0], tokens[1:]
    if sign in ("~", "¬"):
        part, rest = _parsed(rest, 5, binding)
        formula = negation(part)
    elif sign == "(":
        formula, rest = _parsed(rest, 0, binding)
        if rest[:1] != [")"]:
            raise ValueError("a bracket is not closed")
        rest = rest[1:]
    elif sign in _BINARY or sign == ")":
        raise ValueError(f"{sign!r} stands where a formula begins")
    else:
        formula = FALSE if sign == "False" else atom(sign)
    while rest and rest[0] in _BINARY and binding[_BINARY[rest[0]]] >= least:
        operator = _BINARY[rest[0]]
        right, rest = _parsed(rest[1:], binding[operator], binding)
        formula = Formula(operator, (formula, right))
    return formula, rest
