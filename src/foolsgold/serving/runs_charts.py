"""Which curves share a chart: gold and proxy first, one line an arm, held-out beside training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from foolsgold.serving import train_settings

Role = Literal["gold", "proxy", ""]

GOLD = ("gold", "sampled", "solved")
"""Last words of metrics that say what truly counts; verified studies call it by what was sampled or solved."""
PROXY = ("proxy", "reward", "referee_margin")
NEXT_BEST = ("referee_agrees_with_score", "accuracy", "loss")
"""What leads where a run logs not both gold and proxy."""
HELD_OUT = "held_out_"
TRAINING, UNSEEN = "training", "held out"


@dataclass(frozen=True)
class Line:
    """One curve of a chart."""

    label: str
    series: str
    kl: str | None
    """The series of KL logged beside it, which can stand for the steps; None where there is none."""


@dataclass(frozen=True)
class Chart:
    """Curves of the same quantity."""

    metric: str
    role: Role
    leads: bool
    """Shown before anybody asks for more."""
    lines: tuple[Line, ...]


def charts(study: str, names: Iterable[str]) -> list[Chart]:
    """All series `names` of a run of `study`, arranged: those that lead first, gold before proxy, then by name.

    Studies name series `arm/metric`. Trainings have no arms; there `held_out_…` and the metric of training share a
    chart, and so do `reward/gold` and `gold`.
    """
    split = _of_training if study in train_settings.COMMANDS else _of_study
    known = set(names)
    lines: dict[str, list[Line]] = {}
    for name in names:
        arm, metric, kl = split(name)
        lines.setdefault(metric, []).append(Line(arm, name, kl if kl in known and kl != name else None))
    leading = _leading(list(lines))
    order = {metric: place for place, metric in enumerate(leading)}
    ordered = sorted(lines, key=lambda metric: (order.get(metric, len(order)), metric))
    return [Chart(metric, role_of(metric), metric in order, tuple(lines[metric])) for metric in ordered]


def glimpse(study: str, row: Mapping[str, float]) -> list[tuple[str, float]]:
    """What leads of one row of metrics, at most three values, each with the words for it."""
    leading = [chart for chart in charts(study, row) if chart.leads]
    found = [(f"{line.label} {chart.metric}".strip(), row[line.series]) for chart in leading for line in chart.lines]
    return found[:3]


def role_of(metric: str) -> Role:
    """Whether a metric is the gold or the proxy reward."""
    word = metric.rpartition("/")[2]
    return "gold" if word in GOLD else "proxy" if word in PROXY else ""


def _leading(metrics: list[str]) -> list[str]:
    by_role = [metric for role in ("gold", "proxy") for metric in metrics if role_of(metric) == role]
    rest = [metric for word in NEXT_BEST for metric in metrics if metric.rpartition("/")[2] == word]
    return (by_role + rest[: max(0, 2 - len(by_role))]) or metrics[:2]


def _of_study(name: str) -> tuple[str, str, str]:
    arm, slash, metric = name.partition("/")
    return (arm, metric, f"{arm}/kl") if slash else ("", name, "kl")


def _of_training(name: str) -> tuple[str, str, str]:
    arm = UNSEEN if name.startswith(HELD_OUT) else TRAINING
    metric = name.removeprefix(HELD_OUT)
    if name == "gold":
        arm = UNSEEN  # looks at gold are taken on held-out prompts
    if metric.startswith("reward/"):
        metric = metric.removeprefix("reward/")
    return arm, metric, "kl"
