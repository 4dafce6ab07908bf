"""Curves with their uncertainty as inline SVG that takes its text colour and palette from the page."""

from __future__ import annotations

import hashlib
import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator, PercentFormatter

PALETTE = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
}
"""Colours that colour-blind people tell apart (Okabe and Ito 2008); the page's `--blue` and so on override them."""

_INK = "#010203"  # stands for the page's text colour until the SVG is finished
_WIDTH, _HEIGHT = 420, 300  # of a panel, in CSS pixels at full size
_RC: Any = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and recoloured
    "svg.hashsalt": "foolsgold",
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "font.size": 12.5,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True)
class Curve:
    """One line with its 95 % band.

    Raises:
      ValueError: no point, lengths that differ, or a colour that is not in PALETTE.
    """

    label: str
    x: Sequence[float] | np.ndarray
    """`[T]`"""
    y: Sequence[float] | np.ndarray
    """`[T]`"""
    low: Sequence[float] | np.ndarray | None = None
    """`[T]`, lower end of the 95 % interval; None for no band."""
    high: Sequence[float] | np.ndarray | None = None
    """`[T]`"""
    color: str | None = None
    """A name in PALETTE; the next free one where None."""
    dashed: bool = False
    """A second way to tell curves apart, such as proxy (dashed) from gold of the same agent."""

    def __post_init__(self) -> None:
        lengths = {len(values) for values in (self.x, self.y, self.low, self.high) if values is not None}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(f"curve {self.label!r}: x, y, low and high need one value a point, at least one point")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"curve {self.label!r}: a band has two edges; give low and high, or neither")
        if self.color is not None and self.color not in PALETTE:
            raise ValueError(f"curve {self.label!r}: no colour {self.color!r}; choose from {', '.join(PALETTE)}")


@dataclass(frozen=True)
class Mark:
    """A thin line at one place of an axis, such as an even game or a stopping point; give x or y."""

    label: str
    x: float | None = None
    y: float | None = None

    def __post_init__(self) -> None:
        if (self.x is None) == (self.y is None):
            raise ValueError(f"mark {self.label!r}: give x or y, one of them")


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    marks: Sequence[Mark] = ()
    percent: bool = False
    """y is a fraction from 0 to 1, shown as per cent."""


def curves_svg(panels: Sequence[Panel]) -> Markup:
    """The panels as inline SVG, one beside the other where the page is wide enough.

    Labels stand at the ends of their lines; no legend to match by colour. The same panels give the same bytes.

    Returns: one element that holds an SVG a panel, marked as safe to put on a page; all labels are escaped.

    Raises:
      ValueError: no panel, or a panel without curves.
    """
    if not panels or not all(panel.curves for panel in panels):
        raise ValueError("a plot needs at least one panel, and each panel at least one curve")
    drawings = "".join(_panel_svg(panel, number) for number, panel in enumerate(panels))
    return Markup('<div class="panels">{}</div>').format(Markup(drawings))


def _panel_svg(panel: Panel, number: int) -> str:
    with rc_context(_RC):
        canvas = Canvas(figsize=(_WIDTH / 72, _HEIGHT / 72), layout="constrained")
        FigureCanvasSVG(canvas)
        axes = canvas.add_subplot()
        axes.set_title(panel.title, loc="left", fontsize=14, fontweight="bold", pad=12)
        axes.set_xlabel(panel.x_label)
        axes.set_ylabel(panel.y_label)
        axes.grid(axis="y", color=_INK, alpha=0.12, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=3, width=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.margins(x=0.02)
        colors = _colors(panel.curves)
        for curve, color in zip(panel.curves, colors, strict=True):
            _draw(axes, curve, color)
        if panel.percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
        for mark in panel.marks:
            _draw_mark(axes, mark)
        _label_ends(axes, panel.curves, colors)
        out = io.StringIO()
        canvas.savefig(
            out, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _for_page(out.getvalue(), panel, number)


def _colors(curves: Sequence[Curve]) -> list[str]:
    free = [color for color in PALETTE if color not in {curve.color for curve in curves}] or list(PALETTE)
    unnamed = iter(range(len(curves)))
    return [PALETTE[curve.color or free[next(unnamed) % len(free)]] for curve in curves]


def _draw(axes: Axes, curve: Curve, color: str) -> None:
    x, y = np.asarray(curve.x, float), np.asarray(curve.y, float)
    if curve.low is not None and curve.high is not None:
        low, high = np.asarray(curve.low, float), np.asarray(curve.high, float)
        axes.fill_between(x, low, high, color=color, alpha=0.16, linewidth=0)
    style = (0, (4, 2)) if curve.dashed else "-"
    axes.plot(x, y, color=color, linewidth=2, linestyle=style, marker="o" if len(x) == 1 else None)


def _draw_mark(axes: Axes, mark: Mark) -> None:
    look = {"color": _INK, "linewidth": 1, "linestyle": (0, (1, 2)), "alpha": 0.7}
    words = {"fontsize": 11.5, "alpha": 0.8, "textcoords": "offset points"}
    if mark.x is not None:
        axes.axvline(mark.x, **look)  # type: ignore[arg-type]
        axes.annotate(mark.label, (mark.x, 1), xycoords=("data", "axes fraction"), xytext=(4, -9), **words)  # type: ignore[arg-type]
    elif mark.y is not None:
        axes.axhline(mark.y, **look)  # type: ignore[arg-type]
        axes.annotate(mark.label, (1, mark.y), xycoords=("axes fraction", "data"), xytext=(-2, 4), ha="right", **words)  # type: ignore[arg-type]


def _label_ends(axes: Axes, curves: Sequence[Curve], colors: Sequence[str]) -> None:
    """Labels right of the axes at the height where their curves end, pushed apart where they would overlap."""
    line = 15.5  # points from one line of text to the next
    labels = [textwrap.wrap(curve.label, 13) or [""] for curve in curves]
    bottom, top = axes.get_ylim()
    ends = [_last_finite(curve.y) for curve in curves]
    height = _HEIGHT - 85.0  # roughly what title and axis leave
    wanted = np.clip([(end - bottom) / (top - bottom) * height for end in ends], 0, height)
    order = np.argsort(wanted)
    half = np.array([line * len(label) / 2 + 1 for label in labels])
    placed = wanted.copy()
    for _ in range(100):  # relax: neighbours that overlap share the push
        for a, b in pairwise(order):
            overlap = half[a] + half[b] - (placed[b] - placed[a])
            if overlap > 1e-3:
                placed[a] -= overlap / 2
                placed[b] += overlap / 2
    for label, color, at in zip(labels, colors, placed / height, strict=True):
        axes.annotate("\n".join(label), (1.0, at), xycoords="axes fraction", xytext=(7, 0), textcoords="offset points",
                      color=color, fontsize=12.5, fontweight="bold", va="center", annotation_clip=False)  # fmt: skip


def _last_finite(values: Sequence[float] | np.ndarray) -> float:
    array = np.asarray(values, float)
    finite = array[np.isfinite(array)]
    return float(finite[-1]) if len(finite) else 0.0


def _for_page(svg: str, panel: Panel, number: int) -> str:
    """Matplotlib's file as an element: no prologue, own ids, colours of the page, and words for who cannot see it."""
    body = re.sub(r"<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL)  # it would style the whole page
    body = body[body.index(">") + 1 :]
    used = set(re.findall(r'(?:url\(#|href="#)([\w.-]+)', body))
    prefix = "c" + hashlib.sha256(f"{number} {body}".encode()).hexdigest()[:8] + "-"
    body = re.sub(r"<[^>]*>", lambda tag: _tag_for_page(tag[0], used, prefix), body)  # tags only: labels stay as given
    labels = ", ".join(curve.label for curve in panel.curves)
    opening = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="panel" role="img" aria-label="{}" viewBox="0 0 {} {}" style="'
        "display:block;width:100%;max-width:{}px;height:auto;font-family:ui-sans-serif,system-ui,sans-serif;"
        'stroke-linejoin:round">'
    ).format(
        f"{panel.title}: {panel.y_label} against {panel.x_label} for {labels}", _WIDTH, _HEIGHT, round(_WIDTH * 1.4)
    )
    return str(opening) + body.strip()


def _tag_for_page(tag: str, used: set[str], prefix: str) -> str:
    tag = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", tag)
    tag = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{prefix}", tag).replace("xlink:href=", "href=")
    tag = re.sub(r" font-family: [^;]*;", "", tag).replace(_INK, "currentColor")
    for name, color in PALETTE.items():
        themed = f"var(--{name}, {color})"
        if tag.startswith("<text"):  # words a little nearer to the text colour than lines, to be read easily
            themed = f"color-mix(in srgb, {themed} 75%, currentColor)"
        tag = re.sub(color, themed, tag, flags=re.IGNORECASE)
    if tag.startswith("<text"):  # a rim in the colour of the page keeps words readable where a line runs under them
        tag = tag.replace('style="', 'style="paint-order: stroke; stroke: var(--paper, none); stroke-width: 3px; ', 1)
    return tag
