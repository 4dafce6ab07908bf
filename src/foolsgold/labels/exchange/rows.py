"""What all formats share: rows with a place in a file, chats as text, and notes on what did not fit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison, Preferred, Source
from foolsgold.policies.messages import Text, is_messages

Row = Mapping[str, Any]

SWAPPED: dict[str, Preferred] = {"a": "b", "b": "a", "tie": "tie", "both_bad": "both_bad"}
"""What is preferred once a and b change places."""
_PROMPTS = ("prompt", "instruction", "question")
"""Usual names of the prompt's column."""
_ABOUT = ("rater", "created", "source", "source_a", "source_b", "seconds", "strength")
"""What a comparison tells beside its texts and the preference."""


@dataclass(frozen=True)
class Unsaid:
    """What holds for judgements whose file does not say it."""

    rater: str
    created: datetime
    """With a time zone; the same moment makes the same judgements, which the store keeps once."""
    source: Source
    prompt: tuple[str, ...] = ()
    """Columns that make up the prompt, where they do not have their usual names."""
    a: str | None = None
    """Column of the first candidate, likewise."""
    b: str | None = None
    """Column of the second candidate, likewise."""


@dataclass(frozen=True)
class Notes:
    """What a format could not hold, counted, so that nothing goes missing unsaid."""

    left_out: Counter[str] = field(default_factory=Counter)
    """Judgements or rows left out, by reason."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Judgements that lost one of their fields, by its name."""
    changed: Counter[str] = field(default_factory=Counter)
    """Judgements that stand in the file in another form, by how."""

    def kept_only(self, comparison: Comparison, kept: Sequence[str]) -> None:
        """Note which of `comparison`'s fields have no place among `kept`."""
        for name in _ABOUT:
            if name not in kept and getattr(comparison, name) is not None:
                self.dropped[name] += 1

    @property
    def lines(self) -> list[str]:
        """One line for each kind of loss; none where nothing was lost."""
        lines = [f"left out: {count:,} {reason}" for reason, count in self.left_out.items()]
        lines += [f"changed: {count:,} {how}" for how, count in self.changed.items()]
        if self.dropped:
            names = ", ".join(f"{name} ({count:,})" for name, count in self.dropped.items())
            lines.append(f"this format has no place for {names}")
        return lines


def places(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Each row with its place, such as `pairs.jsonl, row 3`."""
    source = getattr(rows, "source", "data set")
    return ((f"{source}, row {i}", row) for i, row in enumerate(rows, start=1))


def value(row: Row, name: str, place: str) -> Any:
    """A cell that must be there.

    Raises:
      UserError: it is missing.
    """
    if row.get(name) is None:
        raise UserError(f"{place} has no {name!r}; its columns are {', '.join(row)}")
    return row[name]


def text_of(content: Any, place: str) -> str:
    """Text as it is, a chat as the JSON of its messages: the store keeps text.

    Raises:
      UserError: `content` is neither.
    """
    if isinstance(content, str):
        return content
    if is_messages(content):
        return json.dumps(content, ensure_ascii=False)
    raise UserError(f"{place} holds neither text nor a list of messages, but {content!r:.60}")


def prompt_of(row: Row, unsaid: Unsaid, place: str) -> str:
    """The prompt, several columns of which are put below each other, but for empty ones.

    Raises:
      UserError: there is no such column, or it holds neither text nor messages.
    """
    names = unsaid.prompt or tuple(name for name in _PROMPTS if name in row)[:1]
    if not names:
        raise UserError(f"{place} has no prompt; its columns are {', '.join(row)}; name it with --prompt")
    return "\n\n".join(filter(None, (text_of(value(row, name, place), place) for name in names)))


def content_of(text: str) -> Text:
    """The inverse of `text_of`."""
    if text.startswith("[{"):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if is_messages(content) and json.dumps(content, ensure_ascii=False) == text:
            return content
    return text


def moment_of(written: Any, place: str) -> datetime:
    """A moment in ISO 8601; without a time zone it is UTC.

    Raises:
      UserError: it is none.
    """
    try:
        moment = datetime.fromisoformat(written)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: {written!r:.40} is no moment; write 2026-03-01T12:00:00+00:00") from error
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)


def number_of(written: Any, place: str) -> float | None:
    """A number, None for an empty cell.

    Raises:
      UserError: it is none.
    """
    if written in (None, ""):
        return None
    try:
        return float(written)
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: {written!r:.40} is no number") from error


def whole_of(written: Any, place: str) -> int | None:
    """A whole number, None for an empty cell.

    Raises:
      UserError: it is none.
    """
    number = number_of(written, place)
    if number is not None and number != int(number):
        raise UserError(f"{place}: {written!r:.40} is no whole number")
    return None if number is None else int(number)


def judgement(
    place: str, unsaid: Unsaid, prompt: str, texts: Sequence[str], preferred: Any, **about: Any
) -> Comparison:
    """A comparison of two texts, a and b; what `about` leaves out or gives as None is as `unsaid` says.

    Raises:
      UserError: a value does not fit; the message names `place`.
    """
    known = {name: told for name, told in about.items() if told is not None}
    told = {"rater": unsaid.rater, "created": unsaid.created, "source": unsaid.source, **known}
    try:
        a, b = texts
        return Comparison(prompt, a, b, preferred, **told)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error
