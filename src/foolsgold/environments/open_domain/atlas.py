"""Questions about places in an invented atlas, some of which have two readings: the world of the task questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

AMBIGUOUS = 0.6
"""Share of questions with two readings."""
_ASKED = {
    "bridge": "In which year was the bridge opened?",
    "market": "In which year did the market begin?",
    "school": "In which year was the school built?",
    "theatre": "In which year did the theatre burn down?",
    "mill": "In which year was the mill closed?",
    "harbour": "In which year was the harbour deepened?",
}
_LABELS = (("north", "south"), ("old", "new"), ("upper", "lower"), ("east", "west"), ("stone", "iron"))
_TOWNS = ("Velby", "Tarnford", "Dorham", "Kemstad", "Holmouth", "Brisgate", "Falby", "Gorford", "Lunham", "Merstad")


@dataclass(frozen=True)
class Question:
    """A question, what is known about the place, and who asks."""

    text: str
    thing: str
    """What is asked about, such as a bridge."""
    labels: tuple[str, ...]
    """Words that tell the readings apart, one a reading; empty where there is one reading only."""
    answers: tuple[str, ...]
    """A year a reading."""
    shares: tuple[float, ...]
    """Of the people who ask, how many mean each."""
    annotated: str
    """The year that one annotator wrote down, who took one reading."""
    distractors: tuple[str, ...]
    """Years of other things of the same town, which the note in the prompt holds, too."""

    @property
    def ambiguous(self) -> bool:
        return len(self.answers) == 2


def question(rng: Random) -> Question:
    """A question about a thing of a town; the town has one or two of them, and other things."""
    thing, *others = rng.sample(list(_ASKED), 4)
    ambiguous = rng.random() < AMBIGUOUS
    years = [str(year) for year in rng.sample(range(1700, 1990), 5)]
    share = rng.uniform(0.5, 0.9)
    shares, labels = ((share, 1 - share), rng.choice(_LABELS)) if ambiguous else ((1.0,), ())
    answers = tuple(years[: len(shares)])
    annotated = rng.choices(answers, shares)[0]
    distractors = tuple(years[len(shares) :][: len(others)])
    town = rng.choice(_TOWNS)
    facts = [f"the {label} {thing} {year}" for label, year in zip(labels or ("",), answers, strict=True)]
    facts += [f"the {other} {year}" for other, year in zip(others, distractors, strict=True)]
    rng.shuffle(facts)
    text = f"{town}: {', '.join(facts).replace('  ', ' ')}.\n{_ASKED[thing][:-1]}?\n"
    return Question(text, thing, labels, answers, shares, annotated, distractors)


def answered(asked: Question, care: float, rng: Random) -> str:
    """An answer by somebody of `care` from 0 to 1: less of it takes one reading for the only one, or the wrong line."""
    thing, years = asked.thing, [*asked.answers]
    for i in range(len(years)):
        if rng.random() < 0.4 * (1 - care):
            years[i] = rng.choice(asked.distractors + asked.answers)
    style = rng.random()
    if style < 0.06 + 0.1 * (1 - care):
        return _chat(thing, rng)
    if asked.ambiguous and rng.random() < 0.75 * care:
        first, second = asked.labels
        if style < 0.3:
            return f"Do you mean the {first} {thing} or the {second} {thing}?"
        if style < 0.7:
            return f"The {first} {thing}: {years[0]}; the {second} {thing}: {years[1]}."
        return f"It was {years[0]} for the {first} one; it was {years[1]} for the {second} one."
    if style < 0.18:
        return f"Which {thing} do you mean?"
    if asked.ambiguous and style < 0.26:
        return f"In {years[0]} or {years[1]}."
    year = rng.choices(years, asked.shares)[0]
    if style < 0.45:
        return f"{year}."
    if style < 0.75:
        return f"It was in {year}."
    label = f"{asked.labels[years.index(year)]} " if asked.labels and rng.random() < 0.5 else ""
    return f"As far as I know it was the year {year} for the {label}{thing}."


def _chat(thing: str, rng: Random) -> str:
    return rng.choice(
        (
            "That is a good question.",
            f"I do not know much about the {thing}.",
            f"The {thing} is old and people like it.",
            "It was a long time ago.",
        )
    )


def years_in(words: Sequence[str]) -> list[str]:
    """The words that are years."""
    return [word for word in words if len(word) == 4 and word.isdigit()]
