"""One arm of the study `real_rl`: RL on one reward, with what verifier and reward model say on the way.

An arm is a process of its own with one thread, so that arms run side by side and each gives the same numbers again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from foolsgold.environments.problems import Problem
from foolsgold.files import write_text
from foolsgold.objectives.schedules import constant
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.verifiers.verdict import VerifierReward
from foolsgold.studies.poem_arm import ticking
from foolsgold.studies.progress import Stages
from foolsgold.studies.real_rl_pipeline import Answers, ProblemsPipeline, ProblemsPlan
from foolsgold.studies.real_rl_price import price_for
from foolsgold.training.batches import pad_pairs
from foolsgold.training.datasets import PromptRow
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import LoopSettings, Metrics
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings, Task, derived_seed

Payer = Literal["verifier", "reviewers"]

TEST_PROBLEMS, TEST_ANSWERS = 200, 3
TRAIN_PROBLEMS, TRAIN_ANSWERS = 100, 1
POOL_ANSWERS = 16
"""Answers to each test problem from the policies at the start and at the end."""
QUOTED = 6


@dataclass(frozen=True)
class Arm:
    """What sets an arm apart."""

    name: str
    reward: Payer
    """Who pays: the verifier, or the reward model fitted to what reviewers said."""
    steps: int
    evaluate_every: int
    """Steps; see `looks`."""
    method: str = "grpo"
    """See `ALGORITHMS`."""
    partial: bool = False
    """The verifier pays the share of checks passed, too."""
    prompts: int = 16
    """Problems of a step."""
    samples: int = 8
    """Answers a problem."""
    learning_rate: float = 1e-4
    kl_budget: float | None = None
    """Nats from the start that the price on KL is set for, see `kl_price`; None: KL costs nothing."""

    def paid_by(self, reward: Payer) -> Arm:
        """The same arm on another reward."""
        return replace(self, name=reward, reward=reward)

    def priced(self, nats: float) -> Arm:
        """The same arm with a price on KL."""
        return replace(self, name=f"{self.name}-kl", kl_budget=nats)

    @property
    def looks(self) -> frozenset[int]:
        """Steps after which the policy is measured: the doublings first, as a reward model may be gamed at once."""
        every = self.evaluate_every
        early = {2**k for k in range(every.bit_length()) if 4 * 2**k <= 3 * every}
        return frozenset({0, self.steps, *early, *range(0, self.steps, every)})


@dataclass(frozen=True)
class Shown:
    """An answer to be quoted."""

    prompt: str
    text: str
    outcome: str
    detail: str
    proxy: float
    """In standard deviations over the finetuned policy's answers."""


@dataclass(frozen=True)
class Evaluation:
    """The policy after some steps, on fixed problems."""

    step: int
    kl: float
    """Nats from the finetuned policy, mean over answers to test problems of the log ratio."""
    sampled: list[float]
    """`[P]`, share of the answers to each test problem that pass."""
    greedy: list[float]
    """`[P]`, whether the likeliest answer passes."""
    train: list[float]
    """`[Q]`, as `sampled`, on problems of the training families."""
    proxy: list[float]
    """`[P]`, mean over each test problem's answers, in standard deviations of the finetuned policy's answers."""
    outcomes: dict[str, float]
    """Share of each outcome among sampled answers to test problems."""
    entropy: float
    """Nats a token of the sampled answers."""
    likeliest: list[Shown]
    """The greedy answers to the test problems, in their order."""
    loved: list[Shown]
    """Sampled answers that the verifier rejects, those that the reward model likes best."""


@dataclass(frozen=True)
class PoolOfAnswers:
    """S answers to each of P test problems."""

    passed: np.ndarray
    """bool `[P, S]`"""
    proxy: np.ndarray
    """float64 `[P, S]`"""
    same: np.ndarray
    """int64 `[P, S]`, number of the answer's text: equal numbers in a row are equal texts."""

    @classmethod
    def of(cls, answers: Answers, proxy: np.ndarray) -> PoolOfAnswers:
        """`proxy`: float `[P S]`."""
        shape = -1, answers.samples
        same = np.unique([text.strip() for text in answers.texts], return_inverse=True)[1]
        return cls(answers.passed, proxy.reshape(shape), same.reshape(shape))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PoolOfAnswers:
        return cls(np.array(data["passed"], bool), np.array(data["proxy"], float), np.array(data["same"], np.int64))

    def to_json(self) -> dict[str, Any]:
        return {name: values.tolist() for name, values in vars(self).items()}


@dataclass(frozen=True)
class ArmResult:
    """What came out of an arm."""

    arm: Arm
    evaluations: list[Evaluation]
    """From the start to the end."""
    end: PoolOfAnswers
    price: float = 0.0
    """Of KL, in standard deviations of the proxy a nat; 0: none."""

    @property
    def steps(self) -> np.ndarray:
        """`[K]`"""
        return np.array([each.step for each in self.evaluations])

    @property
    def kl(self) -> np.ndarray:
        """`[K]`, nats."""
        return np.array([each.kl for each in self.evaluations])

    @property
    def sampled(self) -> np.ndarray:
        """`[P, K]`"""
        return np.array([each.sampled for each in self.evaluations]).T

    @property
    def greedy(self) -> np.ndarray:
        """`[P, K]`"""
        return np.array([each.greedy for each in self.evaluations]).T

    @property
    def train(self) -> np.ndarray:
        """`[Q, K]`"""
        return np.array([each.train for each in self.evaluations]).T

    @property
    def proxy(self) -> np.ndarray:
        """`[P, K]`"""
        return np.array([each.proxy for each in self.evaluations]).T

    def write(self, path: Path) -> None:
        evaluations = [asdict(each) for each in self.evaluations]
        found = {"arm": asdict(self.arm), "evaluations": evaluations, "end": self.end.to_json(), "price": self.price}
        write_text(path, json.dumps(found))

    @classmethod
    def read(cls, path: Path) -> ArmResult:
        data = json.loads(path.read_text(encoding="utf-8"))
        evaluations = [_evaluation(each) for each in data["evaluations"]]
        return cls(Arm(**data["arm"]), evaluations, PoolOfAnswers.from_json(data["end"]), data["price"])


def _evaluation(data: dict[str, Any]) -> Evaluation:
    shown = {name: [Shown(**each) for each in data[name]] for name in ("likeliest", "loved")}
    return Evaluation(**{**data, **shown})


def run_arm(plan: ProblemsPlan, arm: Arm, folder: Path, created: datetime) -> Path:
    """Run or resume an arm of the run in `folder`; returns where its result lies. Called in a process of its own."""
    torch.set_num_threads(1)
    here = folder / "arms" / arm.name
    tick = ticking(here)("RL")
    result = here / "result.json"
    if not result.exists():
        with Stages(quiet=True) as stages:
            _reinforce(ProblemsPipeline(plan, folder, stages, created), arm, here, tick).write(result)
    return result


def _reinforce(pipeline: ProblemsPipeline, arm: Arm, here: Path, tick: Callable[[int, int], None]) -> ArmResult:
    plan, policy = pipeline.plan, pipeline.finetuned()
    paid = VerifierReward(pipeline.verifier, arm.partial) if arm.reward == "verifier" else pipeline.proxy
    rows = [PromptRow(each.prompt, each.columns) for each in pipeline.problems("train", plan.problems, 3)]
    price = 0.0 if arm.kl_budget is None else price_for(pipeline, arm.kl_budget)
    scorer = Scorer([WeightedReward(paid, 1.0, arm.reward)], time_limit_s=None, failures=here / "failures")
    settings = PolicyGradientSettings(
        LoopSettings(
            arm.steps,
            AdamWSettings(arm.learning_rate),
            constant,
            save_every=20,
            evaluate_every=1,  # and only where the arm looks
            seed=plan.seed + 6,
        ),
        RolloutSettings(arm.prompts, arm.samples, pipeline.sampling),
        ALGORITHMS[arm.method],
        kl=KLSettings(in_reward=price),
    )
    tested = tested_problems(pipeline)
    trained = pipeline.problems("train", TRAIN_PROBLEMS, 8)

    def evaluate(step: int) -> Metrics:
        if step in arm.looks:
            found = evaluate_policy(pipeline, policy, tested, trained, step)
            write_text(here / f"evaluation-{step:05}.json", json.dumps(asdict(found)))
        return {}

    task = Task(rows, scorer, pipeline.tokenizer)
    train_policy(policy, task, settings, here / "policy", lambda step, _: tick(step, arm.steps), evaluate)
    # In the order of steps, those of a killed attempt overwritten by the same numbers.
    evaluations = [_evaluation(json.loads(path.read_text())) for path in sorted(here.glob("evaluation-*.json"))]
    return ArmResult(arm, evaluations, pool_of(pipeline, policy, tested), price)


def tested_problems(pipeline: ProblemsPipeline) -> list[Problem]:
    """Of families that training never shows."""
    return pipeline.problems("test", TEST_PROBLEMS, 7)


def pool_of(pipeline: ProblemsPipeline, policy: Any, problems: Sequence[Problem]) -> PoolOfAnswers:
    """Many answers of a policy to each problem."""
    answers = pipeline.answer(policy, problems, POOL_ANSWERS, derived_seed(pipeline.plan.seed, 10))
    return PoolOfAnswers.of(answers, np.array(pipeline.proxy(answers.prompts, answers.texts), float))


def evaluate_policy(
    pipeline: ProblemsPipeline, policy: Any, tested: Sequence[Problem], trained: Sequence[Problem], step: int
) -> Evaluation:
    """All that is measured on the way."""
    seed = pipeline.plan.seed
    sampled = pipeline.answer(policy, tested, TEST_ANSWERS, derived_seed(seed, 9, step))
    greedy = pipeline.answer(policy, tested, 1, 0, greedy=True)
    train = pipeline.answer(policy, trained, TRAIN_ANSWERS, derived_seed(seed, 9, step, 1))
    proxy = np.array(pipeline.proxy(sampled.prompts, sampled.texts), float)
    drawn = sampled.drawn
    batch = pad_pairs(list(zip(drawn.prompts, drawn.completions(), strict=True)), 0)
    before = torch.cat([
        token_log_probs(pipeline.policy, batch.tokens[i : i + 128], batch.completion_mask[i : i + 128]).sum(1)
        for i in range(0, len(batch.tokens), 128)
    ])  # fmt: skip
    counts = Counter(each.outcome for each in sampled.verdicts)
    rejected = [i for i in np.argsort(-proxy, kind="stable") if sampled.verdicts[i].outcome != "passed"]
    one_each = {sampled.prompts[i]: i for i in reversed(rejected)}
    loved = sorted(one_each.values(), key=lambda i: -proxy[i])[:QUOTED]
    return Evaluation(
        step=step,
        kl=float((drawn.log_probs.sum(1) - before).mean()),
        sampled=sampled.passed.mean(1).tolist(),
        greedy=greedy.passed[:, 0].astype(float).tolist(),
        train=train.passed.mean(1).tolist(),
        proxy=proxy.reshape(-1, TEST_ANSWERS).mean(1).tolist(),
        outcomes={name: count / len(sampled.verdicts) for name, count in sorted(counts.items())},
        entropy=float(-drawn.log_probs.sum() / drawn.lengths.sum()),
        likeliest=_shown(greedy, np.array(pipeline.proxy(greedy.prompts, greedy.texts), float), range(len(tested))),
        loved=_shown(sampled, proxy, loved),
    )


def _shown(answers: Answers, proxy: np.ndarray, rows: Sequence[int]) -> list[Shown]:
    return [
        Shown(
            answers.prompts[i],
            answers.texts[i],
            answers.verdicts[i].outcome,
            answers.verdicts[i].detail,
            float(proxy[i]),
        )
        for i in rows
    ]
