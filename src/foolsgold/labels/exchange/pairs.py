"""Judgements gathered by what they judged: each pair once, whichever side its candidates were shown on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from foolsgold.labels.comparison import Comparison, Preferred
from foolsgold.labels.exchange.rows import SWAPPED


@dataclass(frozen=True)
class JudgedPair:
    """A prompt, two candidates, the one that sorts first as a, and what was said of them."""

    prompt: str
    a: str
    b: str
    votes: list[tuple[str, Preferred]] = field(default_factory=list)
    """(rater, preferred) in order of arrival; a rater who judged twice is in it twice."""

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name the pair, the same on every machine."""
        framed = "".join(f"{len(text)}:{text}" for text in (self.prompt, self.a, self.b))
        return blake2b(framed.encode(), digest_size=8).hexdigest()

    @property
    def last_votes(self) -> dict[str, Preferred]:
        """Each rater's last word."""
        return dict(self.votes)


def judged_pairs(comparisons: Iterable[Comparison]) -> list[JudgedPair]:
    """The pairs, in the order in which they were first judged."""
    pairs: dict[tuple[str, str, str], JudgedPair] = {}
    for comparison in comparisons:
        a, b, preferred = comparison.a, comparison.b, comparison.preferred
        if b < a:
            a, b, preferred = b, a, SWAPPED[preferred]
        pair = pairs.setdefault((comparison.prompt, a, b), JudgedPair(comparison.prompt, a, b))
        pair.votes.append((comparison.rater, preferred))
    return list(pairs.values())
