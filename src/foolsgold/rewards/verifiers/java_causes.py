"""Why a translation disagrees with its Java method: explanations are tried, and the one that mends it is the cause.

An explanation rewrites the Python source so that one habit of its arithmetic is Java's, such as integers that wrap at
32 bits, and runs it again: where the two then agree, that habit was the cause. Rewritten sources run in the sandbox
alone.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from foolsgold.rewards.sandbox import Calls, CallsResult, Limits, Sandbox
from foolsgold.rewards.sandbox_jobs import Returned
from foolsgold.rewards.verifiers.java_compare import difference, same
from foolsgold.rewards.verifiers.java_server import JavaResult
from foolsgold.rewards.verifiers.java_types import BITS, JavaType


@dataclass(frozen=True)
class Disagreement:
    """A call on which a translation did something else."""

    source: str
    """Of the translation."""
    entry: str
    call: tuple[Any, ...]
    java: JavaResult
    python: Returned
    parameters: tuple[JavaType, ...]
    returns: JavaType


EXPLANATIONS = {
    "integer division": ("quotient",),
    "division of negatives": ("floor",),
    "modulo of negatives": ("remainder",),
    "division and modulo": ("quotient", "floor", "remainder"),
    "char arithmetic": ("char",),
    "negative index": ("index",),
    "overflow": ("wrap32",),
    "overflow of long": ("wrap64",),
    "bounds of int": ("bounds32",),
    "overflow at the bounds of int": ("wrap32", "bounds32"),
    "single precision": ("single",),
    "overflow and division": ("wrap32", "bounds32", "quotient", "floor", "remainder"),
    "overflow of long and division": ("wrap64", "quotient", "floor", "remainder"),
    "several": ("wrap32", "bounds32", "quotient", "floor", "remainder", "char", "index"),
}
"""Causes, in the order in which they are tried, and the habits of Java's that each gives to the source."""

_PRELUDE = """
import math as _math, struct as _struct
def _j_int(x): return type(x) is int
def _j_wrap(x, bits):
    return (x + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1) if type(x) is int else x
def _j_cast(x, bits):
    if type(x) is not float: return _j_wrap(int(x), bits)
    top = (1 << bits - 1) - 1
    return 0 if x != x else top if x >= top else -top - 1 if x <= -top - 1 else int(x)
def _j_quotient(a, b):
    if not (_j_int(a) and _j_int(b)): return a / b
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q
def _j_floor(a, b): return _j_quotient(a, b) if _j_int(a) and _j_int(b) else a // b
def _j_remainder(a, b):
    if isinstance(a, str): return a % b
    return a - b * _j_quotient(a, b) if _j_int(a) and _j_int(b) else _math.fmod(a, b)
def _j_code(x, other, both=False):
    char = isinstance(x, str) and len(x) == 1
    return ord(x) if char and (both or not isinstance(other, str)) else x
def _j_single(x):
    try: return _struct.unpack(">f", _struct.pack(">f", x))[0] if type(x) is float else x
    except OverflowError: return _math.copysign(_math.inf, x)
def _j_index(a, i):
    if type(i) is int and i < 0 and isinstance(a, (list, str, tuple)): raise IndexError(i)
    return i
"""


class _Rewriter(ast.NodeTransformer):
    def __init__(self, habits: Sequence[str]):
        self._habits = habits
        self._bits = 32 if "wrap32" in habits else 64 if "wrap64" in habits else 0

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return self._operation(node.left, node.op, node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        return ast.Assign([node.target], self._operation(read, node.op, node.value), lineno=node.lineno)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if "char" in self._habits and len(node.ops) == 1 and not isinstance(node.ops[0], (ast.In, ast.NotIn, ast.Is)):
            left, right = node.left, node.comparators[0]
            return ast.Compare(_call("_j_code", left, right), node.ops, [_call("_j_code", right, left)])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = ast.unparse(node.func)
        if self._bits and name == "int" and len(node.args) == 1:
            return _call("_j_cast", node.args[0], ast.Constant(self._bits))
        if self._bits and name in ("sum", "pow", "abs", "math.prod", "round", "math.floor", "math.ceil"):
            return _call("_j_wrap", node, ast.Constant(self._bits))
        if (
            "bounds32" in self._habits
            and name == "float"
            and ast.unparse(node).strip("float()'\"+-").lower()
            in (
                "in",
                "inf",
                "infinity",
            )
        ):
            return ast.Constant(-(2**31) if "-" in ast.unparse(node) else 2**31 - 1)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if "bounds32" in self._habits and ast.unparse(node) in ("sys.maxsize", "math.inf", "sys.maxint"):
            return ast.Constant(2**31 - 1)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if "index" in self._habits and not isinstance(node.slice, (ast.Slice, ast.Tuple)):
            value = ast.parse(ast.unparse(node.value), mode="eval").body
            return ast.Subscript(node.value, _call("_j_index", value, node.slice), node.ctx)
        return node

    def _operation(self, left: ast.expr, op: ast.operator, right: ast.expr) -> ast.expr:
        habits = self._habits
        if "char" in habits and isinstance(op, (ast.Add, ast.Sub, ast.Mult)):
            both = ast.Constant(isinstance(op, ast.Sub))
            left, right = _call("_j_code", left, right, both), _call("_j_code", right, left, both)
        named = {ast.Div: "quotient", ast.FloorDiv: "floor", ast.Mod: "remainder"}.get(type(op))
        if named in habits:
            return _call(f"_j_{named}", left, right)
        result: ast.expr = ast.BinOp(left, op, right)
        if "single" in habits:
            result = _call("_j_single", result)
        return _call("_j_wrap", result, ast.Constant(self._bits)) if self._bits else result


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def rewritten(source: str, cause: str) -> str | None:
    """The source with the habits of a cause of `EXPLANATIONS`; None where it has no use for them or does not parse."""
    try:
        plain = ast.unparse(ast.parse(source))
        tree = ast.fix_missing_locations(_Rewriter(EXPLANATIONS[cause]).visit(ast.parse(plain)))
        changed = ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return None if changed == plain else _PRELUDE + changed


def causes(disagreements: Sequence[Disagreement], sandbox: Sandbox) -> list[str]:
    """Of each disagreement its cause: one of `EXPLANATIONS`, what `plain_cause` sees, or what `last_cause` says.

    Raises:
      VerifierFailure: the sandbox failed.
    """
    found = [plain_cause(each) for each in disagreements]
    tried: list[set[str]] = [{each.source} for each in disagreements]
    for single in (True, False):
        jobs: dict[tuple[int, str], Calls] = {}
        for i, each in enumerate(disagreements):
            for cause, habits in EXPLANATIONS.items() if not found[i] else ():
                source = rewritten(each.source, cause) if (len(habits) == 1) == single else None
                if source is not None and source not in tried[i]:
                    tried[i].add(source)
                    jobs[i, cause] = Calls(source, each.entry, [each.call], Limits(cpu_s=2, wall_s=10))
        results = sandbox.run(list(jobs.values()))
        for (i, cause), result in zip(jobs, results, strict=True):
            each, (python,) = disagreements[i], cast(CallsResult, result).returned
            if not found[i] and (not difference(each.java, python, each.parameters) or _alike(each.java, python)):
                found[i] = cause
    return [cause or last_cause(each) for cause, each in zip(found, disagreements, strict=True)]


def plain_cause(each: Disagreement) -> str:
    """What can be seen without running anything; empty when nothing is."""
    if difference(each.java, each.python, each.parameters) == "mutation":
        return "mutation"
    if each.java.raised or each.python.raised or each.python.timeout:
        return ""
    java, python = each.java.value, each.python.value
    if _alike(each.java, each.python):
        if isinstance(java, bool) or isinstance(python, bool):
            return "boolean or number"
        return "float for an integer" if isinstance(java, int) and isinstance(python, float) else "text or list"
    return "nothing returned" if python is None else ""


def _alike(java: JavaResult, python: Returned) -> bool:
    """Whether only the type of what came back is another one: 3.0 for 3, 1 for True, a list of letters for a text."""
    if java.raised or python.raised or python.timeout:
        return False
    ours, theirs = java.value, python.value
    if isinstance(ours, str) and isinstance(theirs, list):
        return list(ours) == theirs
    numbers = isinstance(ours, (bool, int, float)) and isinstance(theirs, (bool, int, float))
    return numbers and (bool(ours) is theirs if isinstance(theirs, bool) else same(float(ours), theirs))


def last_cause(each: Disagreement) -> str:
    """What remains to be said where no explanation mends the translation; "other" where it is another algorithm."""
    if each.python.timeout:
        return "time"
    if each.java.raised:
        return "exception: another one" if each.python.raised else "exception: only Java throws"
    if each.python.raised:
        return "exception: only Python raises"
    java, python = each.java.value, each.python.value
    if isinstance(java, int) and isinstance(python, (int, float)):
        bits = BITS.get(each.returns.kind, 64)
        if not -(1 << (bits - 1)) <= python < 1 << (bits - 1):
            return "overflow"
        return "float for an integer" if isinstance(python, float) else "other"
    floats = isinstance(java, float) and isinstance(python, (int, float))
    return "float" if floats and abs(java - python) <= 1e-3 * abs(java) else "other"
