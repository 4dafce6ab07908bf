"""One arm of the study `coding`: a copy of the finetuned policy learns, then plays the loop on held-out problems.

An arm is a process of its own with one thread, so that arms run side by side and each gives the same numbers again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from foolsgold.files import write_text
from foolsgold.objectives.schedules import constant
from foolsgold.policies.decoder import Decoder
from foolsgold.rewards.verifiers.coding_loop import CodingLoop
from foolsgold.studies.coding_pipeline import CodingPipeline
from foolsgold.studies.coding_plan import Arm, CodingPlan, Teaching
from foolsgold.studies.coding_tests import TestsWritten, tests_written
from foolsgold.studies.coding_traces import learned_from, trace
from foolsgold.studies.kept_models import decaying_loop
from foolsgold.studies.poem_arm import ticking
from foolsgold.studies.progress import Stages
from foolsgold.training.loop import LoopSettings
from foolsgold.training.multi_turn import Episode, TurnSettings, play
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_batches import Updates
from foolsgold.training.rollouts import derived_seed, frozen_copy
from foolsgold.training.sft import SFTSettings, sft
from foolsgold.training.turn_gradient import TurnGradientSettings, train_on_turns

Mode = Literal["read", "other", "none", "own"]
"""How the loop is played: three kinds of feedback on given tests; and the failure read of tests of one's own."""


MODES: dict[Teaching, tuple[Mode, ...]] = {
    "nothing": ("read", "none", "other", "own"),
    "traces": ("read", "none", "other"),
    "rl": ("read", "none", "other"),
}
"""What is measured of an arm; of others the loop alone."""


@dataclass(frozen=True)
class Rounds:
    """The current body after each of R rounds, in S episodes of each of P problems."""

    hidden: np.ndarray
    """bool `[P, S, R]`, whether it passes all tests."""
    visible: np.ndarray
    """bool `[P, S, R]`, whether it passes those that were seen."""

    @property
    def solved(self) -> np.ndarray:
        """float64 `[P, R]`, share of the episodes whose body passes all tests."""
        return self.hidden.mean(1)

    @property
    def gamed(self) -> np.ndarray:
        """float64 `[P, R]`, share whose body passes the visible tests only."""
        return (self.visible & ~self.hidden).mean(1)

    def to_json(self) -> dict[str, Any]:
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Rounds:
        return cls(**{name: np.array(values, bool) for name, values in data.items()})


@dataclass(frozen=True)
class ArmResult:
    """What came out of an arm."""

    arm: Arm
    rows: int
    """Different turns that it was given to imitate; 0 where it was given none."""
    rounds: dict[Mode, Rounds]
    tests: TestsWritten | None
    """Of the policy's own tests, in each problem's first episode; None where it was not asked for any."""

    def write(self, path: Path) -> None:
        tests = self.tests and {name: values.tolist() for name, values in vars(self.tests).items()}
        rounds = {mode: each.to_json() for mode, each in self.rounds.items()}
        write_text(path, json.dumps({"arm": asdict(self.arm), "rows": self.rows, "rounds": rounds, "tests": tests}))

    @classmethod
    def read(cls, path: Path) -> ArmResult:
        data = json.loads(path.read_text(encoding="utf-8"))
        tests = data["tests"] and TestsWritten(**{name: np.array(each) for name, each in data["tests"].items()})
        rounds = {mode: Rounds.from_json(each) for mode, each in data["rounds"].items()}
        return cls(Arm(**data["arm"]), data["rows"], rounds, tests)


def run_arm(plan: CodingPlan, arm: Arm, folder: Path, created: datetime) -> Path:
    """Run or resume an arm of the run in `folder`; returns where its result lies. Called in a process of its own."""
    torch.set_num_threads(1)
    here = folder / "arms" / arm.name
    result = here / "result.json"
    if not result.exists():
        with Stages(quiet=True) as stages:
            pipeline = CodingPipeline(plan, folder, stages)
            policy, rows = taught(pipeline, arm, here, ticking(here)("RL"))
            _measured(pipeline, arm, frozen_copy(policy), rows, here).write(result)
    return result


def taught(pipeline: CodingPipeline, arm: Arm, here: Path, tick: Callable[[int, int], None]) -> tuple[Decoder, int]:
    """A copy of the finetuned policy that has learned what the arm is taught; how many rows it was given."""
    plan, policy = pipeline.plan, pipeline.finetuned()
    if arm.teaching == "nothing":
        return policy, 0
    if arm.teaching == "rl":
        settings = TurnGradientSettings(
            LoopSettings(arm.steps, AdamWSettings(plan.rl_rate), constant, save_every=10, seed=plan.seed + 6),
            TurnSettings(plan.turns, plan.rl_samples, pipeline.sampling),
            plan.rl_problems,
            updates=Updates(minibatches=2),
        )
        train_on_turns(
            policy,
            pipeline.tokenizer,
            pipeline.loop(),
            pipeline.trained,
            settings,
            here / "policy",
            lambda step, _: tick(step, arm.steps),
        )
        return policy, 0
    rows = pipeline.more_of_people() if arm.teaching == "people" else learned_from(arm.teaching, pipeline.traces())
    if not rows:
        return policy, 0  # nothing was solved, nothing is learned
    loop = decaying_loop(arm.steps, plan.imitation_rate, plan.seed + 6)
    imitation = SFTSettings(loop, plan.imitation_batch, length_grouped=True)
    sft(policy, pipeline.encoded(rows), imitation, here / "policy", lambda step, _: tick(step, arm.steps))
    return policy, len(rows)


def _measured(pipeline: CodingPipeline, arm: Arm, policy: Decoder, rows: int, here: Path) -> ArmResult:
    plan, problems = pipeline.plan, pipeline.tested
    rounds, tests = dict[Mode, Rounds](), None
    known = pipeline.loop()  # remembers what was run in any mode
    for mode in MODES.get(arm.teaching, ("read",)):
        loop = pipeline.loop("read" if mode == "own" else mode, own_tests=mode == "own", like=known)
        settings = TurnSettings(plan.rounds + loop.own_tests, plan.test_samples, pipeline.sampling)
        # The same random numbers in the first turn of all modes that begin with the same prompt.
        seed = derived_seed(plan.seed, 9)
        episodes = play(policy, pipeline.tokenizer, loop, problems, settings, seed)
        rounds[mode] = rounds_of(pipeline, known, episodes, mode)
        right = rounds[mode].hidden[:, :, -1].flatten()
        lines = [trace(each, problems[each.problem], bool(yes)) for each, yes in zip(episodes, right, strict=True)]
        write_text(here / "traces" / f"{mode}.jsonl", "".join(lines))
        if mode == "own":
            firsts = episodes[:: plan.test_samples]
            tests = tests_written(known, problems, [each.turns[0].action for each in firsts], plan.mutants)
    return ArmResult(arm, rows, rounds, tests)


def rounds_of(pipeline: CodingPipeline, loop: CodingLoop, episodes: list[Episode], mode: Mode) -> Rounds:
    """Where each episode stands after each round; after its end it stays as it was."""
    rounds, problems = pipeline.plan.rounds, pipeline.tested
    written = [each.turns[1:] if mode == "own" else each.turns for each in episodes]
    turns = [[those[min(r, len(those) - 1)] for r in range(rounds)] for those in written]
    of = [problems[each.problem] for each in episodes for _ in range(rounds)]
    hidden = loop.passes_hidden(of, [turn.action for those in turns for turn in those])
    visible = [turn.progress == 1.0 for those in turns for turn in those]
    shape = len(problems), -1, rounds
    return Rounds(np.array(hidden).reshape(shape), np.array(visible).reshape(shape))
