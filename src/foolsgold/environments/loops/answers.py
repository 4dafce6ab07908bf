"""Invariants as a model writes them, read within limits that keep a solver's work in bounds."""

from __future__ import annotations

import re

from foolsgold.environments.loops.language import Program, read_program
from foolsgold.environments.loops.smtlib import read_term
from foolsgold.environments.loops.sygus import InvariantProblem, read_definition
from foolsgold.environments.loops.syntax import Reader, SyntaxFault
from foolsgold.environments.loops.terms import Apply, Constant, Term, conjunction, walk

MAX_CHARACTERS = 12_000
MAX_PARTS = 400
"""Operators, variables and constants of an invariant."""

MAX_DEGREE = 4
MAX_MONOMIALS = 100
"""Of an invariant multiplied out: z3 multiplies out before it counts its steps, and does not come back from large
products."""

_FENCE = re.compile(r"```[\w+-]*\n(.*?)```", re.DOTALL)


class ChangedProgram(Exception):
    """An annotated program differs from the one that was asked about in more than its invariants."""


def read_program_answer(text: str, program: Program) -> list[Term]:
    """Invariants of a program's loops, in the order in which loops begin.

    An answer is one condition a loop, each closed by `;` (the last one need not be), with or without the word
    `invariant` before it; several for a program with one loop are joined. Or it is the program with lines
    `invariant CONDITION;` at the beginning of loops. Either may stand between fences of three backticks.

    Raises:
      SyntaxFault: it cannot be read, or exceeds a limit.
      ChangedProgram: it is another program.
    """
    text = _unfenced(text)
    if re.search(r"\bwhile\b", text):
        answered = read_program(text)
        if answered.bare != program.bare:
            raise ChangedProgram("the program itself was changed; only lines `invariant CONDITION;` may be added")
        invariants = [conjunction(loop.invariants) for loop in answered.loops]
    else:
        reader = Reader(text, variables=dict.fromkeys(program.variables, "Int"))
        invariants = []
        while reader.token.kind != "end":
            reader.accepts("invariant")
            invariants.append(reader.condition())
            if not reader.accepts(";"):
                break
        reader.end()
        if len(program.loops) == 1 and invariants:
            invariants = [conjunction(invariants)]
        if len(invariants) != len(program.loops):
            raise SyntaxFault(f"{len(invariants)} invariants are given; the program has {len(program.loops)} loops")
    for invariant in invariants:
        _limit(invariant)
    return invariants


def read_problem_answer(text: str, problem: InvariantProblem) -> Term:
    """The invariant of a SyGuS problem: a C-like condition, an SMT-LIB term, or a `define-fun`.

    Raises:
      SyntaxFault: it cannot be read, or exceeds a limit.
    """
    text = _unfenced(text)
    if re.search(r"\(\s*let\b", text):
        raise SyntaxFault("an invariant is written out, without let")  # with it, ten lines are a thousand million parts
    if re.match(r"\(\s*define-fun\b", text):
        invariant = read_definition(text, problem)
    elif re.match(r"\||\(\s*[^\s\w(!-]|\(\s*(and|or|not|let|ite|distinct|xor)\b|\(\s*-\s", text):
        invariant = read_term(text, {variable.name: variable for variable in problem.variables})
        if invariant.sort != "Bool":
            raise SyntaxFault("a number stands where a condition must")
    else:
        reader = Reader(text, variables=problem.sorts)
        invariant = reader.condition()
        reader.accepts(";")
        reader.end()
    _limit(invariant)
    return invariant


def _unfenced(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise SyntaxFault(f"the answer has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    fenced = _FENCE.search(text)
    text = (fenced.group(1) if fenced else text).strip()
    if not text:
        raise SyntaxFault("the answer is empty")
    return text


def _limit(invariant: Term) -> None:
    degrees: dict[int, int] = {}
    monomials: dict[int, int] = {}
    for n, part in enumerate(walk(invariant), start=1):
        if n > MAX_PARTS:
            raise SyntaxFault(f"the invariant has more than {MAX_PARTS} parts")
        degree, size = int(not isinstance(part, Constant)), 1
        if isinstance(part, Apply):
            below = [degrees[id(argument)] for argument in part.arguments]
            sizes = [monomials[id(argument)] for argument in part.arguments]
            if part.operator == "*":
                degree, size = sum(below), sizes[0] * sizes[1]
            else:
                degree, size = max(below), sum(sizes) if part.sort == "Int" else max(sizes)
        if degree > MAX_DEGREE or size > MAX_MONOMIALS:
            raise SyntaxFault(
                f"the invariant multiplies too much: at most degree {MAX_DEGREE} and {MAX_MONOMIALS} summands"
            )
        degrees[id(part)], monomials[id(part)] = degree, size
