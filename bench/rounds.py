"""Rates of contestants measured in turns, so that a change of the machine's speed meets all of them alike."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Measured:
    """One contestant's rates, one a round."""

    rates: list[float]
    unit: str = "moves/s"

    @property
    def median(self) -> float:
        return median(self.rates)

    def over(self, peer: Measured) -> Measured:
        """The ratio to `peer`, round by round."""
        return Measured([a / b for a, b in zip(self.rates, peer.rates, strict=True)], "x")

    def __str__(self) -> str:
        digits = 0 if self.median >= 100 else 1 if self.median >= 10 else 2
        low, high = min(self.rates), max(self.rates)
        return f"{self.median:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def take_turns(contestants: dict[str, Callable[[], float]], rounds: int) -> dict[str, Measured]:
    """Measure each contestant once a round: the first, the second, ..., the first again."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, rate in contestants.items():
            rates[name].append(rate())
    return {name: Measured(found) for name, found in rates.items()}


def machine() -> dict[str, str | int]:
    """What the numbers depend on, in words."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"processor": model, "cores": cores, "system": platform.platform(), "python": platform.python_version()}


def print_table(
    console: Console, title: str, rows: list[tuple[str, ...]], notes: list[str], rate: str = "moves/s"
) -> None:
    """Rows of (what, who, rate, ratio of ours to it, seconds until it can be measured), then what is not identical."""
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    table.add_column("what")
    table.add_column("who")
    table.add_column(f"{rate}, median (min–max)", justify="right")
    table.add_column("ours is faster by", justify="right")
    table.add_column("start, s", justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for note in notes:
        console.print(f"  · {note}", markup=False, highlight=False)
    console.print()
