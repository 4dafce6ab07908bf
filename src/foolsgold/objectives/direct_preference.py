"""Losses that fit a policy to preferences directly, without a reward model.

Letters: B comparisons, or B single judged completions for KTO. Log-probabilities are of whole completions: nats,
summed over their tokens. `beta` is the price of KL, in reward for one nat: a small one lets the policy move far.
"""

from __future__ import annotations

import torch

from foolsgold.objectives.preference import preference_cross_entropy


def implicit_reward(log_prob: torch.Tensor, ref_log_prob: torch.Tensor, beta: float) -> torch.Tensor:
    """The reward, up to a constant a prompt, under which the policy is optimal at this price of KL, `[B]`.

    Args:
      log_prob: `[B]`, of the policy.
      ref_log_prob: `[B]`, of the reference.
      beta: price of KL.

    Source: Rafailov et al. 2023, equation 5.
    """
    return beta * (log_prob - ref_log_prob)


def dpo_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    ref_chosen: torch.Tensor,
    ref_rejected: torch.Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Bradley–Terry loss of the implicit rewards, `[]`, nats for one comparison.

    Args:
      chosen, rejected: `[B]`, log-probabilities of the preferred and the other completions under the policy.
      ref_chosen, ref_rejected: `[B]`, the same under the reference.
      beta: price of KL.
      label_smoothing: from 0 to 0.5, the share of labels taken to be the wrong way round (conservative DPO).

    Source: Rafailov et al. 2023, equation 7; smoothed, Mitchell 2023 (A note on DPO with noisy preferences).
    """
    reward_chosen = implicit_reward(chosen, ref_chosen, beta)
    reward_rejected = implicit_reward(rejected, ref_rejected, beta)
    return preference_cross_entropy(reward_chosen, reward_rejected, torch.full_like(reward_chosen, 1 - label_smoothing))


def ipo_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    ref_chosen: torch.Tensor,
    ref_rejected: torch.Tensor,
    chosen_length: torch.Tensor,
    rejected_length: torch.Tensor,
    *,
    beta: float = 0.1,
) -> torch.Tensor:
    """Squared distance of the lead in log ratio from the target 1 / (2 beta), `[]`, squared nats a token.

    The log ratios are means over tokens. The paper writes no division by length; its authors confirmed to the
    authors of TRL that the reported results used it. Sums would make the target easier the longer the completion.

    Args:
      chosen, rejected, ref_chosen, ref_rejected: as for `dpo_loss`.
      chosen_length, rejected_length: `[B]`, tokens of each completion, at least 1.
      beta: strength of the regularisation (tau in the paper).

    Source: Azar et al. 2023, equation 17; TRL, `DPOTrainer` with loss type `ipo`.
    """
    lead = (chosen - ref_chosen) / chosen_length - (rejected - ref_rejected) / rejected_length
    return ((lead - 1 / (2 * beta)) ** 2).mean()


def kto_reference_kl(log_prob: torch.Tensor, ref_log_prob: torch.Tensor) -> torch.Tensor:
    """The reference point of KTO, `[]`, nats, constant: a rough KL of the policy from the reference, at least 0.

    Args:
      log_prob: `[B]`, of completions that belong to *other* prompts of the batch, under the policy.
      ref_log_prob: `[B]`, the same under the reference.

    Source: Ethayarajh et al. 2024 (KTO), section 4.1.
    """
    return (log_prob - ref_log_prob).mean().clamp(min=0).detach()


def kto_loss(
    log_prob: torch.Tensor,
    ref_log_prob: torch.Tensor,
    desirable: torch.Tensor,
    reference_kl: torch.Tensor,
    *,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> torch.Tensor:
    """One minus the value a person sets on a gain or loss against the reference point, `[]`; needs no pairs.

    Args:
      log_prob: `[B]`, of the completions under the policy.
      ref_log_prob: `[B]`, the same under the reference.
      desirable: `[B]` bool, thumbs up.
      reference_kl: `[]`, from `kto_reference_kl`.
      beta: price of KL.
      desirable_weight, undesirable_weight: how much each kind counts; where one is rarer, weigh it up until both
        weights times their numbers are about equal.

    Source: Ethayarajh et al. 2024 (KTO), section 4.1.
    """
    lead = beta * (log_prob - ref_log_prob - reference_kl)
    # 1 - sigmoid(x) is sigmoid(-x).
    losses = torch.sigmoid(torch.where(desirable, -lead, lead))
    return (torch.where(desirable, desirable_weight, undesirable_weight) * losses).mean()
