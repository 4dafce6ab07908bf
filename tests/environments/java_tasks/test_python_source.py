"""What translations look like, faithful and not."""

from __future__ import annotations

import pytest

from foolsgold.environments.java_tasks.parser import parse
from foolsgold.environments.java_tasks.python_source import FORMS, constructs, faithful, python_source

NAIVE = {construct: forms[1] for construct, forms in FORMS.items()}


@pytest.mark.parametrize(
    ("java", "construct", "right", "wrong"),
    [
        ("int f(int x) { return x / 3; }", "division", "return int(x / 3)", "return x // 3"),
        ("int f(int x) { return x % 3; }", "remainder", "return x - 3 * int(x / 3)", "return x % 3"),
        ("int f(int x) { x /= 2; return x; }", "division", "x = int(x / 2)", "x //= 2"),
        ("int f(int x) { return x >>> 9; }", "unsigned shift", "return x % 2**32 >> 9", "return x >> 9"),
        ("int f(String s) { return s.charAt(0) - 'a'; }", "char as number", "ord(s[0]) - ord('a')", "s[0] - 'a'"),
        ("String f(String s) { return s + s.length(); }", "number in text", "s + str(len(s))", "s + len(s)"),
        ("String f(String s, int i) { return s + (s.charAt(i) + 1); }", "char in text", "str(ord(s[i]) + 1)", "chr("),
        ("int f(String s) { return s.indexOf('x'); }", "absence", "s.find('x')", "s.index('x')"),
        ("int[] f(int[] a) { int[] b = a.clone(); return b; }", "copy", "b = a[:]", "b = a\n"),
        ("int[] f(int n) { int[] b = new int[n]; return b; }", "allocation", "b = [0] * n", "b = []"),
    ],
)
def test_constructs(java: str, construct: str, right: str, wrong: str):
    method = parse("static " + java)
    assert construct in constructs(method)
    assert right in python_source(method)
    one_wrong = python_source(method, lambda each: NAIVE[each] if each == construct else faithful(each))
    assert wrong in one_wrong
    assert right not in one_wrong


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("int i = 0; i < n; i++", "for i in range(n):"),
        ("int i = 1; i <= n; i++", "for i in range(1, n + 1):"),
        ("int i = 0; i < n; i += 2", "for i in range(0, n, 2):"),
        ("int i = n - 1; i >= 0; i--", "for i in range(n - 1, -1, -1):"),
        ("int i = n; i > k; i -= 3", "for i in range(n, k, -3):"),
    ],
)
def test_ranges(head: str, expected: str):
    assert expected in python_source(
        parse(f"static int f(int n, int k) {{ int r = 0; for ({head}) r += i; return r; }}")
    )


def test_loop_whose_counter_moves_becomes_while():
    java = "static int f(int n) { int r = 0; for (int i = 0; i < n; i++) { if (r > i) i++; r++; } return r; }"
    lines = [line.strip() for line in python_source(parse(java)).split("\n")]
    assert (*lines[2:4], lines[-2]) == ("i = 0", "while i < n:", "i += 1")


def test_natural_numbers_are_divided_plainly():
    """Counters and lengths cannot be negative, so `//` and `%` are right."""
    java = "static int f(int[] a) { int r = 0; for (int i = 0; i < a.length / 2; i++) r += i % 3; return r / 2; }"
    assert not {"division", "remainder"} & set(constructs(parse(java)))
    assert "int(" not in python_source(parse(java))


def test_products_are_wrapped_where_they_grow():
    java = "static int f(int[] a) { int r = 7; for (int x : a) r = r * 31 + x; return r; }"
    assert "r = (r * 31 + x + 2**31) % 2**32 - 2**31" in python_source(parse(java))


def test_swaps_become_one_line():
    java = "static int[] f(int[] a) { int t = a[0]; a[0] = a[1]; a[1] = t; return a; }"
    assert "a[0], a[1] = a[1], a[0]" in python_source(parse(java))


def test_first_forms_are_faithful():
    assert all(faithful(construct) == forms[0] for construct, forms in FORMS.items())
