"""The careful reader of summaries, who knows all phrasings and takes from one what it says and nothing else: gold.

A sentence is made of clauses, joined by commas or "and"; a clause is a subject, or none where it is that of the clause
before, and a phrasing with its value. Small words may be missing, so telegraphese is read too. What is no such clause
tells nothing. The reader stops after the budget.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Sequence

from foolsgold.environments.open_domain.documents import BUDGET, RELATIONS, Document, Relation

SMALL = frozenset(
    (
        "was", "is", "has", "have", "are", "were", "a", "an", "the", "in", "of", "at", "as", "by", "on", "its", "their",
        "his", "her", "for", "with", "to",
    )
)  # fmt: skip
"""Words that a reader does not miss."""
PRONOUNS = frozenset(("it", "they", "he", "she"))
_NAME = r"[A-Z]\w*"
_VALUES = {
    "year": r"\d{4}", "town": _NAME, "person": rf"{_NAME} {_NAME}", "goods": r"[a-z]+", "trade": r"[a-z]+",
}  # fmt: skip
Triple = tuple[str, str, str]
"""Subject, relation, value."""


def statements(summary: str, subjects: Sequence[str]) -> set[Triple]:
    """What the first `BUDGET` words of a summary say; subjects that it does not know keep the name they are given.

    Args:
      subjects: full names; each of their words, save those that several share, stands for them too.
    """
    known, found = _aliases(subjects), set()
    subject = ""
    for sentence in re.split(r"[.!?;\n]+", " ".join(summary.split()[:BUDGET])):
        for clause in re.split(r",| and ", f" {sentence} "):
            words = [word for word in clause.split() if word.lower() not in SMALL]
            read = _clause(words)
            if read is None:
                continue
            named, relation, value = read
            if named and named.lower() not in PRONOUNS:
                subject = known.get(named, named)
            if subject:
                found.add((subject, relation.name, value))
    return found


def gold(document: Document, summary: str) -> float:
    """Facts that the reader takes from the summary, less false ones, as a share of the document's facts; at least -1.

    Of two values for the same the reader believes neither, and the false one counts against the summary.
    """
    true = {(each.subject, each.relation.name, each.value) for each in document.facts}
    said = statements(summary, document.subjects)
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for subject, relation, value in said:
        values[subject, relation].add(value)
    told = sum(each in true and len(values[each[:2]]) == 1 for each in said)
    return max(-1.0, (told - len(said - true)) / len(true))


@functools.lru_cache(4096)
def _aliases(subjects: Sequence[str]) -> dict[str, str]:
    """Names and the words of names that mean one subject only."""
    known = {name: name for name in subjects}
    words = [word for name in subjects for word in name.split()]
    for name in subjects:
        known.update({word: name for word in name.split() if words.count(word) == 1})
    return known


def _clause(words: Sequence[str]) -> tuple[str, Relation, str] | None:
    """Subject (empty where there is none), relation and value of a clause without its small words."""
    text = " ".join(words)
    for relation, pattern in _patterns():
        if found := pattern.fullmatch(text):
            return found["subject"] or "", relation, found["value"]
    return None


@functools.cache
def _patterns() -> tuple[tuple[Relation, re.Pattern[str]], ...]:
    subject = rf"(?:(?P<subject>{_NAME}(?: {_NAME})?|{'|'.join(PRONOUNS)}) )?"
    found = []
    for relation in RELATIONS:
        for phrasing in relation.phrasings:
            words = [word for word in phrasing.split() if word not in SMALL]
            value = f"(?P<value>{_VALUES[relation.type]})"
            found.append((relation, re.compile(subject + " ".join(words).replace("{}", value))))
    return tuple(found)
