"""Translations from Java; what each pair does is plain to see."""

import json
import shutil

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Limits, Sandbox
from foolsgold.rewards.verifiers import java_server
from foolsgold.rewards.verifiers.java import JavaProblem, JavaVerifier
from foolsgold.rewards.verifiers.java_server import JavaServer
from foolsgold.rewards.verifiers.verdict import VerifierReward

pytestmark = pytest.mark.skipif(
    shutil.which("javac") is None or shutil.which("bwrap") is None, reason="needs a JDK and bubblewrap"
)
DIVIDE = "static int f(int a, int b) { return a / b; }"
FLOOR = "def f(a, b):\n    return a // b\n"
TRUNCATE = "def f(a, b):\n    q = abs(a) // abs(b)\n    q = q if (a < 0) == (b < 0) else -q\n"
EXACT = TRUNCATE + "    return q - 2**32 if q == 2**31 else q\n"


PATIENT = Limits(wall_s=60)


@pytest.fixture(scope="module")
def tools():
    with Sandbox() as sandbox, JavaServer() as server:
        yield {"sandbox": sandbox, "server": server}


@pytest.fixture(scope="module")
def verifier(tools):
    return JavaVerifier(limits=PATIENT, **tools)


@pytest.fixture(scope="module")
def on_given(tools):
    """Uses the given inputs alone."""
    return JavaVerifier(generated=0, limits=PATIENT, **tools)


def judge(verifier, java, *sources, entry="f", **columns):
    repeated = {name: [value] * len(sources) for name, value in columns.items()}
    return verifier.verdicts(
        [""] * len(sources), list(sources), java=[java] * len(sources), entry_point=[entry] * len(sources), **repeated
    )


def reference(verifier, java, entry="f", **given):
    (found,) = verifier.references([JavaProblem(java, entry, **given)])
    return found


def test_division_rounds_towards_zero(verifier):
    given = ((7, 2), (-7, 2), (-7, -2))
    floor, exact = judge(verifier, DIVIDE, FLOOR, EXACT, inputs=given)
    assert floor.outcome == "wrong"
    assert floor.detail == "f(-7, 2): Java -3, Python -4"
    assert 0 < floor.passed < floor.of
    assert (exact.outcome, exact.detail) == ("passed", "")
    assert exact.passed == exact.of > 3


def test_a_division_by_zero_is_an_exception_on_both_sides(on_given):
    guarded = "def f(a, b):\n    return a // b if b else 0\n"
    same, other = judge(on_given, DIVIDE, FLOOR, guarded, inputs=((1, 0), (4, 2)))
    assert (same.outcome, same.of) == ("passed", 2)
    assert other.detail == "f(1, 0): Java throws ArithmeticException, Python 0"


def test_reading_from_the_end_is_no_translation_of_a_throw(on_given):
    java = "static int f(int[] a, int i) { return a[i]; }"
    (found,) = judge(on_given, java, "def f(a, i):\n    return a[i]\n", inputs=(([5, 6], -1), ([5], 3)))
    assert (found.passed, found.of) == (1, 2)
    assert found.detail == "f([5, 6], -1): Java throws ArrayIndexOutOfBoundsException, Python 6"


def test_arguments_must_be_the_same_afterwards(verifier, on_given):
    java = "static void f(int[] a) { Arrays.sort(a); }"
    in_place, copy = judge(verifier, java, "def f(a):\n    a.sort()\n", "def f(a):\n    a = sorted(a)\n")
    assert in_place.outcome == "passed"
    assert copy.outcome == "wrong"
    (told,) = judge(on_given, java, "def f(a):\n    a = sorted(a)\n", inputs=(([2, 1],),))
    assert told.detail == "f([2, 1]): argument 1 is [1, 2] after Java, [2, 1] after Python"


def test_generated_inputs_find_overflow_and_constants(verifier):
    java = "static int f(int[] a) { int s = 0; for (int x : a) s += x * x; return s; }"
    plain = "def f(a):\n    return sum(x * x for x in a)\n"
    wrapped = "def f(a):\n    return (sum(x * x for x in a) + 2**31) % 2**32 - 2**31\n"
    assert [each.outcome for each in judge(verifier, java, plain, wrapped)] == ["wrong", "passed"]
    java = "static boolean f(String s) { return s.equals(new StringBuilder(s).reverse().toString()); }"
    always, never, right = judge(
        verifier, java, "def f(s): return True", "def f(s): return False", "def f(s): return s == s[::-1]"
    )
    assert (always.outcome, never.outcome, right.outcome) == ("wrong", "wrong", "passed")


def test_mild_inputs_do_not_overflow(tools):
    mild = JavaVerifier(largest=100, limits=PATIENT, **tools)
    (found,) = judge(mild, "static int f(int a, int b) { return a * b; }", "def f(a, b):\n    return a * b\n")
    assert found.outcome == "passed"


def test_outcomes_tell_what_went_wrong(tools):
    java = "static int f(int n) { return n; }"
    sources = {
        "timeout": "def f(n):\n    while True:\n        pass\n",
        "memory": "def f(n):\n    return len(list(range(10**9)))\n",
        "invalid": "def g(n):\n    return n\n",
        "wrong": "import os\ndef f(n):\n    os._exit(0)\n",
    }
    strict = JavaVerifier(generated=3, limits=Limits(cpu_s=1, wall_s=60, memory_mb=128), **tools)
    verdicts = judge(strict, java, *sources.values())
    assert [each.outcome for each in verdicts] == list(sources)
    assert all(each.detail and each.passed == 0 for each in verdicts)


def test_fenced_answers_count(verifier):
    answer = f"Here it is:\n```python\n{EXACT}```\nIt rounds towards zero."
    assert judge(verifier, DIVIDE, answer)[0].outcome == "passed"


def test_recursion_is_as_deep_as_javas(verifier):
    java = "static int f(int n) { return n <= 0 ? 0 : 1 + f(n - 1); }"
    python = "def f(n):\n    return 0 if n <= 0 else 1 + f(n - 1)\n"
    assert judge(verifier, java, python, inputs=((5000,),))[0].outcome == "passed"
    assert reference(verifier, java).dropped["steps"] > 0  # MAX_VALUE


def test_endless_loops_are_dropped_and_counted(verifier):
    java = "static int f(int n) { while (n != 0) n -= 2; return n; }"
    found = reference(verifier, java, inputs=((4,), (7,)))
    assert found.dropped["given"] == 1
    assert found.dropped["steps"] > 0
    assert found.calls[0] == (4,)
    assert all(each.value == 0 for each in found.results)


def test_greedy_allocations_and_texts_are_dropped(verifier):
    arrays = "static int f(int n) { return new int[n + 5][1000][1000].length; }"
    texts = 'static int f(int n) { String s = "ab"; for (int i = 0; i < n + 90; i++) s += s; return s.length(); }'
    for java in (arrays, texts):
        assert "steps" in reference(verifier, java, inputs=((-4,),)).dropped


def test_static_fields_remember_on_both_sides(verifier):
    java = "static int calls = 0; static int f(int n) { return n * 0 + ++calls; }"
    python = "calls = 0\ndef f(n):\n    global calls\n    calls += 1\n    return calls\n"
    assert judge(verifier, java, python)[0].outcome == "passed"


def test_overloads_are_told_apart_by_the_signature(verifier):
    java = "class A { static int f(int a) { return 1; } static int f(String s) { return 2; } }"
    answers = ["def f(x):\n    return 1\n", "def f(x):\n    return 2\n"]
    outcomes = judge(verifier, java, *answers, signature="static int f(String text)")
    assert [each.outcome for each in outcomes] == ["wrong", "passed"]


def test_a_record_leads_to_the_same_verdict(verifier, tools):
    (first,) = judge(verifier, DIVIDE, FLOOR, inputs=[[-7, 2]])
    record = json.loads(json.dumps(first.record))
    columns = {name: [value] for name, value in record["columns"].items()}
    again = JavaVerifier.of_record(record, **tools)
    (second,) = again.verdicts([record["prompt"]], [record["completion"]], **columns)
    assert second == first


def test_as_a_reward(verifier):
    reward = VerifierReward(verifier, partial=True)
    exact, floor = reward(["", ""], [EXACT, FLOOR], java=[DIVIDE] * 2, entry_point=["f"] * 2)
    assert exact == 1.0
    assert 0 < floor < 1


def test_java_runs_once_for_many_translations(verifier):
    judge(verifier, DIVIDE, FLOOR)
    kept = verifier._references[JavaProblem(DIVIDE, "f").key]
    judge(verifier, DIVIDE, *[EXACT] * 8)
    assert verifier._references[JavaProblem(DIVIDE, "f").key] is kept


@pytest.mark.parametrize(
    ("java", "columns", "said"),
    [
        ("static int f(int a) { return b; }", {}, "does not compile: line 1: cannot find symbol"),
        ("static int g(int a) { return a; }", {}, "has no method of that name"),
        (DIVIDE, {"inputs": [[2**31, 1]]}, "2147483648 does not fit Java's int"),
        (DIVIDE, {"inputs": [[1]]}, "takes 2 arguments"),
        (DIVIDE, {"signature": "int f(long a)"}, "no method of the signature"),
        ("static int f(Thread t) { return 0; }", {}, "Thread"),
        ("static void f(int a) { System.out.println(a); }", {}, "nothing to compare"),
        ("static int f(int a) { while (true) a++; }", {}, "ended on no input"),
    ],
)
def test_rows_that_cannot_be_judged_are_the_users_mistake(verifier, java, columns, said):
    with pytest.raises(UserError, match="row 0: the Java method f") as error:
        judge(verifier, java, "def f(a):\n    return a\n", **columns)
    assert said in str(error.value)


def test_columns_are_asked_for(verifier):
    with pytest.raises(UserError, match="needs the column 'entry_point'"):
        verifier.verdicts([""], [FLOOR], java=[DIVIDE])
    with pytest.raises(UserError, match="must hold text"):
        verifier.verdicts([""], [FLOOR], java=[None], entry_point=["f"])


def test_without_a_jdk_the_package_is_named(monkeypatch):
    java_server.jdk_home.cache_clear()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with JavaVerifier() as verifier, pytest.raises(UserError, match="openjdk-17-jdk-headless"):
        judge(verifier, DIVIDE, FLOOR)
    java_server.jdk_home.cache_clear()
