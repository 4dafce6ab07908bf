"""Files of judgements: every kind of table that data sets come in, and tab-separated ones, read and written."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.files import replacing, write_text, written
from foolsgold.labels.exchange.crowd import ITEM, LABEL, WORKER
from foolsgold.training.dataset_files import Rows, read_rows, write_jsonl

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet", ".csv", ".tsv")
"""What names of written files end in; without one it is a folder for the library datasets."""
_MAX_CELL = 2**30
"""Characters in one cell; Python's own limit is 131,072, which dialogues pass."""
_TABBED = (".tsv", ".txt")
_SAVED = ("state.json", "dataset_dict.json")
"""Files by which a folder of `Dataset.save_to_disk` is known."""


def read_table(path: str | Path) -> Rows:
    """Rows of any data set, of a tab-separated file, or of a folder written by `Dataset.save_to_disk`.

    Raises:
      UserError: there is no such thing, it is broken, or it holds no rows.
    """
    place = Path(path)
    if place.name.endswith(_TABBED) and not place.is_dir():
        return _read_tabbed(place)
    if place.is_dir() and any((place / name).exists() for name in _SAVED):
        return _read_saved(place)
    return read_rows(path)


def _read_tabbed(path: Path) -> Rows:
    """A file without a header has the crowd's three columns, or an item and its label."""
    csv.field_size_limit(_MAX_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file, delimiter="\t") if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table with tabs: {error}") from error
    if not lines:
        raise UserError(f"{path} holds no rows")
    header = lines[0]
    if not set(header) & {"prompt", *WORKER, *ITEM, *LABEL}:
        header = {3: ["worker", "item", "label"], 2: ["item", "label"]}.get(len(header), [])
        lines.insert(0, header)
    odd = next((i for i, line in enumerate(lines, start=1) if len(line) != len(header)), None)
    if odd is not None:
        raise UserError(f"{path}, line {odd} does not have a cell for each column; wanted are worker, item and label")
    return Rows([dict(zip(header, line, strict=True)) for line in lines[1:]], str(path))


def _read_saved(folder: Path) -> Rows:
    from datasets import DatasetDict, load_from_disk

    try:
        found = load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder} cannot be read as a saved data set: {error}") from error
    if isinstance(found, DatasetDict):
        if "train" not in found:
            raise UserError(f"{folder} has the splits {', '.join(found)}; name the folder of one of them")
        found = found["train"]
    if not len(found):
        raise UserError(f"{folder} holds no rows")
    return Rows(found.to_list(), str(folder))


def write_table(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write `rows` as what the name's ending says, see `SUFFIXES`; an old file is replaced when the new one is whole.

    A name without an ending becomes a folder that `datasets.load_dataset` and `foolsgold train --data` read.

    Raises:
      UserError: the ending is unknown, the kind of file cannot hold the rows, or it cannot be written.
    """
    path = Path(path)
    suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), path.suffix)
    if suffix in (".jsonl", ".jsonl.gz"):
        return write_jsonl(path, rows)
    if suffix == ".json":
        return write_text(path, json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n")
    if suffix in (".csv", ".tsv"):
        return _write_delimited(path, rows, "," if suffix == ".csv" else "\t")
    if suffix == ".parquet":
        return _write_parquet(path, rows)
    if suffix:
        raise UserError(f"{path}: rows are written as {', '.join(SUFFIXES)}, or as a folder whose name has no ending")
    _write_parquet(path / "data" / "train-00000-of-00001.parquet", rows)
    return path


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _write_delimited(path: Path, rows: Sequence[Mapping[str, Any]], delimiter: str) -> Path:
    if any(isinstance(cell, list | dict) for row in rows for cell in row.values()):
        raise UserError(
            f"{path}: cells hold text and numbers only, but these rows hold chats; write .jsonl or .parquet"
        )
    with written(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, _columns(rows), delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)
    return path


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    import pyarrow
    from pyarrow import parquet

    try:
        table = pyarrow.table({name: [row.get(name) for row in rows] for name in _columns(rows)})
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: a column mixes text and chats, which Parquet cannot hold; write .jsonl") from error
    with written(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        parquet.write_table(table, part)
    return path


def changed(path: str | Path) -> datetime | None:
    """When a file was last written, or the newest one of a folder; None where there is neither."""
    path = Path(path)
    files = [path, *path.rglob("*")] if path.is_dir() else [path] if path.is_file() else []
    times = [file.stat().st_mtime for file in files if file.is_file()]
    return datetime.fromtimestamp(max(times), UTC) if times else None
