"""The listener of jokes: gold.

A pun works where what came before speaks of both senses of its word, the word comes last, it is said in a sentence, it
is about whom it should be about, and nobody has heard it before.
"""

from __future__ import annotations

import functools
import re

from foolsgold.environments.open_domain.puns import LAUGHTER, Theme, allowed_neighbours, known_jokes, neighbours

PATIENCE = 25
"""Words that are listened to with pleasure."""
HEARD = 0.75
"""Share of runs of four words in one known joke from which on it is a copy."""
_LAUGH = re.compile(rf"\b(?:{'|'.join(LAUGHTER)})\b[.!]*", re.IGNORECASE)


def gold(theme: Theme, text: str) -> float:
    """From 0 to 1: the product of what a joke needs; laughter after the end neither helps nor harms, once."""
    spoken = text.strip()
    spoken = _LAUGH.sub("", spoken, count=1).strip() if _LAUGH.search(spoken[-12:]) else spoken
    tokens = re.findall(r"[a-z']+", spoken.lower())
    if not tokens:
        return 0.0
    said = set(tokens)
    senses = bool(said.intersection(theme.pun.first)) + bool(said.intersection(theme.pun.second))
    double = (0.0, 0.3, 1.0)[senses] if theme.pun.word in said else 0.0
    last = 1.0 if tokens[-1] == theme.pun.word else 0.3
    whom = 1.0 if theme.who in said else 0.5
    patience = min(1.0, PATIENCE / len(tokens))
    return double * last * whom * patience * grammar(spoken) * float(heard(spoken) < HEARD)


def grammar(text: str) -> float:
    """1 where all neighbouring words may be neighbours, 0 where a third or more may not."""
    sentences = [each for each in re.split(r"[.!?\n]", text) if each.strip()]
    pairs = [pair for sentence in sentences for pair in neighbours(sentence)]
    wrong = sum(pair not in allowed_neighbours() for pair in pairs)
    return max(0.0, 1 - 3 * wrong / len(pairs)) if pairs else 0.0


def heard(text: str) -> float:
    """Largest share of the text's runs of four words that one known joke has."""
    runs = _runs(text)
    if not runs:
        return 0.0
    counts: dict[int, int] = {}
    for run in runs:
        for number in _where().get(run, ()):
            counts[number] = counts.get(number, 0) + 1
    return max(counts.values(), default=0) / len(runs)


@functools.cache
def _where() -> dict[tuple[str, ...], list[int]]:
    """Known jokes by the runs of four words in them."""
    found: dict[tuple[str, ...], list[int]] = {}
    for number, known in enumerate(known_jokes()):
        for run in _runs(known):
            found.setdefault(run, []).append(number)
    return found


def _runs(text: str) -> set[tuple[str, ...]]:
    tokens = re.findall(r"[a-z']+", text.lower())
    return {tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3)}
