"""Runs untrusted Python programs, many at a time, where they can harm nothing.

A warm pool: each worker is a fork server inside a bubblewrap of its own (`sandbox_server`), and each job a fork of it
in namespaces of its own. What it stops, and what it does not, is in docs/sandbox.md.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox_bubblewrap import sandboxed
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
from foolsgold.rewards.sandbox_requests import request_of, result_of
from foolsgold.rewards.sandbox_worker import Reply, Request, ServerLost, Worker
from foolsgold.rewards.verifiers.verdict import VerifierFailure

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

TRIES = 2
"""Servers that a job may take down before it is said to have died."""
LOST = Reply("died")
Task = tuple[Job, Request, "Future[Result]"]


class Sandbox:
    """A pool of workers; a context manager, safe to use from several threads."""

    def __init__(self, limits: Limits = Limits(), workers: int | None = None, unsafe_subprocess: bool = False):
        """
        Args:
          limits: of jobs that bring none.
          workers: jobs at a time; None: one for each processor that this process may use.
          unsafe_subprocess: without bubblewrap, in plain processes that are limited in processor time, clock, memory of
            each process and output only: they can read and write what this process can. Only for programs you trust.

        Raises:
          UserError: bubblewrap, its Python or the filter of system calls is missing, or the system forbids them.
        """
        self.limits = limits
        self._unsafe = unsafe_subprocess
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._closed = False
        self._workers: set[Worker] = set()
        self._proven = False
        """Whether a worker has ever started."""
        self._threads = [
            threading.Thread(target=self._work, name=f"sandbox-{number}", daemon=True)
            for number in range(workers or _processors())
        ]
        for thread in self._threads:
            thread.start()

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Run the jobs, as many at a time as there are workers; results come in the order of `jobs`.

        Raises:
          VerifierFailure: the sandbox itself failed, or was closed meanwhile.
          UserError: the system has no sandbox, or the trusted part of a job is no Python.
          TypeError: an argument of `Calls` is no plain data.
        """
        if self._closed:
            raise VerifierFailure("the sandbox is closed")
        tasks: list[Task] = [(job, request_of(job, self.limits), Future()) for job in jobs]
        for task in tasks:
            self._tasks.put(task)
        try:
            return [result.result() for _, _, result in tasks]
        finally:
            for _, _, result in tasks:
                result.cancel()  # after an error or Ctrl-C the rest is not begun

    def close(self) -> None:
        """End all workers and all that runs in them."""
        self._closed = True
        for _ in self._threads:
            self._tasks.put(None)
        for worker in list(self._workers):
            worker.close()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _work(self) -> None:
        """Of one thread: its worker lives no longer than it does."""
        worker: Worker | None = None
        while task := self._tasks.get():
            job, request, result = task
            if not result.set_running_or_notify_cancel():
                continue
            try:
                reply = None
                for _ in range(TRIES):
                    worker = worker or self._hired()
                    try:
                        reply = worker.ask(request)
                        break
                    except ServerLost:
                        self._dismiss(worker)
                        worker = None
                result.set_result(result_of(job, reply or LOST))
            except BaseException as error:
                result.set_exception(error)
        if worker:
            self._dismiss(worker)

    def _hired(self) -> Worker:
        """A new worker.

        Raises:
          UserError, VerifierFailure: there is none; the second where there has been one before.
        """
        if self._closed:
            raise VerifierFailure("the sandbox was closed before the job was done")
        try:
            worker = Worker(self._unsafe)
        except ServerLost as error:
            if self._proven:
                raise VerifierFailure(f"the sandbox did not start again: {error}") from error
            raise UserError(
                f"bubblewrap cannot make a sandbox on this machine: {error}; see docs/sandbox.md"
            ) from error
        self._proven = True
        self._workers.add(worker)
        if self._closed:
            worker.close()  # `close` may have looked before it was there
        return worker

    def _dismiss(self, worker: Worker) -> None:
        self._workers.discard(worker)
        worker.close()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_shared: dict[int, Sandbox] = {}
_shared_lock = threading.Lock()


def shared_sandbox() -> Sandbox:
    """The one of this process, made on first use and closed at its exit."""
    with _shared_lock:
        process = os.getpid()
        if process not in _shared:  # a forked child has no threads to run the one of its parent
            _shared[process] = Sandbox()
            atexit.register(_shared[process].close)
        return _shared[process]
