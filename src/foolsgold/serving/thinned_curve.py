"""A curve that grows without end in memory that does not: neighbours are put together when there are too many."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Points:
    """The points of a curve from number `first` on; those before are as they were."""

    first: int
    step: list[float]
    """`[T]`, the last step of what each point stands for."""
    mean: list[float | None]
    """`[T]`, over its finite values; None where it has none."""
    low: list[float | None] | None
    """`[T]`, lowest finite value; None where every point is one value."""
    high: list[float | None] | None
    """`[T]`"""


class ThinnedCurve:
    """At most `2 * most` points of the values added, each the mean of `stride` neighbours, with their extremes.

    Means rather than every k-th value, since a value picked at random says nothing of its noisy neighbours; extremes,
    so that a spike is still seen.
    """

    def __init__(self, most: int = 256):
        self.most = most
        self.stride = 1
        """Values in a full point; doubled when there are too many points."""
        self.last: float | None = None
        """The newest value; None before the first and where it is not finite."""
        self._step, self._total = array("d"), array("d")
        self._low, self._high = array("d"), array("d")
        self._finite, self._row = array("q"), array("q")  # finite values in a point; the row that changed it last
        self._open = 0  # values in the last point
        self._merged = -1  # the row whose value made neighbours be put together

    def __len__(self) -> int:
        return len(self._step)

    def add(self, row: int, step: float, value: float) -> None:
        """Take in a value; `row` counts up with every row of the file, and is what `since` is asked with."""
        if self._open == self.stride or not self._step:
            if len(self._step) == 2 * self.most:
                self._merge(row)
            self._open = 0
            for column, start in (
                (self._step, step),
                (self._total, 0.0),
                (self._low, math.inf),
                (self._high, -math.inf),
            ):
                column.append(start)
            self._finite.append(0)
            self._row.append(row)
        self._open += 1
        self._step[-1], self._row[-1] = step, row
        self.last = value if math.isfinite(value) else None
        if self.last is not None:
            self._total[-1] += value
            self._finite[-1] += 1
            self._low[-1] = min(self._low[-1], value)
            self._high[-1] = max(self._high[-1], value)

    def since(self, row: int) -> Points | None:
        """What changed after `row`; None where nothing did, all points for -1."""
        first = 0 if self._merged > row else bisect_right(self._row, row)
        if first == len(self):
            return None
        rest = range(first, len(self))
        extremes = self.stride > 1
        return Points(
            first,
            self._step[first:].tolist(),
            [self._total[i] / self._finite[i] if self._finite[i] else None for i in rest],
            [self._low[i] if self._finite[i] else None for i in rest] if extremes else None,
            [self._high[i] if self._finite[i] else None for i in rest] if extremes else None,
        )

    def _merge(self, row: int) -> None:
        """Put each point and its right neighbour together."""
        self._step, self._row = self._step[1::2], self._row[1::2]
        for name, together in (("_low", min), ("_high", max)):
            column = getattr(self, name)
            setattr(self, name, array("d", map(together, column[::2], column[1::2])))
        self._total = array("d", (a + b for a, b in zip(self._total[::2], self._total[1::2], strict=True)))
        self._finite = array("q", (a + b for a, b in zip(self._finite[::2], self._finite[1::2], strict=True)))
        self.stride *= 2
        self._merged = row
