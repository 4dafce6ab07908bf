"""Jobs as a server takes them, and what its reply says of each."""

from __future__ import annotations

import re
from typing import Any, cast

from foolsgold.errors import UserError
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
from foolsgold.rewards.sandbox_worker import Reply, Request

TOO_MUCH: dict[Status, str] = {
    "timeout": "it took too long",
    "memory": "it took too much memory",
    "output": "it gave back too much",
    "died": "it left before it was done",
}


def request_of(job: Job, limits: Limits) -> Request:
    """
    Raises:
      TypeError: an argument of `Calls` is no plain data.
    """
    limits = job.limits or limits
    known: dict[str, Any] = {"source": job.source}
    if isinstance(job, Program):
        return Request(b"p", limits, _packed(known | {"stdin": job.stdin}))
    known["entry"] = job.entry
    if isinstance(job, Calls):
        return Request(b"c", limits, _packed(known | {"calls": [list(arguments) for arguments in job.calls]}))
    secret = {
        "entry": job.entry,
        "tests": list(job.tests),
        "preamble": job.preamble,
        "output": limits.output_bytes,
    }
    return Request(b"t", limits, _packed(known), _packed(secret))


def result_of(job: Job, reply: Reply) -> Result:
    """
    Raises:
      UserError: the trusted part of `Tests` is no Python.
    """
    if isinstance(job, Program):
        return _program(reply)
    if isinstance(job, Tests):
        return _tests(job, reply)
    return _calls(job, reply)


def _program(reply: Reply) -> ProgramResult:
    out, err = (reply.streams[name].decode(errors="replace") for name in (b"o", b"e"))
    status = cast(Status, reply.status)
    if status == "ended" and reply.exit_code == 1 and re.search(r"(^|\n)MemoryError\b[^\n]*\n$", err):
        status = "memory"
    whole = status in ("ended", "memory") or (status == "died" and reply.exit_code < 0)
    return ProgramResult(status, reply.exit_code if whole else None, out, err, reply.seconds)


def _tests(job: Tests, reply: Reply) -> TestsResult:
    verdicts = [values.loads(line) for line in _lines(reply)]
    if verdicts and verdicts[-1][0] == "broken":
        raise UserError(f"the tests of {job.entry!r} are no Python that runs: {verdicts[-1][1]}")
    status = cast(Status, reply.status)
    results = [cast(TestResult, outcome) for outcome, _ in verdicts]
    detail = next((why for outcome, why in verdicts if outcome != "passed"), "")
    missing = len(job.tests) - len(results)
    if missing:
        status = "died" if status == "ended" else status
        detail = detail or f"{' '.join(job.tests[len(results)].split())} | {TOO_MUCH[status]}"
        results += ["timeout" if status == "timeout" else "raised"] * missing  # type: ignore[list-item]
    return TestsResult(status, results, detail)


def _calls(job: Calls, reply: Reply) -> CallsResult:
    status = cast(Status, reply.status)
    try:
        first, *answers = [values.loads(line) for line in _lines(reply)] or [["nothing"]]
        if first[0] == "raised":
            _, name, _, message = map(str, first)
            return CallsResult(
                _full(status, name), [Returned(raised=name, message=message)] * len(job.calls), f"{name}: {message}"
            )
        returned = [_returned(arguments, answer) for arguments, answer in zip(job.calls, answers, strict=False)]
    except (ValueError, TypeError, IndexError):
        status, returned = "died", []  # it wrote what it likes where answers belong
    for each in returned:
        status = _full(status, each.raised)
    missing = len(job.calls) - len(returned)
    detail = ""
    if missing:
        status = "died" if status == "ended" else status
        detail = f"call {len(returned) + 1} of {len(job.calls)}: {TOO_MUCH[status]}"
        blank = (
            Returned(timeout=True) if status == "timeout" else Returned(raised="RuntimeError", message=TOO_MUCH[status])
        )
        returned += [blank] * missing
    return CallsResult(status, returned, detail)


def _returned(arguments: Any, answer: list[Any]) -> Returned:
    if answer[0] == "raised":
        _, name, _, message = map(str, answer)
        return Returned(raised=name, message=message)
    _, value, after = answer
    return Returned(value, list(after[0]) if after else values.loads(values.dumps(list(arguments))))


def _full(status: Status, raised: str) -> Status:
    return "memory" if status == "ended" and raised == "MemoryError" else status


def _lines(reply: Reply) -> list[bytes]:
    """Whole lines only: what was cut off is no answer."""
    return reply.streams[b"v"].split(b"\n")[:-1]  # type: ignore[return-value]


def _packed(asked: dict[str, Any]) -> bytes:
    return values.dumps(asked).encode()
