"""Families of short loop programs that want an invariant, each with one that proves it.

A family is a structure; names, numbers, the order of independent statements and a bystander that has nothing to do with
the claim are drawn at random. Families of the test split are structures that the train split never shows, made of the
same parts: what counts up there counts down here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

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


@dataclass(frozen=True)
class _Names:
    """Variables of a program: three counters, a bound, a bystander."""

    x: str
    y: str
    z: str
    n: str
    t: str


def _names(rng: Random) -> _Names:
    x, y, z = rng.sample(("x", "y", "z", "i", "j", "s"), 3)
    n, t = rng.sample(("n", "m", "k"), 2)
    return _Names(x, y, z, n, t)


def _problem(
    rng: Random,
    names: _Names,
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


def plus(term: str, number: int) -> str:
    """`x + 3`, `x - 3`, `x`."""
    return f"{term} {'+' if number > 0 else '-'} {abs(number)}" if number else term


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


def _conserved(rng: Random) -> LoopProblem:
    v, start = _names(rng), rng.choice((0, 0, rng.randint(1, 9)))
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = 0;", f"{v.y} = {plus(v.n, start)};"], guard=f"{v.x} < {v.n}",
        body=[f"{v.x}++;", f"{v.y}--;"], claim=f"{v.y} == {start}",
        relations=(f"{v.x} + {v.y} == {plus(v.n, start)}",), bounds=(f"{v.x} <= {v.n}",),
    )  # fmt: skip


def _scaled(rng: Random) -> LoopProblem:
    v, factor, start = _names(rng), rng.randint(2, 6), rng.choice((0, 0, rng.randint(1, 9)))
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = 0;", f"{v.y} = {start};"], guard=f"{v.x} < {v.n}",
        body=[f"{v.x}++;", f"{v.y} += {factor};"], claim=f"{v.y} == {plus(f'{factor} * {v.n}', start)}",
        relations=(f"{v.y} == {plus(f'{factor} * {v.x}', start)}",), bounds=(f"{v.x} <= {v.n}",),
    )  # fmt: skip


def _stepped(rng: Random) -> LoopProblem:
    v, step = _names(rng), rng.randint(2, 6)
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = 0;"], guard=f"{v.x} < {v.n}", body=[f"{v.x} += {step};"],
        claim=f"{v.x} < {v.n} + {step}", bounds=(f"{v.x} < {v.n} + {step}",),
    )  # fmt: skip


def _side_by_side(rng: Random) -> LoopProblem:
    v, apart = _names(rng), rng.randint(1, 9)
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = 0;", f"{v.y} = {apart};"], guard=f"{v.x} < {v.n}",
        body=[f"{v.x}++;", f"{v.y}++;"], claim=f"{v.y} == {v.n} + {apart}",
        relations=(f"{v.y} == {v.x} + {apart}",), bounds=(f"{v.x} <= {v.n}",),
    )  # fmt: skip


def _any_exit(rng: Random) -> LoopProblem:
    v, factor, start = _names(rng), rng.randint(2, 6), rng.choice((0, rng.randint(1, 9)))
    relation = f"{v.y} == {plus(f'{factor} * {v.x}', start)}"
    claim = rng.choice((relation, f"{v.y} - {factor} * {v.x} == {start}"))
    return _problem(
        rng, v, first=[f"{v.x} = 0;", f"{v.y} = {start};"], guard="*",
        body=[f"{v.x}++;", f"{v.y} += {factor};"], claim=claim, relations=(relation,),
    )  # fmt: skip


def _sometimes(rng: Random) -> LoopProblem:
    v = _names(rng)
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = 0;", f"{v.y} = 0;"], guard=f"{v.x} < {v.n}",
        body=[f"{v.x}++;", f"if (*) {v.y}++;"], claim=f"{v.y} <= {v.n}",
        relations=(f"{v.y} <= {v.x}",), bounds=(f"{v.x} <= {v.n}",),
    )  # fmt: skip


def _either_step(rng: Random) -> LoopProblem:
    v, low = _names(rng), rng.randint(1, 3)
    high = low + rng.randint(1, 3)
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = 0;", f"{v.y} = 0;"], guard=f"{v.x} < {v.n}",
        body=[f"{v.x}++;", f"if (*) {v.y} += {low}; else {v.y} += {high};"], claim=f"{v.y} <= {high} * {v.n}",
        relations=(f"{v.y} <= {high} * {v.x}",), bounds=(f"{v.x} <= {v.n}",),
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


def _conserved_down(rng: Random) -> LoopProblem:
    v, start = _names(rng), rng.choice((0, 0, rng.randint(1, 9)))
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = {v.n};", f"{v.y} = {start};"], guard=f"{v.x} > 0",
        body=[f"{v.x}--;", f"{v.y}++;"], claim=f"{v.y} == {plus(v.n, start)}",
        relations=(f"{v.x} + {v.y} == {plus(v.n, start)}",), bounds=(f"{v.x} >= 0",),
    )  # fmt: skip


def _scaled_down(rng: Random) -> LoopProblem:
    v, factor = _names(rng), rng.randint(2, 6)
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = {v.n};", f"{v.y} = {factor} * {v.n};"], guard=f"{v.x} > 0",
        body=[f"{v.x}--;", f"{v.y} -= {factor};"], claim=f"{v.y} == 0",
        relations=(f"{v.y} == {factor} * {v.x}",), bounds=(f"{v.x} >= 0",),
    )  # fmt: skip


def _shared_out(rng: Random) -> LoopProblem:
    v = _names(rng)
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = 0;", f"{v.y} = 0;", f"{v.z} = 0;"], guard=f"{v.z} < {v.n}",
        body=[f"{v.z}++;", f"if (*) {v.x}++; else {v.y}++;"], claim=f"{v.x} + {v.y} == {v.n}",
        relations=(f"{v.x} + {v.y} == {v.z}",), bounds=(f"{v.z} <= {v.n}",),
    )  # fmt: skip


def _together(rng: Random) -> LoopProblem:
    v, apart = _names(rng), rng.randint(1, 9)
    return _problem(
        rng, v, first=[f"{v.x} = 0;", f"{v.y} = {apart};"], guard="*",
        body=[f"if (*) {{ {v.x}++; {v.y}++; }} else {{ {v.x}--; {v.y}--; }}"], claim=f"{v.y} - {v.x} == {apart}",
        relations=(f"{v.y} == {v.x} + {apart}",),
    )  # fmt: skip


def _minimum(rng: Random) -> LoopProblem:
    v, start = _names(rng), rng.randint(0, 9)
    return _problem(
        rng, v, first=[f"{v.x} = {start};"], guard="*", body=[f"{v.y} = *;", f"if ({v.y} < {v.x}) {v.x} = {v.y};"],
        claim=f"{v.x} <= {start}", bounds=(f"{v.x} <= {start}",), in_order=True,
    )  # fmt: skip


def _sometimes_more(rng: Random) -> LoopProblem:
    v, factor, start = _names(rng), rng.randint(2, 6), rng.choice((0, rng.randint(1, 9)))
    return _problem(
        rng, v, assume=f"{v.n} >= 0", first=[f"{v.x} = {v.n};", f"{v.y} = {start};"], guard=f"{v.x} > 0",
        body=[f"{v.x}--;", f"if (*) {v.y} += {factor};"], claim=f"{v.y} >= {start}",
        relations=(f"{v.y} >= {start}",),
    )  # fmt: skip


TRAIN: dict[str, Callable[[Random], LoopProblem]] = {
    "count up": _count_up,
    "count down": _count_down,
    "conserved sum": _conserved,
    "scaled": _scaled,
    "stepped": _stepped,
    "side by side": _side_by_side,
    "any exit": _any_exit,
    "sometimes": _sometimes,
    "either step": _either_step,
    "maximum": _maximum,
    "even": _even,
}
TEST: dict[str, Callable[[Random], LoopProblem]] = {
    "conserved sum, down": _conserved_down,
    "scaled, down": _scaled_down,
    "shared out": _shared_out,
    "together": _together,
    "minimum": _minimum,
    "sometimes, down": _sometimes_more,
}
FAMILIES: dict[Split, dict[str, Callable[[Random], LoopProblem]]] = {"train": TRAIN, "test": TEST}
