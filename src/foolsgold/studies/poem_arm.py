"""One arm of a study on poems: a reward model, RL against it, and gold measured beside proxy on the way.

An arm is a process of its own with one thread, so that arms run side by side and each gives the same numbers again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foolsgold.files import write_text
from foolsgold.objectives.schedules import constant
from foolsgold.policies.generate import generate
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.tokenizer import encode_prompt
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.studies.poems_pipeline import PoemsPipeline, PoemsPlan
from foolsgold.studies.progress import Stages
from foolsgold.studies.standard_reward import StandardReward
from foolsgold.training.batches import pad_pairs
from foolsgold.training.datasets import PromptRow
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import LoopSettings, Metrics
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings, Task, derived_seed

EVALUATED_PROMPTS = 256
POEMS_EACH = 3


@dataclass(frozen=True)
class Arm:
    """What sets an arm apart."""

    name: str
    comparisons: int
    """Fitted by its reward model."""
    reward_layers: int
    """Layers of the reward model's trunk."""
    kl_price: float
    """Taken from the reward for a nat, in standard deviations of the proxy over the finetuned policy's poems."""
    steps: int
    evaluate_every: int
    prompts: int = 32
    """Prompts of a step."""
    samples: int = 8
    """Poems a prompt."""
    learning_rate: float = 1e-4


@dataclass(frozen=True)
class Evaluation:
    """The policy after some steps, on fixed prompts."""

    step: int
    kl: float
    """Nats from the finetuned policy, mean over poems of the log ratio."""
    gold: list[float]
    """`[P]`, mean over each prompt's poems."""
    proxy: list[float]
    """`[P]`, in standard deviations of the finetuned policy's poems from their mean."""
    poems: list[tuple[str, str, float, float]]
    """Some of them: prompt, poem, proxy, gold."""


@dataclass(frozen=True)
class ArmResult:
    """What came out of an arm."""

    arm: Arm
    readers_accuracy: float
    """Share of held-out pairs in which the reward model prefers what the reader preferred."""
    gold_accuracy: float
    """Share of held-out pairs in which it prefers what the critic finds better."""
    held_out: int
    evaluations: list[Evaluation]
    """From the start to the end."""

    @property
    def kl(self) -> np.ndarray:
        """`[K]`, nats; an estimate below 0 counts as 0."""
        return np.array([max(each.kl, 0.0) for each in self.evaluations])

    @property
    def gold(self) -> np.ndarray:
        """`[P, K]`"""
        return np.array([each.gold for each in self.evaluations]).T

    @property
    def proxy(self) -> np.ndarray:
        """`[P, K]`"""
        return np.array([each.proxy for each in self.evaluations]).T

    @classmethod
    def read(cls, path: Path) -> ArmResult:
        data = json.loads(path.read_text(encoding="utf-8"))
        evaluations = [Evaluation(**each) for each in data.pop("evaluations")]
        return cls(Arm(**data.pop("arm")), **data, evaluations=evaluations)


def run_arm(plan: PoemsPlan, arm: Arm, folder: Path, created: datetime) -> Path:
    """Run or resume an arm of the run in `folder`; returns where its result lies. Called in a process of its own."""
    torch.set_num_threads(1)
    here = folder / "arms" / arm.name
    progress = ticking(here)
    result = here / "result.json"
    if result.exists():
        return result
    with Stages(quiet=True) as stages:
        pipeline = PoemsPipeline(plan, folder, stages, created)

        model = pipeline.reward_model(arm.comparisons, arm.reward_layers, progress("reward model"))
        accuracy, truly = pipeline.accuracy(model)
        proxy = standard_reward(pipeline, pipeline.reward(model))
        evaluations = _reinforce(pipeline, arm, proxy, here, progress("RL"))
        found = ArmResult(arm, accuracy.accuracy, float(truly.mean()), accuracy.n, evaluations)
    write_text(result, json.dumps(asdict(found)))
    return result


def ticking(here: Path) -> Callable[[str], Callable[[int, int], None]]:
    """Makes, for each part of an arm's work, what tells the study how far it is; called in the arm's process."""
    parent = os.getppid()

    def progress(part: str) -> Callable[[int, int], None]:
        def tick(done: int, of: int) -> None:
            if os.getppid() != parent:
                os._exit(1)  # the study was killed: whoever resumes it must find nobody at work here
            if done % 5 == 0 or done == of:
                write_text(here / "progress.json", json.dumps([part, done, of]))

        return tick

    return progress


def standard_reward(pipeline: PoemsPipeline, reward: Callable[..., Any]) -> StandardReward:
    """A reward in standard deviations of its scores over the finetuned policy's poems, from their mean."""
    prompts, texts, _ = pipeline.some_poems(4)
    return StandardReward(reward, prompts, texts)


def _reinforce(
    pipeline: PoemsPipeline, arm: Arm, proxy: StandardReward, here: Path, tick: Callable[[int, int], None]
) -> list[Evaluation]:
    plan, world = pipeline.plan, pipeline.world
    policy = pipeline.finetuned()
    rewards = [WeightedReward(proxy, 1.0, "proxy"), WeightedReward(world.gold, 0.0, "gold")]
    rows = [PromptRow(prompt, {}) for prompt in pipeline.prompts]
    task = Task(rows, Scorer(rewards, time_limit_s=None, failures=here / "failures"), pipeline.tokenizer)
    settings = PolicyGradientSettings(
        LoopSettings(
            arm.steps,
            AdamWSettings(arm.learning_rate),
            constant,
            save_every=20,
            evaluate_every=arm.evaluate_every,
            seed=plan.seed + 6,
        ),
        RolloutSettings(arm.prompts, arm.samples, pipeline.sampling),
        ALGORITHMS["rloo"],
        kl=KLSettings(in_reward=arm.kl_price, measure=True),
    )

    def evaluate(step: int) -> Metrics:
        found = evaluate_policy(pipeline, policy, proxy, step)
        write_text(here / f"evaluation-{step:05}.json", json.dumps(asdict(found)))
        return {"kl": found.kl, "gold": float(np.mean(found.gold)), "proxy": float(np.mean(found.proxy))}

    train_policy(policy, task, settings, here / "policy", lambda step, _: tick(step, arm.steps), evaluate)
    # In the order of steps, those of a killed attempt overwritten by the same numbers.
    return [Evaluation(**json.loads(path.read_text())) for path in sorted(here.glob("evaluation-*.json"))]


@dataclass(frozen=True)
class Drawn:
    """B poems of a policy, those of a prompt side by side."""

    prompts: list[str]
    """`[B]`"""
    texts: list[str]
    """`[B]`"""
    log_probs: np.ndarray
    """`[B]`, nats, of whole poems under the policy."""
    log_ratios: np.ndarray
    """`[B]`, nats, the same less that under the finetuned policy."""
    lengths: np.ndarray
    """`[B]`, tokens."""


def drawn_poems(pipeline: PoemsPipeline, policy: Any, step: int, prompts: int, each: int) -> Drawn:
    """Draw poems for the fixed prompts, with random numbers that are the step's own."""
    plan = pipeline.plan
    asked = pipeline.world.prompts("train", prompts, plan.seed + 7)
    ids = [encode_prompt(pipeline.tokenizer, prompt) for prompt in asked]
    drawn = generate(policy, ids, pipeline.sampling, derived_seed(plan.seed, 8, step), each)
    completions = drawn.completions()
    batch = pad_pairs(list(zip(drawn.prompts, completions, strict=True)), 0)
    said = token_log_probs(pipeline.policy, batch.tokens, batch.completion_mask).sum(1)
    log_probs = drawn.log_probs.sum(1)
    return Drawn(
        prompts=[prompt for prompt in asked for _ in range(each)],
        texts=pipeline.tokenizer.batch_decode(completions, skip_special_tokens=True),
        log_probs=log_probs.double().numpy(),
        log_ratios=(log_probs - said).double().numpy(),
        lengths=drawn.lengths.numpy(),
    )


def evaluate_policy(pipeline: PoemsPipeline, policy: Any, proxy: StandardReward, step: int) -> Evaluation:
    """KL, gold and proxy of the policy on the fixed prompts."""
    drawn = drawn_poems(pipeline, policy, step, EVALUATED_PROMPTS, POEMS_EACH)
    scores = np.array(proxy(drawn.prompts, drawn.texts))
    return evaluation_of(pipeline, drawn, scores, step, POEMS_EACH)


def evaluation_of(pipeline: PoemsPipeline, drawn: Drawn, scores: np.ndarray, step: int, each: int) -> Evaluation:
    """What poems `[B]` with their proxies `[B]` say of the policy that wrote them."""
    gold = np.array(pipeline.world.gold(drawn.prompts, drawn.texts), np.float64)
    best = np.argsort(-scores)[:6]
    return Evaluation(
        step=step,
        kl=float(drawn.log_ratios.mean()),
        gold=gold.reshape(-1, each).mean(1).tolist(),
        proxy=scores.reshape(-1, each).mean(1).tolist(),
        poems=[(drawn.prompts[i], drawn.texts[i], float(scores[i]), float(gold[i])) for i in best],
    )
