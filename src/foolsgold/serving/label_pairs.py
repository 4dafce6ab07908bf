"""Files of candidates as pairs to be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from foolsgold.environments.go.sgf import GameRecord, write_game
from foolsgold.errors import UserError
from foolsgold.labels.exchange.rows import Row, places, text_of, value
from foolsgold.labels.exchange.sgf_pairs import pair_texts, read_sgf_pairs
from foolsgold.labels.labelling import Pair
from foolsgold.training.dataset_files import read_rows

_SIDES = (("a", "b"), ("chosen", "rejected"))
_OPTIONAL = ("wanted", "priority", "known", "details", "source_a", "source_b")


def read_pairs(path: str, wanted: int) -> Iterator[Pair]:
    """The pairs of a data set or of a folder of game records, see `LabelCommand.data`.

    Args:
      wanted: judgements of a pair whose row does not say.

    Raises:
      UserError: the file cannot be read, or a row holds no pair; the message names it.
    """
    if Path(path).is_dir() and any(Path(path).glob("*.sgf")):
        for pair in read_sgf_pairs(Path(path)):
            prompt, a, b = pair_texts(pair)
            details = {"moves_a": _anonymous(pair.a), "moves_b": _anonymous(pair.b)}
            yield Pair(prompt, a, b, wanted, details=details, source_a=pair.a.source, source_b=pair.b.source)
        return
    rows = read_rows(path)
    yield from _generated(rows, wanted) if "completion" in rows[0] else _written(rows, wanted)


def _anonymous(record: GameRecord) -> str:
    """The moves without names and result: raters are to judge the board."""
    return write_game(replace(record, komi=None, result=None, black_name=None, white_name=None))


def _written(rows: Sequence[Row], wanted: int) -> Iterator[Pair]:
    for place, row in places(rows):
        sides = next((names for names in _SIDES if names[0] in row), _SIDES[0])
        prompt, a, b = (text_of(value(row, name, place), place) for name in ("prompt", *sides))
        yield _pair(place, row, prompt, a, b, {"wanted": wanted} | _told(row))


def _told(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _OPTIONAL if row.get(name) is not None}


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


def _pair(place: str, row: Row, prompt: str, a: str, b: str, told: dict[str, Any]) -> Pair:
    if not isinstance(told["wanted"], int) or not isinstance(told.get("details", {}), dict):
        raise UserError(f"{place}: wanted is a whole number, and details an object")
    try:
        return Pair(prompt, a, b, **{**told, "priority": float(told.get("priority", 0))})
    except (UserError, TypeError, ValueError) as error:
        raise UserError(f"{place}: {error}") from error
