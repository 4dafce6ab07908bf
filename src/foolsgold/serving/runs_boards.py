"""Go boards in their text form, `..XO./…/..... 3-1`, read back."""

from __future__ import annotations

import re

import numpy as np

from foolsgold.environments.go.rules import BLACK, EMPTY, WHITE

_BOARD = re.compile(r"([.XO]+(?:/[.XO]+)+)(?: -?\d+--?\d+)?")
_COLOR = {".": EMPTY, "X": BLACK, "O": WHITE}


def grid_of(text: str) -> np.ndarray | None:
    """The board that `text` describes, int8 `[N, N]` with row 0 at the top; None where it describes none.

    Prisoners behind the board are read over; boards have 5 to 19 lines.
    """
    found = _BOARD.fullmatch(text)
    lines = found[1].split("/") if found else []
    if not 5 <= len(lines) <= 19 or any(len(line) != len(lines) for line in lines):
        return None
    return np.array([[_COLOR[point] for point in line] for line in lines], np.int8)
