"""What of an exploit is needed: parts are taken away as long as it stays one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


def minimal_form(parts: Sequence[T], first_that_holds: Callable[[list[list[T]]], int | None]) -> list[T]:
    """Delta debugging (Zeller and Hildebrandt 2002, ddmin): `parts` without what is not needed, in their order.

    One part at least stays. The result is 1-minimal: it holds, and no single part can be taken away.

    Args:
      parts: of something that holds.
      first_that_holds: of several shorter lists of parts, the place of the first that still holds; None where none
        does. All tries of a round come at once, so that they can be scored as one batch.
    """
    parts, pieces = list(parts), 2
    while len(parts) > 1:
        ends = [len(parts) * i // pieces for i in range(pieces + 1)]
        slices = list(pairwise(ends))
        alone = [parts[start:stop] for start, stop in slices]
        without = [parts[:start] + parts[stop:] for start, stop in slices] if pieces > 2 else []  # of two: the other
        found = first_that_holds([*alone, *without])
        if found is None:
            if pieces == len(parts):
                break
            pieces = min(2 * pieces, len(parts))
        elif found < len(alone):
            parts, pieces = alone[found], 2
        else:
            parts, pieces = without[found - len(alone)], max(pieces - 1, 2)
    return parts
