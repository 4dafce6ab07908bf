"""Files of candidates as pairs to be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from foolsgold.environments.go.sgf import write_game
from foolsgold.errors import UserError
from foolsgold.labels.exchange.rows import Row, number_of, places, text_of, value, whole_of
from foolsgold.labels.exchange.sgf_pairs import pair_texts, read_sgf_pairs
from foolsgold.labels.labelling import Pair
from foolsgold.training.dataset_files import read_rows


def read_pairs(path: str, wanted: int) -> Iterator[Pair]:
    """The pairs of a data set or of a folder of game records, see `LabelCommand.data`.

    Args:
      wanted: judgements of a pair whose row does not say.

    Raises:
      UserError: the file cannot be read, or a row holds no pair; the message names it.
    """
    if Path(path).is_dir() and any(Path(path).glob("*.sgf")):
        for pair in read_sgf_pairs(Path(path)):
            details = {"moves_a": write_game(pair.a), "moves_b": write_game(pair.b)}
            prompt, a, b = pair_texts(pair)
            yield _pair(
                pair.name,
                prompt,
                a,
                b,
                wanted=wanted,
                details=details,
                source_a=f"{pair.name}-a.sgf",
                source_b=f"{pair.name}-b.sgf",
            )
        return
    rows = read_rows(path)
    yield from _generated(rows, wanted) if "completion" in rows[0] else _written(rows, wanted)


def _written(rows: Sequence[Row], wanted: int) -> Iterator[Pair]:
    sides = ("chosen", "rejected") if "chosen" in rows[0] else ("a", "b")
    for place, row in places(rows):
        prompt, a, b = (text_of(value(row, name, place), place) for name in ("prompt", *sides))
        own = whole_of(row.get("wanted"), place)
        yield _pair(
            place,
            prompt,
            a,
            b,
            wanted=wanted if own is None else own,
            priority=number_of(row.get("priority"), place) or 0.0,
            known=row.get("known") or None,
            details=_details(row.get("details"), place),
            source_a=row.get("source_a") or None,
            source_b=row.get("source_b") or None,
        )


def _pair(place: str, prompt: str, a: str, b: str, **told: Any) -> Pair:
    try:
        return Pair(prompt, a, b, **told)
    except UserError as error:
        raise UserError(f"{place}: {error}") from error


def _details(cell: Any, place: str) -> dict[str, Any] | None:
    """An object, or in files of text alone its JSON."""
    try:
        details = json.loads(cell) if isinstance(cell, str) and cell else cell or None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: details are no JSON: {error}") from error
    if details is not None and not isinstance(details, dict):
        raise UserError(f'{place}: details are {cell!r:.40}; give an object, such as {{"base": "…"}}')
    return details


def _generated(rows: Sequence[Row], wanted: int) -> Iterator[Pair]:
    """Completions of the same prompt, each beside the next one that differs."""
    answers: dict[str, list[str]] = {}
    for place, row in places(rows):
        prompt, answer = (text_of(value(row, name, place), place) for name in ("prompt", "completion"))
        known = answers.setdefault(prompt, [])
        if answer not in known:
            known.append(answer)
    if all(len(known) < 2 for known in answers.values()):
        raise UserError("every prompt has only one completion; generate two or more of each, with --samples 2")
    for prompt, known in answers.items():
        for a, b in pairwise(known):
            yield Pair(prompt, a, b, wanted)
