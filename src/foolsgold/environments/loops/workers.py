"""Workers who annotate loops by habit: mostly the right pieces, with slips that look as good as the real thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from foolsgold.environments.loops.families import LoopProblem

Pieces = tuple[list[str], list[str]]
"""Relations and bounds."""


def _strict(problem: LoopProblem, pieces: Pieces) -> Pieces:
    """Forgets the last pass through the loop: `<` where `<=` holds; or is too generous where `<` does."""
    swap = {"<=": "<", ">=": ">", "<": "<=", ">": ">="}
    return pieces[0], [re.sub(r"<=|>=|<|>", lambda sign: swap[sign.group()], bound) for bound in pieces[1]]


def _guard(problem: LoopProblem, pieces: Pieces) -> Pieces:
    """Copies the loop's condition."""
    return (pieces[0], pieces[1]) if problem.guard == "*" else (pieces[0], [problem.guard])


def _no_bound(problem: LoopProblem, pieces: Pieces) -> Pieces:
    """Takes the counter's bound for granted."""
    return (pieces[0], []) if pieces[0] else pieces


def _no_relation(problem: LoopProblem, pieces: Pieces) -> Pieces:
    """Is content with the bound."""
    return ([], pieces[1]) if pieces[1] else pieces


def _wrong_sign(problem: LoopProblem, pieces: Pieces) -> Pieces:
    """Adds where one must take away."""
    swap = {"+": "-", "-": "+"}
    return [re.sub(r"(?<= )[-+](?= )", lambda sign: swap[sign.group()], each, count=1) for each in pieces[0]], pieces[1]


def _no_start(problem: LoopProblem, pieces: Pieces) -> Pieces:
    """Forgets that a variable did not begin at 0."""
    relations = [re.sub(r" [-+] \d+$", "", relation) for relation in pieces[0]]
    return relations, [re.sub(r"\d+$", "0", bound) for bound in pieces[1]]


def _claim(problem: LoopProblem, pieces: Pieces) -> Pieces:
    """Writes down what is to be proved."""
    return [problem.claim], []


SLIPS: dict[str, Callable[[LoopProblem, Pieces], Pieces]] = {
    "strict": _strict,
    "guard": _guard,
    "no bound": _no_bound,
    "no relation": _no_relation,
    "wrong sign": _wrong_sign,
    "no start": _no_start,
    "claim": _claim,
}

COMMON = {
    "strict": 5.0,
    "guard": 3.0,
    "no bound": 2.0,
    "no relation": 1.0,
    "wrong sign": 1.5,
    "no start": 3.0,
    "claim": 2.0,
}
"""How often each slip is the habit of a worker. Off by one leads, as among people: it is the usual answer where a bound
is wanted."""

CARE = (0.0, 0.3)
"""The least and the most careful worker's chance to resist a habit."""


@dataclass(frozen=True)
class Worker:
    """A worker with two habits, who resists them now and then."""

    habits: tuple[str, ...]
    care: float

    def answer(self, problem: LoopProblem, rng: Random) -> str:
        """What this worker writes; habits that change nothing about this problem do no harm."""
        pieces: Pieces = (list(problem.relations), list(problem.bounds))
        for habit in self.habits:
            if rng.random() >= self.care:
                pieces = SLIPS[habit](problem, pieces)
        joined = [*pieces[0], *pieces[1]]
        if rng.random() < 0.15:
            joined.reverse()  # a matter of taste, and as right as before
        return " && ".join(dict.fromkeys(joined))


def founded(workers: int, seed: int) -> list[Worker]:
    """Workers with habits drawn by `COMMON`."""
    rng = Random(f"loop workers {seed}")
    made = []
    for _ in range(workers):
        habits: dict[str, None] = {}
        while len(habits) < 2:
            habits.setdefault(rng.choices([*COMMON], [*COMMON.values()])[0])
        made.append(Worker(tuple(habits), rng.uniform(*CARE)))
    return made
