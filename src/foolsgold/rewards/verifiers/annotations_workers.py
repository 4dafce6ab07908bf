"""Processes that judge invariants, so that a solver that does not come back can be stopped.

z3's own limits are counted in steps of its search; multiplying out a large product is no step. A process that exceeds
its time is killed and another one takes its place.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, TextIO

from foolsgold import __version__
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.verdict import Verdict, VerifierFailure

MEMORY_MB = 2_048
"""Of address space, each process."""

_START_S = 30.0
"""What a process may take to import z3, in seconds."""


@dataclass(frozen=True)
class Effort:
    """What one question to z3 may cost; an answer makes three questions and more."""

    steps: int = 100_000
    """Of z3's own count of work (rlimit), which is the same on every machine; linear questions take a few thousand."""
    wall_ms: int = 3_000
    """A second limit, in milliseconds, for work that z3 counts badly."""


def record_of(program: str, completion: str, effort: Effort) -> dict[str, Any]:
    """What a verdict's record begins with."""
    return {
        "verifier": "annotations",
        "prompt": "",
        "completion": completion,
        "columns": {"program": program},
        "limits": asdict(effort),
        "versions": {"foolsgold": __version__, "z3": _z3_version()},
    }


@lru_cache(maxsize=1)
def _z3_version() -> str:
    return version("z3-solver")


class Workers:
    """N processes, each judging one answer at a time."""

    def __init__(self, workers: int, effort: Effort):
        if workers < 1:
            raise UserError(f"{workers} workers cannot judge; ask for at least one")
        self._effort = effort
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._all = [_Worker() for _ in range(workers)]
        for worker in self._all:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers)
        self._finalizer = weakref.finalize(self, _stop_all, self._all)

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """Verdicts on (program, completion), in their order.

        Raises:
          VerifierFailure: the verifier failed, or a process died twice over the same answer.
        """
        return list(self._threads.map(self._one, pairs))

    def _one(self, pair: tuple[str, str]) -> Verdict:
        worker = self._idle.get()
        try:
            for _ in range(2):
                reply = worker.ask({"program": pair[0], "completion": pair[1], "effort": asdict(self._effort)})
                if reply is not None:
                    break
        finally:
            self._idle.put(worker)
        if reply is None:
            raise VerifierFailure(f"the process that judges died twice over {pair[1]!r} to {pair[0]!r}")
        if "failure" in reply:
            raise VerifierFailure(reply["failure"])
        return Verdict(**reply["verdict"])

    def close(self) -> None:
        """Ends the processes."""
        self._threads.shutdown(cancel_futures=True)
        self._finalizer()


class _Worker:
    """One process, started when it is first asked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The reply; None if the process died."""
        fresh = self._process is None
        process = self._process = self._process or _started()
        effort = question["effort"]
        # Three questions and more; one that z3 stops by itself ends long before this.
        seconds = 3 * effort["wall_ms"] / 1000 + 5 + (_START_S if fresh else 0)
        over = threading.Event()

        def stop() -> None:
            over.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if line:
            return json.loads(line)
        self.stop()
        if over.is_set():
            detail = f"judging took more than {seconds:.0f} s"
            record = record_of(question["program"], question["completion"], Effort(**effort))
            return {"verdict": asdict(Verdict("timeout", 0, 3, detail, record))}
        return None

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _started() -> subprocess.Popen[str]:
    # -c and not -m: this very module is imported under its own name, not as __main__.
    source = "from foolsgold.rewards.verifiers.annotations_workers import serve; serve()"
    return subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )


def _stop_all(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.stop()


def serve(questions: TextIO | None = None, replies: TextIO | None = None) -> None:
    """What a process does until its input ends: a line of JSON in, a line of JSON out."""
    import resource

    import z3

    from foolsgold.rewards.verifiers.annotations import judge

    questions, replies = questions or sys.stdin, replies or sys.stdout
    z3.set_param("memory_max_size", MEMORY_MB // 2)  # z3 gives up by itself first
    limit = MEMORY_MB << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in questions:
        asked = json.loads(line)
        reply: dict[str, Any]
        try:
            reply = {"verdict": asdict(judge(asked["program"], asked["completion"], Effort(**asked["effort"])))}
        except (VerifierFailure, UserError) as failure:
            reply = {"failure": str(failure)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
