"""The comparison store at a million comparisons: bulk inserts, reading, and the next pair for a rater.

    python bench/labels.py [--comparisons 1000000] [--rounds 5] [--asks 2000] [--store postgresql://…]

The peer is Python's sqlite3 with the texts in one table: no names by content, nothing found out twice, no tables of
prompts, candidates and raters. Contestants take turns in one run. The last line is one JSON object.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import sqlalchemy as sa
import tyro
from rich.console import Console

from foolsgold.labels import schema
from foolsgold.labels.labelling import Labelling, Pair, Settings
from foolsgold.labels.store import CHUNK, Comparison, ComparisonStore, open_store
from rounds import Measured, machine, print_table, take_turns

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RATERS = 200
WANTED = 2
NOTES = [
    "comparisons: two candidates of 120 characters, four pairs a prompt, two judgements a pair, 200 raters",
    f"both commit {CHUNK:,} at a time in WAL with synchronous = FULL",
    "next pair: with all comparisons stored as a project's, by raters who have judged thousands of them",
]


@dataclass(frozen=True)
class Arguments:
    comparisons: int = 1_000_000
    """Stored in all."""
    rounds: int = 5
    """Parts they are inserted in, in turn with the peer."""
    asks: int = 2000
    """Places asked for and judged."""
    store: str | None = None
    """An empty store to measure, such as postgresql://host/name; else a new SQLite file."""


def text(side: str, pair: int) -> str:
    return (f"candidate {side} of pair {pair}: " + "the quick brown fox jumps over the lazy dog " * 3)[:120]


def comparison(number: int) -> Comparison:
    pair, judgement = divmod(number, WANTED)
    rater = f"rater {(pair * WANTED + judgement) % RATERS:03d}"
    moment = NOON + timedelta(seconds=number)
    return Comparison(f"prompt {pair // 4}", text("a", pair), text("b", pair), "ab"[pair % 2], rater, moment, "bench")


class Filling:
    """Each call makes a part of the comparisons, then inserts it; returns comparisons a second of the insertion."""

    def __init__(self, insert, size: int):
        self._insert, self._size, self._next = insert, size, 0
        self.processor_rates: list[float] = []

    def __call__(self) -> float:
        part = [comparison(i) for i in range(self._next, self._next + self._size)]
        self._next += self._size
        start, processor = time.perf_counter(), time.process_time()
        self._insert(part)
        self.processor_rates.append(self._size / (time.process_time() - processor))
        return self._size / (time.perf_counter() - start)


class Plain:
    """The peer: one table, the driver's executemany."""

    def __init__(self, path: Path):
        self._connection = sqlite3.connect(path)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE comparisons (id INTEGER PRIMARY KEY, prompt TEXT, a TEXT, b TEXT, preferred TEXT, rater TEXT,"
            " created TEXT, source TEXT, seconds REAL)"
        )

    def insert(self, part: list[Comparison]) -> None:
        for start in range(0, len(part), CHUNK):
            rows = [
                (c.prompt, c.a, c.b, c.preferred, c.rater, c.created.isoformat(), json.dumps(c.source), c.seconds)
                for c in part[start : start + CHUNK]
            ]
            with self._connection:
                self._connection.executemany("INSERT INTO comparisons VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def adopt(store: ComparisonStore, comparisons: int, spare: int) -> Labelling:
    """A project in which all comparisons stored were made, and which has `spare` pairs to go."""
    labelling = Labelling.create(store, "bench", "Which is better?", settings=Settings(lease_seconds=3600))

    def pairs() -> Iterator[Pair]:
        for i in range(comparisons // WANTED + spare):
            yield Pair(f"prompt {i // 4}", text("a", i), text("b", i), wanted=WANTED)
        for i in range(200):
            yield Pair("check", f"good {i}", f"bad {i}", known="a")

    labelling.add_pairs(pairs())
    with store.database.writing() as connection:
        for statement in (
            "UPDATE comparisons SET project_id = 1",
            "INSERT INTO places (project_id, pair_id, rater, number, kind, swapped, state, opened, expires,"
            " comparison_id) SELECT 1, p.id, rater, c.id, 'pair', c.id % 2 = 0, 'judged', c.created, 0, c.id"
            " FROM comparisons c JOIN pairs p ON p.project_id = 1 AND p.a_key = c.a_key AND p.b_key = c.b_key",
            f"UPDATE pairs SET taken = wanted WHERE id <= {comparisons // WANTED}",
            "INSERT INTO members (project_id, rater, joined, given) SELECT 1, name, '2026', 100000000 FROM raters",
        ):
            connection.execute(sa.text(statement))
    with store.database.writing() as connection:
        connection.execute(sa.text("ANALYZE"))
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.places)) == comparisons
    return labelling


def label(labelling: Labelling, asks: int) -> dict[str, np.ndarray]:
    """Milliseconds each call took by the clock and of the processor, `[asks, 2]`, raters in turn."""
    taken: dict[str, list[tuple[float, float]]] = {"next pair": [], "judge": [], "progress": []}

    def timed(name: str, call, *arguments):
        start, processor = time.perf_counter(), time.process_time()
        found = call(*arguments)
        taken[name].append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - processor)))
        return found

    for i in range(asks):
        rater = f"rater {i % RATERS:03d}"
        place = timed("next pair", labelling.next_place, rater)
        timed("judge", labelling.judge, place.id, rater, "a", 2, 3.0)
        timed("progress", labelling.progress, rater)
    return {name: np.array(values) for name, values in taken.items()}


def main(arguments: Arguments) -> None:
    console = Console(width=120)
    with TemporaryDirectory() as folder:
        store = open_store(arguments.store or Path(folder) / "store.sqlite")
        size = arguments.comparisons // arguments.rounds
        contestants = {
            "foolsgold": Filling(store.add_many, size),
            "sqlite3": Filling(Plain(Path(folder) / "plain.sqlite").insert, size),
        }
        rates = take_turns(contestants, arguments.rounds)
        start = time.perf_counter()
        assert sum(1 for _ in store.comparisons(limit=100_000)) == min(100_000, len(store))
        reading = Measured([min(100_000, len(store)) / (time.perf_counter() - start)], "comparisons/s")
        milliseconds = label(adopt(store, size * arguments.rounds, arguments.asks), arguments.asks)
    slower = rates["sqlite3"].over(rates["foolsgold"])
    rows: list[tuple[str, ...]] = [
        ("bulk insert", "foolsgold", str(rates["foolsgold"]), "", ""),
        ("", "sqlite3, one table", str(rates["sqlite3"]), str(rates["foolsgold"].over(rates["sqlite3"])), ""),
        ("reading", "foolsgold", str(reading), "", ""),
    ]
    print_table(console, f"{size * arguments.rounds:,} comparisons", rows, NOTES, "comparisons/s")
    for what, filling in contestants.items():
        console.print(f"{what}: {np.median(filling.processor_rates):,.0f} a second of the processor's time")
    percentiles = {name: np.percentile(values, [50, 99, 100], axis=0) for name, values in milliseconds.items()}
    for name, ((half, own_half), (most, own_most), (worst, _)) in percentiles.items():
        console.print(
            f"{name}: median {half:.1f} ms, 99 % within {most:.1f} ms, the worst {worst:.0f} ms; "
            f"of the processor's time {own_half:.1f} and {own_most:.1f} ms"
        )
    result = {
        "bench": "labels",
        "machine": machine(),
        "ratios": {"sqlite3_executemany_over_store": slower.median},
        "inserted_a_second": rates["foolsgold"].rates,
        "inserted_a_processor_second": contestants["foolsgold"].processor_rates,
        "milliseconds_p50_p99_max": {name: values[:, 0].tolist() for name, values in percentiles.items()},
        "processor_milliseconds_p50_p99_max": {name: values[:, 1].tolist() for name, values in percentiles.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
