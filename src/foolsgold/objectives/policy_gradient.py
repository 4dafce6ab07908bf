"""Losses whose gradient is the policy gradient, and the ways to sum their terms up.

Letters: B sequences of a micro-batch, T tokens. `log_prob` is of the policy being trained, `old_log_prob` of the
policy that drew the tokens, both in nats at the sampling temperature; their difference is the log ratio. Terms
outside the mask may be anything, NaN included: they reach neither loss nor gradient.

A loss is the sum of its terms over a `Normalizer`. Handed the normalizer of the whole batch, the losses of its
micro-batches add up to the batch's, and so do their gradients and diagnostics: accumulation changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Normalizer:
    """What the terms of a whole batch are divided by; to be summed over micro-batches and devices."""

    sequences: torch.Tensor
    """`[]`, sequences with at least one token; the others are padding."""
    tokens: torch.Tensor
    """`[]`, tokens within the mask."""

    @classmethod
    def of(cls, mask: torch.Tensor) -> Normalizer:
        """Counts of a batch from its `mask` `[B, T]` bool."""
        return cls(mask.any(1).sum(), mask.sum())


@dataclass(frozen=True)
class Loss:
    """What one micro-batch adds to the whole batch's figures, each `[]`; only `value` carries a gradient."""

    value: torch.Tensor
    """To be minimised, in the unit of the advantages."""
    clip_fraction: torch.Tensor
    """Share of tokens that clipping changed the gradient of."""
    approx_kl: torch.Tensor
    """Nats a token, KL from the policy that drew the tokens to this one (k3 of Schulman 2020)."""
    ratio_mean: torch.Tensor
    """Mean ratio of new to old probability over tokens; far from 1 says the samples are stale."""


Aggregation = Callable[[torch.Tensor, torch.Tensor, Normalizer], torch.Tensor]
"""Maps terms `[B, T]`, mask `[B, T]` bool and normalizer to one number `[]`; 0 for a batch without tokens."""


def per_sequence_mean(terms: torch.Tensor, mask: torch.Tensor, normalizer: Normalizer) -> torch.Tensor:
    """Mean over sequences of the mean over their tokens: a token of a long sequence counts less (GRPO).

    Source: Shao et al. 2024 (DeepSeekMath), equation 3.
    """
    means = torch.where(mask, terms, 0.0).sum(1) / mask.sum(1).clamp(min=1)
    return means.sum() / normalizer.sequences.clamp(min=1)


def token_mean(terms: torch.Tensor, mask: torch.Tensor, normalizer: Normalizer) -> torch.Tensor:
    """Mean over all tokens of the batch: every token counts the same (DAPO).

    Source: Yu et al. 2025 (DAPO), equation 8.
    """
    return torch.where(mask, terms, 0.0).sum() / normalizer.tokens.clamp(min=1)


def per_constant_length(length: int) -> Aggregation:
    """Mean over sequences of the sum over their tokens, divided by a constant (Dr. GRPO); with 1, plain REINFORCE.

    The mean over tokens makes long wrong answers cheap; a constant divisor, such as the most tokens a completion
    may have, does not.

    Source: Liu et al. 2025 (Understanding R1-Zero-like training), section 3.2.
    """

    def aggregate(terms: torch.Tensor, mask: torch.Tensor, normalizer: Normalizer) -> torch.Tensor:
        return torch.where(mask, terms, 0.0).sum() / (normalizer.sequences.clamp(min=1) * length)

    return aggregate


def reinforce_loss(
    log_prob: torch.Tensor,
    old_log_prob: torch.Tensor,
    advantage: torch.Tensor,
    mask: torch.Tensor,
    *,
    aggregate: Aggregation = token_mean,
    normalizer: Normalizer | None = None,
) -> Loss:
    """Advantage times log-probability, negated; right only for tokens that the policy itself drew.

    Args:
      log_prob: `[B, T]`, nats, of the policy being trained.
      old_log_prob: `[B, T]`, nats, of the policy that drew the tokens; read for the diagnostics alone.
      advantage: `[B]` or `[B, T]`, taken as constant.
      mask: `[B, T]` bool, tokens that the policy drew.
      aggregate: how terms are summed up.
      normalizer: of the whole batch; by default these B sequences are the batch.

    Source: Williams 1992.
    """
    log_ratio = torch.where(mask, log_prob - old_log_prob, 0.0)
    terms = -_per_token(advantage) * torch.where(mask, log_prob, 0.0)
    return _loss(terms, torch.zeros_like(mask), log_ratio, mask, aggregate, normalizer)


def ppo_clip_loss(
    log_prob: torch.Tensor,
    old_log_prob: torch.Tensor,
    advantage: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    aggregate: Aggregation = token_mean,
    normalizer: Normalizer | None = None,
) -> Loss:
    """Ratio times advantage, without a reward for moving a token's ratio out of [1 - clip_low, 1 + clip_high].

    Args:
      log_prob, old_log_prob, advantage, mask, aggregate, normalizer: as for `reinforce_loss`.
      clip_low: from 0 to 1, how far below 1 a ratio is pushed down.
      clip_high: from 0 up, how far above 1 a ratio is pushed up; DAPO's "clip-higher" is 0.28 beside a low of 0.2.

    Source: Schulman et al. 2017, equation 7; with two bounds, Yu et al. 2025 (DAPO), equation 8.
    """
    log_ratio = torch.where(mask, log_prob - old_log_prob, 0.0)
    terms, clipped = _clipped_terms(log_ratio.exp(), _per_token(advantage), clip_low, clip_high)
    return _loss(terms, clipped, log_ratio, mask, aggregate, normalizer)


def gspo_loss(
    log_prob: torch.Tensor,
    old_log_prob: torch.Tensor,
    advantage: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_low: float = 3e-4,
    clip_high: float = 4e-4,
    aggregate: Aggregation = per_sequence_mean,
    normalizer: Normalizer | None = None,
) -> Loss:
    """The clipped loss with one ratio a sequence, the geometric mean of its tokens' ratios.

    Reward and clipping then concern the same unit, the completion, and a few odd tokens cannot blow up the ratio.

    Args:
      log_prob, old_log_prob, mask, aggregate, normalizer: as for `reinforce_loss`.
      advantage: `[B]`.
      clip_low, clip_high: as for `ppo_clip_loss`; much smaller, since a mean over tokens moves little. The
        defaults are the paper's.

    Source: Zheng et al. 2025 (GSPO), equations 5 and 7.
    """
    log_ratio = torch.where(mask, log_prob - old_log_prob, 0.0)
    sequence_ratio = (log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)).exp()
    terms, clipped = _clipped_terms(sequence_ratio.expand_as(log_ratio), _per_token(advantage), clip_low, clip_high)
    return _loss(terms, clipped, log_ratio, mask, aggregate, normalizer)


def cispo_loss(
    log_prob: torch.Tensor,
    old_log_prob: torch.Tensor,
    advantage: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_low: float = 1.0,
    clip_high: float = 4.0,
    aggregate: Aggregation = token_mean,
    normalizer: Normalizer | None = None,
) -> Loss:
    """REINFORCE weighted by the clipped ratio, a constant: clipping bounds a token's gradient, never removes it.

    Args:
      log_prob, old_log_prob, advantage, mask, aggregate, normalizer: as for `reinforce_loss`.
      clip_low, clip_high: the weight lies in [1 - clip_low, 1 + clip_high]; the default has no lower bound, as in the
        paper; its upper bound of 5 is ScaleRL's.

    Source: MiniMax 2025 (MiniMax-M1), equations 4 and 5; Khatri et al. 2025 (ScaleRL).
    """
    log_ratio = torch.where(mask, log_prob - old_log_prob, 0.0)
    ratio = log_ratio.detach().exp()
    weight = ratio.clamp(1 - clip_low, 1 + clip_high)
    terms = -weight * _per_token(advantage) * torch.where(mask, log_prob, 0.0)
    return _loss(terms, weight != ratio, log_ratio, mask, aggregate, normalizer)


def clipped_value_loss(
    value: torch.Tensor,
    old_value: torch.Tensor,
    returns: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip: float = 0.2,
    aggregate: Aggregation = token_mean,
    normalizer: Normalizer | None = None,
) -> torch.Tensor:
    """Half the squared error of the values, without a reward for moving further than `clip` from the old ones, `[]`.

    Args:
      value: `[B, T]`, of the value function being trained, in the unit of the returns.
      old_value: `[B, T]`, as predicted when the tokens were drawn.
      returns: `[B, T]`, to be predicted, as `gae` gives them.
      mask: `[B, T]` bool.
      clip: in the unit of the returns.
      aggregate, normalizer: as for `reinforce_loss`.

    Source: Schulman et al. 2017; the clipping is of OpenAI's baselines (Engstrom et al. 2020, section 2).
    """
    value, old_value, returns = (torch.where(mask, x, 0.0) for x in (value, old_value, returns))
    near = old_value + (value - old_value).clamp(-clip, clip)
    terms = 0.5 * torch.maximum((value - returns) ** 2, (near - returns) ** 2)
    return aggregate(terms, mask, Normalizer.of(mask) if normalizer is None else normalizer)


def _clipped_terms(
    ratio: torch.Tensor, advantage: torch.Tensor, clip_low: float, clip_high: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Terms of the clipped loss, and where the gradient was stopped, both `[B, T]`."""
    bounded = ratio.clamp(1 - clip_low, 1 + clip_high)
    stopped = ((ratio < 1 - clip_low) & (advantage < 0)) | ((ratio > 1 + clip_high) & (advantage > 0))
    return -torch.minimum(ratio * advantage, bounded * advantage), stopped


def _per_token(advantage: torch.Tensor) -> torch.Tensor:
    return advantage[:, None] if advantage.ndim == 1 else advantage


def _loss(
    terms: torch.Tensor,
    clipped: torch.Tensor,
    log_ratio: torch.Tensor,
    mask: torch.Tensor,
    aggregate: Aggregation,
    normalizer: Normalizer | None,
) -> Loss:
    if normalizer is None:
        normalizer = Normalizer.of(mask)
    value = aggregate(terms, mask, normalizer)
    log_ratio = log_ratio.detach()
    ratio = log_ratio.exp()
    return Loss(
        value=value,
        clip_fraction=token_mean(clipped.to(ratio.dtype), mask, normalizer),
        approx_kl=token_mean(ratio - 1 - log_ratio, mask, normalizer),
        ratio_mean=token_mean(ratio, mask, normalizer),
    )
