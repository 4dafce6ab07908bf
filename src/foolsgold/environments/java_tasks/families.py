"""Families of methods: a loop, a condition, a value, what is gathered of it and how it ends, put together by chance."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from foolsgold.environments.java_tasks.java_source import java_source
from foolsgold.environments.java_tasks.parser import parse
from foolsgold.environments.java_tasks.program import Method
from foolsgold.environments.problems import Split

T = TypeVar("T")
_HELD_OUT = 5
"""One family in so many is of the test split."""
GRADES = (1, 2, 3, 4)


@dataclass(frozen=True)
class _Loop:
    """How a method comes by the thing X that it looks at."""

    parameters: str
    head: str
    """What stands before the body; `{}` is where the body goes."""
    x: str
    kind: str
    """int or char"""
    array: str = ""
    """Parameter whose place i may be written to."""
    odd: bool = True
    """Whether it counts as a difficulty."""


_UP, _DOWN = "int i = 0; i < a.length; i++", "int i = a.length - 1; i >= 0; i--"
_SHRINKING = "int n = a.length; for (int i = 0; i < n; i++) {{ {} if (a[i] < k) n--; }}"
_FROM_ONE = "for (int i = 1; i < a.length; i++) {{ {} }}"
_PLACES = "for (int i = 0; i < s.length(); i++) {{ {} }}"
_LOOPS = {
    "once": _Loop("int x, int k", "{}", "x", "int", odd=False),
    "each": _Loop("int[] a, int k", "for (int x : a) {{ {} }}", "x", "int", odd=False),
    "upward": _Loop("int[] a, int k", f"for ({_UP}) {{{{ {{}} }}}}", "a[i]", "int", "a", odd=False),
    "downward": _Loop("int[] a, int k", f"for ({_DOWN}) {{{{ {{}} }}}}", "a[i]", "int", "a"),
    "from one": _Loop("int[] a, int k", _FROM_ONE, "a[i]", "int", "a", odd=False),
    "in steps": _Loop("int[] a, int k", "for (int i = 0; i < a.length; i += 2) {{ {} }}", "a[i]", "int", "a"),
    "skipping": _Loop("int[] a, int k", f"for ({_UP}) {{{{ {{}} if (a[i] > k) i++; }}}}", "a[i]", "int"),
    "shrinking": _Loop("int[] a, int k", _SHRINKING, "a[i]", "int"),
    "counting": _Loop("int n, int k", "for (int i = 1; i <= n; i++) {{ {} }}", "i", "int"),
    "between": _Loop("int n, int k", "for (int i = k; i <= n; i++) {{ {} }}", "i", "int"),
    "countdown": _Loop("int n, int k", "for (int i = n; i > k; i--) {{ {} }}", "i", "int"),
    "digits": _Loop("int m, int k", "while (m > 0) {{ int d = m % 10; {} m /= 10; }}", "d", "int"),
    "letters": _Loop("String s, int k", "for (char c : s.toCharArray()) {{ {} }}", "c", "char", odd=False),
    "places": _Loop("String s, int k", _PLACES, "s.charAt(i)", "char", odd=False),
    "backward": _Loop("String s, int k", "for (int i = s.length() - 1; i >= 0; i--) {{ {} }}", "s.charAt(i)", "char"),
}  # fmt: skip

_CONDITIONS = {
    "int": {
        "any": "",
        "greater": "{x} > k",
        "least": "{x} >= {c}",
        "divisible": "{x} % {c} == 0",
        "leaves": "{x} % {c} == {r}",
        "odd": "{x} % 2 == 1",
        "share": "{x} / {c} < k",
        "outside": "{x} < 0 || {x} > k",
        "within": "{x} > -{c} && {x} < k",
        "not": "!({x} < k)",
        "halves": "({x} - k) / 2 > {r}",
        "unlike": "{x} != k && {x} % {c} != 0",
        "low bits": "({x} & {r}) == 0",
    },
    "char": {
        "any": "",
        "is": "{x} == '{l}'",
        "small": "{x} >= 'a' && {x} <= '{l}'",
        "digit": "{x} >= '0' && {x} <= '9'",
        "not": "{x} != '{l}'",
        "after": "{x} > '{l}' || {x} == 'b'",
        "code": "{x} > k + {b}",
        "far": "{x} - 'a' > k",
        "parity": "{x} % 2 == 1",
    },
}
_VALUES = {
    "int": {
        "itself": "{x}",
        "divided": "{x} / {c}",
        "difference halved": "({x} - k) / 2",
        "remainder": "{x} % {c}",
        "floor remainder": "Math.floorMod({x}, {c})",
        "floor quotient": "Math.floorDiv({x}, {c})",
        "times": "{x} * k",
        "square": "{x} * {x}",
        "less": "{x} - k",
        "shifted": "{x} >> {q}",
        "unsigned": "{x} >>> 2{q}",
        "size": "Math.abs({x})",
        "greatest": "Math.max({x}, k)",
        "choice": "{x} > k ? {x} : k",
        "sign": "{x} < 0 ? -{x} : {x} * {c}",
    },
    "char": {
        "itself": "{x}",
        "digit": "{x} - '0'",
        "letter": "{x} - 'a'",
        "next": "(char) ({x} + 1)",
        "previous": "(char) ({x} - 1)",
        "mirrored": "(char) ('z' - {x} + 'a')",
        "next number": "{x} + 1",
        "remainder": "{x} % {c}",
    },
}
_GATHERED = {
    "sum": ("int r = {z};", "r += {v};", "int"),
    "fall": ("int r = {z};", "r -= {v};", "int"),
    "hash": ("int r = {c};", "r = r * {h} + {v};", "int"),
    "product": ("int r = 1;", "r *= {v} + {r};", "int"),
    "bits": ("int r = 0;", "r ^= {v};", "int"),
    "greatest": ("int r = {z};", "r = Math.max(r, {v});", "int"),
    "latest": ("int r = {z};", "r = {v};", "int"),
    "count": ("int r = 0;", "r++;", "int"),
    "first": ("", "return {v};", "int"),
    "text": ('String t = "";', "t += {v};", "String"),
    "reversed": ('String t = "";', "t = {v} + t;", "String"),
    "joined": ('String t = "";', 't += {v} + "{l}";', "String"),
    "write": ("", "{a}[i] = {v};", "int[]"),
    "anew": ("int[] b = new int[{a}.length];", "b[i] = {v};", "int[]"),
    "neighbours": ("int[] b = {a}.clone();", "b[i] = {v} + {a}[0];", "int[]"),
    "copied": ("int[] b = {a}.clone();", "b[i] = {a}[{a}.length - 1 - i] - {v};", "int[]"),
    "swap": ("", "int t = {a}[i]; {a}[i] = {a}[{a}.length - 1 - i]; {a}[{a}.length - 1 - i] = t;", "int[]"),
}
_ENDS = {
    "int": {
        "plain": "return r;",
        "divided": "return r / {c};",
        "remainder": "return r % {c};",
        "clipped": "return r > {b} ? {b} : r;",
        "size": "return Math.abs(r);",
        "choice": "if (r < 0) return {z}; return r;",
        "sign": "return r < k ? -1 : r / 2;",
    },
    "String": {
        "plain": "return t;",
        "length": "return t.length();",
        "marked": "return t + t.length();",
        "place": "return t.indexOf('{l}');",
        "head": "return t.substring(0, t.length() / 2);",
        "place and text": "return t + t.indexOf('{l}');",
    },
}
_PLAIN = {"any", "itself", "plain", "sum", "text", "count"}
_TEXTUAL = {"next", "previous", "mirrored"}
"""Values that are characters: only texts gather them."""


@dataclass(frozen=True)
class Draft:
    """A method and what it was put together from."""

    method: Method
    java: str
    family: str
    grade: int


def draft(split: Split, rng: Random) -> Draft:
    """A method of the split's families, of a grade that is as likely as any other of the split's."""
    grade = _pick(rng, GRADES if split == "train" else GRADES[1:])
    while True:
        parts = _parts(rng)
        if parts and grade_of(parts) == grade and _split(parts) == split:
            return _draft(parts, rng)


def grade_of(parts: Sequence[str]) -> int:
    """How many of the parts are other than the plainest, at least 1 and at most 4."""
    loop, *others = parts
    odd = _LOOPS[loop].odd + sum(part not in _PLAIN for part in others)
    return min(max(odd, 1), GRADES[-1])


def split_of(drafted: Draft) -> Split:
    """Structures with more than one difficulty are held out by a fixed hash; the others are for training, so that each
    part is met there.
    """
    held_out = drafted.grade > 1 and zlib.crc32(structure(drafted.java).encode()) % _HELD_OUT == 0
    return "test" if held_out else "train"


@functools.cache
def _split(parts: tuple[str, ...]) -> Split:
    return split_of(_draft(parts, Random(0)))  # all drafts of the same parts have one structure


def structure(java: str) -> str:
    """The source with its numbers alike, its quoted text alike, and its variables numbered as they come."""
    names: dict[str, str] = {}

    def stripped(found: re.Match[str]) -> str:
        word = found[0]
        if word[0] in "'\"" or word[0].isdigit():
            return "quoted" if word[0] in "'\"" else "0"
        return word if len(word) > 1 else names.setdefault(word, f"v{len(names)}")

    return re.sub(r"'[^']*'|\"[^\"]*\"|\w+", stripped, java)


def _parts(rng: Random) -> tuple[str, ...] | None:
    """Loop, condition, value, what is gathered and the end; None where they do not go together."""
    name = _pick(rng, tuple(_LOOPS))
    loop = _LOOPS[name]
    condition = "any" if rng.random() < 0.35 else _pick(rng, tuple(_CONDITIONS[loop.kind]))
    value = "itself" if rng.random() < 0.25 else _pick(rng, tuple(_VALUES[loop.kind]))
    gathered = _pick(rng, tuple(_GATHERED))
    _, _, kind = _GATHERED[gathered]
    if kind == "int[]":
        end = "plain"
        if not loop.array or (gathered == "swap" and value != "itself"):
            return None
    else:
        end = "plain" if rng.random() < 0.6 else _pick(rng, tuple(_ENDS[kind]))
    if loop.kind == "char" and value in _TEXTUAL and kind != "String":
        return None
    if gathered == "count" and (condition == "any" or value != "itself"):
        return None
    if gathered == "first" and (condition == "any" or end not in ("plain", "size") or name == "once"):
        return None
    if name == "once" and (condition == "any" or kind != "int" or gathered in ("hash", "product", "bits")):
        return None
    return name, condition, value, gathered, end


def _draft(parts: tuple[str, ...], rng: Random) -> Draft:
    loop, condition, value, gathered, end = parts
    how = _LOOPS[loop]
    c = rng.randint(3, 7)
    numbers = {
        "c": c, "r": rng.randint(1, c - 1), "q": rng.randint(1, 3), "z": rng.choice((0, 0, 1, 5)),
        "h": rng.choice((31, 17, 37)), "b": rng.choice((20, 50, 100)), "l": rng.choice("acdmxz-1"),
        "x": how.x, "a": how.array,
    }  # fmt: skip
    start, step, kind = _GATHERED[gathered]
    v = _VALUES[how.kind][value].format(**numbers)
    numeric = "(char)" not in v
    if (kind == "String" and gathered != "text" and numeric) or "?" in v or gathered == "product":
        v = f"({v})"
    if value != "itself" and gathered in ("hash", "neighbours") and "?" not in v:
        v = f"({v})"
    body = step.format(v=v, **numbers)
    if _CONDITIONS[how.kind][condition]:
        body = f"if ({_CONDITIONS[how.kind][condition].format(**numbers)}) {{ {body} }}"
    returns = {"int": "int", "String": "String"}.get(kind, "int[]")
    if kind == "int[]":
        last = f"return {'b' if start else how.array};"
    elif gathered == "first":
        last = "return -1;" if end == "plain" else "return k;"
    else:
        last = _ENDS[kind][end].format(**numbers)
        if kind == "String" and end in ("length", "place"):
            returns = "int"
    source = f"static {returns} f({how.parameters}) {{ {start.format(**numbers)} {how.head.format(body)} {last} }}"
    method = _without_unused(parse(source))
    return Draft(method, java_source(method), "/".join(parts), grade_of(parts))


def _without_unused(method: Method) -> Method:
    """The method without the parameters that it does not look at."""
    source = java_source(Method(method.type, method.name, (), method.body))
    words = set(re.findall(r"\w+", source.split("\n", 1)[1]))
    kept = tuple(each for each in method.parameters if str(each.value) in words)
    return Method(method.type, method.name, kept, method.body)


def _pick(rng: Random, items: Sequence[T]) -> T:
    return items[int(rng.random() * len(items))]
