"""One table of alarms over finished runs of the study `gaming`, of one world or of several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from foolsgold.audit.alarm_table import DetectorRow, WatchedRun, carried_over, detector_table
from foolsgold.errors import UserError
from foolsgold.studies.gaming_arm import Trial
from foolsgold.studies.gaming_go_arm import GoTrial
from foolsgold.studies.gaming_measure import watched
from foolsgold.studies.gaming_trial import TrialResult
from foolsgold.studies.study_evidence import record_of

COLUMNS = ("alarm", "threshold", "false alarms", "caught", "gold lost", "where nothing stops")


def joined_table(folders: Sequence[Path]) -> str:
    """Markdown: alarms in each world, thresholds set by other groups of the same world; then with one threshold for
    all worlds, and in each world with the threshold of the others.

    False alarms are aimed at 5 % throughout. Worlds are those of the runs; runs of one world are taken together.

    Raises:
      UserError: a folder is no run of the study, or is given twice, or nothing in it is finished.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("a run is given twice; its runs would be tested on thresholds that they set themselves")
    worlds: dict[str, list[WatchedRun]] = {}
    for folder in folders:
        world, runs = watched_runs(folder)
        worlds.setdefault(world, []).extend(runs)
    parts = [part(f"{world}, thresholds of this world", detector_table(runs)) for world, runs in worlds.items()]
    if len(worlds) > 1:
        everyone = [run for runs in worlds.values() for run in runs]
        parts.append(part("one threshold for all worlds", detector_table(everyone)))
        for world, runs in worlds.items():
            others = [run for other, theirs in worlds.items() if other != world for run in theirs]
            parts.append(part(f"{world}, thresholds of the others", carried_over(runs, others)))
    return "\n\n".join(parts) + "\n"


def watched_runs(folder: Path) -> tuple[str, list[WatchedRun]]:
    """World, and what the alarms read along the finished runs of RL in `folder`, their groups named after it.

    Raises:
      UserError: it is no run of the study, or nothing in it is finished.
    """
    record = record_of(folder)
    if record["study"] != "gaming":
        raise UserError(f"{folder} is a run of {record['study']}; the table takes runs of gaming")
    world = record["config"].get("world", "poems")
    read = partial(TrialResult.read, trial=Trial if world == "poems" else GoTrial)
    results = [read(path) for path in sorted(folder.glob("arms/*/result.json"))]
    if not results:
        raise UserError(f"no run of RL in {folder} is finished; let it go on with --resume")
    return world, watched(results, f"{folder.name}/")


def part(title: str, rows: Sequence[DetectorRow]) -> str:
    """One table."""
    first = rows[0]
    head = f"**{title}**: {first.runs} runs, of which the gold of {first.over_optimized} surely fell"
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, rows)]
    return head + "\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(row: DetectorRow) -> tuple[str, ...]:
    """Of one row; a dash where there was nothing to catch."""

    def share(value: float, interval: tuple[float, float]) -> str:
        low, high = interval
        return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"

    false = share(row.false_alarms, row.false_alarms_interval)
    if not row.over_optimized:
        return row.alarm, f"{row.threshold:.4g}", false, "–", "–", "–"
    low, high = row.gold_lost_interval
    lost = f"{row.gold_lost:.3f}" + ("" if np.isnan(low) else f" [{low:.3f}, {high:.3f}]")
    caught = share(row.caught, row.caught_interval)
    return row.alarm, f"{row.threshold:.4g}", false, caught, lost, f"{row.gold_lost_without:.3f}"
