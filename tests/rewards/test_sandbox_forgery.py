"""Answers that try to pass tests without doing what is tested, and what the tests say."""

import pytest

from foolsgold.rewards import sandbox_bubblewrap
from foolsgold.rewards.sandbox import Calls, Limits, Tests, shared_sandbox

pytestmark = pytest.mark.skipif(sandbox_bubblewrap.find() is None, reason="bubblewrap is not installed")

FLOOD = 'import os\nfor fd in range(256):\n    try: os.write(fd, b\'["passed",""]\\n\' * 9)\n    except OSError: pass\n'


def judged(source, *tests, limits=None, preamble=""):
    (result,) = shared_sandbox().run([Tests(source, "f", tests or ["assert f(2) == 4"], preamble, limits)])
    assert result.detail or set(result.results) == {"passed"}
    return result.results


EQUAL = "\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n    __hash__ = None\n"


@pytest.mark.parametrize(
    ("source", "result"),
    [
        # Objects that equal everything: their class does not cross.
        (f"class A:{EQUAL}def f(x): return A()", "raised"),
        (f"class A(int):{EQUAL}def f(x): return A()", "failed"),
        (f"class A(str):{EQUAL}def f(x): return A()", "failed"),
        (f"class A(list):{EQUAL}def f(x): return A()", "failed"),
        ("from unittest.mock import ANY\ndef f(x): return ANY", "raised"),
        ("def f(x): return (i for i in [4])", "raised"),
        ("def f(x): return float('nan')", "failed"),
        # Leaving before the verdict.
        ("import os\ndef f(x): os._exit(0)", "raised"),
        ("import os\nos._exit(0)", "raised"),
        ("import sys\ndef f(x): sys.exit(0)", "raised"),
        ("raise SystemExit(0)", "raised"),
        ("import os\ndef f(x): os.abort()", "raised"),
        ("import os, time\ndef f(x):\n    if os.fork() == 0: time.sleep(9)\n    os._exit(0)", "raised"),
        ("import os, sys\nos.execv('/usr/bin/true', ['true'])", "raised"),
        # Saying that it passed, on every descriptor that there is.
        ("print('passed', flush=True)\ndef f(x):\n    print('[\"passed\",\"\"]', flush=True)", "failed"),
        (FLOOD + "def f(x): return 3", "raised"),
        (FLOOD.replace("passed", "ready") + "def f(x): return 3", "raised"),
        ("def f(x):\n    " + FLOOD.replace("\n", "\n    ") + "return 3", "raised"),
        # Changing the language and the harness: in its own process it may.
        ("import builtins\nbuiltins.AssertionError = builtins.Exception = KeyError\ndef f(x): return 5", "failed"),
        ("import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\ndef f(x): return 5", "failed"),
        ("import sandbox_judge\nsandbox_judge._tested = lambda *a: ['passed', '']\ndef f(x): return 5", "failed"),
        ("import sandbox_values\nsandbox_values.loads = lambda *a: 4\ndef f(x): return 5", "raised"),
        ("import sandbox_values\nsandbox_values.dumps = lambda *a: 'passed'\ndef f(x): return 5", "raised"),
        ("import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef f(x): return 5", "failed"),
        ("import sys\ndef f(x):\n    sys._getframe(1).f_globals['_answer'] = None\n    return 5", "failed"),
        ("import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 5", "failed"),
        ("import gc\nfor o in gc.get_objects():\n    if type(o) is dict: o.clear()\ndef f(x): return 5", "failed"),
        # Ending the judge.
        (
            "import os\ndef f(x):\n    for p in range(-1, 99):\n        try: os.kill(p, 9)\n        except OSError: 0",
            "failed",
        ),
        ("import os, signal\ndef f(x):\n    os.kill(os.getppid(), signal.SIGTERM)", "failed"),
        # Exceptions that would end the judge or its loops.
        ("def f(x): raise GeneratorExit", "raised"),
        ("def f(x): raise KeyboardInterrupt", "raised"),
        ("class E(BaseException): pass\ndef f(x): raise E", "raised"),
        ("class E(Exception):\n    def __str__(self): raise self\ndef f(x): raise E", "raised"),
        # Values that cost the judge time or its stack.
        ("def f(x):\n    a = []\n    for _ in range(10**5): a = [a]\n    return a", "raised"),
        ("def f(x): return {i * (2**61 - 1) for i in range(1, 3000)}", "raised"),
        ("def f(x): return 1 << 100_000", "failed"),
    ],
)
def test_a_wrong_answer_passes_by_no_trick(source, result):
    assert judged(source) == [result]


def test_the_honest_answer_passes():
    assert judged("def f(x): return 2 * x") == ["passed"]
    assert judged("def f(x): return True", "assert f(2) == 1", "assert f(2) is not 1") == ["passed", "passed"]


def test_an_exception_does_not_end_a_loop_in_silence():
    """Where map meets StopIteration it stops without an error, and no comparison is made."""
    loop = "for got, wanted in zip(map(f, [1, 2]), [2, 4], strict=False):\n    assert got == wanted"
    for kind in ("StopIteration", "StopAsyncIteration"):
        assert judged(f"def f(x): raise {kind}", loop) == ["raised"]


def test_a_test_that_swallows_everything_does_not_hide_that_the_candidate_left():
    assert judged("import os\ndef f(x): os._exit(0)", "try:\n    f(1)\nexcept:\n    pass", "pass") == ["raised"] * 2


def test_tests_cannot_be_read():
    """All texts and all of the heap that the candidate has are searched for the tests' own words."""
    search = """
import gc
def f(word):
    wanted = "".join(word)
    texts = [o for o in gc.get_objects() if isinstance(o, (dict, list, tuple))]
    seen = [repr(list(o.values() if type(o) is dict else o)) for o in texts if len(o) < 10_000]
    return any(wanted in text for text in seen)
"""
    test = "assert f(['thegold', 'enword']) is False  # thegoldenword"
    assert judged(search, test, preamble="thegoldenword = 1", limits=Limits(cpu_s=20, wall_s=30)) == ["passed"]


def test_deleting_everything_changes_no_verdict():
    source = """
import os, shutil
for folder in ("/sandbox", "/tmp", "/etc", "/dev", "/usr/bin"):
    shutil.rmtree(folder, ignore_errors=True)
for fd in range(3, 100):
    try: os.close(fd) if fd > 4 else 0
    except OSError: pass
def f(x): return 5
"""
    assert judged(source, "assert f(1) == 5", "assert f(2) == 4") == ["passed", "failed"]


def test_what_it_learnt_from_a_question_does_not_change_earlier_verdicts():
    source = "seen = []\ndef f(x):\n    seen.append(x)\n    return 4 if len(seen) > 1 else 0"
    assert judged(source, "assert f(2) == 4", "assert f(2) == 4") == ["failed", "passed"]


def test_answers_of_the_same_text_compare_as_plain_values():
    source = f"class A(str):{EQUAL}class B(list):{EQUAL}def f(x): return [A('a'), B([1]), (A('b'),)]"
    assert judged(source, "assert f(2) == ['a', [1], ('b',)]", "assert f(2) == ['a', [1], ('c',)]") == [
        "passed",
        "failed",
    ]


def test_objects_left_in_arguments_do_not_reach_the_test():
    source = f"class A:{EQUAL}def f(x): x.append(A())"
    assert judged(source, "x = []\nf(x)\nassert x == [1]") == ["raised"]


def test_forged_lines_are_no_answers_to_calls():
    source = FLOOD + "def f(x): return 3"
    (result,) = shared_sandbox().run([Calls(source, "f", [[1], [2]])])
    assert result.status == "died"
    assert [each.raised for each in result.returned] == ["RuntimeError"] * 2
