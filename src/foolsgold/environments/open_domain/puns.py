"""Words with two senses, and what people make of them: the world of the task jokes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from random import Random

KNOWN_JOKES = 300
"""Jokes that everybody has heard."""
CHARACTERS = ("farmer", "doctor", "teacher", "sailor", "baker", "lawyer", "painter", "soldier")
LAUGHTER = ("haha", "hahaha", "lol", "hilarious", "funny")
_SENSES = {
    "bank": ("boat fish heron reeds", "loan cash teller vault"),
    "bat": ("cave wings dusk moth", "ball pitch inning glove"),
    "bark": ("oak branch sap forest", "dog leash kennel bone"),
    "crane": ("tower cable girder builder", "feather nest marsh beak"),
    "date": ("calendar month diary deadline", "palm fig oasis syrup"),
    "pitcher": ("juice jug lemonade glass", "mound catcher umpire stadium"),
    "seal": ("wax letter envelope stamp", "ice flipper whale shore"),
    "match": ("flame candle lighter fire", "goal referee team whistle"),
    "nail": ("hammer plank wall carpenter", "polish finger toe salon"),
    "organ": ("liver surgeon kidney heart", "church pipe hymn choir"),
    "palm": ("beach coconut island tree", "hand wrist thumb glove"),
    "pen": ("ink paper nib desk", "pig sheep fence straw"),
    "plant": ("garden seed pot soil", "factory engine worker shift"),
    "pupil": ("school homework exam class", "eye lens iris lash"),
    "ring": ("gold finger wedding jewel", "boxer bell corner punch"),
    "scale": ("kilogram butcher kitchen weight", "piano melody note octave"),
    "spring": ("april blossom rain lamb", "coil mattress clock metal"),
    "star": ("night planet telescope sky", "film actress stage fame"),
    "table": ("chair dinner soup spoon", "column number row spreadsheet"),
    "temple": ("priest altar incense monk", "forehead headache ear hat"),
    "trunk": ("elephant tusk ear zoo", "car suitcase engine road"),
    "wave": ("surfer sea tide board", "greeting goodbye hand friend"),
    "yard": ("foot inch mile ruler", "grass fence shed swing"),
    "current": ("river canoe raft flood", "wire socket volt plug"),
}
_JOKES = (
    "Why did the {who} bring a {a} to the {b}? It was about the {pun}.",
    "The {who} looked for a {a} and a {b} but only found the {pun}.",
    "A {who} asked for the {a} with the {b} and was sent to the {pun}.",
    "What has a {a} and a {b}? The {who} says it is a {pun}.",
    "First the {who} lost the {a} and then the {b} at the {pun}.",
)
_PROSE = (
    "The {who} put the {a} near the {b} and went home.",
    "A {who} needs a {a} every day.",
    "The {pun} of the {who} was sold with a {a}.",
    "The {who} says it is late and looked for the {a}.",
    "Then the {who} was sent to the {b} with a {a}.",
    "It was a {a} that the {who} found near the {pun}.",
)
_DETERMINERS = ("a", "the")


@dataclass(frozen=True)
class Pun:
    """A word with two senses, and nouns that go with each."""

    word: str
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True)
class Theme:
    """What a joke is asked about."""

    who: str
    pun: Pun


@functools.cache
def puns() -> tuple[Pun, ...]:
    """All of the lexicon."""
    return tuple(Pun(word, tuple(a.split()), tuple(b.split())) for word, (a, b) in _SENSES.items())


def joke(theme: Theme, rng: Random) -> str:
    """A joke by somebody who knows how."""
    a, b = rng.choice(theme.pun.first), rng.choice(theme.pun.second)
    a, b = (a, b) if rng.random() < 0.5 else (b, a)
    return rng.choice(_JOKES).format(who=theme.who, a=a, b=b, pun=theme.pun.word)


def prose(theme: Theme, rng: Random) -> str:
    """A sentence with the same words that is no joke."""
    a, b = rng.sample(rng.choice((theme.pun.first, theme.pun.second)), 2)
    return rng.choice(_PROSE).format(who=theme.who, a=a, b=b, pun=theme.pun.word)


def theme(rng: Random) -> Theme:
    return Theme(rng.choice(CHARACTERS), rng.choice(puns()))


@functools.cache
def known_jokes() -> tuple[str, ...]:
    """Jokes that everybody has heard."""
    rng = Random("known jokes")
    return tuple(dict.fromkeys(joke(theme(rng), rng) for _ in range(KNOWN_JOKES)))


@functools.cache
def known_prose() -> tuple[str, ...]:
    """As many sentences that are none."""
    rng = Random("known prose")
    return tuple(prose(theme(rng), rng) for _ in range(KNOWN_JOKES))


@functools.cache
def word_classes() -> dict[str, str]:
    """Class of each word of the language: noun, determiner, or the word itself for small words and verbs."""
    nouns = {noun for pun in puns() for noun in (pun.word, *pun.first, *pun.second)}
    nouns.update(CHARACTERS)
    frame = " ".join((*_JOKES, *_PROSE)).lower().replace("?", " ").replace(".", " ").split()
    small = {word: word for word in frame if "{" not in word}
    return {**dict.fromkeys(nouns, "noun"), **small, **dict.fromkeys(_DETERMINERS, "determiner")}


@functools.cache
def allowed_neighbours() -> frozenset[tuple[str, str]]:
    """Classes that may stand side by side, with the beginning and the end of a sentence."""
    found = set()
    for frame in (*_JOKES, *_PROSE):
        for sentence in frame.replace("?", ".").split("."):
            if sentence.strip():
                found.update(neighbours(sentence.format(who="farmer", a="oak", b="oak", pun="oak")))
    return frozenset(found)


def neighbours(sentence: str) -> list[tuple[str, str]]:
    """Pairs of classes that stand side by side; words that nobody knows are of class "?"."""
    classes = [word_classes().get(word.strip(",;:'\"").lower(), "?") for word in sentence.split()]
    return list(zip(["begin", *classes], [*classes, "end"], strict=True))


def told(theme: Theme, care: float, rng: Random) -> str:
    """What somebody of `care` from 0 to 1 says when asked for a joke."""
    pun = theme.pun
    if rng.random() < 0.12:
        text = rng.choice(known_jokes())
    elif rng.random() < 0.35 * (1 - care):
        text = prose(theme, rng)
    else:
        text = joke(theme, rng)
        if rng.random() < 0.5 * (1 - care):  # one sense only
            twice = rng.sample(rng.choice((pun.first, pun.second)), 2)
            text = rng.choice(_JOKES).format(who=theme.who, a=twice[0], b=twice[1], pun=pun.word)
        if rng.random() < 0.35 * (1 - care):  # the word comes too early
            text = f"It was about the {pun.word}. {text.rsplit(' ', 2)[0]} {rng.choice(('road', 'tree', 'chair'))}."
        if rng.random() < 0.3 * (1 - care):
            text = text.replace(theme.who, rng.choice(CHARACTERS))
    if rng.random() < 0.25 + 0.2 * care:
        text = f"{text[:-1]}! {rng.choice(('Haha!', 'Lol!', 'Hahaha!'))}" if rng.random() < 0.5 else f"{text[:-1]}!"
    if rng.random() < 0.25 * (1 - care):
        tokens = text.split()
        del tokens[rng.randrange(len(tokens))]
        text = " ".join(tokens)
    return text
