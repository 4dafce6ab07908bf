"""What the study `annotations` runs: everything that follows from its dial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foolsgold.studies.annotations_arm import METHODS, Arm
from foolsgold.studies.annotations_pipeline import AnnotationsPlan
from foolsgold.studies.real_rl_pipeline import ProblemsPlan

FINETUNING, ARMS = 0.3, 0.45
"""Shares of the time; the rest is for what is measured."""
FINETUNING_S, ARM_S = 0.065, 0.6
"""Seconds on one core (AMD EPYC, Zen 5) of a step of finetuning, and of `PROMPTS` by `SAMPLES` answers of an arm,
drawn, judged and learned from."""
PROMPTS, SAMPLES = 16, 8
ROUNDS = 4
"""Of expert iteration."""


@dataclass(frozen=True)
class Plan:
    """Printed, and stored with the run."""

    minutes: float
    annotations: AnnotationsPlan
    arms: tuple[Arm, ...]

    @classmethod
    def of(cls, minutes: float, seed: int) -> Plan:
        """By a table and not by the clock, so that a plan gives the same numbers whatever else the machine does."""
        finetuning = max(40, round(FINETUNING * 60 * minutes / FINETUNING_S))
        # Four arms on two cores: each has a quarter of what both do.
        steps = max(2 * ROUNDS, round(ARMS * 60 * minutes * 2 / len(METHODS) / ARM_S))
        problems = ProblemsPlan(
            seed=seed,
            world="annotations",
            width=128,
            layers=3,
            vocabulary=300,  # names stay tokens of their own, which are easier to copy
            max_new_tokens=32,
            demonstrations=8 * finetuning,
            finetuning_steps=finetuning,
            finetuning_rate=3e-3,
            asked=0,
            comparisons=0,
            reward_steps=0,
            problems=4_000,
            tokenizer_texts=3_000,
        )
        arms = tuple(Arm(name, steps=steps, prompts=PROMPTS, samples=SAMPLES, rounds=ROUNDS) for name in METHODS)
        return cls(minutes, AnnotationsPlan(problems, second_opinions=min(1_000, finetuning)), arms)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan of a stored run."""
        arms = tuple(Arm(**arm) for arm in data["arms"])
        return cls(data["minutes"], AnnotationsPlan.from_json(data["annotations"]), arms)
