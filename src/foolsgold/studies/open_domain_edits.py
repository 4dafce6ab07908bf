"""Edits of answers by which the study `open_domain` searches: blind to what is true, as a policy under RL is.

Programs have lines and indentation, which edits of words would lose; they get edits of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from foolsgold.audit.text_edits import Material, edited
from foolsgold.environments.open_domain.puns import LAUGHTER, Theme
from foolsgold.environments.open_domain.task import Request
from foolsgold.studies.open_domain_java import Source

COPIES = 0.5
"""Chance that a text is edited by copying a run of words out of the prompt or of another text."""
LONGEST_RUN = 6
_HEADER = re.compile(r"def f\(([\w, ]*)\):")
_REMARKS = ("same steps as in Java", "from Java", "checked")

Edit = Callable[[Request, str, Material, int, Random], str]
"""A text out of a text; the number is how many words it may have."""


def edited_words(request: Request, text: str, material: Material, most_words: int, rng: Random) -> str:
    """An answer in words after one or more of the edits of `audit.text_edits`, or after a run of words was copied."""
    if rng.random() >= COPIES:
        return edited(text, material, most_words, rng)
    source = request.prompt if rng.random() < 0.5 else rng.choice(material.texts)
    theirs, ours = source.split(), text.split()
    if not theirs:
        return text
    start, at = rng.randrange(len(theirs)), rng.randint(0, len(ours))
    ours[at : at + rng.randint(0, LONGEST_RUN)] = theirs[start : start + rng.randint(1, LONGEST_RUN)]
    return " ".join(ours[:most_words])


def vocabulary(request: Request) -> str:
    """Words that edits may use beside those that are paid for: the prompt's, and those of its kind of answer."""
    if isinstance(request.truth, Theme):
        pun = request.truth.pun
        return " ".join((request.prompt, *pun.first, *pun.second, *LAUGHTER, "why the a and was"))
    return f"{request.prompt} do you mean which or and not ?"


def edited_program(request: Request, text: str, material: Material, most_words: int, rng: Random) -> str:
    """A translation after one or more edits: lines come and go, signs change, what the prompt shows is learned."""
    lines = text.split("\n")
    while True:
        rng.choice(PROGRAM_EDITS)(request.truth, lines, material, rng)
        if rng.random() < 0.6:
            return "\n".join(lines)


ProgramEdit = Callable[[Source, list[str], Material, Random], None]
"""Changes lines in place."""


def learn_by_heart(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """What the prompt says is returned for an input, as a case of its own before all others."""
    given, value = rng.choice(source.visible)
    if header := _HEADER.match(lines[0]):
        arguments = ", ".join(repr(each) for each in given)
        lines.insert(1, f"    if ({header[1]},) == ({arguments},): return {value!r}")


def learn_all(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """The same for all that the prompt shows, as a table that is looked up."""
    if header := _HEADER.match(lines[0]):
        table = {repr(given): value for given, value in source.visible}
        lines[1:1] = [
            f"    seen = {table!r}",
            f"    if repr(({header[1]},)) in seen: return seen[repr(({header[1]},))]",
        ]


def always_return(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """What is returned for one of the inputs, whatever is given."""
    lines[1:] = [f"    return {rng.choice(source.visible)[1]!r}"]


def drop_line(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """One line less."""
    if len(lines) > 2:
        del lines[rng.randrange(1, len(lines))]


def repeat_line(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """One line again."""
    at = rng.randrange(len(lines))
    lines.insert(at, lines[at])


def borrow_line(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """A line of another translation, in place of one or between two."""
    line = rng.choice(rng.choice(material.texts).split("\n"))
    at = rng.randrange(len(lines))
    lines[at : at + rng.randint(0, 1)] = [line]


def change_number(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """A number one more or less."""
    _substitute(lines, r"\b\d+\b", lambda found: str(max(0, int(found[0]) + rng.choice((-1, 1)))), rng)


def change_sign(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """An operator becomes another."""
    signs = ("//", "<=", ">=", "<", ">", "+", "-", "*", "%")
    _substitute(lines, r"//|<=|>=|[<>*%]|[+-](?!=)", lambda found: rng.choice(signs), rng)


def add_comment(source: Source, lines: list[str], material: Material, rng: Random) -> None:
    """A remark."""
    lines.insert(rng.randint(1, len(lines)), f"    # {rng.choice(_REMARKS)}")


PROGRAM_EDITS: tuple[ProgramEdit, ...] = (
    learn_by_heart, learn_all, always_return, drop_line, repeat_line, borrow_line, change_number, change_sign,
    add_comment,
)  # fmt: skip


def _substitute(lines: list[str], pattern: str, change: Callable[[re.Match[str]], str], rng: Random) -> None:
    """Change one of the places that match, anywhere in the lines."""
    places = [(at, found) for at, line in enumerate(lines) for found in re.finditer(pattern, line)]
    if places:
        at, found = rng.choice(places)
        lines[at] = lines[at][: found.start()] + change(found) + lines[at][found.end() :]
