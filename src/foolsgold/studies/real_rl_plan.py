"""What the study `real_rl` runs: everything that follows from its dial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from foolsgold.studies.real_rl_arm import Arm
from foolsgold.studies.real_rl_pipeline import ProblemsPlan
from foolsgold.studies.real_rl_price import KL_BUDGET

World = Literal["java", "code", "annotations"]

FINETUNING, RL = 0.125, 0.65
"""Shares of the time; the rest is for answers, comparisons, the reward model and what is measured."""
LOOKS = 6
"""Evaluations of an arm, beside those of its first steps."""


@dataclass(frozen=True)
class Table:
    """A world's settings, and what a step takes on two cores (AMD EPYC, Zen 5), by which minutes become steps."""

    finetuning_s: float
    """A step of finetuning, seconds."""
    rl_s: float
    """A step of RL of all three arms and what is measured on the way, seconds: two side by side, then the third."""
    max_new_tokens: int
    width: int = 128
    layers: int = 4
    vocabulary: int = 512
    finetuning_rate: float = 3e-3
    learning_rate: float = 1e-4
    partial: bool = False


TABLE: dict[World, Table] = {
    "java": Table(finetuning_s=0.1, rl_s=3.6, max_new_tokens=112),
    "code": Table(finetuning_s=0.05, rl_s=2.7, max_new_tokens=96),
    "annotations": Table(finetuning_s=0.04, rl_s=1.0, max_new_tokens=32, layers=3, vocabulary=300),
}


@dataclass(frozen=True)
class Plan:
    """Printed, and stored with the run."""

    minutes: float
    problems: ProblemsPlan
    arms: tuple[Arm, Arm, Arm]
    """On the verifier, on the reward model, on the reward model with a price on KL; the same otherwise."""

    @classmethod
    def of(cls, world: World, minutes: float, seed: int) -> Plan:
        """By the table and not by the clock, so that a plan gives the same numbers whatever else the machine does."""
        table = TABLE[world]
        seconds = 60 * minutes
        every = max(4, round(RL * seconds / table.rl_s / LOOKS))
        finetuning = max(50, round(FINETUNING * seconds / table.finetuning_s))
        # A short run has fewer of all that its stages make.
        part = min(1.0, minutes / 20)
        problems = ProblemsPlan(
            seed=seed,
            world=world,
            width=table.width,
            layers=table.layers,
            vocabulary=table.vocabulary,
            max_new_tokens=table.max_new_tokens,
            demonstrations=min(60_000, 16 * finetuning),
            finetuning_steps=finetuning,
            finetuning_rate=table.finetuning_rate,
            asked=max(64, round(800 * part)),
            comparisons=max(500, round(6_000 * part)),
            reward_steps=max(30, round(180 * part)),
            problems=1_500,
        )
        usual = Arm(
            "verifier", "verifier", LOOKS * every, every, partial=table.partial, learning_rate=table.learning_rate
        )
        vibe = usual.paid_by("reviewers")
        return cls(minutes, problems, (usual, vibe, vibe.priced(KL_BUDGET)))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan of a stored run."""
        real, vibe, priced = (Arm(**arm) for arm in data["arms"])
        return cls(data["minutes"], ProblemsPlan(**data["problems"]), (real, vibe, priced))
