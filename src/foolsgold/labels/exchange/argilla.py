"""Argilla's records: what people answered to a ranking question or a label question about two or more texts.

Argilla 2 writes them nested (`records.to_json`) or as columns (`records.to_datasets`); Argilla 1 as feedback records.
All three are read; the nested form of Argilla 2 is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any
from uuid import UUID, uuid5

from foolsgold.labels.comparison import Comparison, Preferred
from foolsgold.labels.exchange.rows import Notes, Row, Unsaid, judgement, places, prompt_of, text_of, value
from foolsgold.labels.exchange.wide import MEANINGS

QUESTION = "preference"
FIELDS = ("response_a", "response_b")
_LABELS = {"a": FIELDS[0], "b": FIELDS[1], "tie": "tie", "both_bad": "both_bad"}
_RATERS = UUID("6f0f3c0c-6d0b-5a52-9d0e-1b8d1e3a7c55")
"""Namespace of the users that raters become."""

Answer = tuple[str, Any, Any]
"""(question, user, value)"""


def write_argilla(comparisons: Iterable[Comparison], notes: Notes) -> list[dict[str, Any]]:
    """One record a pair: fields prompt, response_a and response_b, and the label question `preference`.

    Its labels are the two fields' names, tie and both_bad; a rating question `strength` goes from 1 to 3. Argilla knows
    users by UUID: other names are hashed into one, and the metadata `raters` tells them.
    """
    records: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for comparison in comparisons:
        notes.kept_only(comparison, ["rater", "strength"])
        user = _user(comparison.rater)
        times = 0  # a user answers a record once, so who judged a pair again does so in another record of it
        while (key := (comparison.prompt, comparison.a, comparison.b, times)) in records and _answered(
            records[key], user
        ):
            times += 1
        record = records.setdefault(key, _record(comparison, len(records)))
        answers = {QUESTION: _LABELS[comparison.preferred], "strength": comparison.strength}
        for question, answer in answers.items():
            if answer is not None:
                told = {"value": answer, "user_id": user, "status": "submitted"}
                record["responses"].setdefault(question, []).append(told)
        if user != comparison.rater:
            record["metadata"]["raters"][user] = comparison.rater
    for record in records.values():
        # Metadata are plain values in Argilla.
        names = record["metadata"].pop("raters")
        record["metadata"] |= {"raters": json.dumps(names, ensure_ascii=False)} if names else {}
    return list(records.values())


def _record(comparison: Comparison, number: int) -> dict[str, Any]:
    fields = {"prompt": comparison.prompt, FIELDS[0]: comparison.a, FIELDS[1]: comparison.b}
    empty: dict[str, Any] = {"suggestions": {}, "vectors": {}}
    return {"id": str(number), "fields": fields, "metadata": {"raters": {}}, "responses": {}, **empty}


def _answered(record: Row, user: str) -> bool:
    return any(answer["user_id"] == user for answer in record["responses"][QUESTION])


def _user(rater: str) -> str:
    try:
        return rater if str(UUID(rater)) == rater else str(uuid5(_RATERS, rater))
    except ValueError:
        return str(uuid5(_RATERS, rater))


def read_argilla(rows: Sequence[Row], unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    """Submitted answers as comparisons; of an order of several texts, each two of them.

    A ranking's and a label's values are the names of fields, as Argilla's own guides have it; `unsaid.a` and `unsaid.b`
    name the fields where labels are such as a and b.

    Raises:
      UserError: a record has no texts, or an answer names none of them.
    """
    for place, row in places(rows):
        fields = row["fields"] if isinstance(row.get("fields"), dict) else row
        answers = list(_answers(row, notes))
        metadata = row.get("metadata") if isinstance(row.get("metadata"), dict) else row
        names = _names((metadata or {}).get("raters"))
        strengths = {user: told for question, user, told in answers if question == "strength"}
        for question, user, told in answers:
            if question == "strength":
                continue
            pairs = list(_preferences(told, fields, unsaid))
            if not pairs:
                notes.left_out[f"answers to the question {question!r} compare nothing"] += 1
                continue
            rater = None if user is None else names.get(str(user), str(user))
            for a, b, preferred in pairs:
                texts = [text_of(value(fields, name, place), place) for name in (a, b)]
                strength = strengths.get(user) if len(pairs) == 1 and preferred in ("a", "b") else None
                about = {"rater": rater, "strength": strength}
                yield judgement(place, unsaid, prompt_of(fields, unsaid, place), texts, preferred, **about)


def _names(written: Any) -> dict[str, str]:
    try:
        names = json.loads(written or "{}")
    except (TypeError, ValueError):
        return {}
    return names if isinstance(names, dict) else {}


def _answers(row: Row, notes: Notes) -> Iterator[Answer]:
    """Submitted answers of a record, in whichever of the forms it is."""
    for question, user, status, told in _all_answers(row):
        if status in (None, "submitted"):
            yield question, user, told
        else:
            notes.left_out[f"answers are {status}"] += 1


def _all_answers(row: Row) -> Iterator[tuple[str, Any, Any, Any]]:
    """(question, user, status, value)"""
    responses = row.get("responses")
    if isinstance(responses, Mapping):  # Argilla 2, nested
        for question, given in responses.items():
            for each in given or []:
                yield question, each.get("user_id"), each.get("status"), each.get("value")
    elif isinstance(responses, list):  # Argilla 1
        for each in responses:
            for question, answer in (each.get("values") or {}).items():
                yield question, each.get("user_id"), each.get("status"), answer.get("value")
    else:
        for column, given in row.items():
            if column.endswith(".responses") and given:  # Argilla 2, columns
                nothing = [None] * len(given)
                users, statuses = (row.get(f"{column}.{name}") or nothing for name in ("users", "status"))
                for told, user, status in zip(given, users, statuses, strict=True):
                    yield column.removesuffix(".responses"), user, status, told


def _preferences(told: Any, fields: Row, unsaid: Unsaid) -> Iterator[tuple[str, str, Preferred]]:
    """(field a, field b, preferred) for each two texts that an answer compares."""
    if isinstance(told, str):
        yield from _labelled(told, fields, unsaid)
        return
    if isinstance(told, dict) and "rank" in told:  # columns of Argilla 1
        told = [{"value": name, "rank": rank} for name, rank in zip(told["value"], told["rank"], strict=True)]
    if not isinstance(told, list):
        return
    order = [each if isinstance(each, dict) else {"value": each} for each in told]
    ranks = {each.get("value"): each.get("rank") or i for i, each in enumerate(order, start=1)}
    for a, b in combinations([name for name in fields if name in ranks], 2):
        yield a, b, "tie" if ranks[a] == ranks[b] else "a" if ranks[a] < ranks[b] else "b"


def _labelled(label: str, fields: Row, unsaid: Unsaid) -> Iterator[tuple[str, str, Preferred]]:
    texts = [name for name in fields if name.startswith(("response", "answer", "completion", "text"))]
    a, b = (unsaid.a, unsaid.b) if unsaid.a and unsaid.b else texts[:2] if len(texts) == 2 else (None, None)
    preferred = {a: "a", b: "b"}.get(label, MEANINGS.get(label.lower()))
    if a is not None and b is not None and preferred is not None:
        yield a, b, preferred  # type: ignore[misc]
