"""Edits of texts, and their evolution: what a reward likes best stays and is edited again.

The edits are blind to meaning, as a policy under RL is: it says more often whatever was paid for. Spaces of an edited
text become single ones.

Letters: P prompts, B texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np

from foolsgold.errors import UserError

Lines = list[list[str]]
"""The words of each line of a text."""
Score = Callable[[Sequence[int], Sequence[str]], np.ndarray]
"""Rewards `[B]` of texts `[B]` as answers to the prompts with these numbers `[B]`; NaN where none applies."""

_PIECE = re.compile(r"\n|[^\S\n]*\S+")


@dataclass(frozen=True)
class Material:
    """What edits may put into a text."""

    words: Sequence[str]
    """Those of texts that the reward likes, and of the prompt; often a word that is often there."""
    texts: Sequence[str]
    """Others that the reward likes, for the same prompt or another one."""


Edit = Callable[[Lines, Material, Random], None]
"""Changes lines in place; leaves them as they are where it finds nothing to do."""


def repeat_word(lines: Lines, material: Material, rng: Random) -> None:
    """One word one, two or four times more, where it stands."""
    if place := _place(lines, rng):
        line, at = place
        line[at:at] = [line[at]] * rng.choice((1, 2, 4))


def repeat_line(lines: Lines, material: Material, rng: Random) -> None:
    """One line again, anywhere."""
    lines.insert(rng.randint(0, len(lines)), list(rng.choice(lines)))


def swap_words(lines: Lines, material: Material, rng: Random) -> None:
    """Two words change places."""
    first, second = _place(lines, rng), _place(lines, rng)
    if first and second:
        (line, at), (other, there) = first, second
        line[at], other[there] = other[there], line[at]


def delete_word(lines: Lines, material: Material, rng: Random) -> None:
    """One word less."""
    if place := _place(lines, rng):
        line, at = place
        del line[at]


def delete_line(lines: Lines, material: Material, rng: Random) -> None:
    """One line less, unless it is the only one."""
    if len(lines) > 1:
        del lines[rng.randrange(len(lines))]


def insert_word(lines: Lines, material: Material, rng: Random) -> None:
    """One word more, out of the material."""
    line = rng.choice(lines)
    line.insert(rng.randint(0, len(line)), rng.choice(material.words))


def replace_word(lines: Lines, material: Material, rng: Random) -> None:
    """One word of the material in place of another."""
    if place := _place(lines, rng):
        line, at = place
        line[at] = rng.choice(material.words)


def splice(lines: Lines, material: Material, rng: Random) -> None:
    """The beginning of this text and the end of another one, cut between lines or, at the cut, between words."""
    other = _read(rng.choice(material.texts))
    here, there = rng.randrange(len(lines)), rng.randrange(len(other))
    joint = lines[here][: rng.randint(0, len(lines[here]))] + other[there][rng.randint(0, len(other[there])) :]
    lines[here:] = [joint, *other[there + 1 :]]


def truncate(lines: Lines, material: Material, rng: Random) -> None:
    """Nothing after a word somewhere."""
    here = rng.randrange(len(lines))
    del lines[here + 1 :]
    del lines[here][rng.randint(0, len(lines[here])) :]


def lengthen(lines: Lines, material: Material, rng: Random) -> None:
    """A line of up to eight words of the material more, at the end."""
    lines.append([rng.choice(material.words) for _ in range(rng.randint(1, 8))])


EDITS: tuple[Edit, ...] = (
    repeat_word, repeat_line, swap_words, delete_word, delete_line, insert_word, replace_word, splice, truncate,
    lengthen,
)  # fmt: skip
_FURTHER = 0.4
"""Chance of one more edit after each; a text gets 1.7 on average."""


def edited(text: str, material: Material, most_words: int, rng: Random) -> str:
    """`text` after one or more random edits, cut off after `most_words`."""
    lines = _read(text)
    rng.choice(EDITS)(lines, material, rng)
    while rng.random() < _FURTHER:
        rng.choice(EDITS)(lines, material, rng)
    left, kept = most_words, []
    for line in lines:
        kept.append(line[: max(left, 0)])
        left -= len(line)
    return "\n".join([" ".join(line) for line in kept]).strip()


def _edited(row: int, text: str, material: Material, most_words: int, rng: Random) -> str:
    return edited(text, material, most_words, rng)


def _read(text: str) -> Lines:
    return [line.split() for line in text.split("\n")]


def _place(lines: Lines, rng: Random) -> tuple[list[str], int] | None:
    """A random word, as its line and its place there; None in a text without words."""
    places = [(line, at) for line in lines for at in range(len(line))]
    return rng.choice(places) if places else None


def pieces(text: str) -> list[str]:
    """Words, with the spaces before them, and line breaks: what a text can be taken apart into."""
    return _PIECE.findall(text)


def joined(parts: Sequence[str]) -> str:
    """The text of some of the `pieces`; where a line break is left out, a space parts its words."""
    text = ""
    for part in parts:
        if not text or text.endswith("\n"):
            part = part.lstrip(" \t") if part != "\n" else part
        elif part != "\n" and not part[0].isspace():
            part = f" {part}"
        text += part
    return text


@dataclass(frozen=True)
class EvolutionSettings:
    """How texts are bred.

    Raises:
      UserError: a number is below 1.
    """

    generations: int = 20
    population: int = 16
    """Texts a prompt that live on."""
    children: int = 64
    """Texts a prompt that are bred and scored in a generation."""
    longest: float = 1.5
    """Most words, as a multiple of those of the prompt's longest sample."""

    def __post_init__(self) -> None:
        if min(self.generations, self.population, self.children, self.longest) < 1:
            raise UserError(f"the numbers of an evolution must be 1 or more, not {self}")


class Bred(NamedTuple):
    """A text and where it comes from."""

    text: str
    score: float
    parent: str
    """The sample that it descends from."""


def evolve(
    score: Score,
    prompts: Sequence[str],
    starts: Sequence[Sequence[Bred]],
    settings: EvolutionSettings,
    seed: int,
    report: Callable[[], None] = lambda: None,
    edit: Callable[[int, str, Material, int, Random], str] = _edited,
) -> list[list[Bred]]:
    """Breed texts that `score` likes, for each of P prompts: the best of parents and children live on (mu + lambda).

    Parents are the better of two drawn at random. Words come from the prompt and from the best texts of all prompts, so
    that what works for one is tried on the others.

    Args:
      prompts: `[P]`, their words.
      starts: `[P][>= 1]`, samples with their scores.
      report: is told of each generation.
      edit: `edited`, told the number of the prompt first; another one for answers that are more than words in lines.

    Returns: `[P]` lists, best first, of `settings.population` texts at most.
    """
    rng = Random(f"evolution {seed}")
    most_words = [max(8, int(settings.longest * max(len(each.text.split()) for each in start))) for start in starts]
    living = [_best(start, settings.population) for start in starts]
    for _ in range(settings.generations):
        best = [population[0].text for population in living]
        liked = [word for text in best for word in text.split()]
        rows: list[int] = []
        children: list[tuple[str, str]] = []
        for row, population in enumerate(living):
            words = [*liked, *prompts[row].split()] or ["the"]
            material = Material(words, [*best, *(each.text for each in population)])
            for _ in range(settings.children):
                parent = population[min(rng.randrange(len(population)), rng.randrange(len(population)))]
                rows.append(row)
                children.append((edit(row, parent.text, material, most_words[row], rng), parent.parent))
        scores = score(rows, [text for text, _ in children])
        for row, (text, start), found in zip(rows, children, scores.tolist(), strict=True):
            living[row].append(Bred(text, found, start))
        living = [_best(population, settings.population) for population in living]
        report()
    return living


def _best(population: Sequence[Bred], count: int) -> list[Bred]:
    """The `count` best, each text once; texts without a score only where no text has one."""
    different = {each.text: each for each in reversed(population)}.values()
    ranked = sorted(different, key=lambda each: (np.isnan(each.score), -each.score))
    return [each for each in ranked if not np.isnan(each.score)][:count] or ranked[:1]
