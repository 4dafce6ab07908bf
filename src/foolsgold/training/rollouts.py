"""Rollouts: completions that the policy itself draws for a step's prompts, and the rewards they get.

Letters: N prompts, G completions of each (a group), B = N G rows in prompt order, T tokens of the longest row.

Prompts and random numbers of a step follow from the seed and the step's number, so the same weights give the same
rollouts again after a kill. Log-probabilities come from the sampler: no second forward is made for them.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.errors import UserError
from foolsgold.policies.generate import Samples
from foolsgold.policies.hub import LanguageModel, sample
from foolsgold.policies.messages import Text
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import encode_prompt
from foolsgold.rewards.protocol import TrainerState
from foolsgold.rewards.scoring import Scorer, Scores
from foolsgold.training.batches import PaddedBatch, batch_indices, pad_pairs
from foolsgold.training.datasets import PromptRow, keyword_lists
from foolsgold.training.optimiser import working_dtype

Model = TypeVar("Model", bound=LanguageModel)


@dataclass(frozen=True)
class Task:
    """What a policy is trained on: prompts, and the rewards that its completions get.

    Raises:
      UserError: there are no prompts, or one has no tokens.
    """

    prompts: Sequence[PromptRow]
    scorer: Scorer
    tokenizer: PreTrainedTokenizerBase

    def __post_init__(self) -> None:
        if not self.prompts:
            raise UserError("there are no prompts; give at least one")
        empty = next((i for i, ids in enumerate(self.ids, start=1) if not ids), None)
        if empty is not None:
            raise UserError(f"prompt {empty} has no tokens; a completion needs something to follow")

    @cached_property
    def ids(self) -> list[list[int]]:
        """Tokens of each prompt."""
        return [encode_prompt(self.tokenizer, row.prompt) for row in self.prompts]


@dataclass(frozen=True)
class RolloutSettings:
    """What is drawn in a step.

    Raises:
      UserError: a value that nothing can be learned with.
    """

    prompts: int = 16
    """N, prompts a step."""
    samples: int = 8
    """G, completions a prompt."""
    sampling: Sampling = Sampling()
    """Rows end with its stop tokens; without any, each has `max_new_tokens`."""
    mask_truncated: bool = False
    """Completions that were cut off do not train, but count in their group's mean (overlong filtering; Yu et al. 2025,
    section 3.4)."""
    truncated_reward: float | None = None
    """Reward of a completion that was cut off, in place of its own; None leaves its own."""
    refills: int = 0
    """How often groups whose rewards are all equal, and which teach nothing, are left out and as many others drawn
    (dynamic sampling; Yu et al. 2025, section 3.2); 0: they stay."""

    def __post_init__(self) -> None:
        if self.prompts < 1 or self.samples < 1 or self.refills < 0:
            raise UserError(f"prompts >= 1, samples >= 1 and refills >= 0, not {self}")
        if self.sampling.temperature == 0:
            raise UserError("at temperature 0 all completions of a prompt are the same; train at 1")
        if self.mask_truncated and not (self.sampling.stop_tokens or self.sampling.stop_strings):
            raise UserError("mask_truncated leaves nothing to train on where nothing can end; give stop_tokens")


@dataclass(frozen=True)
class Rollouts:
    """What one step drew; all tensors are on the CPU."""

    prompts: list[Text]
    """`[B]`"""
    texts: list[str]
    """`[B]`, completions without special tokens."""
    batch: PaddedBatch
    """Prompts and completions as tokens `[B, T]`; its `completion_mask` `[B, T-1]` is aligned with the targets."""
    log_probs: torch.Tensor
    """`[B, T-1]`, float32, nats, of the policy that drew them at its temperature; 0 outside the mask."""
    rewards: torch.Tensor
    """`[N, G]`, float32, NaN where no reward applied."""
    components: dict[str, torch.Tensor]
    """Each reward by itself before weighting, `[N, G]`, float32, NaN where it did not apply."""
    stopped: torch.Tensor
    """`[B]`, bool, whether a row ended by itself; else it was cut off."""
    trained: torch.Tensor
    """`[B]`, bool, rows that may be learned from: with a reward, and left by `mask_truncated` and `refills`."""
    logged: dict[str, float] = field(default_factory=dict)
    """Means of what rewards logged as metrics."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What generation and scoring took."""

    @cached_property
    def mask(self) -> torch.Tensor:
        """`[B, T-1]`, bool, targets that the policy drew."""
        return self.batch.completion_mask

    @property
    def lengths(self) -> torch.Tensor:
        """`[B]`, int64, tokens of each completion, the stop token counted."""
        return self.batch.lengths - self.batch.prompt_lengths

    def metrics(self) -> dict[str, float]:
        """Figures over all that was drawn, also over what does not train."""
        rewards = self.rewards[~self.rewards.isnan()]
        return {
            "reward": float(rewards.mean()),
            "reward_std": float((rewards - rewards.mean()).square().mean().sqrt()),
            **{f"reward/{name}": float(values.nanmean()) for name, values in self.components.items()},
            **self.logged,
            "groups_that_teach": float(unequal(self.rewards).float().mean()),
            "trained": float(self.trained.float().mean()),
            "length": float(self.lengths.float().mean()),
            "stopped": float(self.stopped.float().mean()),
            "entropy": float(-self.log_probs.sum() / self.mask.sum()),
            **{f"seconds/{name}": value for name, value in self.seconds.items()},
        }


def derived_seed(*numbers: int) -> int:
    """A seed for what the numbers name, such as (seed, step): unlike any other's, the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def frozen_copy(model: Model, dtype: torch.dtype | None = None) -> Model:
    """A copy that no training changes, its weights in `dtype`, the fastest where None; buffers keep theirs.

    Weights that are frozen already and of that type, as those under a LoRA adapter, are shared and take no memory.
    """
    dtype = dtype or working_dtype(model.device)
    shared = {id(p): p for p in model.parameters() if not p.requires_grad and p.dtype == dtype}
    copied = copy.deepcopy(model, shared)
    copied.eval().requires_grad_(False)
    for parameter in copied.parameters():
        parameter.data = parameter.data.to(dtype)
    return copied


def roll_out(
    policy: LanguageModel, task: Task, settings: RolloutSettings, seed: int, step: int, max_steps: int = 0
) -> Rollouts:
    """Draw and score the completions of step `step`, from 0.

    Args:
      max_steps: steps planned, for rewards that ask.

    Raises:
      RewardFailure: a reward raised, ran out of time or returned no rewards; its batch is on disk.
    """
    state = TrainerState(step, max_steps, step * settings.prompts / len(task.prompts))
    parts: list[Scored] = []
    missing = settings.prompts
    for attempt in range(settings.refills + 1):
        # Each attempt has its own place in the order of prompts, used or not: a step's do not hang on earlier luck.
        place = step * (settings.refills + 1) + attempt
        rows = batch_indices(len(task.prompts), settings.prompts, place, seed)[:missing].tolist()
        part = draw_and_score(policy, task, rows, settings.sampling, settings.samples, derived_seed(seed, place), state)
        parts.append(part)
        missing -= int(unequal(_rewards(part, settings)).sum())
        if missing == 0:
            break
    return _assembled(parts, settings, task.tokenizer.pad_token_id or 0)


@dataclass(frozen=True)
class Scored:
    """Completions with their texts and rewards; B rows in prompt order."""

    samples: Samples
    prompts: list[Text]
    """`[B]`"""
    texts: list[str]
    """`[B]`, without special tokens."""
    answers: list[Text]
    """`[B]`, the same in the form of the prompts, as rewards get them: to messages, one message of the assistant."""
    columns: dict[str, list[Any]]
    """`[B]` each, what rewards get beside them."""
    scores: Scores
    seconds: dict[str, float]
    """What generation and scoring took."""


def draw_and_score(
    policy: LanguageModel,
    task: Task,
    rows: Sequence[int],
    sampling: Sampling,
    samples: int,
    seed: int,
    state: TrainerState | None = None,
) -> Scored:
    """Draw `samples` completions of each of the task's prompts `rows`, and score them.

    Raises:
      RewardFailure: a reward failed; its batch is on disk.
    """
    start = time.perf_counter()
    decode = task.tokenizer.decode if sampling.stop_strings else None
    drawn = sample(policy, [task.ids[row] for row in rows], sampling, seed, samples, decode)  # type: ignore[arg-type]
    between = time.perf_counter()
    completions = drawn.completions()
    texts = task.tokenizer.batch_decode(completions, skip_special_tokens=True)
    asked = [task.prompts[row] for row in rows for _ in range(samples)]
    prompts = [row.prompt for row in asked]
    answers: list[Text] = [
        text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]
        for prompt, text in zip(prompts, texts, strict=True)
    ]
    columns = {"completion_ids": completions, **keyword_lists(asked)}
    scores = task.scorer.score(prompts, answers, trainer_state=state, **columns)
    seconds = {"generate": between - start, "score": time.perf_counter() - between}
    return Scored(drawn, prompts, texts, answers, columns, scores, seconds)


def unequal(rewards: torch.Tensor) -> torch.Tensor:
    """`[N]`, bool: groups of `rewards` `[N, G]` in which two that applied differ."""
    highest, lowest = rewards.nan_to_num(nan=-torch.inf).amax(1), rewards.nan_to_num(nan=torch.inf).amin(1)
    return highest > lowest


def _rewards(part: Scored, settings: RolloutSettings) -> torch.Tensor:
    """`[N, G]`"""
    rewards = torch.from_numpy(part.scores.total).float()
    if settings.truncated_reward is not None:
        rewards = torch.where(part.samples.stopped, rewards, settings.truncated_reward)
    return rewards.view(-1, settings.samples)


def _assembled(parts: list[Scored], settings: RolloutSettings, pad: int) -> Rollouts:
    pairs = [pair for part in parts for pair in zip(part.samples.prompts, part.samples.completions(), strict=True)]
    batch = pad_pairs(pairs, pad)
    log_probs = torch.cat([part.samples.log_probs for part in parts])
    lengths = batch.lengths - batch.prompt_lengths
    drawn = log_probs[torch.arange(log_probs.shape[1]) < lengths[:, None]]
    mask = batch.completion_mask
    rewards = torch.cat([_rewards(part, settings) for part in parts])
    stopped = torch.cat([part.samples.stopped for part in parts])
    trained = ~rewards.isnan().flatten()
    if settings.mask_truncated:
        trained &= stopped
    if settings.refills:
        trained &= unequal(rewards).repeat_interleave(settings.samples)
    scores = [part.scores for part in parts]
    return Rollouts(
        prompts=[prompt for part in parts for prompt in part.prompts],
        texts=[text for part in parts for text in part.texts],
        batch=batch,
        log_probs=torch.zeros(mask.shape).masked_scatter(mask, drawn),
        rewards=rewards,
        components={
            name: torch.from_numpy(np.concatenate([each.components[i] for each in scores])).float().view(rewards.shape)
            for i, name in enumerate(scores[0].names)
        },
        stopped=stopped,
        trained=trained,
        logged=_means_of([each.metrics for each in scores]),
        seconds={name: sum(part.seconds[name] for part in parts) for name in parts[0].seconds},
    )


def _means_of(metrics: list[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for each in metrics for name in each)
    return {name: float(np.mean([each[name] for each in metrics if name in each])) for name in names}
