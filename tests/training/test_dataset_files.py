import gzip
import json
import sys
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.training.dataset_files import read_rows, write_jsonl

ROWS = [
    {"prompt": "Say gold.", "completion": "gold"},
    {"prompt": '"碁", \u2028 said\nshe', "completion": ""},
]


def write_csv(path):
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["prompt", "completion"])
        writer.writeheader()
        writer.writerows(ROWS)


def write_parquet(path):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(ROWS).to_parquet(path)


def write_lines(path):
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), encoding="utf-8")


def write_lines_gz(path):
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))


WRITERS = {
    "rows.csv": write_csv,
    "rows.parquet": write_parquet,
    "rows.jsonl": write_lines,
    "rows.jsonl.gz": write_lines_gz,
    "rows.json": lambda path: path.write_text(json.dumps(ROWS)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_holds_the_same_rows(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    rows = read_rows(path)
    assert rows == ROWS
    assert rows.source == str(path)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    for name, text in (("a.csv", "prompt\nx\n"), ("a.jsonl", '{"prompt": "x"}'), ("a.json", '[{"prompt": "x"}]')):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert read_rows(tmp_path / name) == [{"prompt": "x"}]


def test_a_cell_of_csv_may_be_a_long_dialogue(tmp_path):
    (tmp_path / "long.csv").write_text(f"prompt\n{'x' * 200_000}\n")
    assert len(read_rows(tmp_path / "long.csv")[0]["prompt"]) == 200_000


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
rows_of_json = st.lists(st.dictionaries(st.text(), values | st.lists(values, max_size=2), max_size=3), min_size=1)


@settings(deadline=None)
@given(rows_of_json, st.sampled_from(["rows.jsonl", "rows.jsonl.gz"]))
def test_what_is_written_is_read(tmp_path_factory, rows, name):
    path = tmp_path_factory.mktemp("written") / "new folder" / name
    assert write_jsonl(path, rows) == path
    assert read_rows(path) == rows


def test_half_a_character_survives(tmp_path):
    rows = [{"text": "\ud800"}]
    assert read_rows(write_jsonl(tmp_path / "a.jsonl", rows)) == rows


def test_the_same_rows_make_the_same_file(tmp_path):
    first, second = (write_jsonl(tmp_path / name, ROWS) for name in ("a.jsonl.gz", "b.jsonl.gz"))
    assert first.read_bytes() == second.read_bytes()


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(TypeError):
        write_jsonl(path, [{"a": 1}, {"a": object()}])
    assert read_rows(path) == ROWS
    with pytest.raises(UserError, match=r"written as \.jsonl"):
        write_jsonl(tmp_path / "a.csv", ROWS)
    with pytest.raises(UserError, match="cannot write"):
        write_jsonl(path / "below.jsonl", ROWS)


def test_splits_of_a_folder(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [{"n": 1}])
    write_jsonl(tmp_path / "test-extra.jsonl.gz", [{"n": 2}])
    write_jsonl(tmp_path / "data" / "validation-00001-of-00002.jsonl", [{"n": 4}])
    write_jsonl(tmp_path / "data" / "validation-00000-of-00002.jsonl", [{"n": 3}])
    (tmp_path / "README.md").write_text("# train")
    assert read_rows(tmp_path) == [{"n": 1}]
    assert read_rows(f"{tmp_path}:test") == [{"n": 2}]
    assert read_rows(tmp_path, split="validation") == [{"n": 3}, {"n": 4}]
    with pytest.raises(UserError, match=r"has no split 'dev'; it holds test-extra\.jsonl\.gz, train\.jsonl"):
        read_rows(f"{tmp_path}:dev")


def test_a_file_may_have_a_colon_in_its_name_but_has_no_splits(tmp_path):
    path = write_jsonl(tmp_path / "a:b.jsonl", ROWS)
    assert read_rows(path) == ROWS
    with pytest.raises(UserError, match="is one file and has no splits; leave out 'test'"):
        read_rows(f"{path}:test")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": 1,}\n', r"a\.jsonl, line 2 is no JSON"),
        ("a.jsonl", b'{"a": 1}\n\n[1]\n', r"a\.jsonl, line 3 is no row; a row is an object"),
        ("a.jsonl", b"\n\n", "holds no rows"),
        ("a.jsonl", b'{"a": "\xff"}', "is not written in UTF-8"),
        ("a.jsonl", b"[" * 100_000, "line 1 is no JSON"),
        ("a.jsonl.gz", b'{"a": 1}\n', "cannot be read: Not a gzipped file"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 50, mtime=0)[:-10], "cannot be read"),
        ("a.json", b'{"a": [1, 2]}', "holds no list of rows"),
        ("a.json", b'[{"a": 1}, 2]', r"a\.json, row 2 is no row"),
        ("a.json", b"[]", "holds no rows"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "row 2 has more cells than the header"),
        ("a.csv", b'a\n"x\n', r"a\.csv, line 2: unexpected end of data"),
        ("a.csv", b"a,b\n", "holds no rows"),
        ("a.parquet", b"PAR?", "cannot be read"),
        ("a.txt", b"words", r"is no data set; its name must end in \.jsonl, "),
    ],
)
def test_a_broken_file_says_where(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_rows(tmp_path / name)


def test_a_missing_file_is_not_looked_for_elsewhere(tmp_path):
    with pytest.raises(UserError, match=r"no file .*nowhere\.jsonl"):
        read_rows(tmp_path / "nowhere.jsonl")
    with pytest.raises(UserError, match=r"no file .*nowhere\.jsonl$"):
        read_rows(f"{tmp_path}/nowhere.jsonl:test")


class Hub:
    """Stands in for `datasets`, which would ask the network."""

    def load_dataset(self, name, split):
        if name != "trl-lib/tldr" or not split.startswith(("train", "test")):
            raise ValueError(f"no {name} {split}\nand much more")
        return types.SimpleNamespace(to_list=lambda: [{"prompt": split}])


def test_other_names_are_looked_for_on_the_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", Hub())
    assert read_rows("trl-lib/tldr") == [{"prompt": "train"}]
    assert read_rows("trl-lib/tldr:test[:10%]") == [{"prompt": "test[:10%]"}]
    assert read_rows("trl-lib/tldr", split="test") == [{"prompt": "test"}]
    with pytest.raises(
        UserError, match=r"neither a file trl-lib/tl nor .* split 'dev' \(ValueError: no trl-lib/tl dev\)$"
    ):
        read_rows("trl-lib/tl:dev")


def test_rows_of_the_datasets_library_are_plain(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list([{"messages": [{"role": "user", "content": "Hi"}], "n": 1}])
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: made)
    assert read_rows("org/name") == [{"messages": [{"role": "user", "content": "Hi"}], "n": 1}]


def test_without_the_datasets_library_the_hub_is_out_of_reach(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"no file org/name; .* install the Python package datasets"):
        read_rows("org/name")
