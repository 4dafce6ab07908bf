"""Runs untrusted Python programs, many at a time, where they can harm nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from foolsgold.rewards import sandbox_values as values
from foolsgold.rewards.sandbox_jobs import (
    Calls,
    CallsResult,
    Job,
    Limits,
    Program,
    ProgramResult,
    Result,
    Returned,
    Status,
    TestResult,
    Tests,
    TestsResult,
)

__all__ = [
    "Calls",
    "CallsResult",
    "Job",
    "Limits",
    "Program",
    "ProgramResult",
    "Result",
    "Returned",
    "Sandbox",
    "Status",
    "TestResult",
    "Tests",
    "TestsResult",
    "sandboxed",
    "shared_sandbox",
]

_TESTS = """
import json, sys
out = sys.stdout; sys.stdout = sys.stderr
job = json.load(sys.stdin)
def run():
    space = {"__name__": "candidate"}
    try:
        exec(job["source"], space)
        entry = space[job["entry"]]
    except BaseException as e:
        return [["raised", f"{type(e).__name__}: {e}"]] * len(job["tests"])
    trusted = {"__name__": "tests"}
    found = []
    exec(job["preamble"], trusted)
    trusted.update({job["entry"]: entry, "candidate": entry})
    for test in job["tests"]:
        try:
            exec(test, trusted)
            found.append(["passed", ""])
        except AssertionError as e:
            found.append(["failed", f"{test}: {e}"])
        except BaseException as e:
            found.append(["raised", f"{test}: {type(e).__name__}: {e}"])
    return found
json.dump(run(), out)
"""
_CALLS = """
import json, sys
import sandbox_values as values
out = sys.stdout; sys.stdout = sys.stderr
job = json.load(sys.stdin)
space = {"__name__": "candidate"}
error = None
try:
    exec(job["source"], space)
    entry = space[job["entry"]]
except BaseException as e:
    error = e
found = []
for call in values.loads(job["calls"]):
    try:
        if error: raise error
        value = entry(*call)
        found.append({"value": values.dumps(value), "arguments": values.dumps(list(call))})
    except BaseException as e:
        found.append({"raised": type(e).__name__, "message": str(e), "arguments": values.dumps([])})
json.dump(found, out)
"""


class Sandbox:
    """A pool of workers; a context manager, safe to use from several threads."""

    def __init__(self, limits: Limits = Limits(), workers: int | None = None, unsafe_subprocess: bool = False):
        self.limits = limits
        self._pool = ThreadPoolExecutor(workers or 2)

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """One result a job, in the order of `jobs`."""
        return list(self._pool.map(self._one, jobs))

    def close(self) -> None:
        self._pool.shutdown()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _one(self, job: Job) -> Result:
        limits = job.limits or self.limits
        began = time.monotonic()
        if isinstance(job, Program):
            status, code, out, err = _python(job.source, job.stdin, limits)
            return ProgramResult(status, code, out, err, time.monotonic() - began)
        if isinstance(job, Tests):
            asked = json.dumps(
                {"source": job.source, "entry": job.entry, "tests": list(job.tests), "preamble": job.preamble}
            )
            status, code, out, err = _python(_TESTS, asked, limits)
            if not out:
                return TestsResult(
                    status if status != "ended" else "died",
                    ["timeout" if status == "timeout" else "raised"] * len(job.tests),
                    err[-200:],
                )
            found = json.loads(out)
            return TestsResult(status, [r for r, _ in found], next((d for r, d in found if r != "passed"), ""))
        asked = json.dumps(
            {"source": job.source, "entry": job.entry, "calls": values.dumps([list(c) for c in job.calls])}
        )
        status, code, out, err = _python(_CALLS, asked, limits)
        if not out:
            lost = Returned(
                raised="" if status == "timeout" else "RuntimeError", message=err[-200:], timeout=status == "timeout"
            )
            return CallsResult(status if status != "ended" else "died", [lost] * len(job.calls), err[-200:])
        back = []
        for each in json.loads(out):
            arguments = values.loads(each["arguments"])
            if "raised" in each:
                back.append(Returned(None, arguments, each["raised"], each["message"]))
            else:
                back.append(Returned(values.loads(each["value"]), arguments))
        return CallsResult(status, back)


def _python(source: str, stdin: str, limits: Limits) -> tuple[Status, int | None, str, str]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "program.py").write_text(source)
        (Path(folder) / "sandbox_values.py").write_text(Path(values.__file__).read_text())
        readable = [Path(folder), Path(sys.base_prefix)]
        argv = sandboxed(
            [str(Path(sys.base_prefix) / "bin" / "python3"), f"{folder}/program.py"], limits=limits, readable=readable
        )
        try:
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=limits.wall_s, env={})
        except subprocess.TimeoutExpired:
            return "timeout", None, "", ""
    return "ended", done.returncode, done.stdout, done.stderr


@cache
def shared_sandbox() -> Sandbox:
    """The one of this process, made on first use and closed at its exit."""
    return Sandbox()


def sandboxed(argv: Sequence[str], *, limits: Limits, readable: Sequence[Path] = ()) -> list[str]:
    """The command line that runs `argv` under bubblewrap: no network, a read-only system, a small /tmp to write in.

    Args:
      readable: files and folders beside /usr that it may read.
    """
    shown = [part for path in readable for part in ("--ro-bind", str(path), str(path))]
    return [
        "/usr/bin/bwrap", "--unshare-all", "--die-with-parent", "--new-session",
        "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
        "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev",
        "--size", str(limits.disk_mb << 20), "--tmpfs", "/tmp", *shown, "--chdir", "/tmp",
        "--setenv", "PATH", "/usr/bin", "--remount-ro", "/", "--remount-ro", "/dev", "--", *argv,
    ]  # fmt: skip
