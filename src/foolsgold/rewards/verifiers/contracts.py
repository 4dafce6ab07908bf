"""Programs with frozen contracts: the answer is the task's program with annotations added, and an engine proves it.

An answer is cut into tokens, comments left out; without what it adds it must be the task's program token by token, and
it may add only what is itself proved. The engine is given these tokens and not the answer's text, so there is nothing
in a comment, a line ending or an encoding that it could read otherwise.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Limits, sandboxed
from foolsgold.rewards.verifiers.answers import LONGEST, fenced_blocks, final_text
from foolsgold.rewards.verifiers.verdict import Outcome, Verdict, VerifierFailure

DEEPEST = 60
"""Brackets within brackets of an answer; engines overflow their stacks far beyond."""
REMEMBERED = 10_000
_LIMITS = Limits(cpu_s=600.0, wall_s=600.0, memory_mb=2048, processes=64, files=1024, disk_mb=64)
"""Of one engine and its provers; the clock is the verifier's."""


class Unreadable(Exception):
    """The answer is no program that could be compared; the message says why."""


class Changed(Exception):
    """The answer changes the task's program, or adds what is not proved; the message says where."""


@dataclass(frozen=True)
class Piece:
    """What is compared as one: a token of the program, or a whole annotation."""

    words: tuple[str, ...]
    """Its tokens."""
    line: int
    addable: bool = False
    """Whether an answer may bring it by itself."""
    fault: str = ""
    """Why not, where there is more to say than that it is not the program's."""


def added(program: Sequence[Piece], answer: Sequence[Piece]) -> list[Piece]:
    """The pieces of `answer` that are not the program's. To match each piece as early as possible loses no match.

    Raises:
      Changed: the rest is not the program, or may not be added.
    """
    own: list[Piece] = []
    left = iter(program)
    expected = next(left, None)
    for piece in answer:
        if expected is not None and piece.words == expected.words:
            expected = next(left, None)
        elif piece.addable:
            own.append(piece)
        else:
            shown = " ".join(piece.words)[:60]
            wanted = "the program's end" if expected is None else repr(" ".join(expected.words)[:60])
            raise Changed(f"line {piece.line}: {piece.fault or f'{shown!r} where the program has {wanted}'}")
    if expected is not None:
        raise Changed(f"{' '.join(expected.words)[:60]!r} of the program is missing")
    return own


def laid_out(words: Iterable[tuple[str, int]]) -> str:
    """Tokens with spaces between them, each on its line, counted from 1."""
    lines: dict[int, list[str]] = {}
    for word, line in words:
        lines.setdefault(line, []).append(word)
    return "\n".join(" ".join(lines.get(line, ())) for line in range(1, max(lines, default=0) + 1)) + "\n"


def readable(text: str) -> str:
    """`text`, where it can be cut into tokens safely.

    Raises:
      Unreadable: it is empty, too long, nested too deep, or holds anything but printable ASCII and white space.
    """
    if not text.strip():
        raise Unreadable("there is no program; answer with the whole program, annotated")
    if len(text) > LONGEST:
        raise Unreadable(f"the answer has {len(text):,} characters; {LONGEST:,} are read")
    text = text.replace("\r\n", "\n").replace("\t", " ")
    strange = next((sign for sign in text if not (sign == "\n" or (sign.isascii() and sign.isprintable()))), None)
    if strange is not None:
        raise Unreadable(f"the answer holds {strange!r}; programs are of printable ASCII")
    depth = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if depth > DEEPEST:
            raise Unreadable(f"brackets are nested deeper than {DEEPEST}")
    return text


def run(
    script: str, text: str, seconds: float, environment: Mapping[str, str] | None = None, shown: Sequence[Path] = ()
) -> str | None:
    """What a shell script of ours prints in the sandbox with `text` as its input; None where it takes too long.

    Raises:
      UserError: there is no bubblewrap.
    """
    argv = sandboxed(["/bin/sh", "-c", script], limits=_LIMITS, readable=shown, environment=environment)
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            return process.communicate(text, timeout=seconds)[0]
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return None
            raise


class ContractVerifier(ABC):
    """Judges annotated programs; column `program`: the program with its contracts and without its proof.

    The same answer to the same program is judged once.
    """

    name: str
    languages: tuple[str, ...]
    """Of fences that may hold the program."""

    def __init__(self, seconds: float = 60.0, goal_seconds: float = 5.0, workers: int = 2):
        """
        Args:
          seconds: an answer may take, by the clock.
          goal_seconds: a prover may take for one goal.
          workers: answers judged at a time.
        """
        self.seconds, self.goal_seconds = seconds, goal_seconds
        self._workers = workers
        self._remembered: OrderedDict[tuple[str, str], Verdict] = OrderedDict()
        self._lock = threading.Lock()
        self._sound: set[str] = set()

    def verdicts(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Verdict]:
        """One verdict an answer; each may be a string or a list of chat messages, bare or in a ``` fence.

        Raises:
          VerifierFailure: the engine crashed.
          UserError: there is no column `program`, one of them is no program, or the engine is not installed.
        """
        programs = columns.get("program")
        if programs is None or len(programs) != len(completions):
            raise UserError(f"{self.name} needs a column `program`: the program with its contracts")
        texts = [final_text(completion) for completion in completions]
        pairs = [
            (str(program), (fenced_blocks(text, self.languages) or [text])[-1])
            for program, text in zip(programs, texts, strict=True)
        ]
        fresh = [pair for pair in dict.fromkeys(pairs) if pair not in self._remembered]
        with ThreadPoolExecutor(self._workers) as pool:
            judged = dict(zip(fresh, pool.map(lambda pair: self.judge(*pair), fresh), strict=True))
        found = [judged.get(pair) or self._remembered[pair] for pair in pairs]
        with self._lock:
            self._remembered.update(judged)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        limits = {"seconds": self.seconds, "goal_seconds": self.goal_seconds}
        return [
            replace(
                verdict,
                record={
                    "verifier": self.name,
                    "prompt": prompt,
                    "completion": completion,
                    "columns": {"program": program},
                    "limits": limits,
                },
            )
            for verdict, prompt, completion, program in zip(found, prompts, completions, programs, strict=True)
        ]

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> ContractVerifier:
        """The verifier that came to a verdict."""
        return cls(**record["limits"])

    def judge(self, program: str, answer: str) -> Verdict:
        """The verdict on one answer.

        Raises:
          VerifierFailure, UserError: as for `verdicts`.
        """
        try:
            given = self.pieces(readable(program))
        except Unreadable as fault:
            raise UserError(f"the column `program` of {self.name}: {fault}") from fault
        try:
            text = readable(answer)
            added(given, self.pieces(text, given))
        except Unreadable as fault:
            return verdict("invalid", str(fault))
        except Changed as fault:
            return verdict("refused", str(fault))
        found = self.proved(self.shown(text))
        if found.outcome == "invalid" and program not in self._sound:
            alone = self.proved(self.shown(readable(program)))
            if alone.outcome == "invalid":
                raise UserError(f"the column `program` of {self.name} holds no program that it reads: {alone.detail}")
            self._sound.add(program)
        return found

    @abstractmethod
    def pieces(self, text: str, program: Sequence[Piece] | None = None) -> list[Piece]:
        """`text` in pieces; for an answer, with those of the task's program.

        Raises:
          Unreadable: it cannot be cut.
        """

    @abstractmethod
    def shown(self, text: str) -> str:
        """`text` as the engine is given it."""

    @abstractmethod
    def proved(self, text: str) -> Verdict:
        """What the engine says of `text`.

        Raises:
          VerifierFailure, UserError: as for `verdicts`.
        """


def verdict(outcome: Outcome, detail: str = "", passed: int = 0, of: int = 1) -> Verdict:
    """A verdict whose detail is one line."""
    return Verdict(outcome, passed, of, " ".join(detail.split())[:300])


def crash(tool: str, output: str) -> Verdict:
    """Of an engine that ended without a verdict.

    Raises:
      VerifierFailure: unless it ran out of memory.
    """
    if "out of memory" in output.lower() or "OutOfMemory" in output or "Out_of_memory" in output:
        return verdict("memory", f"{tool} ran out of memory")
    raise VerifierFailure(f"{tool} ended without a verdict: {' '.join(output.split())[-300:] or 'it said nothing'}")
