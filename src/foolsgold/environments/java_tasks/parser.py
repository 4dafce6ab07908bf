"""Reads the part of Java that the tasks are written in."""

from __future__ import annotations

import re
from typing import cast

from foolsgold.environments.java_tasks.program import (
    BINARY,
    LOGICAL,
    Assign,
    Each,
    Expr,
    For,
    If,
    Jump,
    Method,
    Return,
    Statement,
    Type,
    While,
)
from foolsgold.errors import UserError

_TOKEN = re.compile(
    r"\s*(\d+|'(?:\\.|[^'])'|\"[^\"]*\"|[A-Za-z_]\w*|>>>=|>>>|>>=|<<|>>|[-+*/%^|&<>=!]=|&&|\|\||\+\+|--|[-+*/%^|&<>=!?:;,.(){}\[\]])"
)
_ASSIGNMENTS = ("=", "+=", "-=", "*=", "/=", "%=", "^=", "|=", "&=")
_MATH = ("abs", "max", "min", "floorMod", "floorDiv")
_METHODS: dict[str, Type] = {
    "length": "int", "charAt": "char", "substring": "String", "indexOf": "int", "equals": "boolean", "clone": "int[]",
}  # fmt: skip


def parse(source: str) -> Method:
    """The method in `source`.

    Raises:
      UserError: it is not in the part of Java that the tasks use.
    """
    return _Parser(source).method()


class _Parser:
    def __init__(self, source: str):
        self.tokens: list[str] = []
        self.at = 0
        self.types: dict[str, Type] = {}
        place, source = 0, source.rstrip()
        while place < len(source):
            found = _TOKEN.match(source, place)
            if found is None:
                raise UserError(f"not Java that the tasks use: {source[place : place + 30]!r}")
            self.tokens.append(found[1])
            place = found.end()
        self.tokens.append("")

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self, *expected: str) -> str:
        token = self.peek()
        if expected and token not in expected:
            raise UserError(f"not Java that the tasks use: {token!r} where {' or '.join(expected)} was due")
        self.at += 1
        return token

    def takes(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.at += 1
        return True

    def type(self) -> Type:
        name = self.take("int", "char", "boolean", "String")
        if self.peek() == "[" and self.peek(1) == "]":
            self.take()
            self.take()
            name += "[]"
        return cast(Type, name)

    def method(self) -> Method:
        self.take("static")
        kind, name = self.type(), self.take()
        self.take("(")
        parameters: list[Expr] = []
        while not self.takes(")"):
            parameters.append(self.declared(self.type()))
            self.takes(",")
        return Method(kind, name, tuple(parameters), self.block())

    def declared(self, kind: Type) -> Expr:
        name = self.take()
        self.types[name] = kind
        return Expr("name", (), kind, name)

    def block(self) -> tuple[Statement, ...]:
        if not self.takes("{"):
            return (self.statement(),)
        body = []
        while not self.takes("}"):
            body.append(self.statement())
        return tuple(body)

    def statement(self) -> Statement:
        word = self.peek()
        if word == "if":
            return self.choice()
        if word == "for":
            return self.loop()
        if word == "while":
            self.take()
            condition = self.parenthesised()
            return While(condition, self.block())
        if word == "return":
            self.take()
            value = self.expression()
            self.take(";")
            return Return(value)
        if word in ("break", "continue"):
            self.take()
            self.take(";")
            return Jump(word)
        if word in ("int", "char", "boolean", "String"):
            kind = self.type()
            target = self.declared(kind)
            self.take("=")
            value = self.expression()
            self.take(";")
            return Assign(target, "=", value, kind)
        assignment = self.assignment()
        self.take(";")
        return assignment

    def assignment(self) -> Assign:
        target = self.postfix()
        op = self.take(*_ASSIGNMENTS, "++", "--")
        if op in ("++", "--"):
            return Assign(target, op[0] + "=", _number(1))
        return Assign(target, op, self.expression())

    def choice(self) -> If:
        self.take("if")
        condition = self.parenthesised()
        body = self.block()
        return If(condition, body, self.block() if self.takes("else") else ())

    def loop(self) -> For | Each:
        self.take("for")
        self.take("(")
        item = self.declared(self.type())
        if self.takes(":"):
            over = self.expression()
            self.take(")")
            return Each(item, over, self.block())
        self.take("=")
        start = self.expression()
        self.take(";")
        self.take(str(item.value))
        compare = self.take("<", "<=", ">", ">=")
        bound = self.expression()
        self.take(";")
        update = self.assignment()
        self.take(")")
        step = cast(int, update.value.value) * (1 if update.op == "+=" else -1)
        return For(str(item.value), start, compare, bound, step, self.block())

    def parenthesised(self) -> Expr:
        self.take("(")
        value = self.expression()
        self.take(")")
        return value

    def expression(self) -> Expr:
        condition = self.binary(3)
        if not self.takes("?"):
            return condition
        first = self.expression()
        self.take(":")
        second = self.expression()
        return Expr("?:", (condition, first, second), first.type if first.type == second.type else "int")

    def binary(self, least: int) -> Expr:
        left = self.unary()
        while BINARY.get(self.peek(), 0) >= least:
            op = self.take()
            right = self.binary(BINARY[op] + 1)
            kind: Type = "int"
            if op in LOGICAL:
                kind = "boolean"
            elif op == "+" and "String" in (left.type, right.type):
                kind = "String"
            left = Expr(op, (left, right), kind)
        return left

    def unary(self) -> Expr:
        if self.takes("-"):
            return Expr("neg", (self.unary(),), "int")
        if self.takes("!"):
            return Expr("!", (self.unary(),), "boolean")
        if self.peek() == "(" and self.peek(1) == "char" and self.peek(2) == ")":
            self.at += 3
            return Expr("(char)", (self.unary(),), "char")
        return self.postfix()

    def postfix(self) -> Expr:
        value = self.primary()
        while True:
            if self.takes("["):
                value = Expr("index", (value, self.expression()), "int")
                self.take("]")
            elif self.takes("."):
                name = self.take(*_METHODS, "toCharArray")
                args = self.arguments() if self.peek() == "(" else ()
                if name != "toCharArray":
                    value = Expr(name, (value, *args), _METHODS[name])
            else:
                return value

    def arguments(self) -> tuple[Expr, ...]:
        self.take("(")
        args = []
        while not self.takes(")"):
            args.append(self.expression())
            self.takes(",")
        return tuple(args)

    def primary(self) -> Expr:
        token = self.take()
        if token.isdigit():
            return _number(int(token))
        if token[0] == "'":
            return Expr("literal", (), "char", token[1:-1])
        if token[0] == '"':
            return Expr("literal", (), "String", token[1:-1])
        if token in ("true", "false"):
            return Expr("literal", (), "boolean", token == "true")
        if token == "(":
            value = self.expression()
            self.take(")")
            return value
        if token == "new":
            self.take("int")
            self.take("[")
            size = self.expression()
            self.take("]")
            return Expr("new", (size,), "int[]")
        if token == "Math":
            self.take(".")
            return Expr(self.take(*_MATH), self.arguments(), "int")
        if token not in self.types:
            raise UserError(f"not Java that the tasks use: {token!r} is not declared")
        return Expr("name", (), self.types[token], token)


def _number(value: int) -> Expr:
    return Expr("literal", (), "int", value)
