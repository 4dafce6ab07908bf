"""Worlds of several turns: the policy acts, the world answers, until the goal is reached or the turns are used up.

A proof tactic by tactic, a program round by round with the failures of its tests: both are a state that the policy
reads as a prompt, an action that it writes, and a next state. A state holds all that the next prompt needs, so search
can go on from any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from foolsgold.environments.problems import Problem

State = TypeVar("State")


@dataclass(frozen=True)
class Step(Generic[State]):
    """What an action led to."""

    state: State
    """To go on from; where the action was refused, the state before it or one that tells of the failure."""
    solved: bool
    """Whether the terminal goal is reached, as the world's verifier says."""
    ended: bool
    """Whether there is nothing more to do, solved or not."""
    progress: float
    """How much of the goal is reached, from 0 to 1; 1 where solved. For rewards in between and for search."""
    note: str = ""
    """What the world says of the action, in lines that can be shown to the one who acted."""


class TurnWorld(Protocol[State]):
    """A world of several turns. Many episodes go side by side, so that verifiers can work on many at once."""

    name: str

    def start(self, problems: Sequence[Problem]) -> list[State]:
        """The first state of each problem."""
        ...

    def prompt(self, state: State) -> str:
        """What the policy reads in this state."""
        ...

    def step(self, states: Sequence[State], actions: Sequence[str]) -> list[Step[State]]:
        """What each action leads to in its state.

        Raises:
          VerifierFailure: what judges actions failed itself; it says nothing of the actions.
        """
        ...
