"""What programs, tests and calls give back, and how the pool behaves."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards import sandbox as sandbox_module
from foolsgold.rewards import sandbox_bubblewrap
from foolsgold.rewards.sandbox import Calls, Limits, Program, Returned, Sandbox, Tests, sandboxed, shared_sandbox
from foolsgold.rewards.sandbox_worker import ServerLost, Worker
from foolsgold.rewards.verifiers.verdict import VerifierFailure

pytestmark = pytest.mark.skipif(sandbox_bubblewrap.find() is None, reason="bubblewrap is not installed")


def one(job):
    return shared_sandbox().run([job])[0]


def below(process: int) -> set[int]:
    """All processes that descend from `process`."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def gone(processes: set[int], within: float = 10.0) -> bool:
    until = time.monotonic() + within
    while any(Path(f"/proc/{each}").exists() for each in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# Programs


def test_a_program_reads_and_writes():
    result = one(Program("import sys\nprint(int(input()) + int(input()))\nprint('ö', file=sys.stderr)", "2\n40\n"))
    assert (result.status, result.exit_code, result.stdout, result.stderr) == ("ended", 0, "42\n", "ö\n")
    assert 0 < result.seconds < 60


@pytest.mark.parametrize(
    ("source", "code", "stderr"),
    [
        ("exit()", 0, ""),
        ("import sys; sys.exit(7)", 7, ""),
        ("raise SystemExit('so much')", 1, "so much\n"),
        ("import os; os._exit(3)", 3, ""),
        ("import atexit, sys; atexit.register(print, 'last', file=sys.stderr)", 0, "last\n"),
        ("import threading, sys; threading.Timer(0.05, sys.stderr.write, ['late']).start()", 0, "late"),
        ("if __name__ == '__main__':\n    quit(5)", 5, ""),
    ],
)
def test_programs_end_as_python_would_end_them(source, code, stderr):
    result = one(Program(source))
    assert (result.status, result.exit_code, result.stderr) == ("ended", code, stderr)


def test_a_traceback_shows_the_program_and_nothing_of_the_sandbox():
    result = one(Program("def f():\n    return 1 / 0\n\nf()\n"))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:3] == ['  File "program.py", line 4, in <module>', "    f()"]
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert "sandbox" not in result.stderr
    assert "SyntaxError" in one(Program("def")).stderr


def test_a_crash_is_told_with_its_signal():
    result = one(Program("import ctypes; ctypes.string_at(0)"))
    assert (result.status, result.exit_code) == ("died", -signal.SIGSEGV)


def test_common_modules_work():
    source = """
import asyncio, dataclasses, decimal, enum, fractions, json, multiprocessing, subprocess, tempfile
async def three(): return 3
@dataclasses.dataclass
class P:
    x: "int"
print(asyncio.run(three()), P(4), subprocess.run(["echo", "5"], capture_output=True, text=True).stdout.strip())
with tempfile.TemporaryFile() as file: print(file.write(b"six"))
"""
    result = one(Program(source))
    assert (result.stdout, result.stderr) == ("3 P(x=4) 5\n3\n", "")


def test_the_same_program_gives_the_same_output():
    jobs = [Program("print({'a', 'b', 'c', 'd', 'e', 'f'}, hash('x'))")] * 4
    assert len({result.stdout for result in shared_sandbox().run(jobs)}) == 1


# Tests


def test_tests_pass_fail_and_raise():
    tests = ["assert add(1, 2) == 3", "assert candidate(1, b=1) == 3", "add('a', 1)", "assert add([1], [2]) == [1, 2]"]
    result = one(Tests("def add(a, b):\n    return a + b", "add", tests))
    assert result.status == "ended"
    assert result.results == ["passed", "failed", "raised", "passed"]
    assert result.detail == "assert candidate(1, b=1) == 3 | add(1, b=1) returned 2"


def test_exceptions_arrive_with_their_class():
    source = """
class Own(ValueError): pass
class Other(Exception): pass
def f(x): raise {1: KeyError(5), 2: Own("o"), 3: Other("p"), 4: UnicodeDecodeError("a", b"", 0, 1, "q")}[x]
"""
    caught = "try:\n    f({})\n    assert False\nexcept {}:\n    pass"
    tests = [caught.format(1, "KeyError"), caught.format(2, "ValueError"), caught.format(3, "Exception")]
    result = one(Tests(source, "f", [*tests, caught.format(4, "UnicodeError"), "f(3)"]))
    assert result.results == ["passed"] * 4 + ["raised"]
    assert "Exception: p" in result.detail


def test_arguments_changed_in_place_are_changed_for_the_test():
    source = "def f(a, b, *, c):\n    a.sort()\n    b['x'] = 1\n    c.clear()"
    test = "a, b, c = [3, 1, 2], {}, {7}\nf(a, b, c=c)\nassert (a, b, c) == ([1, 2, 3], {'x': 1}, set())"
    assert one(Tests(source, "f", [test])).results == ["passed"]


def test_the_preamble_is_known_to_the_tests_only():
    source = "def f():\n    return 'helper' in globals()"
    result = one(Tests(source, "f", ["assert helper(f()) == (False,)"], preamble="def helper(x):\n    return (x,)"))
    assert result.results == ["passed"]


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("def f(:", "SyntaxError"),
        ("def g(): pass", "NameError: name 'f' is not defined as a function"),
        ("f = 3", "NameError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("exit()", "SystemExit"),
    ],
)
def test_a_source_without_the_function_passes_nothing(source, detail):
    result = one(Tests(source, "f", ["pass", "assert f() is None"]))
    assert result.results == ["raised", "raised"]
    assert detail in result.detail


@pytest.mark.parametrize(("tests", "preamble"), [(["assert f("], ""), (["pass"], "import nothing_of_that_name")])
def test_tests_that_are_no_python_are_the_users_mistake(tests, preamble):
    with pytest.raises(UserError, match="tests of 'f' are no Python that runs"):
        one(Tests("def f(): pass", "f", tests, preamble))


def test_tests_after_one_that_takes_too_long_count_as_timeouts():
    source = "import time\ndef f(x):\n    time.sleep(x)"
    result = one(Tests(source, "f", ["f(0)", "f(100)", "f(0)"], limits=Limits(wall_s=0.5)))
    assert (result.status, result.results) == ("timeout", ["passed", "timeout", "timeout"])
    assert result.detail == "f(100) | it took too long"


# Calls


def test_values_survive_the_way_there_and_back():
    values = [
        None, True, 1, 0, -(10**400), 1.5, -0.0, math.inf, "ö\ud800\n", b"\x00\xff", (), (1, (2, [3])), {1, "a"},
        frozenset({(1,)}), {"a": [1], (1, 2): {3: None}, None: b""}, range(1, 9, 3), 2j,
    ]  # fmt: skip
    result = one(Calls("def f(x):\n    return x", "f", [[value] for value in values]))
    assert [repr(each.value) for each in result.returned] == [repr(value) for value in values]
    assert math.isnan(one(Calls("def f():\n    return float('nan')", "f", [[]])).returned[0].value)


def test_calls_tell_arguments_and_exceptions():
    source = (
        "class Own(Exception): pass\ndef f(x):\n    x.append(0)\n    if len(x) > 2: raise Own('long')\n    return len"
    )
    result = one(Calls("def f(x):\n    x.append(0)\n    return x", "f", [[[1]], [()]]))
    assert result.returned[0] == Returned([1, 0], [[1, 0]])
    assert result.returned[1] == Returned(raised="AttributeError", message="'tuple' object has no attribute 'append'")
    first, second = one(Calls(source, "f", [[[1, 2]], [[]]])).returned
    assert (first.raised, first.message) == ("Own", "long")
    assert (second.raised, second.message) == ("TypeError", "builtin_function_or_method is no plain data")
    with pytest.raises(TypeError, match="no plain data"):
        one(Calls(source, "f", [[len]]))


def test_subclasses_come_back_plain_and_generators_do_not():
    source = """
import collections, enum
class E(enum.IntEnum): A = 3
def f(x): return [collections.Counter("aab"), collections.namedtuple("P", "x y")(1, 2), E.A, (i for i in "a")][x]
"""
    *plain, generator = one(Calls(source, "f", [[0], [1], [2], [3]])).returned
    assert [each.value for each in plain] == [{"a": 2, "b": 1}, (1, 2), 3]
    assert [type(each.value) for each in plain] == [dict, tuple, int]
    assert (generator.raised, generator.message) == ("TypeError", "generator is no plain data")


def test_calls_after_one_that_takes_too_long_or_leaves():
    source = "import os, time\ndef f(x):\n    time.sleep(100) if x == 1 else os._exit(0) if x == 2 else 0"
    slow, left = shared_sandbox().run([Calls(source, "f", [[0], [n], [0]], Limits(wall_s=0.5)) for n in (1, 2)])
    assert (slow.status, [each.timeout for each in slow.returned]) == ("timeout", [False, True, True])
    assert (left.status, [bool(each.raised) for each in left.returned]) == ("died", [False, True, True])
    assert (slow.detail, left.detail) == ("call 2 of 3: it took too long", "call 2 of 3: it left before it was done")


# The pool


def test_results_come_in_the_order_of_jobs_from_many_threads():
    found = {}

    def ask(number):
        found[number] = one_pool.run([Program(f"print({number}, {i})") for i in range(8)])

    with Sandbox(workers=2) as one_pool:
        threads = [threading.Thread(target=ask, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number, results in found.items():
        assert [result.stdout for result in results] == [f"{number} {i}\n" for i in range(8)]


def test_a_killed_server_costs_no_other_job_and_close_leaves_nothing():
    before = below(os.getpid())
    with Sandbox(workers=1) as sandbox:
        assert sandbox.run([Program("print(1)")])[0].stdout == "1\n"
        first = below(os.getpid()) - before
        for process in first:
            with suppress(ProcessLookupError):  # the end of one ends others
                os.kill(process, signal.SIGKILL)
        assert [result.stdout for result in sandbox.run([Program("print(2)"), Program("print(3)")])] == ["2\n", "3\n"]
        second = below(os.getpid()) - before
        assert second
        assert not second & first
    assert gone(first | second)
    with pytest.raises(VerifierFailure, match="closed"):
        sandbox.run([Program("print(1)")])


def test_a_job_that_takes_its_server_down_each_time_has_died(monkeypatch):
    asked = []

    def ask(worker, request):
        asked.append(worker)
        raise ServerLost

    with Sandbox(workers=1) as sandbox:
        with monkeypatch.context() as patch:
            patch.setattr(Worker, "ask", ask)
            (result,) = sandbox.run([Tests("def f(): pass", "f", ["f()"])])
        assert (result.status, result.results) == ("died", ["raised"])
        assert len(set(asked)) == 2
        assert sandbox.run([Program("print(4)")])[0].stdout == "4\n"


def test_a_server_that_does_not_start_is_no_verdict(monkeypatch):
    lost = Mock(side_effect=ServerLost("no space"))
    with monkeypatch.context() as patch, Sandbox(workers=1) as sandbox:
        patch.setattr(sandbox_module, "Worker", lost)
        with pytest.raises(UserError, match="bubblewrap cannot make a sandbox on this machine: no space"):
            sandbox.run([Program("")])
    with monkeypatch.context() as patch, Sandbox(workers=1) as sandbox:
        sandbox.run([Program("")])
        patch.setattr(Worker, "ask", Mock(side_effect=ServerLost))
        patch.setattr(sandbox_module, "Worker", lost)
        with pytest.raises(VerifierFailure, match="did not start again: no space"):
            sandbox.run([Program("")])


def test_a_job_that_cannot_be_locked_in_is_no_verdict():
    """The kernel refuses so many open files."""
    with Sandbox(workers=1) as sandbox:
        with pytest.raises(VerifierFailure, match="could not lock a job in"):
            sandbox.run([Program("print(1)", limits=Limits(files=1 << 62))])
        assert sandbox.run([Program("exit(3)")])[0].exit_code == 3


def test_closing_ends_what_runs():
    sandbox = Sandbox(workers=1)
    failures = []

    def ask():
        try:
            sandbox.run([Program("import time; time.sleep(100)", limits=Limits(wall_s=100)), Program("")])
        except VerifierFailure as failure:
            failures.append(str(failure))

    sandbox.run([Program("")])
    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    sandbox.close()
    asking.join(20)
    assert failures == ["the sandbox was closed before the job was done"]


OWNER = """
import os, signal, sys, threading, time
from foolsgold.rewards.sandbox import Program, Sandbox, shared_sandbox
threading.Thread(target=time.sleep, args=[1000], daemon=True).start()
sandbox = {}
sandbox.run([Program("")])
print("ready", flush=True)
{}
"""


@pytest.mark.parametrize(
    ("made", "then"),
    [
        ("shared_sandbox()", ""),
        ("Sandbox()", ""),
        ("Sandbox()", "threading.Timer(0.3, os.kill, [os.getpid(), 9]).start(); sandbox.run([Program('while 1: 0')])"),
    ],
    ids=["shared, at exit", "left open, at exit", "killed while it works"],
)
def test_nothing_outlives_the_process_that_made_it(made, then):
    code = OWNER.format(made, "time.sleep(0.5)\n" + then)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.read(6) == b"ready\n"
        processes = below(owner.pid)
        assert len(processes) >= 2
        owner.wait(30)
        assert gone(processes)


def test_ctrl_c_ends_the_wait_and_not_the_sandbox():
    then = """
try:
    sandbox.run([Program("import time; time.sleep(2)")])
except KeyboardInterrupt:
    print(sandbox.run([Program("print('after')")])[0].stdout, end="")
"""
    code = OWNER.format("Sandbox(workers=2)", then)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as owner:
        assert owner.stdout.read(6) == b"ready\n"
        time.sleep(0.5)
        os.killpg(owner.pid, signal.SIGINT)
        assert owner.communicate(timeout=30)[0] == b"after\n"


def test_without_bubblewrap_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setattr(sandbox_bubblewrap, "find", lambda: None)
    with Sandbox(workers=1) as sandbox, pytest.raises(UserError, match=r"apt install bubblewrap.*--unsafe-subprocess"):
        sandbox.run([Program("")])


def test_unsafe_subprocesses_give_the_same_answers():
    jobs = [
        Program("print(input())", "x"),
        Tests("def f(x):\n    return x", "f", ["assert f(1) == 1", "assert f(1) == 2"]),
        Calls("def f(x):\n    return x", "f", [[(1, 2)]]),
        Program("while True: pass", limits=Limits(wall_s=0.3)),
        Program("import os, time\nif os.fork() == 0: time.sleep(100)"),
        Program("import os, time\nif os.fork() == 0: os.setsid(); time.sleep(3)"),
    ]
    with Sandbox(workers=2, unsafe_subprocess=True) as unsafe:
        program, tests, calls, loop, *left = unsafe.run(jobs)
    assert (program.stdout, tests.results, calls.returned[0].value) == ("x\n", ["passed", "failed"], (1, 2))
    assert loop.status == "timeout"
    assert [each.status for each in left] == ["ended", "ended"]


# Tools that stay


def test_a_tool_runs_under_bubblewrap(tmp_path):
    argv = ["python3", "-c", "import os; print(os.listdir('/tmp'), sorted(os.environ), open('/etc/hostname'))"]
    line = sandboxed(argv, limits=Limits(), environment={"SIGN": "1"})
    done = subprocess.run(line, capture_output=True, text=True)
    assert "No such file or directory: '/etc/hostname'" in done.stderr
    argv[2] = argv[2].replace(", open('/etc/hostname')", "")
    done = subprocess.run(sandboxed(argv, limits=Limits(), environment={"SIGN": "1"}), capture_output=True, text=True)
    assert done.stdout == "[] ['HOME', 'LANG', 'PATH', 'PWD', 'SIGN']\n"


def test_a_tools_files_must_be_readable(tmp_path):
    with pytest.raises(UserError, match="cannot be read by the sandbox's user"):
        sandboxed(["true"], limits=Limits(), readable=[tmp_path / "nothing"])
