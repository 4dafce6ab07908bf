import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from foolsgold.errors import UserError
from foolsgold.labels import schema
from foolsgold.labels.database import open_database


@pytest.fixture
def syncs(monkeypatch):
    """When each fsync began and ended; every one takes 20 ms."""
    made, fsync = [], os.fsync

    def slow(descriptor):
        begun = time.monotonic()
        time.sleep(0.02)
        fsync(descriptor)
        made.append((begun, time.monotonic()))

    monkeypatch.setattr(os, "fsync", slow)
    return made


def write(database, name: str) -> tuple[float, float]:
    """When the row had been written and when its transaction was over."""
    with database.writing() as connection:
        database.insert(connection, schema.raters, [{"name": name}])
        written = time.monotonic()
    return written, time.monotonic()


def test_who_writes_waits_for_a_sync_that_began_after_it(tmp_path, syncs):
    database = open_database(tmp_path / "store.sqlite")
    syncs.clear()
    with ThreadPoolExecutor(8) as threads:
        transactions = list(threads.map(lambda i: write(database, str(i)), range(40)))
    for written, over in transactions:
        assert any(written <= begun and ended <= over for begun, ended in syncs)
    assert len(syncs) < len(transactions)  # and they share them
    database.close()


def test_what_need_not_last_waits_for_none(tmp_path, syncs):
    database = open_database(tmp_path / "store.sqlite")
    syncs.clear()
    with database.writing(durable=False) as connection:
        database.insert(connection, schema.raters, [{"name": "anna"}])
    assert syncs == []
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT name FROM raters").scalar() == "anna"
    database.close()


def test_a_transaction_that_raises_leaves_nothing(url):
    database = open_database(url)

    def interrupted():
        with database.writing() as connection:
            database.insert(connection, schema.raters, [{"name": "anna"}])
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="power"):
        interrupted()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM raters").scalar() == 0
    database.close()


def test_a_disk_that_refuses_to_sync_is_told_in_a_line(tmp_path, monkeypatch):
    database = open_database(tmp_path / "store.sqlite")

    def broken(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(UserError, match=r"store\.sqlite: Input/output error"):
        write(database, "anna")
    database.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"], ids=["unnamed", "named"])
def test_a_store_in_memory(url):
    database = open_database(url)
    write(database, "anna")
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT name FROM raters").scalar() == "anna"
    database.close()
