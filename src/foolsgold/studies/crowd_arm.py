"""RL of the study `crowd`, on poems: the reward of one rule, and on the way whom the policy satisfies.

Letters: P prompts, G groups, U users, K evaluations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foolsgold.environments.poems.readers import impressions_of
from foolsgold.files import write_text
from foolsgold.objectives.aggregation.welfare import aspirations
from foolsgold.objectives.schedules import constant
from foolsgold.objectives.tilting import maximin_at_kl
from foolsgold.rewards.group_reward_models import TextHeads, text_scores
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.text_reward_model import encode_pairs
from foolsgold.studies.crowd_cell import GROUPS, CellResult
from foolsgold.studies.crowd_plan import MAIN_KL, CrowdPlan, RLArm
from foolsgold.studies.crowd_poems import PoemCrowds, users_of
from foolsgold.studies.crowd_rules import ASPIRATION
from foolsgold.studies.poem_arm import drawn_poems, ticking
from foolsgold.studies.progress import Stages
from foolsgold.studies.standard_reward import StandardReward
from foolsgold.training.datasets import PromptRow
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import LoopSettings, Metrics
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings, Task, derived_seed

EVALUATED_PROMPTS = 128
POEMS_EACH = 2


@dataclass(frozen=True)
class Served:
    """Whom the policy satisfies after some steps."""

    step: int
    kl: float
    """Nats from the finetuned policy, mean over poems of the log ratio."""
    satisfied: list[list[float]]
    """`[G][P]`, share of (user of the group, poem) that satisfies."""
    gold: float
    """Mean of the critic's totals."""


@dataclass(frozen=True)
class RLResult:
    """What came of an arm."""

    arm: RLArm
    evaluations: list[Served]

    @property
    def kl(self) -> np.ndarray:
        """`[K]`, nats; an estimate below 0 counts as 0."""
        return np.array([max(each.kl, 0.0) for each in self.evaluations])

    @property
    def satisfied(self) -> np.ndarray:
        """`[K, G, P]`"""
        return np.array([each.satisfied for each in self.evaluations])

    @classmethod
    def read(cls, path: Path) -> RLResult:
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(RLArm.from_json(data["arm"]), [Served(**each) for each in data["evaluations"]])


class GroupReward:
    """A number from what the groups' heads make of completions.

    Args:
      combine: `[G, B]` and the prompts `[B]` -> `[B]`.
    """

    __name__ = "groups"

    def __init__(self, model: TextHeads, tokenizer: Any, combine: Any):
        self.model, self.tokenizer, self.combine = model, tokenizer, combine

    def __call__(self, prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
        scores = text_scores(self.model, encode_pairs(self.tokenizer, prompts, completions))
        return self.combine(scores.T.astype(np.float64), prompts).tolist()


class RLRun:
    """One arm."""

    def __init__(self, plan: CrowdPlan, arm: RLArm, folder: Path, stages: Stages, created: datetime):
        self.arm, self.here = arm, folder / "arms" / arm.name
        self.world = PoemCrowds(plan, folder, stages, created)
        self.pipeline = self.world.pipeline
        self.cell_folder = folder / "arms" / arm.cell.name
        self.result = CellResult.read(self.cell_folder / "result.json")
        self.policy = self.pipeline.finetuned()
        self.reward = self._reward()
        # A user's bar at each prompt, from the candidates that the start wrote: [prompts, U].
        self.tastes, self.group = users_of(arm.cell), arm.cell.crowd.groups(arm.cell.users)
        likings = self.world.likings(self.tastes, self.world.impressions[:, self.world.candidates])
        bars = [aspirations(each, ASPIRATION) for each in likings.transpose(1, 0, 2)]
        self.bars = dict(zip(self.pipeline.prompts, bars, strict=True))

    def _reward(self) -> StandardReward:
        """What the rule pays, in standard deviations over the start's poems."""
        prompts, texts, _ = self.pipeline.some_poems(4)
        if self.arm.rule == "pooled":
            return StandardReward(self.world.pooled(self.cell_folder / "pooled"), prompts, texts)
        _, heads, _ = self.world.heads(self.arm.cell, lambda name: lambda done, of: None)
        assert isinstance(heads.groups, TextHeads)
        model = heads.groups
        voters = self.result.electorates[GROUPS]
        if self.arm.rule == "worst group":
            _, weights = maximin_at_kl(voters.groups, MAIN_KL)
            unit = (voters.likings - voters.likings.mean(2, keepdims=True)).std((1, 2))
            combine = lambda scores, _: weights / unit @ scores  # noqa: E731
        else:
            every = np.arange(len(self.pipeline.prompts))
            likings = np.moveaxis(self.world.grouped(text_scores(model, self.world.pairs(every))), -1, 0)
            bars = np.array([aspirations(each, ASPIRATION) for each in likings.transpose(1, 0, 2)])
            bar_of = dict(zip(self.pipeline.prompts, bars, strict=True))
            combine = lambda scores, asked: voters.weight @ (scores >= np.array([bar_of[p] for p in asked]).T)  # noqa: E731
        return StandardReward(GroupReward(model, self.pipeline.tokenizer, combine), prompts, texts)

    def run(self, tick: Any) -> RLResult:
        """Train, measuring on the way."""
        arm, pipeline = self.arm, self.pipeline
        rows = [PromptRow(prompt, {}) for prompt in pipeline.prompts]
        rewards = [WeightedReward(self.reward, 1.0, "rule")]
        task = Task(rows, Scorer(rewards, None, self.here / "failures"), pipeline.tokenizer)
        seed = derived_seed(pipeline.plan.seed, 83)
        loop = LoopSettings(arm.steps, AdamWSettings(arm.learning_rate), constant, 20, arm.evaluate_every, seed)
        settings = PolicyGradientSettings(
            loop,
            RolloutSettings(arm.prompts, arm.samples, pipeline.sampling),
            ALGORITHMS["rloo"],
            kl=KLSettings(measure=True),
        )

        def evaluate(step: int) -> Metrics:
            write_text(self.here / f"evaluation-{step:05}.json", json.dumps(asdict(self._served(step))))
            return {}

        train_policy(self.policy, task, settings, self.here / "policy", lambda step, _: tick(step, arm.steps), evaluate)
        # In the order of steps, those of a killed attempt overwritten by the same numbers.
        paths = sorted(self.here.glob("evaluation-*.json"))
        return RLResult(arm, [Served(**json.loads(path.read_text(encoding="utf-8"))) for path in paths])

    def _served(self, step: int) -> Served:
        drawn = drawn_poems(self.pipeline, self.policy, step, EVALUATED_PROMPTS, POEMS_EACH)
        likings = self.tastes @ impressions_of(drawn.prompts, drawn.texts).T
        enough = likings >= np.array([self.bars[prompt] for prompt in drawn.prompts]).T
        groups = [enough[self.group == g].mean(0) for g in range(self.group.max() + 1)]
        gold = self.pipeline.world.gold(drawn.prompts, drawn.texts)
        return Served(
            step,
            float(drawn.log_ratios.mean()),
            [each.reshape(-1, POEMS_EACH).mean(1).tolist() for each in groups],
            float(np.mean(np.array(gold, np.float64))),
        )


def run_rl_arm(plan: CrowdPlan, arm: RLArm, folder: Path, created: datetime) -> Path:
    """Run or resume an arm of the run in `folder`; called in a process of its own."""
    torch.set_num_threads(1)
    here = folder / "arms" / arm.name
    path = here / "result.json"
    if not path.exists():
        with Stages(quiet=True) as stages:
            found = RLRun(plan, arm, folder, stages, created).run(ticking(here)("RL"))
        write_text(path, json.dumps(asdict(found)))
    return path
