"""Places: which pair a rater is given next, for how long, and how it comes back.

Functions on a transaction of the caller's. `pairs.taken` counts the places of a pair that are open or judged; who
changes a place changes it in the same transaction. Locks are taken in one order, so that nobody waits in a circle:
the member, then places, then pairs by rising id.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from foolsgold.labels import schema
from foolsgold.labels.comparison import iso
from foolsgold.labels.project import Kind, Settings

LEFT_CAP = 10_000
"""`left` counts no further: on a million pairs it would take longer than finding the next."""
SWEEP = 100
"""Expired places released at a time."""
REPEATABLE = 200
"""The oldest so many pairs that a repeat is drawn from."""

_pairs, _places = schema.pairs.c, schema.places.c


@dataclass(frozen=True)
class Asking:
    """A rater who asks a project for a place."""

    project_id: int
    seed: int
    settings: Settings
    rater: str
    now: datetime

    @property
    def names(self) -> dict[str, Any]:
        """Values of the statements below."""
        return {"project": self.project_id, "asker": self.rater}

    @property
    def expires(self) -> float:
        """Seconds since 1970 at which a lease that begins now ends."""
        return self.now.timestamp() + self.settings.lease_seconds


# Statements are put together once: that takes longer than running them.
_PROJECT: sa.BindParameter[int] = sa.bindparam("project")
_RATER: sa.BindParameter[str] = sa.bindparam("asker")
OWN = (_places.project_id == _PROJECT) & (_places.rater == _RATER)
"""The asking rater's places."""
_EXPIRED = (_places.project_id == _PROJECT) & schema.is_open & (_places.expires < sa.bindparam("now"))
_ANY_EXPIRED = sa.select(_places.id).where(_EXPIRED).limit(1)
_SOME_EXPIRED = (
    sa.select(_places.id, _places.pair_id, _places.kind)
    .where(_EXPIRED)
    .order_by(_places.expires)
    .limit(SWEEP)
    .with_for_update(skip_locked=True)
)
_RENEW = (
    sa.update(schema.places)
    .where(OWN, schema.is_open)
    .values(expires=sa.bindparam("until"))
    .returning(_places.id)
)  # fmt: skip
_RELEASED = (
    sa.select(_places.id, _places.pair_id, _places.kind)
    .join_from(schema.places, schema.pairs)
    .where(OWN, schema.is_released, (_places.kind != "pair") | schema.is_wanted)
    .order_by(_places.number)
    .limit(1)
    .with_for_update(skip_locked=True, key_share=True)
)


def _had(kind: Kind) -> sa.ColumnElement[bool]:
    """The rater has had a place of this kind with the pair."""
    return sa.exists().where(_places.pair_id == _pairs.id, _places.rater == _RATER, _places.kind == kind)


# Pairs that others are at are passed over: PostgreSQL keeps a row locked that it waited for in vain, and two raters
# with a row each would wait for the other's.
_WANTED = (
    sa.select(_pairs.id)
    .where(_pairs.project_id == _PROJECT, schema.is_wanted, ~_had("pair"))
    .order_by(_pairs.priority.desc(), _pairs.taken, _pairs.shuffled)
    .limit(1)
    .with_for_update(skip_locked=True, key_share=True)
)
_UNSEEN_CHECK = (
    sa.select(_pairs.id)
    .where(_pairs.project_id == _PROJECT, schema.is_check, ~_had("check"))
    .order_by(_pairs.shuffled)
    .limit(1)
)
_again = schema.places.alias("again")
_REPEATABLE = (
    sa.select(_places.pair_id, _places.swapped)
    .join_from(schema.places, schema.comparisons)
    .where(OWN, _places.kind == "pair", _places.state == "judged", schema.comparisons.c.preferred != "skipped")
    .where(~sa.exists().where(_again.c.pair_id == _places.pair_id, _again.c.rater == _RATER, _again.c.kind == "repeat"))
    .where(_places.number < sa.bindparam("before"))
    .order_by(_places.number)
    .limit(REPEATABLE)
)
_COUNT_GIVEN = (
    sa.update(schema.members)
    .where(schema.members.c.project_id == _PROJECT, schema.members.c.rater == _RATER)
    .values(given=sa.bindparam("count"))
)
_ADD = sa.insert(schema.places).returning(_places.id)
_TAKE = (
    sa.update(schema.pairs)
    .where(_pairs.id == sa.bindparam("pair"))
    .values(taken=_pairs.taken + sa.bindparam("more"))
)  # fmt: skip
_SET_OPEN = (
    sa.update(schema.places)
    .where(_places.id == sa.bindparam("place"))
    .values(state="open", comparison_id=None, opened=sa.bindparam("moment"), expires=sa.bindparam("until"))
)
_SET_RELEASED = sa.update(schema.places).where(_places.id == sa.bindparam("place")).values(state="released")
_ALL_WANTED = sa.select(_pairs.id).where(_pairs.project_id == _PROJECT, schema.is_wanted).limit(LEFT_CAP).subquery()
_COUNT_WANTED = sa.select(sa.func.count()).select_from(_ALL_WANTED)
_COUNT_OWN = sa.select(sa.func.count()).select_from(schema.places).where(OWN)
_COUNT_HAD = _COUNT_OWN.join(schema.pairs).where(_places.kind == "pair", ~schema.is_released, schema.is_wanted)
_COUNT_OPEN = _COUNT_OWN.where(schema.is_open)


def any_expired(connection: Connection, project_id: int, now: datetime) -> bool:
    """Whether `release_expired` has something to do."""
    return connection.scalar(_ANY_EXPIRED, {"project": project_id, "now": now.timestamp()}) is not None


def release_expired(connection: Connection, project_id: int, now: datetime) -> None:
    """Places whose lease has ended go back, `SWEEP` at a time; their raters may still judge them."""
    expired = connection.execute(_SOME_EXPIRED, {"project": project_id, "now": now.timestamp()}).all()
    for row in sorted(expired, key=lambda row: row.pair_id):
        release(connection, row.id, row.pair_id, row.kind)


def open_place(connection: Connection, asking: Asking) -> int | None:
    """The id of the rater's open place, its lease renewed; None where none is open."""
    return connection.scalar(_RENEW, asking.names | {"until": asking.expires})


def reopen_released(connection: Connection, asking: Asking) -> int | None:
    """Open the rater's oldest released place again, where its pair is still wanted."""
    row = connection.execute(_RELEASED, asking.names).one_or_none()
    if row is None:
        return None
    if row.kind == "pair":
        take(connection, row.pair_id, 1)
    reopen(connection, asking, row.id)
    return row.id


def new_place(connection: Connection, asking: Asking, given: int) -> int | None:
    """Hand out a pair the rater has not had, or now and then a check or a repeat.

    None where no pair is left, or others are just being handed or giving back all that are.

    What comes, and on which side, follows from the project's seed, the rater and how many places they were `given`.
    """
    number = given + 1
    draw = random.Random(f"{asking.seed}/{asking.rater}/{number}")
    swapped, share, which = draw.random() < 0.5, draw.random(), draw.random()
    pair_id = connection.scalar(_WANTED, asking.names)
    if pair_id is None:
        return None
    kind: Kind = "pair"
    checks = asking.settings.check_share
    if share < checks:
        check = connection.scalar(_UNSEEN_CHECK, asking.names)
        if check is not None:
            pair_id, kind = check, "check"
    elif share < checks + asking.settings.repeat_share:
        before = {"before": number - asking.settings.repeat_gap}
        repeatable = connection.execute(_REPEATABLE, asking.names | before).all()
        if repeatable:
            pair_id, was_swapped = repeatable[int(which * len(repeatable))]
            kind, swapped = "repeat", not was_swapped
    if kind == "pair":
        take(connection, pair_id, 1)
    row = {
        "project_id": asking.project_id,
        "pair_id": pair_id,
        "rater": asking.rater,
        "number": number,
        "kind": kind,
        "swapped": swapped,
        "state": "open",
        "opened": iso(asking.now),
        "expires": asking.expires,
    }
    connection.execute(_COUNT_GIVEN, asking.names | {"count": number})
    return connection.scalar(_ADD, row)


def reopen(connection: Connection, asking: Asking, place_id: int) -> None:
    """Open a place once more; its pair is counted by the caller."""
    values = {"place": place_id, "moment": iso(asking.now), "until": asking.expires}
    connection.execute(_SET_OPEN, values)


def release(connection: Connection, place_id: int, pair_id: int, kind: Kind) -> None:
    """Give an open place back."""
    connection.execute(_SET_RELEASED, {"place": place_id})
    if kind == "pair":
        take(connection, pair_id, -1)


def take(connection: Connection, pair_id: int, more: int) -> None:
    """Count so many places of a pair more, or fewer, as taken."""
    connection.execute(_TAKE, {"pair": pair_id, "more": more})


def count_left(connection: Connection, asking: Asking) -> int:
    """See `Progress.left`."""
    wanted, had, opened = (
        connection.scalar(query, asking.names) or 0 for query in (_COUNT_WANTED, _COUNT_HAD, _COUNT_OPEN)
    )
    return max(wanted - had, 0) + opened
