"""The world of annotations: short programs with loops, invariants that prove them, workers and reviewers."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from foolsgold.environments.loops.families import FAMILIES, LoopProblem
from foolsgold.environments.loops.reviewers import LoopReviewers
from foolsgold.environments.loops.workers import founded
from foolsgold.environments.problems import Problem, Split
from foolsgold.errors import UserError

WORKERS = 40


@dataclass(frozen=True)
class Loops:
    """ "Which invariant proves this program?": six structures of loops are held out for the test split."""

    name: str = "annotations"

    def problems(self, split: Split, n: int, seed: int) -> list[Problem]:
        """`n` problems of the split's families, each family as often as another.

        The column is `program`; the verifier is `rewards.verifiers.annotations.AnnotationsVerifier`.

        Raises:
          UserError: there is no such split.
        """
        return [_problem(family, drawn) for family, drawn in _drawn(split, n, seed)]

    def demonstrations(self, n: int, seed: int) -> list[tuple[Problem, str]]:
        """`n` problems of the train split, each annotated by one of the workers, about two in five of them rightly."""
        workers, rng = founded(WORKERS, seed=0), Random(f"loop demonstrations {seed}")
        return [
            (_problem(family, drawn), rng.choice(workers).answer(drawn, rng))
            for family, drawn in _drawn("train", n, seed)
        ]

    def second_opinions(self, n: int, seed: int) -> list[tuple[Problem, str, str]]:
        """As `demonstrations`, each with another worker's annotation, who was not told what is wrong with the first
        one but does not repeat it; fewer where workers agree."""
        workers, rng = founded(WORKERS, seed=0), Random(f"loop opinions {seed}")
        asked = []
        for family, drawn in _drawn("train", n, seed):
            first, second = (rng.choice(workers).answer(drawn, rng) for _ in range(2))
            if first != second:
                asked.append((_problem(family, drawn), first, second))
        return asked

    def reviewers(self, n: int, seed: int) -> LoopReviewers:
        """`n` people who compare invariants by their looks."""
        return LoopReviewers.founded(n, seed)


def _drawn(split: Split, n: int, seed: int) -> list[tuple[str, LoopProblem]]:
    if split not in FAMILIES:
        raise UserError(f"annotations have no split {split!r}; choose train or test")
    rng, families = Random(f"loops {split} {seed}"), list(FAMILIES[split])
    names = [families[i % len(families)] for i in range(n)]
    rng.shuffle(names)
    return [(name, FAMILIES[split][name](rng)) for name in names]


def _problem(family: str, drawn: LoopProblem) -> Problem:
    return Problem(f"{drawn.program}\ninvariant:\n", drawn.answer, {"program": drawn.program}, family, drawn.grade)
