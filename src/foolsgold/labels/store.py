"""The comparison store: people's judgements, committed before they are acknowledged.

One SQLite file, or any PostgreSQL database by its URL. Prompts, candidates and comparisons are named by a hash of
their content: what is submitted twice is stored once, and writers need not look anything up or agree on numbers.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url

from foolsgold.errors import UserError

SCHEMA_VERSION = 1
CHUNK = 5000
"""Comparisons in one transaction of `add_many`."""
WAIT = 60.0
"""Seconds a SQLite writer waits for another one before it gives up."""
KEY_BYTES = 16

Preferred = Literal["a", "b", "tie"]
Source = str | dict[str, Any]
"""Where something comes from: a name, or what JSON can hold, such as {"policy": …, "checkpoint": …, "seed": …}."""


@dataclass(frozen=True)
class Comparison:
    """One judgement: a rater saw two candidates for a prompt and preferred one of them.

    Raises:
      ValueError: `preferred` is unknown, `created` has no time zone, or a text has no UTF-8 form.
    """

    prompt: str
    a: str
    """The candidate shown first."""
    b: str
    """The candidate shown second."""
    preferred: Preferred
    rater: str
    created: datetime
    """When the rater decided, with a time zone; kept in UTC, to the microsecond."""
    source: Source
    """What asked for the judgement."""
    source_a: Source | None = None
    """What wrote candidate a: policy, checkpoint, seed."""
    source_b: Source | None = None
    """What wrote candidate b."""
    seconds: float | None = None
    """Time the rater spent, in seconds; None when not measured."""

    def __post_init__(self) -> None:
        if self.preferred not in get_args(Preferred):
            raise ValueError(f"preferred is {self.preferred!r}; choose one of {', '.join(get_args(Preferred))}")
        if self.created.utcoffset() is None:
            raise ValueError(f"created {self.created} has no time zone; give one, such as datetime.now(UTC)")
        object.__setattr__(self, "created", self.created.astimezone(UTC))
        for name in ("prompt", "a", "b", "rater"):
            try:
                getattr(self, name).encode()
            except UnicodeEncodeError as error:
                raise ValueError(f"{name} holds half a character (a lone surrogate): {error}") from None

    @property
    def key(self) -> bytes:
        """`[16]` bytes naming this judgement, the same on every machine.

        Who preferred which of two texts when; a retry that differs in its sources or the time spent is no new one.
        """
        return _key(self.prompt, self.a, self.b, self.preferred, self.rater, _iso(self.created))


def _key(*texts: str) -> bytes:
    """Hash of `texts`; their lengths go in, so that no two ways to cut the same string collide."""
    framed = "".join([f"{len(text)}:{text}" for text in texts])
    return blake2b(framed.encode(), digest_size=KEY_BYTES).digest()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


_schema = sa.MetaData()
_Key = sa.LargeBinary(KEY_BYTES)

_store = sa.Table(
    "foolsgold_store",
    _schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
)
_raters = sa.Table(
    "raters",
    _schema,
    sa.Column("name", sa.Text, primary_key=True),
)
_prompts = sa.Table(
    "prompts",
    _schema,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
)
_candidates = sa.Table(
    "candidates",
    _schema,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("prompt_key", _Key, sa.ForeignKey("prompts.key"), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("source", sa.Text, comment="JSON"),
)
_comparisons = sa.Table(
    "comparisons",
    _schema,
    sa.Column("id", sa.Integer, primary_key=True, comment="order of arrival"),
    sa.Column("key", _Key, nullable=False, unique=True),
    sa.Column("prompt_key", _Key, sa.ForeignKey("prompts.key"), nullable=False),
    sa.Column("a_key", _Key, sa.ForeignKey("candidates.key"), nullable=False),
    sa.Column("b_key", _Key, sa.ForeignKey("candidates.key"), nullable=False),
    sa.Column("preferred", sa.Text, nullable=False),
    sa.Column("rater", sa.Text, sa.ForeignKey("raters.name"), nullable=False),
    sa.Column("created", sa.Text, nullable=False, comment="ISO 8601, UTC, to the microsecond"),
    sa.Column("seconds", sa.Float),
    sa.Column("source", sa.Text, nullable=False, comment="JSON"),
    # A rater may decline to judge; such rows are kept but are no comparisons.
    sa.CheckConstraint("preferred IN ('a', 'b', 'tie', 'skipped')", name="known_preference"),
)
_JUDGED = _comparisons.c.preferred != "skipped"


class ComparisonStore:
    """Comparisons on disk; open it with `open_store`. Several processes may write to one store at once."""

    def __init__(self, engine: Engine, name: str):
        self._engine = engine
        self._name = name
        with self._errors_named():
            self._check_schema()

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
            with self._errors_named(), self._engine.begin() as connection:
                for table, values in rows.items():
                    connection.exec_driver_sql(_insert_sql(table, tuple(values[0]), self._engine.dialect), values)

    def comparisons(self, rater: str | None = None, limit: int | None = None) -> Iterator[Comparison]:
        """Comparisons in their order of arrival, as they stood when the iteration began.

        Args:
          rater: only this rater's.
          limit: at most so many.
        """
        a, b = _candidates.alias("a"), _candidates.alias("b")
        c = _comparisons.c
        query = (
            sa.select(
                _prompts.c.content, a.c.content, b.c.content, c.preferred, c.rater, c.created,
                c.source, a.c.source, b.c.source, c.seconds,
            )
            .join_from(_comparisons, _prompts)
            .join(a, a.c.key == c.a_key)
            .join(b, b.c.key == c.b_key)
            .where(_JUDGED)
            .order_by(c.id)
            .limit(limit)
        )  # fmt: skip
        if rater is not None:
            query = query.where(c.rater == rater)
        with self._errors_named(), self._engine.connect().execution_options(yield_per=1000) as connection:
            for prompt, text_a, text_b, preferred, who, created, *sources, seconds in connection.execute(query):
                source, source_a, source_b = (json.loads(text or "null") for text in sources)
                moment = datetime.fromisoformat(created)
                yield Comparison(prompt, text_a, text_b, preferred, who, moment, source, source_a, source_b, seconds)

    def __len__(self) -> int:
        """Comparisons stored, by all raters."""
        with self._errors_named(), self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(_comparisons).where(_JUDGED)) or 0

    def __bool__(self) -> bool:
        return True  # an empty store is still a store

    def close(self) -> None:
        """Give the file or the connections back."""
        self._engine.dispose()

    def __enter__(self) -> ComparisonStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _check_schema(self) -> None:
        with self._engine.connect() as connection:
            version = self._version(connection)
        if version is None:
            with self._engine.begin() as connection:
                if self._engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # two processes may meet at a new file
                version = self._version(connection)
                if version is None:
                    _schema.create_all(connection)
                    connection.execute(sa.insert(_store).values(id=1, version=SCHEMA_VERSION))
                    version = SCHEMA_VERSION
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{self._name} is a comparison store of format {version}, but this foolsgold reads format "
                f"{SCHEMA_VERSION}; open it with the foolsgold that wrote it"
            )

    def _version(self, connection: Connection) -> int | None:
        """The stored schema version, None where there are no tables yet."""
        tables = sa.inspect(connection).get_table_names()
        if _store.name in tables:
            return connection.scalar(sa.select(_store.c.version))
        if set(tables) & set(_schema.tables) or (tables and self._engine.dialect.name == "sqlite"):
            raise UserError(f"{self._name} holds another program's tables; name a new file or an empty database")
        return None

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Turns what the disk or the database refuses into one line; errors of our own SQL pass."""
        try:
            yield
        except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
            raise
        except sa.exc.DatabaseError as error:
            reason = str(error.orig).strip().replace("\n", " ")
            raise UserError(f"comparison store {self._name}: {reason}") from error


def open_store(path_or_url: str | Path) -> ComparisonStore:
    """Open the comparison store in a SQLite file, or behind an SQLAlchemy URL; made new where there is none.

    Raises:
      UserError: the folder is missing, the file is no SQLite database or another program's, the store has another
        format, the database is neither SQLite nor PostgreSQL, or it cannot be reached.
    """
    url = _url(path_or_url)
    backend = url.get_backend_name()
    name = (url.database or ":memory:") if backend == "sqlite" else url.render_as_string(hide_password=True)
    if backend not in ("sqlite", "postgresql"):
        raise UserError(f"{name} is neither SQLite nor PostgreSQL; give a file or a URL such as postgresql://host/name")
    try:
        if backend == "sqlite":
            engine = sa.create_engine(url, paramstyle="named", connect_args={"timeout": WAIT})
            sa.event.listen(engine, "connect", _set_up_sqlite)
        else:
            engine = sa.create_engine(url)
    except ImportError as error:
        raise UserError(f"{name} needs the Python package {error.name}; install it") from error
    try:
        return ComparisonStore(engine, name)
    except BaseException:
        engine.dispose()
        raise


def _url(path_or_url: str | Path) -> URL:
    if "://" in str(path_or_url):
        try:
            return make_url(str(path_or_url))
        except sa.exc.ArgumentError as error:
            raise UserError(f"{path_or_url} is no database URL; one looks like postgresql://user@host/name") from error
    path = Path(path_or_url)
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it, such as {path / 'comparisons.sqlite'}")
    return URL.create("sqlite", database=str(path))


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # WAL: readers and one writer work side by side. FULL: a commit is on the disk, not only with the system.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}")


def _insert_sql(table: sa.Table, columns: tuple[str, ...], dialect: sa.Dialect) -> str:
    """Statement for the driver's own executemany; SQLAlchemy's handling of each row would double the time."""
    insert = postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
    return str(insert.on_conflict_do_nothing().inline().compile(dialect=dialect, column_keys=columns))


def _rows(chunk: list[Comparison]) -> dict[sa.Table, list[dict[str, Any]]]:
    """The rows of one transaction, parents before children, each parent once.

    Parents are sorted, so that two writers who share some never wait for each other in a circle.
    """
    raters = {comparison.rater for comparison in chunk}
    prompts: dict[bytes, str] = {}
    candidates: dict[bytes, dict[str, Any]] = {}
    comparisons = []
    prompt_key = functools.cache(_key)

    def candidate(prompt: bytes, content: str, source: Source | None) -> bytes:
        text = None if source is None else _json(source)
        key = _key(prompt.hex(), content, text or "")
        candidates[key] = {"key": key, "prompt_key": prompt, "content": content, "source": text}
        return key

    for comparison in chunk:
        prompt = prompt_key(comparison.prompt)
        prompts[prompt] = comparison.prompt
        comparisons.append(
            {
                "key": comparison.key,
                "prompt_key": prompt,
                "a_key": candidate(prompt, comparison.a, comparison.source_a),
                "b_key": candidate(prompt, comparison.b, comparison.source_b),
                "preferred": comparison.preferred,
                "rater": comparison.rater,
                "created": _iso(comparison.created),
                "seconds": comparison.seconds,
                "source": _json(comparison.source),
            }
        )
    return {
        _raters: [{"name": name} for name in sorted(raters)],
        _prompts: [{"key": key, "content": prompts[key]} for key in sorted(prompts)],
        _candidates: [candidates[key] for key in sorted(candidates)],
        _comparisons: comparisons,
    }


_json = json.JSONEncoder(sort_keys=True).encode
