"""Annotations in several turns: propose an invariant, read the counterexample, propose again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from foolsgold.environments.problems import Problem
from foolsgold.environments.turns import Step
from foolsgold.rewards.verifiers.verdict import Verdict, Verifier

ASK = "invariant:\n"
"""Ends every prompt; in the prompts of `environments.loops.world` it follows the program."""
_ANSWER, _NOTE = 80, 160
"""Characters of an answer and of what was said of it that are shown again."""


@dataclass(frozen=True)
class Attempts:
    """A program, and what was proposed so far."""

    problem: Problem
    refused: tuple[tuple[str, str], ...] = ()
    """(invariant, why it proves nothing), in the order of the turns."""


class AnnotationTurns:
    """A world of several turns over problems of annotations; an episode is solved when its program is proved.

    A turn's prompt is the program, the last refused invariants each with the verifier's line about it, and the request
    for another one. The first turn's prompt is the problem's own.

    Source: counterexamples as answers to candidates: Solar-Lezama et al. 2006 (CEGIS); Garg et al. 2014 (ICE).
    """

    name = "annotation turns"

    def __init__(self, verifier: Verifier, told: int = 2):
        """
        Args:
          verifier: of annotations.
          told: most refused invariants that a prompt shows; 0: none, so that each turn is a try from nothing.
        """
        self.verifier, self.told = verifier, told

    def start(self, problems: Sequence[Problem]) -> list[Attempts]:
        return [Attempts(problem) for problem in problems]

    def prompt(self, state: Attempts) -> str:
        shown = state.refused[-self.told :] if self.told else ()
        if not shown:
            return state.problem.prompt
        lines = "".join(f"not {_line(answer, _ANSWER)}\n{_line(note, _NOTE)}\n" for answer, note in shown)
        return f"{state.problem.columns['program']}\n{lines}{ASK}"

    def step(self, states: Sequence[Attempts], actions: Sequence[str]) -> list[Step[Attempts]]:
        """What the verifier says of each invariant; `progress` is its share of conditions, which is no reward: `true`
        has two of three.

        Raises:
          VerifierFailure: the verifier itself failed.
        """
        prompts = [state.problem.prompt for state in states]
        programs = [state.problem.columns["program"] for state in states]
        verdicts = self.verifier.verdicts(prompts, actions, program=programs)
        return [_after(*each) for each in zip(states, actions, verdicts, strict=True)]


def _after(state: Attempts, action: str, verdict: Verdict) -> Step[Attempts]:
    solved = verdict.outcome == "passed"
    note = "proved" if solved else verdict.detail
    after = state if solved else replace(state, refused=(*state.refused, (action, note)))
    return Step(after, solved, solved, verdict.share, note)


def _line(text: str, most: int) -> str:
    """`text` in one line: what a model wrote must not pass for lines of the world."""
    return " ".join(text.split())[:most]
