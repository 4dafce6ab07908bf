"""What functions are put together from: where numbers come from, which count, what is made of them, what is returned.

Each part has a text, ways to write it in Python, the faithful one first, and what it means, which is computed apart
from how it is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Scope = dict[str, Any]
"""Arguments by their names."""


@dataclass(frozen=True)
class Part:
    """One part of a description."""

    text: str
    forms: tuple[str, ...]
    """Ways to write it; only the first is right, the second is the usual slip."""
    truth: Callable[..., Any]
    ignorance: float = 0.0
    """Share of people who do not know that it needs care, and write a form that is wrong."""
    parameters: str = ""
    """Names of the arguments it needs."""
    plain: bool = False
    """Whether it counts for nothing in a grade."""


def _towards_zero(a: int, b: int) -> int:
    return math.trunc(a / b)


SOURCES = {
    "all": Part("{}numbers in a{}", ("a",), lambda v: list(v["a"]), parameters="a", plain=True),
    "first": Part("{}numbers among the first j of a{}", ("a[:j]",), lambda v: v["a"][: v["j"]], parameters="aj"),
    "last": Part(
        "{}numbers among the last j of a{}",
        ("a[max(len(a) - j, 0):]", "a[-j:]", "a[len(a) - j:]"),
        lambda v: [x for i, x in enumerate(v["a"]) if i + v["j"] >= len(v["a"])],
        0.7,
        "aj",
    ),
    "rest": Part("{}numbers after the first in a{}", ("a[1:]", "a[2:]"), lambda v: v["a"][1:], 0.1, "a"),
    "front": Part("{}numbers before the last in a{}", ("a[:-1]", "a[:len(a) - 2]"), lambda v: v["a"][:-1], 0.1, "a"),
    "other": Part("{}numbers at even places of a{}", ("a[::2]", "a[1::2]"), lambda v: v["a"][::2], 0.15, "a"),
    "between": Part(
        "{}numbers from j to n{}",
        ("list(range(j, n + 1))", "list(range(j, n))"),
        lambda v: [v["j"] + i for i in range(max(v["n"] - v["j"] + 1, 0))],
        0.35,
        "jn",
    ),
    "steps": Part(
        "{}steps between neighbours in a{}",
        (
            "[y - x for x, y in zip(a, a[1:])]",
            "[x - y for x, y in zip(a, a[1:])]",
            "[a[i + 1] - a[i] for i in range(len(a))]",
        ),
        lambda v: [v["a"][i] - v["a"][i - 1] for i in range(1, len(v["a"]))],
        0.25,
        "a",
    ),
    "words": Part(
        "{}lengths of words in s{}",
        ("[len(w) for w in s.split()]", "[len(w) for w in s.split(' ')]"),
        lambda v: [len(w) for w in v["s"].split()],
        0.6,
        "s",
    ),
    "digits": Part(
        "{}digits of m{}",
        ("[int(c) for c in str(abs(m))]", "[int(c) for c in str(m)]"),
        lambda v: [abs(v["m"]) // 10**i % 10 for i in range(len(str(abs(v["m"]))))][::-1],
        0.7,
        "m",
    ),
}
"""Where the numbers come from; the text has room for filters before and after."""

BEFORE = {
    "even": Part("even ", ("x % 2 == 0", "x % 2"), lambda x, v: not x & 1, 0.05),
    "odd": Part("odd ", ("x % 2 == 1", "x % 2 == 0"), lambda x, v: x & 1, 0.05),
    "negative": Part("negative ", ("x < 0", "x <= 0"), lambda x, v: x < 0, 0.1),
    "positive": Part("positive ", ("x > 0", "x >= 0"), lambda x, v: x > 0, 0.3),
    "two-digit": Part(
        "two-digit ", ("9 < abs(x) < 100", "9 < x < 100", "len(str(x)) == 2"), lambda x, v: len(str(abs(x))) == 2, 0.75
    ),
}
"""Filters whose text stands before the numbers."""

AFTER = {
    "greater": Part(" greater than k", ("x > k", "x >= k"), lambda x, v: x > v["k"], 0.1, "k"),
    "least": Part(" of at least k", ("x >= k", "x > k"), lambda x, v: not x < v["k"], 0.3, "k"),
    "most": Part(" of at most k", ("x <= k", "x < k"), lambda x, v: not x > v["k"], 0.3, "k"),
    "other": Part(" other than k", ("x != k", "x is not k"), lambda x, v: x != v["k"], 0.1, "k"),
    "ending": Part(
        " ending in 3", ("abs(x) % 10 == 3", "x % 10 == 3", "str(x)[0] == '3'"), lambda x, v: str(x)[-1] == "3", 0.75
    ),
    "within": Part(
        " within 5 of k",
        ("abs(x - k) <= 5", "x - k <= 5", "abs(x - k) < 5"),
        lambda x, v: v["k"] - 5 <= x <= v["k"] + 5,
        0.45,
        "k",
    ),
}
"""Filters whose text stands after the numbers."""

MAPS = {
    "itself": Part("", ("x",), lambda x: x, plain=True),
    "squares": Part("squares of ", ("x * x", "x ^ 2"), lambda x: x**2, 0.12),
    "sizes": Part("absolute values of ", ("abs(x)", "-x"), lambda x: max(x, -x), 0.05),
    "doubles": Part("doubles of ", ("2 * x", "x + 2"), lambda x: x + x, 0.05),
    "last digits": Part("last digits of ", ("abs(x) % 10", "x % 10"), lambda x: int(str(x)[-1]), 0.75),
    "halves": Part("halves rounded down of ", ("x // 2", "x / 2", "int(x / 2)"), lambda x: math.floor(x / 2), 0.3),
    "thirds": Part("thirds cut to whole of ", ("int(x / 3)", "x // 3", "x / 3"), lambda x: _towards_zero(x, 3), 0.75),
    "digit sums": Part(
        "digit sums of ",
        ("sum(map(int, str(abs(x))))", "sum(map(int, str(x)))"),
        lambda x: sum(int(d) for d in str(x) if d != "-"),
        0.7,
    ),
    "excess": Part(
        "excess over 4 of ", ("max(x - 4, 0)", "x - 4", "abs(x - 4)"), lambda x: x - 4 if x > 4 else 0, 0.55
    ),
}
"""What is made of each number, x."""


def _product(b: Sequence[int]) -> int:
    return math.prod(b)


def _most_frequent(b: Sequence[int]) -> int | None:
    return sorted(b, key=lambda x: (-list(b).count(x), x))[0] if b else None


def _distinct(b: Sequence[int]) -> list[int]:
    return [x for i, x in enumerate(b) if x not in b[:i]]


RESULTS = {
    "sum": Part("sum of {}", ("sum({b})",), sum, plain=True),
    "count": Part("number of {}", ("len({b})", "sum({b})"), len, 0.04, plain=True),
    "list": Part("list of {}", ("{b}",), list, plain=True),
    "different": Part("number of different {}", ("len(set({b}))", "len({b})"), lambda b: len(_distinct(b)), 0.15),
    "largest": Part(
        "largest of {}, or 0",
        ("max({b}, default=0)", "max({b})", "max([0] + {b})"),
        lambda b: sorted(b)[-1] if b else 0,
        0.65,
    ),
    "smallest": Part(
        "smallest of {}, or None", ("min({b}, default=None)", "min({b})"), lambda b: sorted(b)[0] if b else None, 0.6
    ),
    "first": Part("first of {}, or -1", ("{b}[0] if {b} else -1", "{b}[0]"), lambda b: b[0] if b else -1, 0.45),
    "last": Part("last of {}, or -1", ("{b}[-1] if {b} else -1", "{b}[-1]"), lambda b: b[-1] if b else -1, 0.45),
    "mean": Part(
        "mean of {}, or 0",
        ("sum({b}) / len({b}) if {b} else 0", "sum({b}) / len({b})", "sum({b}) // len({b}) if {b} else 0"),
        lambda b: sum(b) / len(b) if b else 0,
        0.6,
    ),
    "product": Part(
        "product of {}",
        ("p = 1\nfor x in {b}:\n    p *= x\nreturn p", "p = 0\nfor x in {b}:\n    p *= x\nreturn p"),
        _product,
        0.2,
    ),
    "once": Part(
        "{} without repeats", ("list(dict.fromkeys({b}))", "list(set({b}))", "sorted(set({b}))"), _distinct, 0.7
    ),
    "falling": Part(
        "{}, largest first",
        ("sorted({b}, reverse=True)", "sorted({b})", "sorted({b})[::-1]"),
        lambda b: [-x for x in sorted(-x for x in b)],
        0.15,
    ),
    "spread": Part(
        "largest minus smallest of {}, or 0",
        ("max({b}) - min({b}) if {b} else 0", "max({b}) - min({b})"),
        lambda b: sorted(b)[-1] - sorted(b)[0] if b else 0,
        0.6,
    ),
    "place": Part(
        "place of the first largest of {}, or -1",
        ("{b}.index(max({b})) if {b} else -1", "{b}.index(max({b}))"),
        lambda b: min((i for i in range(len(b)) if b[i] == max(b)), default=-1),
        0.5,
    ),
    "last place": Part(
        "place of the last largest of {}, or -1",
        (
            "max(range(len({b})), key=lambda i: ({b}[i], i), default=-1)",
            "{b}.index(max({b})) if {b} else -1",
            "{b}.index(max({b}))",
        ),
        lambda b: max((i for i in range(len(b)) if b[i] == max(b)), default=-1),
        0.75,
    ),
    "second": Part(
        "second largest different of {}, or None",
        (
            "sorted(set({b}))[-2] if len(set({b})) > 1 else None",
            "sorted({b})[-2] if len({b}) > 1 else None",
            "sorted({b})[-2]",
        ),
        lambda b: sorted(_distinct(b), reverse=True)[1] if len(_distinct(b)) > 1 else None,
        0.7,
    ),
    "frequent": Part(
        "most frequent of {}, smallest of equals, or None",
        (
            "min({b}, key=lambda x: (-{b}.count(x), x), default=None)",
            "max({b}, key={b}.count, default=None)",
            "max({b}, key={b}.count)",
        ),
        _most_frequent,
        0.75,
    ),
    "middle": Part(
        "lower median of {}, or None",
        (
            "sorted({b})[(len({b}) - 1) // 2] if {b} else None",
            "sorted({b})[len({b}) // 2] if {b} else None",
            "sorted({b})[len({b}) // 2]",
        ),
        lambda b: sorted(b)[: len(b) // 2 + len(b) % 2][-1] if b else None,
        0.7,
    ),
    "totals": Part(
        "running totals of {}",
        ("[sum({b}[:i + 1]) for i in range(len({b}))]", "[sum({b}[:i]) for i in range(len({b}))]"),
        lambda b: [sum(x for j, x in enumerate(b) if j <= i) for i in range(len(b))],
        0.35,
    ),
    "rising": Part(
        "whether {} strictly rise",
        ("all(x < y for x, y in zip({b}, {b}[1:]))", "{b} == sorted({b})"),
        lambda b: list(b) == sorted(_distinct(b)),
        0.6,
    ),
    "alternating": Part(
        "alternating sum of {}",
        ("sum({b}[::2]) - sum({b}[1::2])", "sum({b}[::2]) + sum({b}[1::2])"),
        lambda b: sum(x if i % 2 == 0 else -x for i, x in enumerate(b)),
        0.15,
    ),
}
"""What is returned of the numbers b."""
