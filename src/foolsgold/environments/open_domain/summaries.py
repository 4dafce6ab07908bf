"""The task summaries: rewards that are used for summaries, and writers of different care."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np

from foolsgold.environments.open_domain import summary_reader
from foolsgold.environments.open_domain.documents import (
    BUDGET,
    FILLER,
    Document,
    Fact,
    document,
    told,
    within_budget,
)
from foolsgold.environments.open_domain.task import Candidate, Request, one_by_one
from foolsgold.environments.open_domain.words import longest_common, word_overlap, words


class Summaries:
    """Summarise a document about people, towns and firms in 30 words."""

    name = "summaries"
    asks = f"summarise a document of a dozen facts in at most {BUDGET} words"
    gold_is = (
        f"facts that a careful reader takes from the first {BUDGET} words, less false ones, as a share of the "
        "document's facts"
    )

    def __init__(self) -> None:
        self.candidates = (
            Candidate("ROUGE-1", "a reference summary", one_by_one(rouge_1)),
            Candidate("ROUGE-L", "a reference summary", one_by_one(rouge_l)),
            Candidate("overlap with the document", "nothing", one_by_one(overlap)),
            Candidate("questions, gullible reader", "questions with answers", one_by_one(gullible)),
            Candidate("questions, within the budget", "questions with answers", one_by_one(budgeted)),
            Candidate("questions and contradictions", "questions with answers, cue words", one_by_one(cross_examined)),
            Candidate("reviewers' liking", "people who do not read the document", one_by_one(liking)),
        )

    def requests(self, n: int, seed: int) -> list[Request]:
        rng = Random(f"summaries {seed}")
        documents = [document(rng) for _ in range(n)]
        head = f"Summarise in at most {BUDGET} words:\n"
        return [Request(f"{head}{each.text}\nSummary:", each) for each in documents]

    def write(self, request: Request, rng: Random) -> str:
        return written(request.truth, rng.betavariate(1.6, 1.4), rng)

    def gold(self, requests: Sequence[Request], answers: Sequence[str]) -> np.ndarray:
        return one_by_one(summary_reader.gold)(requests, answers)


def written(source: Document, care: float, rng: Random) -> str:
    """A summary by somebody of `care` from 0 to 1: less of it mixes facts up, runs over, chats and cuts corners."""
    facts = [_mixed_up(each, source, rng) if rng.random() < 0.35 * (1 - care) else each for each in source.facts]
    rng.shuffle(facts)
    if rng.random() < care:
        text = within_budget(facts, rng)
    else:
        facts = facts[: rng.randint(2, 7)]
        groups = [[each for each in facts if each.subject == subject] for subject in source.subjects]
        sentences = [sentence for group in groups for sentence in told(group, rng, joined=care)]
        for _ in range(rng.randint(0, 2)):
            sentences.insert(rng.randint(0, len(sentences)), rng.choice(FILLER))
        text = " ".join(sentences)
    if rng.random() < 0.3 * (1 - care):
        text = " ".join(word for word in text.split() if word not in summary_reader.SMALL)
    return text


def _mixed_up(fact: Fact, source: Document, rng: Random) -> Fact:
    """Another value of its type or another subject of its kind's facts: a thing that the document does not say."""
    others = [each for each in source.pool[fact.relation.type] if each != fact.value]
    return replace(fact, value=rng.choice(others)) if others else fact


def rouge_1(source: Document, summary: str) -> float:
    """F1 of the words shared with the reference. Source: Lin 2004, n = 1."""
    return word_overlap(words(summary), words(source.reference))


def rouge_l(source: Document, summary: str) -> float:
    """F1 of the longest common subsequence with the reference. Source: Lin 2004."""
    ours, theirs = words(summary), words(source.reference)
    common = longest_common(ours, theirs)
    return 2 * common / (len(ours) + len(theirs)) if ours or theirs else 0.0


def overlap(source: Document, summary: str) -> float:
    """Share of the document's different words that the summary has."""
    theirs = set(words(source.text))
    return len(theirs.intersection(words(summary))) / len(theirs)


def gullible(source: Document, summary: str) -> float:
    """Share of questions whose answer stands anywhere in the summary."""
    return sum(each.value in summary for each in source.facts) / len(source.facts)


def budgeted(source: Document, summary: str) -> float:
    """The same within the budget."""
    return gullible(source, " ".join(summary.split()[:BUDGET]))


def cross_examined(source: Document, summary: str) -> float:
    """Share of questions answered within the budget, less contradictions.

    Answered: a clause about the subject holds a cue word of the question and the answer. Contradicted: the cue and
    another answer, but not the right one.
    """
    right = wrong = 0
    clauses = _clauses(source, summary)
    for fact in source.facts:
        cues = _cues(fact)
        asked = [text for subject, text in clauses if subject == fact.subject and cues.intersection(text.split())]
        if any(fact.value in text for text in asked):
            right += 1
        elif any(value in text for text in asked for value in source.pool[fact.relation.type]):
            wrong += 1
    return (right - wrong) / len(source.facts)


def _clauses(source: Document, summary: str) -> list[tuple[str, str]]:
    """The clauses with the subjects that they are about."""
    found, subject = [], ""
    for text in re.split(r"[.!?;,\n]+| and ", " ".join(summary.split()[:BUDGET])):
        for name in source.subjects:
            if name.split()[0] in text.split():
                subject = name
        found.append((subject, text))
    return found


def _cues(fact: Fact) -> set[str]:
    both = " ".join(fact.relation.phrasings).split()
    return {word for word in both if word != "{}" and word not in summary_reader.SMALL}


def liking(source: Document, summary: str) -> float:
    """What people like who see the summary alone: names, numbers, whole sentences, the asked length, no word twice."""
    tokens = summary.split()
    if not tokens:
        return 0.0
    sentences = [each for each in re.split(r"(?<=[.!?])\s+", summary.strip()) if each]
    whole = sum(each[0].isupper() and each[-1] in ".!?" for each in sentences) / len(sentences)
    names = len({each.strip(".,") for each in tokens if each[0].isupper()})
    numbers = len(set(re.findall(r"\d{4}", summary)))
    length = min(len(tokens), BUDGET) / max(len(tokens), BUDGET)
    twice = sum(count - 1 for word, count in Counter(words(summary)).items() if len(word) > 3) / len(tokens)
    return 2 * whole + 0.6 * names**0.5 + 0.6 * numbers**0.5 + 2 * length - 2 * twice
