"""Expert iteration: draw, keep the best by reward, finetune on them, and again (rejection sampling finetuning).

The expert is the policy itself with n tries; what it finds, the policy learns to do at once. Rewards only choose here:
their size has no effect beyond the order.

Source: Anthony et al. 2017; for language models Zelikman et al. 2022 (STaR), Gulcehre et al. 2023 (ReST).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.policies.hub import LanguageModel
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.protocol import TrainerState
from foolsgold.training.batches import batch_indices
from foolsgold.training.loop import Metrics
from foolsgold.training.rollouts import Scored, Task, derived_seed, draw_and_score, frozen_copy
from foolsgold.training.sft import SFTSettings, sft


@dataclass(frozen=True)
class ExpertIterationSettings:
    """Of one run.

    Raises:
      UserError: a value is out of its range, or everything would be kept.
    """

    sft: SFTSettings
    """Of each round; its steps are those of one round, and its seed that of the whole run."""
    rounds: int = 3
    prompts: int = 0
    """Prompts a round; 0: all."""
    samples: int = 16
    """Completions drawn of each."""
    sampling: Sampling = Sampling()
    top: int = 1
    """Most completions kept of a prompt, the best first, equal ones once; 0: all that reach the threshold."""
    threshold: float = -math.inf
    """Least reward that is kept."""
    from_start: bool = True
    """Each round finetunes the weights of the start (STaR), so that errors do not add up; else the last round's."""
    rows: int = 512
    """Completions drawn at once; another number draws others."""

    def __post_init__(self) -> None:
        if min(self.rounds, self.samples, self.rows) < 1 or min(self.prompts, self.top) < 0:
            raise UserError(f"rounds, samples and rows are at least 1, prompts and top at least 0, not {self}")
        if self.top == 0 and self.threshold == -math.inf:
            raise UserError("top 0 without a threshold keeps everything, and teaches nothing; give one of them")


@dataclass(frozen=True)
class Kept:
    """A completion to be imitated."""

    prompt: list[int]
    completion: list[int]
    text: str
    reward: float


def expert_iteration(
    policy: LanguageModel,
    task: Task,
    settings: ExpertIterationSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda number, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
) -> None:
    """Train `policy` in place; it comes back in float32.

    Args:
      policy: the start, also where a run is taken up again.
      folder: keeps each round's completions (`round-01/kept.json`) and state; a killed run goes on in its round.
      report: is told of every finished round, from 1: means of the reward over what was drawn, over each prompt's best
        and over what was kept, how many were kept, the last loss.
      evaluate: measures the policy after a round, and at the start as round 0; joins its metrics.

    Raises:
      UserError: a round keeps nothing, or a loss is not finite.
      RewardFailure: a reward failed; its batch is on disk.
    """
    start = {name: value.detach().clone() for name, value in policy.named_parameters() if value.requires_grad}
    places = [None if folder is None else Path(folder) / f"round-{i + 1:02}" for i in range(settings.rounds)]
    done = sum(place is not None and (place / "done.json").exists() for place in places)
    if done:
        found = _found(policy, task, settings, done - 1, places[done - 1])
        _imitate(policy, found, settings, done - 1, places[done - 1])  # no steps are left: takes up the weights
    elif evaluate is not None:
        report(0, evaluate(0))
    for number in range(done, settings.rounds):
        place, began = places[number], time.perf_counter()
        found = _found(policy, task, settings, number, place)
        if settings.from_start:
            policy.load_state_dict(start, strict=False)  # only what is trained
        loss = _imitate(policy, found, settings, number, place)
        metrics = {**found.metrics, "loss": loss, "seconds": time.perf_counter() - began}
        report(number + 1, metrics if evaluate is None else metrics | evaluate(number + 1))
        if place is not None:
            write_text(place / "done.json", json.dumps(metrics))


def best_of(drawn: Scored, samples: int, top: int, threshold: float) -> list[Kept]:
    """Which completions to imitate, by prompt, the best first; see `ExpertIterationSettings` for `top` and `threshold`.

    Completions that were cut off are left out where others ended by themselves: they would teach not to end.

    Args:
      drawn: `samples` completions of each prompt.
    """
    rewards, completions = drawn.scores.total, drawn.samples.completions()
    whole = drawn.samples.stopped if drawn.samples.stopped.any() else torch.ones_like(drawn.samples.stopped)
    kept = []
    for first in range(0, len(rewards), samples):
        rows = [row for row in range(first, first + samples) if whole[row] and rewards[row] >= threshold]  # NaN is not
        rows.sort(key=lambda row: -rewards[row])
        distinct: dict[tuple[int, ...], int] = {}
        for row in rows:
            distinct.setdefault(tuple(completions[row]), row)
        kept += [
            Kept(drawn.samples.prompts[row], completions[row], drawn.texts[row], float(rewards[row]))
            for row in list(distinct.values())[: top or None]
        ]
    return kept


@dataclass(frozen=True)
class _Found:
    """What a round imitates."""

    kept: list[Kept]
    metrics: Metrics


def _found(
    policy: LanguageModel, task: Task, settings: ExpertIterationSettings, number: int, place: Path | None
) -> _Found:
    """Round `number`'s completions, from 0: from its folder where it has them, else drawn now."""
    path = None if place is None else place / "kept.json"
    if path is not None and path.exists():
        saved = json.loads(path.read_text(encoding="utf-8"))
        return _Found([Kept(**each) for each in saved["kept"]], saved["metrics"])
    found = _drawn(frozen_copy(policy, settings.sft.loop.dtype), task, settings, number)
    if not found.kept:
        raise UserError(f"round {number + 1} keeps no completion; lower the threshold or draw more samples")
    if path is not None:
        write_text(path, json.dumps({"kept": [asdict(each) for each in found.kept], "metrics": found.metrics}))
    return found


def _drawn(policy: LanguageModel, task: Task, settings: ExpertIterationSettings, number: int) -> _Found:
    seed, count = settings.sft.loop.seed, settings.prompts or len(task.prompts)
    prompts = batch_indices(len(task.prompts), count, number, seed).tolist()
    together = max(1, settings.rows // settings.samples)
    kept: list[Kept] = []
    rewards = []
    for first in range(0, count, together):
        drawn = draw_and_score(
            policy,
            task,
            prompts[first : first + together],
            settings.sampling,
            settings.samples,
            derived_seed(seed, number, first),
            TrainerState(number, settings.rounds, float(number)),
        )
        kept += best_of(drawn, settings.samples, settings.top, settings.threshold)
        rewards.append(drawn.scores.total.reshape(-1, settings.samples))
    drawn_rewards = np.concatenate(rewards)
    scored = drawn_rewards[~np.isnan(drawn_rewards).all(1)]
    metrics = {
        "reward": float(np.nanmean(scored)) if len(scored) else math.nan,
        "best_reward": float(np.nanmax(scored, 1).mean()) if len(scored) else math.nan,
        "kept_reward": float(np.mean([each.reward for each in kept])) if kept else math.nan,
        "kept": float(len(kept)),
    }
    return _Found(kept, metrics)


def _imitate(
    policy: LanguageModel, found: _Found, settings: ExpertIterationSettings, number: int, place: Path | None
) -> float:
    """Finetune on what was found; returns the last step's loss, NaN where none was left to do."""
    losses = [math.nan]
    loop = replace(settings.sft.loop, seed=derived_seed(settings.sft.loop.seed, number))
    sft(
        policy,
        [(each.prompt, each.completion) for each in found.kept],
        replace(settings.sft, loop=loop),
        None if place is None else place / "sft",
        lambda step, metrics: losses.append(metrics["loss"]),
    )
    return losses[-1]
