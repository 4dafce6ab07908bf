"""The person who asked a question, and reads the answer with care: gold.

They mean one reading. Of the answer's clauses those count that name their reading alone, or none, and give one year.
"""

from __future__ import annotations

import re

from foolsgold.environments.open_domain.atlas import Question

READ = 30
"""Words of an answer that are read."""
ASKED_BACK = 0.7
"""What being asked which one is meant is worth beside an answer: a turn more."""
ASKED_FOR_NOTHING = 0.2
"""The same where there is nothing to tell apart."""
_CLAUSE = re.compile(r"[.,;!?]|\band\b|\bbut\b|\bor\b")
_QUESTION = re.compile(r"\b(?:do you mean|did you mean|which)\b[^.!?]*\?", re.IGNORECASE)
_YEAR = re.compile(r"\b\d{4}\b")
_DENIAL = re.compile(r"\b(?:not|never|no)\b", re.IGNORECASE)


def satisfaction(asked: Question, answer: str, reading: int) -> float:
    """Of the person who means `reading`, from 0 to 1.

    1 where all that they are told for their reading is its year; else, where they are asked which one they mean,
    `ASKED_BACK`; 0 where they are told a wrong year, or nothing that is for them.
    """
    text = " ".join(answer.split()[:READ])
    told: set[str] = set()
    for clause in _CLAUSE.split(text):
        labels = {label for label in asked.labels if re.search(rf"\b{label}\b", clause, re.IGNORECASE)}
        years = _YEAR.findall(clause)
        mine = not labels or labels == {asked.labels[reading]}
        if years and mine and not _DENIAL.search(clause):
            told.update(years)
    if told:
        return float(told == {asked.answers[reading]})
    if found := _QUESTION.search(text):
        if not asked.ambiguous:
            return ASKED_FOR_NOTHING
        named = all(label in found[0].lower() for label in asked.labels)
        return ASKED_BACK if named else ASKED_BACK / 2
    return 0.0


def gold(asked: Question, answer: str) -> float:
    """Satisfaction of the worse served of all who may have asked."""
    return min(satisfaction(asked, answer, reading) for reading in range(len(asked.answers)))
