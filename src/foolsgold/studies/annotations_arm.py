"""Arms of the study `annotations`: ways to learn from the engine's verdicts, each of as many answers drawn and judged.

An arm is a process of its own with one thread, so that arms run side by side and each gives the same numbers again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import torch

from foolsgold.environments.problems import Problem
from foolsgold.environments.turns import Step
from foolsgold.files import write_text
from foolsgold.objectives.schedules import constant
from foolsgold.policies.decoder import Decoder
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.verifiers.annotation_turns import AnnotationTurns, Attempts
from foolsgold.rewards.verifiers.verdict import Verifier, VerifierReward
from foolsgold.studies.annotations_measure import Ending, Evaluation, ending_of, evaluate_policy
from foolsgold.studies.annotations_pipeline import AnnotationsPipeline, AnnotationsPlan
from foolsgold.studies.kept_models import decaying_loop
from foolsgold.studies.poem_arm import ticking
from foolsgold.studies.progress import Stages
from foolsgold.training.datasets import PromptRow
from foolsgold.training.expert_iteration import ExpertIterationSettings, expert_iteration
from foolsgold.training.loop import LoopSettings, Metrics, StopTraining
from foolsgold.training.multi_turn import TurnSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings, Task, frozen_copy
from foolsgold.training.sft import SFTSettings
from foolsgold.training.turn_gradient import TurnGradientSettings, train_on_turns

Method = Literal["expert", "rl", "tries", "turns"]
METHODS: tuple[Method, ...] = get_args(Method)
"""expert: expert iteration, which imitates answers that prove. rl: policy gradient on one answer. tries: on episodes of
several answers to the same prompt, solved by any of them. turns: the same, but each prompt tells of the answers before
and of their counterexamples."""
EVALUATIONS = 3
"""On the way, about as often."""
SAVE_EVERY = 20
"""Steps."""


@dataclass(frozen=True)
class Arm:
    """What sets an arm apart."""

    name: Method
    steps: int
    """Of `prompts` by `samples` answers; where an episode has several answers, fewer episodes."""
    prompts: int
    samples: int
    rounds: int
    """Of expert iteration."""
    learning_rate: float = 3e-4
    method: str = "grpo"
    """See `ALGORITHMS`."""

    @property
    def answers(self) -> int:
        """Drawn and judged in all."""
        return self.steps * self.prompts * self.samples


@dataclass(frozen=True)
class ArmResult:
    """What came out of an arm."""

    arm: Arm
    evaluations: list[Evaluation]
    """From the start to the end."""
    ending: Ending

    def write(self, path: Path) -> None:
        evaluations = [asdict(each) for each in self.evaluations]
        data = {"arm": asdict(self.arm), "evaluations": evaluations, "ending": self.ending.to_json()}
        write_text(path, json.dumps(data))

    @classmethod
    def read(cls, path: Path) -> ArmResult:
        data = json.loads(path.read_text(encoding="utf-8"))
        evaluations = [Evaluation(**each) for each in data["evaluations"]]
        return cls(Arm(**data["arm"]), evaluations, Ending.from_json(data["ending"]))


def run_arm(plan: AnnotationsPlan, arm: Arm, folder: Path, created: datetime) -> Path:
    """Run or resume an arm of the run in `folder`; returns where its result lies. Called in a process of its own."""
    torch.set_num_threads(1)
    here = folder / "arms" / arm.name
    tick = ticking(here)("RL")
    result = here / "result.json"
    if not result.exists():
        with Stages(quiet=True) as stages:
            pipeline = AnnotationsPipeline(plan, folder, stages, created)
            _Training(pipeline, arm, here, lambda answers: tick(answers // (arm.prompts * arm.samples), arm.steps)).run(
                result
            )
    return result


class _Training:
    """One arm's training, measured on the way."""

    def __init__(self, pipeline: AnnotationsPipeline, arm: Arm, here: Path, tick: Callable[[int], None]):
        self.pipeline, self.arm, self.here, self.tick = pipeline, arm, here, tick
        self.policy: Decoder = pipeline.finetuned()
        self.problems: list[Problem] = pipeline.problems("train", pipeline.plan.problems, 3)

    def run(self, result: Path) -> None:
        train: dict[Method, Callable[[], int]] = {
            "expert": self._expert_iteration,
            "rl": self._policy_gradient,
            "tries": partial(self._on_turns, told=0),
            "turns": partial(self._on_turns, told=2),
        }
        drawn = train[self.arm.name]()
        policy = frozen_copy(self.policy)
        self._evaluate(drawn, policy)
        paths = sorted(self.here.glob("evaluation-*.json"))
        evaluations = [Evaluation(**json.loads(path.read_text(encoding="utf-8"))) for path in paths]
        ArmResult(self.arm, evaluations, ending_of(self.pipeline, policy)).write(result)

    def _evaluate(self, drawn: int, policy: Decoder | None = None) -> Metrics:
        """Measure after so many answers; a measurement of an attempt that was killed is that of this one."""
        path = self.here / f"evaluation-{drawn:08}.json"
        if not path.exists():
            write_text(path, json.dumps(asdict(evaluate_policy(self.pipeline, policy or self.policy, drawn))))
        return {}

    def _task(self) -> Task:
        paid = WeightedReward(VerifierReward(self.pipeline.verifier), 1.0, "proved")
        scorer = Scorer([paid], time_limit_s=None, failures=self.here / "failures")
        rows = [PromptRow(each.prompt, each.columns) for each in self.problems]
        return Task(rows, scorer, self.pipeline.tokenizer)

    def _loop(self, evaluate_every: int) -> LoopSettings:
        adamw, seed = AdamWSettings(self.arm.learning_rate), self.pipeline.plan.seed + 6
        return LoopSettings(self.arm.steps, adamw, constant, SAVE_EVERY, evaluate_every, seed)

    def _policy_gradient(self) -> int:
        arm, each = self.arm, self.arm.prompts * self.arm.samples
        rollouts = RolloutSettings(arm.prompts, arm.samples, self.pipeline.sampling)
        loop = self._loop(max(1, arm.steps // EVALUATIONS))
        train_policy(
            self.policy,
            self._task(),
            PolicyGradientSettings(loop, rollouts, ALGORITHMS[arm.method]),
            self.here / "policy",
            lambda step, _: self.tick(step * each),
            lambda step: self._evaluate(step * each),
        )
        return arm.answers

    def _on_turns(self, told: int) -> int:
        arm, pipeline = self.arm, self.pipeline
        world = CountedTurns(pipeline.engine, told)
        path = self.here / "drawn.json"
        drawn: list[int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        every = max(1, arm.steps // (2 * EVALUATIONS))  # an episode has about two answers

        def after(step: int) -> Metrics:
            # Called before the step's state is saved, so that a run taken up from there knows what it has drawn.
            if step:
                drawn[step - 1 :] = [world.taken()]
                write_text(path, json.dumps(drawn))
            done = sum(drawn[:step])
            self.tick(done)
            if step % every == 0:
                self._evaluate(done)
            if done >= arm.answers:
                raise StopTraining("as many answers are drawn as other arms may draw")
            return {}

        episodes = TurnSettings(pipeline.settings.turns, arm.samples, pipeline.sampling)
        settings = TurnGradientSettings(self._loop(1), episodes, arm.prompts, ALGORITHMS[arm.method])
        folder = self.here / "policy"
        loop = train_on_turns(self.policy, pipeline.tokenizer, world, self.problems, settings, folder, evaluate=after)
        return sum(drawn[: loop.step])

    def _expert_iteration(self) -> int:
        arm = self.arm
        each = arm.answers // arm.rounds
        # As many rows are learned as drawn: other arms learn each of their answers once at most.
        loop = decaying_loop(2 * each // (arm.prompts * arm.samples), arm.learning_rate, self.pipeline.plan.seed + 6)
        settings = ExpertIterationSettings(
            SFTSettings(loop, batch=arm.prompts * arm.samples // 2),
            arm.rounds,
            each // arm.samples,
            arm.samples,
            self.pipeline.sampling,
            threshold=1.0,
            from_start=False,
        )
        expert_iteration(
            self.policy,
            self._task(),
            settings,
            self.here / "policy",
            lambda number, _: self.tick(number * each),
            lambda number: self._evaluate(number * each),
        )
        return arm.rounds * each


class CountedTurns(AnnotationTurns):
    """Counts the answers that it is given."""

    def __init__(self, verifier: Verifier, told: int):
        super().__init__(verifier, told)
        self._count = 0

    def step(self, states: Sequence[Attempts], actions: Sequence[str]) -> list[Step[Attempts]]:
        self._count += len(actions)
        return super().step(states, actions)

    def taken(self) -> int:
        """Answers since it was last asked."""
        count, self._count = self._count, 0
        return count
