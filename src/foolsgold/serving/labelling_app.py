"""The labelling page's application: raters sign in by a personal link, get pairs, and hand in answers.

Nothing a rater sends names a rater: who they are follows from their cookie, and the store refuses places that are not
theirs. An answer is on disk before it is acknowledged; the same place handed in twice counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from foolsgold.labels.labelling import Choice, Labelling, PlaceRefused
from foolsgold.serving.labelling_admin import Overview, add_administration
from foolsgold.serving.labelling_view import view, warm_up
from foolsgold.serving.web_safety import Door, Guard, SignIn, Site, WrongGuesses, door_for, refusal
from foolsgold.serving.web_server import add_page, new_app

THREADS = 8
"""Requests that ask the store at a time; others wait their turn, first come first served."""
ASSETS = ("base.css", "label.css", "label.js", "content.js", "board.js", "dom.js", "wire.js", "icon.svg")

_Answer = Literal["left", "right", "tie", "both_bad", "skipped"]
_CHOICES: dict[_Answer, Choice] = {
    "left": "a",
    "right": "b",
    "tie": "tie",
    "both_bad": "both_bad",
    "skipped": "skipped",
}


class Told(BaseModel):
    """A rater's answer to a place."""

    model_config = ConfigDict(extra="forbid", strict=True)
    place: Annotated[int, Field(ge=1, le=2**31 - 1)]
    answer: _Answer
    strength: Literal[1, 2, 3] | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Desk:
    """Where the raters of one project work; methods take the request for who asks and return what the page shows."""

    def __init__(self, labelling: Labelling, served: Site, guesses: WrongGuesses):
        self.labelling = labelling
        self.door = Door(f"rater-{labelling.id}-{served.mark}", labelling.rater_of, guesses, served.secure)

    def open(self, request: Request) -> dict[str, Any]:
        """The project, the rater and where they are."""
        rater = self.door.visitor(request)
        project = {
            "name": self.labelling.name,
            "guidelines": self.labelling.guidelines,
            "asks_strength": self.labelling.settings.strength,
        }
        return {"project": project, "rater": rater, **self._state(rater)}

    def judge(self, request: Request, told: Told) -> dict[str, Any]:
        """Keep an answer; then the next place."""
        rater = self.door.visitor(request)
        choice = _CHOICES[told.answer]
        if told.strength is not None and choice not in ("a", "b"):
            raise HTTPException(422, "strength: only where one candidate is better")
        self.labelling.judge(told.place, rater, choice, told.strength, told.seconds)
        return self._state(rater)

    def undo(self, request: Request) -> dict[str, Any]:
        """Take the rater's last answer back; its place is open again."""
        rater = self.door.visitor(request)
        undone = self.labelling.undo(rater) is not None
        return {"undone": undone, **self._state(rater)}

    def _state(self, rater: str) -> dict[str, Any]:
        place = self.labelling.next_place(rater)
        return {"place": place and view(place), "progress": asdict(self.labelling.progress(rater))}


def labelling_app(labellings: Sequence[Labelling], served: Site, token: str) -> ASGIApp:
    """The application of some projects of one store.

    Args:
      token: the administrator's.
    """
    app = new_app("foolsgold label")
    guesses = WrongGuesses()
    desks = {labelling.id: Desk(labelling, served, guesses) for labelling in labellings}
    pool = ThreadPoolExecutor(THREADS, "labelling")

    async def run(work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

    @app.exception_handler(PlaceRefused)
    async def refused(_request: Request, error: PlaceRefused) -> Response:
        return refusal(409, str(error))

    if any(labelling.display == "go" for labelling in labellings):
        warm_up()
    add_page(app, "/", "start.html")
    add_page(app, "/label/{project}", "label.html")
    for name in ASSETS:
        add_page(app, f"/pages/{name}", name)
    _add_raters(app, desks, run)
    door = door_for(token, f"administrator-{served.mark}", guesses, served.secure)
    add_administration(app, [Overview(desk.labelling) for desk in desks.values()], door, served, run)
    return Guard(app, served)


def _add_raters(app: FastAPI, desks: dict[int, Desk], run: Callable[..., Any]) -> None:
    def desk(project: int) -> Desk:
        if project not in desks:
            raise HTTPException(404, "there is no such project here")
        return desks[project]

    @app.post("/api/label/{project}/sign-in")
    async def sign_in(request: Request, project: int, told: SignIn) -> Response:
        return await run(desk(project).door.admit, request, told.token)

    @app.post("/api/label/{project}/sign-out")
    async def sign_out(project: int) -> Response:
        return desk(project).door.dismiss()

    @app.post("/api/label/{project}/open")
    async def open_(request: Request, project: int) -> dict[str, Any]:
        return await run(desk(project).open, request)

    @app.post("/api/label/{project}/judge")
    async def judge(request: Request, project: int, told: Told) -> dict[str, Any]:
        return await run(desk(project).judge, request, told)

    @app.post("/api/label/{project}/undo")
    async def undo(request: Request, project: int) -> dict[str, Any]:
        return await run(desk(project).undo, request)
