"""One run of the study `gaming`: RL on poems under a defence, gold and every alarm's reading at each evaluation.

A run is a process of its own with one thread, as other arms are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from foolsgold.audit.alarms import Alarms, Watched
from foolsgold.audit.latents import latents_of
from foolsgold.objectives.schedules import constant
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.rewards.defences import StartSamples, make_defended
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.text_reward_model import TextReward, encode_pairs, load_reward_model
from foolsgold.studies.gaming_trial import JUDGED, MEMBERS, TrialResult, keep_watched, watched_so_far
from foolsgold.studies.poem_arm import Drawn, Evaluation, drawn_poems, evaluation_of, standard_reward, ticking
from foolsgold.studies.poems_pipeline import PoemsPipeline, PoemsPlan, RewardFit
from foolsgold.studies.progress import Stages
from foolsgold.studies.standard_reward import StandardReward
from foolsgold.training.batches import pad_pairs
from foolsgold.training.datasets import PromptRow
from foolsgold.training.kl_penalty import TERMS, KLSettings
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.repair import Answers, Candidates, Pairs, draw_candidates, joined, repair
from foolsgold.training.rollouts import RolloutSettings, Task, derived_seed

Defence = Literal[
    "none", "mean", "worst", "uncertainty", "warm", "worst of parts", "length-free", "capped", "shaped", "kl", "chi2",
    "repair",
]  # fmt: skip
EVALUATED_PROMPTS, POEMS_EACH = 128, 2
ROUNDS, LABELS_A_ROUND = 3, 500
"""Of repair: it asks for so many more comparisons, on the way."""


@dataclass(frozen=True)
class Trial:
    """What sets a run apart."""

    name: str
    defence: Defence
    comparisons: int
    layers: int
    steps: int
    evaluate_every: int
    raters: Literal["readers", "critic"] = "readers"
    method: str = "rloo"
    price: float = 0.0
    """Of the defences kl (a nat, in standard deviations of the proxy) and chi2."""
    seed: int = 0
    """Also which comparisons are read."""
    prompts: int = 16
    samples: int = 8
    learning_rate: float = 1e-4

    @property
    def group(self) -> str:
        """Runs of one group follow reward models fitted to the same comparisons."""
        return f"{self.raters}-{self.comparisons}-{self.layers}-{self.seed}"

    @property
    def setting(self) -> str:
        """Defences are compared on runs of one setting, that of the first run."""
        return f"{self.raters}-{self.layers}-{self.method}-{self.learning_rate:g}"

    @property
    def fits(self) -> list[RewardFit]:
        """The members, the first alone being what no defence follows."""
        first = self.seed * self.comparisons
        return [
            RewardFit(self.comparisons, self.layers, first, 100 * self.seed + member, self.raters)
            for member in range(MEMBERS)
        ]

    @property
    def own_fits(self) -> list[RewardFit]:
        """Of the reward models that only this defence needs."""
        usual = self.fits[0]
        if self.defence == "length-free":
            return [replace(usual, length_free=True)]
        if self.defence == "worst of parts":
            part = self.comparisons // MEMBERS
            return [replace(usual, comparisons=part, first=usual.first + k * part) for k in range(MEMBERS)]
        return []


def fit_reward_model(plan: PoemsPlan, fit: RewardFit, folder: Path, created: datetime) -> None:
    """Fit a reward model where it is not there yet; called in a process of its own."""
    torch.set_num_threads(1)
    with Stages(quiet=True) as stages:
        PoemsPipeline(plan, folder, stages, created).fitted_reward(fit, lambda done, of: None)


def run_trial(plan: PoemsPlan, trial: Trial, folder: Path, created: datetime) -> Path:
    """Run or resume a trial of the run in `folder`; returns where its result lies."""
    torch.set_num_threads(1)
    here = folder / "arms" / trial.name
    result = here / "result.json"
    if not result.exists():
        tick = ticking(here)("RL")
        with Stages(quiet=True) as stages:
            found = _Trial(PoemsPipeline(plan, folder, stages, created), trial, here, tick).run()
        found.write(result)
    return result


class _Trial:
    """A trial at work."""

    def __init__(self, pipeline: PoemsPipeline, trial: Trial, here: Path, tick: Callable[[int, int], None]):
        self.pipeline, self.trial, self.here, self.tick = pipeline, trial, here, tick
        self.members = [self._reward(fit) for fit in trial.fits]
        self.policy = pipeline.finetuned()
        self.start = StartSamples(*pipeline.some_poems(4))
        self.first = standard_reward(pipeline, self.members[0])
        self.alarms = Alarms.of(self._watched_start(), EVALUATED_PROMPTS * POEMS_EACH, seed=pipeline.plan.seed)

    def run(self) -> TrialResult:
        trial = self.trial
        if trial.defence == "repair":
            labels = self._repair()
        else:
            self._reinforce(standard_reward(self.pipeline, self._defended()), 0, trial.steps, self.here / "policy")
            labels = JUDGED if trial.defence == "capped" else 0
        truly = self.pipeline.accuracy(self.members[0].model)[1]  # type: ignore[arg-type]
        return TrialResult(
            trial,
            *watched_so_far(self.here),
            labels,
            float(truly.mean()),
            len(truly),
        )

    def _reward(self, fit: RewardFit) -> TextReward:
        return self.pipeline.reward(self.pipeline.fitted_reward(fit, lambda done, of: None))

    def _defended(self) -> Any:
        """What the policy is to follow."""
        trial = self.trial
        own = [self._reward(fit) for fit in trial.own_fits]
        if trial.defence == "length-free":
            return own[0]
        if trial.defence == "worst of parts":
            return make_defended(own, "worst", self.start)
        if trial.defence in ("kl", "chi2"):
            return self.members[0]
        prompts, texts, gold = self.pipeline.some_poems(4)
        judged = np.random.default_rng([self.pipeline.plan.seed, 51]).permutation(len(gold))[:JUDGED]
        known = np.full(len(gold), np.nan)
        known[judged] = gold[judged]
        return make_defended(self.members, trial.defence, StartSamples(prompts, texts, known))

    def _reinforce(self, proxy: StandardReward, done: int, steps: int, folder: Path) -> None:
        """`steps` more steps of RL after `done`, the policy being trained in place."""
        trial, pipeline = self.trial, self.pipeline
        rewards = [WeightedReward(proxy, 1.0, "proxy")]
        rows = [PromptRow(prompt, {}) for prompt in pipeline.prompts]
        task = Task(rows, Scorer(rewards, None, self.here / "failures"), pipeline.tokenizer)
        seed = derived_seed(pipeline.plan.seed, 60, trial.seed, done)
        kl = {
            "kl": KLSettings(in_reward=trial.price, measure=True),
            "chi2": KLSettings(in_loss=trial.price, term=TERMS["chi_squared"], measure=True),
        }
        settings = PolicyGradientSettings(
            LoopSettings(steps, AdamWSettings(trial.learning_rate), constant, 20, trial.evaluate_every, seed),
            RolloutSettings(trial.prompts, trial.samples, pipeline.sampling),
            ALGORITHMS[trial.method],
            kl=kl.get(trial.defence, KLSettings()),
        )

        def evaluate(step: int) -> dict[str, float]:
            if not (done and step == 0):  # measured already, at the end of the steps before
                keep_watched(self.here, *self._evaluation(proxy, done + step))
            return {}

        reference = pipeline.finetuned() if done else None
        report = lambda step, metrics: self.tick(done + step, trial.steps)  # noqa: E731
        train_policy(self.policy, task, settings, folder, report, evaluate, reference=reference)

    def _evaluation(self, proxy: StandardReward, step: int) -> tuple[Evaluation, dict[str, float]]:
        drawn = drawn_poems(self.pipeline, self.policy, step, EVALUATED_PROMPTS, POEMS_EACH)
        scores = np.array(proxy(drawn.prompts, drawn.texts), np.float64)
        evaluation = evaluation_of(self.pipeline, drawn, scores, step, POEMS_EACH)
        return evaluation, {**self.alarms.read(self._watched(drawn)), "kl": evaluation.kl, "step": float(step)}

    def _watched(self, drawn: Drawn) -> Watched:
        """As the first reward model and the other members see it, whatever the policy follows."""
        return Watched(
            proxy=np.array(self.first(drawn.prompts, drawn.texts), np.float64),
            texts=drawn.texts,
            lengths=drawn.lengths,
            log_probs=drawn.log_probs / drawn.lengths,
            log_ratios=drawn.log_ratios,
            members=np.array([member(drawn.prompts, drawn.texts) for member in self.members]),
            latents=latents_of(self.members[0], drawn.prompts, drawn.texts),
            groups=np.unique(drawn.prompts, return_inverse=True)[1],
        )

    def _watched_start(self) -> Watched:
        """The finetuned policy's poems, of prompts in turn."""
        pipeline = self.pipeline
        prompts, texts, _ = pipeline.some_poems(4)
        batch = pad_pairs(encode_pairs(pipeline.tokenizer, prompts, texts), 0)
        with torch.no_grad():
            said = torch.cat([
                token_log_probs(pipeline.policy, batch.tokens[i : i + 128], batch.completion_mask[i : i + 128]).sum(1)
                for i in range(0, len(texts), 128)
            ])  # fmt: skip
        lengths = (batch.lengths - batch.prompt_lengths).numpy()
        zeros = np.zeros(len(texts))
        return self._watched(Drawn(prompts, texts, said.double().numpy(), zeros, lengths))

    def _repair(self) -> int:
        """RL in equal parts, before each of which but the first readers are asked about what the policy writes."""
        trial, pipeline, plan = self.trial, self.pipeline, self.pipeline.plan
        part = trial.steps // (ROUNDS + 1) // trial.evaluate_every * trial.evaluate_every
        readers = pipeline.world.readers(plan.readers, plan.seed)
        first = plan.held_out + trial.fits[0].first
        old = pipeline.judged.rows(first, first + trial.comparisons, pipeline.tokenizer)
        self._reinforce(self.first, 0, part, self.here / "policy")

        def draw(number: int) -> Candidates:
            prompts = pipeline.prompts[:: max(1, len(pipeline.prompts) // 128)]
            seed = derived_seed(plan.seed, 61, trial.seed, number)
            return draw_candidates(
                self.policy, pipeline.policy, pipeline.tokenizer, prompts, pipeline.sampling, POEMS_EACH * 4, seed
            )

        def compare(pairs: Pairs, number: int) -> Sequence[float]:
            said, _ = readers.compare(pairs.prompts, pairs.a, pairs.b, plan.seed + 62 + number)
            return [float(yes) for yes in said]

        def fit(answers: Answers, number: int, here: Path | None) -> Any:
            assert here is not None
            path = here / "model"
            if not (path / "config.json").exists():
                rows = joined(old, answers.encode(pipeline.tokenizer))
                order = trial.fits[0].order
                pipeline.fit_reward(rows, trial.layers, order, here / "fit").save(path, pipeline.tokenizer)
            return standard_reward(pipeline, pipeline.reward(load_reward_model(path)))  # type: ignore[arg-type]

        def train(reward: Any, number: int, here: Path | None) -> None:
            assert here is not None
            steps = part if number < ROUNDS else trial.steps - number * part
            self._reinforce(reward, number * part, steps, here / "policy")

        repair(draw, compare, fit, train, self.first, ROUNDS, LABELS_A_ROUND, seed=trial.seed, folder=self.here)
        return ROUNDS * LABELS_A_ROUND


def check(trial: Trial) -> None:
    """Refuse what would only fail an hour later.

    Raises:
      ValueError: an unknown defence or method, or a price that the defence has no use for.
    """
    if trial.defence not in get_args(Defence) or trial.method not in ALGORITHMS:
        raise ValueError(f"{trial.name}: defence {trial.defence!r}, method {trial.method!r}")
    if (trial.price > 0) != (trial.defence in ("kl", "chi2")):
        raise ValueError(f"{trial.name}: a price of {trial.price} under the defence {trial.defence!r}")
