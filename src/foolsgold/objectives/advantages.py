"""How much better than expected a completion or token was: what multiplies the policy gradient.

GRPO, Dr. GRPO, RLOO and REINFORCE++ are one trainer with a different function of this file.

Letters: N prompts, G completions of each (a group), B sequences, T tokens. A NaN reward means "not applicable": its
advantage is 0, and no mean or standard deviation sees it. A completion without a sibling to compare it with tells
nothing and gets 0, too. Standard deviations are those of a sample (divisor one less than the number).
"""

from __future__ import annotations

from typing import NamedTuple

import torch


def grpo_advantages(rewards: torch.Tensor, eps: float = 1e-4) -> torch.Tensor:
    """Distance from the group's mean in standard deviations of the group, `[N, G]`, without unit.

    Args:
      rewards: `[N, G]`, NaN where not applicable.
      eps: added to the standard deviation, in the unit of the rewards, so that a group of equals gets 0.

    Source: Shao et al. 2024 (DeepSeekMath), section 4.1.2.
    """
    centered, counted = _centered(rewards)
    squares = (centered**2).sum(1, keepdim=True)
    spread = (squares / (counted.sum(1, keepdim=True) - 1).clamp(min=1)).sqrt()
    return centered / (spread + eps)


def dr_grpo_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """Distance from the group's mean, `[N, G]`, in the unit of the rewards.

    Dividing by the group's deviation, as GRPO does, gives the prompts that are nearly always or never solved the
    largest steps; this function leaves it out.

    Args:
      rewards: `[N, G]`, NaN where not applicable.

    Source: Liu et al. 2025 (Understanding R1-Zero-like training), section 3.2.
    """
    return _centered(rewards)[0]


def rloo_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """Distance from the mean of the *other* completions of the group, `[N, G]`, in the unit of the rewards.

    A baseline that does not contain the completion's own reward leaves the gradient unbiased. It is G / (G - 1)
    times the Dr. GRPO advantage.

    Args:
      rewards: `[N, G]`, NaN where not applicable.

    Source: Kool et al. 2019; Ahmadian et al. 2024 (Back to Basics).
    """
    centered, counted = _centered(rewards)
    n = counted.sum(1, keepdim=True)
    return centered * n / (n - 1).clamp(min=1)


def reinforce_pp_advantages(rewards: torch.Tensor, eps: float = 1e-4) -> torch.Tensor:
    """Distance from the batch's mean in standard deviations of the batch, `[N, G]`, without unit.

    Groups play no role, so one completion a prompt will do. Every completion counts once, however long; put a
    penalty on KL into `rewards`.

    Args:
      rewards: `[N, G]`, NaN where not applicable.
      eps: added to the standard deviation, in the unit of the rewards.

    Source: Hu et al. 2025 (REINFORCE++).
    """
    return _batch_normalized(rewards, ~rewards.isnan(), eps)


def reinforce_pp_baseline_advantages(rewards: torch.Tensor, eps: float = 1e-4) -> torch.Tensor:
    """Distance from the group's mean in standard deviations that such distances have in the batch, `[N, G]`.

    Unlike GRPO's, the divisor is the same for every prompt and hardly depends on one completion's own reward.

    Args:
      rewards: `[N, G]`, NaN where not applicable.
      eps: added to the standard deviation, in the unit of the rewards.

    Source: Hu et al. 2025, the variant REINFORCE++ with baseline.
    """
    centered, counted = _centered(rewards)
    return _batch_normalized(centered, counted, eps)


def token_rewards(reward: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor, coefficient: float) -> torch.Tensor:
    """Reward of each token when only the whole completion is scored, `[B, T]`: score at the end, KL fined on the way.

    Args:
      reward: `[B]`, of the completions; NaN, not applicable, counts as 0.
      kl: `[B, T]`, nats, estimate of each token's KL from the reference policy, such as `kl.k1`.
      mask: `[B, T]` bool, tokens of the completion.
      coefficient: price of one nat, in the unit of the reward.

    Source: Ziegler et al. 2019, equation 2; Ouyang et al. 2022 (InstructGPT), equation 2.
    """
    rewards = torch.where(mask, -coefficient * kl, 0.0)
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask, positions, -1).amax(1, keepdim=True)
    return rewards + torch.where(positions == last, reward.nan_to_num(nan=0.0)[:, None], 0.0)


class AdvantagesAndReturns(NamedTuple):
    """What PPO learns from; unpacks to `advantages, returns`, each `[B, T]`, in the unit of the rewards."""

    advantages: torch.Tensor
    returns: torch.Tensor


@torch.no_grad()
def gae(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float = 1.0, lam: float = 0.95
) -> AdvantagesAndReturns:
    """Generalised advantage estimate, and the returns a value function is fitted to; 0 outside the mask.

    Tokens outside the mask are skipped as though they were not there, so a tool's output within a completion may be
    masked out. After the last token the value is 0: a completion ends.

    Args:
      rewards: `[B, T]`, reward received for each token.
      values: `[B, T]`, value predicted before each token.
      mask: `[B, T]` bool, the policy's own tokens.
      gamma: discount a token, from 0 to 1.
      lam: 0 trusts the values (low variance, biased), 1 trusts the rewards alone (unbiased).

    Source: Schulman et al. 2016, equation 16.
    """
    advantages = torch.zeros_like(values)
    advantage = torch.zeros_like(values[:, 0])
    value_after = torch.zeros_like(advantage)
    for t in reversed(range(values.shape[1])):
        own = mask[:, t]
        surprise = rewards[:, t] + gamma * value_after - values[:, t]
        advantage = torch.where(own, surprise + gamma * lam * advantage, advantage)
        value_after = torch.where(own, values[:, t], value_after)
        advantages[:, t] = torch.where(own, advantage, 0.0)
    return AdvantagesAndReturns(advantages, torch.where(mask, advantages + values, 0.0))


def _centered(rewards: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards minus their group's mean, 0 where there is nothing to compare, and which are compared, both `[N, G]`."""
    valid = ~rewards.isnan()
    n = valid.sum(1, keepdim=True)
    counted = valid & (n > 1)
    mean = rewards.nan_to_num(nan=0.0).sum(1, keepdim=True) / n.clamp(min=1)
    return torch.where(counted, rewards - mean, 0.0), counted


def _batch_normalized(values: torch.Tensor, counted: torch.Tensor, eps: float) -> torch.Tensor:
    n = counted.sum()
    mean = torch.where(counted, values, 0.0).sum() / n.clamp(min=1)
    centered = torch.where(counted, values - mean, 0.0)
    spread = ((centered**2).sum() / (n - 1).clamp(min=1)).sqrt()
    return centered / (spread + eps)
