"""Programs to annotate, in either format: how an answer is read, what it must fulfil, and what plain runs say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

from foolsgold.environments.loops.answers import read_problem_answer, read_program_answer
from foolsgold.environments.loops.conditions import Condition, program_conditions
from foolsgold.environments.loops.interpreter import Trace, random_traces
from foolsgold.environments.loops.language import Program, read_program
from foolsgold.environments.loops.smtlib import write_term
from foolsgold.environments.loops.sygus import (
    PRIME,
    InvariantProblem,
    problem_conditions,
    read_problem,
)
from foolsgold.environments.loops.syntax import show
from foolsgold.environments.loops.terms import Choice, State, Term, Variable, compiled, evaluate, replaced, variables_of
from foolsgold.errors import UserError

RUNS = 40
"""Of a program, begun from random states."""


class LoopTask(Protocol):
    """A program that wants invariants."""

    def read(self, completion: str) -> list[Term]:
        """The answer's invariants, one a loop.

        Raises:
          SyntaxFault: it cannot be read.
          ChangedProgram: it changes the program.
        """
        ...

    def conditions(self, invariants: Sequence[Term]) -> list[Condition]:
        """What must hold for them to prove the program."""
        ...

    def refuted(self, invariants: Sequence[Term]) -> str:
        """A plain run in which an invariant or an assertion is false, in one line; empty where none was found."""
        ...

    def shown(self, invariants: Sequence[Term]) -> list[str]:
        """As text."""
        ...

    @property
    def states(self) -> int:
        """How many states of plain runs `refuted` looks at."""
        ...


@dataclass(frozen=True)
class ProgramTask:
    """A program in the small language."""

    program: Program

    def read(self, completion: str) -> list[Term]:
        return read_program_answer(completion, self.program)

    def conditions(self, invariants: Sequence[Term]) -> list[Condition]:
        return program_conditions(self.program.annotated(invariants))

    def shown(self, invariants: Sequence[Term]) -> list[str]:
        return [show(invariant) for invariant in invariants]

    @cached_property
    def traces(self) -> list[Trace]:
        """Random runs of the program."""
        return random_traces(self.program, RUNS, seed=0)

    @property
    def states(self) -> int:
        return sum(len(trace.visits) for trace in self.traces)

    def refuted(self, invariants: Sequence[Term]) -> str:
        return refuted_by(invariants, self.traces)


def refuted_by(invariants: Sequence[Term], traces: Sequence[Trace]) -> str:
    """A state of plain runs in which an invariant, or the assertion, is false, in one line; empty where there is none.

    Args:
      invariants: one a loop.
      traces: runs of the program.
    """
    holds = [compiled(invariant) for invariant in invariants]
    for trace in traces:
        for visit in trace.visits:
            if not holds[visit.loop](visit.state):
                return f"a run comes to {state_text(visit.state)}: invariant does not hold"
        if trace.end == "failed":
            return f"a run comes to {state_text(trace.state)}: assertion does not hold"
    return ""


@dataclass(frozen=True)
class SygusTask:
    """A transition system in the SyGuS-inv format.

    There is no program to run: z3 proposes states that follow each other, and evaluation tells whether they do.
    """

    problem: InvariantProblem

    def read(self, completion: str) -> list[Term]:
        return [read_problem_answer(completion, self.problem)]

    def conditions(self, invariants: Sequence[Term]) -> list[Condition]:
        return problem_conditions(self.problem, invariants[0])

    def shown(self, invariants: Sequence[Term]) -> list[str]:
        return [write_term(invariant) for invariant in invariants]

    @cached_property
    def reached(self) -> list[dict[str, int]]:
        """Some states that are reached."""
        return reached_states(self.problem)

    @property
    def states(self) -> int:
        return len(self.reached)

    def refuted(self, invariants: Sequence[Term]) -> str:
        for state in self.reached:
            if _is_false(invariants[0], state):
                return f"the system comes to {state_text(state)}: invariant does not hold"
            if _is_false(self.problem.post, state):
                return f"the system comes to {state_text(state)}: the property does not hold"
        return ""


def _is_false(term: Term, state: State) -> bool:
    try:
        return not evaluate(term, state)
    except ZeroDivisionError:
        return False  # of a division by 0 nothing can be said


def reached_states(problem: InvariantProblem, steps: int = 3) -> list[dict[str, int]]:
    """States on runs of 0 to `steps` steps, one run a length, each step checked by evaluation."""
    from foolsgold.rewards.verifiers.annotations_workers import Effort
    from foolsgold.rewards.verifiers.annotations_z3 import solution

    def at(term: Term, step: int) -> Term:
        """`term` of the state after `step` steps; inputs of each step are their own."""

        def named(part: Variable | Choice) -> Term:
            if isinstance(part, Choice):
                return part
            stem = part.name.removesuffix(PRIME)
            return Variable(f"{stem}@{step + (stem != part.name)}" if stem in sorts else f"{stem}@{step}", part.sort)

        return replaced(term, named)

    sorts = problem.sorts
    names = {**sorts, **variables_of(problem.post)}
    terms = [at(problem.pre, 0)]
    states: list[dict[str, int]] = []
    for step in range(steps + 1):
        found, values = solution(terms, Effort(200_000, 1_000))
        if found != "found" or not all(evaluate(term, values) for term in terms):
            break
        for i in range(step + 1):
            states.append({name: values.get(f"{name}@{i}", 0) for name in names})
        terms.append(at(problem.trans, step))
    return states


@lru_cache(maxsize=4_096)
def task_of(text: str) -> LoopTask:
    """The task that a `program` column says, in whichever format.

    Raises:
      UserError: it can be read in neither, or has no loop.
    """
    if text.lstrip().startswith(("(", ";")):
        return SygusTask(read_problem(text))
    program = read_program(text)
    if not program.loops:
        raise UserError("the program has no loop; an invariant has nothing to prove there")
    return ProgramTask(program.bare)


def state_text(state: State, at_most: int = 8) -> str:
    """`x=1, y=2`: values of a state's first variables."""
    shown = ", ".join(f"{name}={str(value).lower()}" for name, value in list(state.items())[:at_most])
    return shown + (", ..." if len(state) > at_most else "")


def counterexample(condition: Condition, values: State) -> str:
    """Why a condition is violated, in one line: what its counterexample means for the program."""
    # Variables that the condition does not mention may be anything.
    ends = [*condition.before.values(), *condition.after.values()]
    given = {**dict.fromkeys(variables_of(*ends), 0), **values}
    before = state_text({name: evaluate(term, given) for name, term in condition.before.items()})
    after = state_text({name: evaluate(term, given) for name, term in condition.after.items()})
    if condition.kind == "initiation":
        return f"at first {after}: invariant does not hold"
    if condition.kind == "consecution":
        return f"after {before} the loop gives {after}: invariant no longer holds"
    return f"invariant allows {before}, where {condition.text} fails"
