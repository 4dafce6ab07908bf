"""What a labelling project is told, asks and answers: pairs, places, judgements, settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Choice, Preferred, Source

Display = Literal["text", "conversation", "diff", "go"]
Kind = Literal["pair", "check", "repeat"]
MAX_WANTED = 1000


@dataclass(frozen=True)
class Settings:
    """How a project hands its pairs out; kept with it."""

    lease_seconds: float = 15 * 60
    """So long a place is kept for its rater; then others may have the pair."""
    check_share: float = 0.05
    """Share of a rater's places that are attention checks, as long as there are checks the rater has not seen."""
    repeat_share: float = 0.05
    """Share of a rater's places that show an own earlier pair again, its sides swapped."""
    repeat_gap: int = 10
    """Places that lie at least between a pair and its repeat."""
    session_gap_seconds: float = 30 * 60
    """A longer break ends a session; what is older cannot be undone."""
    strength: bool = True
    """Whether raters are asked how much better the preferred one is."""

    def __post_init__(self) -> None:
        if self.lease_seconds <= 0 or self.session_gap_seconds <= 0 or self.repeat_gap < 0:
            raise UserError("a lease and a session last longer than 0 seconds, and a repeat_gap is 0 or more")
        if min(self.check_share, self.repeat_share) < 0 or self.check_share + self.repeat_share > 0.9:
            raise UserError("check_share and repeat_share are shares from 0, together at most 0.9")


@dataclass(frozen=True)
class Pair:
    """Two candidates to be compared.

    Raises:
      UserError: the candidates are the same text, a text has no UTF-8 form, or `wanted` or `known` is impossible.
    """

    prompt: str
    a: str
    b: str
    wanted: int = 1
    """Judgements by different raters, 1 to `MAX_WANTED`."""
    priority: float = 0.0
    """Pairs of high priority are handed out first, equal ones in random order."""
    known: Preferred | None = None
    """The right answer: such a pair is an attention check, planted among the others and shown to each rater once."""
    details: dict[str, Any] | None = None
    """What the page shows beside the texts, such as {"moves_a": SGF, "moves_b": SGF}; must be JSON."""
    source_a: Source | None = None
    source_b: Source | None = None

    def __post_init__(self) -> None:
        if self.a == self.b:
            raise UserError(f"both candidates are the same text, {self.a!r:.60}; give two that differ")
        if not 1 <= self.wanted <= MAX_WANTED:
            raise UserError(f"wanted is {self.wanted}; give 1 to {MAX_WANTED} judgements a pair")
        if self.priority != self.priority:
            raise UserError("a priority is not a number (NaN)")
        if self.known not in (None, "a", "b", "tie", "both_bad"):
            raise UserError(f"known is {self.known!r}; choose one of a, b, tie, both_bad")
        for name in ("prompt", "a", "b"):
            try:
                getattr(self, name).encode()
            except UnicodeEncodeError as error:
                raise UserError(f"{name} holds half a character (a lone surrogate): {error}") from None


@dataclass(frozen=True)
class StoredPair:
    """A pair of a project with how far it is."""

    id: int
    pair: Pair
    taken: int
    """Judgements in force that count towards `pair.wanted`, and places that are out."""


@dataclass(frozen=True)
class Place:
    """A pair handed out to one rater. Whether it is a check or a repeat is not said, for it is shown."""

    id: int
    pair_id: int
    prompt: str
    left: str
    right: str
    display: Display
    details: dict[str, Any]
    swapped: bool
    """Candidate b of the pair is on the left."""
    opened: datetime


@dataclass(frozen=True)
class Judged:
    """A judgement that is on disk."""

    place_id: int
    choice: Choice
    """As it was shown: "a" is the left candidate. An earlier answer to the same place stands, and is this one."""
    counted: bool
    """False where the place had been judged before."""


@dataclass(frozen=True)
class Progress:
    """How far one rater is."""

    done: int
    """Judgements in force, attention checks and repeats included, skips not."""
    today: int
    """Those since midnight, UTC."""
    left: int
    """Pairs this rater can still be given, the open place included; counted to `places.LEFT_CAP` and no further."""
    median_seconds: float | None
    """Of the last 1,000 judgements; None where no time was measured."""
    session_done: int
    """Judgements since the last break longer than the project's `session_gap_seconds`."""
    session_seconds: float
    """From the beginning of the session to its last judgement."""


@dataclass(frozen=True)
class Member:
    """A rater of a project."""

    rater: str
    joined: datetime
    invited: bool
    """Has a personal link that works."""
    revoked: bool
    given: int
    """Places handed out so far."""


@dataclass(frozen=True)
class Vote:
    """A judgement in force of a project's pair, in the pair's own order, skips included."""

    pair_id: int
    rater: str
    choice: Choice
    strength: int | None
    seconds: float | None
    created: datetime
    kind: Kind
    swapped: bool
    """"b" was the left one."""
    known: Preferred | None
    """The right answer where it is a check."""


class PlaceRefused(UserError):
    """The place is not this rater's, or the rater has no access any more."""
