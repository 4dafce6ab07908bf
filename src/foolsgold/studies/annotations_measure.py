"""What the study `annotations` measures of a policy, and the figures that follow from it.

Letters: P test problems, Q problems of the training families, S answers to each, E episodes of each, K evaluations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foolsgold.environments.loops.conditions import KINDS
from foolsgold.environments.loops.interpreter import random_traces
from foolsgold.environments.loops.language import read_program
from foolsgold.environments.problems import Problem
from foolsgold.objectives.best_of_n import pass_at_k
from foolsgold.policies.decoder import Decoder
from foolsgold.rewards.verifiers.annotation_turns import AnnotationTurns
from foolsgold.rewards.verifiers.annotations_tasks import refuted_by, task_of
from foolsgold.rewards.verifiers.verdict import Verdict
from foolsgold.studies.annotations_pipeline import AnnotationsPipeline
from foolsgold.training.multi_turn import Episode, TurnSettings, play

SAMPLED = 4
"""Answers to each test problem on the way; two to each of the training families."""
EPISODES = 4
QUOTED = 4
RUNS = 200
"""Of a program whose proof is looked at once more."""
SAID = ("proved", *KINDS, "undecided", "no invariant")
"""How an answer ends: all conditions hold; the first with a counterexample; z3 gave up; it cannot be read."""


@dataclass(frozen=True)
class Evaluation:
    """A policy on the way."""

    drawn: int
    """Answers that its training has drawn so far."""
    sampled: list[float]
    """`[P]`, share of the answers to each test problem that prove it."""
    greedy: list[float]
    """`[P]`, whether the likeliest answer does."""
    train: list[float]
    """`[Q]`, as `sampled`."""


@dataclass(frozen=True)
class Ending:
    """All that is measured of a policy at the start and at the end of an arm."""

    tested: np.ndarray
    """bool `[P, S]`, whether an answer proves its program."""
    trained: np.ndarray
    """bool `[Q, S]`"""
    greedy: np.ndarray
    """bool `[P]`"""
    greedy_trained: np.ndarray
    """bool `[Q]`"""
    turns: np.ndarray
    """int64 `[P, E]`, the turn in which an episode proves its program; 0: in none."""
    said: dict[str, float]
    """Share of each of `SAID` among the answers to test problems."""
    proofs: list[tuple[str, str]]
    """(program, invariant) of all that was believed, each once."""
    episodes: list[list[tuple[str, str]]]
    """Some episodes that end with a proof after a counterexample: program, then (invariant, what was said of it)."""

    def to_json(self) -> dict[str, Any]:
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Ending:
        arrays = {name: np.array(data[name], bool) for name in ("tested", "trained", "greedy", "greedy_trained")}
        return cls(
            **arrays,
            turns=np.array(data["turns"], np.int64),
            said=data["said"],
            proofs=[(program, answer) for program, answer in data["proofs"]],
            episodes=[[(first, second) for first, second in each] for each in data["episodes"]],
        )

    def proved(self, k: int) -> np.ndarray:
        """Chance that one of k independent answers proves its program, `[P]` (Chen et al. 2021)."""
        return pass_at_k(self.tested.shape[1], self.tested.sum(1), k)

    def proved_trained(self, k: int) -> np.ndarray:
        """The same of problems of the training families, `[Q]`."""
        return pass_at_k(self.trained.shape[1], self.trained.sum(1), k)

    def proved_by(self, turn: int) -> np.ndarray:
        """Share of each problem's episodes that prove it within the first turns, `[P]`."""
        return ((self.turns > 0) & (self.turns <= turn)).mean(1)


def evaluate_policy(pipeline: AnnotationsPipeline, policy: Decoder, drawn: int) -> Evaluation:
    """What is measured on the way."""
    sampled = pipeline.answer(policy, pipeline.tested, SAMPLED, pipeline.seed(9))
    greedy = pipeline.answer(policy, pipeline.tested, 1, 0, greedy=True)
    train = pipeline.answer(policy, pipeline.trained, 2, pipeline.seed(9, 1))
    return Evaluation(
        drawn,
        sampled.passed.mean(1).tolist(),
        greedy.passed[:, 0].astype(float).tolist(),
        train.passed.mean(1).tolist(),
    )


def ending_of(pipeline: AnnotationsPipeline, policy: Decoder) -> Ending:
    """All that is measured at the start and at the end."""
    plan = pipeline.settings
    pools = [
        pipeline.answer(policy, problems, samples, pipeline.seed(10), greedy=samples == 1)
        for samples in (plan.tries, 1)
        for problems in (pipeline.tested, pipeline.trained)
    ]
    tested, trained, greedy, greedy_trained = (pool.passed for pool in pools)
    settings = TurnSettings(plan.turns, EPISODES, pipeline.sampling)
    world = AnnotationTurns(pipeline.engine)
    episodes = play(policy, pipeline.tokenizer, world, pipeline.tested, settings, pipeline.seed(11))
    asked = [problem.columns["program"] for problem in pipeline.tested for _ in range(plan.tries)]
    verdicts = pipeline.engine.verdicts(pools[0].prompts, pools[0].texts, program=asked)
    said = [what_was_said(each) for each in verdicts]
    believed = [
        (problem.columns["program"], pool.texts[row])
        for pool, problems in zip(pools, 2 * (pipeline.tested, pipeline.trained), strict=True)
        for row, problem in enumerate(each for each in problems for _ in range(pool.samples))
        if pool.verdicts[row].outcome == "passed"
    ]
    believed += [
        (pipeline.tested[each.problem].columns["program"], each.turns[-1].action) for each in episodes if each.solved
    ]
    return Ending(
        tested,
        trained,
        greedy[:, 0],
        greedy_trained[:, 0],
        np.array([len(each.turns) * each.solved for each in episodes], np.int64).reshape(-1, EPISODES),
        {name: said.count(name) / len(said) for name in SAID},
        list(dict.fromkeys(believed)),
        _mended(episodes, pipeline.tested),
    )


def _mended(episodes: Sequence[Episode], problems: Sequence[Problem]) -> list[list[tuple[str, str]]]:
    """Episodes that end with a proof after a counterexample, of different families."""
    late = [each for each in episodes if each.solved and len(each.turns) > 1]
    one_each = {problems[each.problem].family: each for each in reversed(late)}
    return [
        [(problems[each.problem].columns["program"], ""), *((turn.action, turn.note) for turn in each.turns)]
        for each in list(one_each.values())[:QUOTED]
    ]


def what_was_said(verdict: Verdict) -> str:
    """One of `SAID`."""
    if verdict.outcome == "passed":
        return "proved"
    if verdict.outcome in ("invalid", "refused"):
        return "no invariant"
    violated = [each["kind"] for each in verdict.record.get("conditions", ()) if each["status"] == "violated"]
    return next((kind for kind in KINDS if kind in violated), "undecided")


def disagreements(proofs: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """(proofs that new runs refute, states that were looked at); other runs than those of the verifier."""
    refuted = states = 0
    for program, answer in proofs:
        traces = random_traces(read_program(program).bare, RUNS, seed=1)
        states += sum(len(trace.visits) for trace in traces)
        refuted += bool(refuted_by(task_of(program).read(answer), traces))
    return refuted, states
