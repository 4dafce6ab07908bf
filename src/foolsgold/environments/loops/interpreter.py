"""Runs of programs on plain integers: the truth that does not pass through a solver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from foolsgold.environments.loops.language import Assert, Assign, Assume, Block, If, Program, Statement
from foolsgold.environments.loops.terms import Apply, Constant, Sort, State, Term, Variable, compiled, parts_of, walk

Step = Callable[[dict[str, int]], None]


@dataclass(frozen=True)
class Visit:
    """A run that stands at the head of a loop, about to test its condition."""

    loop: int
    """Counted from 0 in the order in which loops begin."""
    state: dict[str, int]


@dataclass(frozen=True)
class Trace:
    """One run."""

    visits: tuple[Visit, ...]
    end: Literal["ended", "blocked", "long", "failed"]
    """blocked: an assumption was false. long: it had more steps than it may. failed: an assertion was false."""
    state: dict[str, int]
    """Where it ended."""


class _Ended(Exception):
    def __init__(self, end: Literal["blocked", "long", "failed"]):
        self.end = end


class Interpreter:
    """Runs one program again and again; assignments and tests are made into functions once."""

    def __init__(self, program: Program, choose: Callable[[Sort], int], max_steps: int = 400):
        """
        Args:
          choose: what each choice comes to.
          max_steps: passes through loops in one run.
        """
        self.variables = program.variables
        self.max_steps = max_steps
        self._choose = choose
        self._visits: list[Visit] = []
        self._loops = 0
        self._steps = 0
        self._run = self._block(program.body)

    def run(self, start: State) -> Trace:
        """A run from `start`, which has a value for every variable."""
        state = dict(start)
        self._visits, self._steps = [], 0
        try:
            self._run(state)
            end: Literal["ended", "blocked", "long", "failed"] = "ended"
        except _Ended as ended:
            end = ended.end
        return Trace(tuple(self._visits), end, state)

    def _block(self, block: Block) -> Step:
        steps = [self._statement(statement) for statement in block]

        def run(state: dict[str, int]) -> None:
            for step in steps:
                step(state)

        return run

    def _statement(self, statement: Statement) -> Step:
        if isinstance(statement, Assign):
            value, name = compiled(statement.value, self._choose), statement.variable

            def assign(state: dict[str, int]) -> None:
                state[name] = value(state)

            return assign
        test = compiled(statement.condition, self._choose)
        if isinstance(statement, (Assume, Assert)):
            return _claim(test, "blocked" if isinstance(statement, Assume) else "failed")
        if isinstance(statement, If):
            then, otherwise = self._block(statement.then), self._block(statement.otherwise)
            return lambda state: then(state) if test(state) else otherwise(state)
        return self._loop(test, statement.body)

    def _loop(self, test: Callable[[State], int], block: Block) -> Step:
        number, self._loops = self._loops, self._loops + 1
        body = self._block(block)

        def loop(state: dict[str, int]) -> None:
            self._visits.append(Visit(number, dict(state)))
            while test(state):
                self._steps += 1
                if self._steps > self.max_steps:
                    raise _Ended("long")
                body(state)
                self._visits.append(Visit(number, dict(state)))

        return loop


def _claim(test: Callable[[State], int], end: Literal["blocked", "failed"]) -> Step:
    def claim(state: dict[str, int]) -> None:
        if not test(state):
            raise _Ended(end)

    return claim


def random_traces(program: Program, runs: int, seed: int, max_steps: int = 60) -> list[Trace]:
    """Runs from random starts with random choices, the blocked ones among them left out.

    Starts are drawn from small numbers and those of the program's text, and such as fulfil the equations at the
    program's beginning, so that few runs are blocked. There may be fewer than `runs`: at most ten times as many are
    begun.
    """
    rng = Random(seed)
    numbers = sorted(numbers_near(*(condition for condition in _conditions(program.body))))

    def choose(sort: Sort) -> int:
        return rng.random() < 0.5 if sort == "Bool" else _number(rng, numbers)

    interpreter = Interpreter(program, choose, max_steps)
    equations = [
        part
        for statement in program.body
        if isinstance(statement, Assume)
        for part in parts_of(statement.condition)
        if isinstance(part, Apply) and part.operator == "=="
    ]
    traces: list[Trace] = []
    for _ in range(10 * runs):
        start = {name: _number(rng, numbers) for name in program.variables}
        for equation in equations:
            left, right = equation.arguments
            if isinstance(left, Variable):
                start[left.name] = compiled(right)(start)
        trace = interpreter.run(start)
        if trace.end != "blocked" or trace.visits:
            traces.append(trace)
        if len(traces) == runs:
            break
    return traces


def numbers_near(*terms: Term) -> set[int]:
    """Numbers that occur in `terms`, their neighbours and opposites, and 0 to 2."""
    found = {0, 1, 2}
    for term in terms:
        for part in walk(term):
            if isinstance(part, Constant) and part.sort == "Int":
                found.update((part.value - 1, part.value, part.value + 1, -part.value))
    return found


def _number(rng: Random, numbers: list[int]) -> int:
    return rng.choice(numbers) if rng.random() < 0.3 else rng.randint(-3, 12)


def _conditions(block: Block) -> Iterator[Term]:
    for statement in block:
        if isinstance(statement, Assign):
            yield statement.value
            continue
        yield statement.condition
        if isinstance(statement, If):
            yield from _conditions(statement.then)
            yield from _conditions(statement.otherwise)
        elif not isinstance(statement, (Assume, Assert)):
            yield from _conditions(statement.body)
