"""What the worlds of the study `gaming` share: a run under a defence, and what came out of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from foolsgold.files import write_text
from foolsgold.studies.poem_arm import Evaluation
from foolsgold.training.run_folder import RunFolder

MEMBERS = 4
"""Reward models fitted to the same comparisons; the first is the one that a run without defence follows, and all of
them are asked by the alarm of disagreement, whatever the defence."""
JUDGED = 400
"""Samples whose gold a cap is found with."""


class AnyTrial(Protocol):
    """What sets a run apart; a dataclass."""

    @property
    def name(self) -> str: ...

    @property
    def defence(self) -> str: ...

    @property
    def comparisons(self) -> int: ...

    @property
    def seed(self) -> int: ...

    @property
    def price(self) -> float: ...

    @property
    def steps(self) -> int: ...

    @property
    def prompts(self) -> int: ...

    @property
    def samples(self) -> int: ...

    @property
    def group(self) -> str:
        """Runs of one group follow reward models fitted to the same comparisons."""
        ...

    @property
    def setting(self) -> str:
        """Defences are compared on runs of one setting, that of the first run."""
        ...


@dataclass(frozen=True)
class TrialResult:
    """What came out of a run."""

    trial: AnyTrial
    evaluations: list[Evaluation]
    """From the start to the end."""
    readings: list[dict[str, float]]
    """Of every alarm at every evaluation, NaN where it could not be read."""
    labels: int
    """Comparisons asked for beyond those of the reward models, and gold of single samples."""
    gold_accuracy: float
    """Share of held-out pairs in which the first reward model prefers what gold finds better."""
    pairs: int
    """Held out, without ties."""

    @property
    def kl(self) -> np.ndarray:
        """`[K]`, nats, estimates below 0 cut off."""
        return np.array([max(each.kl, 0.0) for each in self.evaluations])

    @property
    def steps(self) -> np.ndarray:
        """`[K]`"""
        return np.array([each.step for each in self.evaluations])

    @property
    def gold(self) -> np.ndarray:
        """`[P, K]`"""
        return np.array([each.gold for each in self.evaluations]).T

    @property
    def proxy(self) -> np.ndarray:
        """`[P, K]`"""
        return np.array([each.proxy for each in self.evaluations]).T

    def write(self, path: Path) -> None:
        data = asdict(self)
        data["readings"] = [{k: None if v != v else v for k, v in each.items()} for each in self.readings]
        write_text(path, json.dumps(data))

    @classmethod
    def read(cls, path: Path, trial: Callable[..., Any]) -> TrialResult:
        """`trial`: makes a trial of its fields."""
        data = json.loads(path.read_text(encoding="utf-8"))
        evaluations = [Evaluation(**each) for each in data.pop("evaluations")]
        readings = [{k: np.nan if v is None else v for k, v in each.items()} for each in data.pop("readings")]
        return cls(trial(**data.pop("trial")), evaluations, readings, **data)


def watched_so_far(here: Path) -> tuple[list[Evaluation], list[dict[str, float]]]:
    """The evaluations that an arm's folder holds, in the order of steps, and the readings of alarms beside them."""
    # Of a killed attempt overwritten by the same numbers.
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(here.glob("evaluation-*.json"))]
    return [Evaluation(**row["evaluation"]) for row in rows], [row["readings"] for row in rows]


def keep_watched(here: Path, evaluation: Evaluation, readings: dict[str, float]) -> None:
    """Write one evaluation where `watched_so_far` finds it."""
    row = {"evaluation": asdict(evaluation), "readings": readings}
    write_text(here / f"evaluation-{evaluation.step:05}.json", json.dumps(row))


def log_results(folder: RunFolder, results: Sequence[TrialResult]) -> None:
    """Write metrics of all runs, at once, in place of what an earlier attempt wrote."""
    folder.truncate_after(-1)
    for result in results:
        for each, readings in zip(result.evaluations, result.readings, strict=True):
            figures = {"gold": np.mean(each.gold), "proxy": np.mean(each.proxy), **readings}
            folder.log(each.step, **{f"{result.trial.name}/{name}": value for name, value in figures.items()})
