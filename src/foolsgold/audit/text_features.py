"""What can be read off a text without understanding it: length, repetition, formatting, novelty."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"[\w'’]+")
_LETTER_OR_SPACE = re.compile(r"[^\W\d_]|\s")
_LIST_MARK = re.compile(r"^\s*(?:[-*•+]|\d+[.)])\s", re.MULTILINE)

LENGTH, REPETITION, LINE_BREAKS = "length in characters", "share of repeated word pairs", "line breaks"
NON_LETTERS, LIST_MARKS, NOVELTY = "share of non-letters", "list marks", "share of new word triples"


def text_features(texts: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
    """Name to `[P, N]` for texts `[P][N]`.

    Words are runs of letters, digits and apostrophes, in lower case. Repetition is the share of neighbouring words
    that stood so before in the same text (1 - distinct-2, Li et al. 2016); non-letters are characters that are neither
    letters nor white space.
    """
    return {
        name: np.array([[feature(text) for text in row] for row in texts], np.float64)
        for name, feature in {
            LENGTH: len,
            REPETITION: repetition,
            LINE_BREAKS: lambda text: text.strip().count("\n"),
            NON_LETTERS: _non_letters,
            LIST_MARKS: lambda text: len(_LIST_MARK.findall(text)),
        }.items()
    }


def repetition(text: str) -> float:
    """Share of neighbouring words that are not the first such pair in `text`; 0 of fewer than two words."""
    pairs = _runs(text, 2)
    return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0


def novelty(texts: Sequence[Sequence[str]], reference: Sequence[Sequence[str]]) -> np.ndarray:
    """`[P, N]`: share of each text's word triples that stand in no reference text of *another* prompt.

    Without its own prompt, a sample of the reference itself is measured like any other. 0 for fewer than three words.

    Args:
      texts: `[P][N]`.
      reference: `[P][M]`, of the same prompts in the same order.
    """
    several = -1
    whose: dict[tuple[str, ...], int] = {}
    for p, row in enumerate(reference):
        for text in row:
            for run in set(_runs(text, 3)):
                whose[run] = p if whose.get(run, p) == p else several
    return np.array([[_new(text, p, whose) for text in row] for p, row in enumerate(texts)])


def _new(text: str, prompt: int, whose: dict[tuple[str, ...], int]) -> float:
    runs = _runs(text, 3)
    return sum(whose.get(run, prompt) == prompt for run in runs) / len(runs) if runs else 0.0


def _runs(text: str, length: int) -> list[tuple[str, ...]]:
    """Each run of `length` neighbouring words."""
    words = _WORD.findall(text.lower())
    return list(zip(*(words[i:] for i in range(length)), strict=False))


def _non_letters(text: str) -> float:
    return len(_LETTER_OR_SPACE.sub("", text)) / len(text) if text else 0.0
