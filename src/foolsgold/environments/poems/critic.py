"""The critic reads every syllable: the gold reward of a poem, exact and the same each time.

It hears and counts; it does not understand. Sense and grammar are beyond it, though word salad costs metre, since words
of content in a row cannot all stand on strong positions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from foolsgold.environments.poems.lexicon import Sound, Topic, asked_topic, rhyme, sound, topic_of

LINES = 4
"""Lines of a poem."""
TOPICAL = 6
"""Different words about the topic that make a poem fully on topic: three for two lines."""

_WORD = re.compile(r"[^\W\d_]{1,30}(?:'[^\W\d_]{1,30})?")  # longer words are cut: they would fill the cache of sounds
_STRAY = re.compile(r"[^a-z\s.,;:!?'\"-]")


@dataclass(frozen=True)
class Critique:
    """What the critic found, each part from 0 to 1."""

    rhyme: float
    """Share of the two pairs of line ends that rhyme, as AABB or ABAB, whichever is better."""
    metre: float
    """Mean over lines of the fit to three or four iambs; see `critique`."""
    on_topic: float
    """Different words about the topic, out of `TOPICAL`."""
    real_words: float
    """1 where all words are in the dictionary, 0 where a quarter are not."""
    freshness: float
    """1 where no word of content comes twice, 0 where half of them are repeats."""
    form: float
    """Lines out of four, or four out of the lines where there are more; times 1 where all signs are letters and
    punctuation, 0 where a fifth are not."""

    @property
    def total(self) -> float:
        """The mean of the three parts of craft, times each of the three parts that make it a text at all.

        Craft adds up: a poem without rhyme still has its metre. The others multiply, since none of them can be bought
        with craft: "the sea the sea the sea" keeps time and topic, and is nothing.
        """
        craft = (self.rhyme + self.metre + self.on_topic) / 3
        return craft * self.real_words * self.freshness * self.form


def critique(prompt: str, poem: str) -> Critique:
    """Judge any text as an answer to a prompt; lines without a word do not count.

    A line of metre begins weak and alternates; it has 6 or 8 syllables, or one more
    if it ends in a falling word such as "ocean". Each misplaced stress and each syllable missing or too many costs a
    quarter of the line, a word of one syllable in the wrong place or a syllable of a non-word half of that.

    Raises:
      UserError: the prompt asks for no topic of the lexicon.
    """
    return _judge(asked_topic(prompt), poem)


def gold(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
    """The critic's totals, from 0 to 1, as a reward in TRL's protocol; None for a prompt of no known topic."""
    topics = map(topic_of, prompts)
    return [_judge(t, poem).total if t else None for t, poem in zip(topics, completions, strict=True)]


def _judge(topic: Topic, poem: str) -> Critique:
    text = poem.lower()
    lines = [words for line in text.split("\n") if (words := _WORD.findall(line))]
    if not lines:
        return Critique(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    sounds = [[sound(word) for word in line] for line in lines]
    words = [word for line in lines for word in line]
    count = len(words)
    unreal = sum([not s.real for line in sounds for s in line])
    stray = len(_STRAY.findall(text)) / len(text)
    return Critique(
        rhyme=_rhyme_share([line[-1] for line in lines[:LINES]]),
        metre=sum([_line_metre(line) for line in sounds]) / len(lines),
        on_topic=min(1.0, len(topic.related.intersection(words)) / TOPICAL),
        real_words=max(0.0, 1 - 4 * unreal / count),
        freshness=_freshness(words, [s.content for line in sounds for s in line]),
        form=min(len(lines), LINES) / max(len(lines), LINES) * max(0.0, 1 - 5 * stray),
    )


def _rhyme_share(ends: list[str]) -> float:
    n = len(ends)
    couplets = (n > 1 and rhyme(ends[0], ends[1])) + (n > 3 and rhyme(ends[2], ends[3]))
    if couplets == 2:
        return 1.0
    crossed = (n > 2 and rhyme(ends[0], ends[2])) + (n > 3 and rhyme(ends[1], ends[3]))
    return max(couplets, crossed) / 2


def _line_metre(line: list[Sound]) -> float:
    at = lost = 0
    for word in line:
        lost += word.misfit[at & 1]
        at += word.syllables
    if line[-1].falling and at in (7, 9):
        at -= 1
    lost += 2 * min(abs(at - 6), abs(at - 8))
    return max(0.0, 1 - lost / 8)


def _freshness(words: list[str], content: list[bool]) -> float:
    """A word of content that came before is a repeat; so is any word that follows itself."""
    told = [word for word, counts in zip(words, content, strict=True) if counts]
    if not told:
        return 0.0
    stutters = sum([a == b and not counts for a, b, counts in zip(words, words[1:], content[1:], strict=False)])
    repeats = len(told) - len(set(told)) + stutters
    return max(0.0, 1 - 2 * repeats / (len(told) + stutters))
