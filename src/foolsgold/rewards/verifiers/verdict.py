"""What a verifier says of an answer, and how that becomes a reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from foolsgold.rewards.protocol import Rewards

Outcome = Literal["passed", "wrong", "invalid", "timeout", "memory", "output", "refused"]
"""passed: all of it. wrong: a test failed. invalid: it does not parse, or lacks what was asked for. timeout, memory,
output: it took more than it may. refused: it cheats, such as a proof with `sorry`."""


@dataclass(frozen=True)
class Verdict:
    """On one answer."""

    outcome: Outcome
    passed: int
    """Checks that it passed."""
    of: int
    """Checks made, at least 1."""
    detail: str = ""
    """The first thing that went wrong, in a line that can be shown to the one who wrote the answer."""
    record: dict[str, Any] = field(default_factory=dict)
    """All that is needed to come to the verdict again, in JSON's types."""

    @property
    def share(self) -> float:
        """Of checks passed, from 0 to 1."""
        return self.passed / self.of


class VerifierFailure(Exception):
    """The verifier itself failed: its tool crashed or is missing. Says nothing of the answer, and is never a zero."""


class Verifier(Protocol):
    """Judges answers; columns are lists as in `rewards.protocol`."""

    name: str

    def verdicts(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Verdict]:
        """One verdict an answer.

        Raises:
          VerifierFailure: the verifier itself failed.
          UserError: a column that it needs is missing or of another form.
        """
        ...


class VerifierReward:
    """A verifier as a reward: 1 for an answer that passes, else 0, or the share of its checks passed."""

    def __init__(self, verifier: Verifier, partial: bool = False):
        """
        Args:
          partial: gives credit for the checks passed by an answer that does not pass all; refused ones get none.
        """
        self.verifier = verifier
        self.partial = partial
        self.__name__ = verifier.name

    def __call__(self, prompts: list[Any], completions: list[Any], **columns: Any) -> Rewards:
        return [self.reward(each) for each in self.verifier.verdicts(prompts, completions, **columns)]

    def reward(self, verdict: Verdict) -> float:
        """Of one verdict, from 0 to 1."""
        if verdict.outcome == "passed":
            return 1.0
        return verdict.share if self.partial and verdict.outcome != "refused" else 0.0
