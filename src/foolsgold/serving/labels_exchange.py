"""`foolsgold labels import` and `export`: between files of other programs and a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange import argilla, crowd, label_studio, records, sgf_pairs, trl, wide
from foolsgold.labels.exchange.rows import Notes, Unsaid, moment_of
from foolsgold.labels.labelling import Labelling, projects
from foolsgold.labels.store import ComparisonStore, open_store
from foolsgold.serving.labels_command import ExportCommand, Format, ImportCommand
from foolsgold.serving.labels_files import changed, read_table, write_table
from foolsgold.training.dataset_files import Rows
from foolsgold.training.datasets import columns_of, preferences, unpaired

_KNOWN_BY: tuple[tuple[Format, frozenset[str]], ...] = (
    ("comparisons", frozenset({"preferred"})),
    ("label-studio", frozenset({"data", "annotations"})),
    ("argilla", frozenset({"fields", "responses"})),
    ("trl-preference", frozenset({"chosen", "rejected"})),
    ("trl-unpaired", frozenset({"completion", "label"})),
    ("crowd", frozenset({"worker", "label"})),
)
"""Columns by which a format is known."""


def import_data(command: ImportCommand) -> None:
    """Read the data and store what they hold.

    Raises:
      UserError: the data cannot be read, do not fit their format, or the store cannot be written.
    """
    source = Path(command.data)
    unsaid = _unsaid(command)
    is_sgf = command.format == "sgf" or (command.format is None and source.is_dir() and any(source.glob("*.sgf")))
    notes = Notes()
    if is_sgf:
        said = _sgf_judgements(source, unsaid, notes)
    else:
        said = _judgements(command, read_table(command.data), unsaid, notes)
    with open_store(command.store) as store:
        before, count = len(store), 0

        def counted() -> Iterator[Comparison]:
            nonlocal count
            for comparison in said:
                if comparison.created == unsaid.created:
                    # The store counts the same judgement at the same moment once; two rows are two judgements.
                    comparison = replace(comparison, created=unsaid.created + timedelta(microseconds=count))
                count += 1
                yield comparison

        store.add_many(counted())
        new = len(store) - before
    known = f", {count - new:,} of them known before" if new < count else ""
    print(f"{count:,} comparisons{known}: {command.store}")
    _tell(notes)


def _unsaid(command: ImportCommand) -> Unsaid:
    if command.created is not None:
        created = moment_of(command.created, "--created")
    else:
        found = changed(command.data)
        if found is None:
            raise UserError(f"there is no file or folder {command.data}; of a data set on the Hub also give --created")
        created = found
    name = Path(command.data).name
    return Unsaid(command.rater or name, created, {"file": name}, command.prompt, command.a, command.b)


def _judgements(command: ImportCommand, rows: Rows, unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    """The rows as comparisons, in the format that was given or that their columns show."""
    kind = command.format or _format_of(command, rows)
    with _named(rows, kind):
        if kind == "comparisons":
            yield from records.read_records(rows, unsaid, notes)
        elif kind == "trl-preference":
            yield from trl.read_preferences(_checked(rows, preferences(rows)), unsaid, notes)
        elif kind == "trl-unpaired":
            yield from trl.read_unpaired(_checked(rows, unpaired(rows)), unsaid, notes)
        elif kind == "argilla":
            yield from argilla.read_argilla(rows, unsaid, notes)
        elif kind == "label-studio":
            yield from label_studio.read_label_studio(rows, unsaid, notes)
        elif kind == "wide":
            yield from wide.read_wide(rows, command.raters, unsaid, notes)
        elif kind == "crowd":
            if command.items is None:
                raise UserError("labels of a crowd say nothing without the items' texts; give their table with --items")
            yield from crowd.read_crowd(rows, read_table(command.items), unsaid, notes)
        else:
            raise UserError(f"{rows.source} is no folder with NAME-a.sgf and NAME-b.sgf")


def _checked(rows: Rows, checked: Sequence[Any]) -> Rows:
    """Rows as TRL's columns, a prompt that chosen and rejected share among them."""
    return Rows((columns_of(row) for row in checked), rows.source)


def _format_of(command: ImportCommand, rows: Rows) -> Format:
    if command.raters:
        return "wide"
    columns = set(rows[0])
    found = next((kind for kind, wanted in _KNOWN_BY if wanted <= columns), None)
    if found is None and any(column.endswith(".responses") for column in columns):
        found = "argilla"
    if found is None:
        raise UserError(
            f"{rows.source}: the columns {', '.join(rows[0])} are of no format known here; give --format, or, for "
            "pairs that are still to be judged, use foolsgold label"
        )
    return found


@contextmanager
def _named(rows: Rows, kind: Format) -> Iterator[None]:
    """Files that are not as their program writes them are the user's to mend, whatever they broke here."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{rows.source} is not as {kind} is written: {type(error).__name__} {error}") from error


def _sgf_judgements(folder: Path, unsaid: Unsaid, notes: Notes) -> Iterator[Comparison]:
    table = next((path for path in (folder / "pairs.jsonl", folder / "pairs.csv") if path.exists()), None)
    if table is None:
        raise UserError(
            f"{folder} has no pairs.jsonl that says who preferred which; to have its pairs judged, use foolsgold label"
        )
    return sgf_pairs.read_sgf_judgements(sgf_pairs.read_sgf_pairs(folder), read_table(table), unsaid, notes)


def export_data(command: ExportCommand) -> None:
    """Write the store's comparisons and say what was lost.

    Raises:
      UserError: there is no such store or nothing in it, or the file cannot be written.
    """
    notes = Notes()
    with existing_store(command.store) as store:
        said = comparisons_of(store, command.project, command.rater, notes)
    rows = len(said)
    if command.aggregate is not None:
        from foolsgold.serving.labels_aggregate import preferred_rows

        table = preferred_rows(said, command.aggregate, notes)
        rows = len(table)
        write_table(command.out, table)
    elif command.format == "sgf":
        _write_sgf(Path(command.out), said, notes)
    elif command.format == "crowd":
        labels, items = crowd.write_crowd(said, notes)
        write_table(command.out, labels)
        print(f"{len(items):,} items: {write_table(items_beside(command.out), items)}")
    else:
        table = _table(command, said, notes)
        rows = len(table)
        if not table:
            raise UserError(f"nothing can be written as {command.format}: " + "; ".join(notes.lines))
        write_table(command.out, table)
    print(f"{len(said):,} comparisons, {rows:,} rows: {command.out}")
    _tell(notes)


def _table(command: ExportCommand, said: Iterable[Comparison], notes: Notes) -> list[dict[str, Any]]:
    if command.format in ("argilla", "label-studio") and not command.out.endswith((".json", ".jsonl")):
        raise UserError(f"--out {command.out}: {command.format} reads JSON; give a name that ends in .json")
    if command.format == "comparisons":
        return records.write_records(said, notes)
    if command.format == "trl-unpaired":
        return trl.write_unpaired(said, notes)
    if command.format == "argilla":
        return argilla.write_argilla(said, notes)
    if command.format == "label-studio":
        return label_studio.write_label_studio(said, notes)
    return trl.write_preferences(said, notes, command.ties)


def items_beside(out: str) -> Path:
    """Where the texts of a crowd's items go: `votes.items.csv` beside `votes.csv`."""
    path = Path(out)
    return path.with_name(f"{path.name.split('.')[0]}.items{path.name[len(path.name.split('.')[0]) :]}")


def _write_sgf(folder: Path, said: Iterable[Comparison], notes: Notes) -> None:
    if folder.suffix:
        raise UserError(f"--out {folder}: pairs of SGF are written into a folder; give a name without an ending")
    files, judgements = sgf_pairs.write_sgf_pairs(said, notes)
    if not judgements:
        raise UserError("nothing can be written as sgf: no comparison is of Go boards")
    for name, text in files.items():
        write_text(folder / name, text)
    write_table(folder / "pairs.jsonl", judgements)


@contextmanager
def existing_store(place: str) -> Iterator[ComparisonStore]:
    """A store that is there already; a mistyped name makes no empty one.

    Raises:
      UserError: there is no such file, or it is no store.
    """
    if "://" not in place and not Path(place).is_file():
        raise UserError(f"there is no store {place}; foolsgold label and foolsgold labels import make one")
    with open_store(place) as store:
        yield store


def comparisons_of(store: ComparisonStore, project: str | None, rater: str | None, notes: Notes) -> list[Comparison]:
    """The comparisons in force, without attention checks and repeats, which are noted.

    Raises:
      UserError: there is no such project, or nothing to give back.
    """
    if project is not None:
        Labelling.open(store, project)  # which tells what projects there are
    said = list(store.comparisons(rater=rater, project=project))
    if not said:
        whose = f" by {rater}" if rater else ""
        where = f" of project {project}" if project else ""
        raise UserError(f"{store.database.name} holds no comparisons{where}{whose}")
    if projects(store):
        planted = sum(1 for _ in store.comparisons(rater=rater, project=project, planted=True)) - len(said)
        if planted:
            notes.left_out["attention checks and repeats, which measure raters"] += planted
    return said


def _tell(notes: Notes) -> None:
    for line in notes.lines:
        print(line)
