"""Counting words: what rewards by overlap are made of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"\w+(?:'\w+)?")


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def word_overlap(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """F1 of two bags of words, from 0 to 1. Source: Rajpurkar et al. 2016; ROUGE-1 (Lin 2004)."""
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


def longest_common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Length of the longest common subsequence, a column of bits at a time. Source: Hyyrö 2004."""
    places: dict[str, int] = {}
    for at, word in enumerate(theirs):
        places[word] = places.get(word, 0) | 1 << at
    everywhere = (1 << len(theirs)) - 1
    open_places = everywhere
    for word in ours:
        matched = open_places & places.get(word, 0)
        open_places = ((open_places + matched) | (open_places - matched)) & everywhere
    return len(theirs) - open_places.bit_count()


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Runs of n words."""
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
