"""Judgements of places: stored, taken back, counted. Functions on a transaction of the caller's."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from foolsgold.labels import places, schema
from foolsgold.labels.comparison import Choice, iso, judgement_key, to_json
from foolsgold.labels.places import Asking
from foolsgold.labels.project import Judged, PlaceRefused, Progress, Vote

RECENT = 1000
"""Judgements that pace is measured on."""

_c, _pairs, _places = schema.comparisons.c, schema.pairs.c, schema.places.c
_a, _b = schema.candidates.alias("a"), schema.candidates.alias("b")
_MIRRORED: dict[Choice, Choice] = {"a": "b", "b": "a"}

# Statements are put together once: that takes longer than running them.
_IN_FORCE = ~sa.exists().where(schema.retractions.c.comparison_id == _c.id)
_OWN = (_c.project_id == sa.bindparam("project")) & (_c.rater == sa.bindparam("asker")) & _IN_FORCE
_COMPARED = _OWN & (_c.preferred != "skipped")
_LAST = sa.select(_c.id, _c.preferred, _c.created).where(_OWN).order_by(_c.id.desc()).limit(1)
_RECENT = sa.select(_c.created, _c.seconds).where(_COMPARED).order_by(_c.id.desc()).limit(RECENT)
_COUNTS = sa.select(
    sa.func.count().label("done"), sa.func.count().filter(_c.created >= sa.bindparam("midnight")).label("today")
).where(_COMPARED)
_PLACE = (
    sa.select(
        schema.places, _pairs.prompt_key, _pairs.a_key, _pairs.b_key, _pairs.details,
        schema.prompts.c.content.label("prompt"), _a.c.content.label("a"), _b.c.content.label("b"),
    )
    .join_from(schema.places, schema.pairs)
    .join(schema.prompts, schema.prompts.c.key == _pairs.prompt_key)
    .join(_a, _a.c.key == _pairs.a_key)
    .join(_b, _b.c.key == _pairs.b_key)
    .where(_places.id == sa.bindparam("place"))
)  # fmt: skip
_OWN_PLACE = _PLACE.where(places.OWN).with_for_update(of=schema.places)
_KEY = sa.select(_c.id).where(_c.key == sa.bindparam("judgement"))
_ADD = sa.insert(schema.comparisons).returning(_c.id)
_SET_JUDGED = (
    sa.update(schema.places)
    .where(_places.id == sa.bindparam("place"))
    .values(state="judged", comparison_id=sa.bindparam("comparison"))
)


def place_row(connection: Connection, place_id: int) -> sa.Row:
    """A place with the keys, the texts and the details of its pair."""
    return connection.execute(_PLACE, {"place": place_id}).one()


def judge(
    connection: Connection,
    asking: Asking,
    project: str,
    place_id: int,
    choice: Choice,
    strength: int | None,
    seconds: float | None,
) -> Judged:
    """See `Labelling.judge`; the member is locked."""
    place = connection.execute(_OWN_PLACE, asking.names | {"place": place_id}).one_or_none()
    if place is None:
        raise PlaceRefused(f"place {place_id} is not {asking.rater}'s; ask for the next one")
    if place.state == "judged":
        stored = connection.scalars(sa.select(_c.preferred).where(_c.id == place.comparison_id)).one()
        return Judged(place_id, _seen(stored, place.swapped), counted=False)
    preferred = _seen(choice, place.swapped)
    created, key = _moment(connection, asking, place, preferred)
    row = {
        "key": key,
        "prompt_key": place.prompt_key,
        "a_key": place.a_key,
        "b_key": place.b_key,
        "preferred": preferred,
        "rater": asking.rater,
        "created": iso(created),
        "seconds": seconds,
        "source": to_json({"project": project, "pair": place.pair_id, "place": place_id, "swapped": place.swapped}),
        "strength": strength,
        "planted": None if place.kind == "pair" else place.kind,
        "project_id": asking.project_id,
    }
    values = {"place": place_id, "comparison": connection.scalar(_ADD, row)}
    connection.execute(_SET_JUDGED, values)
    # An open place was counted when it was given, a released one was given back; a skip leaves the pair to others.
    change = (choice != "skipped") - (place.state == "open")
    if place.kind == "pair" and change:
        places.take(connection, place.pair_id, change)
    return Judged(place_id, choice, counted=True)


def undo(connection: Connection, asking: Asking) -> int | None:
    """The id of the place that is open again, see `Labelling.undo`; the member is locked."""
    oldest = asking.now - timedelta(seconds=asking.settings.session_gap_seconds)
    judgement = connection.execute(_LAST, asking.names).one_or_none()
    if judgement is None or judgement.created < iso(oldest):
        return None
    place = connection.execute(
        sa.select(schema.places).where(_places.comparison_id == judgement.id).with_for_update()
    ).one()
    open_places = sa.select(schema.places).where(places.OWN, schema.is_open)
    other = connection.execute(open_places, asking.names).one_or_none()
    # The lower pair first: whoever changes two pairs takes them in this order.
    concerned = sorted({place.pair_id} | ({other.pair_id} if other else set()))
    query = sa.select(_pairs.id, schema.is_wanted.label("wanted")).where(_pairs.id.in_(concerned))
    wanted = {
        row.id: row.wanted for row in connection.execute(query.order_by(_pairs.id).with_for_update(key_share=True))
    }
    if judgement.preferred == "skipped" and place.kind == "pair":
        if not wanted[place.pair_id]:
            return None
        places.take(connection, place.pair_id, 1)
    if other is not None:
        places.release(connection, other.id, other.pair_id, other.kind)
    retraction = {"comparison_id": judgement.id, "created": iso(asking.now)}
    connection.execute(sa.insert(schema.retractions).values(retraction))
    places.reopen(connection, asking, place.id)
    return place.id


def progress(connection: Connection, asking: Asking) -> Progress:
    """See `Labelling.progress`."""
    midnight = asking.now.replace(hour=0, minute=0, second=0, microsecond=0)
    done, today = connection.execute(_COUNTS, asking.names | {"midnight": iso(midnight)}).one()
    recent = connection.execute(_RECENT, asking.names).all()
    measured = [row.seconds for row in recent if row.seconds is not None]
    moments = [datetime.fromisoformat(row.created) for row in recent]
    session = _last_session(moments, asking.now, asking.settings.session_gap_seconds)
    seconds = 0.0
    if session:
        seconds = (session[0] - session[-1]).total_seconds() + (recent[len(session) - 1].seconds or 0.0)
    return Progress(
        done=done,
        today=today,
        left=places.count_left(connection, asking),
        median_seconds=median(measured) if measured else None,
        session_done=len(session),
        session_seconds=seconds,
    )


def votes(connection: Connection, project_id: int) -> list[Vote]:
    """See `Labelling.votes`."""
    query = (
        sa.select(
            _places.pair_id, _c.rater, _c.preferred, _c.strength, _c.seconds, _c.created, _places.kind,
            _places.swapped, _pairs.known,
        )
        .join_from(schema.places, schema.comparisons)
        .join(schema.pairs, _pairs.id == _places.pair_id)
        .where(_places.project_id == project_id)
        .order_by(_c.id)
    )  # fmt: skip
    return [
        Vote(pair, rater, choice, strength, seconds, datetime.fromisoformat(created), kind, swapped, known)
        for pair, rater, choice, strength, seconds, created, kind, swapped, known in connection.execute(query)
    ]


def _seen(choice: Choice, swapped: bool) -> Choice:
    """From the pair's own order to the order shown, or back."""
    return _MIRRORED.get(choice, choice) if swapped else choice


def _moment(connection: Connection, asking: Asking, place: sa.Row, preferred: Choice) -> tuple[datetime, bytes]:
    """When the judgement was made and its key; a microsecond later where a clock that stands has made one like it."""
    created = asking.now
    while True:
        key = judgement_key(place.prompt, place.a, place.b, preferred, asking.rater, created)
        if connection.scalar(_KEY, {"judgement": key}) is None:
            return created, key
        created += timedelta(microseconds=1)


def _last_session(moments: list[datetime], now: datetime, gap: float) -> list[datetime]:
    """Those of `moments`, the latest first, that no break longer than `gap` seconds parts from each other and now."""
    session: list[datetime] = []
    later = now
    for moment in moments:
        if (later - moment).total_seconds() > gap:
            break
        session.append(moment)
        later = moment
    return session
