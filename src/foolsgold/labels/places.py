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
    def own(self) -> sa.ColumnElement[bool]:
        """The rater's places of the project."""
        return (_places.project_id == self.project_id) & (_places.rater == self.rater)

    @property
    def expires(self) -> float:
        """Seconds since 1970 at which a lease that begins now ends."""
        return self.now.timestamp() + self.settings.lease_seconds


def any_expired(connection: Connection, project_id: int, now: datetime) -> bool:
    """Whether `release_expired` has something to do."""
    query = sa.select(_places.id).where(_expired(project_id, now)).limit(1)
    return connection.scalar(query) is not None


def release_expired(connection: Connection, project_id: int, now: datetime) -> None:
    """Places whose lease has ended go back, `SWEEP` at a time; their raters may still judge them."""
    query = sa.select(_places.id, _places.pair_id, _places.kind).where(_expired(project_id, now))
    query = query.order_by(_places.expires).limit(SWEEP).with_for_update(skip_locked=True)
    expired = sorted(connection.execute(query).all(), key=lambda row: row.pair_id)
    for row in expired:
        release(connection, row.id, row.pair_id, row.kind)


def _expired(project_id: int, now: datetime) -> sa.ColumnElement[bool]:
    return (_places.project_id == project_id) & schema.is_open & (_places.expires < now.timestamp())


def open_place(connection: Connection, asking: Asking) -> int | None:
    """The id of the rater's open place, its lease renewed; None where none is open."""
    query = sa.update(schema.places).where(asking.own & schema.is_open).values(expires=asking.expires)
    return connection.scalar(query.returning(_places.id))


def reopen_released(connection: Connection, asking: Asking) -> int | None:
    """Open the rater's oldest released place again, where its pair is still wanted."""
    query = (
        sa.select(_places.id, _places.pair_id, _places.kind)
        .join_from(schema.places, schema.pairs)
        .where(asking.own & schema.is_released)
        .where((_places.kind != "pair") | schema.is_wanted)
        .order_by(_places.number)
        .limit(1)
        .with_for_update()
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.kind == "pair":
        take(connection, row.pair_id, 1)
    values = {"state": "open", "opened": iso(asking.now), "expires": asking.expires}
    connection.execute(sa.update(schema.places).where(_places.id == row.id).values(values))
    return row.id


def new_place(connection: Connection, asking: Asking, given: int) -> int | None:
    """Hand out a pair the rater has not had, or now and then a check or a repeat; None where no pair is left.

    What comes, and on which side, follows from the project's seed, the rater and how many places they were `given`.
    """
    number = given + 1
    draw = random.Random(f"{asking.seed}/{asking.rater}/{number}")
    swapped, share, which = draw.random() < 0.5, draw.random(), draw.random()
    wanted = _wanted_pair(connection, asking)
    if wanted is None:
        return None
    pair_id, kind = wanted, "pair"
    if share < asking.settings.check_share:
        check = _unseen_check(connection, asking)
        if check is not None:
            pair_id, kind = check, "check"
    elif share < asking.settings.check_share + asking.settings.repeat_share:
        repeat = _repeat(connection, asking, number, which)
        if repeat is not None:
            pair_id, kind, swapped = repeat.pair_id, "repeat", not repeat.swapped
    if kind == "pair":
        take(connection, pair_id, 1)
    row: dict[str, Any] = {
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
    member = schema.members.c
    counted = sa.update(schema.members).where(member.project_id == asking.project_id, member.rater == asking.rater)
    connection.execute(counted.values(given=number))
    return connection.scalar(sa.insert(schema.places).values(row).returning(_places.id))


def release(connection: Connection, place_id: int, pair_id: int, kind: Kind) -> None:
    """Give an open place back."""
    connection.execute(sa.update(schema.places).where(_places.id == place_id).values(state="released"))
    if kind == "pair":
        take(connection, pair_id, -1)


def take(connection: Connection, pair_id: int, count: int) -> None:
    """Count `count` more places, or fewer, of a pair as taken."""
    query = sa.update(schema.pairs).where(_pairs.id == pair_id)
    connection.execute(query.values(taken=_pairs.taken + count))


def count_left(connection: Connection, asking: Asking) -> int:
    """See `Progress.left`."""
    wanted = sa.select(_pairs.id).where(_pairs.project_id == asking.project_id, schema.is_wanted).limit(LEFT_CAP)
    left = connection.scalar(sa.select(sa.func.count()).select_from(wanted.subquery())) or 0
    own = sa.select(sa.func.count()).select_from(schema.places)
    had = own.join(schema.pairs).where(asking.own, _places.kind == "pair", ~schema.is_released, schema.is_wanted)
    left -= connection.scalar(had) or 0
    return max(left, 0) + (connection.scalar(own.where(asking.own, schema.is_open)) or 0)


def _wanted_pair(connection: Connection, asking: Asking) -> int | None:
    had = sa.exists().where(_places.pair_id == _pairs.id, _places.rater == asking.rater, _places.kind == "pair")
    query = (
        sa.select(_pairs.id)
        .where(_pairs.project_id == asking.project_id, schema.is_wanted, ~had)
        .order_by(_pairs.priority.desc(), _pairs.taken, _pairs.shuffled)
        .limit(1)
    )
    free = connection.scalar(query.with_for_update(skip_locked=True))
    # Where all that are left are just being handed out or given back, it is worth to wait for them.
    return free if free is not None else connection.scalar(query.with_for_update())


def _unseen_check(connection: Connection, asking: Asking) -> int | None:
    seen = sa.exists().where(_places.pair_id == _pairs.id, _places.rater == asking.rater, _places.kind == "check")
    query = sa.select(_pairs.id).where(_pairs.project_id == asking.project_id, schema.is_check, ~seen)
    return connection.scalar(query.order_by(_pairs.shuffled).limit(1))


def _repeat(connection: Connection, asking: Asking, number: int, which: float) -> sa.Row | None:
    """An own earlier judgement of a pair; `which`, from 0 to 1, says which of the eligible ones."""
    again = schema.places.alias("again")
    repeated = sa.exists().where(
        again.c.pair_id == _places.pair_id, again.c.rater == asking.rater, again.c.kind == "repeat"
    )
    query = (
        sa.select(_places.pair_id, _places.swapped)
        .join_from(schema.places, schema.comparisons)
        .where(asking.own, _places.kind == "pair", _places.state == "judged")
        .where(schema.comparisons.c.preferred != "skipped", ~repeated)
        .where(_places.number < number - asking.settings.repeat_gap)
        .order_by(_places.number)
        .limit(REPEATABLE)
    )
    eligible = connection.execute(query).all()
    return eligible[int(which * len(eligible))] if eligible else None
