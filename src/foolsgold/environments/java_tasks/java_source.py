"""Prints methods as Java, in one layout."""

from __future__ import annotations

from foolsgold.environments.java_tasks.program import (
    BINARY,
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

INDENT = "    "


def java_source(method: Method) -> str:
    """The method as Java: four spaces a level, braces only around several statements."""
    parameters = ", ".join(f"{each.type} {each.value}" for each in method.parameters)
    lines = _lines(method.body, 1)
    return "\n".join([f"static {method.type} {method.name}({parameters}) {{", *lines, "}"])


def _lines(body: tuple[Statement, ...], depth: int) -> list[str]:
    return [line for each in body for line in _statement(each, depth)]


def _statement(each: Statement, depth: int) -> list[str]:
    pad = INDENT * depth
    if isinstance(each, Assign):
        return [pad + _assignment(each) + ";"]
    if isinstance(each, Return):
        return [f"{pad}return {java_expression(each.value)};"]
    if isinstance(each, Jump):
        return [f"{pad}{each.word};"]
    if isinstance(each, If):
        head = f"if ({java_expression(each.condition)})"
        lines = _block(head, each.body, depth)
        if each.orelse:
            more = _block("else", each.orelse, depth)
            lines = [*lines[:-1], f"{pad}}} {more[0].strip()}", *more[1:]] if lines[-1] == pad + "}" else lines + more
        return lines
    if isinstance(each, For):
        counter = each.counter
        step = f"{counter}{'++' if each.step > 0 else '--'}"
        if abs(each.step) != 1:
            step = f"{counter} {'+' if each.step > 0 else '-'}= {abs(each.step)}"
        start, bound = java_expression(each.start), java_expression(each.bound)
        return _block(f"for (int {counter} = {start}; {counter} {each.compare} {bound}; {step})", each.body, depth)
    if isinstance(each, Each):
        over = java_expression(each.over) + (".toCharArray()" if each.over.type == "String" else "")
        return _block(f"for ({each.item.type} {each.item.value} : {over})", each.body, depth)
    assert isinstance(each, While)
    return _block(f"while ({java_expression(each.condition)})", each.body, depth)


def _block(head: str, body: tuple[Statement, ...], depth: int) -> list[str]:
    pad, inner = INDENT * depth, _lines(body, depth + 1)
    return [pad + head, *inner] if len(body) == 1 else [f"{pad}{head} {{", *inner, pad + "}"]


def _assignment(each: Assign) -> str:
    target = java_expression(each.target)
    if each.op in ("+=", "-=") and each.value.value == 1 and each.value.type == "int" and each.target.type == "int":
        return target + each.op[0] * 2
    return f"{each.declares + ' ' if each.declares else ''}{target} {each.op} {java_expression(each.value)}"


def java_expression(e: Expr, least: int = 0) -> str:
    """The expression as Java; in parentheses where it binds less closely than `least`."""
    text, binds = _expression(e)
    return f"({text})" if binds < least else text


def _expression(e: Expr) -> tuple[str, int]:
    if e.op == "literal":
        return _literal(e), 15
    if e.op == "name":
        return str(e.value), 15
    if e.op in BINARY:
        binds = BINARY[e.op]
        return f"{java_expression(e.args[0], binds)} {e.op} {java_expression(e.args[1], binds + 1)}", binds
    if e.op in ("neg", "!"):
        return ("-" if e.op == "neg" else "!") + java_expression(e.args[0], 14), 14
    if e.op == "(char)":
        return f"(char) {java_expression(e.args[0], 14)}", 13
    if e.op == "?:":
        condition, first, second = e.args
        return f"{java_expression(condition, 3)} ? {java_expression(first, 3)} : {java_expression(second, 2)}", 2
    args = ", ".join(java_expression(arg) for arg in e.args[1:])
    if e.op == "new":
        return f"new int[{java_expression(e.args[0])}]", 15
    if e.op == "index":
        return f"{java_expression(e.args[0], 15)}[{args}]", 15
    if e.op == "length" and e.args[0].type == "int[]":
        return f"{java_expression(e.args[0], 15)}.length", 15
    if e.op in ("length", "charAt", "substring", "indexOf", "equals", "clone"):
        return f"{java_expression(e.args[0], 15)}.{e.op}({args})", 15
    return f"Math.{e.op}({', '.join(java_expression(arg) for arg in e.args)})", 15


def _literal(e: Expr) -> str:
    if e.type == "boolean":
        return "true" if e.value else "false"
    quote = {"char": "'", "String": '"'}.get(e.type, "")
    return f"{quote}{e.value}{quote}"
