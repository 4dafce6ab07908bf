"""Documents about people, towns and firms that do not exist, made of facts: the world of the task summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

BUDGET = 30
"""Words of a summary."""
FACTS_EACH = 4
"""Facts about each of the three subjects of a document."""


@dataclass(frozen=True)
class Relation:
    """Something that can be said of a subject; each has a twin with values of the same type, so that a value alone does
    not tell what it is."""

    name: str
    subject: str
    """person, town or firm"""
    type: str
    """year, town, person, goods or trade"""
    phrasings: tuple[str, ...]
    """Ways to say it after the subject, `{}` for the value."""


RELATIONS = (
    Relation("born", "person", "year", ("was born in {}", "came into the world in {}")),
    Relation("retired", "person", "year", ("retired in {}", "stopped working in {}")),
    Relation("birthplace", "person", "town", ("comes from {}", "grew up in {}")),
    Relation("home", "person", "town", ("lives in {}", "has a house in {}")),
    Relation("trade", "person", "trade", ("works as a {}", "makes a living as a {}")),
    Relation("first trade", "person", "trade", ("trained as a {}", "once hoped to be a {}")),
    Relation("founded", "town", "year", ("was founded in {}", "goes back to {}")),
    Relation("flooded", "town", "year", ("was flooded in {}", "stood under water in {}")),
    Relation("mayor", "town", "person", ("is governed by {}", "has {} as mayor")),
    Relation("honoured", "town", "person", ("honours {}", "put up a statue of {}")),
    Relation("known for", "town", "goods", ("is known for {}", "is famous for {}")),
    Relation("buys", "town", "goods", ("imports {}", "buys {} from abroad")),
    Relation("started", "firm", "year", ("was started in {}", "opened its doors in {}")),
    Relation("loss", "firm", "year", ("lost money in {}", "had a bad year in {}")),
    Relation("seat", "firm", "town", ("has its seat in {}", "is based in {}")),
    Relation("factory", "firm", "town", ("built a factory in {}", "produces in {}")),
    Relation("head", "firm", "person", ("is run by {}", "has {} at its head")),
    Relation("owner", "firm", "person", ("belongs to {}", "is owned by {}")),
)
FILLER = (
    "The weather was mild that spring.", "Nobody can say how it will go on.", "There was a lot of talk about it.",
    "Readers have sent us many letters.", "It is a long story, and not a simple one.", "The roads were quiet.",
    "We met on a rainy afternoon.", "Much of this was news to us.", "A cat slept on the window sill.",
    "The coffee was strong and hot.", "People here like to talk.", "Some of it has been told before.",
)  # fmt: skip
GOODS = ("cheese", "glass", "rope", "honey", "paper", "clocks", "boots", "salt", "lace", "bells", "cider", "tiles")
TRADES = ("baker", "surgeon", "piper", "lawyer", "tailor", "diver", "printer", "miller", "teacher", "singer")
_FIRST = ("Orla", "Bram", "Ines", "Tove", "Ruben", "Maud", "Emil", "Gerda", "Otis", "Lene", "Anton", "Vera")
_HEADS = ("Vel", "Tarn", "Dor", "Kem", "Hol", "Bris", "Fal", "Gor", "Lun", "Mer", "Nor", "Pel", "Ros", "Sul", "Wick")
_TOWNS = ("by", "ford", "ham", "stad", "mouth", "gate")
_PEOPLE = ("vance", "sen", "mark", "idge", "ley", "ross")


@dataclass(frozen=True)
class Fact:
    """What a document says of one subject."""

    subject: str
    relation: Relation
    value: str

    def clause(self, phrasing: str) -> str:
        return phrasing.format(self.value)


@dataclass(frozen=True)
class Document:
    """A document and what it says."""

    text: str
    facts: tuple[Fact, ...]
    subjects: tuple[str, ...]
    reference: str
    """The summary of a careful person."""
    pool: dict[str, tuple[str, ...]]
    """Values in the document, by type."""


def document(rng: Random) -> Document:
    """A person, a town and a firm with four facts each, in sentences of one or two, and with idle ones between."""
    names = _Names(rng)
    subjects = {"person": names.new("person"), "town": names.new("town"), "firm": names.new("firm")}
    pool = {type_: tuple(names.new(type_) for _ in range(6)) for type_ in ("year", "town", "person", "goods", "trade")}
    facts: list[Fact] = []
    for kind, subject in subjects.items():
        twins = [each for each in RELATIONS if each.subject == kind]
        used = {type_: list(values) for type_, values in pool.items()}
        for relation in rng.sample(twins, FACTS_EACH):
            facts.append(Fact(subject, relation, used[relation.type].pop(rng.randrange(len(used[relation.type])))))
    order = list(subjects.values())
    rng.shuffle(order)
    sentences: list[str] = []
    for subject in order:
        own = [each for each in facts if each.subject == subject]
        rng.shuffle(own)
        sentences += told(own, rng, joined=0.4)
    for _ in range(rng.randint(2, 4)):
        sentences.insert(rng.randint(0, len(sentences)), rng.choice(FILLER))
    reference = within_budget(rng.sample(facts, len(facts)), rng)
    text = " ".join(sentences)
    said = {each.value for each in facts}
    values = {type_: tuple(each for each in of if each in said) for type_, of in pool.items()}
    return Document(text, tuple(facts), tuple(order), reference, values)


def told(facts: Sequence[Fact], rng: Random, joined: float) -> list[str]:
    """Sentences that say the facts of one subject, two at once with chance `joined`; later ones use a short name."""
    sentences: list[str] = []
    rest = list(facts)
    while rest:
        count = 2 if len(rest) > 1 and rng.random() < joined else 1
        now, rest = rest[:count], rest[count:]
        name = now[0].subject
        if sentences and rng.random() < 0.7:
            name = name.split()[-1] if now[0].relation.subject == "person" else "It"
        clauses = [each.clause(rng.choice(each.relation.phrasings)) for each in now]
        sentences.append(f"{name} {' and '.join(clauses)}.")
    return sentences


def within_budget(facts: Sequence[Fact], rng: Random, budget: int = BUDGET) -> str:
    """As many of the facts, first ones first, as fit in the budget, sorted by subject."""
    kept: list[Fact] = []
    text = ""
    for fact in facts:
        more = sorted([*kept, fact], key=lambda each: each.subject)
        longer = " ".join(
            sentence
            for subject in dict.fromkeys(each.subject for each in more)
            for sentence in told([each for each in more if each.subject == subject], rng, joined=1.0)
        )
        if len(longer.split()) <= budget:
            kept, text = more, longer
    return text


class _Names:
    """Names that do not come twice in a document."""

    def __init__(self, rng: Random):
        self.rng, self.used = rng, set[str]()

    def new(self, type_: str) -> str:
        while True:
            name = self._some(type_)
            if not self.used.intersection(name.split()):
                self.used.update(set(name.split()) - {"Works"})
                return name

    def _some(self, type_: str) -> str:
        rng, head = self.rng, self.rng.choice(_HEADS)
        if type_ == "year":
            return str(rng.randint(1700, 1990))
        if type_ == "town":
            return head + rng.choice(_TOWNS)
        if type_ == "person":
            return f"{rng.choice(_FIRST)} {head}{rng.choice(_PEOPLE)}"
        if type_ == "firm":
            return f"{head}tec Works"
        return rng.choice(GOODS if type_ == "goods" else TRADES)
