"""Proofs step by step: what Coq and Lean have in common for those who search, and for those who check a script."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foolsgold.environments.theorems.formulas import Tool, parse
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.answers import fenced_blocks, final_text
from foolsgold.rewards.verifiers.verdict import Outcome, Verdict


@dataclass(frozen=True)
class State:
    """A proof that has come so far. Any state can be gone on from, as often as one likes: that is what search needs."""

    statement: str
    """What follows the theorem's name, in the tool's language: `(p q : Prop) : p -> q -> p`."""
    script: tuple[str, ...]
    """The tactics so far."""
    goals: tuple[str, ...]
    """What is left to show, in the tool's words; the first is what the next tactic works on."""
    solved: bool
    """No goal is left. Only `finish` asks the kernel."""


@dataclass(frozen=True)
class Failure:
    """A tactic that led nowhere; the state it was tried on stands."""

    outcome: Outcome
    detail: str


class ProofSession(ABC):
    """A running prover. Statements are the caller's; tactics may come from anyone. Not thread-safe."""

    tool: str
    """Name and version."""

    @abstractmethod
    def start(self, statement: str) -> State:
        """The theorem with nothing proved.

        Raises:
          UserError: the tool does not take it as a statement.
          VerifierFailure: the tool cannot be started.
        """

    @abstractmethod
    def apply(self, state: State, tactic: str) -> State | Failure:
        """The state after one tactic on the first goal. A tool that crashed or ran away is started anew."""

    @abstractmethod
    def finish(self, state: State) -> Verdict:
        """Whether the kernel accepts the whole proof, and on which axioms it rests."""

    @abstractmethod
    def close(self) -> None:
        """End the tool; a later call starts it again."""

    @abstractmethod
    def sentences(self, script: str) -> list[str]:
        """The tactics of a script, in order."""

    def __enter__(self) -> ProofSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, statement: str, script: str) -> Verdict:
        """The verdict on a script that may hold anything.

        A proof is whole or it is none: the verdict counts one check. Credit for single tactics would be earned by
        tactics that lead nowhere.
        """
        state = self.start(statement)
        for tactic in self.sentences(script):
            after = self.apply(state, tactic)
            if isinstance(after, Failure):
                return self.verdict(after.outcome, f"{tactic[:80]}: {after.detail}", statement, script)
            state = after
        return self.finish(state)

    def verdict(self, outcome: Outcome, detail: str, statement: str, script: str, **more: Any) -> Verdict:
        """A verdict with the record of how it came about."""
        record = {"tool": self.tool, "statement": statement, "script": script, **more}
        return Verdict(outcome, int(outcome == "passed"), 1, detail, record)


class ProofVerifier:
    """Judges scripts of tactics; column `statement`: what follows the theorem's name, in the tool's language."""

    def __init__(self, name: str, session: ProofSession):
        """
        Args:
          session: is this verifier's alone, and is closed with it.
        """
        self.name = name
        self._session = session
        self._lock = threading.Lock()

    def verdicts(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Verdict]:
        """One verdict an answer; each may be a string or a list of chat messages, bare or in a ``` fence.

        Raises:
          VerifierFailure: the tool cannot be started.
          UserError: there is no column `statement`, or the tool does not take one of them as a statement.
        """
        statements = columns.get("statement")
        if statements is None or len(statements) != len(completions):
            raise UserError(
                f"{self.name} needs a column `statement`: what follows the theorem's name, such as {_EXAMPLE}"
            )
        with self._lock:
            return [
                self._session.check(statement, _script(completion))
                for statement, completion in zip(statements, completions, strict=True)
            ]

    def close(self) -> None:
        """End the tool."""
        self._session.close()


_EXAMPLE = "`(p q : Prop) : p -> q -> p`"
_LANGUAGES = ("", "coq", "lean", "lean4")


def _script(completion: Any) -> str:
    """The last ``` fence of an answer, or all of it where there is none."""
    text = final_text(completion)
    return (fenced_blocks(text, _LANGUAGES) or [text])[-1]


def words(text: str) -> frozenset[str]:
    """A set of words, from a text of them."""
    return frozenset(text.split())


def goal_line(goal: str) -> str:
    r"""A goal in Coq's or Lean's words on one line in Coq's signs, as `environments.theorems` writes states.

    Atoms are left out, and hypotheses are in the order of their numbers: `h1: p /\ q, h2: ~ p |- q`. What is no formula
    of propositional logic stays as it is.
    """
    tool: Tool = "lean" if "⊢" in goal else "coq"
    known, _, conclusion = re.sub(r"={4,}|⊢", "|-", goal).partition("|-")
    pairs = [
        (name, " ".join(formula.split()))
        for names, formula in _HYPOTHESES.findall(known)
        for name in re.split(r"[,\s]+", names)
    ]
    pairs.sort(key=lambda pair: int(re.sub(r"\D", "", pair[0]) or 0))
    hypotheses = ", ".join(f"{name}: {_in_coq(formula, tool)}" for name, formula in pairs if formula != "Prop")
    return f"{hypotheses} |- {_in_coq(' '.join(conclusion.split()), tool)}".strip()


_HYPOTHESES = re.compile(r"^\s*([\w'][\w', ]*?) : (.*(?:\n(?!\s*[\w'][\w', ]* : ).+)*)", re.MULTILINE)


def _in_coq(formula: str, tool: Tool) -> str:
    try:
        return parse(formula, tool).text()
    except ValueError:
        return formula
