"""A labelling project: its pairs are handed out to raters, and their judgements come back to the store.

What was judged or taken back is on disk when the method returns. Threads and processes may share a project.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from foolsgold.errors import UserError
from foolsgold.labels import access, judgements, places, schema
from foolsgold.labels.comparison import Choice, content_key, iso, to_json
from foolsgold.labels.project import (
    Display,
    Judged,
    Member,
    Pair,
    Place,
    PlaceRefused,
    Progress,
    Settings,
    StoredPair,
    Vote,
)
from foolsgold.labels.rater_statistics import ProjectStatistics, project_statistics
from foolsgold.labels.store import CHUNK, ComparisonStore, candidate_row

__all__ = [
    "Choice", "Display", "Judged", "Labelling", "Member", "Pair", "Place", "PlaceRefused", "Progress",
    "ProjectStatistics", "Settings", "StoredPair", "Vote", "projects",
]  # fmt: skip

MAX_SECONDS = 24 * 3600.0
"""A judgement that took longer was not measured: the page lay open."""


class Labelling:
    """One project of a store; make it with `create` or find it with `open`."""

    def __init__(self, store: ComparisonStore, row: sa.Row):
        self.store = store
        self.id: int = row.id
        self.name: str = row.name
        self.guidelines: str = row.guidelines
        """What raters are asked, and how to decide; shown with every pair."""
        self.display: Display = row.display
        self.seed: int = row.seed
        self.settings = Settings(**json.loads(row.settings))
        self._database = store.database

    @classmethod
    def create(
        cls,
        store: ComparisonStore,
        name: str,
        guidelines: str,
        display: Display = "text",
        seed: int = 0,
        settings: Settings | None = None,
    ) -> Labelling:
        """A new project without pairs.

        Args:
          display: how the page shows candidates.
          seed: order of the pairs, sides, checks and repeats follow from it.

        Raises:
          UserError: the store has a project of this name, the name is empty, or the display is unknown.
        """
        if not name.strip() or not name.isprintable():
            raise UserError(f"{name!r:.60} is no name of a project; give printable characters")
        if display not in get_args(Display):
            raise UserError(f"display is {display!r}; choose one of {', '.join(get_args(Display))}")
        row = {
            "name": name,
            "guidelines": guidelines,
            "display": display,
            "seed": seed,
            "settings": to_json(asdict(settings or Settings())),
            "created": iso(datetime.now(UTC)),
        }
        with store.database.writing() as connection:
            if store.database.insert(connection, schema.projects, [row]) == 0:
                raise UserError(f"{store.database.name} has a project {name!r} already; open it, or give another name")
        return cls.open(store, name)

    @classmethod
    def open(cls, store: ComparisonStore, name: str) -> Labelling:
        """An existing project.

        Raises:
          UserError: the store has no project of this name.
        """
        with store.database.reading() as connection:
            row = connection.execute(sa.select(schema.projects).where(schema.projects.c.name == name)).one_or_none()
        if row is None:
            there = ", ".join(projects(store)) or "no projects yet"
            raise UserError(f"{store.database.name} has no project {name!r}; it has {there}")
        return cls(store, row)

    def add_pairs(self, pairs: Iterable[Pair]) -> int:
        """Add pairs to be judged; those that are there already, with these candidates in this order, stay as they are.

        They are committed some thousands at a time.

        Returns:
          How many were new.
        """
        added, remaining = 0, iter(pairs)
        while chunk := list(islice(remaining, CHUNK)):
            prompts: dict[bytes, dict[str, Any]] = {}
            candidates: dict[bytes, dict[str, Any]] = {}
            rows = [self._pair_row(pair, prompts, candidates) for pair in chunk]
            with self._database.writing() as connection:
                # Sorted, so that two writers who share some never wait for each other in a circle.
                self._database.insert(connection, schema.prompts, [prompts[key] for key in sorted(prompts)])
                self._database.insert(connection, schema.candidates, [candidates[key] for key in sorted(candidates)])
                added += self._database.insert(connection, schema.pairs, rows)
        return added

    def pairs(self) -> Iterator[StoredPair]:
        """The project's pairs in the order they were added, attention checks included."""
        p, a, b = schema.pairs.c, schema.candidates.alias("a"), schema.candidates.alias("b")
        query = (
            sa.select(
                p.id, p.taken, p.wanted, p.priority, p.known, p.details, schema.prompts.c.content.label("prompt"),
                a.c.content.label("a"), b.c.content.label("b"), a.c.source.label("source_a"),
                b.c.source.label("source_b"),
            )
            .join_from(schema.pairs, schema.prompts, schema.prompts.c.key == p.prompt_key)
            .join(a, a.c.key == p.a_key)
            .join(b, b.c.key == p.b_key)
            .where(p.project_id == self.id)
            .order_by(p.id)
        )  # fmt: skip
        with self._database.reading(batch=1000) as connection:
            for row in connection.execute(query):
                details, *sources = (json.loads(text or "null") for text in (row.details, row.source_a, row.source_b))
                wanted = max(row.wanted, 1)  # a check is stored as wanted by nobody
                pair = Pair(row.prompt, row.a, row.b, wanted, row.priority, row.known, details, *sources)
                yield StoredPair(row.id, pair, row.taken)

    def set_priorities(self, pair_ids: Iterable[int], priorities: Iterable[float]) -> None:
        """Say which pairs come first, the highest; for strategies that choose what to ask next."""
        wanted = sorted(zip((int(i) for i in pair_ids), (float(p) for p in priorities), strict=True))
        if any(math.isnan(priority) for _, priority in wanted):
            raise UserError("a priority is not a number (NaN)")
        p = schema.pairs.c
        update = sa.update(schema.pairs).where(p.id == sa.bindparam("pair"), p.project_id == self.id)
        while wanted:
            chunk, wanted = wanted[:CHUNK], wanted[CHUNK:]
            rows = [{"pair": pair, "new": priority} for pair, priority in chunk]
            with self._database.writing() as connection:
                connection.execute(update.values(priority=sa.bindparam("new")), rows)

    def next_place(self, rater: str, now: datetime | None = None) -> Place | None:
        """The rater's open place if there is one, else a new one; None where no pair is left for them.

        Nobody is given a pair they have judged or skipped, unless as a repeat. The place is the rater's for
        `settings.lease_seconds`, and for as long again whenever they ask.

        Raises:
          PlaceRefused: the rater's access was revoked.
        """
        asking = self._asking(rater, now)
        with self._database.reading() as connection:
            expired = places.any_expired(connection, self.id, asking.now)
        # A power cut may cost a place, which is then handed out once more; waiting for the disk costs every rater.
        if expired:
            with self._database.writing(durable=False) as connection:
                places.release_expired(connection, self.id, asking.now)
        while True:
            with self._database.writing(durable=False) as connection:
                given = access.lock_member(self._database, connection, self.id, rater, asking.now)
                place_id = places.open_place(connection, asking)
                if place_id is None:
                    place_id = places.reopen_released(connection, asking)
                if place_id is None:
                    place_id = places.new_place(connection, asking, given)
                if place_id is not None:
                    return self._place(connection, place_id)
                if places.count_left(connection, asking) == 0:
                    return None
            time.sleep(random.uniform(0.002, 0.02))  # others are at all that is left: one may be free again

    def judge(
        self,
        place_id: int,
        rater: str,
        preferred: Choice,
        strength: int | None = None,
        seconds: float | None = None,
        now: datetime | None = None,
    ) -> Judged:
        """Store the rater's answer to a place; it is on disk when this returns.

        The same place twice counts once, and the first answer stands. A place whose lease has ended still counts:
        somebody did the work.

        Args:
          preferred: as shown: "a" is the candidate on the left, "b" the one on the right.
          strength: 1 slightly, 2 clearly, 3 far better; None when not asked.
          seconds: time the rater spent.

        Raises:
          PlaceRefused: there is no such place, it is another rater's, or the rater's access was revoked.
          UserError: the answer is impossible.
        """
        if preferred not in get_args(Choice):
            raise UserError(f"the answer is {preferred!r:.40}; choose one of {', '.join(get_args(Choice))}")
        if strength is not None and (strength not in (1, 2, 3) or preferred not in ("a", "b")):
            raise UserError(f"strength is {strength!r:.40}; give 1, 2 or 3, and only where one is preferred")
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            raise UserError(f"seconds is {seconds!r}; give a time of 0 or more")
        if seconds is not None and seconds > MAX_SECONDS:
            seconds = None
        asking = self._asking(rater, now)
        with self._database.writing() as connection:
            access.lock_member(self._database, connection, self.id, rater, asking.now)
            return judgements.judge(connection, asking, self.name, place_id, preferred, strength, seconds)

    def undo(self, rater: str, now: datetime | None = None) -> Place | None:
        """Take the rater's last judgement of this session back and open its place again; None where there is none.

        The judgement stays in the store's history. A place that was open is given back until this one is judged. A
        skipped pair that others have taken since stays skipped.

        Raises:
          PlaceRefused: the rater's access was revoked.
        """
        asking = self._asking(rater, now)
        with self._database.writing() as connection:
            access.lock_member(self._database, connection, self.id, rater, asking.now)
            place_id = judgements.undo(connection, asking)
            return None if place_id is None else self._place(connection, place_id)

    def progress(self, rater: str, now: datetime | None = None) -> Progress:
        """How far the rater is."""
        with self._database.reading() as connection:
            return judgements.progress(connection, self._asking(rater, now))

    def votes(self) -> list[Vote]:
        """All judgements in force, checks, repeats and skips included, in their order of arrival."""
        with self._database.reading() as connection:
            return judgements.votes(connection, self.id)

    def statistics(self) -> ProjectStatistics:
        """What an administrator watches: pace, position bias, attention, consistency and agreement of each rater."""
        p = schema.pairs.c
        with self._database.reading() as connection:
            own = (p.project_id == self.id) & p.known.is_(None)
            query = sa.select(sa.func.count(), sa.func.count().filter(~schema.is_wanted)).where(own)
            total, finished = connection.execute(query).one()
            return project_statistics(total, finished, judgements.votes(connection, self.id))

    def raters(self) -> list[Member]:
        """Who is in the project, by name."""
        return access.members(self._database, self.id)

    def invite(self, rater: str) -> str:
        """The token of a new personal link; an earlier link of this rater stops working. It cannot be read again.

        Raises:
          UserError: the name is empty or cannot be printed.
        """
        return access.invite(self._database, self.id, rater, datetime.now(UTC))

    def rater_of(self, token: str) -> str | None:
        """Whose link it is; None for one that never was or works no more."""
        return access.rater_of(self._database, self.id, token)

    def revoke(self, rater: str) -> None:
        """Lock a rater out; what they judged stays.

        Raises:
          UserError: nobody of that name is in the project.
        """
        access.revoke(self._database, self.id, rater, datetime.now(UTC))

    def _asking(self, rater: str, now: datetime | None) -> places.Asking:
        moment = (now or datetime.now(UTC)).astimezone(UTC)
        return places.Asking(self.id, self.seed, self.settings, rater, moment)

    def _pair_row(self, pair: Pair, prompts: dict[bytes, Any], candidates: dict[bytes, Any]) -> dict[str, Any]:
        prompt = content_key(pair.prompt)
        prompts[prompt] = {"key": prompt, "content": pair.prompt}
        a = candidate_row(prompt, pair.a, pair.source_a)
        b = candidate_row(prompt, pair.b, pair.source_b)
        candidates[a["key"]], candidates[b["key"]] = a, b
        order = blake2b(str(self.seed).encode() + a["key"] + b["key"], digest_size=8).digest()
        return {
            "project_id": self.id,
            "prompt_key": prompt,
            "a_key": a["key"],
            "b_key": b["key"],
            "wanted": 0 if pair.known else pair.wanted,
            "taken": 0,
            "priority": pair.priority,
            "shuffled": int.from_bytes(order, signed=True),
            "known": pair.known,
            "details": None if pair.details is None else to_json(pair.details),
        }

    def _place(self, connection: Connection, place_id: int) -> Place:
        row = judgements.place_row(connection, place_id)
        left, right = (row.b, row.a) if row.swapped else (row.a, row.b)
        details, opened = json.loads(row.details or "{}"), datetime.fromisoformat(row.opened)
        return Place(place_id, row.pair_id, row.prompt, left, right, self.display, details, row.swapped, opened)


def projects(store: ComparisonStore) -> list[str]:
    """Names of the store's labelling projects, the oldest first."""
    with store.database.reading() as connection:
        return list(connection.scalars(sa.select(schema.projects.c.name).order_by(schema.projects.c.id)))
