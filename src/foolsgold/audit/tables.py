"""Tables of a report that have columns of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from foolsgold.audit.verdict import Figure, shown


@dataclass(frozen=True)
class Comparison:
    """Several things side by side, one a row.

    Raises:
      ValueError: a row has more or fewer cells than there are columns.
    """

    template: ClassVar[str] = "comparison.html.j2"
    assets: ClassVar[tuple[str, ...]] = ("comparison.css",)

    title: str
    columns: Sequence[str]
    """The first one names the rows."""
    rows: Sequence[Sequence[str]]
    intro: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"row {row[0]!r} has {len(row)} cells for {len(self.columns)} columns")


def cell(value: float, low: float | None = None, high: float | None = None, unit: str = "") -> str:
    """A number with its interval, its digits chosen by the interval's width; "–" for what was not measured."""
    if value != value:
        return "–"
    if low is not None and high is not None and not (low <= high):
        low = high = None
    parts = shown(Figure("", value, low, high, 0, unit))
    return f"{parts.value} {parts.interval}".strip()
