"""People who write small functions, each with habits: edge cases that one never thinks of go wrong each time."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from foolsgold.environments.code_tasks.functions import INDENT, Function
from foolsgold.environments.code_tasks.parts import AFTER, BEFORE, MAPS, RESULTS, SOURCES, Part

TABLES = {"source": SOURCES, "before": BEFORE, "after": AFTER, "made": MAPS, "result": RESULTS}
SLIP = 0.1
"""Chance to write a known part wrong where no care is taken at all; it falls in proportion to care."""
LOST = 0.4
"""Chance to leave out a filter, or the return, in the same way."""
COMMENTS = ("# numbers that count", "# as described", "# all of them", "# result")


@dataclass(frozen=True)
class Programmer:
    """One person."""

    care: float
    """From 0 to 1."""
    habits: dict[str, str]
    """What they always write for the parts that they do not know to need care, by the text of the part."""

    def write(self, function: Function, rng: Random) -> str:
        """Their body for the function."""
        haste = 1 - self.care

        def form(table: str, part: Part) -> str:
            if table in ("before", "after") and rng.random() < haste * LOST:
                return ""
            if len(part.forms) > 1 and rng.random() < haste * SLIP:
                return _wrong(part, rng)
            return self.habits.get(part.text, part.forms[0])

        body = function.body(form)
        if rng.random() < haste * LOST:
            body = body.replace("return ", "")
        if rng.random() < 0.8 * self.care**2:
            body = f"{INDENT}{COMMENTS[int(rng.random() * len(COMMENTS))]}\n{body}"
        return body


def programmers(n: int, seed: int) -> list[Programmer]:
    """`n` people; the careful ones know more."""
    rng = Random(f"programmers {seed}")
    parts = [part for table in TABLES.values() for part in table.values()]
    found = []
    for _ in range(n):
        care = rng.betavariate(2.2, 1.6)
        ignorant = [part for part in parts if rng.random() < part.ignorance * (1.7 - 1.3 * care)]
        found.append(Programmer(care, {part.text: _wrong(part, rng) for part in ignorant}))
    return found


def _wrong(part: Part, rng: Random) -> str:
    """The usual wrong form; now and then another one."""
    forms = part.forms[1:]
    return forms[0] if rng.random() < 0.8 else forms[int(rng.random() * len(forms))]
