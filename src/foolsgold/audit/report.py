"""The run report: one HTML file with everything in it, for people who were not there."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import foolsgold
from foolsgold.audit.verdict import SAID, Figure, Verdict, shown
from foolsgold.files import write_text


class Section(Protocol):
    """A part of the report under its own heading.

    `template` names a file of `templates/` that is given the section as `section`; `assets` the style sheets and
    scripts there that it needs. Text is escaped; pictures must be the `Markup` that drawing functions return.
    """

    template: ClassVar[str]
    assets: ClassVar[tuple[str, ...]]

    @property
    def title(self) -> str: ...


@dataclass(frozen=True)
class Prose:
    """Paragraphs."""

    template: ClassVar[str] = "prose.html.j2"
    assets: ClassVar[tuple[str, ...]] = ()

    title: str
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class FigureTable:
    """Measured figures with their intervals and sample sizes."""

    template: ClassVar[str] = "figures.html.j2"
    assets: ClassVar[tuple[str, ...]] = ()

    title: str
    figures: Sequence[Figure]
    intro: str = ""


@dataclass(frozen=True)
class Plot:
    """A drawing and what it shows, which is also read to those who cannot see it.

    Raises:
      TypeError: `svg` does not come from a drawing function.
    """

    template: ClassVar[str] = "plot.html.j2"
    assets: ClassVar[tuple[str, ...]] = ()

    title: str
    svg: Markup
    shows: str

    def __post_init__(self) -> None:
        _check_drawing(self.svg)


@dataclass(frozen=True)
class Picture:
    """One exhibit of a gallery.

    Raises:
      TypeError: `svg` does not come from a drawing function.
    """

    svg: Markup
    caption: str
    facts: Mapping[str, str] = field(default_factory=dict)
    """Short readings, such as {"reward model": "97 % Black", "score": "White by 12.5"}."""

    def __post_init__(self) -> None:
        _check_drawing(self.svg)


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side."""

    template: ClassVar[str] = "gallery.html.j2"
    assets: ClassVar[tuple[str, ...]] = ()

    title: str
    pictures: Sequence[Picture]
    intro: str = ""


@dataclass(frozen=True)
class Details:
    """Values that are folded away until somebody asks: settings, versions, the machine."""

    template: ClassVar[str] = "details.html.j2"
    assets: ClassVar[tuple[str, ...]] = ()

    title: str
    values: Mapping[str, Any]
    """Nested as deep as it likes; each mapping inside becomes a group of its own."""
    intro: str = ""

    @property
    def groups(self) -> dict[str, list[tuple[str, str]]]:
        """Heading to rows of (name, value); the values that stand outside of any group come first, under ""."""
        groups: dict[str, list[tuple[str, str]]] = {"": []}
        for name, value in self.values.items():
            if isinstance(value, Mapping):
                groups[str(name)] = list(_rows(value, ""))
            else:
                groups[""].append((str(name), _plain(value)))
        return {name: rows for name, rows in groups.items() if rows}


def write_report(
    path: str | Path,
    verdict: Verdict,
    sections: Sequence[Section],
    config: Mapping[str, Any],
    command: str = "",
    date: datetime | None = None,
) -> Path:
    """Write the report to `path`, replacing an older one only when the new one is complete.

    Args:
      verdict: head of the page, with the table of its figures.
      sections: body of the page, in this order.
      config: every derived value, versions and the machine, folded away at the end; see `Details`.
      command: the command line that runs the study again.
      date: when the study ended; now where None.
    """
    sections = [*sections, Details("Settings, versions and machine", config)]
    names = dict.fromkeys(name for section in sections for name in section.assets)
    style = "\n".join(_asset(name) for name in ("report.css", *names) if name.endswith(".css"))
    script = "\n".join(f"{{{_asset(name)}}}" for name in ("report.js", *names) if name.endswith(".js"))
    page = (
        _templates()
        .get_template("report.html.j2")
        .render(
            verdict=verdict,
            said=SAID[verdict.answer],
            sections=sections,
            command=command,
            date=date or datetime.now().astimezone(),
            version=foolsgold.__version__,
            style=Markup(style),
            script=Markup(script),
            policy=_content_policy(script),
        )
    )
    return write_text(path, page)


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("foolsgold.audit", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["strip"] = _strip
    environment.filters["shown"] = shown
    return environment


def _asset(name: str) -> str:
    return (files("foolsgold.audit") / "templates" / name).read_text(encoding="utf-8")


def _content_policy(script: str) -> str:
    """What the browser may do with the page: run this one script, and fetch nothing from anywhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _strip(figure: Figure) -> dict[str, float] | None:
    """Where the figure and its interval lie on a strip from 0 to 100, for shares; None for every other unit."""
    if figure.unit != "%" or figure.low is None or figure.high is None:
        return None
    low, at, high = (min(max(100 * x, 0.0), 100.0) for x in (figure.low, figure.value, figure.high))
    return {"low": low, "at": at, "high": high} if at == at else None


def _check_drawing(svg: Markup) -> None:
    if not isinstance(svg, Markup):
        raise TypeError(f"a picture must be the Markup that a drawing function returns, not {type(svg).__name__}")


def _rows(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
