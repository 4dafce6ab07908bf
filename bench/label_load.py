"""Two hundred raters at once on the labelling page: how long an answer takes, and whether one is ever lost.

    python bench/label_load.py [--raters 200] [--seconds 30] [--think 5] [--pairs 20000]

The server runs in a process of its own, with a store on disk; every rater is a browser's connection over loopback that
signs in by a personal link, looks at a pair for some random time, and answers. An answer is one request: it is on disk,
and the next pair comes back with it. Afterwards every acknowledged answer is looked up in the store. The last line is
one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from foolsgold.labels.labelling import Labelling, Pair, Settings
from foolsgold.labels.store import open_store
from foolsgold.serving.labelling_app import labelling_app
from foolsgold.serving.web_safety import site
from foolsgold.serving.web_server import listen, server
from rounds import machine

ANSWERS = ("left", "right", "tie", "both_bad")


@dataclass(frozen=True)
class Arguments:
    """Labelling under load."""

    raters: int = 200
    seconds: float = 30.0
    """How long they work."""
    think: float = 5.0
    """Mean time a rater looks at a pair, in seconds, exponential; people take longer."""
    pairs: int = 20_000
    """Pairs of the project, three judgements each."""
    store: str | None = None
    """URL of an empty PostgreSQL database in place of a SQLite file of its own."""
    seed: int = 0


@dataclass
class Work:
    """What the raters saw, from all of them."""

    latencies: list[float] = field(default_factory=list)
    """Seconds from sending an answer to its acknowledgement."""
    acknowledged: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Place -> rater, answer."""
    refused: Counter[int] = field(default_factory=Counter)
    """By status."""


def serve(store: str, project: str, ready: Connection) -> None:
    """The server's process; ends with it."""
    with open_store(store) as opened, listen("127.0.0.1", 0) as bound:
        where = site("127.0.0.1", bound.getsockname()[1])
        app = labelling_app([Labelling.open(opened, project)], where, "administrator")
        ready.send(bound.getsockname()[1])
        server(app).run(sockets=[bound])


class Browser:
    """One rater's connection, kept open as browsers keep it."""

    def __init__(self, port: int, project: int):
        self._port = port
        self._project = project
        self._cookie = ""

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def post(self, action: str, **body: Any) -> tuple[int, Any]:
        """Status and what came back."""
        content, host = json.dumps(body).encode(), f"127.0.0.1:{self._port}"
        head = (
            f"POST /api/label/{self._project}/{action} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nCookie: {self._cookie}\r\n\r\n"
        )
        try:
            self._writer.write(head.encode() + content)
            received = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):  # idle for so long that the server hung up
            await self.connect()
            return await self.post(action, **body)
        lines = received.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        answer = await self._reader.readexactly(int(headers.get("content-length", 0)))
        if "set-cookie" in headers:
            self._cookie = headers["set-cookie"].split(";")[0]
        return int(lines[0].split()[1]), json.loads(answer or b"null")


async def rate(browser: Browser, rater: str, token: str, arguments: Arguments, until: float, work: Work) -> None:
    """One rater's work, until the time is over."""
    rng = random.Random(f"{rater} {arguments.seed}")
    await asyncio.sleep(rng.random() * arguments.think)  # they do not arrive in the same instant
    await browser.connect()
    status, _ = await browser.post("sign-in", token=token)
    assert status == 204, status
    _, state = await browser.post("open")
    while time.perf_counter() < until and state["place"] is not None:
        await asyncio.sleep(rng.expovariate(1 / arguments.think))
        place, answer = state["place"]["id"], rng.choice(ANSWERS)
        sent = time.perf_counter()
        status, told = await browser.post("judge", place=place, answer=answer, seconds=arguments.think)
        work.latencies.append(time.perf_counter() - sent)
        if status == 200:
            work.acknowledged[place] = rater, answer
            state = told
        else:
            work.refused[status] += 1
            _, state = await browser.post("open")


async def everybody(port: int, project: int, tokens: dict[str, str], arguments: Arguments) -> Work:
    """All raters at once."""
    work, until = Work(), time.perf_counter() + arguments.seconds
    browsers = {rater: Browser(port, project) for rater in tokens}
    await asyncio.gather(
        *[rate(browsers[rater], rater, token, arguments, until, work) for rater, token in tokens.items()]
    )
    return work


def lost(store: str, project: str, work: Work) -> int:
    """Acknowledged answers that the store does not hold as they were given."""
    kept = {}
    with open_store(store) as opened:
        for judgement in opened.comparisons(project=project, planted=True):
            assert isinstance(judgement.source, dict)
            side = {"a": "left", "b": "right"}.get(judgement.preferred, judgement.preferred)
            if judgement.source["swapped"] and side in ("left", "right"):
                side = "right" if side == "left" else "left"
            kept[judgement.source["place"]] = judgement.rater, side
    return sum(kept.get(place) != told for place, told in work.acknowledged.items())


def run(arguments: Arguments, folder: Path) -> Work:
    """Fill a store, serve it, let everybody work, and stop."""
    place = arguments.store or str(folder / "labels.sqlite")
    with open_store(place) as store:
        labelling = Labelling.create(store, "load", "", "text", arguments.seed, Settings(strength=False))
        labelling.add_pairs(
            Pair(f"Write a poem about {i}.", f"one poem {i}\n" * 4, f"another poem {i}\n" * 4, wanted=3)
            for i in range(arguments.pairs)
        )
        tokens = {f"rater {i:03d}": labelling.invite(f"rater {i:03d}") for i in range(arguments.raters)}
        project = labelling.id
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve, args=(place, "load", there), daemon=True)
    process.start()
    try:
        return asyncio.run(everybody(here.recv(), project, tokens, arguments))
    finally:
        process.kill()  # as a power cut would: what was acknowledged has to be there all the same
        process.join()


def main(arguments: Arguments) -> None:
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as folder:
        work = run(arguments, Path(folder))
        missing = lost(arguments.store or str(Path(folder) / "labels.sqlite"), "load", work)
    times = 1000 * np.array(work.latencies)
    median, tail, slowest = np.percentile(times, [50, 99, 100])
    table = Table("raters", "answers", "a second", "median", "p99", "slowest", "refused", "lost")
    rate_now = len(times) / arguments.seconds
    shown = [f"{len(times):,}", f"{rate_now:.0f}", f"{median:.1f} ms", f"{tail:.1f} ms", f"{slowest:.1f} ms"]
    table.add_row(str(arguments.raters), *shown, str(work.refused.total()), str(missing))
    console.print(table)
    found = {"answers": len(times), "median_ms": round(median, 2), "p99_ms": round(tail, 2), "lost": missing}
    ratios = {"100 ms / p99": round(100 / tail, 2)}
    print(json.dumps({"bench": "label_load", "machine": machine(), **found, "ratios": ratios}), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
