"""The folder of all runs, listed: what each is, whether it is still at work, and what it found."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from foolsgold.audit.verdict import SAID, Verdict
from foolsgold.errors import UserError

State = Literal["running", "waiting", "quiet", "finished"]
STATES: tuple[State, ...] = ("running", "waiting", "quiet", "finished")
QUIET_SECONDS = 300.0
"""A run that is not finished and wrote nothing for so long may have been stopped; nobody can know from its files."""
FRESH_SECONDS = 2.0
"""A listing this old is good enough for whoever asks next."""
MOST_JSON = 8 << 20
"""Bytes of a config or a verdict; larger ones are none of ours."""
REQUESTS, JUDGEMENTS = "to-judge.jsonl", "judgements.jsonl"
"""What an audit asks people about, and what they said on the page."""
_FILES = ("config.json", "verdict.json", "metrics.jsonl", "report.html", REQUESTS)
_AT_WORK = ("checkpoints", "arms", "pieces", "snapshots", "measured", "traces")
"""Folders that a run writes to between lines of metrics."""


class NoSuchRun(LookupError):
    """There is no run of this name."""


@dataclass(frozen=True)
class Card:
    """One run in the list."""

    name: str
    study: str
    created: str
    """ISO 8601, UTC."""
    changed: float
    """When something in the folder was written last, Unix time in seconds."""
    state: State
    answer: str
    """Such as "The claim holds"; empty where there is no verdict."""
    tone: str
    """`holds`, `fails`, `depends`, or empty."""
    sentence: str
    report: bool


@dataclass(frozen=True)
class Listing:
    """A page of the list."""

    cards: list[Card]
    total: int
    """Cards that were asked for, of which `cards` are a part."""
    states: dict[str, int]
    """How many of all runs are in which state."""
    studies: dict[str, int]


@dataclass
class _Read:
    """A file of JSON, read again only when it changes."""

    stamp: tuple[int, int] = (0, 0)
    content: Any = None


@dataclass
class _Known:
    config: _Read = field(default_factory=_Read)
    verdict: _Read = field(default_factory=_Read)


class RunIndex:
    """All runs in a folder, its direct children that hold the `config.json` of a run; safe to ask from several threads.

    Nothing outside `root` is ever read: a run that is a link to another place is not listed.

    Raises:
      UserError: there is no such folder.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.time):
        if not root.is_dir():
            raise UserError(f"there is no folder {root}; name the one that your runs are in, such as --runs runs")
        self.root = root
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._cards: dict[str, Card] = {}
        self._listed = -1e9
        self._lock = threading.Lock()

    def cards(self) -> dict[str, Card]:
        """All runs by name, those at work first, then the newest first."""
        with self._lock:
            if not 0 <= self._clock() - self._listed < FRESH_SECONDS:
                found = [card for name in self._folders() if (card := self._card(name)) is not None]
                found.sort(key=lambda card: card.name)
                found.sort(key=lambda card: card.created, reverse=True)
                found.sort(key=lambda card: min(STATES.index(card.state), STATES.index("quiet")))
                self._known = {card.name: self._known[card.name] for card in found}
                self._cards = {card.name: card for card in found}
                self._listed = self._clock()
            return self._cards

    def page(
        self, words: str = "", states: Sequence[str] = (), study: str = "", start: int = 0, count: int = 50
    ) -> Listing:
        """Runs that match, `count` of them from number `start` on.

        Args:
          words: all of them stand in the run's name, answer or sentence, in either case.
          states: one of these; any where empty.
          study: of this study only, where not empty.
        """
        cards = list(self.cards().values())
        wanted = words.lower().split()
        matching = [
            card
            for card in cards
            if (not states or card.state in states)
            and (not study or card.study == study)
            and all(word in f"{card.name} {card.answer} {card.sentence}".lower() for word in wanted)
        ]
        return Listing(
            matching[start : start + count],
            len(matching),
            dict(Counter(card.state for card in cards)),
            dict(sorted(Counter(card.study for card in cards).items())),
        )

    def card(self, name: str) -> Card:
        """The run `name`.

        Raises:
          NoSuchRun: there is none.
        """
        try:
            return self.cards()[name]
        except KeyError:
            raise NoSuchRun(name) from None

    def folder(self, name: str) -> Path:
        """Where the run `name` lies.

        Raises:
          NoSuchRun: there is none.
        """
        return self.root / self.card(name).name

    def record(self, name: str) -> dict[str, Any]:
        """The run's `config.json`.

        Raises:
          NoSuchRun: there is none.
        """
        return self._of(name).config.content

    def verdict(self, name: str) -> Verdict | None:
        """What the run found, None where it has not yet.

        Raises:
          NoSuchRun: there is none.
        """
        return self._of(name).verdict.content

    def _of(self, name: str) -> _Known:
        self.card(name)
        with self._lock:
            if name not in self._known:
                raise NoSuchRun(name)  # deleted just now
            return self._known[name]

    def _folders(self) -> list[str]:
        with os.scandir(self.root) as entries:
            return [
                each.name for each in entries if not each.name.startswith(".") and each.is_dir(follow_symlinks=False)
            ]

    def _card(self, name: str) -> Card | None:
        folder = self.root / name
        known, parts = self._known.setdefault(name, _Known()), _parts(folder)
        if not _refresh(known.config, parts.get("config.json"), folder / "config.json", _record):
            return None
        _refresh(known.verdict, parts.get("verdict.json"), folder / "verdict.json", _verdict)
        record, verdict = known.config.content, known.verdict.content
        changed = max(part.st_mtime for part in parts.values())
        ended = max((parts[part].st_mtime for part in ("verdict.json", "model") if part in parts), default=0.0)
        now = self._clock()
        if not ended and now - changed > QUIET_SECONDS:
            changed = max(changed, _work(folder))
        if ended:
            # Whoever goes on with a finished run writes metrics again.
            again = "metrics.jsonl" in parts and parts["metrics.jsonl"].st_mtime > ended + 60
            state: State = "running" if again and now - changed <= QUIET_SECONDS else "finished"
        elif REQUESTS in parts:
            state = "waiting"
        else:
            state = "running" if now - changed <= QUIET_SECONDS else "quiet"
        return Card(
            name,
            record["study"],
            str(record.get("created", "")),
            changed,
            state,
            "" if verdict is None else SAID[verdict.answer],
            "" if verdict is None else verdict.answer,
            "" if verdict is None else verdict.sentence,
            "report.html" in parts,
        )


def _parts(folder: Path) -> dict[str, os.stat_result]:
    """Files of a run, links left out, the folder itself and its model by name."""
    try:
        with os.scandir(folder) as entries:
            found = {
                entry.name: entry.stat(follow_symlinks=False)
                for entry in entries
                if (entry.name in _FILES and entry.is_file(follow_symlinks=False)) or entry.name == "model"
            }
        return {".": os.stat(folder), **found}
    except OSError:
        return {}  # gone since


def _refresh(read: _Read, found: os.stat_result | None, path: Path, parse: Callable[[Path], Any]) -> bool:
    """Bring `read` up to date with the file `found`; whether there is something."""
    stamp = (0, 0) if found is None else (found.st_mtime_ns, found.st_size)
    if stamp != read.stamp:
        read.stamp, read.content = stamp, None
        try:
            if found is not None and found.st_size <= MOST_JSON:
                read.content = parse(path)
        except (OSError, ValueError, RecursionError):
            pass  # until it changes
    return read.content is not None


def _record(path: Path) -> dict[str, Any] | None:
    record = json.loads(path.read_text(encoding="utf-8"))
    fits = isinstance(record, dict) and isinstance(record.get("study"), str) and isinstance(record.get("config"), dict)
    return record if fits else None


def _verdict(path: Path) -> Verdict:
    verdict = Verdict.read(path)
    if not all(isinstance(text, str) for text in (verdict.sentence, verdict.claim)):
        raise ValueError("a verdict speaks in words")
    return verdict


def _work(folder: Path) -> float:
    """When a folder that fills between lines of metrics was written to last."""
    latest = 0.0
    for name in _AT_WORK:
        try:
            with os.scandir(folder / name) as entries:
                inner = [each.stat(follow_symlinks=False).st_mtime for each in entries]
            latest = max(latest, os.stat(folder / name).st_mtime, *inner)
        except OSError:
            continue
    return latest
