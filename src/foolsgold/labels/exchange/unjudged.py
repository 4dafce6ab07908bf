"""Pairs that are still to be judged, for a labelling project."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from foolsgold.environments.go.sgf import GameRecord, write_game
from foolsgold.errors import UserError
from foolsgold.labels.exchange.records import source_of
from foolsgold.labels.exchange.rows import Row, Unsaid, number_of, places, prompt_of, text_of, value, whole_of
from foolsgold.labels.exchange.sgf_pairs import SgfPair, pair_texts
from foolsgold.labels.project import Pair


def pairs_of_rows(rows: Sequence[Row], unsaid: Unsaid, wanted: int = 1) -> Iterator[Pair]:
    """Rows with a prompt, `a` and `b`, and perhaps `known`, `wanted`, `priority`, `details`, `source_a`, `source_b`.

    Args:
      wanted: judgements of a pair, where its row does not say.

    Raises:
      UserError: a row lacks a text, or a value does not fit.
    """
    for place, row in places(rows):
        a, b = (text_of(value(row, name, place), place) for name in (unsaid.a or "a", unsaid.b or "b"))
        number = whole_of(row.get("wanted"), place)
        try:
            yield Pair(
                prompt_of(row, unsaid, place),
                a,
                b,
                wanted=wanted if number is None else number,
                priority=number_of(row.get("priority"), place) or 0.0,
                known=row.get("known") or None,
                details=_details(row.get("details"), place),
                source_a=source_of(row.get("source_a")),
                source_b=source_of(row.get("source_b")),
            )
        except UserError as error:
            raise UserError(f"{place}: {error}") from error


def _details(written: Any, place: str) -> dict[str, Any] | None:
    try:
        details = json.loads(written or "null") if isinstance(written, str) or written is None else written
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: details are no JSON: {error}") from error
    if details is not None and not isinstance(details, dict):
        raise UserError(f'{place}: details are {written!r:.40}; give an object, such as {{"base": "…"}}')
    return details


def pairs_of_sgf(pairs: Iterable[SgfPair], move: int | None = None, wanted: int = 1) -> Iterator[Pair]:
    """The boards of two game records, with the moves that led there to step through.

    Args:
      move: look at the boards after so many moves, by default after all.
      wanted: judgements of each pair.

    Raises:
      UserError: a record is shorter, its moves break our rules, or the boards of a pair are the same.
    """
    for pair in pairs:
        prompt, a, b = pair_texts(pair, move)
        details = {"moves_a": _up_to(pair.a, move), "moves_b": _up_to(pair.b, move)}
        try:
            yield Pair(prompt, a, b, wanted=wanted, details=details, source_a=pair.a.source, source_b=pair.b.source)
        except UserError as error:
            raise UserError(f"{pair.a.source}: {error}") from error


def _up_to(record: GameRecord, move: int | None) -> str:
    return write_game(record if move is None else replace(record, moves=record.moves[:move]))
