"""Programs with one mistake put into them, to see whether tests notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator

COMPARISONS = {
    ast.Lt: (ast.GtE, ast.LtE),
    ast.LtE: (ast.Gt, ast.Lt),
    ast.Gt: (ast.LtE, ast.GtE),
    ast.GtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}


def mutants(source: str, entry: str) -> Iterator[tuple[str, str]]:
    """All programs with one mistake in the body of `entry`: (what was changed in which line, the program).

    A comparison is flipped or loses its boundary, a number is one more, an operator is another, `and` is `or`, a value
    that is returned is None.
    """
    count = len(list(ast.walk(_function(ast.parse(source), entry))))
    for i in range(count):
        for choice in range(2):
            tree = ast.parse(source)
            node = list(ast.walk(_function(tree, entry)))[i]
            before = ast.unparse(node)
            if _mutate(node, choice):
                line = getattr(node, "lineno", 0)
                yield f"line {line}: {before} -> {ast.unparse(node)}", ast.unparse(ast.fix_missing_locations(tree))


def _function(tree: ast.Module, entry: str) -> ast.FunctionDef:
    return next(each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == entry)


def _mutate(node: ast.AST, choice: int) -> bool:
    """Whether there was something to change."""
    if isinstance(node, ast.Compare):
        others = COMPARISONS.get(type(node.ops[0]), ())
        if choice < len(others):
            node.ops[0] = others[choice]()
            return True
    if choice:
        return False
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        node.value += 1
        return True
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        node.op = OPERATORS[type(node.op)]()
        return True
    if isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return True
    if isinstance(node, ast.Return) and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        node.value = ast.Constant(None)
        return True
    return False
