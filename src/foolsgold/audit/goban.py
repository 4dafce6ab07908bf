"""A Go position as a picture on the page."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from markupsafe import Markup

from foolsgold.environments.go.board import COLUMNS
from foolsgold.environments.go.rules import BLACK, EMPTY, WHITE

CELL = 20.0  # units of the drawing from line to line; everything else is measured against it
COLOR_NAME = {BLACK: "Black", WHITE: "White"}

# Shadows are plain discs, not filters: sharp at every size, and they survive printing.
_DEFS = """<defs>\
<linearGradient id="{id}-wood" x1="0" y1="0" x2="1" y2="1">\
<stop offset="0" style="stop-color:var(--wood-lit,#ecc888)"/>\
<stop offset="1" style="stop-color:var(--wood,#dcae62)"/></linearGradient>\
<radialGradient id="{id}-b" cx=".36" cy=".3" r=".72"><stop offset="0" stop-color="#6b6b70"/>\
<stop offset=".45" stop-color="#2b2b2f"/><stop offset="1" stop-color="#0c0c0e"/></radialGradient>\
<radialGradient id="{id}-w" cx=".38" cy=".32" r=".78"><stop offset="0" stop-color="#ffffff"/>\
<stop offset=".6" stop-color="#f4f2ec"/><stop offset="1" stop-color="#cfcbc0"/></radialGradient>\
<g id="{id}-black"><circle cx=".7" cy="1.1" r="9.5" fill="#3a2506" opacity=".34"/>\
<circle r="9.4" fill="url(#{id}-b)"/></g>\
<g id="{id}-white"><circle cx=".7" cy="1.1" r="9.5" fill="#3a2506" opacity=".34"/>\
<circle r="9.2" fill="url(#{id}-w)" stroke="#6d675a" stroke-width=".45"/></g>\
<circle id="{id}-last-black" r="4.6" fill="none" stroke="#fff" stroke-width="1.7"/>\
<circle id="{id}-last-white" r="4.6" fill="none" stroke="#1b1b1d" stroke-width="1.7"/></defs>"""


def board_svg(
    grid: np.ndarray,
    last: int | None = None,
    caption: str | None = None,
    ownership: np.ndarray | None = None,
    size_px: int = 320,
) -> Markup:
    """A position as inline SVG; its wood follows the page's colours `--wood`, `--wood-lit` and `--wood-line`.

    Args:
      grid: `[N, N]`, 0 empty, 1 Black, 2 White; row 0 at the top.
      last: the action to ring, y * N + x; None and a pass ring nothing.
      caption: the words for those who cannot see the picture; counts of stones and the last move where None.
      ownership: `[N, N]` from -1 (White's) to +1 (Black's), drawn as small squares wherever it is not the colour
        of the stone that stands there.
      size_px: widest the picture gets, in CSS pixels; it shrinks with its column. Under 180 the coordinates are left
        out, because nobody could read them.

    Returns: the SVG element, marked as safe to put on a page; `caption` is escaped.

    Raises:
      ValueError: `grid` or `ownership` is no square, or their sizes differ.
    """
    grid = check_grid(grid)
    size = len(grid)
    if ownership is not None and np.shape(ownership) != grid.shape:
        raise ValueError(f"ownership has shape {np.shape(ownership)}, the board {grid.shape}")
    if caption is None:
        caption = _describe(grid, last)
    coordinates = size_px >= 180
    margin = 27.0 if coordinates else 15.0
    side = (size - 1) * CELL + 2 * margin
    key = (grid.tobytes(), last, caption, size_px, None if ownership is None else np.asarray(ownership).tobytes())
    name = "g" + hashlib.sha256(repr(key).encode()).hexdigest()[:10]  # ids are shared by all pictures of a page

    parts = [_DEFS.format(id=name), _wood(name, size, margin, coordinates)]
    if ownership is not None:
        parts.append(_territory(grid, np.asarray(ownership, float), margin))
    parts.append('<g class="stones">')
    for y, x in np.argwhere(grid != EMPTY):
        color = COLOR_NAME[int(grid[y, x])].lower()
        parts.append(f'<use class="stone {color}" href="#{name}-{color}" {_at(x, y, margin)}/>')
    parts.append('</g><g class="marks">')
    if last is not None and 0 <= last < size * size and grid.flat[last] != EMPTY:
        color = COLOR_NAME[int(grid.flat[last])].lower()
        parts.append(f'<use class="last" href="#{name}-last-{color}" {_at(last % size, last // size, margin)}/>')
    parts.append("</g></svg>")
    opening = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="board" role="img" aria-label="{}" viewBox="0 0 {} {}" '
        'data-id="{}" data-cell="{}" data-margin="{}" style="display:block;width:100%;max-width:{}px;height:auto">'
    ).format(caption, short(side), short(side), name, short(CELL), short(margin), int(size_px))
    return opening + Markup("".join(parts))  # nothing in `parts` comes from outside but numbers


def check_grid(grid: np.ndarray) -> np.ndarray:
    """`grid` as int8 `[N, N]`, or ValueError when it is no Go position."""
    array = np.asarray(grid)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not 2 <= len(array) <= len(COLUMNS):
        raise ValueError(f"a position is a square of 2 to {len(COLUMNS)} lines, not an array of shape {array.shape}")
    if not np.isin(array, (EMPTY, BLACK, WHITE)).all():
        raise ValueError("a position holds 0 (empty), 1 (Black) and 2 (White) only")
    return array.astype(np.int8)


def point_name(action: int, size: int) -> str:
    """`D4`, or `pass`."""
    y, x = divmod(action, size)
    return "pass" if y >= size else f"{COLUMNS[x]}{size - y}"


def _describe(grid: np.ndarray, last: int | None) -> str:
    size, black, white = len(grid), int((grid == BLACK).sum()), int((grid == WHITE).sum())
    words = f"Go position, {size} by {size}: {black} black and {white} white stones"
    return words if last is None else f"{words}, last move {point_name(last, size)}"


def short(value: float) -> str:
    """`value` with two decimals at most, for coordinates in SVG."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _at(x: int, y: int, margin: float) -> str:
    return f'x="{short(margin + CELL * x)}" y="{short(margin + CELL * y)}"'


def _wood(name: str, size: int, margin: float, coordinates: bool) -> str:
    near, far = margin, margin + CELL * (size - 1)
    side = near + far
    lines = "".join(
        f"M{short(near)} {short(p)}H{short(far)}M{short(p)} {short(near)}V{short(far)}"
        for p in near + CELL * np.arange(size)
    )
    parts = [
        f'<rect width="{short(side)}" height="{short(side)}" rx="5" fill="url(#{name}-wood)"/>',
        '<g fill="none" style="stroke:var(--wood-line,#4a3414)">',
        f'<path class="lines" d="{lines}" stroke-width="1" vector-effect="non-scaling-stroke"/>',
        f'<path d="M{short(near)} {short(near)}H{short(far)}V{short(far)}H{short(near)}Z" stroke-width="1.5"/></g>',
        '<g style="fill:var(--wood-line,#4a3414)">',
    ]
    parts += [
        f'<circle class="star" cx="{short(near + CELL * x)}" cy="{short(near + CELL * y)}" r="2.1"/>'
        for x, y in _stars(size)
    ]
    if coordinates:
        style = 'font-family="ui-sans-serif,system-ui,sans-serif" font-size="8.5" text-anchor="middle"'
        parts.append(f'<g class="coordinates" aria-hidden="true" opacity=".85" {style}>')
        for i in range(size):
            p, down = near + CELL * i, near + CELL * i + 3
            parts += [f'<text x="{short(p)}" y="{short(y)}">{COLUMNS[i]}</text>' for y in (11.5, side - 5.5)]
            parts += [f'<text x="{short(x)}" y="{short(down)}">{size - i}</text>' for x in (8.5, side - 8.5)]
        parts.append("</g>")
    return "".join(parts) + "</g>"


def _stars(size: int) -> list[tuple[int, int]]:
    if size < 7:
        return [(size // 2, size // 2)] if size % 2 else []
    near, middle = (2 if size < 13 else 3), size // 2
    lines = [near, size - 1 - near] + ([middle] if size % 2 else [])
    points = [(x, y) for x in lines for y in lines]
    if size < 13:  # small boards mark the corners and the centre only
        points = [(x, y) for x, y in points if (x == middle) == (y == middle)]
    return points


def _territory(grid: np.ndarray, ownership: np.ndarray, margin: float) -> str:
    parts = ['<g class="territory">']
    for (y, x), owner in np.ndenumerate(ownership):
        half = 3.6 * math.sqrt(min(abs(float(owner)), 1.0))  # the area says how sure
        if half < 0.8 or grid[y, x] == (BLACK if owner > 0 else WHITE):
            continue
        corner = f'x="{short(margin + CELL * x - half)}" y="{short(margin + CELL * y - half)}"'
        look = 'fill="#17171a"' if owner > 0 else 'fill="#fffdf6" stroke="#6d675a" stroke-width=".4"'
        parts.append(f'<rect {corner} width="{short(2 * half)}" height="{short(2 * half)}" {look}/>')
    return "".join(parts) + "</g>"
