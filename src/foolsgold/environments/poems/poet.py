"""People write poems with more or less care: demonstrations to imitate, good and bad, and plain text to learn from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, TypeVar

from foolsgold.environments.poems.lexicon import Topic, lexicon, rhyme, sound

T = TypeVar("T")
_FRAMES = """
the A N P D N; D N P the A N; P the N and P D N; C the N V P D N; the N V P D N; D N and the A N; I T D A N and D N;
we T D N P the N; and P the N we T D N; oh D N of A N; D N of N and N; P A N and A N; how A was D A N
C P the N D N V; the A N P D N V; D N and D N V; C D A N V; D A and A N V; P D N the N V; C all the A N V
D N was A and A; the N P D N was A; C D A N was A; how A and A; we T D N so A and A; so A and A, so A; D N, so A
the N V R; D N P the N V R; C D A N V R; we T D A N R; C I T the N R; D N and N V R; the A N R; P D N R
"""
"""Sentences of one line. N noun, A adjective, V verb, R adverb, T transitive verb, P preposition, C conjunction,
D determiner, I pronoun; other words stand for themselves. The last word is the rhyme."""
_FILLERS = ("really", "very", "just", "so", "quite", "and then", "again", "oh")
_STANZAS = ((8, 8, 8, 8), (8, 8, 8, 8), (8, 6, 8, 6))
"""Syllables of the lines, a falling end not counted: long metre twice as often as common metre."""
_CHOICE = 8
"""Fewest words a slot of nouns, adjectives or verbs may leave to choose from; else a few odd words come too often."""
_SCHEMES = ((0, 0, 1, 1), (0, 1, 0, 1))


@dataclass(frozen=True)
class Errors:
    """Chance of each error where a writer takes no care at all; it falls in proportion to care."""

    broken_rhyme: float = 0.7
    """for each pair of rhyming lines"""
    metre_slip: float = 0.7
    """for each line"""
    off_topic: float = 0.9
    """for each word of content that could be about the topic"""
    repeated_word: float = 0.4
    """for each line"""
    misspelling: float = 0.06
    """for each word"""
    lost_line: float = 0.25
    """for a poem to lack a line or have one too many"""


ERRORS = Errors()
_STRAYING = 0.25
"""Share of words that have nothing to do with the topic even where the writer takes care."""


class _Slot(NamedTuple):
    part: str
    """A letter of `_FRAMES`, or a word."""
    syllables: int
    start: int
    """0 where it begins on a weak position, 1 on a strong one."""


class _End(NamedTuple):
    text: str
    part: str
    syllables: int
    falling: bool


class _Words(NamedTuple):
    """What one poet has to say about one topic."""

    topical: dict[_Slot, tuple[str, ...]]
    general: dict[_Slot, tuple[str, ...]]
    topical_pairs: tuple[tuple[_End, tuple[_End, ...]], ...]
    """Line ends about the topic, each with those that rhyme with it."""
    general_pairs: tuple[tuple[_End, tuple[_End, ...]], ...]
    ends: tuple[_End, ...]


def demonstrations(n: int, seed: int, held_out: bool = False) -> list[tuple[str, str]]:
    """`n` poems that people of different care wrote when asked: (prompt, completion).

    Args:
      held_out: about the topics of the test split instead of those of the train split.
    """
    rng = Random(f"demonstrations {seed}")
    topics = [topic for topic in lexicon().topics.values() if topic.held_out == held_out]
    phrasings = lexicon().phrasings
    chosen = ((_pick(rng, topics), _pick(rng, phrasings)) for _ in range(n))
    return [(phrasing.format(topic.name), write(topic, _care(rng), rng)) for topic, phrasing in chosen]


def pretraining_texts(n: int, seed: int) -> list[str]:
    """`n` texts without prompts, about all topics: poems and lines of prose, half each.

    The prose names topics and what belongs to them; only from it can a model know what a held-out topic is about.
    """
    rng = Random(f"pretraining {seed}")
    topics = list(lexicon().topics.values())
    return [
        write(topic, _care(rng), rng) if rng.random() < 0.5 else _prose(topic, rng)
        for topic in (_pick(rng, topics) for _ in range(n))
    ]


def write(topic: Topic, care: float, rng: Random, errors: Errors = ERRORS) -> str:
    """One poem of four lines about `topic`, without errors where `care` is 1, with all chances of `errors` at 0."""
    words, haste = _words_for(topic.name), 1 - care
    used: set[str] = set()
    scheme, stanza = _pick(rng, _SCHEMES), _pick(rng, _STANZAS)
    off_topic = haste * errors.off_topic + care * _STRAYING
    ends = _line_ends(words, scheme, haste, errors, used, rng)
    lines = [_line(words, end, feet, off_topic, used, rng) for end, feet in zip(ends, stanza, strict=True)]
    _spoil(lines, words, haste, errors, rng)
    return "\n".join([" ".join(line) for line in lines])


def _care(rng: Random) -> float:
    return rng.betavariate(2.2, 1.6)


def _pick(rng: Random, items: Sequence[T]) -> T:
    return items[int(rng.random() * len(items))]


def _line_ends(
    words: _Words, scheme: tuple[int, ...], haste: float, errors: Errors, used: set[str], rng: Random
) -> list[_End]:
    """The last word of each line; the pairs of `scheme` rhyme unless the writer slips."""
    ends: list[_End] = [words.ends[0]] * len(scheme)
    for sort in (0, 1):
        first, second = (i for i, s in enumerate(scheme) if s == sort)
        pairs = words.general_pairs if rng.random() < haste * errors.off_topic else words.topical_pairs
        for _ in range(20):
            end, mates = _pick(rng, pairs)
            mate = _pick(rng, mates)
            if end.text not in used and mate.text not in used:
                break
        if rng.random() < haste * errors.broken_rhyme:
            mate = _pick(rng, words.ends)
        ends[first], ends[second] = (end, mate) if rng.random() < 0.5 else (mate, end)
        used.update((end.text, mate.text))
    return ends


def _line(words: _Words, end: _End, feet: int, off_topic: float, used: set[str], rng: Random) -> list[str]:
    line = []
    for slot in _pick(rng, _frames()[feet + end.falling, end.part, end.syllables]):
        if slot.part not in _PARTS:
            line.append(slot.part)
            continue
        general = words.general[slot]
        choices = general if rng.random() < off_topic else words.topical.get(slot, general)
        word = _pick(rng, choices)
        if slot.part in "NAV":
            for _ in range(6):
                if word not in used:
                    break
                word = _pick(rng, choices if rng.random() < 0.5 else general)
            used.add(word)
        line.append(word)
    return [*line, *end.text.split()]


def _spoil(lines: list[list[str]], words: _Words, haste: float, errors: Errors, rng: Random) -> None:
    """Make the errors, in place."""
    for line in lines:
        if rng.random() < haste * errors.metre_slip:
            at = int(rng.random() * (len(line) - 1))
            if rng.random() < 0.5:
                line.insert(at, _pick(rng, _FILLERS))
            else:
                del line[at]
        if rng.random() < haste * errors.repeated_word:
            said = [word for other in lines for word in other if sound(word).content]
            places = [i for i, word in enumerate(line[:-1]) if sound(word).content]
            if places:
                line[_pick(rng, places)] = _pick(rng, said)
    if rng.random() < haste * errors.lost_line:
        at = int(rng.random() * len(lines))
        if rng.random() < 0.5:
            del lines[at]
        else:
            lines.insert(at, _line(words, _pick(rng, words.ends), 8, 1.0, set(), rng))
    for line in lines:
        for i, word in enumerate(line):
            if rng.random() < haste * errors.misspelling and len(word) > 3:
                line[i] = _misspelt(word, rng)


def _misspelt(word: str, rng: Random) -> str:
    """Two letters swapped, one lost or one doubled, so that the dictionary does not have it, where that can be."""
    wrong = word
    for _ in range(5):
        i = 1 + int(rng.random() * (len(word) - 2))
        middle = _pick(rng, (word[i + 1] + word[i], word[i + 1], word[i] + word[i] + word[i + 1]))
        wrong = word[:i] + middle + word[i + 2 :]
        if not sound(wrong).real:
            break
    return wrong


def _prose(topic: Topic, rng: Random) -> str:
    first, second, third = rng.sample(topic.words["nouns"], 3)
    adjective, verb = _pick(rng, topic.words["adjectives"]), _pick(rng, topic.words["verbs"])
    form = _pick(
        rng,
        (
            "when we think of {0} we think of the {1}, the {4} {2} and the {3}.",
            "some words for {0} are {1}, {2}, {3}, {4} and {5}.",
            "she told us about {0} and how the {4} {1} {5} by the {2}.",
            "what do you know of {0}? i know the {1}, the {2} and the {4} {3}.",
        ),
    )
    return form.format(topic.name, first, second, third, adjective, verb)


_PARTS = {
    "N": "nouns", "A": "adjectives", "V": "verbs", "R": "adverbs", "T": "transitive",
    "P": "prepositions", "C": "conjunctions", "D": "determiners", "I": "pronouns",
}  # fmt: skip


def _beat(text: str, start: int) -> tuple[int, bool]:
    """Syllables of one or more words, and whether they fit from a weak (0) or strong (1) position on."""
    at, fits = start, True
    for word in text.split():
        heard = sound(word)
        fits &= heard.misfit[at % 2] == 0
        at += heard.syllables
    return at - start, fits


def _by_beat(part: str, words: tuple[str, ...]) -> dict[_Slot, tuple[str, ...]]:
    slots: dict[_Slot, list[str]] = {}
    for word in words:
        for start in (0, 1):
            syllables, fits = _beat(word, start)
            if fits:
                slots.setdefault(_Slot(part, syllables, start), []).append(word)
    return {slot: tuple(found) for slot, found in slots.items()}


@functools.cache
def _general() -> dict[_Slot, tuple[str, ...]]:
    """Words for any topic that fit each slot."""
    small, open_words = lexicon().function_words, lexicon().general
    words = {part: open_words.get(name) or small[name] for part, name in _PARTS.items()}
    words["P"] += small["short_prepositions"]
    words["D"] = ("the",) * 4 + words["D"]
    words["I"] = ("i", "we", "you", "they")
    return {slot: found for part, group in words.items() for slot, found in _by_beat(part, group).items()}


@functools.cache
def _frames() -> dict[tuple[int, str, int], tuple[tuple[_Slot, ...], ...]]:
    """Lines before their last word, by (syllables of the line, part of speech and syllables of the last word)."""
    frames: dict[tuple[int, str, int], list[tuple[_Slot, ...]]] = {}

    def fill(rest: list[str], slots: tuple[_Slot, ...], at: int) -> None:
        part = rest[0]
        if part not in _PARTS:
            syllables, fits = _beat(part, at % 2)
            choices = [_Slot(part, syllables, at % 2)] if fits else []
        else:
            fewest = _CHOICE if part in "NAV" else 1
            choices = [
                slot
                for slot, words in _general().items()
                if slot.part == part and slot.start == at % 2 and len(words) >= fewest
            ]
        for slot in choices:
            end = at + slot.syllables
            if len(rest) == 1 and 6 <= end <= 9:
                frames.setdefault((end, part, slot.syllables), []).append(slots)
            elif len(rest) > 1 and end < 9:
                fill(rest[1:], (*slots, slot), end)

    for sentence in _FRAMES.replace("\n", ";").split(";"):
        if parts := sentence.replace(",", "").split():
            fill(parts, (), 0)
    return {key: tuple(found) for key, found in frames.items()}


@functools.cache
def _words_for(name: str) -> _Words:
    topic = lexicon().topics[name]
    own = {"N": topic.words["nouns"], "A": topic.words["adjectives"], "V": topic.words["verbs"]}
    topical = {slot: found for part, group in own.items() for slot, found in _by_beat(part, group).items()}
    ends = [end for part, group in own.items() for word in group for end in _ends(word, part)]
    general = _general_ends()
    # Rhymes on topic are rare; a writer who finds one likes it.
    pairs = [(end, _mates(end, ends) * 3 + _mates(end, general)) for end in ends]
    return _Words(topical, _general(), tuple(pair for pair in pairs if pair[1]), _general_pairs(), (*ends, *general))


@functools.cache
def _general_ends() -> tuple[_End, ...]:
    general = lexicon().general
    return tuple(end for part in "NAVR" for word in general[_PARTS[part]] for end in _ends(word, part))


@functools.cache
def _general_pairs() -> tuple[tuple[_End, tuple[_End, ...]], ...]:
    ends = _general_ends()
    pairs = [(end, _mates(end, ends)) for end in ends]
    return tuple(pair for pair in pairs if pair[1])


def _mates(end: _End, others: Sequence[_End]) -> tuple[_End, ...]:
    last = end.text.split()[-1]
    return tuple(mate for mate in others if rhyme(last, mate.text.split()[-1]))


def _ends(text: str, part: str) -> list[_End]:
    """The word as a line end, if a line can end on it in metre."""
    falling = sound(text.split()[-1]).falling
    syllables, _ = _beat(text, 0)
    start = (8 + falling - syllables) % 2
    fits = _beat(text, start)[1] and all((feet + falling, part, syllables) in _frames() for feet in (6, 8))
    return [_End(text, part, syllables, falling)] if fits else []
