"""The labelling queue of an audit: people give gold to the completions that it asks about.

The audit's folder holds `to-judge.jsonl`, what is asked. Every judgement is a line appended to `judgements.jsonl`
beside it, on the disk before it is acknowledged; a change of mind is another line, and the last one counts.
`write_labels` leaves `labels.jsonl`, which the audit goes on with:
`foolsgold audit --resume FOLDER --gold FOLDER/labels.jsonl`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.files import written
from foolsgold.serving.runs_files import opened
from foolsgold.serving.runs_index import JUDGEMENTS, REQUESTS
from foolsgold.training.dataset_files import write_jsonl

LABELS = "labels.jsonl"
LEASE = 15 * 60.0
"""Seconds for which a completion that one person looks at is not shown to another."""
MOST_REQUESTS = 64 << 20
"""Bytes of a file of requests; an audit asks about some hundreds of completions."""
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,60}")


@dataclass(frozen=True)
class Scale:
    """The whole numbers that gold may be, the same for all who judge one audit.

    Raises:
      UserError: it has no two numbers, or its ends are out of all proportion.
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        if not -1000 <= self.low < self.high <= 1000:
            raise UserError(f"a scale goes from a whole number up to a larger one within ±1000, not {self}")

    @classmethod
    def read(cls, text: str) -> Scale:
        """`1:5` as a scale.

        Raises:
          UserError: it is none.
        """
        parts = re.fullmatch(r"(-?[0-9]{1,5}):(-?[0-9]{1,5})", text)
        if parts is None:
            raise UserError(f"--scale {text}: give its two ends, such as 1:5")
        return cls(int(parts[1]), int(parts[2]))

    def __str__(self) -> str:
        return f"{self.low}:{self.high}"


@dataclass(frozen=True)
class Request:
    """A completion to be judged."""

    id: str
    prompt: Any
    completion: str
    gold: int | None
    """What this person said of it, None where nothing."""


@dataclass(frozen=True)
class Progress:
    """How far an audit's labels are."""

    asked: int
    judged: int
    """Completions with at least one judgement."""
    raters: dict[str, int]
    """Judgements in force, by person."""
    scale: str
    """The one in use, empty before the first judgement."""
    labels: bool
    """Whether `labels.jsonl` holds all judgements there are."""


class AuditQueue:
    """The queue of one audit; safe to use from several threads, and beside another process on the same folder.

    Raises:
      UserError: the folder holds no requests, or they are broken.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic):
        self.folder = folder
        self._clock = clock
        self._requests = _requests(folder / REQUESTS)
        self._judgements = folder / JUDGEMENTS
        self._said: dict[tuple[str, str], dict[str, Any]] = {}  # the last line of each person on each completion
        self._order: dict[str, list[str]] = {}  # ids a person judged, the newest last
        self._leases: dict[str, tuple[str, float]] = {}
        self._read = 0
        self._lock = threading.Lock()

    def next(self, rater: str) -> Request | None:
        """What this person is to judge next, the same until it is judged; None where nothing is left.

        Raises:
          UserError: `rater` is no name.
        """
        _check_name(rater)
        with self._lock:
            self._catch_up()
            judged, now = self._judged(), self._clock()
            self._leases = {
                name: lease for name, lease in self._leases.items() if lease[1] > now and name not in judged
            }
            held = {whose: name for name, (whose, _) in self._leases.items()}
            free = (name for name in self._requests if name not in judged and name not in self._leases)
            name = held.get(rater) or next(free, None)
            if name is None:
                return None
            self._leases[name] = (rater, now + LEASE)
            return self._request(name, rater)

    def requests(self, start: int, count: int) -> list[Request]:
        """What is asked, `count` completions from number `start` on, without what was said of them."""
        rows = list(self._requests.items())[start : start + count]
        return [Request(name, row["prompt"], row["completion"], None) for name, row in rows]

    def judge(self, rater: str, name: str, gold: int | None, scale: Scale, seconds: float | None = None) -> None:
        """Keep a judgement; it is on the disk when this returns. The same again changes nothing.

        Args:
          gold: on the scale; None takes this person's judgement back.
          seconds: that it took.

        Raises:
          UserError: nothing like `name` is asked, gold is off the scale, others judge on another scale, or the disk
            is full.
        """
        _check_name(rater)
        if gold is not None and not scale.low <= gold <= scale.high:
            raise UserError(f"gold is {gold}; give a whole number from {scale.low} to {scale.high}")
        with self._lock:
            self._catch_up()
            if name not in self._requests:
                raise UserError("the audit does not ask about this completion; load the page again")
            used = self._scale()
            if used and used != str(scale):
                raise UserError(
                    f"this audit is judged on the scale {used}; serve with --scale {used}, or start another audit"
                )
            before = self._said.get((rater, name))
            if (before or {}).get("gold") == gold:
                return
            row = {
                "id": name,
                "rater": rater,
                "gold": gold,
                "scale": str(scale),
                "seconds": seconds,
                "judged": datetime.now(UTC).isoformat(timespec="milliseconds"),
            }
            self._append(row)
            self._leases.pop(name, None)

    def undo(self, rater: str) -> Request | None:
        """Take back this person's newest judgement and show its completion again; None where there is none.

        Raises:
          UserError: the disk is full.
        """
        with self._lock:
            self._catch_up()
            order = self._order.get(rater)
            if not order:
                return None
            name = order[-1]
            scale = self._said[rater, name]["scale"]
            moment = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._append({"id": name, "rater": rater, "gold": None, "scale": scale, "seconds": None, "judged": moment})
            self._leases = {held: lease for held, lease in self._leases.items() if lease[0] != rater}
            self._leases[name] = (rater, self._clock() + LEASE)
            return self._request(name, rater)

    def progress(self) -> Progress:
        """How far all together are."""
        with self._lock:
            self._catch_up()
            raters = Counter(rater for rater, names in self._order.items() for _ in names)
            labels = self.folder / LABELS
            known = labels.exists() and labels.stat().st_mtime_ns >= _changed(self._judgements)
            return Progress(len(self._requests), len(self._judged()), dict(raters), self._scale(), known)

    def write_labels(self) -> Path:
        """Write what is judged so far as the audit reads it, a line a judgement; returns the file.

        What nobody judged is left out: the audit knows from `asked` how much is missing.

        Raises:
          UserError: nothing is judged yet, or the disk is full.
        """
        with self._lock:
            self._catch_up()
            rows = [
                {**self._requests[name], "gold": said["gold"], "rater": rater}
                for (rater, name), said in sorted(self._said.items())
                if said["gold"] is not None
            ]
            if not rows:
                raise UserError("nothing is judged yet")
            return write_jsonl(self.folder / LABELS, rows)

    def _request(self, name: str, rater: str) -> Request:
        row = self._requests[name]
        said = self._said.get((rater, name), {})
        return Request(name, row["prompt"], row["completion"], said.get("gold"))

    def _judged(self) -> set[str]:
        return {name for names in self._order.values() for name in names}

    def _scale(self) -> str:
        return next((said["scale"] for said in self._said.values() if said["gold"] is not None), "")

    def _append(self, row: dict[str, Any]) -> None:
        line = json.dumps(row).encode() + b"\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with written(self._judgements):
            descriptor = os.open(self._judgements, flags, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size > self._read:
                    line = b"\n" + line  # half a line of a writer that was killed must not swallow this one
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
                if not size:
                    _keep_name(self.folder)
            finally:
                os.close(descriptor)
        self._catch_up()

    def _catch_up(self) -> None:
        """Read the judgements that came since, also those of another process."""
        try:
            with opened(self._judgements) as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return  # nobody judged yet
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            try:
                row = json.loads(line)
                rater, name, gold = row["rater"], row["id"], row["gold"]
                if name in self._requests and (gold is None or type(gold) is int) and isinstance(row["scale"], str):
                    self._said[rater, name] = row
                    order = self._order.setdefault(rater, [])
                    if name in order:
                        order.remove(name)
                    if gold is not None:
                        order.append(name)
            except (ValueError, TypeError, KeyError, RecursionError):
                continue


class Queues:
    """The queues that are open, by folder."""

    def __init__(self) -> None:
        self._queues: dict[Path, tuple[int, AuditQueue]] = {}
        self._lock = threading.Lock()

    def of(self, folder: Path) -> AuditQueue | None:
        """The queue of the audit in `folder`, None where it asks nobody.

        Raises:
          UserError: its requests are broken.
        """
        stamp = _changed(folder / REQUESTS)
        if not stamp:
            return None
        with self._lock:
            known = self._queues.get(folder)
            if known is None or known[0] != stamp:
                known = self._queues[folder] = (stamp, AuditQueue(folder))
            return known[1]


def _requests(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of `to-judge.jsonl` by id."""
    try:
        with opened(path) as file:
            rows = [json.loads(line) for line in file.read(MOST_REQUESTS).splitlines() if line.strip()]
        found = {row["id"]: row for row in rows}
        if all(isinstance(row["completion"], str) and isinstance(row["prompt"], str | list) for row in rows):
            return found
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise UserError(f"{path} is no file of requests of an audit; delete it and resume the audit to have it anew")


def _keep_name(folder: Path) -> None:
    """A new file's name is on the disk only when its folder is."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _check_name(rater: str) -> None:
    if not _NAME.fullmatch(rater) or not rater.strip():
        raise UserError("give a name of 1 to 60 characters, so that it is known who judged")


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
