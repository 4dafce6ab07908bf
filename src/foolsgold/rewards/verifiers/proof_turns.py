"""Proofs as a world of several turns: a turn is a tactic on the first goal, and the prover says what is left.

The prover is exact: it gives the state, takes the action or refuses it, tells how many goals are left, and its kernel
has the last word on the whole proof. What the policy reads is one line, the same for Coq and Lean.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from foolsgold.environments.problems import Problem
from foolsgold.environments.theorems.formulas import Tool
from foolsgold.environments.turns import Step
from foolsgold.rewards.verifiers.proof_sessions import Failure, ProofSession, State, goal_line
from foolsgold.rewards.verifiers.verdict import Verdict, VerifierFailure

_MOST_REMEMBERED = 200_000
"""Answers of the prover; all are forgotten where there are more."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Place:
    """A proof that has come so far."""

    proof: State
    closed: int = 0
    """Goals closed on the way."""

    @property
    def progress(self) -> float:
        """Share of the goals seen so far that are closed; those still to come are not known."""
        return 1.0 if self.proof.solved else self.closed / (self.closed + len(self.proof.goals))


class ProofTurns:
    """A `TurnWorld` over a prover's session; problems need the column `statement`, in the prover's language.

    A tactic that the prover does not take ends the episode: the same goal would be read again, and a script with an
    error in it is no proof. The goal is reached where no goal is left; `finish` asks the kernel.
    """

    def __init__(self, session: ProofSession, tool: Tool):
        """
        Args:
          session: should take single steps only (`tactics=STEPS`), else `tauto` does the work. Not closed here.
        """
        self.name = f"proofs in {tool}"
        self._session, self._end = session, "." if tool == "coq" else ""
        self._known: dict[tuple[State, str], State | Failure] = {}
        self._refused: dict[tuple[str, str], Failure] = {}
        """By first goal and tactic: a tactic looks at nothing else."""

    def start(self, problems: Sequence[Problem]) -> list[Place]:
        """Raises: VerifierFailure: the prover cannot be started."""
        first = {each.columns["statement"]: None for each in problems}
        started = {statement: self._twice(lambda of=statement: self._session.start(of)) for statement in first}  # type: ignore[misc]
        return [Place(started[each.columns["statement"]]) for each in problems]

    def prompt(self, state: Place) -> str:
        """The first goal on a line, as `environments.theorems.world.Theorems.steps` writes it."""
        return goal_line(state.proof.goals[0]) + "\n"

    def key(self, state: Place) -> Hashable:
        """Equal where the same is left to show. Coq hides what is known of later goals: there, by what they say."""
        return (goal_line(state.proof.goals[0]), *state.proof.goals[1:])

    def step(self, states: Sequence[Place], actions: Sequence[str]) -> list[Step[Place]]:
        """Raises: VerifierFailure: the prover died and cannot be started anew."""
        return [self._step(state, action) for state, action in zip(states, actions, strict=True)]

    def finish(self, state: Place) -> Verdict:
        """What the kernel says of the whole proof."""
        return self._twice(lambda: self._session.finish(state.proof))

    def _step(self, place: Place, action: str) -> Step[Place]:
        after = self._after(place.proof, " ".join(action.split()))
        if isinstance(after, Failure):
            return Step(place, False, True, place.progress, f"{after.outcome}: {after.detail}")
        new = replace(place, proof=after, closed=place.closed + (len(after.goals) < len(place.proof.goals)))
        return Step(new, after.solved, after.solved, new.progress, f"{len(after.goals)} goals left")

    def _after(self, proof: State, action: str) -> State | Failure:
        asked, on_goal = (proof, action), (proof.goals[0], action)
        if on_goal in self._refused:
            return self._refused[on_goal]
        if asked in self._known:
            return self._known[asked]
        sentence = action + self._end
        if not action[:1].isalpha() or self._session.sentences(sentence) != [sentence]:
            return Failure("invalid", "one tactic on the first goal is wanted")
        after = self._twice(lambda: self._session.apply(proof, sentence))
        if isinstance(after, Failure) and after.outcome == "timeout":
            return after  # it may have been a crash, which says nothing of the tactic
        if len(self._known) + len(self._refused) >= _MOST_REMEMBERED:
            self._known.clear()
            self._refused.clear()
        if isinstance(after, Failure):
            self._refused[on_goal] = after
        else:
            self._known[asked] = after
        return after

    def _twice(self, ask: Callable[[], Answer]) -> Answer:
        """A prover that died on the way back to a state is started anew, once."""
        try:
            return ask()
        except VerifierFailure:
            self._session.close()
            return ask()
