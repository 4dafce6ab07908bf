"""A warm JVM in the sandbox that compiles Java from memory and runs its methods.

Frames go both ways: a length in 4 bytes, then that many bytes; numbers are big-endian, strings UTF-16 after their
length in bytes, values as in `java_types`. `C` compiles: n, then each unit's package, source and entry; the answer
gives each an error, or an empty string, whether it has static fields, and its methods of that name. `R` runs: package,
method, steps, milliseconds, n, then each input's arguments; the answer gives each `v` (what it returned, then its
arguments), `x` (exception's class, its message) or `d` (why the input is dropped). An answer with a `d time` is the
process's last.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Limits, sandboxed
from foolsgold.rewards.verifiers.java_source import compilation_unit
from foolsgold.rewards.verifiers.java_types import Reader, Signature, encode, java_type, text
from foolsgold.rewards.verifiers.verdict import VerifierFailure

_SOURCES = Path(__file__).parent / "java"
_START = """
while [ "$1" != -- ]; do printf %s "$2" > "/tmp/$1"; shift 2; done
shift; "$1/bin/javac" -J-XX:TieredStopAtLevel=1 -nowarn "$2" -d /tmp /tmp/*.java && home="$1" && shift &&
exec "$home/bin/java" "$@" -cp /tmp JavaServer
"""
_EXPORTS = "--add-exports=java.base/jdk.internal.org.objectweb.asm=ALL-UNNAMED"
_HEAP_MB = 256
_START_S = 120.0
_COMPILE_S = 120.0
CALL_S = 1.0
"""Processor time that one call may take in Java, in seconds; a call of so many steps ends long before."""

_STUCK = 2
"""Calls that run out of time before the method's others are given up."""


@dataclass(frozen=True)
class Method:
    """One to compile: the source of a class, or of bare methods, and the name of the method to run."""

    source: str
    entry: str


@dataclass(frozen=True)
class Compiled:
    """A method, or its overloads, ready to run."""

    error: str
    """Of the compiler, with the line; empty when there is none."""
    signatures: tuple[Signature, ...] = ()
    remembers: bool = False
    """Whether it has static fields, so that what a call does may rest on the calls before it."""


@dataclass(frozen=True)
class JavaResult:
    """How one call ended."""

    value: Any = None
    arguments: tuple[Any, ...] = ()
    """After the call."""
    raised: str = ""
    """The exception's class with its package, or empty."""
    message: str = ""
    dropped: str = ""
    """What of it ran out, or `class NAME` for a value that has no counterpart; nothing is known of such a call."""


class JavaServer:
    """The JVM, started on first use and again after it halted. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded: dict[Method, str] = {}
        self.starts = 0
        """JVMs started so far."""

    def __enter__(self) -> JavaServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the JVM."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                for pipe in (self._process.stdin, self._process.stdout):
                    assert pipe is not None
                    pipe.close()
                self._stderr.close()
                self._process = None
            self._loaded = {}

    def compile(self, methods: Sequence[Method]) -> list[Compiled]:
        """All of them in one run of the compiler; those compiled before are forgotten.

        Raises:
          VerifierFailure: the JVM crashed twice.
          UserError: there is no JDK.
        """
        with self._lock:
            names = {method: f"unit{i}" for i, method in enumerate(dict.fromkeys(methods))}
            frame = b"C" + struct.pack(">i", len(names))
            for method, name in names.items():
                frame += text(name) + text(compilation_unit(method.source, name)) + text(method.entry)
            reply = self._ask(frame, _COMPILE_S) or self._ask(frame, _COMPILE_S)
            if reply is None:
                raise VerifierFailure(f"the Java compiler crashed twice: {self._last_words}")
            self._loaded = names
            reply.take(">i")
            compiled = {method: _compiled(reply) for method in names}
            return [compiled[method] for method in methods]

    def run(
        self, method: Method, overload: int, signature: Signature, calls: Sequence[Sequence[Any]], steps: int
    ) -> list[JavaResult]:
        """A compiled method on inputs, in order and in one class loader, so that static fields keep their values.

        Args:
          overload: its index in `Compiled.signatures`.
          signature: of that overload.
          calls: the arguments of each call.
          steps: that a call may take; see JavaServer.java for what a step is.

        Raises:
          VerifierFailure: the JVM crashed twice on this method.
          ValueError: an argument is of another type.
        """
        inputs = [
            b"".join(encode(value, type_) for value, type_ in zip(call, signature.parameters, strict=True))
            for call in calls
        ]
        results: list[JavaResult] = []
        crashes = stuck = 0
        with self._lock:
            while len(results) < len(inputs):
                if stuck == _STUCK:
                    return results + [JavaResult(dropped="time")] * (len(inputs) - len(results))
                if method not in self._loaded or self._process is None:
                    self.compile([method])
                rest = inputs[len(results) :]
                head = (
                    b"R"
                    + text(self._loaded[method])
                    + struct.pack(">iqqi", overload, steps, int(1000 * CALL_S), len(rest))
                )
                reply = self._ask(head + b"".join(rest), 10 * CALL_S * (len(rest) + 1) + 30)
                if reply is None:
                    crashes += 1
                    if crashes == 2:
                        raise VerifierFailure(f"Java crashed twice on {method.entry}: {self._last_words}")
                    continue
                for _ in rest:
                    results.append(_result(reply, len(signature.parameters)))
                    if results[-1].dropped == "time":
                        stuck += 1
                        self.close()  # it halts
                        break
        return results

    def _ask(self, frame: bytes, seconds: float) -> Reader | None:
        """The answer, or None when the JVM ended or overstepped the time, after which it is no more."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(struct.pack(">i", len(frame)) + frame)
            self._process.stdin.flush()
            return Reader(self._frame(seconds))
        except (BrokenPipeError, EOFError, TimeoutError) as error:
            self._last_words = self._words() or str(error)
            self.close()
            return None

    def _start(self) -> None:
        home = jdk_home()
        options = [f"-Xmx{_HEAP_MB}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]
        options += ["-XX:+DisplayVMOutputToStderr", "-XX:CompressedClassSpaceSize=64m", "-XX:ReservedCodeCacheSize=64m"]
        # Sources go as arguments: the sandbox's user may not read what an installation keeps to its owner.
        sources = [part for path in sorted(_SOURCES.glob("*.java")) for part in (path.name, path.read_text())]
        argv = ["/bin/sh", "-c", _START, "sh", *sources, "--", str(home), _EXPORTS, *options]
        # The kernel counts the addresses a JVM reserves, which are many times what it uses.
        limits = Limits(cpu_s=1e6, wall_s=1e6, memory_mb=8192, processes=256, files=256)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 it lives as long as the process
        self.starts += 1
        self._process = subprocess.Popen(
            sandboxed(argv, limits=limits, readable=[home, *_settings(home)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        try:
            if self._frame(_START_S) == b"ready":
                return
        except (EOFError, TimeoutError):
            pass
        words = self._words()
        self.close()
        raise VerifierFailure(f"the JVM did not start: {words}")

    def _frame(self, seconds: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        deadline = time.monotonic() + seconds
        received = b""
        size = 4
        while len(received) < size:
            if not select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError(f"no answer within {seconds:g} s")
            some = os.read(pipe, 1 << 16)
            if not some:
                raise EOFError("it ended")
            received += some
            if size == 4 and len(received) >= 4:
                size += struct.unpack(">i", received[:4])[0]
        return received[4:]

    def _words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])


@cache
def jdk_home() -> Path:
    """The JDK's folder: that of JAVA_HOME, else of the `javac` on the path.

    Raises:
      UserError: there is none, or one that is too old or too new.
    """
    own = os.environ.get("JAVA_HOME")
    javac = str(Path(own) / "bin" / "javac") if own else shutil.which("javac")
    if javac is None or not Path(javac).is_file():
        raise UserError("the java verifier needs a JDK; install Debian's openjdk-17-jdk-headless, or set JAVA_HOME")
    home = Path(javac).resolve().parents[1]
    version = _version(home)
    # The counting of steps rests on a library inside the JDK that came before 17 and went with 24.
    if version and not 17 <= int(version.partition(".")[0]) <= 23:
        raise UserError(f"{home} is Java {version}; the java verifier needs 17 to 23, such as openjdk-17-jdk-headless")
    return home


def java_version() -> str:
    """Of the JDK, such as 17.0.15; empty where it does not say.

    Raises:
      UserError: there is none, or none that will do.
    """
    return _version(jdk_home())


def _version(home: Path) -> str:
    release = home / "release"
    found = re.search(r'JAVA_VERSION="(\d[^"]*)"', release.read_text()) if release.is_file() else None
    return found.group(1) if found else ""


def _settings(home: Path) -> list[Path]:
    """Folders outside the JDK that its settings lie in, such as Debian's in /etc."""
    folders = {path.resolve().parent for path in (home / "conf").rglob("*") if path.is_file()}
    outside = {each for each in folders if not each.is_relative_to(home)}
    return sorted(each for each in outside if not outside.intersection(each.parents))


def _compiled(reply: Reader) -> Compiled:
    error = reply.text()
    if error:
        return Compiled(error)
    remembers = reply.take(">?")
    signatures = []
    for _ in range(reply.take(">i")):
        returns = java_type(reply.text())
        parameters = [(java_type(reply.text()), reply.text()) for _ in range(reply.take(">i"))]
        types, names = tuple(each for each, _ in parameters), tuple(each for _, each in parameters)
        signatures.append(Signature(returns, types, names))
    return Compiled("", tuple(signatures), remembers)


def _result(reply: Reader, parameters: int) -> JavaResult:
    tag = reply.tag()
    if tag == "v":
        return JavaResult(reply.value(), tuple(reply.value() for _ in range(parameters)))
    if tag == "x":
        return JavaResult(raised=reply.text(), message=reply.text())
    return JavaResult(dropped=reply.text())
