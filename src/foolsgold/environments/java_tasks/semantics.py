"""What a method returns, exactly as Java has it: 32 bits that wrap, division towards zero, characters that are numbers.

The method becomes nested Python closures once and then runs many times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from foolsgold.environments.java_tasks.program import (
    Assign,
    Each,
    Expr,
    For,
    If,
    Jump,
    Method,
    Return,
    Statement,
    While,
)

Scope = dict[str, Any]
STEPS = 20_000
"""Turns of loops after which a run is given up."""

_RETURNS, _BREAKS, _CONTINUES = "return", "break", "continue"


class JavaError(ValueError):
    """Java would throw: an index out of bounds, a division by zero; or the method runs on and on."""


def wrap(value: int) -> int:
    """The low 32 bits as a signed number."""
    return (value + 2**31) % 2**32 - 2**31


def divide(a: int, b: int) -> int:
    """Java's `a / b`: towards zero."""
    if b == 0:
        raise JavaError("division by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: int, b: int) -> int:
    """Java's `a % b`: with the sign of `a`."""
    return a - b * divide(a, b)


def run(method: Method, arguments: Sequence[Any]) -> Any:
    """The method's value; arrays among the arguments are lists, and are changed as the method changes them.

    Raises:
      JavaError: see there.
    """
    return compile_method(method)(*arguments)


def compile_method(method: Method) -> Callable[..., Any]:
    """The method as a Python function of the same arguments; see `run`."""
    names = [str(each.value) for each in method.parameters]
    body, widens = _block(method.body), method.type == "int"

    def call(*arguments: Any) -> Any:
        scope: Scope = dict(zip(names, arguments, strict=True))
        scope[" steps"] = 0
        if body(scope) != _RETURNS:
            raise JavaError("no return")
        value = scope[" value"]
        return ord(value) if widens and isinstance(value, str) else value

    return call


def _block(body: tuple[Statement, ...]) -> Callable[[Scope], str]:
    steps = [_statement(each) for each in body]

    def perform(scope: Scope) -> str:
        for step in steps:
            if left := step(scope):
                return left
        return ""

    return perform


def _statement(each: Statement) -> Callable[[Scope], str]:
    if isinstance(each, Assign):
        return _assign(each)
    if isinstance(each, Jump):
        word = each.word
        return lambda scope: word
    if isinstance(each, Return):
        value = _value(each.value)

        def leave(scope: Scope) -> str:
            scope[" value"] = value(scope)
            return _RETURNS

        return leave
    if isinstance(each, If):
        condition, body, orelse = _value(each.condition), _block(each.body), _block(each.orelse)
        return lambda scope: body(scope) if condition(scope) else orelse(scope)
    return _loop(each)


def _loop(each: For | Each | While) -> Callable[[Scope], str]:
    body = _block(each.body)
    if isinstance(each, Each):
        over, item = _value(each.over), str(each.item.value)

        def through(scope: Scope) -> str:
            for value in over(scope):
                scope[item] = value
                left = body(scope)
                if left == _BREAKS:
                    break
                if left == _RETURNS:
                    return left
            return ""

        return through
    if isinstance(each, For):
        counter, step = each.counter, each.step
        start = _value(each.start)
        condition = _value(Expr(each.compare, (Expr("name", (), "int", counter), each.bound), "boolean"))
    else:
        counter, step, start, condition = "", 0, None, _value(each.condition)

    def turn(scope: Scope) -> str:
        if start is not None:
            scope[counter] = start(scope)
        while condition(scope):
            scope[" steps"] += 1
            if scope[" steps"] > STEPS:
                raise JavaError("too many steps")
            left = body(scope)
            if left == _BREAKS:
                break
            if left == _RETURNS:
                return left
            if start is not None:
                scope[counter] = wrap(scope[counter] + step)
        return ""

    return turn


def _assign(each: Assign) -> Callable[[Scope], str]:
    value = each.value
    if each.op != "=":
        value = Expr(each.op[:-1], (each.target, value), "String" if each.target.type == "String" else "int")
    # An int takes a char as its number.
    get = _number(value) if each.target.type == "int" else _value(value)
    if each.target.op == "name":
        name = str(each.target.value)

        def set_name(scope: Scope) -> str:
            scope[name] = get(scope)
            return ""

        return set_name
    array, place = _value(each.target.args[0]), _value(each.target.args[1])

    def set_item(scope: Scope) -> str:
        items, at = array(scope), place(scope)
        _check(at, len(items))
        items[at] = get(scope)
        return ""

    return set_item


def _check(at: int, size: int) -> int:
    if not 0 <= at < size:
        raise JavaError("index out of bounds")
    return at


def _number(e: Expr) -> Callable[[Scope], int]:
    """The value of `e` as Java's arithmetic sees it: a char is a number."""
    get = _value(e)
    return (lambda scope: ord(get(scope))) if e.type == "char" else get


def _text(e: Expr) -> Callable[[Scope], str]:
    get = _value(e)
    if e.type == "boolean":
        return lambda scope: str(get(scope)).lower()
    return (lambda scope: str(get(scope))) if e.type == "int" else get


def _value(e: Expr) -> Callable[[Scope], Any]:
    value = e.value
    if e.op == "literal":
        return lambda scope: value
    if e.op == "name":
        name = str(value)
        return lambda scope: scope[name]
    if e.op in ("&&", "||", "?:", "!"):
        return _logical(e)
    if e.type == "String" and e.op == "+":
        first, second = _text(e.args[0]), _text(e.args[1])
        return lambda scope: first(scope) + second(scope)
    if e.op in _OF_TEXTS or (e.op in ("length", "index", "clone")):
        apply, gets = _OF_TEXTS.get(e.op) or _OF_ARRAYS[e.op], [_value(arg) for arg in e.args]
    else:
        apply, gets = _OF_NUMBERS[e.op], [_number(arg) for arg in e.args]
    if len(gets) == 1:
        only = gets[0]
        return lambda scope: apply(only(scope))
    if len(gets) == 2:
        left, right = gets
        return lambda scope: apply(left(scope), right(scope))
    return lambda scope: apply(*[get(scope) for get in gets])


def _logical(e: Expr) -> Callable[[Scope], Any]:
    first = _value(e.args[0])
    if e.op == "!":
        return lambda scope: not first(scope)
    if e.op == "?:":
        convert = _number if e.type == "int" else _value
        then, orelse = convert(e.args[1]), convert(e.args[2])
        return lambda scope: then(scope) if first(scope) else orelse(scope)
    second = _value(e.args[1])
    if e.op == "&&":
        return lambda scope: first(scope) and second(scope)
    return lambda scope: first(scope) or second(scope)


def _substring(text: str, start: int, end: int) -> str:
    if not 0 <= start <= end <= len(text):
        raise JavaError("index out of bounds")
    return text[start:end]


def _zeros(size: int) -> list[int]:
    if size < 0:
        raise JavaError("negative array size")
    return [0] * size


def _floor_divide(a: int, b: int) -> int:
    if b == 0:
        raise JavaError("division by zero")
    return wrap(a // b)


_OF_TEXTS: dict[str, Callable[..., Any]] = {
    "charAt": lambda text, at: text[_check(at, len(text))],
    "substring": _substring,
    "indexOf": lambda text, part: text.find(part),
    "equals": lambda text, other: text == other,
}
_OF_ARRAYS: dict[str, Callable[..., Any]] = {
    "length": len,
    "index": lambda array, at: array[_check(at, len(array))],
    "clone": list,
}
_OF_NUMBERS: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: wrap(a + b),
    "-": lambda a, b: wrap(a - b),
    "*": lambda a, b: wrap(a * b),
    "/": lambda a, b: wrap(divide(a, b)),
    "%": remainder,
    "<<": lambda a, b: wrap(a << (b & 31)),
    ">>": lambda a, b: a >> (b & 31),
    ">>>": lambda a, b: wrap(a % 2**32 >> (b & 31)),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "&": lambda a, b: a & b,
    "^": lambda a, b: a ^ b,
    "|": lambda a, b: a | b,
    "neg": lambda a: wrap(-a),
    "abs": lambda a: wrap(abs(a)),
    "max": max,
    "min": min,
    "floorMod": lambda a, b: a - b * _floor_divide(a, b),
    "floorDiv": _floor_divide,
    "(char)": lambda a: chr(a & 0xFFFF),
    "new": _zeros,
}
