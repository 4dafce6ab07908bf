"""Data sets in TRL's column formats, checked row by row.

`training.dataset_files.read_rows` gives rows as they are; here `texts`, `prompts`, `prompt_completions`,
`preferences`, `unpaired` and `scored` check their columns. Prompts and completions are strings or lists of chat
messages.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from foolsgold.errors import UserError
from foolsgold.policies.messages import Text, is_messages
from foolsgold.training.implicit_prompts import shared_prompt

_REWARDS_OWN = ("prompt", "completion", "completion_ids")
"""Columns that TRL does not hand to rewards, which get these three from the policy."""


@dataclass(frozen=True)
class PromptRow:
    """A prompt to answer, and what its reward must know."""

    prompt: Text
    columns: dict[str, Any]
    """The row's further columns, such as the right answer."""


@dataclass(frozen=True)
class PromptCompletionRow:
    """A prompt and the answer to imitate."""

    prompt: Text
    completion: Text


@dataclass(frozen=True)
class PreferenceRow:
    """A prompt and two answers, the first of which was preferred."""

    prompt: Text
    chosen: Text
    rejected: Text
    margin: float | None = None
    """How much better the chosen answer is, in nats of log-odds; None when not asked for."""
    probability: float = 1.0
    """Share of raters who prefer the chosen answer, from 0 to 1; a tie is 0.5."""


@dataclass(frozen=True)
class UnpairedRow:
    """A prompt, an answer, and whether it was found good."""

    prompt: Text
    completion: Text
    label: bool


@dataclass(frozen=True)
class ScoredRow:
    """A prompt, an answer, and the score it got."""

    prompt: Text
    completion: Text
    score: float


Row = PromptRow | PromptCompletionRow | PreferenceRow | UnpairedRow | ScoredRow


def columns_of(row: Row) -> dict[str, Any]:
    """The row as TRL's columns, for `write_jsonl`; what says nothing, such as a margin of None, is left out."""
    if isinstance(row, PromptRow):
        return {"prompt": row.prompt, **row.columns}
    named = [(field, getattr(row, field.name)) for field in dataclasses.fields(row)]
    return {field.name: value for field, value in named if value != field.default}


def texts(rows: Sequence[Mapping[str, Any]]) -> list[Text]:
    """Language modelling: column `text`, or `messages`.

    Raises:
      UserError: a row has neither. Here and below it names the file, the row and the columns.
    """
    return [row.text("messages" if row.has("messages") else "text") for row in _checked(rows, "text or messages")]


def prompts(rows: Sequence[Mapping[str, Any]]) -> list[PromptRow]:
    """Prompt only: column `prompt`; rewards get all others.

    Raises:
      UserError: see `texts`.
    """
    return [
        PromptRow(row.text("prompt"), {name: value for name, value in row.columns.items() if name not in _REWARDS_OWN})
        for row in _checked(rows, "prompt")
    ]


def keyword_lists(rows: Sequence[PromptRow]) -> dict[str, list[Any]]:
    """The further columns of B prompts as rewards get them, `[B]` each; None where a row has no such column."""
    names = dict.fromkeys(name for row in rows for name in row.columns)
    return {name: [row.columns.get(name) for row in rows] for name in names}


def prompt_completions(rows: Sequence[Mapping[str, Any]]) -> list[PromptCompletionRow]:
    """Prompt and completion: columns `prompt` and `completion`.

    Raises:
      UserError: see `texts`.
    """
    return [PromptCompletionRow(*row.answered("completion")) for row in _checked(rows, "prompt, completion")]


def unpaired(rows: Sequence[Mapping[str, Any]]) -> list[UnpairedRow]:
    """Unpaired preference: columns `prompt`, `completion` and `label` (true or false).

    Raises:
      UserError: see `texts`.
    """
    return [
        UnpairedRow(*row.answered("completion"), row.label("label"))
        for row in _checked(rows, "prompt, completion, label")
    ]


def scored(rows: Sequence[Mapping[str, Any]]) -> list[ScoredRow]:
    """Columns `prompt`, `completion` and `score`, a finite number.

    Raises:
      UserError: see `texts`.
    """
    return [
        ScoredRow(*row.answered("completion"), row.number("score"))
        for row in _checked(rows, "prompt, completion, score")
    ]


def preferences(rows: Sequence[Mapping[str, Any]]) -> list[PreferenceRow]:
    """Preference: columns `prompt`, `chosen`, `rejected`.

    Without `prompt`, or with a plain one beside dialogues of messages, it is what chosen and rejected begin with; see
    `shared_prompt`. Where there is a column `margin` it is read, and so is how sure the preference is: `probability`,
    or how many raters took each side, `chosen_count`, `rejected_count` and, where ties were allowed, `tie_count`.

    Raises:
      UserError: see `texts`.
    """
    return [_preference(row) for row in _checked(rows, "prompt (or dialogues that begin alike), chosen, rejected")]


def _preference(row: _Row) -> PreferenceRow:
    chosen, rejected = row.text("chosen"), row.text("rejected")
    prompt = None if row.columns.get("prompt") is None else row.text("prompt")
    if prompt is None or (isinstance(prompt, str) and not isinstance(chosen, str)):
        try:
            prompt, chosen, rejected = shared_prompt(chosen, rejected)
        except ValueError as error:
            row.fail(str(error))
    elif isinstance(prompt, str) and not isinstance(rejected, str):
        row.fail("one of chosen and rejected is text, the other a list of messages")
    margin = row.number("margin") if row.has("margin") else None
    return PreferenceRow(prompt, chosen, rejected, margin, _probability(row))


def _probability(row: _Row) -> float:
    if row.has("probability"):
        probability = row.number("probability")
        if not 0 <= probability <= 1:
            row.fail(f"probability is {probability}; it goes from 0 to 1")
        return probability
    if not row.has("chosen_count"):
        return 1.0
    won, lost = row.number("chosen_count"), row.number("rejected_count")
    tied = row.number("tie_count") if row.has("tie_count") else 0.0
    if min(won, lost, tied) < 0 or won + lost + tied == 0:
        row.fail(f"{won:g} raters for, {lost:g} against and {tied:g} undecided are no judgement")
    return (won + tied / 2) / (won + lost + tied)


@dataclass(frozen=True)
class _Row:
    """One row, whose columns are checked as they are taken."""

    columns: Mapping[str, Any]
    place: str
    wanted: str

    def fail(self, problem: str) -> NoReturn:
        raise UserError(f"{self.place}: {problem} (columns found: {', '.join(self.columns)}; wanted: {self.wanted})")

    def has(self, name: str) -> bool:
        """Empty cells of CSV and Parquet are no values."""
        return self.columns.get(name) not in (None, "")

    def text(self, name: str) -> Text:
        value = self.columns.get(name)
        if value is None:
            self.fail(f"{name!r} is missing")
        if not isinstance(value, str) and not is_messages(value):
            self.fail(f"{name!r} is neither a string nor a list of messages with a role")
        return value

    def answered(self, name: str) -> tuple[Text, Text]:
        prompt, completion = self.text("prompt"), self.text(name)
        if isinstance(prompt, str) and not isinstance(completion, str):
            self.fail(f"prompt is text and {name} a list of messages")
        return prompt, completion

    def number(self, name: str) -> float:
        value = self.columns.get(name)
        try:
            number = float(value)  # type: ignore[arg-type]  # what is no number raises
        except (TypeError, ValueError):
            self.fail(f"{name!r} is missing" if value in (None, "") else f"{name} is {value!r:.40}, not a number")
        if not math.isfinite(number):
            self.fail(f"{name} is {number}, not a finite number")
        return number

    def label(self, name: str) -> bool:
        value = self.columns.get(name)
        if value in (None, ""):
            self.fail(f"{name!r} is missing")
        written = value.lower() if isinstance(value, str) else value  # in CSV everything is written
        if written not in (True, False, "true", "false", "1", "0"):
            self.fail(f"{name} is {value!r:.40}, neither true nor false")
        return written in (True, "true", "1")


def _checked(rows: Sequence[Mapping[str, Any]], wanted: str) -> Iterator[_Row]:
    source = getattr(rows, "source", "data set")
    return (_Row(row, f"{source}, row {i}", wanted) for i, row in enumerate(rows, start=1))
