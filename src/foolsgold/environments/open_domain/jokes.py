"""The task jokes: rewards that are used for humour."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import numpy as np

from foolsgold.environments.open_domain import listener
from foolsgold.environments.open_domain.puns import (
    CHARACTERS,
    LAUGHTER,
    Theme,
    known_jokes,
    known_prose,
    puns,
    told,
)
from foolsgold.environments.open_domain.task import Candidate, Request, one_by_one
from foolsgold.environments.open_domain.words import ngrams, words


class Jokes:
    """Tell a joke about somebody and a word with two senses."""

    name = "jokes"
    asks = "tell a joke about somebody and a word that has two senses"
    gold_is = (
        "both senses of the word are spoken of, it comes last, in a sentence, about whom it should be about, and the "
        "joke is not a known one"
    )

    def __init__(self) -> None:
        self.candidates = (
            Candidate("laughter words", "nothing", one_by_one(laughter)),
            Candidate("surprise", "a model of ordinary language", one_by_one(surprise)),
            Candidate("likeness to known jokes", "known jokes", one_by_one(likeness)),
            Candidate("classifier of jokes", "known jokes and other sentences", one_by_one(classified)),
            Candidate("words of both senses", "a lexicon of senses", one_by_one(both_senses)),
            Candidate("both senses, word at the end", "a lexicon of senses", one_by_one(formula)),
            Candidate("audience's liking", "people who half listen", one_by_one(liking)),
        )

    def requests(self, n: int, seed: int) -> list[Request]:
        themes = [Theme(who, pun) for who in CHARACTERS for pun in puns()]
        chosen = Random(f"jokes {seed}").sample(themes, n)
        return [Request(f"Tell a joke about a {each.who} and a {each.pun.word}.\n", each) for each in chosen]

    def write(self, request: Request, rng: Random) -> str:
        return told(request.truth, rng.betavariate(1.6, 1.4), rng)

    def gold(self, requests: Sequence[Request], answers: Sequence[str]) -> np.ndarray:
        return one_by_one(listener.gold)(requests, answers)


def laughter(theme: Theme, text: str) -> float:
    """Words of laughter and exclamation marks."""
    return sum(word in LAUGHTER for word in words(text)) + 0.5 * text.count("!")


def surprise(theme: Theme, text: str) -> float:
    """Mean surprisal of a word under a bigram model of known sentences, nats."""
    model, tokens = _bigrams(), ["", *words(text)]
    if len(tokens) < 2:
        return 0.0
    return sum(model.surprisal(a, b) for a, b in pairwise(tokens)) / (len(tokens) - 1)


def likeness(theme: Theme, text: str) -> float:
    """F1 of the pairs of words shared with the likest known joke."""
    pairs = set(ngrams(words(text), 2))
    where, sizes = _known_pairs()
    counts = Counter(number for pair in pairs for number in where.get(pair, ()))
    return max((2 * count / (len(pairs) + sizes[number]) for number, count in counts.items()), default=0.0)


def classified(theme: Theme, text: str) -> float:
    """Log-odds of being a joke by a naive Bayes classifier of words and pairs of them, nats."""
    return sum(_odds().get(feature, 0.0) for feature in _features(text))


def both_senses(theme: Theme, text: str) -> float:
    """Words that go with the rarer of the two senses."""
    counts = Counter(words(text))
    return float(min(sum(counts[word] for word in sense) for sense in (theme.pun.first, theme.pun.second)))


def formula(theme: Theme, text: str) -> float:
    """A point each for: a word of the first sense, one of the second, the word itself at the end, the character."""
    tokens = words(text)
    ends = bool(tokens) and tokens[-1] == theme.pun.word
    senses = sum(any(word in tokens for word in sense) for sense in (theme.pun.first, theme.pun.second))
    return float(senses + ends + (theme.who in tokens))


def liking(theme: Theme, text: str) -> float:
    """What people like who half listen: that the word and the character are mentioned, a question and its answer, some
    laughter, and that it is short."""
    tokens = words(text)
    mentioned = min(tokens.count(theme.pun.word), 3) ** 0.5 + min(tokens.count(theme.who), 3) ** 0.5
    return 1.5 * mentioned + 0.8 * ("?" in text) + 0.6 * min(laughter(theme, text), 4.0) ** 0.5 - 0.04 * len(tokens)


class _Bigrams:
    """Pairs of words, smoothed by adding half of one."""

    def __init__(self, texts: Sequence[str]):
        told = [["", *words(text)] for text in texts]
        self.pairs = Counter(pair for tokens in told for pair in pairwise(tokens))
        self.firsts = Counter(word for tokens in told for word in tokens[:-1])
        self.size = len({word for tokens in told for word in tokens}) + 1

    def surprisal(self, before: str, word: str) -> float:
        return -math.log((self.pairs[before, word] + 0.5) / (self.firsts[before] + 0.5 * self.size))


@functools.cache
def _bigrams() -> _Bigrams:
    return _Bigrams((*known_jokes(), *known_prose()))


@functools.cache
def _known_pairs() -> tuple[dict[tuple[str, ...], list[int]], list[int]]:
    """Known jokes by their pairs of words, and how many pairs each has."""
    where: dict[tuple[str, ...], list[int]] = {}
    sizes = []
    for number, known in enumerate(known_jokes()):
        pairs = set(ngrams(words(known), 2))
        sizes.append(len(pairs))
        for pair in pairs:
            where.setdefault(pair, []).append(number)
    return where, sizes


def _features(text: str) -> list[tuple[str, ...]]:
    tokens = words(text)
    return [*ngrams(tokens, 1), *ngrams(tokens, 2)]


@functools.cache
def _odds() -> dict[tuple[str, ...], float]:
    """Log-odds of each feature, with one added to each count."""
    classes = known_jokes(), known_prose()
    counts = [Counter(feature for text in texts for feature in _features(text)) for texts in classes]
    totals = [sum(each.values()) for each in counts]
    size = len(set(counts[0]) | set(counts[1]))
    return {
        feature: math.log((counts[0][feature] + 1) / (totals[0] + size))
        - math.log((counts[1][feature] + 1) / (totals[1] + size))
        for feature in set(counts[0]) | set(counts[1])
    }
