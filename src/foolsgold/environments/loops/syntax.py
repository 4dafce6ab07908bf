"""C-like expressions as text: read with a grammar of our own, since text from models is data, and written back."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from foolsgold.environments.loops.terms import (
    FALSE,
    TRUE,
    Apply,
    Choice,
    Constant,
    Sort,
    Term,
    Variable,
    applied,
)
from foolsgold.errors import UserError

MAX_DIGITS = 12
MAX_DEPTH = 40

_TOKEN = re.compile(
    r"(?P<skip>\s+|//[^\n]*|/\*.*?\*/)|(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>==>|==|!=|<=|>=|&&|\|\||\+\+|--|\+=|-=|\*=|[-+*/%<>!=(){};,])|(?P<other>.)",
    re.DOTALL | re.ASCII,
)
_PRECEDENCE = {
    "==>": 1, "||": 2, "&&": 3, "==": 4, "!=": 4, "<": 5, "<=": 5, ">": 5, ">=": 5,
    "+": 6, "-": 6, "*": 7, "/": 7, "%": 7,
}  # fmt: skip
_UNARY = 8
_WORDS = ("true", "false", "int", "if", "else", "while", "do", "for", "return", "skip", "nondet", "unknown")
KEYWORDS = frozenset((*_WORDS, "assume", "requires", "assert", "ensures", "invariant"))


class SyntaxFault(UserError):
    """Text that cannot be read; the message says where and what would be right."""


@dataclass(frozen=True)
class Token:
    text: str
    kind: str
    """number, name, sign or end"""
    line: int
    """From 1."""


def tokens_of(text: str) -> list[Token]:
    """Tokens of `text` without blanks and comments, and one for its end.

    Raises:
      SyntaxFault: a sign that means nothing here.
    """
    tokens, line = [], 1
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup or "", match.group()
        if kind == "other":
            raise SyntaxFault(f"line {line}: {found!r} means nothing here")
        if kind != "skip":
            tokens.append(Token(found, kind, line))
        line += found.count("\n")
    tokens.append(Token("the end", "end", line))
    return tokens


class Reader:
    """Reads tokens one by one; expressions by precedence climbing (Richards 1979)."""

    def __init__(self, text: str, choices: bool = False, variables: Mapping[str, Sort] | None = None):
        """
        Args:
          choices: whether `*` may stand for any value.
          variables: those that may occur, with their sorts; None: any, as numbers.
        """
        self.tokens = tokens_of(text)
        self.place = 0
        self.choices = choices
        self.variables = variables

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def next(self) -> Token:
        token = self.token
        self.place += token.kind != "end"
        return token

    def accepts(self, *texts: str) -> bool:
        """Goes on by one token if it is one of `texts`."""
        found = self.token.text in texts and self.token.kind != "end"
        self.place += found
        return found

    def expect(self, text: str) -> None:
        """Goes on past `text`."""
        if not self.accepts(text):
            raise self.fault(f"{text!r} is missing before {self.token.text!r}")

    def name(self) -> str:
        """Goes on past a variable's name."""
        token = self.next()
        if token.kind != "name" or token.text in KEYWORDS:
            raise self.fault(f"a variable's name is missing before {token.text!r}", token)
        return token.text

    def fault(self, message: str, token: Token | None = None) -> SyntaxFault:
        return SyntaxFault(f"line {(token or self.token).line}: {message}")

    def end(self) -> None:
        """Nothing may follow."""
        if self.token.kind != "end":
            raise self.fault(f"{self.token.text!r} does not belong here")

    def condition(self, depth: int = 0) -> Term:
        """A truth value."""
        return self._of_sort(self.expression(1, depth), "Bool")

    def number(self) -> Term:
        """A number."""
        return self._of_sort(self.expression(1, 0), "Int")

    def expression(self, lowest: int, depth: int) -> Term:
        """The longest expression whose operators bind at least as tightly as `lowest`."""
        if depth > MAX_DEPTH:
            raise self.fault(f"an expression is nested more than {MAX_DEPTH} deep")
        left = self._operand(depth)
        while (level := _PRECEDENCE.get(self.token.text, 0)) >= lowest and self.token.kind == "sign":
            sign = self.next()
            # The implication leans to the right, all others to the left.
            right = self.expression(level if sign.text == "==>" else level + 1, depth + 1)
            left = self._applied(sign, left, right)
        if self.token.text == "=":
            raise self.fault("= sets a variable; write == to compare")
        return left

    def _operand(self, depth: int) -> Term:
        token = self.next()
        if token.kind == "number":
            if len(token.text) > MAX_DIGITS:
                raise self.fault(f"a number has more than {MAX_DIGITS} digits", token)
            return Constant(int(token.text))
        if token.text in ("true", "false"):
            return TRUE if token.text == "true" else FALSE
        if token.text == "(":
            inner = self.expression(1, depth + 1)
            self.expect(")")
            return inner
        if token.text == "-":
            inner = self.expression(_UNARY, depth + 1)
            if isinstance(inner, Constant) and inner.sort == "Int":
                return Constant(-inner.value)
            return self._applied(Token("neg", "sign", token.line), inner)
        if token.text == "!":
            return self._applied(token, self.expression(_UNARY, depth + 1))
        if self.choices and (token.text == "*" or token.text in ("nondet", "unknown")):
            if token.text != "*":
                self.expect("(")
                self.expect(")")
            return Choice("Bool")
        if token.kind == "name" and token.text not in KEYWORDS:
            return self._variable(token)
        raise self.fault(f"a number, a variable or a bracket is missing before {token.text!r}", token)

    def _variable(self, token: Token) -> Variable:
        if self.variables is None:
            return Variable(token.text)
        if token.text not in self.variables:
            known = ", ".join(itertools.islice(self.variables, 8))
            raise self.fault(f"{token.text} is no variable of the program, which has {known}", token)
        return Variable(token.text, self.variables[token.text])

    def _applied(self, sign: Token, *arguments: Term) -> Term:
        if sign.text in ("/", "%") and not (isinstance(arguments[1], Constant) and arguments[1].value):
            raise self.fault(f"{sign.text} takes a number other than 0 on its right", sign)
        if sign.text in ("<", "<=", ">", ">=") and arguments[0].sort == "Bool" and not isinstance(arguments[0], Choice):
            raise self.fault("a <= b <= c is two comparisons; write a <= b && b <= c", sign)
        numbers = _PRECEDENCE.get(sign.text, 0) > _PRECEDENCE["=="] or sign.text == "neg"
        try:
            return applied(sign.text, *(self._of_sort(each, "Int") if numbers else each for each in arguments))
        except ValueError as error:
            raise self.fault(str(error), sign) from None

    def _of_sort(self, term: Term, sort: Sort) -> Term:
        if isinstance(term, Choice):
            return Choice(sort)
        if term.sort != sort:
            raise self.fault(
                "a truth value stands where a number must"
                if sort == "Int"
                else "a number stands where a condition must"
            )
        return term


def show(term: Term) -> str:
    """`term` as C-like text, with no more brackets than needed; `Reader` reads it back to the same term.

    SMT-LIB's own operators are shown as functions, which nobody reads back.
    """
    return _shown(term, 0)


def _shown(term: Term, lowest: int) -> str:
    if isinstance(term, Variable):
        return term.name
    if isinstance(term, Choice):
        return "*"
    if isinstance(term, Constant):
        return str(term.value).lower()
    return _SHOWN.get(term.operator, _shown_infix)(term, lowest)


def _shown_unary(term: Apply, lowest: int) -> str:
    inner = _shown(term.arguments[0], _UNARY)
    if term.operator == "!":
        return f"!{inner}"
    # Two minus signs in a row would be read as a decrement.
    return f"-({inner})" if inner.startswith("-") or inner[0].isdigit() else f"-{inner}"


def _shown_function(term: Apply, lowest: int) -> str:
    return f"{term.operator}({', '.join(show(argument) for argument in term.arguments)})"


def _shown_infix(term: Apply, lowest: int) -> str:
    level = _PRECEDENCE[term.operator]
    if term.operator in ("&&", "||"):
        parts = [_shown(argument, level + 1) for argument in term.arguments]
    else:
        left, right = term.arguments
        leans_right = term.operator == "==>"
        parts = [_shown(left, level + leans_right), _shown(right, level + (not leans_right))]
    text = f" {term.operator} ".join(parts)
    return f"({text})" if level < lowest else text


_SHOWN: dict[str, Callable[[Apply, int], str]] = {
    "neg": _shown_unary,
    "!": _shown_unary,
    "abs": _shown_function,
    "div": _shown_function,
    "mod": _shown_function,
    "ite": _shown_function,
}
