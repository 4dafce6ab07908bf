import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.labels import store as store_module
from foolsgold.labels.store import Comparison, open_store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE = Comparison("Who stands better?", "X.O", "O.X", "a", "amateur", NOON, {"study": "alphago"})


def numbered(count: int, rater: str = "amateur") -> list[Comparison]:
    return [replace(ONE, a=f"X{i}", rater=rater, created=NOON + timedelta(seconds=i)) for i in range(count)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "comparisons.sqlite"


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)  # PostgreSQL keeps no NUL
json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
sources = texts | st.dictionaries(texts, json_values, max_size=3)
comparisons = st.builds(
    Comparison,
    prompt=texts,
    a=texts,
    b=texts,
    preferred=st.sampled_from(["tie", "both_bad"]),
    rater=texts,
    created=st.datetimes(
        min_value=datetime(1900, 1, 1), timezones=st.just(UTC) | st.just(timezone(timedelta(hours=9)))
    ),
    source=sources,
    source_a=st.none() | sources,
    source_b=st.none() | sources,
    seconds=st.none() | st.floats(0, 1e6),
)
decided = st.builds(replace, comparisons, preferred=st.sampled_from("ab"), strength=st.sampled_from([None, 1, 2, 3]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(comparisons | decided, max_size=8, unique_by=lambda comparison: comparison.key))
def test_what_goes_in_comes_out(new_store_url, judged):
    url = new_store_url()
    with open_store(url) as store:
        store.add_many(judged)
    with open_store(url) as store:
        assert list(store.comparisons()) == judged
        assert len(store) == len(judged)


def test_nul_and_every_plane_of_unicode_survive(path):
    odd = replace(ONE, prompt="\0", a="before\0after", b="碁 ä a\u0308 👩\u200d🚀 \u202e", rater="\0\0")
    with open_store(path) as store:
        store.add(odd)
        assert list(store.comparisons(rater="\0\0")) == [odd]


def test_postgresql_refuses_nul_in_a_line(postgres):
    with open_store(postgres()) as store:
        with pytest.raises(UserError, match="NUL") as error:
            store.add(replace(ONE, a="before\0after"))
        one_line(error)
        store.add(ONE)
        assert list(store.comparisons()) == [ONE]


def test_the_same_comparison_counts_once(url):
    with open_store(url) as store:
        store.add_many([ONE, ONE])
        store.add(ONE)
        store.add(replace(ONE, source="a retry", seconds=3.0))
        assert list(store.comparisons()) == [ONE]


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "?"},
        {"a": "O.X", "b": "X.O"},
        {"preferred": "tie"},
        {"rater": "master"},
        {"created": NOON + timedelta(microseconds=1)},
    ],
)
def test_another_judgement_counts_again(url, changed):
    with open_store(url) as store:
        store.add_many([ONE, replace(ONE, **changed)])
        assert len(store) == 2


def test_keys_know_where_a_text_ends():
    assert replace(ONE, a="1", b="23").key != replace(ONE, a="12", b="3").key
    assert replace(ONE, a="1:", b="").key != replace(ONE, a="", b="1:").key


def test_the_key_is_the_same_on_every_machine():
    # printf '18:Who stands better?3:X.O3:O.X1:a7:amateur32:2026-03-01T12:00:00.000000+00:00' | b2sum --length=128
    assert ONE.key.hex() == "ad3ef5410fe6ee863bbe0c8769e2ac2f"
    tokyo = replace(ONE, created=NOON.astimezone(timezone(timedelta(hours=9))))
    assert tokyo == ONE
    assert tokyo.key == ONE.key


def test_filter_and_limit_in_order_of_arrival(url):
    first, second = numbered(3, "amateur"), numbered(3, "master")
    with open_store(url) as store:
        assert store
        store.add_many(second[::-1])
        store.add_many(first)
        assert list(store.comparisons()) == second[::-1] + first
        assert list(store.comparisons(rater="amateur", limit=2)) == first[:2]
        assert list(store.comparisons(rater="nobody")) == []


def test_reading_sees_the_moment_it_began(url):
    with open_store(url) as store:
        store.add_many(numbered(3))
        reading = store.comparisons()
        next(reading)
        store.add(ONE)
        assert len(list(reading)) == 2
        assert len(store) == 4


def test_an_error_halfway_keeps_whole_chunks(url, monkeypatch):
    monkeypatch.setattr(store_module, "CHUNK", 100)

    def breaking():
        yield from numbered(101)
        raise RuntimeError("the raters went home")

    with open_store(url) as store:
        with pytest.raises(RuntimeError, match="went home"):
            store.add_many(breaking())
        assert len(store) == 100
        store.add_many(numbered(101))
        assert len(store) == 101


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"preferred": "c"}, "choose one of a, b, tie, both_bad"),
        ({"strength": 4}, "give 1, 2 or 3"),
        ({"strength": 2, "preferred": "tie"}, "only where a or b is preferred"),
        ({"created": datetime(2026, 3, 1)}, "no time zone"),
        ({"a": "\ud800"}, "a holds half a character"),
    ],
)
def test_wrong_comparisons_are_refused_at_the_door(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(ONE, **wrong)


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_file_that_is_no_database(path):
    path.write_text("prompt,chosen,rejected\n" * 100)
    with pytest.raises(UserError, match=r"comparisons\.sqlite: file is not a database") as error:
        open_store(path)
    one_line(error)
    assert path.read_text().startswith("prompt,")


def test_another_programs_database(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    with pytest.raises(UserError, match="another program's tables"):
        open_store(path)


def test_missing_folder_and_folder_for_a_file(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        open_store(tmp_path / "nowhere" / "comparisons.sqlite")
    with pytest.raises(UserError, match="is a folder"):
        open_store(tmp_path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root:secret@host/labels", "neither SQLite nor PostgreSQL"),
        ("nonsense://", "is no database URL|neither SQLite"),
        ("sqlite:////nowhere/at/all.sqlite", "unable to open"),
    ],
)
def test_wrong_urls(url, message):
    with pytest.raises(UserError, match=message) as error:
        open_store(url)
    assert "secret" not in one_line(error)


def test_a_url_names_the_same_file(path):
    with open_store(path) as store:
        store.add(ONE)
    with open_store(f"sqlite:///{path}") as store:
        assert list(store.comparisons()) == [ONE]


def test_a_store_of_another_format(path):
    open_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE foolsgold_store SET version = 99")
    connection.close()
    with pytest.raises(UserError, match="format 99, but this foolsgold reads formats 1 to 2") as error:
        open_store(path)
    one_line(error)


def test_a_read_only_store(path):
    open_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    with pytest.raises(UserError, match="readonly"), open_store(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        store.add(ONE)


def test_a_full_disk_keeps_what_was_acknowledged(path):
    @sa.event.listens_for(sa.Engine, "connect")
    def small_disk(connection, _record):
        connection.execute("PRAGMA max_page_count = 60")

    try:
        with open_store(path) as store:
            store.add_many(numbered(20))
            with pytest.raises(UserError, match="full") as error:
                store.add_many(replace(each, a=each.a * 100) for each in numbered(5000))
            one_line(error)
            assert len(store) == 20
    finally:
        sa.event.remove(sa.Engine, "connect", small_disk)


def test_foreign_keys_and_preferences_are_enforced(url):
    with open_store(url) as store:
        store.add(ONE)
        for column, value in (("a_key", b"x" * 16), ("preferred", "c")):
            with pytest.raises(sa.exc.IntegrityError), store.database.writing() as connection:
                connection.execute(sa.text(f"UPDATE comparisons SET {column} = :value"), {"value": value})


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from foolsgold.labels.store import Comparison, open_store

url, rater, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
with open_store(url) as store:
    for i in range(count):
        moment = noon + timedelta(seconds=i)
        store.add(Comparison("Who stands better?", f"X{i}", "O.X", "a", rater, moment, {"study": "alphago"}))
        print(i, flush=True)
"""


def start_writer(url: str, rater: str, count: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, url, rater, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def go(writer: subprocess.Popen) -> None:
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("\n")
    writer.stdin.flush()


def test_a_killed_process_loses_nothing_it_acknowledged(url):
    with start_writer(url, "amateur", 1_000_000) as writer:
        go(writer)
        acknowledged = [writer.stdout.readline() for _ in range(50)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += writer.stdout.readlines()
    whole = [line for line in acknowledged if line.endswith("\n")]
    with open_store(url) as store:
        stored = list(store.comparisons())
    assert len(stored) in (len(whole), len(whole) + 1)  # the last one may lack only its acknowledgement
    assert stored == numbered(len(stored))


def test_processes_that_meet_at_a_new_store_all_write(url):
    writers = [start_writer(url, rater, 100) for rater in ("ada", "bob", "eve")]
    for writer in writers:
        go(writer)
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with open_store(url) as store:
        assert len(store) == 300
        for rater in ("ada", "bob", "eve"):
            assert list(store.comparisons(rater)) == numbered(100, rater)
