"""Verdicts as lines of a file, and what many of them say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.table import Table
from rich.text import Text

from foolsgold.audit.verdict import Figure, shown
from foolsgold.errors import UserError
from foolsgold.files import written
from foolsgold.objectives.best_of_n import doublings, pass_at_k
from foolsgold.objectives.statistics import Interval, bootstrap_interval, wilson_interval
from foolsgold.rewards.verifiers.verdict import Outcome, Verdict
from foolsgold.serving.verify_command import Asked

RESAMPLES = 2000
NEEDED = ("verifier", "prompt", "completion", "columns", "limits", "versions")
"""What a record must hold."""


@dataclass(frozen=True)
class Line:
    """A verdict in a file."""

    task: str
    outcome: Outcome
    passed: int
    of: int
    detail: str
    record: dict[str, Any]

    @property
    def row(self) -> dict[str, Any]:
        """As it is written."""
        return asdict(self)

    @property
    def shown(self) -> str:
        """For the terminal."""
        name = self.task if len(self.task) <= 40 else f"{self.task[:40]}…"
        return f"{name!r}  {self.said}" + (f": {self.detail}" if self.detail else "")

    @property
    def said(self) -> str:
        return f"{self.outcome} ({self.passed} of {self.of})"


def line_of(verifier: str, asked: Asked, verdict: Verdict) -> Line:
    """The verdict on an answer, which can be reached again also where the verifier itself records less."""
    less = {"columns": dict(asked.columns), "limits": {}, "versions": {}}
    given = {"verifier": verifier, "prompt": asked.prompt, "completion": asked.completion}
    record = {**less, **verdict.record, **given}
    return Line(asked.task, verdict.outcome, verdict.passed, verdict.of, verdict.detail, record)


def read_lines(path: Path, mend: bool = False) -> list[Line]:
    """The verdicts that a file holds.

    Args:
      mend: cuts off a last line that was not written to its end.

    Raises:
      UserError: there is no such file, or it holds something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    whole = data[: data.rfind(b"\n") + 1]
    if mend and whole != data:
        with written(path), path.open("r+b") as file:
            file.truncate(len(whole))
    lines = []
    for i, text in enumerate(whole.splitlines(), start=1):
        try:
            line = Line(**json.loads(text))
            missing = [name for name in NEEDED if name not in line.record]
            if missing or line.outcome not in get_args(Outcome):
                raise ValueError(f"its record lacks {', '.join(missing)}" if missing else f"outcome {line.outcome!r}")
        except (ValueError, TypeError) as error:
            raise UserError(f"{path}, line {i} is no verdict: {error}") from error
        lines.append(line)
    return lines


def summary(lines: Sequence[Line], partial: bool = False) -> Table:
    """How many answers met which fate, the pass rate, and pass@k where tasks have several answers.

    The pass rate of single answers has Wilson's interval. Answers to one task are not independent: with several, tasks
    are resampled. pass@k is the mean over tasks of Chen et al. 2021, up to the fewest answers that a task has.

    Args:
      partial: also the mean share of checks passed.
    """
    table = Table(title=f"{len(lines):,} verdicts", title_justify="left")
    for name, side in (("", "left"), ("answers", "right"), ("95 % interval", "right")):
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    counts = Counter(line.outcome for line in lines)
    for outcome in get_args(Outcome):
        if counts[outcome]:
            table.add_row(outcome, f"{counts[outcome]:,}", "")
    for figure in figures(lines, partial):
        parts = shown(figure)
        table.add_row(figure.name, parts.value, Text(parts.interval))
    return table


def figures(lines: Sequence[Line], partial: bool = False) -> list[Figure]:
    """Pass rate, share of checks passed, and pass@k, as `summary` shows them."""
    if not lines:
        return []
    tasks: dict[str, list[Line]] = {}
    for line in lines:
        tasks.setdefault(line.task, []).append(line)
    passed = {task: sum(line.outcome == "passed" for line in group) for task, group in tasks.items()}
    fewest = min(len(group) for group in tasks.values())
    most = max(len(group) for group in tasks.values())
    rate = sum(passed.values()) / len(lines)
    totals = np.array([[passed[task], len(group)] for task, group in tasks.items()], float)
    interval = wilson_interval(sum(passed.values()), len(lines)) if most == 1 else _resampled(totals)
    found = [_share("pass rate", rate, interval, len(lines))]
    if partial:
        shares = np.array([[sum(line.passed / line.of for line in group), len(group)] for group in tasks.values()])
        found.append(_share("checks passed", float(shares[:, 0].sum() / len(lines)), _resampled(shares), len(lines)))
    for k in doublings(fewest) if fewest > 1 else []:
        each = np.array([float(pass_at_k(len(group), passed[task], int(k))) for task, group in tasks.items()])
        ones = np.column_stack([each, np.ones(len(each))])
        found.append(_share(f"pass@{k}", float(each.mean()), _resampled(ones), len(tasks)))
    return found


def differences(before: Sequence[Line], after: Sequence[Line]) -> Table | None:
    """Verdicts that are not what they were, one a row; None where there are none."""
    changed = [(i, *pair) for i, pair in enumerate(zip(before, after, strict=True), start=1) if _differ(*pair)]
    if not changed:
        return None
    table = Table(title=f"{len(changed):,} of {len(before):,} verdicts differ", title_justify="left")
    for name in ("line", "task", "was", "is", "detail", "versions"):
        table.add_column(name)
    for i, was, now in changed:
        versions = [
            f"{name} {was.record['versions'].get(name, '?')} → {version}"
            for name, version in now.record["versions"].items()
            if was.record["versions"].get(name) != version
        ]
        cells = [str(i), was.task[:40], was.said, now.said, now.detail or was.detail, ", ".join(versions)]
        table.add_row(*map(Text, cells))  # Text, so that square brackets are not taken for markup
    return table


def _differ(was: Line, now: Line) -> bool:
    return (was.outcome, was.passed, was.of) != (now.outcome, now.passed, now.of)


def _share(name: str, value: float, interval: Interval | None, n: int) -> Figure:
    low, high = interval or (None, None)
    return Figure(name, value, low, high, n, "%")


def _resampled(totals: np.ndarray) -> Interval | None:
    """Interval of the first column's sum over the second's, tasks drawn anew; tasks that are all alike tell nothing."""
    if (totals == totals[0]).all():
        return None
    return bootstrap_interval(totals, lambda rows: float(rows[:, 0].sum() / rows[:, 1].sum()), RESAMPLES, seed=0)
