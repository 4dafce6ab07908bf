"""The crowd's format, one label a row: `worker`, `item`, `label`; and the items that the labels are about.

Crowd-Kit says `task` for item. Files of Dawid and Skene's kind (1979) often have no header; the three columns then
come in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.pairs import judged_pairs
from foolsgold.labels.exchange.rows import Notes, Row, Unsaid, judgement, places, prompt_of, text_of, value

WORKER = ("worker", "rater", "annotator", "user")
ITEM = ("item", "task")
LABEL = ("label",)


@dataclass(frozen=True)
class Label:
    """What one worker said of one item."""

    worker: str
    item: str
    label: str


def write_crowd(comparisons: Iterable[Comparison], notes: Notes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(labels, items): who said what of which pair, and each pair's texts.

    Labels are the candidates' names in the items, a or b, or tie or both_bad, whatever side they were shown on.
    """
    comparisons = list(comparisons)
    for comparison in comparisons:
        notes.kept_only(comparison, ["rater"])
    pairs = judged_pairs(comparisons)
    labels = [
        {"worker": rater, "item": pair.key, "label": preferred} for pair in pairs for rater, preferred in pair.votes
    ]
    return labels, [{"item": pair.key, "prompt": pair.prompt, "a": pair.a, "b": pair.b} for pair in pairs]


def labels_of(rows: Sequence[Row]) -> Iterator[Label]:
    """Rows of any crowd's data set.

    Raises:
      UserError: a row lacks one of the three.
    """
    for place, row in places(rows):
        yield Label(*(named_cell(row, names, place) for names in (WORKER, ITEM, LABEL)))


def named_cell(row: Row, names: Sequence[str], place: str) -> str:
    """The cell of the first of `names` that is a column, as text.

    Raises:
      UserError: none is, or the cell is empty.
    """
    found = next((name for name in names if name in row), None)
    if found is None:
        raise UserError(f"{place} has no column {' or '.join(names)}; its columns are {', '.join(row)}")
    return str(value(row, found, place))


def read_crowd(rows: Sequence[Row], items: Sequence[Row], unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    """Labels a, b, tie and both_bad of the pairs in `items` as comparisons.

    Raises:
      UserError: a row lacks a column, an item has no texts, or a label is none of the four.
    """
    texts = {}
    for place, row in places(items):
        a, b = (text_of(value(row, name, place), place) for name in (unsaid.a or "a", unsaid.b or "b"))
        texts[named_cell(row, ITEM, place)] = (prompt_of(row, unsaid, place), a, b)
    for (place, _), label in zip(places(rows), labels_of(rows), strict=True):
        if label.item not in texts:
            raise UserError(f"{place}: item {label.item} is not among the items; give the file that has its texts")
        prompt, *pair = texts[label.item]
        yield judgement(place, unsaid, prompt, pair, label.label, rater=label.worker)
