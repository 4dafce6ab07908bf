"""Tables with a row for each pair and a column for each rater, as spreadsheets and papers' test sets have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison, Preferred
from foolsgold.labels.exchange.rows import Notes, Row, Unsaid, judgement, places, prompt_of, text_of, value

MEANINGS: dict[str, Preferred] = {
    "a": "a", "1": "a", "left": "a", "first": "a",
    "b": "b", "2": "b", "right": "b", "second": "b",
    "0": "tie", "tie": "tie", "equal": "tie", "same": "tie", "both": "tie",
    "both_bad": "both_bad", "both bad": "both_bad", "neither": "both_bad",
}  # fmt: skip
"""How tables and labelling programs write a preference, in lower case."""


def read_wide(rows: Sequence[Row], raters: Sequence[str], unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    """One judgement for each filled cell of the columns `raters`, whose names become the raters'.

    Raises:
      UserError: a row lacks a column, or a cell says nothing in `MEANINGS`.
    """
    for place, row in places(rows):
        prompt = prompt_of(row, unsaid, place)
        texts = [_written(value(row, name, place), place) for name in (unsaid.a or "a", unsaid.b or "b")]
        for rater in raters:
            if rater not in row:
                raise UserError(f"{place} has no column {rater!r} of a rater; its columns are {', '.join(row)}")
            if row[rater] in (None, ""):
                notes.left_out["cells are empty"] += 1
                continue
            yield judgement(place, unsaid, prompt, texts, meaning(row[rater], place), rater=rater)


def _written(cell: Any, place: str) -> str:
    """Text; answers such as 7 and true, which programs take for numbers and truth, as JSON writes them."""
    return json.dumps(cell) if isinstance(cell, bool | int | float) else text_of(cell, place)


def meaning(written: object, place: str) -> Preferred:
    """The preference that a cell stands for.

    Raises:
      UserError: it is none of `MEANINGS`.
    """
    name = f"{written:g}" if isinstance(written, float) else str(written).strip().lower()
    if name not in MEANINGS:
        raise UserError(f"{place}: {written!r:.40} is no preference; known are {', '.join(MEANINGS)}")
    return MEANINGS[name]
