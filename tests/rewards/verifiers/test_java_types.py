"""Types by their names, sources made to compile, and what counts as the same; written down by hand."""

import math

import pytest

from foolsgold.rewards.sandbox import Returned
from foolsgold.rewards.verifiers.java_compare import difference, disagreement, same
from foolsgold.rewards.verifiers.java_server import JavaResult
from foolsgold.rewards.verifiers.java_source import compilation_unit, literals
from foolsgold.rewards.verifiers.java_types import Signature, chosen, encode, from_json, java_type, parameter_types


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("int", "int"),
        ("java.lang.Long", "long"),
        ("char[][]", "array(array(char))"),
        ("java.util.List<java.lang.Integer>", "list(int)"),
        ("java.util.Map<java.lang.String, java.util.Set<int[]>>", "map(String,set(array(int)))"),
        ("java.util.ArrayList", "list(int)"),
        ("T", "int"),
        ("java.util.List<? extends java.lang.Number>", "list(int)"),
        ("java.lang.StringBuilder", "StringBuilder"),
        ("String...", "array(String)"),
        ("java.util.PriorityQueue<java.lang.Integer>", "other(int)"),
        ("com.example.Node", "other"),
    ],
)
def test_types_are_read_from_their_names(name, kinds):
    def told(type_):
        return type_.kind + (f"({','.join(map(told, type_.of))})" if type_.of else "")

    assert told(java_type(name)) == kinds


def test_overloads_are_found_by_their_parameters():
    def signature(*names):
        return Signature(java_type("int"), tuple(map(java_type, names)), names)

    overloads = [signature("int[]", "int"), signature("java.util.List<java.lang.Integer>"), signature()]
    assert chosen(overloads, "public static int f(final int a[], int n)") == 0
    assert chosen(overloads, "int f(List<Integer> numbers)") == 1
    assert chosen(overloads, "int f()") == 2
    with pytest.raises(ValueError, match="no method of the signature"):
        chosen(overloads, "int f(String s)")
    assert [each.name for each in parameter_types("f(Map<String, int[]> m, long[][] a)")] == [
        "Map<String, int[]>",
        "long[][]",
    ]


def test_values_of_another_type_are_refused():
    for value, name in ((1.5, "int"), (True, "int"), (128, "byte"), ("ab", "char"), ("😀", "char"), (None, "int")):
        with pytest.raises(ValueError, match=r"no |not fit"):
            encode(value, java_type(name))
    assert encode(list("ab"), java_type("String")) == encode("ab", java_type("String"))


def test_json_has_pairs_for_maps_and_lists_for_sets():
    assert from_json([[1, ["a"]], [2, []]], java_type("Map<Integer, Set<String>>")) == {1: {"a"}, 2: set()}


def test_bare_methods_get_a_class_and_classes_stay():
    bare = "int[] memo = new int[9];\nint f(int n) { return memo[n]; }"
    assert "class Solution { int[] memo" in compilation_unit(bare, "p")
    whole = "import java.io.*;\n// a { comment\npublic class A { int f() { return 0; } }\nclass B { }"
    unit = compilation_unit(whole, "p")
    assert unit.startswith("package p;")
    assert "class Solution" not in unit
    assert "import java.io.*;" in unit.split("\n")[0]
    assert unit.count("\n") == whole.count("\n")
    nested = "static class Node { int v; }\nstatic int f(int n) { return n; }"
    assert "class Solution" in compilation_unit(nested, "p")
    with_import = "import java.io.*;\nint f() { return 0; }"
    assert compilation_unit(with_import, "p").split("class Solution")[0].count("import java.io.*;") == 1


def test_literals_are_numbers_chars_and_texts():
    source = "int f() { return 42 + 0x1F + (int) 2.5 + \"no 7\".length() + 'z' - 1_000L; } // 99"
    assert set(literals(source)) == {42, 31, 2.5, "no 7", "z", 1000}


@pytest.mark.parametrize(
    ("java", "python", "equal"),
    [
        (3, 3, True),
        (3, 3.0, False),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        (3.0, 3, True),
        (1.0, 1.0000001, True),
        (1.0, 1.00001, False),
        (math.nan, math.nan, True),
        (math.inf, 10**400, False),
        ("a", "a", True),
        ("a", ["a"], False),
        ([1, [2]], (1, [2]), True),
        ([1], [1, 2], False),
        ({1, 2}, frozenset({2, 1}), True),
        ({1}, {True}, False),
        ({"a": [1.0]}, {"a": (1,)}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_what_is_the_same(java, python, equal):
    assert same(java, python) is equal


def test_exceptions_have_counterparts():
    def differ(thrown, raised):
        return difference(JavaResult(raised=thrown), Returned(raised=raised), ())

    assert differ("java.lang.ArithmeticException", "ZeroDivisionError") == ""
    assert differ("java.lang.ArithmeticException", "IndexError") == "exception"
    assert differ("java.lang.IllegalStateException", "ValueError") == ""
    assert differ("java.lang.IllegalStateException", "NameError") == "exception"
    assert differ("", "ValueError") == differ("java.lang.ArithmeticException", "") == "exception"
    assert difference(JavaResult(5), Returned(timeout=True), ()) == "exception"


def test_arguments_that_a_method_cannot_change_are_not_compared():
    text, array = java_type("String"), java_type("char[]")
    assert difference(JavaResult(1, ("ab",)), Returned(1, [["a", "b"]]), [text]) == ""
    assert difference(JavaResult(1, (["a", "b"],)), Returned(1, ["ab"]), [array]) == ""
    assert difference(JavaResult(1, (["b", "a"],)), Returned(1, [["a", "b"]]), [array]) == "mutation"


def test_a_disagreement_is_one_short_line():
    line = disagreement("f", ([0] * 99, "x\ny"), JavaResult(-3), Returned(10**5000), ())
    assert line.startswith("f([0, 0,")
    assert "'x\\ny'): Java -3, Python 0x" in line
    assert "\n" not in line
    assert len(line) < 250
