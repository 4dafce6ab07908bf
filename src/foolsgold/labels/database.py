"""The database behind a comparison store: opened, brought to the present format, read and written.

One SQLite file, or any PostgreSQL database by its URL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url

from foolsgold.errors import UserError
from foolsgold.labels import schema
from foolsgold.labels.schema import SCHEMA_VERSION

WAIT = 60.0
"""Seconds a SQLite writer waits for another process before it gives up."""
_SCHEMA_LOCK = 0x666F6F6C
"""PostgreSQL's advisory lock of those who make or change the tables."""


class Database:
    """Connections to one store; threads and processes may share it."""

    def __init__(self, engine: Engine, name: str):
        self._engine = engine
        self.name = name
        self.is_sqlite = engine.dialect.name == "sqlite"
        # SQLite takes one writer at a time and lets the others sleep and try again; threads can queue instead.
        self._turn: AbstractContextManager = Lock() if self.is_sqlite else nullcontext()
        self._log: _Log | None = None
        with self._errors_named(), engine.connect() as connection:
            version = self._version(connection)
            path = Path(engine.url.database or ":memory:")
            if self.is_sqlite and path.exists() and connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal":
                self._log = _Log(path.with_name(f"{path.name}-wal"))
        if version != SCHEMA_VERSION:
            self._bring_up_to_date()

    @contextmanager
    def reading(self, batch: int | None = None) -> Iterator[Connection]:
        """A connection to read with.

        Args:
          batch: rows fetched at a time, where a result may be larger than memory.
        """
        with self._errors_named(), self._engine.connect() as connection:
            yield connection if batch is None else connection.execution_options(yield_per=batch)

    @contextmanager
    def writing(self, durable: bool = True, checked: bool = True) -> Iterator[Connection]:
        """A transaction, undone where the block raises.

        On SQLite nobody else writes from its first statement on; on PostgreSQL rows have to be locked.

        Args:
          durable: it is on disk when the block ends. Else a power cut may undo it, though no killed process does, and
            it never waits for the disk.
          checked: SQLite looks up what each row refers to; not worth its time for rows that come with all of that.
        """
        with self._errors_named():
            with self._turn, self._engine.connect() as connection:
                if self.is_sqlite:
                    waits = durable and self._log is None
                    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if waits else 'NORMAL'}")
                    connection.exec_driver_sql(f"PRAGMA foreign_keys = {'ON' if checked else 'OFF'}")
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                elif not durable:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                yield connection
                connection.commit()
            if durable and self._log is not None:
                self._log.to_disk()

    def insert(self, connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> int:
        """Insert rows that all have the same columns; those that are there already are left as they are.

        The driver's own executemany: SQLAlchemy's handling of each row would double the time.

        Returns:
          How many rows were new.
        """
        insert = sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)
        statement = insert.on_conflict_do_nothing().inline()
        compiled = statement.compile(dialect=self._engine.dialect, column_keys=list(rows[0]))
        return connection.exec_driver_sql(str(compiled), rows).rowcount

    def close(self) -> None:
        """Give the file or the connections back."""
        self._engine.dispose()

    def _bring_up_to_date(self) -> None:
        with self.writing() as connection:  # two processes may meet at a new or an old file
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            version = self._version(connection)
            if version is None:
                schema.schema.create_all(connection)
                connection.execute(sa.insert(schema.store).values(id=1, version=SCHEMA_VERSION))
            elif version < SCHEMA_VERSION:
                from foolsgold.labels.migrations import upgrade  # alembic takes long to import and is rarely needed

                upgrade(connection, version)

    def _version(self, connection: Connection) -> int | None:
        """The stored format, None where there are no tables yet."""
        tables = sa.inspect(connection).get_table_names()
        if schema.store.name in tables:
            version = connection.scalar(sa.select(schema.store.c.version)) or 0
            if not 1 <= version <= SCHEMA_VERSION:
                raise UserError(
                    f"{self.name} is a comparison store of format {version}, but this foolsgold reads formats 1 to "
                    f"{SCHEMA_VERSION}; open it with the foolsgold that wrote it"
                )
            return version
        if set(tables) & set(schema.schema.tables) or (tables and self.is_sqlite):
            raise UserError(f"{self.name} holds another program's tables; name a new file or an empty database")
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
            raise UserError(f"comparison store {self.name}: {reason}") from error
        except OSError as error:
            raise UserError(f"comparison store {self.name}: {error.strerror or error}") from error


class _Log:
    """SQLite's write-ahead log, which one fsync takes to the disk for all who have committed to it.

    With synchronous = FULL each commit would wait for a disk of its own before the next one may begin. Syncing after
    the commit is as safe, as long as nothing is acknowledged before: what is in the log is replayed, and SQLite itself
    syncs before it folds the log into the file.
    """

    def __init__(self, path: Path):
        self._path = path
        self._counting, self._syncing = Lock(), Lock()
        self._committed = self._synced = 0

    def to_disk(self) -> None:
        """Returns when all that was committed before the call is on disk."""
        with self._counting:
            self._committed += 1
            mine = self._committed
        with self._syncing:
            if self._synced >= mine:  # somebody who came before synced for all who waited
                return
            up_to = self._committed
            descriptor = os.open(self._path, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._synced = up_to


def open_database(path_or_url: str | Path) -> Database:
    """See `foolsgold.labels.store.open_store`."""
    url = _url(path_or_url)
    backend = url.get_backend_name()
    name = (url.database or ":memory:") if backend == "sqlite" else url.render_as_string(hide_password=True)
    if backend not in ("sqlite", "postgresql"):
        raise UserError(f"{name} is neither SQLite nor PostgreSQL; give a file or a URL such as postgresql://host/name")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        if backend == "sqlite":
            engine = sa.create_engine(url, paramstyle="named", connect_args={"timeout": WAIT})
            sa.event.listen(engine, "connect", _set_up_sqlite)
        else:
            engine = sa.create_engine(url)
    except ImportError as error:
        raise UserError(f"{name} needs the Python package {error.name}; install foolsgold[postgresql]") from error
    try:
        return Database(engine, name)
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
    # WAL: readers and one writer work side by side; its log may grow to 40 MB, so that who has to fold it into the file
    # is one commit in hundreds.
    for pragma in ("journal_mode = WAL", "wal_autocheckpoint = 10000", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}")
