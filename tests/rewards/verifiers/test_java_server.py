"""The JVM: what it survives, and how values cross."""

import shutil

import pytest

from foolsgold.rewards.verifiers.java_server import Compiled, JavaServer, Method
from foolsgold.rewards.verifiers.verdict import VerifierFailure

pytestmark = pytest.mark.skipif(
    shutil.which("javac") is None or shutil.which("bwrap") is None, reason="needs a JDK and bubblewrap"
)


@pytest.fixture(scope="module")
def server():
    with JavaServer() as made:
        yield made


def run(server, source, *calls, entry="f", steps=100_000):
    method = Method(source, entry)
    (compiled,) = server.compile([method])
    assert compiled.error == ""
    return server.run(method, 0, compiled.signatures[0], calls, steps)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("int", -(2**31)),
        ("long", 2**63 - 1),
        ("short", -5),
        ("byte", 127),
        ("char", "中"),
        ("boolean", True),
        ("double", 0.1),
        ("float", 0.5),
        ("String", 'a"\n😀\ud800'),
        ("Integer", None),
        ("java.math.BigInteger", 10**40),
        ("int[]", [1, -2]),
        ("boolean[][]", [[True], []]),
        ("char[][]", [["a", "b"]]),
        ("String[]", ["", "é"]),
        ("List<Integer>", [3, 1]),
        ("ArrayList<List<Long>>", [[2**40], []]),
        ("Deque<Character>", ["x"]),
        ("Set<Integer>", {4, 5}),
        ("TreeSet<String>", {"b", "a"}),
        ("Map<String, Integer>", {"k": 1}),
        ("HashMap<Integer, List<String>>", {7: ["s"]}),
        ("List<int[]>", [[1], []]),
        ("T", 3),
    ],
)
def test_values_come_back_as_they_went(server, type_, value):
    generic = "<T extends Comparable<T>> " if type_ == "T" else ""
    (found,) = run(server, f"static {generic}{type_} f({type_} x) {{ return x; }}", (value,))
    assert found.value == value
    assert type(found.value) is type(value)
    assert found.arguments == (value,)


def test_floats_are_rounded_as_in_java(server):
    (third,) = run(server, "static float f(float a, float b) { return a / b; }", (1.0, 3.0))
    assert third.value == 0.3333333432674408  # the float nearest to 1/3


def test_an_object_of_the_class_is_made_for_a_method_that_needs_one(server):
    source = "public class Solution {\n    private int base = 40;\n    public int f(int a) { return base + a; }\n}\n"
    assert run(server, source, (2,))[0].value == 42


def test_a_broken_method_does_not_break_its_batch(server):
    sources = ["static int f(int a) { return a; }", "static int f(int a) { return", "static int f(int a) { return c; }"]
    good, syntax, symbol = server.compile([Method(each, "f") for each in sources])
    assert good.error == ""
    assert syntax.error.startswith("line ")
    assert "cannot find symbol" in symbol.error
    assert isinstance(symbol, Compiled)


def test_exceptions_tell_their_class(server):
    source = "static int f(int[] a) { return a[3] / 0; }"
    short, divided, null = run(server, source, ([],), ([1, 2, 3, 4],), (None,))
    assert short.raised == "java.lang.ArrayIndexOutOfBoundsException"
    assert divided.raised == "java.lang.ArithmeticException"
    assert null.raised == "java.lang.NullPointerException"


def test_steps_end_loops_and_recursion_alike_each_time(server):
    loop = "static int f(int n) { int i = 0; while (i < n) i++; return i; }"
    # A call is 10 steps and each further round one.
    assert [each.dropped for each in run(server, loop, (989,), (995,), steps=1000)] == ["", "steps"]
    assert run(server, "static int f(int n) { return f(n + 1); }", (0,))[0].dropped == "steps"
    catching = "static int f(int n) { while (true) { try { while (true) n++; } catch (Throwable t) { } } }"
    assert run(server, catching, (0,))[0].dropped == "steps"


@pytest.mark.slow
def test_a_call_that_no_step_sees_costs_that_input_only(server):
    source = """static int f(int n) {
        return n == 0 ? 1 : new java.math.BigInteger("7").pow(50_000_000 * n).bitLength(); }"""
    assert run(server, source, (0,))[0].value == 1
    before = server.starts
    found = run(server, source, (0,), (1,), (0,))
    assert [each.dropped for each in found] == ["", "time", ""]
    assert server.starts == before + 1
    assert run(server, source, (0,))[0].value == 1


@pytest.mark.slow
def test_a_jvm_that_ends_twice_on_a_method_is_a_failure(server):
    with pytest.raises(VerifierFailure, match="crashed twice on f"):
        run(server, "static int f(int n) { Runtime.getRuntime().halt(3); return n; }", (0,))
    assert run(server, "static int f(int n) { return n; }", (6,))[0].value == 6


def test_what_is_printed_and_read_disturbs_nothing(server):
    source = "static int f(int n) throws Exception { System.out.println(n); return System.in.read(); }"
    assert run(server, source, (1,))[0].value == -1
