"""A policy that annotates loops as workers do, and that has seen how one goes on after a counterexample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from foolsgold.environments.loops.world import Loops
from foolsgold.environments.problems import Problem
from foolsgold.rewards.verifiers.annotation_turns import AnnotationTurns
from foolsgold.rewards.verifiers.verdict import Verifier
from foolsgold.studies.progress import Stages
from foolsgold.studies.real_rl_pipeline import ProblemsPipeline, ProblemsPlan
from foolsgold.training.rollouts import derived_seed


@dataclass(frozen=True)
class AnnotationsPlan:
    """What follows from the dial, for all that comes before the arms."""

    problems: ProblemsPlan
    """Its stages up to the finetuned policy; reviewers and their reward model are none of this study's."""
    second_opinions: int
    """Demonstrations in which a worker goes on after another one's refused invariant."""
    turns: int = 3
    """Of an episode, at most."""
    tested: int = 120
    """Problems of families that training never shows."""
    trained: int = 110
    """New problems of the families trained on."""
    tries: int = 8
    """Answers to each of them at the start and at the end."""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AnnotationsPlan:
        return cls(**{**data, "problems": ProblemsPlan(**data["problems"])})


class AnnotationsPipeline(ProblemsPipeline):
    """One run's stages before the arms."""

    def __init__(self, plan: AnnotationsPlan, folder: Path, stages: Stages, created: datetime):
        super().__init__(plan.problems, folder, stages, created)
        self.settings = plan

    @property
    def engine(self) -> Verifier:
        """The verifier whose verdicts keep what was said of each condition."""
        return self.verifier.verifier

    @cached_property
    def demonstrations(self) -> list[tuple[Problem, str]]:
        """Workers' annotations, and second opinions on refused ones."""
        first = self.world.demonstrations(self.plan.demonstrations, self.plan.seed)
        second = self._second_opinions()
        # Spread evenly: the tokenizer learns from the first of them.
        every = max(1, len(first) // max(1, len(second)))
        mixed = []
        for i, each in enumerate(first):
            mixed.append(each)
            if i % every == 0 and i // every < len(second):
                mixed.append(second[i // every])
        return mixed

    def _second_opinions(self) -> list[tuple[Problem, str]]:
        wanted = self.settings.second_opinions
        with self.stages.stage("counterexamples to workers' annotations", None):
            asked = Loops().second_opinions(4 * wanted, self.plan.seed)[: 2 * wanted]  # more than half are refused
            world = AnnotationTurns(self.engine)
            steps = world.step(world.start([problem for problem, _, _ in asked]), [answer for _, answer, _ in asked])
        rows = zip(asked, steps, strict=True)
        refused = [(replace(a[0], prompt=world.prompt(step.state)), a[2]) for a, step in rows if not step.solved]
        return refused[:wanted]

    @cached_property
    def tested(self) -> list[Problem]:
        return self.problems("test", self.settings.tested, 7)

    @cached_property
    def trained(self) -> list[Problem]:
        return self.problems("train", self.settings.trained, 8)

    def seed(self, *numbers: int) -> int:
        return derived_seed(self.plan.seed, *numbers)
