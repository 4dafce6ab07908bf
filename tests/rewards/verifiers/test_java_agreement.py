"""Causes of disagreements: each pair has one that is plain to see; then a published set of pairs."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Limits, Sandbox
from foolsgold.rewards.verifiers.java import JavaProblem, JavaVerifier
from foolsgold.rewards.verifiers.java_agreement import Pair, agreement_report, report, transcoder_pairs
from foolsgold.rewards.verifiers.java_causes import rewritten

needs_tools = pytest.mark.skipif(
    shutil.which("javac") is None or shutil.which("bwrap") is None, reason="needs a JDK and bubblewrap"
)
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "java" / "gfg_java_python.tar.gz"
CAUSES = {
    "overflow": ("static int f(int a) { return a * a; }", "def f(a):\n    return a * a\n", (70000,)),
    "overflow of long": ("static long f(long a) { return a * a; }", "def f(a):\n    return a * a\n", (2**33 + 1,)),
    "integer division": ("static int f(int a) { return a / 2; }", "def f(a):\n    return a / 2\n", (7,)),
    "division of negatives": ("static int f(int a) { return a / 2; }", "def f(a):\n    return a // 2\n", (-7,)),
    "modulo of negatives": ("static int f(int a) { return a % 3; }", "def f(a):\n    return a % 3\n", (-7,)),
    "char arithmetic": (
        "static int f(char a) { return a - '0'; }",
        "def f(a):\n    return a - '0'\n",
        ("7",),
    ),
    "negative index": ("static int f(int[] a) { return a[-1]; }", "def f(a):\n    return a[-1]\n", ([1],)),
    "mutation": ("static int f(int[] a) { return a[0]++; }", "def f(a):\n    return a[0]\n", ([1],)),
    "float for an integer": ("static int f(int a) { return a; }", "def f(a):\n    return a / 1\n", (7,)),
    "boolean or number": ("static boolean f(int a) { return a > 0; }", "def f(a):\n    return int(a > 0)\n", (7,)),
    "single precision": (
        "static float f(float a) { return a + 16777216f - 16777216f; }",
        "def f(a):\n    return a + 16777216 - 16777216\n",
        (1.0,),
    ),
    "bounds of int": (
        "static int f(int a) { return Math.min(Integer.MAX_VALUE, a + 2147483600); }",
        "import sys\ndef f(a):\n    return min(sys.maxsize, max(a + 2147483600, sys.maxsize))\n",
        (47,),
    ),
    "exception: only Python raises": ("static int f(int a) { return a; }", "def f(a):\n    raise ValueError\n", (7,)),
    "nothing returned": ("static int f(int a) { return a; }", "def f(a):\n    a\n", (7,)),
    "text or list": (
        'static String f(String s) { return s + "!"; }',
        "def f(s):\n    return list(s) + ['!']\n",
        ("a",),
    ),
    "other": ("static int f(int a) { return a; }", "def f(a):\n    return 6\n", (7,)),
}


@needs_tools
def test_each_disagreement_has_its_cause():
    pairs = [Pair(cause, JavaProblem(java, "f", "", (call,)), python) for cause, (java, python, call) in CAUSES.items()]
    pairs.append(Pair("same", JavaProblem("static int f(int a) { return a; }", "f", "", ((1,),)), "def f(a): return a"))
    pairs.append(Pair("broken", JavaProblem("static int f(int a) { return b; }", "f"), "def f(a): return a"))
    with Sandbox() as sandbox, JavaVerifier(generated=0, sandbox=sandbox, limits=Limits(wall_s=60)) as verifier:
        found = agreement_report(pairs, verifier, sandbox)
    given = {each.name: each for each in found if each.origin == "given"}
    assert {name: each.cause for name, each in given.items()} == {name: name for name in CAUSES} | {
        "same": "",
        "broken": "not compared",
    }
    text = report(found)
    assert f"| given | {len(CAUSES) + 1} | 1 (" in text
    assert "| division of negatives | 1 of 1 | division of negatives | `f(-7): Java -3, Python -4` |" in text


def test_rewritten_sources_stay_python():
    source = "def f(a, i):\n    a[i] += i // 2\n    return a[i] / 2 if a[0] < 'b' else -i % 3\n"
    for cause in ("several", "overflow", "char arithmetic", "negative index"):
        changed = rewritten(source, cause)
        assert changed is not None
        compile(changed, "changed", "exec")
    assert rewritten("def f(a):\n    return a\n", "overflow") is None
    assert rewritten("def f(a:", "overflow") is None


def test_pairs_are_read_from_files(tmp_path):
    for name, text in {
        "java/A.java": "import x.Y;\npublic class A{\nint f_gold(int a) { return a; }\n//TOFILL\nvoid main() {}}",
        "python/A.py": "def f_gold(a): return a\n#TOFILL\nif __name__ == '__main__':\n    param = [(1,), (-2,)]\n",
        "java/B.java": "public class B{ }",
    }.items():
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (pair,) = transcoder_pairs(tmp_path)
    assert (pair.name, pair.problem.inputs, pair.python) == ("A", ((1,), (-2,)), "def f_gold(a): return a\n")
    assert "import" not in pair.problem.java
    with pytest.raises(UserError, match="no pairs"):
        transcoder_pairs(tmp_path / "java")


@pytest.mark.slow
@needs_tools
@pytest.mark.skipif(not DATA.exists(), reason="the data are not here")
def test_reference_translations_agree_but_for_known_causes(tmp_path):
    shutil.unpack_archive(DATA, tmp_path, filter="data")
    pairs = transcoder_pairs(tmp_path)
    assert len(pairs) == 291
    limits = Limits(cpu_s=20, wall_s=300)
    with Sandbox() as sandbox, JavaVerifier(sandbox=sandbox, limits=limits) as verifier:
        found = agreement_report(pairs, verifier, sandbox)
    given = [each for each in found if each.origin == "given" and each.of]
    assert len(given) == 290
    assert sum(not each.line for each in given) >= 215
    assert all(each.cause for each in found if each.line)
    causes = Counter(each.cause for each in given)
    assert causes["overflow"] >= 25
    assert causes["other"] <= 20
