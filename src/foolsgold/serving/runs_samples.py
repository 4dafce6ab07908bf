"""What a run's policies wrote, as far as its folder holds it: evaluations of arms, rows of samples, finished games."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from foolsgold.errors import UserError
from foolsgold.serving.runs_files import opened, size_of
from foolsgold.serving.runs_index import JUDGEMENTS, REQUESTS

Kind = Literal["evaluations", "rows", "games"]

MOST_SOURCES = 200
MOST_ENTRIES = 20_000
"""Files that are looked at for sources; a folder with more is shown in part."""
PAGE = 20
"""Samples at a time."""
BOARDS = 12
"""Finished games at a time."""
LONGEST_LINE = 4 << 20
LONGEST_FILE = 64 << 20
"""Bytes of one evaluation or of one file of games."""
_NO_SAMPLES = {"models", "model", "adapter", "snapshots", "tb", "pieces", "failures", "policy"}
_NO_ROWS = {"metrics.jsonl", REQUESTS, JUDGEMENTS, "labels.jsonl"}
_TEXTS = ("completion", "text", "chosen", "rejected", "answer")
_FACTS = 12
"""Short values shown beside a text."""


@dataclass(frozen=True)
class Source:
    """A place in a run's folder that holds samples."""

    id: str
    """Its path inside the folder."""
    kind: Kind
    at: tuple[int, ...]
    """Steps of evaluations and iterations of games there are; empty for rows, which are read from a byte on."""


@dataclass(frozen=True)
class Sample:
    """One thing that a policy wrote or played."""

    prompt: Any
    """Text or messages, None where it is not known."""
    text: Any
    """Text, messages, or a board as one line."""
    facts: dict[str, Any]
    """Rewards and other short values."""


@dataclass(frozen=True)
class Page:
    """Some samples of a source."""

    samples: list[Sample]
    next: int | None
    """Where the next ones are, None at the end."""


def sources(folder: Path) -> list[Source]:
    """Where a run keeps samples, newest kinds first: evaluations by arm, games, then files of rows by name."""
    evaluations: dict[str, list[int]] = {}
    games: dict[str, list[int]] = {}
    rows = []
    for path in _files(folder):
        inside, number = path.parent.relative_to(folder).as_posix(), _number(path)
        if path.name.startswith("evaluation-") and path.suffix == ".json" and number is not None:
            evaluations.setdefault(inside, []).append(number)
        elif path.name.startswith("finished-") and path.suffix == ".safetensors" and number is not None:
            games.setdefault(inside, []).append(number)
        elif path.suffix == ".jsonl" and path.name not in _NO_ROWS:
            rows.append(path.relative_to(folder).as_posix())
    found = [Source(name, "evaluations", tuple(sorted(steps))) for name, steps in sorted(evaluations.items())]
    found += [Source(name, "games", tuple(sorted(numbers))) for name, numbers in sorted(games.items())]
    found += [Source(name, "rows", ()) for name in sorted(rows)]
    return found[:MOST_SOURCES]


def samples(folder: Path, source: Source, at: int) -> Page:
    """Samples of a source.

    Args:
      at: a step or an iteration of `source.at`; of rows, the byte to read from, as the page before named it.

    Raises:
      UserError: there is nothing at this place, or it cannot be read.
    """
    place = folder / source.id
    if source.kind == "rows":
        return _rows(place, at)
    if at not in source.at:
        raise UserError(f"{source.id} has nothing at {at}")
    later = [number for number in source.at if number > at]
    following = later[0] if later else None
    try:
        if source.kind == "games":
            return Page(_games(_content(place / f"finished-{at:05d}.safetensors")), following)
        named = [each for each in place.glob("evaluation-*.json") if _number(each) == at]
        return Page(list(_evaluation(_content(named[0]))), following)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{source.id} at {at} cannot be read: {type(error).__name__}") from error


def _content(path: Path) -> bytes:
    """A file's bytes.

    Raises:
      OSError: there is none, or it is too long to be one of ours.
    """
    with opened(path) as file:
        if size_of(file) > LONGEST_FILE:
            raise OSError(f"{path} is too long")
        return file.read()


def _files(folder: Path, depth: int = 3) -> Iterator[Path]:
    """Files that may hold samples; links are not followed."""
    left, waiting = MOST_ENTRIES, [(folder, depth)]
    while waiting and left > 0:
        here, levels = waiting.pop(0)
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        break
                    if entry.is_dir(follow_symlinks=False):
                        if levels > 1 and entry.name not in _NO_SAMPLES and not entry.name.startswith("."):
                            waiting.append((here / entry.name, levels - 1))
                    elif entry.is_file(follow_symlinks=False):
                        yield here / entry.name
        except OSError:
            continue  # gone, or not ours to read


def _number(path: Path) -> int | None:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def _rows(path: Path, at: int) -> Page:
    """Whole lines from byte `at` on; what stands before the first line's start is skipped."""
    found: list[Sample] = []
    try:
        with opened(path) as file:
            if at > 0:
                file.seek(at - 1)
                if file.read(1) != b"\n":
                    file.readline(LONGEST_LINE)
            while len(found) < PAGE:
                line = file.readline(LONGEST_LINE)
                if not line.endswith(b"\n"):
                    if len(line) < LONGEST_LINE:  # the end, or a line that is being written
                        return Page(found, None)
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(row, dict):
                    found.append(_sample(row))
            end = size_of(file)
            return Page(found, file.tell() if file.tell() < end else None)
    except OSError as error:
        raise UserError(f"{path.name} cannot be read") from error


def _evaluation(content: bytes) -> Iterator[Sample]:
    """What a study kept of an evaluation: prompt, text, proxy and gold in a list, or rows under a name."""
    found = json.loads(content)
    found = found.get("evaluation", found)
    for row in found.get("poems", ()):
        prompt, text, proxy, gold = row
        yield Sample(prompt, text, {"proxy": proxy, "gold": gold})
    for row in found.get("samples", ()):
        yield _sample(row)
    for name in ("loved", "likeliest"):
        for row in found.get(name, ())[:PAGE]:
            yield _sample({"kept as": name, **row})


def _sample(row: dict[str, Any]) -> Sample:
    """A row of any file: its prompt, its text, and of the rest what is short."""
    name = next((name for name in _TEXTS if isinstance(row.get(name), str | list)), None)
    text = row.get(name) if name else None
    rest = {key: value for key, value in row.items() if key not in ("prompt", name)}
    facts = {key: value for key, value in rest.items() if isinstance(value, bool | int | float) or _is_short(value)}
    if text is None:
        text = json.dumps({key: value for key, value in rest.items() if key not in facts}, indent=1) if rest else ""
        text = "" if text == "{}" else text
    return Sample(row.get("prompt"), text, dict(list(facts.items())[:_FACTS]))


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 120


def _games(content: bytes) -> list[Sample]:
    """Finished games of Go, those first in which the referee and the score name different winners most clearly."""
    from safetensors import SafetensorError
    from safetensors.numpy import load  # with the rules of Go it takes seconds, which other runs need not wait

    from foolsgold.labels.board_comparisons import board_texts

    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ValueError("no file of games") from error
    margin, score = tensors["margin"].astype(float), tensors["score"].astype(float)
    wrong = np.sign(margin) != np.sign(score)
    order = np.argsort(-np.where(wrong, np.abs(margin - score), -1.0), kind="stable")[:BOARDS]
    texts = board_texts(tensors["states"].view(np.uint16)[order])
    return [
        Sample(
            None,
            text,
            {
                "proxy": f"referee: {_winner(margin[i])}",
                "gold": f"score: {_winner(score[i])}",
                "komi": float(tensors["komi"][i]),
            },
        )
        for i, text in zip(order, texts, strict=True)
    ]


def _winner(points: float) -> str:
    return f"{'Black' if points > 0 else 'White'} by {abs(points):.1f}" if points else "even"
