"""TRL's preference columns (`prompt`, `chosen`, `rejected`) and unpaired ones (`prompt`, `completion`, `label`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.rows import (
    SWAPPED,
    Notes,
    Row,
    Unsaid,
    content_of,
    judgement,
    number_of,
    places,
    text_of,
    value,
)

MARGINS = {1: 1 / 3, 2: 2 / 3, 3: 1.0}
"""Nats of log-odds by strength: the smaller margins of Llama 2 (Touvron et al. 2023, table 27)."""

Ties = Literal["probability", "both", "drop"]
"""What becomes of ties: a row with probability 0.5, a row each way, or nothing."""


def write_preferences(
    comparisons: Iterable[Comparison], notes: Notes, ties: Ties = "probability"
) -> list[dict[str, Any]]:
    """One row a judgement, the preferred candidate chosen.

    Strengths become `margin` (see `MARGINS`), 0 in rows that have none beside others that do. TRL has no ties; a row
    with `probability` 0.5 is one for `foolsgold train`, but TRL's own trainers do not read that column. Both bad is a
    tie.
    """
    rows: list[dict[str, Any]] = []
    for comparison in comparisons:
        notes.kept_only(comparison, ["strength"])
        pair = [content_of(comparison.a), content_of(comparison.b)]
        tied = comparison.preferred in ("tie", "both_bad")
        if tied and ties == "drop":
            notes.left_out["ties"] += 1
            continue
        if comparison.preferred == "both_bad":
            notes.changed["judged both bad, which are ties here"] += 1
        if tied and ties == "probability":
            notes.changed["ties: probability 0.5, which foolsgold train reads and TRL does not (see --ties)"] += 1
        row: dict[str, Any] = {"prompt": content_of(comparison.prompt)}
        if comparison.strength is not None and not tied:
            row["margin"] = MARGINS[comparison.strength]
        if comparison.preferred == "b" or (tied and ties == "both"):
            rows.append({**row, "chosen": pair[1], "rejected": pair[0]})
        if comparison.preferred != "b":
            sure = {"probability": 0.5} if tied and ties == "probability" else {}
            rows.append({**row, "chosen": pair[0], "rejected": pair[1], **sure})
    return _filled(_filled(rows, "margin", 0.0), "probability", 1.0)


def _filled(rows: list[dict[str, Any]], name: str, usual: float) -> list[dict[str, Any]]:
    """With a column in every row where any has it: TRL makes one tensor of it."""
    return [{**row, name: row.get(name, usual)} for row in rows] if any(name in row for row in rows) else rows


def read_preferences(rows: Sequence[Row], unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    """The judgements of one rater.

    Rows do not say which answer was shown first; the one that sorts first is taken, since with the chosen one always
    first every rater would look as if it only read the first.

    Raises:
      UserError: a row lacks a column, or a value does not fit.
    """
    strengths = {round(margin, 6): strength for strength, margin in MARGINS.items()}
    for place, row in places(rows):
        prompt, chosen, rejected = (
            text_of(value(row, name, place), place) for name in ("prompt", "chosen", "rejected")
        )
        probability = number_of(row.get("probability"), place)
        preferred = {1.0: "a", 0.5: "tie", 0.0: "b"}.get(1.0 if probability is None else probability)
        if preferred is None:
            notes.left_out["rows are the share of several raters and no single judgement"] += 1
            continue
        margin = number_of(row.get("margin"), place)
        strength = None if margin is None else strengths.get(round(margin, 6))
        if margin and strength is None:
            notes.changed["margins that are no strength of ours; the preference is kept without"] += 1
        a, b = chosen, rejected
        if b < a:
            a, b, preferred = b, a, SWAPPED[preferred]
        yield judgement(place, unsaid, prompt, (a, b), preferred, strength=strength)


def write_unpaired(comparisons: Iterable[Comparison], notes: Notes) -> list[dict[str, Any]]:
    """The preferred candidate as good, the other as bad, and both where both are bad; ties are left out."""
    rows = []
    for comparison in comparisons:
        if comparison.preferred == "tie":
            notes.left_out["ties: neither candidate is known to be good or bad"] += 1
            continue
        notes.kept_only(comparison, [])
        prompt = content_of(comparison.prompt)
        a, b = ((side == comparison.preferred, getattr(comparison, side)) for side in ("a", "b"))
        # The good one first, so that a reader who pairs rows in order meets them side by side.
        for good, text in sorted((a, b), key=lambda each: not each[0]):
            rows.append({"prompt": prompt, "completion": content_of(text), "label": good})
    return rows


def read_unpaired(rows: Sequence[Row], unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    """Each prompt's first good answer against its first bad one, the second against the second, and so on.

    Answers without a counterpart are left out and noted.

    Raises:
      UserError: a row lacks a column, or its label is neither true nor false.
    """
    waiting: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for place, row in places(rows):
        prompt, text = (text_of(value(row, name, place), place) for name in ("prompt", "completion"))
        good = _is_good(value(row, "label", place), place)
        if others := waiting[prompt, not good]:
            other = others.pop(0)
            pair = sorted([text, other])
            yield judgement(place, unsaid, prompt, pair, "a" if (pair[0] == text) == good else "b")
        else:
            waiting[prompt, good].append(text)
    for (_, good), texts in waiting.items():
        if texts:
            notes.left_out[f"{'good' if good else 'bad'} answers without a counterpart for their prompt"] += len(texts)


def _is_good(label: Any, place: str) -> bool:
    written = str(label).lower()  # CSV knows words only
    if written not in ("true", "false", "1", "0"):
        raise UserError(f"{place}: label is {label!r:.40}, neither true nor false")
    return written in ("true", "1")
