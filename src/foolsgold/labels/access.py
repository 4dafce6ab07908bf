"""Who may label: personal links, whose tokens the store knows only by their hashes."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from foolsgold.errors import UserError
from foolsgold.labels import schema
from foolsgold.labels.comparison import iso
from foolsgold.labels.database import Database
from foolsgold.labels.project import Member, PlaceRefused

_m = schema.members.c
_MEMBER = (
    sa.select(_m.given, _m.revoked)
    .where(_m.project_id == sa.bindparam("project"), _m.rater == sa.bindparam("rater"))
    .with_for_update()
)


def new_token() -> str:
    """256 random bits as 43 letters of the URL alphabet: nobody finds one by guessing."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """`[32]` bytes. A plain hash is enough: a random token, unlike a password, cannot be found from it by trying."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def check_rater(rater: str) -> None:
    """Refuse what is no name of a rater.

    Raises:
      UserError: it is empty, longer than 200 characters, has spaces around it, or holds what cannot be printed.
    """
    if not rater or rater != rater.strip() or len(rater) > 200 or not rater.isprintable():
        raise UserError(f"{rater!r:.60} is no name of a rater; give 1 to 200 printable characters, no spaces around")


def join(database: Database, connection: Connection, project_id: int, rater: str, now: datetime) -> None:
    """Make `rater` a member where they are none."""
    database.insert(connection, schema.raters, [{"name": rater}])
    member = {"project_id": project_id, "rater": rater, "joined": iso(now), "given": 0}
    database.insert(connection, schema.members, [member])


def lock_member(database: Database, connection: Connection, project_id: int, rater: str, now: datetime) -> int:
    """Let this rater's other requests wait until the transaction ends; who is new joins.

    Returns:
      How many places the rater was given so far.

    Raises:
      PlaceRefused: the rater's access was revoked.
    """
    named = {"project": project_id, "rater": rater}
    row = connection.execute(_MEMBER, named).one_or_none()
    if row is None:
        check_rater(rater)
        join(database, connection, project_id, rater, now)
        row = connection.execute(_MEMBER, named).one()
    if row.revoked is not None:
        raise PlaceRefused(f"{rater} has no access to this project any more; ask whoever runs it for a new link")
    return row.given


def invite(database: Database, project_id: int, rater: str, now: datetime) -> str:
    """A new token for `rater`, in whose favour an earlier one stops working; it is shown this once."""
    check_rater(rater)
    token = new_token()
    with database.writing() as connection:
        join(database, connection, project_id, rater, now)
        update = sa.update(schema.members).where(_m.project_id == project_id, _m.rater == rater)
        connection.execute(update.values(token_hash=token_hash(token), revoked=None))
    return token


def revoke(database: Database, project_id: int, rater: str, now: datetime) -> None:
    """Lock `rater` out; their judgements stay.

    Raises:
      UserError: nobody of that name is in the project.
    """
    with database.writing() as connection:
        update = sa.update(schema.members).where(_m.project_id == project_id, _m.rater == rater)
        if connection.execute(update.values(token_hash=None, revoked=iso(now))).rowcount == 0:
            raise UserError(f"there is no rater {rater!r:.60} in this project")


def rater_of(database: Database, project_id: int, token: str) -> str | None:
    """Whose token it is, None where nobody's."""
    with database.reading() as connection:
        query = sa.select(_m.rater).where(_m.token_hash == token_hash(token), _m.project_id == project_id)
        return connection.scalar(query)


def members(database: Database, project_id: int) -> list[Member]:
    """The project's raters by name."""
    with database.reading() as connection:
        rows = connection.execute(sa.select(schema.members).where(_m.project_id == project_id)).all()
    found = [
        Member(
            row.rater,
            datetime.fromisoformat(row.joined),
            row.token_hash is not None,
            row.revoked is not None,
            row.given,
        )
        for row in rows
    ]
    return sorted(found, key=lambda member: member.rater)
