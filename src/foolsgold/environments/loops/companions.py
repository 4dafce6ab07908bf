"""What a loop does beside counting: six companions of a counter, each on five ways to count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

Direction = Literal["up", "down", "open"]
"""up: from 0 to n. down: from n to 0. open: from 0 as far as it pleases."""


@dataclass(frozen=True)
class Names:
    """Variables of a program: a counter, two companions, a bound, a bystander."""

    x: str
    y: str
    z: str
    n: str
    t: str


@dataclass(frozen=True)
class Companion:
    """Statements beside a counter's own, and what is true of them."""

    first: list[str]
    body: list[str]
    relation: str
    """Holds at the head of the loop."""
    claim: str
    """Follows behind the loop."""


def plus(term: str, number: int) -> str:
    """`x + 3`, `x - 3`, `x`."""
    return f"{term} {'+' if number > 0 else '-'} {abs(number)}" if number else term


def _conserved(rng: Random, v: Names, way: Direction) -> Companion:
    """What one loses the other gets."""
    start = rng.choice((0, 0, rng.randint(1, 9)))
    whole = plus(v.n, start) if way != "open" else f"{start}"
    relation = f"{v.x} + {v.y} == {whole}"
    if way == "down":
        return Companion([f"{v.y} = {start};"], [f"{v.y}++;"], relation, f"{v.y} == {whole}")
    claim = f"{v.y} == {start}" if way == "up" else rng.choice((relation, f"{v.y} == {start} - {v.x}"))
    return Companion([f"{v.y} = {whole};"], [f"{v.y}--;"], relation, claim)


def _scaled(rng: Random, v: Names, way: Direction) -> Companion:
    """So many times the counter."""
    factor, start = rng.randint(2, 6), rng.choice((0, 0, rng.randint(1, 9)))
    relation, whole = f"{v.y} == {plus(f'{factor} * {v.x}', start)}", plus(f"{factor} * {v.n}", start)
    if way == "down":
        return Companion([f"{v.y} = {whole};"], [f"{v.y} -= {factor};"], relation, f"{v.y} == {start}")
    claim = f"{v.y} == {whole}" if way == "up" else rng.choice((relation, f"{v.y} - {factor} * {v.x} == {start}"))
    return Companion([f"{v.y} = {start};"], [f"{v.y} += {factor};"], relation, claim)


def _side_by_side(rng: Random, v: Names, way: Direction) -> Companion:
    """As fast as the counter."""
    apart = rng.randint(1, 9)
    relation = f"{v.y} == {v.x} + {apart}"
    if way == "down":
        return Companion([f"{v.y} = {v.n} + {apart};"], [f"{v.y}--;"], relation, f"{v.y} == {apart}")
    claim = f"{v.y} == {v.n} + {apart}" if way == "up" else rng.choice((relation, f"{v.y} - {v.x} == {apart}"))
    return Companion([f"{v.y} = {apart};"], [f"{v.y}++;"], relation, claim)


def _sometimes(rng: Random, v: Names, way: Direction) -> Companion:
    """As fast as the counter at most."""
    if way == "down":
        return Companion([f"{v.y} = {v.n};"], [f"if (*) {v.y}--;"], f"{v.y} >= {v.x}", f"{v.y} >= 0")
    relation = f"{v.y} <= {v.x}"
    return Companion([f"{v.y} = 0;"], [f"if (*) {v.y}++;"], relation, f"{v.y} <= {v.n}" if way == "up" else relation)


def _either_step(rng: Random, v: Names, way: Direction) -> Companion:
    """One of two steps."""
    low = rng.randint(1, 3)
    high = low + rng.randint(1, 3)
    if way == "down":
        steps = f"if (*) {v.y} -= {low}; else {v.y} -= {high};"
        return Companion([f"{v.y} = {high} * {v.n};"], [steps], f"{v.y} >= {high} * {v.x}", f"{v.y} >= 0")
    steps, relation = f"if (*) {v.y} += {low}; else {v.y} += {high};", f"{v.y} <= {high} * {v.x}"
    return Companion([f"{v.y} = 0;"], [steps], relation, f"{v.y} <= {high} * {v.n}" if way == "up" else relation)


def _shared_out(rng: Random, v: Names, way: Direction) -> Companion:
    """Each pass goes to one of two."""
    relation = f"{v.y} + {v.z} == {v.x}" if way != "down" else f"{v.x} + {v.y} + {v.z} == {v.n}"
    claim = relation if way == "open" else f"{v.y} + {v.z} == {v.n}"
    return Companion([f"{v.y} = 0;", f"{v.z} = 0;"], [f"if (*) {v.y}++; else {v.z}++;"], relation, claim)


COMPANIONS: dict[str, Callable[[Random, Names, Direction], Companion]] = {
    "conserved sum": _conserved,
    "scaled": _scaled,
    "side by side": _side_by_side,
    "sometimes": _sometimes,
    "either step": _either_step,
    "shared out": _shared_out,
}
