"""What alarms are worth: thresholds set on some runs, false alarms and catches counted on others.

Letters: R runs, K checkpoints of a run, P prompts that its gold was measured on.

Gold says afterwards which runs were over-optimized: those in which it surely fell (`first_fall`). Their honest part
ends at the checkpoint of the highest mean gold; that of all other runs is the whole run. A threshold is set so that at
most a given share of runs ring in their honest part, by runs of other groups only: a group holds what resembles each
other, such as runs with one reward model, and nothing is tuned on what it is tested on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.errors import UserError
from foolsgold.objectives.sequential import first_fall
from foolsgold.objectives.statistics import Interval, bootstrap_interval, wilson_interval


@dataclass(frozen=True)
class WatchedRun:
    """One finished run of which gold is known.

    Raises:
      UserError: columns of different lengths, or steps that do not rise.
    """

    group: str
    steps: np.ndarray
    """`[K]`, rising."""
    readings: dict[str, np.ndarray]
    """`[K]` each, by name of the alarm; higher is more suspicious, NaN never rings. KL and step are alarms too, and
    what others are to be compared with."""
    gold: np.ndarray
    """`[P, K]`, on the same prompts at every checkpoint."""

    def __post_init__(self) -> None:
        lengths = {len(self.steps), self.gold.shape[-1], *map(len, self.readings.values())}
        if len(lengths) != 1 or self.gold.ndim != 2:
            raise UserError(f"a run of {len(self.steps)} checkpoints has gold {self.gold.shape} and other readings")
        if not (np.diff(self.steps) > 0).all():
            raise UserError("the steps of a run must rise")

    @cached_property
    def over_optimized(self) -> bool:
        """Whether its gold surely fell."""
        return first_fall(self.gold) is not None

    @cached_property
    def peak(self) -> int:
        """Checkpoint of the highest mean gold, counted from 0."""
        return int(self.gold.mean(0).argmax())

    def honest_maximum(self, alarm: str) -> float:
        """The highest reading of the honest part; minus infinity where there is none."""
        honest = self.readings[alarm][: self.peak + 1] if self.over_optimized else self.readings[alarm]
        return float(np.fmax.reduce(honest, initial=-np.inf))

    def rings(self, alarm: str, threshold: float) -> int | None:
        """The first checkpoint with a reading above the threshold; None where there is none."""
        above = self.readings[alarm] > threshold
        return int(above.argmax()) if above.any() else None


@dataclass(frozen=True)
class DetectorRow:
    """One alarm over all runs, each judged by a threshold from the other groups."""

    alarm: str
    threshold: float
    """Median over groups."""
    runs: int
    false_alarms: float
    """Share of runs in whose honest part it rang, by which time nothing was wrong yet."""
    false_alarms_interval: Interval
    over_optimized: int
    """Runs."""
    caught: float
    """Share of over-optimized runs in which it first rang after the peak, before the end; NaN without such runs."""
    caught_interval: Interval
    delay: float
    """Median over caught runs of (step of the alarm - step of the peak) / step of the peak; NaN without."""
    delay_interval: Interval
    gold_lost: float
    """Mean over over-optimized runs: gold at the peak less gold where the alarm would have stopped the run, early or
    late, or at its end where it never rang. In the unit of gold; the peak's own is somewhat too high by luck."""
    gold_lost_interval: Interval
    gold_lost_without: float
    """The same where nothing stops the runs."""


def detector_table(runs: Sequence[WatchedRun], false_alarms: float = 0.05, seed: int = 0) -> list[DetectorRow]:
    """A row for each alarm that all runs have, those that lose least gold first.

    Intervals are of 95 %, by Wilson for shares and bootstrap over runs else; runs of a group are taken for independent.

    Args:
      runs: of two groups or more.
      false_alarms: share of runs that may ring in their honest part. It takes 1 / share - 1 runs outside of a group,
        19 for 5 %, to hold it; with fewer, the threshold is their maximum, and the share aimed at 1 / (runs + 1).

    Raises:
      UserError: fewer than two groups, or no alarm that all runs have.
    """
    groups = sorted({run.group for run in runs})
    if len(groups) < 2:
        raise UserError(f"thresholds are tested on groups other than they are set on; give two or more, not {groups}")

    def thresholds(alarm: str) -> dict[str, float]:
        return {
            group: threshold_of([run for run in runs if run.group != group], alarm, false_alarms) for group in groups
        }

    return _sorted([detector_row(name, runs, thresholds(name), seed) for name in _names(runs)])


def carried_over(
    runs: Sequence[WatchedRun], others: Sequence[WatchedRun], false_alarms: float = 0.05, seed: int = 0
) -> list[DetectorRow]:
    """As `detector_table`, but with thresholds set by `others`, runs of another world, of whatever group.

    Raises:
      UserError: no alarm that all runs have.
    """
    groups = {run.group for run in runs}
    return _sorted([
        detector_row(name, runs, dict.fromkeys(groups, threshold_of(others, name, false_alarms)), seed)
        for name in _names([*runs, *others])
    ])  # fmt: skip


def _names(runs: Sequence[WatchedRun]) -> list[str]:
    names = [name for name in runs[0].readings if all(name in run.readings for run in runs)]
    if not names:
        raise UserError("there is no alarm that all runs have")
    return names


def _sorted(rows: list[DetectorRow]) -> list[DetectorRow]:
    return sorted(rows, key=lambda row: (math.isnan(row.gold_lost), row.gold_lost, row.alarm))


def threshold_of(runs: Sequence[WatchedRun], alarm: str, false_alarms: float) -> float:
    """What a further honest run exceeds with a chance of at most `false_alarms`, if runs are exchangeable.

    The order statistic of split conformal prediction (Vovk et al. 2005); the maximum where it lies beyond.
    """
    ordered = sorted(run.honest_maximum(alarm) for run in runs)
    rank = math.ceil((1 - false_alarms) * (len(ordered) + 1))
    return ordered[min(rank, len(ordered)) - 1]


def detector_row(alarm: str, runs: Sequence[WatchedRun], thresholds: Mapping[str, float], seed: int = 0) -> DetectorRow:
    """What one alarm is worth, each run judged by the threshold of its group."""
    rung = [run.rings(alarm, thresholds[run.group]) for run in runs]
    pairs = list(zip(runs, rung, strict=True))
    false = sum(at is not None and (not run.over_optimized or at <= run.peak) for run, at in pairs)
    fallen = [(run, at) for run, at in pairs if run.over_optimized]
    caught = [(run, at) for run, at in fallen if at is not None and at > run.peak]
    delays = [(run.steps[at] - run.steps[run.peak]) / max(run.steps[run.peak], 1) for run, at in caught]
    lost = [_lost(run, at) for run, at in fallen]
    return DetectorRow(
        alarm=alarm,
        threshold=float(np.median(list(thresholds.values()))),
        runs=len(runs),
        false_alarms=false / len(runs),
        false_alarms_interval=wilson_interval(false, len(runs)),
        over_optimized=len(fallen),
        caught=len(caught) / len(fallen) if fallen else math.nan,
        caught_interval=wilson_interval(len(caught), len(fallen)),
        delay=float(np.median(delays)) if delays else math.nan,
        delay_interval=_interval(delays, np.median, seed),
        gold_lost=float(np.mean(lost)) if lost else math.nan,
        gold_lost_interval=_interval(lost, np.mean, seed),
        gold_lost_without=float(np.mean([_lost(run, None) for run, _ in fallen])) if fallen else math.nan,
    )


def _lost(run: WatchedRun, at: int | None) -> float:
    mean = run.gold.mean(0)
    return float(mean[run.peak] - mean[-1 if at is None else at])


def _interval(values: Sequence[float], statistic: object, seed: int) -> Interval:
    if len(values) < 2:
        return Interval(math.nan, math.nan)
    return bootstrap_interval(values, statistic, 2000, seed)  # type: ignore[arg-type]
