"""`foolsgold verify`: verdicts on answers, and old verdicts reached again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foolsgold.errors import UserError

if TYPE_CHECKING:
    from foolsgold.rewards.verifiers.verdict import Verifier
    from foolsgold.serving.verdict_tables import Line

TOGETHER = 64
"""Answers judged at once; what is judged is on disk before the next ones are."""

SANDBOXED = ("code", "java")
"""Verifiers that run answers as Python programs."""


@dataclass(frozen=True, kw_only=True)
class VerifyCommand:
    """Judge answers by a verifier: programs by tests that are run, proofs by a kernel, results by comparison.

    Data: rows with what the verifier needs to know, such as `prompt`, `test` and `entry_point` of HumanEval for code,
    or `answer` for maths; the answers stand in a column of them, or in a file of their own that is joined by `task_id`,
    by `prompt`, or, with as many rows, by their order. Several answers to a task also give pass@k.

    examples:
      foolsgold verify --verifier code --data HumanEval.jsonl.gz --column canonical_solution
      foolsgold verify --verifier code --data HumanEval.jsonl.gz --completions samples.jsonl --out verdicts.jsonl
      foolsgold verify --verifier maths --data gsm8k.jsonl --completions samples.jsonl --out verdicts.jsonl
      foolsgold verify --replay verdicts.jsonl
    """

    verifier: str | None = None
    """annotations, code, coq, dafny, frama-c, java, lean or maths."""
    data: str | None = None
    """Data set of tasks: a file, a folder or a name on the Hugging Face hub."""
    completions: str | None = None
    """File of answers, such as foolsgold generate writes; the data's own where not given."""
    column: str = "completion"
    """Column that holds the answers."""
    out: str | None = None
    """File to write, .jsonl: a verdict a line, with all that is needed to come to it again. What it already holds is
    not judged again, so that an interrupted command can be given once more. Without it verdicts are printed."""
    partial: bool = False
    """Also tell the mean share of checks passed."""
    unsafe_subprocess: bool = False
    """Run code in plain processes, where it can read and delete your files: only for code that you trust, on machines
    without bubblewrap."""
    replay: str | None = None
    """File of verdicts to come to again; what differs is told, with exit code 1."""

    def __post_init__(self) -> None:
        if self.replay is not None:
            if self.verifier or self.data or self.completions or self.out:
                raise UserError("--replay takes everything from its file; leave out all but --unsafe-subprocess")
            return
        if not self.verifier or not self.data:
            raise UserError(
                "--verifier and --data are missing; give what judges and the tasks, or --replay; see --help"
            )
        if self.out is not None and not self.out.endswith(".jsonl"):
            raise UserError(f"--out {self.out}: verdicts are written as .jsonl")
        if self.unsafe_subprocess and self.verifier not in SANDBOXED:
            raise UserError(f"--unsafe-subprocess is for --verifier {' or '.join(SANDBOXED)}")


@dataclass(frozen=True)
class Asked:
    """An answer to be judged."""

    task: str
    """What tells its task from others."""
    prompt: Any
    completion: Any
    columns: Mapping[str, Any]


def main(command: VerifyCommand) -> None:
    """Judge and tell, or judge again and compare.

    Raises:
      UserError: something is missing, cannot be had, or does not fit, or the verifier failed.
      SystemExit: with code 1, verdicts differ from those that are replayed; with 130, it was interrupted.
    """
    from foolsgold.rewards.verifiers.verdict import VerifierFailure

    kept = f"; the verdicts so far are in {command.out}, and the same command goes on" if command.out else ""
    try:
        with _settings(command) as settings:
            if command.replay is not None:
                _replay(Path(command.replay), settings)
            else:
                _verify(command, settings)
    except VerifierFailure as failure:
        raise UserError(f"the verifier failed: {failure}{kept}") from failure
    except KeyboardInterrupt:
        print(f"\nfoolsgold: interrupted{kept}", file=sys.stderr)
        raise SystemExit(130) from None


def answers_of(command: VerifyCommand) -> list[Asked]:
    """All answers that are to be judged, with their tasks' columns.

    Raises:
      UserError: a file cannot be read, a row has no answer, or an answer no task.
    """
    from foolsgold.training.dataset_files import read_rows

    assert command.data is not None
    tasks = read_rows(command.data)
    if command.completions is None:
        return [_asked(row, row, i, command.column, tasks.source) for i, row in enumerate(tasks, start=1)]
    answers = read_rows(command.completions)
    key = next((name for name in ("task_id", "prompt") if all(name in row for row in (*tasks, *answers))), None)
    if key is None:
        if len(tasks) != len(answers):
            raise UserError(
                f"{answers.source} has {len(answers)} rows and {tasks.source} {len(tasks)}; give both a column task_id "
                "or prompt, which tells what answers what"
            )
        pairs = zip(tasks, answers, strict=True)
        return [_asked(*pair, i, command.column, answers.source) for i, pair in enumerate(pairs, start=1)]
    known = {_text(row[key]): row for row in tasks}
    lost = next((i for i, row in enumerate(answers, start=1) if _text(row[key]) not in known), None)
    if lost is not None:
        raise UserError(f"{answers.source}, row {lost}: no task of {tasks.source} has this {key}")
    return [
        _asked(known[_text(row[key])], row, i, command.column, answers.source) for i, row in enumerate(answers, start=1)
    ]


def _asked(task: Mapping[str, Any], answer: Mapping[str, Any], i: int, column: str, source: str) -> Asked:
    if answer.get(column) is None:
        raise UserError(f"{source}, row {i} has no {column}; name the column of answers with --column")
    name = next((_text(task[each]) for each in ("task_id", "prompt") if each in task), f"row {i}")
    others = {each: value for each, value in task.items() if each not in ("prompt", "completion")}
    return Asked(name, task.get("prompt", ""), answer[column], others)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def _settings(command: VerifyCommand) -> Iterator[dict[str, Any]]:
    """Of the verifier."""
    if not command.unsafe_subprocess:
        yield {}
        return
    from foolsgold.rewards.sandbox import Sandbox

    with Sandbox(unsafe_subprocess=True) as sandbox:
        yield {"sandbox": sandbox}


def _verify(command: VerifyCommand, settings: Mapping[str, Any]) -> None:
    from rich.console import Console

    from foolsgold.rewards.verifiers.registry import load_verifier
    from foolsgold.serving.verdict_tables import read_lines, summary
    from foolsgold.studies.progress import Stages

    assert command.verifier is not None
    verifier, asked = load_verifier(command.verifier, **settings), answers_of(command)
    out = None if command.out is None else Path(command.out)
    lines = [] if out is None or not out.exists() else read_lines(out, mend=True)
    _check_kept(lines, asked, command)
    console = Console()
    with Stages(console) as stages, stages.stage("verdicts", len(asked)) as tick:
        tick(len(lines), len(asked))
        for start in range(len(lines), len(asked), TOGETHER):
            batch = asked[start : start + TOGETHER]
            new = _judged(verifier, batch)
            lines += new
            if out is None:
                for line in new:
                    console.print(line.shown, highlight=False, markup=False, soft_wrap=True)
            else:
                _append(out, new)
            tick(len(lines), len(asked))
    console.print(summary(lines, command.partial))


def _judged(verifier: Verifier, batch: Sequence[Asked]) -> list[Line]:
    from foolsgold.serving.verdict_tables import line_of

    names = dict.fromkeys(name for each in batch for name in each.columns)
    columns = {name: [each.columns.get(name) for each in batch] for name in names}
    verdicts = verifier.verdicts([each.prompt for each in batch], [each.completion for each in batch], **columns)
    return [line_of(verifier.name, each, verdict) for each, verdict in zip(batch, verdicts, strict=True)]


def _append(path: Path, lines: Sequence[Line]) -> None:
    from foolsgold.files import written

    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(line.row, default=str) + "\n" for line in lines)


def _check_kept(lines: Sequence[Line], asked: Sequence[Asked], command: VerifyCommand) -> None:
    """Verdicts that are not judged again must be on the same answers, in their order."""
    for i, line in enumerate(lines):
        same = i < len(asked) and _is_on(line, asked[i], str(command.verifier))
        if not same:
            raise UserError(f"{command.out}, line {i + 1} is a verdict on something else; give another --out")


def _is_on(line: Line, asked: Asked, verifier: str) -> bool:
    record = line.record
    given = (record["verifier"], line.task, record["prompt"], record["completion"])
    columns = record["columns"].items()
    return given == (verifier, asked.task, asked.prompt, asked.completion) and all(
        asked.columns.get(name) == value for name, value in columns
    )


def _replay(path: Path, settings: Mapping[str, Any]) -> None:
    from itertools import groupby

    from rich.console import Console

    from foolsgold.rewards.verifiers.registry import verifier_of
    from foolsgold.serving.verdict_tables import Line, differences, read_lines
    from foolsgold.studies.progress import Stages

    lines, again = read_lines(path), list[Line]()
    console = Console()
    with Stages(console) as stages, stages.stage("verdicts again", len(lines)) as tick:
        for _, group in groupby(lines, key=lambda line: (line.record["verifier"], json.dumps(line.record["limits"]))):
            alike = list(group)
            runs = alike[0].record["verifier"] in SANDBOXED
            verifier = verifier_of(alike[0].record, **(settings if runs else {}))
            for start in range(0, len(alike), TOGETHER):
                batch = alike[start : start + TOGETHER]
                asked = [
                    Asked(line.task, line.record["prompt"], line.record["completion"], line.record["columns"])
                    for line in batch
                ]
                again += _judged(verifier, asked)
                tick(len(again), len(lines))
    found = differences(lines, again)
    if found is None:
        console.print(f"{len(lines)} verdicts, all the same", highlight=False)
        return
    console.print(found)
    raise SystemExit(1)
