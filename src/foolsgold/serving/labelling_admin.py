"""The administrator's side of labelling: how far the work is, whom to trust, personal links, exports."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from foolsgold.errors import UserError
from foolsgold.labels.exchange.records import write_records
from foolsgold.labels.exchange.rows import Notes
from foolsgold.labels.exchange.trl import write_preferences
from foolsgold.labels.labelling import Labelling, Member, Vote
from foolsgold.labels.rater_statistics import RaterStatistics, Share
from foolsgold.objectives.annotator_agreement import krippendorff_alpha
from foolsgold.serving.web_safety import Door, SignIn, Site
from foolsgold.serving.web_server import add_page

FRESH_SECONDS = 4.0
"""So long an overview is shown again before it is counted anew."""
HOURS = 24
EXPORTS: dict[str, Callable[..., list[dict[str, Any]]]] = {"preferences": write_preferences, "records": write_records}


class NamedRater(BaseModel):
    """Somebody to invite or to lock out."""

    model_config = ConfigDict(extra="forbid", strict=True)
    rater: Annotated[str, Field(min_length=1, max_length=200)]


class Overview:
    """What the administrator's page tells of one project."""

    def __init__(self, labelling: Labelling):
        self.labelling = labelling
        self._lock = threading.Lock()
        self._counted = -FRESH_SECONDS
        self._told: dict[str, Any] = {}

    def told(self) -> dict[str, Any]:
        """The project's figures; shares are `{"value", "low", "high", "count", "n"}`, times in seconds."""
        with self._lock:  # several pages that ask at once count once
            if time.monotonic() - self._counted >= FRESH_SECONDS:
                self._told = self._count()
                self._counted = time.monotonic()
            return self._told

    def changed(self) -> None:
        """Count anew when next asked."""
        self._counted = -FRESH_SECONDS

    def _count(self) -> dict[str, Any]:
        found = self.labelling.statistics()
        votes = self.labelling.votes()
        members, by_rater = self.labelling.raters(), {rater.rater: rater for rater in found.raters}
        return {
            "id": self.labelling.id,
            "name": self.labelling.name,
            "display": self.labelling.display,
            "pairs": found.pairs,
            "finished": found.finished,
            "judged": found.judged,
            "median_seconds": found.median_seconds,
            "left_chosen": _share(found.left_chosen),
            "agreement": _share(found.agreement),
            "alpha": _alpha(votes),
            "hours": _hours([vote.created for vote in votes], datetime.now(UTC)),
            "raters": [_rater(member, by_rater.get(member.rater)) for member in members],
        }


def _hours(moments: Sequence[datetime], now: datetime) -> list[dict[str, Any]]:
    """Judgements in each of the last `HOURS` hours, the present one last."""
    this = now.replace(minute=0, second=0, microsecond=0)
    counts = Counter(moment.replace(minute=0, second=0, microsecond=0) for moment in moments)
    hours = [this - timedelta(hours=back) for back in reversed(range(HOURS))]
    return [{"hour": hour.isoformat(), "count": counts[hour]} for hour in hours]


def _alpha(votes: Sequence[Vote]) -> dict[str, float] | None:
    """Krippendorff's alpha of the answers a, tie and b; None before there is anything to compare."""
    answers: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for vote in votes:
        if vote.kind == "pair" and vote.choice != "skipped":
            answers[vote.pair_id][{"a": 0, "b": 2}.get(vote.choice, 1)] += 1
    counts = [row for row in answers.values() if sum(row) > 1]
    if len(counts) < 2:
        return None
    found = krippendorff_alpha(counts)
    told = {"value": found.value, "low": found.bootstrap.low, "high": found.bootstrap.high}
    return told if all(map(math.isfinite, told.values())) else None


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval if share.n else (None, None)
    return {"value": share.value, "low": low, "high": high, "count": share.count, "n": share.n}


def _rater(member: Member, found: RaterStatistics | None) -> dict[str, Any]:
    link = "locked out" if member.revoked else "has a link" if member.invited else "no link"
    told: dict[str, Any] = {"rater": member.rater, "link": link, "judged": 0, "skipped": 0, "flags": []}
    if found is not None:
        told |= {"judged": found.judged, "skipped": found.skipped, "flags": list(found.flags)}
        told |= {"median_seconds": found.median_seconds}
        for name in ("left_chosen", "ties", "checks_right", "repeats_same", "agreement"):
            told[name] = _share(getattr(found, name))
    return told


def rater_link(served: Site, labelling: Labelling, token: str) -> str:
    """A personal link. The token stands behind #: browsers keep that part to themselves, so that no server's log and
    no proxy ever holds it."""
    return f"{served.url}/label/{labelling.id}#{token}"


def add_administration(
    app: FastAPI, overviews: Sequence[Overview], door: Door, served: Site, run: Callable[..., Any]
) -> None:
    """Add the administrator's page and what it asks for; everything but the page itself wants the token."""
    projects = {overview.labelling.id: overview for overview in overviews}

    def project(request: Request, number: int) -> Overview:
        door.visitor(request)
        if number not in projects:
            raise HTTPException(404, "there is no such project here")
        return projects[number]

    add_page(app, "/admin", "admin.html")
    for name in ("admin.css", "admin.js"):
        add_page(app, f"/pages/{name}", name)

    @app.post("/api/admin/sign-in")
    def sign_in(request: Request, told: SignIn) -> Response:
        return door.admit(request, told.token)

    @app.post("/api/admin/sign-out")
    def sign_out() -> Response:
        return door.dismiss()

    # Counting may take long in a large project; it runs apart from the raters' threads.
    @app.get("/api/admin/projects")
    def overview(request: Request) -> list[dict[str, Any]]:
        door.visitor(request)
        return [each.told() for each in overviews]

    @app.post("/api/admin/projects/{number}/invite")
    async def invite(request: Request, number: int, told: NamedRater) -> dict[str, str]:
        chosen = project(request, number)
        try:
            token = await run(chosen.labelling.invite, told.rater.strip())
        except UserError as error:
            raise HTTPException(422, str(error)) from error
        chosen.changed()
        return {"rater": told.rater.strip(), "link": rater_link(served, chosen.labelling, token)}

    @app.post("/api/admin/projects/{number}/revoke")
    async def revoke(request: Request, number: int, told: NamedRater) -> dict[str, str]:
        chosen = project(request, number)
        try:
            await run(chosen.labelling.revoke, told.rater)
        except UserError as error:
            raise HTTPException(422, str(error)) from error
        chosen.changed()
        return {"rater": told.rater}

    @app.get("/api/admin/projects/{number}/export/{kind}")
    def export(request: Request, number: int, kind: Literal["preferences", "records"]) -> Response:
        labelling = project(request, number).labelling
        rows = EXPORTS[kind](labelling.store.comparisons(project=labelling.name), Notes())
        name = f"project-{number}-{kind}.jsonl"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(_lines(rows), media_type="application/jsonl", headers=headers)


def _lines(rows: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"
