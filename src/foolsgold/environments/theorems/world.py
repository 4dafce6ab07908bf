"""Theorems of propositional logic as an environment: statements, shortest proofs, and students who err."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import and_
from random import Random

from foolsgold.environments.problems import Problem, Reviewers, Split
from foolsgold.environments.theorems.formulas import FALSE, Formula, Operator, Tool, atom, implies, statement
from foolsgold.environments.theorems.proofs import Proof, shortest_proof
from foolsgold.environments.theorems.provability import provable
from foolsgold.environments.theorems.students import Student
from foolsgold.environments.theorems.tactics import NotApplicable, Sequent, Tactic, script_text
from foolsgold.errors import UserError

GRADES = {3: 1, 4: 1, 5: 2, 6: 2, 7: 3, 8: 3, 9: 4, 10: 4, 11: 4}
"""Grade by the tactics of the shortest proof; theorems with longer or shorter ones are left out."""
LONGEST_PROMPT = 64
"""Characters of a statement; longer ones are left out."""
STUDENTS = 24
"""In the class that writes demonstrations, which is the same for all seeds."""
HELD_OUT = 4
"""One skeleton in so many is of the test split."""

_COLUMNS = {"p": 0b10101010, "q": 0b11001100, "r": 0b11110000}
"""Rows of the truth table of three atoms in which each is true."""
_OPERATORS: dict[Operator, float] = {"and": 4, "or": 4, "implies": 3, "not": 2.5, "iff": 0.6}

_FALSE_CONCLUSIONS = 0.12
"""Share of implications that say `not` in the long way."""


@dataclass(frozen=True)
class Theorem:
    """A formula with its shortest proof."""

    formula: Formula
    proof: Proof

    @property
    def grade(self) -> int:
        """From 1 to 4, by the size of the proof."""
        return GRADES[self.proof.size]


@dataclass(frozen=True)
class Theorems:
    r"""`p /\ q -> q /\ p`, to be proved by a script of tactics; or a goal, to be given its next tactic.

    A script is judged by `CoqVerifier(tactics=STEPS)` or `LeanVerifier(tactics=STEPS)`: with automation allowed,
    `tauto` would prove all of them.
    """

    tool: Tool = "coq"
    grades: tuple[int, ...] = (1, 2, 3, 4)
    name: str = "theorems"

    def __post_init__(self) -> None:
        """Raises: UserError: there is no such tool or grade."""
        if self.tool not in ("coq", "lean"):
            raise UserError(f"there is no prover {self.tool!r}; choose coq or lean")
        if not self.grades or not set(self.grades) <= set(GRADES.values()):
            raise UserError(f"theorems have grades 1 to 4, not {self.grades}")

    def theorems(self, split: Split, n: int, seed: int) -> list[Theorem]:
        """`n` different theorems, as many of each grade as of another; the same formulas for both tools.

        Raises:
          UserError: there is no such split.
        """
        if split not in ("train", "test"):
            raise UserError(f"theorems have no split {split!r}; choose train or test")
        rng = Random(f"theorems {split} {seed}")
        wanted = {grade: n // len(self.grades) for grade in self.grades}
        for grade in self.grades[: n % len(self.grades)]:
            wanted[grade] += 1
        found: dict[Formula, Theorem] = {}
        while len(found) < n:
            formula = _drawn(rng)
            if not _worthwhile(formula):
                continue
            formula = _renamed(formula)
            if held_out(formula) != (split == "test") or formula in found or len(formula.text()) > LONGEST_PROMPT:
                continue
            proof = shortest_proof(formula, max(GRADES))
            if proof is not None and wanted.get(GRADES.get(proof.size, 0), 0):
                found[formula] = Theorem(formula, proof)
                wanted[GRADES[proof.size]] -= 1
        theorems = list(found.values())
        rng.shuffle(theorems)
        return theorems

    def problems(self, split: Split, n: int, seed: int) -> list[Problem]:
        """Statements to be answered by whole scripts, on one line."""
        return [self._problem(theorem) for theorem in self.theorems(split, n, seed)]

    def demonstrations(self, n: int, seed: int) -> list[tuple[Problem, str]]:
        """Statements of the train split with scripts by students of the class."""
        return [(self._problem(theorem), script_text(script, self.tool)) for theorem, script in self._written(n, seed)]

    def steps(self, n: int, seed: int) -> list[tuple[str, str]]:
        """Demonstrations tactic by tactic: pairs of a first goal, `h1: p |- q`, and the tactic that a student took.

        A student's proof is followed until its first error, which is in; goals are what the prover would have shown.
        """
        return [pair for theorem, script in self._written(n, seed) for pair in self._followed(theorem.formula, script)]

    def reviewers(self, n: int, seed: int) -> Reviewers:
        """Raises: UserError: always; nobody judges a proof by its looks."""
        raise UserError("theorems have no reviewers; a proof is judged by Coq or Lean")

    def _problem(self, theorem: Theorem) -> Problem:
        formula = theorem.formula
        return Problem(
            prompt=formula.text() + "\n",
            answer=script_text(theorem.proof.script, self.tool),
            columns={"statement": statement(formula, self.tool)},
            family=formula.skeleton,
            grade=theorem.grade,
        )

    def _written(self, n: int, seed: int) -> Iterator[tuple[Theorem, list[Tactic]]]:
        class_rng, rng = Random("theorems class"), Random(f"theorems students {seed}")
        students = [Student.drawn(class_rng) for _ in range(STUDENTS)]
        for theorem in self.theorems("train", n, seed):
            yield theorem, rng.choice(students).script(theorem.proof, rng)

    def _followed(self, formula: Formula, script: list[Tactic]) -> Iterator[tuple[str, str]]:
        goals = [Sequent((), formula)]
        for tactic in script:
            if not goals:
                return
            yield goals[0].line + "\n", tactic.text(self.tool)
            try:
                goals = [*goals[0].step(tactic), *goals[1:]]
            except NotApplicable:
                return
            if not all(provable(goal.formulas, goal.goal) for goal in goals):
                return


def held_out(formula: Formula) -> bool:
    """Whether formulas of this skeleton belong to the test split."""
    return zlib.crc32(formula.skeleton.encode()) % HELD_OUT == 0


def _drawn(rng: Random) -> Formula:
    """Up to three premises and a conclusion, over two or three atoms."""
    atoms = "pqr"[: rng.choice((2, 3, 3))]
    formula = _subformula(rng, rng.choice((0, 1, 2, 2, 3)), atoms)
    for _ in range(rng.choice((1, 2, 2, 3))):
        formula = implies(_subformula(rng, rng.choice((0, 1, 1, 2, 2)), atoms), formula)
    return formula


def _subformula(rng: Random, operators: int, atoms: str) -> Formula:
    r"""Without parts such as `p /\\ p`, which say less than they take to read."""
    if operators == 0:
        return atom(rng.choice(atoms))
    [operator] = rng.choices(list(_OPERATORS), list(_OPERATORS.values()))
    if operator == "not":
        return Formula("not", (_subformula(rng, operators - 1, atoms),))
    if operator == "implies" and rng.random() < _FALSE_CONCLUSIONS:
        return implies(_subformula(rng, operators - 1, atoms), FALSE)
    first = rng.randrange(operators)
    left = _subformula(rng, first, atoms)
    right = left
    while right == left:
        right = _subformula(rng, operators - 1 - first, atoms)
    return Formula(operator, (left, right))


def _renamed(formula: Formula) -> Formula:
    """The same with its atoms called p, q, r in the order in which they come."""
    names = dict(zip(formula.atoms, "pqr", strict=False))

    def rename(part: Formula) -> Formula:
        return Formula(part.operator, tuple(map(rename, part.parts)), names.get(part.name, ""))

    return rename(formula)


def _worthwhile(formula: Formula) -> bool:
    """Whether it is a tautology of which no premise can go: most formulas are not, and a truth table is quick."""
    every, tables = 255, list[int]()
    while formula.operator == "implies":
        tables.append(formula.parts[0].rows(_COLUMNS, every))
        formula = formula.parts[1]
    fails = every ^ formula.rows(_COLUMNS, every)
    return not _all(tables) & fails and all(_all(tables[:i] + tables[i + 1 :]) & fails for i in range(len(tables)))


def _all(tables: list[int]) -> int:
    """Rows in which all are true."""
    return reduce(and_, tables, 255)
