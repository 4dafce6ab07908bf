"""The comparison store: people's judgements, committed before they are acknowledged.

One SQLite file, or any PostgreSQL database by its URL. Prompts, candidates and comparisons are named by a hash of
their content: what is submitted twice is stored once, and writers need not look anything up or agree on numbers.
Nothing is ever overwritten: a judgement that is taken back stays, with a retraction beside it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from foolsgold.labels import schema
from foolsgold.labels.comparison import (
    Choice,
    Comparison,
    Preferred,
    Source,
    content_key,
    iso,
    judgement_key,
    to_json,
)
from foolsgold.labels.database import Database, open_database

__all__ = ["Choice", "Comparison", "ComparisonStore", "Judgement", "Preferred", "Source", "open_store"]

CHUNK = 50_000
"""Comparisons in one transaction of `add_many`: each touches most of the index, so that few write less."""
_c = schema.comparisons.c
_IN_FORCE = ~sa.exists().where(schema.retractions.c.comparison_id == _c.id)
_JUDGED = (_c.preferred != "skipped") & _IN_FORCE


@dataclass(frozen=True)
class Judgement:
    """What a rater answered, still in force or not; see `Comparison` for the fields they share."""

    prompt: str
    a: str
    b: str
    choice: Choice
    rater: str
    created: datetime
    source: Source
    source_a: Source | None
    source_b: Source | None
    seconds: float | None
    strength: int | None
    planted: str | None
    """"check": a pair whose answer was known; "repeat": one that the rater had judged before; None: neither."""
    retracted: datetime | None
    """When it was taken back, None where it stands."""

    @property
    def key(self) -> bytes:
        """`[16]` bytes naming this judgement, the same on every machine."""
        return judgement_key(self.prompt, self.a, self.b, self.choice, self.rater, self.created)


class ComparisonStore:
    """Comparisons on disk; open it with `open_store`. Several processes may write to one store at once."""

    def __init__(self, database: Database):
        self.database = database

    def add(self, comparison: Comparison) -> None:
        """Store one comparison; it is on disk when this returns. See `add_many`."""
        self.add_many([comparison])

    def add_many(self, comparisons: Iterable[Comparison]) -> None:
        """Store comparisons; those stored before are left as they are.

        They are committed `CHUNK` at a time and all on disk when this returns. After an error, chunks already
        committed stay; submitting everything again does no harm.

        Raises:
          UserError: the disk is full, the file is read-only, or the database cannot be reached.
        """
        remaining = iter(comparisons)
        while chunk := list(islice(remaining, CHUNK)):
            rows = _rows(chunk)
            with self.database.writing(checked=False) as connection:
                for table, values in rows.items():
                    self.database.insert(connection, table, values)

    def retract(self, key: bytes, now: datetime | None = None) -> bool:
        """Take back the judgement of this key: it stays in `history` and leaves `comparisons`, for good.

        A rater who changes their mind retracts and judges again, at another moment.

        Returns:
          False where it was taken back before.

        Raises:
          KeyError: no judgement has this key.
        """
        with self.database.writing() as connection:
            found = connection.scalar(sa.select(_c.id).where(_c.key == key))
            if found is None:
                raise KeyError(key.hex())
            row = {"comparison_id": found, "created": iso(now or datetime.now(UTC))}
            return self.database.insert(connection, schema.retractions, [row]) == 1

    def comparisons(
        self, rater: str | None = None, limit: int | None = None, project: str | None = None, planted: bool = False
    ) -> Iterator[Comparison]:
        """Comparisons in force in their order of arrival, as they stood when the iteration began.

        Args:
          rater: only this rater's.
          limit: at most so many.
          project: only this labelling project's.
          planted: with attention checks and repeats, which measure raters and would count pairs twice.
        """
        which = _JUDGED if planted else _JUDGED & _c.planted.is_(None)
        query = _narrowed(_texts().where(which), rater, project).limit(limit)
        with self.database.reading(batch=1000) as connection:
            for row in connection.execute(query):
                yield Comparison(preferred=row.preferred, **_shared(row))

    def history(self, rater: str | None = None, project: str | None = None) -> Iterator[Judgement]:
        """Every judgement ever made, skips, checks and those taken back included, in their order of arrival."""
        taken_back = schema.retractions.c
        query = _texts().outerjoin(schema.retractions, taken_back.comparison_id == _c.id)
        query = _narrowed(query.add_columns(_c.planted, taken_back.created.label("retracted")), rater, project)
        with self.database.reading(batch=1000) as connection:
            for row in connection.execute(query):
                retracted = datetime.fromisoformat(row.retracted) if row.retracted else None
                yield Judgement(choice=row.preferred, planted=row.planted, retracted=retracted, **_shared(row))

    def __len__(self) -> int:
        """Comparisons in force, by all raters, without attention checks and repeats."""
        with self.database.reading() as connection:
            query = sa.select(sa.func.count()).select_from(schema.comparisons)
            return connection.scalar(query.where(_JUDGED & _c.planted.is_(None))) or 0

    def __bool__(self) -> bool:
        return True  # an empty store is still a store

    def close(self) -> None:
        """Give the file or the connections back."""
        self.database.close()

    def __enter__(self) -> ComparisonStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_store(path_or_url: str | Path) -> ComparisonStore:
    """Open the comparison store in a SQLite file, or behind an SQLAlchemy URL; made new where there is none.

    A store of an older format is brought up to date, which takes some seconds a million comparisons.

    Raises:
      UserError: the folder is missing, the file is no SQLite database or another program's, the store has a newer
        format, the database is neither SQLite nor PostgreSQL, or it cannot be reached.
    """
    return ComparisonStore(open_database(path_or_url))


def _texts() -> sa.Select:
    """Judgements with their texts and sources, in their order of arrival."""
    a, b = schema.candidates.alias("a"), schema.candidates.alias("b")
    return (
        sa.select(
            schema.prompts.c.content, a.c.content, b.c.content, _c.preferred, _c.rater, _c.created,
            _c.source, a.c.source, b.c.source, _c.seconds, _c.strength,
        )
        .join_from(schema.comparisons, schema.prompts)
        .join(a, a.c.key == _c.a_key)
        .join(b, b.c.key == _c.b_key)
        .order_by(_c.id)
    )  # fmt: skip


def _narrowed(query: sa.Select, rater: str | None, project: str | None) -> sa.Select:
    if rater is not None:
        query = query.where(_c.rater == rater)
    if project is not None:
        named = sa.select(schema.projects.c.id).where(schema.projects.c.name == project)
        query = query.where(_c.project_id == named.scalar_subquery())
    return query


def _shared(row: sa.Row) -> dict[str, Any]:
    """What comparisons and judgements have in common."""
    prompt, a, b, _, rater, created, source, source_a, source_b, seconds, strength = row[:11]
    return {
        "prompt": prompt,
        "a": a,
        "b": b,
        "rater": rater,
        "created": datetime.fromisoformat(created),
        "source": json.loads(source),
        "source_a": json.loads(source_a or "null"),
        "source_b": json.loads(source_b or "null"),
        "seconds": seconds,
        "strength": strength,
    }


def candidate_row(prompt_key: bytes, content: str, source: Source | None) -> dict[str, Any]:
    """The row of a candidate; the same text by another author is another candidate."""
    text = None if source is None else to_json(source)
    key = content_key(prompt_key.hex(), content, text or "")
    return {"key": key, "prompt_key": prompt_key, "content": content, "source": text}


def _rows(chunk: list[Comparison]) -> dict[sa.Table, list[dict[str, Any]]]:
    """The rows of one transaction, parents before children, each parent once.

    Parents are sorted, so that two writers who share some never wait for each other in a circle.
    """
    raters = {comparison.rater for comparison in chunk}
    prompts: dict[bytes, str] = {}
    candidates: dict[bytes, dict[str, Any]] = {}
    comparisons = []
    prompt_key = functools.cache(content_key)

    def candidate(prompt: bytes, content: str, source: Source | None) -> bytes:
        row = candidate_row(prompt, content, source)
        candidates[row["key"]] = row
        return row["key"]

    for comparison in chunk:
        prompt, created = prompt_key(comparison.prompt), iso(comparison.created)
        prompts[prompt] = comparison.prompt
        comparisons.append(
            {
                "key": content_key(
                    comparison.prompt, comparison.a, comparison.b, comparison.preferred, comparison.rater, created
                ),
                "prompt_key": prompt,
                "a_key": candidate(prompt, comparison.a, comparison.source_a),
                "b_key": candidate(prompt, comparison.b, comparison.source_b),
                "preferred": comparison.preferred,
                "rater": comparison.rater,
                "created": created,
                "seconds": comparison.seconds,
                "source": to_json(comparison.source),
                "strength": comparison.strength,
            }
        )
    return {
        schema.raters: [{"name": name} for name in sorted(raters)],
        schema.prompts: [{"key": key, "content": prompts[key]} for key in sorted(prompts)],
        schema.candidates: [candidates[key] for key in sorted(candidates)],
        schema.comparisons: comparisons,
    }
