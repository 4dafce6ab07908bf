"""The live page of runs: what it is asked and what it answers. Reading needs no token; giving labels does."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from foolsgold.audit.report import Details
from foolsgold.audit.verdict import Verdict, shown
from foolsgold.serving.runs_charts import charts, glimpse
from foolsgold.serving.runs_files import opened, size_of
from foolsgold.serving.runs_index import REQUESTS, Card, NoSuchRun, RunIndex
from foolsgold.serving.runs_metrics import Tails, newest
from foolsgold.serving.runs_queue import LABELS, AuditQueue, Queues, Scale
from foolsgold.serving.runs_samples import samples, sources
from foolsgold.serving.web_safety import Guard, Site, WrongGuesses, door_for, refusal
from foolsgold.serving.web_server import add_page, new_app

PAGES = {
    "/": "runs.html",
    "/runs/{name}": "runs_run.html",
    "/runs/{name}/label": "runs_queue.html",
    **{
        f"/pages/{name}": name
        for name in (
            "base.css",
            "icon.svg",
            "runs.css",
            "runs_common.js",
            "runs_list.js",
            "runs_chart.js",
            "runs_run.js",
            "runs_queue.js",
        )
    },
}
REPORT_POLICY = (
    # A report may run its script to open and replay things, in an origin of its own that reaches nothing of ours.
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PICTURE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
MOST_REPORT = 64 << 20
"""Bytes of a report."""

Number = Annotated[int, Query(ge=0, le=2**53)]


@dataclass(frozen=True)
class Labelling:
    """How the page asks people for gold."""

    scale: Scale
    guidelines: str = ""
    """What to go by, shown beside every completion."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _SignIn(_Strict):
    token: str = Field(max_length=200)


class _Rater(_Strict):
    rater: str = Field(max_length=60)


class _Judgement(_Rater):
    id: str = Field(max_length=100)
    gold: int = Field(ge=-1000, le=1000)
    seconds: float | None = Field(default=None, ge=0, le=86_400)


def runs_app(index: RunIndex, served: Site, token: str, labelling: Labelling, cookie: str) -> ASGIApp:
    """The application, behind `web_safety.Guard`.

    Args:
      token: whoever shows it may give labels.
      cookie: name of the cookie that keeps it.
    """
    app = new_app("foolsgold runs")
    for path, name in PAGES.items():
        add_page(app, path, name)
    _add_reading(app, index)
    _add_labelling(app, index, served, token, labelling, cookie)

    @app.exception_handler(NoSuchRun)
    async def unknown(_request: Request, _error: NoSuchRun) -> Response:
        return refusal(404, "there is no such run")

    return Guard(app, served)


def _add_reading(app: FastAPI, index: RunIndex) -> None:
    tails = Tails()

    @app.get("/api/runs")
    def listing(
        request: Request,
        words: Annotated[str, Query(max_length=200)] = "",
        state: Literal["", "running", "waiting", "quiet", "finished"] = "",
        study: Annotated[str, Query(max_length=100)] = "",
        start: Number = 0,
        count: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        page = index.page(words, (state,) if state else (), study, start, count)
        cards = [asdict(card) | {"latest": None if card.sentence else _latest(index, card)} for card in page.cards]
        return _unless_known(request, {"folder": str(index.root), **asdict(page), "cards": cards})

    @app.get("/api/runs/{name}")
    def run(name: str, request: Request) -> Response:
        return _unless_known(request, _about(index, name))

    @app.get("/api/runs/{name}/curves")
    def curves(name: str, cursor: Annotated[str, Query(max_length=60)] = "") -> Response:
        tail = tails.of(index.folder(name) / "metrics.jsonl")
        news = tail.news(cursor)
        found: dict[str, Any] = asdict(news)
        if news.whole or any(not points.first for points in news.curves.values()):  # else no name is new
            study = index.card(name).study
            found["charts"] = [asdict(chart) for chart in charts(study, tail.names)]
        return as_json(found)

    @app.get("/api/runs/{name}/samples")
    def sample_sources(name: str, request: Request) -> Response:
        return _unless_known(request, {"sources": [asdict(each) for each in sources(index.folder(name))]})

    @app.get("/api/runs/{name}/samples/page")
    def sample_page(name: str, source: Annotated[str, Query(max_length=500)], at: Number = 0) -> Response:
        folder = index.folder(name)
        known = {each.id: each for each in sources(folder)}
        if source not in known:
            raise HTTPException(404, "this run has no such samples")
        return as_json(asdict(samples(folder, known[source], at)))

    @app.get("/runs/{name}/report")
    def report(name: str, request: Request) -> Response:
        body = _report(index.folder(name) / "report.html")
        headers = {"content-security-policy": REPORT_POLICY, "content-type": "text/html; charset=utf-8"}
        return _cached(request, body, headers)

    @app.get("/board.svg")
    def board(request: Request, position: Annotated[str, Query(max_length=420)]) -> Response:
        from foolsgold.audit.goban import board_svg  # with the rules of Go it takes seconds
        from foolsgold.serving.runs_boards import grid_of

        grid = grid_of(position)
        if grid is None:
            raise HTTPException(404, "this is no Go board")
        headers = {"content-security-policy": PICTURE_POLICY, "content-type": "image/svg+xml"}
        return _cached(request, str(board_svg(grid)).encode(), headers | {"cache-control": "max-age=86400"})


def _add_labelling(app: FastAPI, index: RunIndex, served: Site, token: str, labelling: Labelling, cookie: str) -> None:
    queues, door = Queues(), door_for(token, cookie, WrongGuesses(), served.secure)

    def queue_of(name: str) -> AuditQueue:
        queue = queues.of(index.folder(name))
        if queue is None:
            raise HTTPException(404, "this run asks nobody for labels")
        return queue

    def writable(name: str, request: Request) -> AuditQueue:
        door.visitor(request)
        return queue_of(name)

    @app.post("/api/sign-in")
    def sign_in(request: Request, given: _SignIn) -> Response:
        return door.admit(request, given.token)

    @app.post("/api/sign-out")
    def sign_out() -> Response:
        return door.dismiss()

    @app.get("/api/runs/{name}/queue")
    def state(name: str, request: Request, start: Number = 0) -> Response:
        queue = queue_of(name)
        progress = queue.progress()
        scale = Scale.read(progress.scale) if progress.scale else labelling.scale
        labels = queue.folder / LABELS
        return as_json(
            {
                **asdict(progress),
                "may_label": door.holds(request),
                "fits": scale == labelling.scale,
                "scale": asdict(scale),
                "guidelines": labelling.guidelines,
                "requests": [asdict(each) for each in queue.requests(start, 20)],
                "command": shlex.join(["foolsgold", "audit", "--resume", str(queue.folder), "--gold", str(labels)]),
            }
        )

    @app.post("/api/runs/{name}/queue/next")
    def following(given: _Rater, queue: AuditQueue = Depends(writable)) -> Response:
        request = queue.next(given.rater)
        return as_json({"request": None if request is None else asdict(request)})

    @app.post("/api/runs/{name}/queue/judge")
    def judge(given: _Judgement, queue: AuditQueue = Depends(writable)) -> Response:
        queue.judge(given.rater, given.id, given.gold, labelling.scale, given.seconds)
        return Response(status_code=204)

    @app.post("/api/runs/{name}/queue/undo")
    def undo(given: _Rater, queue: AuditQueue = Depends(writable)) -> Response:
        request = queue.undo(given.rater)
        return as_json({"request": None if request is None else asdict(request)})

    @app.post("/api/runs/{name}/queue/labels")
    def write(queue: AuditQueue = Depends(writable)) -> Response:
        queue.write_labels()
        return Response(status_code=204)


def _latest(index: RunIndex, card: Card) -> dict[str, Any] | None:
    """What a run that has found nothing yet logged last."""
    row = newest(index.root / card.name / "metrics.jsonl")
    return None if row is None else {"step": row[0], "values": glimpse(card.study, row[1])}


def _about(index: RunIndex, name: str) -> dict[str, Any]:
    card, record, verdict = index.card(name), index.record(name), index.verdict(name)
    folder = index.folder(name)
    command = record.get("command")
    words = command if isinstance(command, list) and all(isinstance(word, str) for word in command) else []
    return {
        **asdict(card),
        "folder": str(folder),
        "command": shlex.join(["foolsgold", *words[1:]]) if words else "",
        "claim": "" if verdict is None else verdict.claim,
        "figures": [] if verdict is None else _figures(verdict),
        "settings": _settings(record),
        "queue": (folder / REQUESTS).is_file(),
    }


def _figures(verdict: Verdict) -> list[dict[str, str]]:
    found = []
    for figure in verdict.figures:
        parts = shown(figure)
        found.append({"name": figure.name, "note": figure.note, **asdict(parts)})
    return found


def _settings(record: dict[str, Any]) -> list[dict[str, Any]]:
    groups = Details("", {name: value for name, value in record.items() if name != "command"}).groups
    return [{"title": title, "rows": rows} for title, rows in groups.items()]


def _report(path: Path) -> bytes:
    try:
        with opened(path) as file:
            if size_of(file) <= MOST_REPORT:
                return file.read()
    except OSError:
        raise HTTPException(404, "this run has no report yet") from None
    raise HTTPException(404, "the report is too long to be shown")


def as_json(content: Any) -> Response:
    """`content` as JSON that every browser reads, whatever models wrote: no NaN, half characters escaped."""
    return Response(_encoded(content), media_type="application/json")


def _encoded(content: Any) -> bytes:
    try:
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(content), separators=(",", ":"), allow_nan=False)
    return text.encode()


def _finite(value: Any) -> Any:
    """The same with numbers that JSON has not as words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _unless_known(request: Request, content: Any) -> Response:
    return _cached(request, _encoded(content), {"content-type": "application/json"})


def _cached(request: Request, body: bytes, headers: dict[str, str]) -> Response:
    """`body`, or the word that the browser has it already."""
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"cache-control": "no-cache", **headers, "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers)
