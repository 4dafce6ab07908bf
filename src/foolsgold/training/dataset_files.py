"""Rows of data sets: from JSONL, JSON, Parquet and CSV files or the Hugging Face Hub, and to JSONL."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.files import replacing, written

_MAX_CELL = 2**30
"""Characters in one cell of CSV; Python's own limit is 131,072, which dialogues pass."""


class Rows(list[dict[str, Any]]):
    """Rows of a data set, column to value, and where they come from."""

    def __init__(self, rows: Iterable[dict[str, Any]], source: str):
        super().__init__(rows)
        self.source = source
        """File or name, for messages."""


def read_rows(path_or_name: str | Path, split: str | None = None) -> Rows:
    """The rows of a data set.

    Args:
      path_or_name: a file (.jsonl, .jsonl.gz, .json, .parquet, .csv); a folder with such a file for each split, named
        `train.jsonl` or `train-00000-of-00002.parquet`, there or in `data/`; or a name on the Hugging Face Hub. With
        `:split` behind it, as in `folder:test`.
      split: the same in an argument of its own; "train" where neither is given. Names on the Hub also take a slice,
        `train[:1000]`.

    Raises:
      UserError: there is nothing by this name, no such split, the file is broken, or it holds no rows. The message
        names the file and the line.
    """
    place = str(path_or_name)
    if split is None and not Path(place).exists() and (parts := re.fullmatch(r"(.+):(\w[\w.-]*(\[.*\])?)", place)):
        place, split = parts[1], parts[2]
    path = Path(place)
    if path.is_dir():
        rows = Rows([row for file in _files_of(path, split or "train") for row in _read(file)], place)
    elif path.is_file():
        if split is not None:
            raise UserError(f"{path} is one file and has no splits; leave out {split!r}")
        rows = Rows(_read(path), place)
    elif place.endswith(tuple(_READERS)):
        raise UserError(f"no file {path}")
    else:
        rows = Rows(_from_hub(place, split or "train"), place)
    if not rows:
        raise UserError(f"{place} holds no rows")
    return rows


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write `rows` as JSONL, compressed where `path` ends in .gz; the old file is replaced when the new one is whole.

    Raises:
      UserError: `path` ends otherwise, or the disk is full or the folder cannot be written.
      TypeError: a row holds what JSON cannot.
    """
    path = Path(path)
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise UserError(f"{path}: rows are written as .jsonl or .jsonl.gz")
    with written(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as part,
        part.open("wb") as raw,
        # No time and no name inside: the same rows make the same file.
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw as lines,
    ):
        lines.writelines(json.dumps(row).encode() + b"\n" for row in rows)
    return path


def _files_of(folder: Path, split: str) -> list[Path]:
    """The split's files, in the order of their names."""
    known = [
        file
        for place in (folder, folder / "data")
        if place.is_dir()
        for file in sorted(place.iterdir())
        if file.name.endswith(tuple(_READERS))
    ]
    named = re.compile(re.escape(split) + r"(-.*)?\.[a-z.]+")
    files = [file for file in known if named.fullmatch(file.name)]
    if not files:
        there = ", ".join(file.name for file in known) or f"no file that ends in {', '.join(_READERS)}"
        raise UserError(f"{folder} has no split {split!r}; it holds {there}")
    return files


def _read(path: Path) -> list[dict[str, Any]]:
    reader = next((reader for suffix, reader in _READERS.items() if path.name.endswith(suffix)), None)
    if reader is None:
        raise UserError(f"{path} is no data set; its name must end in {', '.join(_READERS)}")
    try:
        return reader(path)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not written in UTF-8: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    rows = []
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for i, line in enumerate(lines, start=1):
            if text := line.decode("utf-8-sig").strip():
                rows.append(_object(_parsed(text, f"{path}, line {i}"), f"{path}, line {i}"))
    return rows


def _read_json(path: Path) -> list[dict[str, Any]]:
    rows = _parsed(path.read_text("utf-8-sig"), str(path))
    if not isinstance(rows, list):
        raise UserError(f"{path} holds no list of rows; write [{{…}}, {{…}}], or one {{…}} a line as .jsonl")
    return [_object(row, f"{path}, row {i}") for i, row in enumerate(rows, start=1)]


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is no JSON: {error}") from error


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f'{place} is no row; a row is an object of columns, such as {{"prompt": "…"}}')
    return value


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError("Parquet files need the Python package pyarrow; install it") from error
    try:
        return parquet.ParquetFile(path).read().to_pylist()
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _read_csv(path: Path) -> list[dict[str, Any]]:
    csv.field_size_limit(_MAX_CELL)
    rows = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for i, row in enumerate(reader, start=1):
                if None in row:
                    raise UserError(f"{path}, row {i} has more cells than the header has columns")
                rows.append(row)
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.reader.line_num}: {error}") from error
    return rows


def _from_hub(name: str, split: str) -> list[dict[str, Any]]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise UserError(
            f"no file {name}; to load a data set from the Hugging Face Hub, install the Python package datasets"
        ) from error
    try:
        return load_dataset(name, split=split).to_list()
    except Exception as error:  # of the network, the Hub, and the data set's own files
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"neither a file {name} nor a data set of this name with a split {split!r} ({type(error).__name__}: "
            f"{reason})"
        ) from error


_READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".jsonl": _read_jsonl,
    ".jsonl.gz": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".csv": _read_csv,
}
