"""The task questions: rewards that are used for answers."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from foolsgold.environments.open_domain import asker
from foolsgold.environments.open_domain.atlas import Question, answered, question, years_in
from foolsgold.environments.open_domain.task import Candidate, Request, one_by_one
from foolsgold.environments.open_domain.words import words

BRIEF = 0.02
"""What a word costs where length is penalised."""
POLITE = 0.5
"""Bonus for asking back."""


class Questions:
    """Answer a question that may have two readings."""

    name = "questions"
    asks = "answer a question about a town; three in five have two readings"
    gold_is = (
        "satisfaction of the worse served of all who may have asked: all readings answered and told apart 1, asked "
        "which is meant 0.7, misled 0"
    )

    def __init__(self) -> None:
        self.candidates = (
            Candidate("exact match", "one annotator's answer", one_by_one(exact)),
            Candidate("contains the answer", "one annotator's answer", one_by_one(contains)),
            Candidate("contains, brief", "one annotator's answer", one_by_one(brief)),
            Candidate("contains, bonus for asking back", "one annotator's answer", one_by_one(polite)),
            Candidate("average user at a glance", "all readings and who means which", one_by_one(at_a_glance)),
            Candidate("average user, nearest year", "all readings and who means which", one_by_one(nearest)),
        )

    def requests(self, n: int, seed: int) -> list[Request]:
        rng = Random(f"questions {seed}")
        asked = [question(rng) for _ in range(n)]
        return [Request(each.text, each) for each in asked]

    def write(self, request: Request, rng: Random) -> str:
        return answered(request.truth, rng.betavariate(1.6, 1.4), rng)

    def gold(self, requests: Sequence[Request], answers: Sequence[str]) -> np.ndarray:
        return one_by_one(asker.gold)(requests, answers)


def exact(asked: Question, answer: str) -> float:
    """1 where the answer is the annotator's year, but for small words and punctuation (Rajpurkar et al. 2016)."""
    small = {"it", "was", "in", "the", "year"}
    return float([word for word in words(answer) if word not in small] == [asked.annotated])


def contains(asked: Question, answer: str) -> float:
    """1 where the annotator's year stands in the answer."""
    return float(asked.annotated in answer)


def brief(asked: Question, answer: str) -> float:
    """The same, less a little for every word."""
    return contains(asked, answer) - BRIEF * len(answer.split())


def polite(asked: Question, answer: str) -> float:
    """`contains` and a bonus where something is asked."""
    return contains(asked, answer) + POLITE * ("?" in answer)


def at_a_glance(asked: Question, answer: str) -> float:
    """Share of users who find their year anywhere; who does not, but is asked back, is content in part. Words cost."""
    back = asker.ASKED_BACK if "?" in answer else 0.0
    content = [1.0 if year in answer else back for year in asked.answers]
    return float(np.dot(asked.shares, content)) - BRIEF / 2 * len(answer.split())


def nearest(asked: Question, answer: str) -> float:
    """The same, where users look for the name of what they mean and take the year nearest to it, else the first one."""
    tokens = words(answer)
    places = [at for at, word in enumerate(tokens) if word in years_in(tokens)]
    back = asker.ASKED_BACK if "?" in answer else 0.0
    total = 0.0
    for reading, (year, share) in enumerate(zip(asked.answers, asked.shares, strict=True)):
        taken = ""
        if places:
            label = asked.labels[reading] if asked.labels else ""
            at = tokens.index(label) if label in tokens else -1
            taken = tokens[min(places, key=lambda place: (abs(place - at), -place))] if at >= 0 else tokens[places[0]]
        total += share * (float(taken == year) if taken else back)
    return total - BRIEF / 2 * len(answer.split())
