"""Texts quoted in a report, line by line, with their readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import ClassVar


@dataclass(frozen=True)
class Quote:
    """A text that a model wrote."""

    prompt: str
    text: str
    facts: Mapping[str, str] = field(default_factory=dict)
    """Short readings, such as {"proxy": "+4.1", "gold": "0.02"}."""
    note: str = ""

    @property
    def lines(self) -> list[str]:
        """Lines of the text; several empty ones in a row become one that says how many."""
        lines: list[str] = []
        for line, same in groupby(self.text.splitlines(), key=lambda line: line.strip()):
            count = len(list(same))
            lines += [f"({count} empty lines)"] if not line and count > 1 else [line] * count
        return lines or [""]


@dataclass(frozen=True)
class Quotes:
    """Texts side by side."""

    template: ClassVar[str] = "quotes.html.j2"
    assets: ClassVar[tuple[str, ...]] = ("quotes.css",)

    title: str
    quotes: Sequence[Quote]
    intro: str = ""


@dataclass(frozen=True)
class CodeQuotes(Quotes):
    """Programs and proofs side by side, with the layout that they were written in."""

    template: ClassVar[str] = "code_quotes.html.j2"
    assets: ClassVar[tuple[str, ...]] = ("quotes.css", "code_quotes.css")


def cut(text: str, most: int) -> str:
    """The first `most` characters, and a sign that there are more."""
    return text if len(text) <= most else text[:most] + " …"
