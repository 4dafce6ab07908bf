"""Numba settings that every kernel shares.

Numba notices a change in the file that holds a kernel, not in the files whose kernels it inlined. The disk cache
therefore lives in a folder named by the hash of all sources that hold kernels: stale machine code cannot be loaded.
"""

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import numba

_PACKAGE = Path(__file__).parent
_KERNEL_FOLDERS = ("objectives", "environments", "policies", "rewards", "training", "audit")


def _cache_folder() -> str:
    digest = hashlib.sha256()
    for folder in _KERNEL_FOLDERS:
        for source in sorted((_PACKAGE / folder).rglob("*.py")):
            text = source.read_bytes()
            if b"@kernel" in text:
                digest.update(text)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return str(base / "foolsgold" / f"numba-{digest.hexdigest()[:12]}")


if "NUMBA_CACHE_DIR" not in os.environ:
    numba.config.CACHE_DIR = _cache_folder()  # type: ignore[attr-defined]

kernel: Any = functools.partial(numba.njit, cache=True, nogil=True, error_model="numpy")
"""Decorator for compiled functions: cached on disk, run without the interpreter lock."""


@kernel
def next_random(seed):
    """One xorshift64 step (Marsaglia 2003): uint64, non-zero -> uint64, non-zero."""
    seed ^= seed << numba.uint64(13)
    seed ^= seed >> numba.uint64(7)
    seed ^= seed << numba.uint64(17)
    return seed


@kernel
def random_below(seed, n):
    """An integer in [0, n) from the high bits of `seed`; n < 2**31."""
    return numba.int64(((seed >> numba.uint64(32)) * numba.uint64(n)) >> numba.uint64(32))


@kernel
def random_unit(seed):
    """A number in (0, 1) from the high bits of `seed`."""
    return (numba.float64(seed >> numba.uint64(11)) + 0.5) / 9007199254740992.0
