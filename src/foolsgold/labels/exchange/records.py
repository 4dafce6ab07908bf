"""Comparisons with all that the store knows of them, one row each: what goes out comes back the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from foolsgold.labels.comparison import Comparison, Source
from foolsgold.labels.exchange.rows import (
    Notes,
    Row,
    Unsaid,
    judgement,
    moment_of,
    number_of,
    places,
    prompt_of,
    text_of,
    value,
    whole_of,
)

_QUOTED = ("{", '"')
"""How a cell begins that is JSON."""


def write_records(comparisons: Iterable[Comparison], notes: Notes) -> list[dict[str, Any]]:
    """One flat row a comparison; columns without a value are left out."""
    return [record_of(comparison) for comparison in comparisons]


def record_of(comparison: Comparison) -> dict[str, Any]:
    """The comparison as text and numbers only, so that every kind of file takes it."""
    row = {
        "prompt": comparison.prompt,
        "a": comparison.a,
        "b": comparison.b,
        "preferred": comparison.preferred,
        "rater": comparison.rater,
        "created": comparison.created.isoformat(timespec="microseconds"),
        "source": _cell(comparison.source),
        "source_a": _cell(comparison.source_a),
        "source_b": _cell(comparison.source_b),
        "seconds": comparison.seconds,
        "strength": comparison.strength,
    }
    return {name: told for name, told in row.items() if told is not None}


def read_records(rows: Sequence[Row], unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    """The inverse of `write_records`; rows of other programs may leave out all but the texts and `preferred`.

    Raises:
      UserError: a row lacks a text or its preference, or a value does not fit.
    """
    a, b = unsaid.a or "a", unsaid.b or "b"
    for place, row in places(rows):
        texts = [text_of(value(row, name, place), place) for name in (a, b)]
        prompt, preferred = prompt_of(row, unsaid, place), value(row, "preferred", place)
        yield judgement(place, unsaid, prompt, texts, preferred, **about(row, place))


def about(row: Row, place: str) -> dict[str, Any]:
    """What a row tells of a judgement beside texts and preference, for `judgement`.

    Raises:
      UserError: a value does not fit.
    """
    created = row.get("created") or None
    return {
        "rater": row.get("rater"),
        "created": None if created is None else moment_of(created, place),
        "source": _source(row.get("source")),
        "source_a": _source(row.get("source_a")),
        "source_b": _source(row.get("source_b")),
        "seconds": number_of(row.get("seconds"), place),
        "strength": whole_of(row.get("strength"), place),
    }


def _cell(source: Source | None) -> str | None:
    """A name as it is; anything else, and names that could be taken for JSON or for an empty cell, as JSON."""
    if isinstance(source, str) and source and not source.startswith(_QUOTED):
        return source
    return None if source is None else json.dumps(source, sort_keys=True)


def _source(cell: Any) -> Source | None:
    if isinstance(cell, dict):
        return cell
    if not isinstance(cell, str) or not cell:
        return None
    if cell.startswith(_QUOTED):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell
