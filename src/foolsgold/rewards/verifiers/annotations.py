"""The model annotates, an engine proves: invariants judged by z3, and believed only where plain runs agree.

An invariant passes when initiation, consecution and sufficiency hold over all mathematical integers. Each "violated" of
z3 is evaluated again without z3, and so is the invariant on states that plain runs reach: where they disagree, the
verifier has failed and says so.

Shares of conditions are easy to earn with nothing: `true` has two of three, and so has `false`. As a reward use whole
verdicts, or partial ones on top of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from foolsgold.environments.loops.answers import ChangedProgram
from foolsgold.environments.loops.conditions import KINDS
from foolsgold.environments.loops.syntax import SyntaxFault
from foolsgold.errors import UserError
from foolsgold.rewards.verifiers.annotations_tasks import counterexample, task_of
from foolsgold.rewards.verifiers.annotations_workers import Effort, Workers, record_of
from foolsgold.rewards.verifiers.verdict import Outcome, Verdict, VerifierFailure


class AnnotationsVerifier:
    """Judges invariants of loops; the column `program` holds a program or a SyGuS-inv problem, told apart by itself.

    See `environments.loops.answers` for what an answer may look like. The same answer to the same program is judged
    once. A context manager; `close` ends its processes.
    """

    name = "annotations"

    def __init__(self, workers: int = 2, effort: Effort = Effort(), remembered: int = 100_000):
        """
        Args:
          workers: processes that judge, which are stopped when z3 does not come back. 0: judge in this process, where
            nothing stops it.
          effort: what z3 may spend on one question.
          remembered: verdicts that are kept.

        Raises:
          UserError: z3 is not installed.
        """
        if find_spec("z3") is None:
            raise UserError("invariants are proved by z3; install it with: pip install foolsgold[verifiers]")
        self.effort = effort
        self._workers = Workers(workers, effort) if workers else None
        self._remembered: OrderedDict[tuple[str, str], Verdict] = OrderedDict()
        self._most = remembered

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> AnnotationsVerifier:
        """The verifier that came to a verdict."""
        return cls(effort=Effort(**record["limits"]))

    def verdicts(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Verdict]:
        """One verdict an answer; `passed` of 3 are initiation, consecution and sufficiency.

        Raises:
          VerifierFailure: z3 is contradicted by evaluation, or crashed.
          UserError: the column `program` is missing, or one of its texts is no program with a loop.
        """
        programs = columns.get("program")
        if programs is None or len(programs) != len(completions):
            raise UserError("annotations need a column `program`: the text of a program for each completion")
        pairs = [(_text(program), _text(completion)) for program, completion in zip(programs, completions, strict=True)]
        for program in dict.fromkeys(program for program, _ in pairs):
            task_of(program)  # a mistake in it is the user's: raised here, before anything is judged
        fresh = [pair for pair in dict.fromkeys(pairs) if pair not in self._remembered]
        judged = self._workers.judge(fresh) if self._workers else [judge(*pair, self.effort) for pair in fresh]
        known = {pair: self._remembered[pair] for pair in pairs if pair in self._remembered}
        known.update(zip(fresh, judged, strict=True))
        for pair in known:
            self._remembered[pair] = known[pair]
            self._remembered.move_to_end(pair)
        while len(self._remembered) > self._most:
            self._remembered.popitem(last=False)
        return [
            replace(known[pair], record={**known[pair].record, "prompt": prompt, "completion": completion})
            for pair, prompt, completion in zip(pairs, prompts, completions, strict=True)
        ]

    def close(self) -> None:
        """Ends the processes."""
        if self._workers:
            self._workers.close()

    def __enter__(self) -> AnnotationsVerifier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _text(value: Any) -> str:
    """Of a string, or of the last message of a chat."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and isinstance(value[-1], dict) and isinstance(value[-1].get("content"), str):
        return value[-1]["content"]
    raise UserError(f"annotations judge texts, not {type(value).__name__}")


def judge(program: str, completion: str, effort: Effort = Effort()) -> Verdict:
    """The verdict on one answer, made in this process.

    Raises:
      VerifierFailure: z3 is contradicted by evaluation, or crashed.
      UserError: `program` is no program with a loop.
    """
    from foolsgold.rewards.verifiers.annotations_z3 import decide

    record = record_of(program, completion, effort)
    task = task_of(program)
    try:
        invariants = task.read(completion)
    except SyntaxFault as fault:
        return Verdict("invalid", 0, len(KINDS), str(fault), record)
    except ChangedProgram as changed:
        return Verdict("refused", 0, len(KINDS), str(changed), record)
    record["invariants"] = task.shown(invariants)
    conditions = task.conditions(invariants)
    decisions = [decide(condition, effort) for condition in conditions]
    record["conditions"] = [
        {"kind": condition.kind, "status": decision.status, "values": decision.values}
        for condition, decision in zip(conditions, decisions, strict=True)
    ]
    held = dict.fromkeys(KINDS, True)
    outcome: Outcome = "passed"
    detail = ""
    for condition, decision in zip(conditions, decisions, strict=True):
        if decision.status == "holds":
            continue
        held[condition.kind] = False
        if decision.status == "violated" and outcome != "wrong":
            outcome, detail = "wrong", counterexample(condition, decision.values)
        elif outcome == "passed":
            outcome, detail = "timeout", f"z3 could not decide {condition.kind} with the effort it is given"
    if outcome == "passed":
        record["states"] = task.states
        refuted = task.refuted(invariants)
        if refuted:
            raise VerifierFailure(f"z3 proves {record['invariants']}, but {refuted}; the program: {program!r}")
    return Verdict(outcome, sum(held.values()), len(KINDS), detail, record)


def verified_share(verdicts: Sequence[Verdict]) -> float:
    """The share of answers that prove their program.

    Raises:
      UserError: there are no verdicts.
    """
    if not verdicts:
        raise UserError("there are no verdicts to take a share of; give at least one")
    return sum(verdict.outcome == "passed" for verdict in verdicts) / len(verdicts)
