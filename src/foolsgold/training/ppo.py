"""PPO with a critic: advantages of single tokens, and the fine on the KL paid where it arises.

Letters: B completions, T tokens.

Source: Schulman et al. 2017; for language models Ziegler et al. 2019 and Ouyang et al. 2022 (InstructGPT).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from foolsgold.errors import UserError
from foolsgold.objectives.advantages import gae, reinforce_pp_advantages, token_rewards
from foolsgold.objectives.policy_gradient import Normalizer, clipped_value_loss, ppo_clip_loss, token_mean
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.hub import LanguageModel
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.training.experience import Experience
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import Loop, LoopSettings, Metrics
from foolsgold.training.policy_batches import Columns, Updates, learn, loss_figures, per_token
from foolsgold.training.rollouts import Rollouts, RolloutSettings, Task


@dataclass(frozen=True)
class PPOSettings:
    """Of one run."""

    loop: LoopSettings
    """A step of the loop is one batch of rollouts with all of its updates."""
    rollouts: RolloutSettings = RolloutSettings(prompts=64, samples=1)
    updates: Updates = Updates(epochs=4)
    kl: KLSettings = KLSettings()
    """The price in the reward is paid token by token."""
    clip: float = 0.2
    """How far a ratio is moved from 1."""
    gamma: float = 1.0
    """Discount a token."""
    lam: float = 0.95
    """Of `gae`."""
    value_clip: float = 0.2
    """How far a value is moved from what it was, in the unit of the reward."""
    value_coefficient: float = 0.5
    """Of the value loss beside the policy's; matters where the trunk is shared, and to clipping."""
    shared_trunk: bool = False
    """The critic reads the policy's own states; else a copy of the policy, which takes twice the memory."""


class ActorCritic(nn.Module):
    """A policy, and a critic that starts with value 0 everywhere."""

    def __init__(self, policy: Decoder, shared_trunk: bool):
        super().__init__()
        self.policy = policy
        self.trunk = policy if shared_trunk else copy.deepcopy(policy)
        self.value = nn.Linear(policy.config.width, 1, device=policy.device)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def values(self, tokens: torch.Tensor) -> torch.Tensor:
        """Reward expected before each token but the first: `[B, T]` -> `[B, T-1]`, float32."""
        states = self.trunk.hidden(tokens)[:, :-1].float()
        # In bfloat16 a value would have three digits.
        return F.linear(states, self.value.weight.float(), self.value.bias.float()).squeeze(-1)


def with_states(policy: LanguageModel) -> Decoder:
    """`policy`, if it is one whose states a critic can read.

    Raises:
      UserError: it runs through transformers.
    """
    if not isinstance(policy, Decoder):
        raise UserError(
            "PPO's critic reads the states of a model of the Llama and Qwen family without an adapter; choose such a "
            "model, or another algorithm, such as grpo"
        )
    return policy


def train_ppo(
    policy: LanguageModel,
    task: Task,
    settings: PPOSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
    inspect: Callable[[int, Rollouts], None] = lambda step, rollouts: None,
    reference: LanguageModel | None = None,
) -> Loop:
    """Train `policy` in place; it ends in float32. A run in `folder` is taken up where it stopped. Returns the loop.

    Arguments and errors: as for `train_policy`; besides, a UserError where `policy` is not a `Decoder`.
    """
    policy = with_states(policy)
    # Made before the loop, which may overwrite the policy, its reference to be, with an interrupted run's weights.
    experience = Experience(
        policy, task, settings.rollouts, settings.kl, settings.loop, settings.updates.micro_batch, reference
    )
    model = ActorCritic(policy, settings.shared_trunk)
    loop = Loop(model, settings.loop, folder)
    temperature = settings.rollouts.sampling.temperature

    def loss_of(part: Columns, normalizer: Normalizer) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        mask, old = part["mask"], part["old_log_probs"]
        log_probs = token_log_probs(policy, part["tokens"], mask, temperature)
        loss = ppo_clip_loss(
            log_probs,
            old,
            part["advantages"],
            mask,
            clip_low=settings.clip,
            clip_high=settings.clip,
            normalizer=normalizer,
        )
        values = model.values(part["tokens"])
        value_loss = clipped_value_loss(
            values, part["old_values"], part["returns"], mask, clip=settings.value_clip, normalizer=normalizer
        )
        kl_term = settings.kl.loss(log_probs, part, token_mean, normalizer)
        figures = {
            **loss_figures(loss, log_probs, old, mask, normalizer),
            "value": token_mean(values.detach(), mask, normalizer),
            "value_loss": value_loss.detach(),
        }
        return loss.value + kl_term + settings.value_coefficient * value_loss, figures

    def step(number: int) -> Metrics:
        drawn = experience.gather(number, loop.memory)
        inspect(number + 1, drawn.rollouts)
        start = time.perf_counter()
        mask, trained = drawn.rollouts.mask, drawn.rollouts.trained
        values = per_token(
            lambda tokens, _: model.values(tokens), drawn.columns, settings.updates.micro_batch, policy.device
        )
        rewards = token_rewards(drawn.rollouts.rewards.flatten(), drawn.kl, mask, drawn.price)
        advantages, returns = gae(rewards, values, mask, settings.gamma, settings.lam)
        # Whitening is what REINFORCE++ does to completions, here over tokens; NaN stands for what is not counted.
        counted = torch.where(mask & trained[:, None], advantages, torch.nan)
        columns = {
            **drawn.columns,
            "old_values": values,
            "returns": returns,
            "advantages": reinforce_pp_advantages(counted),
        }
        figures = learn(loop, columns, trained.nonzero().flatten(), settings.updates, number, loss_of)
        return {**drawn.metrics, **figures, "seconds/update": time.perf_counter() - start}

    loop.run(step, report, evaluate)
    restore_float32(loop)
    return loop
