"""Families of short loop programs that want an invariant, each with one that proves it.

A family is a structure: a way to count and what goes on beside it, or a loop of its own. Names, numbers, the order of
independent statements and a bystander that has nothing to do with the claim are drawn at random. The train split shows
every way to count and every companion, but not each with each: the test split has the pairs that are left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from foolsgold.environments.loops.companions import COMPANIONS, Direction, Names
from foolsgold.environments.problems import Split


@dataclass(frozen=True)
class LoopProblem:
    """A program, and an invariant in pieces, as people think of it."""

    program: str
    relations: tuple[str, ...]
    """What the variables always have to do with each other."""
    bounds: tuple[str, ...]
    """How far the counter goes; empty where the claim needs none."""
    guard: str
    """The loop's condition."""
    claim: str
    """What is asserted."""
    grade: int
    """Pieces of the invariant, and one more for a choice within the loop."""

    @property
    def answer(self) -> str:
        """The invariant."""
        return " && ".join([*self.relations, *self.bounds])


def _names(rng: Random) -> Names:
    """A name tells the part that it plays, as people's do."""
    return Names(*(rng.choice(names) for names in (("x", "i"), ("y", "s"), ("z", "j"), ("n", "m"), ("k", "t"))))


def _problem(
    rng: Random,
    names: Names,
    *,
    first: list[str],
    guard: str,
    body: list[str],
    claim: str,
    assume: str = "",
    relations: tuple[str, ...] = (),
    bounds: tuple[str, ...] = (),
    in_order: bool = False,
) -> LoopProblem:
    """
    Args:
      in_order: whether the body's statements depend on each other's order.
    """
    first, body = list(first), list(body)
    choices = sum("if" in line for line in body)
    if rng.random() < 0.25:
        bystander = rng.choice([f"{names.t}++;", f"{names.t} = *;", f"{names.t} -= {rng.randint(2, 9)};"])
        first.append(f"{names.t} = {rng.randint(0, 9)};")
        body.append(bystander)
    if not in_order:
        rng.shuffle(body)
    if not any(name in line.split("=")[1] for line in first for name in (names.x, names.y)):
        rng.shuffle(first)
    lines = [f"assume({assume});"] if assume else []
    lines += [*first, f"while ({guard}) {{", *(f"  {line}" for line in body), "}", f"assert({claim});"]
    grade = len(relations) + len(bounds) + bool(choices)
    return LoopProblem("\n".join(lines), relations, bounds, guard, claim, grade)


def _count_up(rng: Random) -> LoopProblem:
    v, start = _names(rng), rng.randint(0, 5)
    return _problem(
        rng, v, assume=f"{v.n} >= {start + rng.randint(0, 4)}", first=[f"{v.x} = {start};"], guard=f"{v.x} < {v.n}",
        body=[f"{v.x}++;"], claim=f"{v.x} == {v.n}", bounds=(f"{v.x} <= {v.n}",),
    )  # fmt: skip


def _count_down(rng: Random) -> LoopProblem:
    v, end = _names(rng), rng.randint(0, 5)
    return _problem(
        rng, v, assume=f"{v.n} >= {end + rng.randint(0, 4)}", first=[f"{v.x} = {v.n};"], guard=f"{v.x} > {end}",
        body=[f"{v.x}--;"], claim=f"{v.x} == {end}", bounds=(f"{v.x} >= {end}",),
    )  # fmt: skip


def _stepped(rng: Random) -> LoopProblem:
    v, step = _names(rng), rng.randint(2, 6)
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = 0;"], guard=f"{v.x} < {v.n}", body=[f"{v.x} += {step};"],
        claim=f"{v.x} < {v.n} + {step}", bounds=(f"{v.x} < {v.n} + {step}",),
    )  # fmt: skip


def _maximum(rng: Random) -> LoopProblem:
    v, start = _names(rng), rng.randint(0, 9)
    return _problem(
        rng, v, first=[f"{v.x} = {start};"], guard="*", body=[f"{v.y} = *;", f"if ({v.y} > {v.x}) {v.x} = {v.y};"],
        claim=f"{v.x} >= {start}", bounds=(f"{v.x} >= {start}",), in_order=True,
    )  # fmt: skip


def _even(rng: Random) -> LoopProblem:
    v, step = _names(rng), rng.choice((2, 4, 6, 8))
    start = rng.choice((0, 2, 4))
    return _problem(
        rng, v, first=[f"{v.x} = {start};"], guard="*", body=[f"{v.x} += {step};"], claim=f"{v.x} % 2 == 0",
        relations=(f"{v.x} % 2 == 0",),
    )  # fmt: skip


def _minimum(rng: Random) -> LoopProblem:
    v, start = _names(rng), rng.randint(0, 9)
    return _problem(
        rng, v, first=[f"{v.x} = {start};"], guard="*", body=[f"{v.y} = *;", f"if ({v.y} < {v.x}) {v.x} = {v.y};"],
        claim=f"{v.x} <= {start}", bounds=(f"{v.x} <= {start}",), in_order=True,
    )  # fmt: skip


def _stepped_down(rng: Random) -> LoopProblem:
    v, step = _names(rng), rng.randint(2, 6)
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = {v.n};"], guard=f"{v.x} > 0", body=[f"{v.x} -= {step};"],
        claim=f"{v.x} + {step} > 0", bounds=(f"{v.x} + {step} > 0",),
    )  # fmt: skip


@dataclass(frozen=True)
class _Way:
    """A way to count; `x` and `n` stand for the counter and its bound."""

    direction: Direction
    first: str
    guard: str
    step: str
    bound: str = ""
    """That the claim needs."""
    assume: str = ""


_WAYS = {
    "up": _Way("up", "x = 0;", "x < n", "x++;", "x <= n", "n >= 0"),
    "up to": _Way("up", "x = 0;", "x != n", "x++;"),
    "down": _Way("down", "x = n;", "x > 0", "x--;", "x >= 0", "n >= 0"),
    "down to": _Way("down", "x = n;", "x != 0", "x--;"),
    "open": _Way("open", "x = 0;", "*", "x++;"),
}


def _accompanied(name: str, way: str, rng: Random) -> LoopProblem:
    """A counter and a companion."""
    v, counting = _names(rng), _WAYS[way]
    beside = COMPANIONS[name](rng, v, counting.direction)
    named = {"x": v.x, "n": v.n}
    first, guard, step, bound, assume = (
        re.sub("[xn]", lambda part: named[part.group()], text)
        for text in (counting.first, counting.guard, counting.step, counting.bound, counting.assume)
    )
    return _problem(
        rng, v, assume=assume, first=[first, *beside.first], guard=guard, body=[step, *beside.body],
        claim=beside.claim, relations=(beside.relation,), bounds=(bound,) if bound else (),
    )  # fmt: skip


HELD_OUT = {
    "conserved sum": "open",
    "scaled": "down",
    "side by side": "up to",
    "sometimes": "up",
    "either step": "down to",
    "shared out": "up",
}
"""The way to count that the train split never shows with a companion."""

Family = Callable[[Random], LoopProblem]
_PAIRS: dict[tuple[str, str], Family] = {
    (name, way): partial(_accompanied, name, way) for name in COMPANIONS for way in _WAYS
}
TRAIN: dict[str, Family] = {
    "count up": _count_up,
    "count down": _count_down,
    "stepped": _stepped,
    "stepped down": _stepped_down,
    "maximum": _maximum,
    "minimum": _minimum,
    "even": _even,
    **{f"{name}, {way}": pair for (name, way), pair in _PAIRS.items() if HELD_OUT[name] != way},
}
TEST: dict[str, Family] = {f"{name}, {way}": pair for (name, way), pair in _PAIRS.items() if HELD_OUT[name] == way}
FAMILIES: dict[Split, dict[str, Family]] = {"train": TRAIN, "test": TEST}
