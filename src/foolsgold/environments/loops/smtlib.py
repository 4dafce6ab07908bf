"""Terms in SMT-LIB's brackets: read with a reader of our own, and written for solvers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import pairwise

from foolsgold.environments.loops.syntax import MAX_DEPTH, MAX_DIGITS, SyntaxFault
from foolsgold.environments.loops.terms import (
    FALSE,
    TRUE,
    Apply,
    Choice,
    Constant,
    Term,
    Variable,
    applied,
    conjunction,
    walk,
)

Brackets = str | list["Brackets"]
"""An atom, or what stands between two brackets."""

Scope = Mapping[str, Term]
Functions = Mapping[str, Callable[[list[Term]], Term]]

_TOKEN = re.compile(r"(?:\s+|;[^\n]*)*(?:([()])|\|([^|\\]*)\||([^\s()|;\"]+)|(.)|$)", re.DOTALL)


def read_brackets(text: str, max_depth: int = 400) -> list[Brackets]:
    """All expressions of `text`; comments are left out.

    Raises:
      SyntaxFault: brackets do not match, or are nested too deep.
    """
    top: list[Brackets] = []
    open_lists = [top]
    for match in _TOKEN.finditer(text):
        bracket, quoted, atom, other = match.groups()
        if other:
            raise SyntaxFault(f"{other!r} means nothing here")
        if bracket == "(":
            if len(open_lists) > max_depth:
                raise SyntaxFault(f"brackets are nested more than {max_depth} deep")
            inner: list[Brackets] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif bracket == ")":
            if len(open_lists) == 1:
                raise SyntaxFault("a closing bracket has no opening one")
            open_lists.pop()
        elif quoted is not None or atom is not None:
            open_lists[-1].append(quoted if atom is None else atom)
    if len(open_lists) > 1:
        raise SyntaxFault(f"{len(open_lists) - 1} closing brackets are missing")
    return top


def read_term(text: str, scope: Scope) -> Term:
    """A single term over the names of `scope`.

    Raises:
      SyntaxFault: it is no term, is too deep, or has names that `scope` lacks.
    """
    found = read_brackets(text, MAX_DEPTH)
    if len(found) != 1:
        raise SyntaxFault(f"{len(found)} expressions are given where one is wanted")
    return to_term(found[0], scope, {})


_NAMES = {"=": "==", "=>": "==>", "and": "&&", "or": "||", "not": "!", "distinct": "!=", "iff": "==", "implies": "==>"}
_CHAINED = ("==", "<", "<=", ">", ">=")
_FOLDED = ("+", "-", "*", "div")


def to_term(brackets: Brackets, scope: Scope, functions: Functions) -> Term:
    """What brackets mean.

    Args:
      scope: what names stand for.
      functions: those that the text defined.

    Raises:
      SyntaxFault: a name is unknown, or an operator is given what it does not take.
    """
    if isinstance(brackets, str):
        return _atom(brackets, scope)
    if not brackets or not isinstance(brackets[0], str):
        raise SyntaxFault("an opening bracket is not followed by an operator")
    head, rest = brackets[0], brackets[1:]
    if head == "let":
        return _let(rest, scope, functions)
    arguments = [to_term(each, scope, functions) for each in rest]
    if head in functions:
        return functions[head](arguments)
    try:
        return _operation(_NAMES.get(head, head), arguments)
    except (ValueError, IndexError) as error:
        raise SyntaxFault(f"({head} ...): {error}") from None


def _atom(atom: str, scope: Scope) -> Term:
    if atom in scope:
        return scope[atom]
    if atom in ("true", "false"):
        return TRUE if atom == "true" else FALSE
    if re.fullmatch(r"-?[0-9]+", atom):
        if len(atom) > MAX_DIGITS:
            raise SyntaxFault(f"a number has more than {MAX_DIGITS} digits")
        return Constant(int(atom))
    raise SyntaxFault(f"{atom[:40]!r} is neither a variable nor a number")


def _let(rest: list[Brackets], scope: Scope, functions: Functions) -> Term:
    if len(rest) != 2 or not isinstance(rest[0], list):
        raise SyntaxFault("let wants a list of names with values, and a body")
    inner = dict(scope)
    for binding in rest[0]:
        if not (isinstance(binding, list) and len(binding) == 2 and isinstance(binding[0], str)):
            raise SyntaxFault("let wants names with values")
        inner[binding[0]] = to_term(binding[1], scope, functions)
    return to_term(rest[1], inner, functions)


def _operation(name: str, arguments: list[Term]) -> Term:
    if not arguments:
        raise ValueError("it has no arguments")
    if name in ("&&", "||"):
        for argument in arguments:
            if argument.sort != "Bool":
                raise ValueError(f"{name} is applied to a number; it wants a truth value")
        # Conjunctions inside are not opened: `let` may share them many times over.
        return Apply(name, tuple(arguments)) if len(arguments) > 1 else arguments[0]
    if name == "-" and len(arguments) == 1:
        only = arguments[0]
        return Constant(-only.value) if isinstance(only, Constant) else _applied("neg", arguments, 1)
    if name in ("!", "abs"):
        return _applied(name, arguments, 1)
    if name in _CHAINED and len(arguments) >= 2:
        return conjunction(applied(name, a, b) for a, b in pairwise(arguments))
    if name == "!=" and len(arguments) >= 2:
        pairs = [(a, b) for i, a in enumerate(arguments) for b in arguments[i + 1 :]]
        return conjunction(applied(name, a, b) for a, b in pairs)
    if name == "==>" and len(arguments) >= 2:
        return reduce(lambda claim, condition: applied(name, condition, claim), reversed(arguments))
    if name == "xor" and len(arguments) >= 2:
        return reduce(lambda a, b: applied("!=", a, b), arguments)
    if name in _FOLDED and (len(arguments) >= 2 or name in "+*"):
        return reduce(lambda a, b: applied(name, a, b), arguments)
    if name == "mod":
        return _applied(name, arguments, 2)
    if name == "ite":
        return _applied(name, arguments, 3)
    raise ValueError("this is no operator of linear or polynomial arithmetic, or it wants more arguments")


def _applied(name: str, arguments: list[Term], n: int) -> Term:
    if len(arguments) != n:
        raise ValueError(f"{len(arguments)} arguments are given; it takes {n}")
    return applied(name, *arguments)


_WRITTEN = {"==": "=", "!=": "distinct", "==>": "=>", "&&": "and", "||": "or", "!": "not", "neg": "-"}


def write_term(term: Term) -> str:
    """`term` in SMT-LIB's brackets; shared parts are written as often as they occur."""
    written: dict[int, str] = {}
    for part in walk(term):
        written[id(part)] = _written(part, written)
    return written[id(term)]


def write_assertions(terms: list[Term]) -> str:
    """A script that declares variables and asserts `terms`; every shared part is written once, as a function."""
    uses: Counter[int] = Counter()
    together = Apply("&&", tuple(terms))
    parts = list(walk(together))[:-1]
    for part in [*parts, together]:
        if isinstance(part, Apply):
            uses.update(map(id, part.arguments))
    lines: list[str] = []
    written: dict[int, str] = {}
    declared: set[str] = set()
    for part in parts:
        if isinstance(part, Variable) and part.name not in declared:
            declared.add(part.name)
            lines.append(f"(declare-const {_name(part)} {part.sort})")
        text = _written(part, written)
        if isinstance(part, Apply) and uses[id(part)] > 1:
            lines.append(f"(define-fun |shared {len(lines)}| () {part.sort} {text})")
            text = f"|shared {len(lines) - 1}|"
        written[id(part)] = text
    lines += [f"(assert {written[id(term)]})" for term in terms]
    return "\n".join(lines)


def _name(variable: Variable) -> str:
    return f"|{variable.name}|"


def _written(part: Term, written: Mapping[int, str]) -> str:
    if isinstance(part, Variable):
        return _name(part)
    if isinstance(part, Constant):
        value = part.value
        return str(value).lower() if part.sort == "Bool" or value >= 0 else f"(- {-value})"
    if isinstance(part, Choice):
        raise TypeError("a choice cannot be written; replace it first")
    texts = [written[id(argument)] for argument in part.arguments]
    if part.operator in ("/", "%"):
        return _truncated(part.operator, *texts)
    return f"({_WRITTEN.get(part.operator, part.operator)} {' '.join(texts)})"


def _truncated(name: str, a: str, b: str) -> str:
    """C's division of `a`: that of its size, with its sign back."""
    operation = "div" if name == "/" else "mod"
    return f"(ite (>= {a} 0) ({operation} {a} {b}) (- ({operation} (- {a}) {b})))"
