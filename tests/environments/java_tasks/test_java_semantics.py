"""Java's arithmetic against numbers worked by hand, and against Java itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from foolsgold.environments.java_tasks.java_source import java_source
from foolsgold.environments.java_tasks.parser import parse
from foolsgold.environments.java_tasks.semantics import JavaError, run
from foolsgold.environments.java_tasks.world import JavaTasks
from foolsgold.errors import UserError


@pytest.mark.parametrize(
    ("expression", "arguments", "expected"),
    [
        ("a / b", (-7, 2), -3),
        ("a / b", (7, -2), -3),
        ("a % b", (-7, 2), -1),
        ("a % b", (7, -2), 1),
        ("a / b", (-(2**31), -1), -(2**31)),
        ("a + b", (2**31 - 1, 1), -(2**31)),
        ("a * b", (65536, 65536), 0),
        ("-a", (-(2**31), 0), -(2**31)),
        ("Math.abs(a)", (-(2**31), 0), -(2**31)),
        ("a >> b", (-8, 1), -4),
        ("a >>> b", (-1, 28), 15),
        ("a << b", (1, 33), 2),
        ("Math.floorMod(a, b)", (-7, 3), 2),
        ("Math.floorDiv(a, b)", (-7, 3), -3),
        ("a < b ? a : b", (3, 2), 2),
        ("a - b - 1", (5, 3), 1),
        ("a - (b - 1)", (5, 3), 3),
        ("a + b * 2 % 3", (1, 4), 3),
        ("(a & b) == 2 || a > b ? 1 : 0", (6, 3), 1),
    ],
)
def test_integers(expression: str, arguments: tuple[int, int], expected: int):
    assert run(parse(f"static int f(int a, int b) {{ return {expression}; }}"), arguments) == expected


@pytest.mark.parametrize(
    ("kind", "expression", "expected"),
    [
        ("int", "s.charAt(0) + 1", 98),
        ("char", "(char) (s.charAt(0) + 1)", "b"),
        ("int", "s.charAt(2) - '0'", 7),
        ("String", '"" + s.charAt(0) + 1', "a1"),
        ("String", "s.charAt(0) + 1 + s", "98ab7"),
        ("String", "s.substring(1, 3)", "b7"),
        ("int", "s.indexOf('z')", -1),
        ("int", "s.charAt(1)", 98),
        ("boolean", 's.equals("ab7")', True),
    ],
)
def test_characters_and_texts(kind: str, expression: str, expected: object):
    assert run(parse(f"static {kind} f(String s) {{ return {expression}; }}"), ("ab7",)) == expected


def test_loops_see_what_their_body_changes():
    skipping = parse(
        "static int f(int[] a) { int r = 0; for (int i = 0; i < a.length; i++) { r += a[i]; i++; } return r; }"
    )
    assert run(skipping, ([1, 10, 2, 20, 3],)) == 6
    down = parse(
        "static int f(int n) { int r = 0; for (int i = n; i > 0; i -= 3) { if (i == 4) break; r += i; } return r; }"
    )
    assert run(down, (7,)) == 7


@pytest.mark.parametrize(
    "body", ["return a[a.length];", "return 1 / (a.length - a.length);", "while (true) a = a.clone(); return 1;"]
)
def test_what_java_throws_at(body: str):
    with pytest.raises(JavaError):
        run(parse(f"static int f(int[] a) {{ {body} }}"), ([1],))


def test_other_java_is_refused():
    with pytest.raises(UserError, match="long"):
        parse("static long f(int a) { return a; }")


def test_printing_is_stable():
    for problem in JavaTasks().problems("train", 200, 2):
        assert java_source(parse(problem.columns["java"])) == problem.columns["java"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("javac"), reason="needs a JDK")
def test_java_agrees(tmp_path: Path):
    problems = JavaTasks().problems("train", 150, 5) + JavaTasks().problems("test", 150, 5)
    methods, prints = [], []
    for i, problem in enumerate(problems):
        methods.append(problem.columns["java"].replace(" f(", f" f{i}(", 1))
        for test in problem.columns["tests"]:
            call = test.removeprefix("assert f(").split(") == ")[0]
            prints.append(f"show(f{i}({_java(call)}));")
    shows = "".join(
        f"static void show({kind} x) {{ System.out.println({text}); }}\n"
        for kind, text in (("int", "x"), ("String", "'\"' + x + '\"'"), ("int[]", "java.util.Arrays.toString(x)"))
    )
    # A method of Java may have 64 KiB.
    parts = [f"static void part{i}() {{ {' '.join(prints[i : i + 200])} }}" for i in range(0, len(prints), 200)]
    main = " ".join(f"part{i}();" for i in range(0, len(prints), 200))
    source = "\n".join(
        ["class Main {", shows, *methods, *parts, f"public static void main(String[] x) {{ {main} }}", "}"]
    )
    (tmp_path / "Main.java").write_text(source)
    compiled = subprocess.run(["javac", "-nowarn", "Main.java"], cwd=tmp_path, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr[:500]
    output = subprocess.run(["java", "-cp", str(tmp_path), "Main"], check=True, capture_output=True, text=True).stdout
    expected = [_value(test) for problem in problems for test in problem.columns["tests"]]
    assert [json.loads(line) for line in output.split("\n")[:-1]] == expected


def _java(arguments: str) -> str:
    """Python's arguments as Java's: lists of numbers and short texts."""
    quoted = arguments.replace("'", '"')
    return quoted.replace("]", "}").replace("[", "new int[]{")


def _value(test: str) -> Any:
    return json.loads(test.split(") == ")[1].replace("'", '"'))
