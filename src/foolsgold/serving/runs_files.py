"""Files of a run's folder, which may come from elsewhere: read only where they are what they should be."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


def opened(path: Path) -> BinaryIO:
    """`path` for reading; the caller closes it.

    Raises:
      OSError: there is none, it is a link, which could lead anywhere, or a pipe, for which one would wait forever.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no file")
    return os.fdopen(descriptor, "rb")


def size_of(file: BinaryIO) -> int:
    """Bytes that an open file has now."""
    return os.fstat(file.fileno()).st_size
