"""`foolsgold train rl` and `expert`: training on what the policy itself writes, from rewards of a command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foolsgold.audit.stopping import GoldStop, LookSettings
from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.objectives.kl import weighted_k3
from foolsgold.policies.generate import Sampling
from foolsgold.policies.hub import Policy
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.serving.alarm_watch import AlarmWatch, watchable
from foolsgold.serving.reward_specs import absolute_spec, load_rewards
from foolsgold.serving.train_settings import ExpertCommand, RLCommand
from foolsgold.serving.training_run import (
    TrainingRun,
    device_of,
    required,
    resumed,
    settled,
    shell,
    split,
    start_policy,
    width_of,
)
from foolsgold.training import datasets
from foolsgold.training.dataset_files import read_rows
from foolsgold.training.datasets import PromptRow
from foolsgold.training.expert_iteration import ExpertIterationSettings, expert_iteration
from foolsgold.training.kl_penalty import TERMS, KLSettings
from foolsgold.training.loop import Metrics
from foolsgold.training.optimiser import working_dtype
from foolsgold.training.policy_batches import Updates
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.ppo import PPOSettings, train_ppo, with_states
from foolsgold.training.rollouts import Rollouts, RolloutSettings, Scored, Task, derived_seed, draw_and_score
from foolsgold.training.sft import SFTSettings
from foolsgold.training.snapshots import Snapshots, evenly_spread

Evaluate = Callable[[int], Metrics]

KL_IN_REWARD = ("rloo", "reinforce++", "ppo")
"""Methods whose papers take the KL from the reward."""
SNAPSHOTS = "snapshots"
"""Folder of a run."""
GOLD = "gold"
"""Name of the reward that truly counts, and of the folder of a run that keeps looks at it."""
HELD_OUT_PROMPTS = 64
"""At most so many are evaluated on, each answered once."""
SAMPLES = "samples"
"""Folder of a run that keeps what the policy answered to the same held-out prompts at each evaluation."""
SHOWN = 20
"""Answers kept of an evaluation."""


def rl_command(settings: RLCommand) -> Path:
    """Reinforcement learning; returns the model's folder."""
    settings = with_absolute_rewards(resumed(settings, "rl"))
    given = _Given.read(settings)
    policy = given.policy
    if settings.algorithm == "ppo":
        with_states(policy.model)
    settings = settled(_settled_rl(settings), width=width_of(policy), base_rate=2e-6)
    rollouts = RolloutSettings(
        settings.batch,
        settings.samples,
        sampling_of(policy, settings),
        settings.mask_truncated,
        settings.truncated_reward,
        settings.refills or 0,
    )
    updates, kl = Updates(settings.passes, settings.minibatches, settings.micro_batch), kl_settings(settings)
    kept = evenly_spread(settings.steps or 0, settings.snapshots)
    looks, watched = looks_at_gold(given, settings), watchable(given.rewards, settings)
    with TrainingRun("rl", settings, [*given.shown, "kl", "length", "held_out_reward", "gold"]) as run:
        task, evaluate = (given if looks is None else given.without_gold()).tasks(run, settings)
        stop = None if looks is None else gold_stop(run, given, looks, evaluate)
        snapshots = snapshots_of(run, policy, kept)
        watch = None
        if watched is not None:
            watch = AlarmWatch(policy, task, watched, sampling_of(policy, settings), settings)

        def report(step: int, metrics: Metrics) -> None:
            snapshots.keep(step)
            run.report(step, metrics if watch is None else metrics | watch.readings(step))

        def before(step: int, rollouts: Rollouts) -> None:
            snapshots.keep(step - 1)  # where a run was killed after it saved that step and before it could report it
            if watch is not None:
                watch.inspect(step, rollouts)

        after = (run.checkpoints, report, stop or evaluate, before, None if watch is None else watch.reference)
        if settings.algorithm == "ppo":
            loop = train_ppo(policy.model, task, PPOSettings(run.loop, rollouts, updates, kl), *after)
        else:
            algorithm = ALGORITHMS[settings.algorithm]
            whole = PolicyGradientSettings(run.loop, rollouts, algorithm, updates, kl)
            loop = train_policy(policy.model, task, whole, *after)
        snapshots.keep(loop.step, last=True)
        if loop.stopped:
            run.say(loop.stopped)
        if stop is not None:
            if not loop.stopped:
                run.say("gold did not surely fall")
            run.say(f"the model is the policy of step {stop.restore()}, whose gold was highest")
        model = run.save(policy)
        run.finish(model, _generation(model, settings))
        run.say("audit: " + shell("foolsgold", "audit", run.folder.path))
    return model


def expert_command(settings: ExpertCommand) -> Path:
    """Expert iteration; returns the model's folder."""
    settings = with_absolute_rewards(resumed(settings, "expert"))
    given = _Given.read(settings)
    policy = given.policy
    settings = settled(settings, width=width_of(policy), base_rate=2e-5)
    kept = evenly_spread(settings.rounds, settings.snapshots)
    shown = ("reward", "best_reward", "kept", "loss", "held_out_reward")
    with TrainingRun("expert", settings, shown, settings.rounds, _rounds_done) as run:
        task, evaluate = given.tasks(run, settings)
        whole = ExpertIterationSettings(
            SFTSettings(run.loop, settings.batch, settings.micro_batch),
            settings.rounds,
            settings.prompts_a_round,
            settings.samples,
            sampling_of(policy, settings),
            settings.top,
            from_start=settings.from_start,
        )
        snapshots = snapshots_of(run, policy, kept)

        def report(number: int, metrics: Metrics) -> None:
            snapshots.keep(number)
            run.report(number, metrics)

        expert_iteration(policy.model, task, whole, run.checkpoints, report, evaluate)
        model = run.save(policy)
        run.finish(model, _generation(model, settings))
    return model


def _rounds_done(checkpoints: Path) -> int:
    return len(list(checkpoints.glob("round-*/done.json")))


@dataclass(frozen=True)
class _Given:
    """What a command line names: prompts, rewards, the policy."""

    kept: list[PromptRow]
    held_out: list[PromptRow]
    rewards: list[WeightedReward]
    policy: Policy

    @classmethod
    def read(cls, settings: Any) -> _Given:
        place = required(settings.prompts, "--prompts", "a file of rows with a column prompt")
        rows = datasets.prompts(read_rows(place))
        rewards = load_rewards(settings.reward, device_of(settings))
        policy = start_policy(settings)
        return cls(*split(rows, settings.held_out, settings.seed), rewards, policy)

    @property
    def shown(self) -> list[str]:
        """Metrics of the rewards."""
        return ["reward", *(f"reward/{each.name}" for each in self.rewards if len(self.rewards) > 1)]

    @property
    def gold(self) -> WeightedReward | None:
        """The reward that is only measured, under this name."""
        return next((each for each in self.rewards if each.name == GOLD and each.weight == 0), None)

    def without_gold(self) -> _Given:
        """The same but for gold, which is then not asked about what the policy is trained on."""
        return replace(self, rewards=[each for each in self.rewards if each is not self.gold])

    def tasks(self, run: TrainingRun, settings: Any) -> tuple[Task, Evaluate | None]:
        """What to train on, and an evaluation on held-out prompts, or None without any."""
        scorer = Scorer(self.rewards, settings.reward_time_limit, run.folder.path / "failures")
        task = Task(self.kept, scorer, self.policy.tokenizer)
        if not self.held_out:
            return task, None
        held_out = Task(self.held_out[:HELD_OUT_PROMPTS], scorer, self.policy.tokenizer)
        rows, seed = range(len(held_out.prompts)), derived_seed(settings.seed, 2**31)

        def evaluate(step: int) -> Metrics:
            drawn = draw_and_score(self.policy.model, held_out, rows, sampling_of(self.policy, settings), 1, seed)
            write_text(run.folder.path / SAMPLES / f"evaluation-{step:05}.json", json.dumps({"samples": _shown(drawn)}))
            means = {f"held_out_reward/{name}": mean for name, mean in drawn.scores.means.items()}
            total = drawn.scores.total
            return {"held_out_reward": float(total[total == total].mean()), **means}

        return task, evaluate


def _shown(drawn: Scored) -> list[dict[str, Any]]:
    """The first answers of an evaluation, each a row with its rewards."""
    scores, rows = drawn.scores, []
    for i in range(min(SHOWN, len(drawn.texts))):
        rewards = {"reward": scores.total[i], **dict(zip(scores.names, scores.components[:, i], strict=True))}
        known = {name: round(float(value), 4) for name, value in rewards.items() if value == value}
        rows.append({"prompt": drawn.prompts[i], "completion": drawn.texts[i], **known})
    return rows


def looks_at_gold(given: _Given, settings: RLCommand) -> LookSettings | None:
    """How gold is to be looked at; None without a budget for it.

    Raises:
      UserError: there is no gold, or too few held-out prompts or labels.
    """
    if settings.gold_budget is None:
        return None
    if given.gold is None:
        raise UserError("--gold-budget is for a reward that is only measured; give --reward gold=PLACE@0")
    if not given.held_out:
        raise UserError("--gold-budget measures gold on held-out prompts; give --held-out, such as 0.1")
    looks = LookSettings(settings.steps or 0, settings.gold_budget, settings.evaluate_every or 1, seed=settings.seed)
    looks.spacing(len(given.held_out[:HELD_OUT_PROMPTS]))
    return looks


def gold_stop(run: TrainingRun, given: _Given, looks: LookSettings, also: Evaluate | None) -> GoldStop:
    """What stops the run when gold falls, beside another evaluation."""
    assert given.gold is not None
    settings, policy = run.settings, given.policy
    failures = run.folder.path / "failures"
    scorer = Scorer([replace(given.gold, weight=1.0)], settings.reward_time_limit, failures)  # type: ignore[attr-defined]
    task, sampling = Task(given.held_out[:HELD_OUT_PROMPTS], scorer, policy.tokenizer), sampling_of(policy, settings)
    return GoldStop(policy.model, task, sampling, looks, run.folder.path / GOLD, also, policy.stop_tokens)


def snapshots_of(run: TrainingRun, policy: Policy, steps: frozenset[int]) -> Snapshots:
    """Of a run, in the number format that it computes with."""
    dtype = run.loop.dtype or working_dtype(policy.model.device)
    return Snapshots(run.folder.path / SNAPSHOTS, policy, steps, dtype)


def sampling_of(policy: Policy, settings: Any) -> Sampling:
    """How a policy is drawn from while it trains: from its whole distribution."""
    return Sampling(settings.max_new_tokens, settings.temperature, stop_tokens=policy.stop_tokens)


def kl_settings(settings: RLCommand) -> KLSettings:
    """Price of KL, which is measured also where it costs nothing."""
    if settings.kl_in == "reward":
        return KLSettings(in_reward=settings.kl, target=settings.kl_target, measure=True)
    term = TERMS["chi_squared"] if settings.kl_in == "chi-squared" else weighted_k3
    return KLSettings(in_loss=settings.kl, term=term, target=settings.kl_target, measure=True)


def with_absolute_rewards(settings: Any) -> Any:
    """Rewards that a resumed run finds from any folder."""
    return replace(settings, reward=tuple(map(absolute_spec, settings.reward)))


def _settled_rl(settings: RLCommand) -> RLCommand:
    kl_in = settings.kl_in
    if kl_in == "auto":
        kl_in = "reward" if settings.kl_target or settings.algorithm in KL_IN_REWARD else "loss"
    refills = settings.refills
    if refills is None:
        refills = 2 if settings.algorithm == "dapo" else 0
    return replace(settings, kl_in=kl_in, refills=refills)


def _generation(model: Path, settings: Any) -> str:
    return shell("foolsgold", "generate", "--model", model, "--prompts", settings.prompts)
