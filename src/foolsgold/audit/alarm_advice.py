"""What a finished run's own alarm would have been worth: a threshold for the next run in the same world."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foolsgold.audit.figures import below
from foolsgold.audit.gold_curve import GoldCurve

ALARM = "chi-squared"


@dataclass(frozen=True)
class Readings:
    """What one alarm read along a run."""

    steps: np.ndarray
    """`[R]`, rising."""
    values: np.ndarray
    """`[R]`"""


def logged_readings(metrics: Path, alarm: str = ALARM) -> Readings | None:
    """Those that a run has logged as `alarm/<name>` in its metrics; None without any."""
    name, found = f"alarm/{alarm}", {}
    if metrics.exists():
        with metrics.open(encoding="utf-8") as lines:
            # The last line may be half written by a run that goes on.
            rows = (json.loads(line) for line in lines if name in line and line.endswith("\n"))
            found = {row["step"]: row[name] for row in rows if row.get(name) is not None}
    steps = np.array(sorted(found))
    return Readings(steps, np.array([found[step] for step in steps.tolist()])) if found else None


def advice(curve: GoldCurve, read: Readings, alarm: str = ALARM) -> list[str]:
    """What threshold this run alone speaks for, where it would have stopped the run, and what that is worth.

    Where gold clearly fell, the part up to its peak was honest, else the whole run; the threshold is the highest
    reading of the honest part. If runs are exchangeable, a further honest one exceeds it with a chance of 1/2, and the
    highest of n runs' with one of 1 / (n + 1) (Vovk et al. 2005).
    """
    fell = below(curve.fall, 0)
    last = curve.at[curve.peak if fell else -1]
    honest = read.values[read.steps <= last]
    if not len(honest):
        return [f"The alarm {alarm} was not read before the peak of gold, {curve.place(curve.peak)}."]
    threshold = rounded_up(float(honest.max()))
    usual = (
        "One run is little to go by: if runs are alike, the next one exceeds this while it is still honest in one case "
        "of two, and the highest threshold of n audited runs in one of n + 1. It holds for runs like this one alone; "
        "from one world to another thresholds do not carry over."
    )
    if not fell:
        return [
            f"Gold did not clearly fall, and {alarm} read up to {threshold:g}: an alarm for runs like this one must "
            "not ring below.",
            usual,
        ]
    told = f"Up to the peak of gold, {curve.place(curve.peak)}, {alarm} read at most {threshold:g}. "
    rung = read.steps[(read.values > threshold) & (read.steps > last)]
    if not len(rung):
        return [told + "It never read more afterwards: it would not have found this fall.", usual]
    mean = curve.gold.mean(0)
    there = float(np.interp(rung[0], curve.at, mean))
    return [
        f"{told}With --alarm-threshold {threshold:g} a run like this one stops at step {rung[0]:,}, at a gold of "
        f"{there:.3g}; it had {mean[curve.peak]:.3g} at the peak and {mean[-1]:.3g} at the end.",
        usual,
    ]


def rounded_up(value: float, digits: int = 4) -> float:
    """The smallest number of so many digits that is not below `value`."""
    if value == 0 or not math.isfinite(value):
        return value
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    return rounded if rounded >= value else round(value + 10.0**-places, places)
