"""What the study `proofs` measures: held-out theorems proved by single tries and by search, and what that takes.

Letters: P test theorems, S tries at each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from foolsgold.environments.problems import Problem
from foolsgold.environments.theorems.formulas import Tool, parse
from foolsgold.files import write_text
from foolsgold.objectives.best_of_n import best_of_n_gold
from foolsgold.policies.decoder import Decoder
from foolsgold.rewards.verifiers.proof_sessions import ProofSession
from foolsgold.rewards.verifiers.proof_turns import ProofTurns
from foolsgold.studies.overoptimization_measure import Difference
from foolsgold.studies.proofs_arms import RLStep, Round, Spent, Tick
from foolsgold.studies.proofs_menu import by_the_book, menu
from foolsgold.studies.proofs_pipeline import Metered, ProofsPipeline, accepted
from foolsgold.training.multi_turn import TurnSettings, play
from foolsgold.training.proof_search import (
    Found,
    PolicyProposals,
    Propose,
    RankedMenu,
    SearchSettings,
    best_first,
    uniform,
)
from foolsgold.training.rollouts import derived_seed, frozen_copy

POLICIES = ("start", "imitation", "expert", "rl")
BRUTE_FORCE = "brute force"
RANKED = {f"{name}, ranked": name for name in ("start", "expert", "rl")}
"""Brute force whose menu a policy ranks, and the policy."""


@dataclass(frozen=True)
class Tried:
    """Whole proofs, tactic by tactic, with no way back."""

    solved: list[list[bool]]
    """`[P S]`"""
    calls: list[list[int]]
    """`[P S]`, tactics tried."""
    scripts: list[list[str]]
    """The shortest proof of each of P; empty where there is none."""
    accepted: int
    """Proofs that the kernel accepts, of those that left no goal."""


@dataclass(frozen=True)
class Searched:
    """Best-first search, one a theorem."""

    solved: list[bool]
    """`[P]`"""
    expansions: list[int]
    """`[P]`, until solved or in all."""
    calls: list[int]
    """`[P]`, tactics tried by then."""
    scripts: list[list[str]]
    """The proof of each of P; empty where there is none."""
    accepted: int
    """Proofs that the kernel accepts."""


@dataclass(frozen=True)
class Result:
    """Of one policy."""

    tried: Tried | None
    """None for brute force, ranked or not."""
    searched: Searched
    tokens: int
    """Drawn from the policy by its search."""

    def write(self, path: Path) -> None:
        write_text(path, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Result:
        data = json.loads(path.read_text(encoding="utf-8"))
        tried = data["tried"] and Tried(**data["tried"])
        return cls(tried, Searched(**data["searched"]), data["tokens"])

    def solved_within(self, most: int, by: str = "expansions") -> np.ndarray:
        """float `[P]`, whether search had a proof by `most` expansions or calls."""
        taken = np.array(getattr(self.searched, by))
        return (np.array(self.searched.solved) & (taken <= most)).astype(float)

    def solved_in(self, tries: int) -> np.ndarray:
        """float `[P]`, chance that one of so many tries is a proof (Chen et al. 2021)."""
        assert self.tried is not None
        solved = np.array(self.tried.solved, float)
        return best_of_n_gold(solved, solved, np.array([tries]))[:, 0]

    @property
    def proofs(self) -> list[list[str]]:
        """The shortest proof found of each of P, by try or search; empty where there is none."""
        tried = self.tried.scripts if self.tried else self.searched.scripts
        return [
            min((each for each in pair if each), key=len, default=[])
            for pair in zip(tried, self.searched.scripts, strict=True)
        ]


def measure_policy(pipeline: ProofsPipeline, session: ProofSession, name: str, policy: Decoder, tick: Tick) -> Result:
    """Tries and search of a policy on the test theorems."""
    plan, problems = pipeline.plan, pipeline.problems("test")
    policy = frozen_copy(policy)
    world = ProofTurns(session, plan.tool)
    settings = TurnSettings(plan.turns, plan.tries, pipeline.sampling)
    seed = derived_seed(plan.seed, 30)  # the same for all policies
    episodes = play(policy, pipeline.tokenizer, world, problems, settings, seed)
    scripts = [[turn.action for turn in each.turns] if each.solved else [] for each in episodes]
    by_problem = [scripts[i : i + plan.tries] for i in range(0, len(scripts), plan.tries)]
    tried = Tried(
        [[bool(script) for script in each] for each in by_problem],
        [[len(each.turns) for each in episodes[i : i + plan.tries]] for i in range(0, len(episodes), plan.tries)],
        [min((script for script in each if script), key=len, default=[]) for each in by_problem],
        _accepted(pipeline, session, problems, by_problem),
    )
    tick(1, 2)
    propose = PolicyProposals(policy, pipeline.tokenizer, pipeline.sampling, plan.samples, derived_seed(plan.seed, 31))
    searched = _search(pipeline, session, problems, propose)
    return Result(tried, searched, propose.tokens)


def measure_brute_force(pipeline: ProofsPipeline, session: ProofSession) -> Result:
    """Search that tries everything that fits, in the order of depth."""
    tool = pipeline.plan.tool
    propose = uniform(lambda line: menu(line, tool))
    return Result(None, _search(pipeline, session, pipeline.problems("test"), propose), 0)


def measure_ranked(pipeline: ProofsPipeline, session: ProofSession, policy: Decoder) -> Result:
    """The same search in the order in which a policy finds the tactics likely."""
    tool = pipeline.plan.tool
    propose = RankedMenu(frozen_copy(policy), pipeline.tokenizer, lambda line: menu(line, tool))
    return Result(None, _search(pipeline, session, pipeline.problems("test"), propose), 0)


def _search(pipeline: ProofsPipeline, session: ProofSession, problems: Sequence[Problem], propose: Propose) -> Searched:
    plan = pipeline.plan
    world = Metered(ProofTurns(session, plan.tool), pipeline.tokenizer)
    found: list[Found] = best_first(
        world, problems, propose, SearchSettings(plan.expansions, plan.turns, len(problems))
    )
    scripts = [[action for _, action in each.path] for each in found]
    return Searched(
        [each.solved for each in found],
        [each.expansions for each in found],
        [each.calls for each in found],
        scripts,
        _accepted(pipeline, session, problems, [[script] for script in scripts]),
    )


def _accepted(
    pipeline: ProofsPipeline, session: ProofSession, problems: Sequence[Problem], scripts: list[list[list[str]]]
) -> int:
    """How many of the scripts that are not empty the kernel accepts, some of them for each problem."""
    proofs = [
        (problem.columns["statement"], script)
        for problem, each in zip(problems, scripts, strict=True)
        for script in each
        if script
    ]
    return sum(accepted(session, pipeline.plan.tool, proofs))


@dataclass(frozen=True)
class Agreement:
    """Proofs found with one prover, put into the words of the other."""

    tool: str
    proofs: int
    """Different ones."""
    translated: int
    """Of them, those that can be put into its words."""
    accepted: int
    """Of those, those that its kernel accepts."""
    by_the_book: int
    """Translated ones that keep to the rules of `environments.theorems`, which both provers know."""
    accepted_by_the_book: int
    """Of those, those that its kernel accepts."""


@dataclass(frozen=True)
class Measured:
    """All of it."""

    tested: list[Problem]
    """`[P]`"""
    results: dict[str, Result]
    """Of `POLICIES`, `BRUTE_FORCE` and `RANKED`."""
    spent: dict[str, Spent]
    rl: list[RLStep]
    rounds: list[Round]
    train: int
    """Theorems of the train split."""
    shortest: list[int]
    """`[P]`, tactics of the shortest proof."""
    tool: Tool
    agreement: Agreement | None
    """None where no other prover was asked."""

    def single(self, name: str) -> np.ndarray:
        """float `[P]`, chance that a single try is a proof."""
        return self.results[name].solved_in(1)

    def lead(self, name: str, over: str) -> Difference:
        """In single tries, paired by theorem."""
        return Difference.of(self.single(name), self.single(over))

    @cached_property
    def most(self) -> int:
        """Expansions of the longest search."""
        return max(max(each.searched.expansions) for each in self.results.values())

    def search_lead(self, name: str, over: str, expansions: int) -> Difference:
        """In theorems proved by search, paired by theorem."""
        return Difference.of(*(self.results[each].solved_within(expansions) for each in (name, over)))

    @property
    def accepted(self) -> tuple[int, int]:
        """Proofs of test theorems that the kernel accepts, and how many were found; repeats counted."""
        passed = found = 0
        for each in self.results.values():
            passed += each.searched.accepted + (each.tried.accepted if each.tried else 0)
            found += sum(each.searched.solved) + (int(np.sum(each.tried.solved)) if each.tried else 0)
        return passed, found

    def lengths(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the proofs that a policy's search found: their tactics, those of the shortest proofs of the same theorems
        by the rules of `environments.theorems`, and, bool, whether they keep to these rules."""
        found = [
            (len(script), size, by_the_book(parse(problem.prompt), script, self.tool))
            for script, size, problem in zip(
                self.results[name].searched.scripts, self.shortest, self.tested, strict=True
            )
            if script
        ]
        lengths, shortest, kept = np.array(found, int).reshape(-1, 3).T
        return lengths, shortest, kept.astype(bool)
