"""Metrics of a run while they are written: what is new in a file is read once, and curves stay small.

A file of 100 MB is read in bites, so that whoever waits for the first of it does not wait for the last; afterwards
a look costs one `stat` and the new lines.
"""

from __future__ import annotations

import json
import math
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from foolsgold.serving.runs_files import opened, size_of
from foolsgold.serving.thinned_curve import Points, ThinnedCurve

BITE = 4 << 20
"""Bytes read at one look."""
MOST_CURVES = 2000
"""Of one run; a run that logs more names than this is shown in part, which is said."""
LONGEST_NAME = 200
_LONG = 1 << 16  # bytes from the end in which the last line is looked for
_SEAM = 64  # bytes before the place read up to, by which a file that was replaced is known


@dataclass(frozen=True)
class News:
    """What changed in a file of metrics since a cursor."""

    cursor: str
    """To ask with the next time."""
    whole: bool
    """Nothing from before holds: the file was replaced, or the cursor was none of ours."""
    read: int
    """Bytes read so far."""
    size: int
    """Bytes of the file; where this is more than `read`, ask again at once."""
    rows: int
    broken: int
    """Lines that are no metrics."""
    left_out: int
    """Names beyond `MOST_CURVES`."""
    curves: dict[str, Points]
    """Those that changed."""
    last: dict[str, float | None]
    """The newest value of each of them."""


class MetricsTail:
    """Follows one `metrics.jsonl`; safe to ask from several threads."""

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()
        self._restart()

    @property
    def names(self) -> list[str]:
        """Of all curves, in order of appearance."""
        with self._lock:
            return list(self._curves)

    def news(self, cursor: str = "") -> News:
        """Read on, a bite at most, and tell what changed since `cursor`."""
        with self._lock:
            size = self._advance()
            generation, _, row = cursor.partition("-")
            whole = generation != self._generation or not (row.isascii() and row.isdigit() and int(row) <= self._rows)
            since = -1 if whole else int(row)
            changed = {name: points for name, curve in self._curves.items() if (points := curve.since(since))}
            return News(
                f"{self._generation}-{self._rows}",
                whole,
                self._offset,
                size,
                self._rows,
                self._broken,
                len(self._left_out),
                changed,
                {name: self._curves[name].last for name in changed},
            )

    def _restart(self) -> None:
        self._generation = secrets.token_hex(6)  # so that no cursor of an earlier server is taken for one of ours
        self._curves: dict[str, ThinnedCurve] = {}
        self._left_out: set[str] = set()
        self._offset = self._rows = self._broken = 0
        self._seam = b""
        self._in_long_line = False

    def _advance(self) -> int:
        """Read up to a bite of whole lines; returns the size of the file."""
        try:
            file = opened(self._path)
        except OSError:
            if self._offset:
                self._restart()
            return 0
        with file:
            size = size_of(file)
            if self._replaced(file, size):
                self._restart()
            file.seek(self._offset)
            bite = file.read(BITE)
        end = bite.rfind(b"\n") + 1
        if not end and len(bite) == BITE:  # a line longer than a bite is none of ours: skip to its end
            self._in_long_line, end = True, BITE
        elif end:
            lines = bite[:end].splitlines()
            if self._in_long_line:
                self._broken, self._in_long_line = self._broken + 1, False
                lines = lines[1:]
            for line in lines:
                self._take(line)
        if end:
            self._offset += end
            self._seam = (self._seam + bite[:end])[-_SEAM:]
        return size

    def _replaced(self, file: BinaryIO, size: int) -> bool:
        """Whether what was read before is no longer what the file begins with."""
        if size < self._offset:
            return True
        file.seek(self._offset - len(self._seam))
        return file.read(len(self._seam)) != self._seam

    def _take(self, line: bytes) -> None:
        try:
            step, values = _parsed(line)
        except ValueError:
            self._broken += 1
            return
        self._rows += 1
        for name, value in values.items():
            curve = self._curves.get(name)
            if curve is None:
                if len(self._curves) >= MOST_CURVES:
                    if len(self._left_out) < MOST_CURVES:
                        self._left_out.add(name)
                    continue
                curve = self._curves[name] = ThinnedCurve()
            curve.add(self._rows, step, value)


def newest(path: Path) -> tuple[float, dict[str, float]] | None:
    """The last whole line of a file of metrics: its step and its numbers; None where there is none."""
    try:
        with opened(path) as file:
            file.seek(max(0, size_of(file) - _LONG))
            lines = file.read(_LONG).rpartition(b"\n")[0].splitlines()
        return _parsed(lines[-1])
    except (OSError, ValueError, IndexError):
        return None


def _parsed(line: bytes) -> tuple[float, dict[str, float]]:
    """Step and numbers of a line.

    Raises:
      ValueError: it is no line of metrics.
    """
    try:
        row = json.loads(line)
        numbers = {name: float(value) for name, value in row.items() if type(value) in (int, float)}
        step = numbers.pop("step")
        if not math.isfinite(step):
            raise ValueError("a step is a number")
        return step, {name: value for name, value in numbers.items() if len(name) <= LONGEST_NAME}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError("no line of metrics") from error


class Tails:
    """The files that are looked at of late; others are forgotten and read anew when somebody looks again."""

    def __init__(self, most: int = 16):
        self._most = most
        self._tails: OrderedDict[Path, MetricsTail] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> MetricsTail:
        with self._lock:
            tail = self._tails.setdefault(path, MetricsTail(path))
            self._tails.move_to_end(path)
            while len(self._tails) > self._most:
                self._tails.popitem(last=False)
            return tail
