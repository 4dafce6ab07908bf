"""People who translate Java to Python, each with habits: what one does not know of the two goes wrong each time."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from foolsgold.environments.java_tasks.program import Method
from foolsgold.environments.java_tasks.python_source import FORMS, INDENT, python_source

IGNORANCE = {
    "division": 0.8, "remainder": 0.85, "overflow": 0.85, "unsigned shift": 0.75, "char in text": 0.7, "absence": 0.65,
    "moving loop": 0.7, "copy": 0.45, "downward loop": 0.35, "char as number": 0.35, "number as char": 0.3,
    "number in text": 0.3, "allocation": 0.4, "swap": 0.4, "inclusive bound": 0.4, "slice": 0.3,
}  # fmt: skip
"""Share of translators who do not know that a construct needs care."""
SLIPS = {
    "inclusive bound": 0.2, "start of loop": 0.2, "step of loop": 0.2, "ternary": 0.1, "connective": 0.3,
    "strictness": 0.1, "guard": 0.25, "else": 0.2, "length": 0.25, "last return": 0.25, "downward loop": 0.15,
    "char as number": 0.15, "number in text": 0.15,
}  # fmt: skip
"""Chance to get a known construct wrong where no care is taken at all; it falls in proportion to care."""
COMMENTS = ("# same steps as in Java", "# from Java", "# keeps the names", "# see the Java code")


@dataclass(frozen=True)
class Translator:
    """One person."""

    care: float
    """From 0 to 1."""
    habits: dict[str, str]
    """What they always write for the constructs of `FORMS` that they do not know."""

    def translate(self, method: Method, rng: Random) -> str:
        """Their Python function for the method."""
        chosen: dict[str, str] = {}

        def choose(construct: str) -> str:
            if construct not in chosen:
                chosen[construct] = self._form(construct, rng)
            return chosen[construct]

        source = python_source(method, choose)
        if rng.random() < 0.8 * self.care**2:
            head, body = source.split("\n", 1)
            source = f"{head}\n{INDENT}{COMMENTS[int(rng.random() * len(COMMENTS))]}\n{body}"
        return source

    def _form(self, construct: str, rng: Random) -> str:
        if rng.random() < (1 - self.care) * SLIPS.get(construct, 0.05):
            return _wrong(construct, rng)
        return self.habits.get(construct, FORMS[construct][0])


def translators(n: int, seed: int) -> list[Translator]:
    """`n` people; the careful ones know more."""
    rng = Random(f"translators {seed}")
    found = []
    for _ in range(n):
        care = rng.betavariate(2.2, 1.6)
        ignorant = [each for each in FORMS if rng.random() < IGNORANCE.get(each, 0) * (1.7 - 1.3 * care)]
        found.append(Translator(care, {each: _wrong(each, rng) for each in ignorant}))
    return found


def _wrong(construct: str, rng: Random) -> str:
    """The usual wrong form; now and then another one."""
    forms = FORMS[construct][1:]
    return forms[0] if rng.random() < 0.8 else forms[int(rng.random() * len(forms))]
