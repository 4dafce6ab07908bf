"""One judgement of two candidates, as every part of the program knows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal, get_args

KEY_BYTES = 16

Preferred = Literal["a", "b", "tie", "both_bad"]
Choice = Literal["a", "b", "tie", "both_bad", "skipped"]
"""What a rater can answer; who skipped has compared nothing."""
Source = str | dict[str, Any]
"""Where something comes from: a name, or what JSON can hold, such as {"policy": …, "checkpoint": …, "seed": …}."""


@dataclass(frozen=True)
class Comparison:
    """One judgement: a rater saw two candidates for a prompt and preferred one of them.

    Raises:
      ValueError: `preferred` is unknown, `created` has no time zone, a text has no UTF-8 form, or `strength` is
        neither 1, 2 nor 3 or comes without a preferred candidate.
    """

    prompt: str
    a: str
    """The candidate shown first, unless the source says {"swapped": true}."""
    b: str
    """The other candidate."""
    preferred: Preferred
    """"both_bad": neither should win, which tells as much of the two as a tie."""
    rater: str
    created: datetime
    """When the rater decided, with a time zone; kept in UTC, to the microsecond."""
    source: Source
    """What asked for the judgement."""
    source_a: Source | None = None
    """What wrote candidate a: policy, checkpoint, seed."""
    source_b: Source | None = None
    """What wrote candidate b."""
    seconds: float | None = None
    """Time the rater spent, in seconds; None when not measured."""
    strength: int | None = None
    """How much better the preferred one is: 1 slightly, 2 clearly, 3 far better; None when not asked."""

    def __post_init__(self) -> None:
        if self.preferred not in get_args(Preferred):
            raise ValueError(f"preferred is {self.preferred!r}; choose one of {', '.join(get_args(Preferred))}")
        if self.strength is not None and (self.strength not in (1, 2, 3) or self.preferred not in ("a", "b")):
            raise ValueError(f"strength is {self.strength!r}; give 1, 2 or 3, and only where a or b is preferred")
        if self.created.utcoffset() is None:
            raise ValueError(f"created {self.created} has no time zone; give one, such as datetime.now(UTC)")
        object.__setattr__(self, "created", self.created.astimezone(UTC))
        for name in ("prompt", "a", "b", "rater"):
            try:
                getattr(self, name).encode()
            except UnicodeEncodeError as error:
                raise ValueError(f"{name} holds half a character (a lone surrogate): {error}") from None

    @property
    def key(self) -> bytes:
        """`[16]` bytes naming this judgement, the same on every machine.

        Who preferred which of two texts when; a retry that differs in its sources or the time spent is no new one.
        """
        return judgement_key(self.prompt, self.a, self.b, self.preferred, self.rater, self.created)


def judgement_key(prompt: str, a: str, b: str, choice: Choice, rater: str, created: datetime) -> bytes:
    """`[16]` bytes naming a judgement, see `Comparison.key`; skips have one too."""
    return content_key(prompt, a, b, choice, rater, iso(created))


def content_key(*texts: str) -> bytes:
    """`[16]` bytes, a hash of `texts`; their lengths go in: no two ways to cut the same string collide."""
    framed = "".join([f"{len(text)}:{text}" for text in texts])
    return blake2b(framed.encode(), digest_size=KEY_BYTES).digest()


def iso(moment: datetime) -> str:
    """A moment in UTC as it is stored: texts that sort as the moments do."""
    return moment.isoformat(timespec="microseconds")


to_json = json.JSONEncoder(sort_keys=True).encode
