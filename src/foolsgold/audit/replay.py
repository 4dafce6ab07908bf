"""A whole game of Go on the page, to step through move by move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from markupsafe import Markup

from foolsgold.audit.goban import COLOR_NAME, board_svg, check_grid, point_name, short
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, EMPTY, WHITE


@dataclass(frozen=True)
class Frame:
    """A game after some move."""

    grid: np.ndarray
    """int8 `[N, N]`, 0 empty, 1 Black, 2 White."""
    last: int | None
    """The action that led here; None before the first move."""
    captures: tuple[int, int]
    """Stones taken so far by Black and by White."""
    caption: str = ""

    @classmethod
    def of(cls, board: Board, caption: str = "") -> Frame:
        return cls(board.grid, board.last_action, board.captures, caption)


@dataclass(frozen=True)
class Series:
    """One number a frame, drawn as a line under the board."""

    label: str
    values: Sequence[float | None]
    """`[frames]`; None where nothing was measured."""


@dataclass(frozen=True)
class Replay:
    """A section of the report: one whole game, played move by move on the page.

    Raises:
      ValueError: no frames, positions of different sizes, or a series that has not one value a frame.
    """

    template: ClassVar[str] = "replay.html.j2"
    assets: ClassVar[tuple[str, ...]] = ("replay.css", "replay.js")

    title: str
    black: str
    """Who plays Black."""
    white: str
    frames: Sequence[Frame]
    series: Sequence[Series] = ()
    """Up to two, on one common scale: give both in the same unit, such as the chance that Black wins."""
    scale: str = ""
    """What that common scale is."""
    intro: str = ""

    def __post_init__(self) -> None:
        if not self.frames:
            raise ValueError(f"replay {self.title!r} has no frames")
        if len({check_grid(frame.grid).shape for frame in self.frames}) > 1:
            raise ValueError(f"replay {self.title!r} mixes boards of different sizes")
        if len(self.series) > 2:
            raise ValueError(
                f"replay {self.title!r} has {len(self.series)} series; two is what the chart can tell apart"
            )
        for series in self.series:
            if len(series.values) != len(self.frames):
                raise ValueError(
                    f"series {series.label!r} has {len(series.values)} values for {len(self.frames)} frames"
                )

    @property
    def board(self) -> Markup:
        """The final position, for readers without JavaScript and as the picture that it redraws."""
        final = self.frames[-1]
        return board_svg(final.grid, final.last, size_px=520)

    @property
    def moves(self) -> int:
        return sum(frame.last is not None for frame in self.frames)

    @property
    def data(self) -> dict[str, Any]:
        """What the player needs, for JSON: per frame the stones row by row, the ring, and ready words."""
        size = len(self.frames[0].grid)
        steps: list[dict[str, Any]] = []
        move, mover = 0, WHITE
        for frame in self.frames:
            grid = check_grid(frame.grid)
            said = "Before the first move"
            if frame.last is not None:
                move += 1
                stone = int(grid.flat[frame.last]) if frame.last < size * size else EMPTY
                mover = stone or (BLACK + WHITE - mover)
                action = "passes" if frame.last >= size * size else f"plays {point_name(frame.last, size)}"
                said = f"{COLOR_NAME[mover]} {action}"
            steps.append(
                {
                    "stones": "".join(map(str, grid.ravel())),
                    "last": -1 if frame.last is None or frame.last >= size * size else int(frame.last),
                    "move": move,
                    "said": said,
                    "taken": [int(n) for n in frame.captures],
                    "caption": frame.caption,
                    "values": [_reading(series.values[len(steps)]) for series in self.series],
                }
            )
        return {"size": size, "steps": steps}

    @property
    def chart(self) -> dict[str, Any]:
        """The lines as SVG path data in a box of `frames - 1` by 100, and the words of the scale's two ends."""
        measured = [v for series in self.series for v in series.values if v is not None and math.isfinite(v)]
        low, high = min(measured, default=0.0), max(measured, default=1.0)
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        elif low == high:
            low, high = low - 1, high + 1
        paths = []
        for series in self.series:
            path, pen = [], "M"
            for i, v in enumerate(series.values):
                if v is None or not math.isfinite(v):
                    pen = "M"
                    continue
                path.append(f"{pen}{i} {short(100 * (high - float(v)) / (high - low))}")
                pen = "L"
            paths.append("".join(path))
        return {"paths": paths, "low": f"{low:.3g}", "high": f"{high:.3g}", "width": max(len(self.frames) - 1, 1)}


def _reading(value: float | None) -> str:
    return f"{value:.2f}".replace("-", "−") if value is not None and math.isfinite(value) else "–"
