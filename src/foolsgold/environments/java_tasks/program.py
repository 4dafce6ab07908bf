"""Small Java methods as trees: integers of 32 bits, characters, strings and arrays of integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Type = Literal["int", "char", "boolean", "String", "int[]"]

BINARY = {
    "*": 12, "/": 12, "%": 12, "+": 11, "-": 11, "<<": 10, ">>": 10, ">>>": 10, "<": 9, "<=": 9, ">": 9, ">=": 9,
    "==": 8, "!=": 8, "&": 7, "^": 6, "|": 5, "&&": 4, "||": 3,
}  # fmt: skip
"""Operators of two operands and how closely they bind (Java Language Specification, chapter 15)."""
LOGICAL = ("<", "<=", ">", ">=", "==", "!=", "&&", "||", "!", "equals")
"""Operators whose value is a boolean."""


@dataclass(frozen=True)
class Expr:
    """An expression, with its type."""

    op: str
    """An operator of `BINARY`; neg, !, ?:, (char); literal, name; index, length, charAt, substring, indexOf, equals,
    clone, new; abs, max, min, floorMod, floorDiv."""
    args: tuple[Expr, ...]
    type: Type
    value: int | str | bool | None = None
    """Of a literal; the identifier of a name."""

    def walk(self) -> Iterator[Expr]:
        """The expression and all parts of it."""
        yield self
        for arg in self.args:
            yield from arg.walk()


@dataclass(frozen=True)
class Assign:
    """`target op value`, with a type where the target is declared here."""

    target: Expr
    op: str
    """=, +=, -=, *=, /=, %=, ^=, |=, &= or >>="""
    value: Expr
    declares: Type | None = None


@dataclass(frozen=True)
class If:
    """A choice; `orelse` may be empty."""

    condition: Expr
    body: tuple[Statement, ...]
    orelse: tuple[Statement, ...]


@dataclass(frozen=True)
class For:
    """`for (int counter = start; counter compare bound; counter += step)`."""

    counter: str
    start: Expr
    compare: str
    """<, <=, > or >="""
    bound: Expr
    step: int
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Each:
    """`for (type item : over)`; over the characters of a string through `toCharArray`."""

    item: Expr
    over: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class While:
    """A loop with its condition first."""

    condition: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Return:
    """The method's value."""

    value: Expr


@dataclass(frozen=True)
class Jump:
    """`break` or `continue`."""

    word: str


Statement = Assign | If | For | Each | While | Return | Jump


@dataclass(frozen=True)
class Method:
    """A static method."""

    type: Type
    name: str
    parameters: tuple[Expr, ...]
    """Names with their types."""
    body: tuple[Statement, ...]


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements of a body, inner ones too, in the order of the source."""
    for each in body:
        yield each
        if isinstance(each, If):
            yield from statements(each.body)
            yield from statements(each.orelse)
        elif isinstance(each, For | Each | While):
            yield from statements(each.body)


def assigned(body: tuple[Statement, ...]) -> set[str]:
    """Names of the variables that a body assigns to."""
    return {
        str(each.target.value) for each in statements(body) if isinstance(each, Assign) and each.target.op == "name"
    }
