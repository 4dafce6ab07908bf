"""How far a policy has moved from its reference, by the chi-squared divergence: mean over the policy's own samples of
the ratio of probabilities, less one.

KL asks how often a policy says what its reference would not, chi-squared how much more often than the reference: what
a policy writes e^10 times as often costs ten nats of one and 22,026 of the other. Reward hacking is bounded by this one
(Laidlaw et al. 2024, theorem 5.1); by KL it is not, where errors of the reward have heavy tails (Kwa et al. 2024).

Letters: B completions, T tokens. A log ratio is of whole completions, log-probability under the policy less that under
the reference, nats; the policy drew them.
"""

from __future__ import annotations

import math

import torch

LIMIT = 10.0
"""Nats up to which a log ratio is exponentiated, as in the runs of Laidlaw et al. 2024."""


def tempered_ratio(log_ratio: torch.Tensor, limit: float = LIMIT) -> torch.Tensor:
    """e^x up to `limit`, beyond it the tangent there, e^limit (1 + x - limit); any shape, the same as the input.

    A single completion of log ratio 90 would be infinite in float32. The tangent stays finite and keeps growing, so
    that what has gone far still pays more than what has not; beyond the limit estimates come out too small.

    Source: Laidlaw et al. 2024 (Correlated proxies), their code for language models.
    """
    return log_ratio.clamp(max=limit).exp() + math.exp(limit) * (log_ratio - limit).clamp(min=0)


def chi_squared(log_ratio: torch.Tensor, limit: float = LIMIT) -> torch.Tensor:
    """Chi-squared divergence of the policy from the reference, `[]`: unbiased where no log ratio is above `limit`.

    The mean hangs on the few largest ratios: above some nats of KL it needs more samples than a batch has, and is too
    small in most batches.

    Args:
      log_ratio: `[B]`, nats, of completions that the policy drew at temperature 1.

    Raises:
      ValueError: no completions.
    """
    if len(log_ratio) == 0:
        raise ValueError("no completions to estimate a divergence from; give at least one")
    return tempered_ratio(log_ratio, limit).mean() - 1


def chi_squared_fine(log_ratio: torch.Tensor, limit: float = LIMIT) -> torch.Tensor:
    """What a completion must pay in its reward for the policy gradient to be that of the divergence, `[B]`.

    Twice the ratio less one, and not the ratio less one: of sum(p^2 / q) - 1 the gradient is 2 (p / q) dp. For the KL
    the same rule gives the log ratio.

    Args:
      log_ratio: `[B]`, nats.

    Source: Laidlaw et al. 2024, who fine the divergence's square root: the same but for a factor.
    """
    return 2 * (tempered_ratio(log_ratio, limit) - 1)


def weighted_chi_squared(
    log_prob: torch.Tensor, old_log_prob: torch.Tensor, ref_log_prob: torch.Tensor
) -> torch.Tensor:
    """The divergence as a term of a loss, `[B, T]`: every token has its completion's estimate as its value and its own
    share of the completion's gradient, so any `Aggregation` weighs it as it weighs advantages.

    Summed over tokens and averaged over completions, the gradient is that of the divergence, unbiased up to `LIMIT`.

    Args:
      log_prob: `[B, T]`, nats, of the policy being trained; 0 outside the completions, as the other two.
      old_log_prob: `[B, T]`, nats, of the policy that drew the tokens.
      ref_log_prob: `[B, T]`, nats, of the reference.
    """
    log_ratio = (log_prob - ref_log_prob).detach().sum(1, keepdim=True)
    stale = tempered_ratio((log_prob - old_log_prob).detach().sum(1, keepdim=True))  # 1 for the policy's own samples
    value = stale * (tempered_ratio(log_ratio) - 1)
    return value + stale * chi_squared_fine(log_ratio) * (log_prob - log_prob.detach())
