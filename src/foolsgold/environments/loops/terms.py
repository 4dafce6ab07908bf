"""Terms over mathematical integers and truth values: what programs compute with and invariants are made of.

Terms are trees that may share parts; every walk here visits a shared part once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Sort = Literal["Int", "Bool"]
State = Mapping[str, int]
"""Values of variables; truth values are Python's."""


@dataclass(frozen=True)
class Variable:
    name: str
    sort: Sort = "Int"


@dataclass(frozen=True)
class Constant:
    """A number or a truth value; the class of `value` tells which."""

    value: int

    @property
    def sort(self) -> Sort:
        return "Bool" if isinstance(self.value, bool) else "Int"

    # Python holds 1 == True; here they are two things.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.value == other.value and self.sort == other.sort

    def __hash__(self) -> int:
        return hash((self.sort, self.value))


@dataclass(frozen=True)
class Choice:
    """Any value, another one each time: `*` in programs."""

    sort: Sort


@dataclass(frozen=True)
class Apply:
    """An operator of `OPERATORS` on its arguments."""

    operator: str
    arguments: tuple[Term, ...]

    @property
    def sort(self) -> Sort:
        result = OPERATORS[self.operator].result
        return self.arguments[1].sort if result is None else result


Term = Variable | Constant | Choice | Apply


@dataclass(frozen=True)
class Operator:
    """`None` as a sort: either one, but the same for all such arguments, and for the result of `ite`."""

    compute: Callable[..., int]
    arguments: Sort | None
    result: Sort | None


def truncated_quotient(a: int, b: int) -> int:
    """C's `/`: rounds towards 0."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def truncated_remainder(a: int, b: int) -> int:
    """C's `%`: has the sign of `a`."""
    return a - b * truncated_quotient(a, b)


def euclidean_quotient(a: int, b: int) -> int:
    """SMT-LIB's `div`: leaves a remainder from 0 up (Boute 1992)."""
    return (a - a % abs(b)) // b


OPERATORS: dict[str, Operator] = {
    "+": Operator(operator.add, "Int", "Int"),
    "-": Operator(operator.sub, "Int", "Int"),
    "*": Operator(operator.mul, "Int", "Int"),
    "neg": Operator(operator.neg, "Int", "Int"),
    "abs": Operator(abs, "Int", "Int"),
    "/": Operator(truncated_quotient, "Int", "Int"),
    "%": Operator(truncated_remainder, "Int", "Int"),
    "div": Operator(euclidean_quotient, "Int", "Int"),
    "mod": Operator(lambda a, b: a % abs(b), "Int", "Int"),
    "==": Operator(operator.eq, None, "Bool"),
    "!=": Operator(operator.ne, None, "Bool"),
    "<": Operator(operator.lt, "Int", "Bool"),
    "<=": Operator(operator.le, "Int", "Bool"),
    ">": Operator(operator.gt, "Int", "Bool"),
    ">=": Operator(operator.ge, "Int", "Bool"),
    "!": Operator(operator.not_, "Bool", "Bool"),
    "&&": Operator(lambda *parts: all(parts), "Bool", "Bool"),
    "||": Operator(lambda *parts: any(parts), "Bool", "Bool"),
    "==>": Operator(lambda a, b: not a or b, "Bool", "Bool"),
    "ite": Operator(lambda condition, a, b: a if condition else b, None, None),
}
"""`/` and `%` are C's, `div` and `mod` SMT-LIB's. `&&` and `||` take two and more arguments."""

TRUE, FALSE = Constant(True), Constant(False)


def conjunction(parts: Iterable[Term]) -> Term:
    """All of `parts`, conjunctions among them opened, constants left out."""
    return _joined("&&", TRUE, parts)


def disjunction(parts: Iterable[Term]) -> Term:
    """Any of `parts`, disjunctions among them opened, constants left out."""
    return _joined("||", FALSE, parts)


def _joined(name: str, neutral: Constant, parts: Iterable[Term]) -> Term:
    kept: list[Term] = []
    for part in parts:
        if isinstance(part, Apply) and part.operator == name:
            kept.extend(part.arguments)
        elif isinstance(part, Constant) and part != neutral:
            return part
        elif part != neutral:
            kept.append(part)
    if len(kept) < 2:
        return kept[0] if kept else neutral
    return Apply(name, tuple(kept))


def negation(term: Term) -> Term:
    """Its opposite."""
    return Constant(not term.value) if isinstance(term, Constant) else Apply("!", (term,))


def implication(condition: Term, claim: Term) -> Term:
    """`claim` wherever `condition` holds."""
    return Apply("==>", (condition, claim))


def parts_of(term: Term) -> tuple[Term, ...]:
    """The conjuncts of a term, itself where it is no conjunction."""
    return term.arguments if isinstance(term, Apply) and term.operator == "&&" else (term,)


def walk(term: Term) -> Iterator[Term]:
    """Every part of `term` once, arguments before what is made of them."""
    seen: set[int] = set()
    waiting: list[tuple[Term, bool]] = [(term, False)]
    while waiting:
        part, ready = waiting.pop()
        if ready:
            yield part
        elif id(part) not in seen:
            seen.add(id(part))
            waiting.append((part, True))
            if isinstance(part, Apply):
                waiting.extend((argument, False) for argument in reversed(part.arguments))


def variables_of(*terms: Term) -> dict[str, Variable]:
    """Variables in `terms` by name, in the order in which they first occur."""
    return {part.name: part for term in terms for part in walk(term) if isinstance(part, Variable)}


def replaced(term: Term, replacement: Callable[[Variable | Choice], Term]) -> Term:
    """`term` with every variable and choice replaced."""
    done: dict[int, Term] = {}
    for part in walk(term):
        if isinstance(part, Apply):
            arguments = tuple(done[id(argument)] for argument in part.arguments)
            same = all(map(operator.is_, arguments, part.arguments))  # == would walk shared parts again and again
            done[id(part)] = part if same else Apply(part.operator, arguments)
        else:
            done[id(part)] = part if isinstance(part, Constant) else replacement(part)
    return done[id(term)]


def evaluate(term: Term, state: State) -> int:
    """The value of `term`.

    Raises:
      ZeroDivisionError: it divides by 0, be it in a branch that does not count.
      KeyError: `state` lacks a variable.
    """
    values: dict[int, int] = {}
    for part in walk(term):
        if isinstance(part, Constant):
            value = part.value
        elif isinstance(part, Variable):
            value = state[part.name]
        elif isinstance(part, Apply):
            value = OPERATORS[part.operator].compute(*(values[id(argument)] for argument in part.arguments))
        else:
            raise TypeError("a choice has no value; replace it first")
        values[id(part)] = value
    return values[id(term)]


def compiled(term: Term, choose: Callable[[Sort], int] | None = None) -> Callable[[State], int]:
    """A function that evaluates `term`, several times as fast as `evaluate` on terms without shared parts.

    Args:
      choose: what a choice comes to each time.
    """
    if isinstance(term, Constant):
        value = term.value
        return lambda state: value
    if isinstance(term, Variable):
        return operator.itemgetter(term.name)
    if isinstance(term, Choice):
        assert choose is not None
        pick, sort = choose, term.sort
        return lambda state: pick(sort)
    parts = [compiled(argument, choose) for argument in term.arguments]
    if term.operator in ("&&", "||", "==>", "ite"):
        return _lazy(term.operator, parts)
    compute = OPERATORS[term.operator].compute
    if len(parts) == 1:
        only = parts[0]
        return lambda state: compute(only(state))
    left, right = parts
    return lambda state: compute(left(state), right(state))


def _lazy(name: str, parts: list[Callable[[State], int]]) -> Callable[[State], int]:
    if name == "==>":
        return lambda state: not parts[0](state) or parts[1](state)
    if name == "ite":
        return lambda state: parts[1](state) if parts[0](state) else parts[2](state)
    stop = name == "||"

    def joined(state: State) -> bool:
        for part in parts:
            if part(state) == stop:
                return stop
        return not stop

    return joined


def applied(name: str, *arguments: Term) -> Term:
    """An operator on arguments of the right sorts.

    Raises:
      ValueError: an argument has another sort; the message says which.
    """
    wanted = OPERATORS[name].arguments
    checked = arguments
    if name == "ite":
        checked = arguments[1:]
        if arguments[0].sort != "Bool":
            raise ValueError("the condition of a choice is a number")
    wanted = wanted or checked[0].sort
    for argument in checked:
        if argument.sort != wanted:
            one, other = ("a truth value", "a number") if wanted == "Int" else ("a number", "a truth value")
            raise ValueError(f"{name} is applied to {one}; it wants {other}")
    if name in ("&&", "||"):
        return Apply(name, tuple(part for argument in arguments for part in _opened(name, argument)))
    return Apply(name, arguments)


def _opened(name: str, term: Term) -> tuple[Term, ...]:
    return term.arguments if isinstance(term, Apply) and term.operator == name else (term,)
