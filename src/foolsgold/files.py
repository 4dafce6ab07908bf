"""Files that are either the old one or the new one, never half of each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foolsgold.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields the path of a temporary file for the caller to write; it then takes the place of `path`.

    Until the end of the block readers see the old file, and so they do after an error or a crash. The new file is on
    the disk, not only with the system, when the block ends. One writer at a time.

    The temporary file lies in a folder `.<name>.part` beside `path`, so that what a writer who was killed left
    behind, temporary files of its own included, goes with the next write.

    Raises:
      UserError: the disk is full or the folder cannot be written.
    """
    folder = path.with_name(f".{path.name}.part")
    with written(path):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            part = folder / path.name
            yield part
            _to_disk(part, os.O_RDWR)
            os.replace(part, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            _to_disk(path.parent, os.O_RDONLY)  # else a power cut may bring the old file back


def _to_disk(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write into one line that names `path`.

    Raises:
      UserError: the disk is full or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8 to `path`, making its folder; see `replacing`.

    Raises:
      UserError: the disk is full or the folder cannot be written; an old file stays as it was.
    """
    path = Path(path)
    with written(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return path
