"""What the sandbox can be asked to do, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ended", "timeout", "memory", "output", "died"]
"""ended: it ran to its end, be it with an error. timeout, memory, output: it took more than it may. died: it left or
crashed before it was done."""
TestResult = Literal["passed", "failed", "raised", "timeout"]


@dataclass(frozen=True)
class Limits:
    """What one job may take, all of its processes together where nothing else is said."""

    cpu_s: float = 4.0
    """Seconds of processor time."""
    wall_s: float = 6.0
    """Seconds by the clock; up to five times as many where the machine is too crowded to run what wants to run."""
    memory_mb: int = 512
    """MiB of address space of each process, and of memory in use by all of them."""
    processes: int = 16
    """Processes and threads."""
    files: int = 64
    """Open files of each process."""
    output_bytes: int = 1 << 20
    """Bytes on standard output and standard error, or of values that come back."""
    disk_mb: int = 32
    """MiB of files in its own folder /tmp."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} is {value}; limits are above 0")


@dataclass(frozen=True)
class Program:
    """A whole Python program."""

    source: str
    stdin: str = ""
    limits: Limits | None = None
    """None: those of the sandbox."""


@dataclass(frozen=True)
class ProgramResult:
    status: Status
    exit_code: int | None
    """None where it was killed or crashed."""
    stdout: str
    stderr: str
    seconds: float
    """By the clock."""


@dataclass(frozen=True)
class Tests:
    """An untrusted source that defines a function, and trusted tests of it.

    The tests run in another process than the source. There `entry` and `candidate` name a proxy that sends plain data
    (None, bool, int, float, complex, str, bytes, range, list, tuple, dict, set, frozenset) to the function and back. A
    list, dict or set that the function changes in place is changed for the test too. What the function raises is raised
    in the test as the nearest class of Python's own that it derives from; exceptions that end loops or programs without
    an error, such as StopIteration and SystemExit, as RuntimeError.
    """

    source: str
    entry: str
    """Name of the function."""
    tests: Sequence[str]
    """Python statements; a test passes when it raises nothing."""
    preamble: str = ""
    """Python statements that run before the first test, such as imports and helpers; trusted too."""
    limits: Limits | None = None
    __test__ = False  # no test of pytest's


@dataclass(frozen=True)
class TestsResult:
    status: Status
    results: list[TestResult]
    """One a test. failed: an assertion did not hold. raised: anything else was raised, or the source had ended."""
    detail: str = ""
    """The first thing that went wrong, in one line."""
    __test__ = False


@dataclass(frozen=True)
class Calls:
    """An untrusted source that defines a function, and arguments to call it with, one call after the other."""

    source: str
    entry: str
    calls: Sequence[Sequence[Any]]
    """Positional arguments of each call, plain data as in `Tests`."""
    limits: Limits | None = None


@dataclass(frozen=True)
class Returned:
    """How one call ended."""

    value: Any = None
    arguments: list[Any] = field(default_factory=list)
    """As they were after the call; empty where it did not end."""
    raised: str = ""
    """The exception's class, empty where nothing was raised. A value that is no plain data raises TypeError."""
    message: str = ""
    timeout: bool = False


@dataclass(frozen=True)
class CallsResult:
    status: Status
    returned: list[Returned]
    """One a call."""
    detail: str = ""
    """Why not all calls ended, in one line."""


Job = Program | Tests | Calls
Result = ProgramResult | TestsResult | CallsResult
