"""Students who prove theorems as their habits have it; most habits are right until the theorem is a little different.

A student has found the proof but writes it down from memory, and does not watch the prover while doing so. What goes
wrong then goes wrong the same way each time, and some of it goes wrong for most of them, so whoever imitates the class
takes its errors for the way it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType

from foolsgold.environments.theorems.proofs import Proof
from foolsgold.environments.theorems.tactics import Tactic

HABITS: Mapping[str, float] = MappingProxyType(
    {
        "left first": 0.75,
        "one case": 0.6,
        "goals swapped": 0.4,
        "first for last": 0.5,
        "falsity unsaid": 0.6,
        "premise forgotten": 0.35,
    }
)
"""Share of students who have the habit.

left first: takes the left of a disjunction. one case: after a case distinction, leaves the second case out. goals
swapped: after a split, proves the second goal first. first for last: of a conjunction taken apart, uses the first half
where the second is meant. falsity unsaid: does not say `exfalso` before a contradiction. premise forgotten: of a
hypothesis with several premises, shows only the last.
"""

STRONG = (0.4, 0.9)
"""How often a habit shows where it can, from the mildest student to the strongest."""
SLIP = 0.02
"""How often a student errs this way without the habit."""


@dataclass(frozen=True)
class Student:
    """Chances of each habit to show where it can."""

    habits: Mapping[str, float]

    @classmethod
    def drawn(cls, rng: Random) -> Student:
        """A student of the class."""
        return cls({habit: rng.uniform(*STRONG) if rng.random() < share else SLIP for habit, share in HABITS.items()})

    def script(self, proof: Proof, rng: Random) -> list[Tactic]:
        """The proof as the student writes it down: right where no habit shows."""
        return self._written(proof, rng, {})

    def _written(self, proof: Proof, rng: Random, mistaken: Mapping[str, str]) -> list[Tactic]:
        """Args: mistaken: names that the student takes for others."""
        tactic = proof.tactic
        tactic = replace(
            tactic,
            on=mistaken.get(tactic.on, tactic.on),
            argument=mistaken.get(tactic.argument, tactic.argument),
        )
        parts = list(proof.parts)
        said = [tactic]
        match tactic.kind:
            case "right" if self._shows("left first", rng):
                said = [Tactic("left")]
            case "cases" if self._shows("one case", rng):
                parts = parts[:1]
            case "split" if self._shows("goals swapped", rng):
                parts.reverse()
            case "unpack" if self._shows("first for last", rng):
                mistaken = {**mistaken, tactic.new[1]: tactic.new[0]}
            case "exfalso" if self._shows("falsity unsaid", rng):
                said = []
            case "apply" if len(parts) > 1 and self._shows("premise forgotten", rng):
                parts = parts[-1:]
        for part in parts:
            said += self._written(part, rng, mistaken)
        return said

    def _shows(self, habit: str, rng: Random) -> bool:
        return rng.random() < self.habits[habit]
