"""A long-lived tool that is spoken to over its standard input and output, and ended when it does not answer."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from foolsgold.rewards.verifiers.verdict import VerifierFailure


class NoAnswer(Exception):
    """The tool took too long, wrote too much, or ended; its process is gone."""


class ToolProcess:
    """One running tool. Not thread-safe."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None):
        """
        Args:
          argv: the command line; standard error is read together with standard output.
          env: its whole environment; None for this process's own.

        Raises:
          VerifierFailure: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise VerifierFailure(f"{argv[0]} cannot be started: {error}") from error
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Of the process, or of the sandbox around it."""
        return self._process.pid

    def ask(self, line: str, complete: Callable[[bytes], bool], limit_s: float, most_bytes: int = 1 << 20) -> str:
        """What the tool writes after `line`, up to where `complete` holds of all that it wrote.

        Args:
          line: sent with a line end; an empty one sends nothing, for what a tool says when it starts.
          limit_s: wall-clock seconds.

        Raises:
          NoAnswer: none that is complete came; the process is gone.
        """
        deadline = time.monotonic() + limit_s
        try:
            if line:
                assert self._process.stdin is not None
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()
            answer = b""
            while not (answer and complete(answer)):
                if not self._selector.select(max(0.0, deadline - time.monotonic())):
                    raise NoAnswer(f"no answer within {limit_s:g} s")
                piece = os.read(self._out, 1 << 16)
                answer += piece
                if not piece:
                    raise NoAnswer("it ended: " + answer[-300:].decode(errors="replace").strip())
                if len(answer) > most_bytes:
                    raise NoAnswer(f"more than {most_bytes:,} bytes of output")
        except (NoAnswer, OSError) as error:
            self.close()
            raise NoAnswer(str(error)) from error
        return answer.decode(errors="replace")

    def close(self) -> None:
        """End the tool and all that it started. May be called twice."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
