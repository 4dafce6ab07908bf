"""Policy gradient from rewards of whole completions: GRPO, Dr. GRPO, RLOO, REINFORCE++, DAPO, GSPO, CISPO.

One trainer. A method is an `Algorithm`: how advantages are made, the loss, and how its terms are summed up.

Letters: N prompts of a step, G completions of each, B = N G rows, T tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch

from foolsgold.objectives import advantages
from foolsgold.objectives.policy_gradient import (
    Aggregation,
    Loss,
    Normalizer,
    cispo_loss,
    gspo_loss,
    per_constant_length,
    per_sequence_mean,
    ppo_clip_loss,
    reinforce_loss,
    token_mean,
)
from foolsgold.policies.hub import LanguageModel
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.training.experience import Experience
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import Loop, LoopSettings, Metrics
from foolsgold.training.policy_batches import Columns, Updates, learn, loss_figures
from foolsgold.training.rollouts import Rollouts, RolloutSettings, Task


class PolicyLoss(Protocol):
    """A loss of `objectives.policy_gradient`, its clipping set."""

    def __call__(
        self,
        log_prob: torch.Tensor,
        old_log_prob: torch.Tensor,
        advantage: torch.Tensor,
        mask: torch.Tensor,
        *,
        aggregate: Aggregation,
        normalizer: Normalizer,
    ) -> Loss: ...


@dataclass(frozen=True)
class Algorithm:
    """What sets one method apart from another."""

    advantages: Callable[[torch.Tensor], torch.Tensor]
    """Maps rewards `[N, G]` to advantages `[N, G]`."""
    loss: PolicyLoss
    aggregate: Callable[[int], Aggregation]
    """Makes the sum of terms from the most tokens that a completion may have."""


ALGORITHMS: dict[str, Algorithm] = {
    "grpo": Algorithm(advantages.grpo_advantages, ppo_clip_loss, lambda _: per_sequence_mean),
    "dr_grpo": Algorithm(advantages.dr_grpo_advantages, ppo_clip_loss, per_constant_length),
    "rloo": Algorithm(advantages.rloo_advantages, reinforce_loss, lambda _: per_constant_length(1)),
    "reinforce++": Algorithm(advantages.reinforce_pp_advantages, ppo_clip_loss, lambda _: token_mean),
    "dapo": Algorithm(advantages.grpo_advantages, partial(ppo_clip_loss, clip_high=0.28), lambda _: token_mean),
    "gspo": Algorithm(advantages.grpo_advantages, gspo_loss, lambda _: per_sequence_mean),
    "cispo": Algorithm(advantages.grpo_advantages, cispo_loss, lambda _: token_mean),
}
"""Methods by name. What else belongs to a method is a setting: DAPO's dynamic sampling and overlong filtering in
`RolloutSettings`, the price of KL in `KLSettings`, in the loss for GRPO, in the reward for RLOO and REINFORCE++. RLOO's
loss has no ratio and is right for one update a step alone. The bounds of GSPO, its paper's, are so narrow that in
bfloat16 the sampler's rounding alone clips some sequences; `clip_fraction` of a first update tells how many."""


@dataclass(frozen=True)
class PolicyGradientSettings:
    """Of one run."""

    loop: LoopSettings
    """A step of the loop is one batch of rollouts with all of its updates."""
    rollouts: RolloutSettings = RolloutSettings()
    algorithm: Algorithm = ALGORITHMS["grpo"]
    updates: Updates = Updates()
    kl: KLSettings = KLSettings()


def train_policy(
    policy: LanguageModel,
    task: Task,
    settings: PolicyGradientSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
    inspect: Callable[[int, Rollouts], None] = lambda step, rollouts: None,
    reference: LanguageModel | None = None,
) -> Loop:
    """Train `policy` in place; it ends in float32. A run in `folder` is taken up where it stopped. Returns the loop.

    Args:
      policy: the start, also where a killed run goes on from its folder.
      folder: keeps the state; see `Loop`.
      report: is told of every step, from 1, with its metrics.
      evaluate: see `Loop.run`.
      inspect: is shown the rollouts of every step, from 1, before the policy learns from them.
      reference: that the KL is measured from; the start where None.

    Raises:
      RewardFailure: a reward failed; its batch is on disk.
      UserError: a loss or gradient is not finite; its batch is on disk.
    """
    # Made before the loop, which may overwrite the policy, its reference to be, with an interrupted run's weights.
    experience = Experience(
        policy, task, settings.rollouts, settings.kl, settings.loop, settings.updates.micro_batch, reference
    )
    loop = Loop(policy, settings.loop, folder)
    sampling = settings.rollouts.sampling
    aggregate = settings.algorithm.aggregate(sampling.max_new_tokens)

    def loss_of(part: Columns, normalizer: Normalizer) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        mask, old = part["mask"], part["old_log_probs"]
        log_probs = token_log_probs(policy, part["tokens"], mask, sampling.temperature)
        loss = settings.algorithm.loss(
            log_probs, old, part["advantages"], mask, aggregate=aggregate, normalizer=normalizer
        )
        kl_term = settings.kl.loss(log_probs, part, aggregate, normalizer)
        return loss.value + kl_term, loss_figures(loss, log_probs, old, mask, normalizer)

    def step(number: int) -> Metrics:
        drawn = experience.gather(number, loop.memory)
        inspect(number + 1, drawn.rollouts)
        start = time.perf_counter()
        rewards = drawn.rollouts.rewards
        fined = rewards - drawn.price * drawn.kl.sum(1).view(rewards.shape)
        columns = {**drawn.columns, "advantages": settings.algorithm.advantages(fined).flatten()}
        rows = drawn.rollouts.trained.nonzero().flatten()
        figures = learn(loop, columns, rows, settings.updates, number, loss_of)
        return {**drawn.metrics, **figures, "seconds/update": time.perf_counter() - start}

    loop.run(step, report, evaluate)
    restore_float32(loop)
    return loop
