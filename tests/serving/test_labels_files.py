"""Tables of judgements as files."""

import json
import string

import pytest
from datasets import Dataset, DatasetDict, load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.serving.labels_files import SUFFIXES, changed, read_table, write_table

NAMES = [f"rows{suffix}" for suffix in (*SUFFIXES, "")]
# Not half a character, which no file can hold.
cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
rows = st.fixed_dictionaries({"prompt": cells, "a": cells, "b": cells})


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(table=st.lists(rows, min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, name, table):
    path = write_table(tmp_path_factory.mktemp("files") / name, table)
    assert read_table(path) == table


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith((".csv", ".tsv"))])
def test_chats_and_numbers_come_back(tmp_path, name):
    chat = [{"role": "user", "content": "Hi"}]
    table = [{"prompt": chat, "margin": 0.5}, {"prompt": chat, "margin": 1.0}]
    assert read_table(write_table(tmp_path / name, table)) == table


def test_a_folder_is_a_data_set_of_the_library(tmp_path):
    table = [{"prompt": "p", "chosen": "A", "rejected": "B"}]
    folder = write_table(tmp_path / "pairs", table)
    assert load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache")).to_list() == table


@pytest.mark.parametrize("saved", [lambda found: found, lambda found: DatasetDict(train=found)], ids=["one", "splits"])
def test_saved_data_sets_are_read(tmp_path, saved):
    table = [{"prompt": "p", "label": 1}]
    saved(Dataset.from_list(table)).save_to_disk(str(tmp_path / "saved"))
    assert read_table(tmp_path / "saved") == table


def test_a_crowds_table_needs_no_header(tmp_path):
    votes = tmp_path / "votes.txt"
    votes.write_text("w1\t7\t1\nw2\t7\t0\n")
    assert read_table(votes) == [{"worker": w, "item": "7", "label": label} for w, label in (("w1", "1"), ("w2", "0"))]
    votes.write_text("7\t1\n")
    assert read_table(votes) == [{"item": "7", "label": "1"}]
    votes.write_text("worker\ttask\tlabel\nw1\t7\t1\n")
    assert read_table(votes) == [{"worker": "w1", "task": "7", "label": "1"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "holds no rows"), ("a\tb\tc\td\n", "line 2 does not have"), ("w\t1\t1\nw\t1\n", "line 3 does not have")],
)
def test_broken_tabbed_tables_are_named(tmp_path, content, message):
    (tmp_path / "votes.tsv").write_text(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "votes.tsv")


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("rows.xlsx", [{"a": "A"}], "rows are written as .jsonl"),
        ("rows.csv", [{"a": [{"role": "user"}]}], "hold chats; write .jsonl"),
        ("rows.parquet", [{"a": [{"role": "user"}]}, {"a": "A"}], "mixes text and chats"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(tmp_path, name, table, message):
    with pytest.raises(UserError, match=message):
        write_table(tmp_path / name, table)
    assert not (tmp_path / name).exists()


def test_when_a_folder_was_written(tmp_path):
    for i, name in enumerate(string.ascii_lowercase[:3]):
        path = tmp_path / name
        path.write_text(json.dumps(i))
        import os

        os.utime(path, (1e9 + i, 1e9 + i))
    assert changed(tmp_path).timestamp() == 1e9 + 2
    assert changed(tmp_path / "missing") is None
