"""Stores of format 1, as that format's program wrote them, opened by this one."""

import sqlite3
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from foolsgold.labels import schema
from foolsgold.labels.labelling import Labelling, Pair
from foolsgold.labels.store import Comparison, open_store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORMAT_1 = """
CREATE TABLE foolsgold_store (
    id INTEGER NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (id), CONSTRAINT one_row CHECK (id = 1));
CREATE TABLE raters (name TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE prompts (key BLOB NOT NULL, content TEXT NOT NULL, PRIMARY KEY (key));
CREATE TABLE candidates (
    key BLOB NOT NULL, prompt_key BLOB NOT NULL, content TEXT NOT NULL, source TEXT, PRIMARY KEY (key),
    FOREIGN KEY(prompt_key) REFERENCES prompts (key));
CREATE TABLE comparisons (
    id {serial} NOT NULL, key BLOB NOT NULL, prompt_key BLOB NOT NULL, a_key BLOB NOT NULL, b_key BLOB NOT NULL,
    preferred TEXT NOT NULL, rater TEXT NOT NULL, created TEXT NOT NULL, seconds FLOAT, source TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_preference CHECK (preferred IN ('a', 'b', 'tie', 'skipped')),
    UNIQUE (key),
    FOREIGN KEY(prompt_key) REFERENCES prompts (key),
    FOREIGN KEY(a_key) REFERENCES candidates (key),
    FOREIGN KEY(b_key) REFERENCES candidates (key),
    FOREIGN KEY(rater) REFERENCES raters (name));
INSERT INTO foolsgold_store VALUES (1, 1);
INSERT INTO raters VALUES ('amateur');
INSERT INTO prompts VALUES ({p}, 'Who stands better?');
INSERT INTO candidates VALUES ({a}, {p}, 'X.O', '{{"policy": "net-3"}}'), ({b}, {p}, 'O.X', NULL);
INSERT INTO comparisons VALUES
    (7, {k1}, {p}, {a}, {b}, 'a', 'amateur', '2026-03-01T12:00:00.000000+00:00', 2.5, '"alphago"'),
    (9, {k2}, {p}, {a}, {b}, 'skipped', 'amateur', '2026-03-01T12:00:01.000000+00:00', NULL, '"alphago"');
"""
KEYS = {"p": "11", "a": "aa", "b": "bb", "k1": "c1", "k2": "c2"}
STORED = Comparison("Who stands better?", "X.O", "O.X", "a", "amateur", NOON, "alphago", {"policy": "net-3"}, None, 2.5)


def write_format_1(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    if engine.dialect.name == "sqlite":
        script = FORMAT_1.format(serial="INTEGER", **{name: f"x'{key * 16}'" for name, key in KEYS.items()})
    else:
        script = FORMAT_1.format(serial="SERIAL", **{name: rf"'\x{key * 16}'" for name, key in KEYS.items()})
        script = script.replace("BLOB", "BYTEA") + "SELECT setval('comparisons_id_seq', 9);\n"
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def columns_of(url: str) -> dict[str, list[tuple]]:
    """Each table's columns: name, type, whether it may be null."""
    inspector = sa.inspect(sa.create_engine(url, poolclass=sa.NullPool))
    return {
        table: [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)]
        for table in inspector.get_table_names()
    }


def test_a_store_of_format_1_keeps_its_judgements_and_takes_new_ones(url):
    write_format_1(url)
    with open_store(url) as store:
        assert list(store.comparisons()) == [STORED]
        assert [entry.choice for entry in store.history()] == ["a", "skipped"]
        newer = Comparison("Who stands better?", "X.O", "O.X", "both_bad", "amateur", NOON, "alphago")
        store.add(newer)
        labelling = Labelling.create(store, "boards", "Who stands better?")
        labelling.add_pairs([Pair("Who stands better?", "X.O", "O.X")])
        assert labelling.next_place("amateur").pair_id == 1
    with open_store(url) as store:  # once more: nothing left to do
        assert [comparison.preferred for comparison in store.comparisons()] == ["a", "both_bad"]


def test_migrated_and_new_stores_have_the_same_tables(new_store_url):
    migrated, new = new_store_url(), new_store_url()
    write_format_1(migrated)
    open_store(migrated).close()
    open_store(new).close()
    expected = columns_of(new)
    found = columns_of(migrated)
    found.pop("alembic_version")
    assert found == expected
    with sa.create_engine(migrated, poolclass=sa.NullPool).connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), schema.schema)
    # Comments stand in the program; what a database knows of them does not matter.
    kinds = [entry[0][0] if isinstance(entry, list) else entry[0] for entry in differences]
    assert [kind for kind in kinds if kind != "modify_comment"] == []


def test_the_migration_checks_as_new_stores_do(url):
    write_format_1(url)
    with open_store(url) as store:
        store.add(STORED)
        for column, value in (("preferred", "'c'"), ("strength", "4"), ("planted", "'x'"), ("project_id", "99")):
            with pytest.raises(sa.exc.IntegrityError), store.database.writing() as connection:
                connection.exec_driver_sql(f"UPDATE comparisons SET {column} = {value}")


def test_a_migration_that_fails_leaves_the_old_store(tmp_path):
    path = tmp_path / "comparisons.sqlite"
    write_format_1(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE retractions (mine TEXT)")
        before = list(connection.iterdump())
    connection.close()
    with pytest.raises(Exception, match="retractions"):
        open_store(path)
    with sqlite3.connect(path) as connection:
        assert list(connection.iterdump()) == before
    connection.close()
