"""One fork server in its sandbox, and the way to it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from foolsgold.rewards.sandbox_bubblewrap import enclosed, interpreter, small_folder
from foolsgold.rewards.sandbox_jobs import Limits
from foolsgold.rewards.sandbox_seccomp import refusing_filter
from foolsgold.rewards.sandbox_wire import END, FRAME, PATIENCE, READY, REQUEST
from foolsgold.rewards.verifiers.verdict import VerifierFailure

START_S = 60.0
"""Seconds that a server may take to start; a tenth of one is usual."""
GRACE_S = 20.0
"""Seconds after a job's own limit when a server that says nothing is taken for dead."""
PIECE = 1 << 16
SOURCES = [
    Path(__file__).with_name(f"sandbox_{name}.py") for name in ("server", "candidate", "judge", "values", "wire")
]
"""What runs inside."""
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # sets in the same order, each time
    "MALLOC_ARENA_MAX": "1",  # or each thread reserves 64 MiB of its address space
}
PYTHON = ("-s", "-S", "-X", "utf8")


class ServerLost(Exception):
    """The server ended or fell silent in the middle of a job."""


@dataclass(frozen=True)
class Request:
    """One job as the server takes it."""

    kind: bytes
    limits: Limits
    known: bytes
    """What the candidate is to know."""
    secret: bytes = b""
    """What only the judge is to know."""

    def pieces(self) -> Iterable[bytes]:
        most = self.limits
        yield REQUEST.pack(
            self.kind, most.cpu_s, most.wall_s, most.memory_mb << 20, most.processes, most.files, most.output_bytes,
            most.disk_mb << 20, len(self.known), len(self.secret),
        )  # fmt: skip
        yield self.known
        yield self.secret


@dataclass
class Reply:
    """What came of it."""

    status: str = ""
    exit_code: int = 0
    seconds: float = 0.0
    streams: dict[bytes, bytearray] = field(default_factory=lambda: {name: bytearray() for name in (b"o", b"e", b"v")})
    """By their letter in `sandbox_wire`."""


class Worker:
    """A server and its pipes, for one thread.

    The thread that makes it must live as long as it does: the kernel ends the server together with the thread, and so
    when this process dies of whatever cause.
    """

    def __init__(self, unsafe_subprocess: bool):
        """
        Raises:
          UserError: bubblewrap, a Python or the filter is missing.
          ServerLost: it did not start; the message says why.
        """
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        with ExitStack() as opened:
            argv, files = _unsafe() if unsafe_subprocess else _enclosed(opened)
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, pass_fds=files,
                env=ENVIRONMENT, start_new_session=True, bufsize=0,
            )  # fmt: skip
        assert self._process.stdin
        os.set_blocking(self._process.stdin.fileno(), False)
        try:
            if self._read(len(READY), time.monotonic() + START_S) != READY:
                raise ServerLost
        except ServerLost:
            self.close()
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").split("\n")
            raise ServerLost(next((line for line in reversed(lines) if line.strip()), "it said nothing")) from None

    def ask(self, request: Request) -> Reply:
        """Run one job.

        Raises:
          ServerLost: it did not come to an end; this worker is of no more use.
          VerifierFailure: the job could not be locked in, and was not begun.
        """
        until = time.monotonic() + PATIENCE * request.limits.wall_s + GRACE_S
        for piece in request.pieces():
            self._write(piece, until)
        reply = Reply()
        while True:
            stream, length = FRAME.unpack(self._read(FRAME.size, until))
            piece = self._read(length, until)
            if stream == b".":
                status, reply.exit_code, reply.seconds = END.unpack(piece)
                reply.status = status.rstrip(b"\0").decode()
                if reply.status == "failed":
                    why = reply.streams[b"e"].rstrip(b"\0").decode(errors="replace")
                    raise VerifierFailure(f"the sandbox could not lock a job in: {why}")
                return reply
            reply.streams[stream] += piece

    def close(self) -> None:
        """End the server and all in it; may be called from any thread, and again."""
        self._process.kill()
        self._process.wait()

    def _write(self, data: bytes, until: float) -> None:
        pipe, view = self._process.stdin, memoryview(data)
        assert pipe
        while view:
            _wait(pipe, select.POLLOUT, until)
            with suppress(BlockingIOError):
                try:
                    view = view[os.write(pipe.fileno(), view[:PIECE]) :]
                except (BrokenPipeError, ValueError):
                    raise ServerLost("it closed its input") from None

    def _read(self, length: int, until: float) -> bytes:
        pipe, found = self._process.stdout, bytearray()
        assert pipe
        while len(found) < length:
            _wait(pipe, select.POLLIN, until)
            piece = os.read(pipe.fileno(), length - len(found))
            if not piece:
                raise ServerLost("it ended")
            found += piece
        return bytes(found)


def _wait(pipe: IO[bytes], event: int, until: float) -> None:
    poller = select.poll()
    poller.register(pipe, event)
    if not poller.poll(max(0.0, until - time.monotonic()) * 1000):
        raise ServerLost("it fell silent")


def _enclosed(opened: ExitStack) -> tuple[list[str], list[int]]:
    """The command line of a server in bubblewrap, and the descriptors of the files that it copies in."""
    contents = {path.name: path.read_bytes() for path in SOURCES} | {"filter.bpf": refusing_filter()}
    options, files = [], []
    for name, content in contents.items():
        file = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        file.write(content)
        file.seek(0)
        files.append(file.fileno())
        options += ["--ro-bind-data", str(file.fileno()), f"/sandbox/{name}"]
    shown, python = interpreter()
    options += [part for name, value in ENVIRONMENT.items() for part in ("--setenv", name, value)]
    options += [*shown, *small_folder(Limits())]
    return enclosed(options, [*python, *PYTHON, "/sandbox/sandbox_server.py", "isolated"]), files


def _unsafe() -> tuple[list[str], list[int]]:
    return [sys.executable, *PYTHON, str(SOURCES[0]), "plain"], []
