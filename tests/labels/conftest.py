"""Stores to test on: SQLite files, and a PostgreSQL of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

_numbers = count()


def _binaries() -> Path | None:
    found = shutil.which("pg_ctl")
    # Debian keeps them beside each other by version, off the path.
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes an empty store and returns its URL; the server is private, behind a socket in its own folder."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed (Debian: postgresql)")
    pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if user:
            shutil.chown(folder, user, user)
        run = {"user": user, "group": user, "extra_groups": []} if user else {}

        def pg(program: str, *arguments: str) -> None:
            subprocess.run(
                [binaries / program, *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60, **run
            )

        data = f"{folder}/data"
        pg("initdb", "--pgdata", data, "--username", "tests", "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        # No TCP at all; fsync guards against power cuts, which no test makes.
        settings = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=80"
        pg("pg_ctl", "start", "--wait", "--pgdata", data, "--log", f"{folder}/log", "--options", settings)
        try:
            yield lambda: _new_store(folder)
        finally:
            pg("pg_ctl", "stop", "--pgdata", data, "--mode", "immediate")


def _new_store(folder: str) -> str:
    # A schema of its own is to a store what a database is, and made in milliseconds.
    url = f"postgresql+psycopg://tests@/postgres?host={folder}"
    name = f"store{next(_numbers)}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    return f"{url}&options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_store_url(request, tmp_path) -> Callable[[], str]:
    """Names a new empty store at each call: a SQLite file, or one in PostgreSQL."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path}/store{next(_numbers)}.sqlite"
    return request.getfixturevalue("postgres")


@pytest.fixture
def url(new_store_url) -> str:
    """A new empty store."""
    return new_store_url()
