"""Losses that fit a reward model to comparisons.

Letters: B comparisons. Scores are rewards in nats of log-odds: a lead of 1 makes preference e : 1. The arithmetic
runs in the scores' own type; hand in float32, since bfloat16 keeps too few digits of a difference.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def bradley_terry_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    margin: torch.Tensor | float | None = None,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Negative log-likelihood that each chosen candidate is preferred, `[]`, nats for one comparison.

    Args:
      chosen: `[B]`, scores of the preferred candidates.
      rejected: `[B]`, scores of the others.
      margin: `[B]` or one number, the lead the chosen score must have before the loss treats the two as equal.
      weight: `[B]`, from 0 up, how much each comparison counts; the loss is the weighted mean.

    Source: Bradley and Terry 1952; with margin, Touvron et al. 2023 (Llama 2), equation 2.
    """
    lead = chosen - rejected
    if margin is not None:
        lead = lead - margin
    return _mean(-F.logsigmoid(lead), weight)


def preference_cross_entropy(
    score_a: torch.Tensor,
    score_b: torch.Tensor,
    probability_a: torch.Tensor,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy of the Bradley–Terry preference from soft labels, `[]`, nats for one comparison.

    At `probability_a` 1 or 0 this is `bradley_terry_loss`; at 0.5, a tie, it pulls the two scores together.

    Args:
      score_a: `[B]`, scores of the candidates a.
      score_b: `[B]`, of the candidates b.
      probability_a: `[B]`, from 0 to 1, the share of raters who prefer a; a tie is 0.5.
      weight: `[B]`, from 0 up, how much each comparison counts; the loss is the weighted mean.

    Source: Christiano et al. 2017, section 2.2.3.
    """
    lead = score_a - score_b
    losses = F.binary_cross_entropy_with_logits(lead, probability_a.to(lead.dtype), reduction="none")
    return _mean(losses, weight)


def centering_penalty(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """Mean squared sum of both scores, `[]`: 0 where each pair lies around 0, which preferences alone leave open.

    Args:
      chosen, rejected: `[B]`, scores.

    Source: Eisenstein et al. 2023 (Helping or herding?).
    """
    return (chosen + rejected).square().mean()


def _mean(losses: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    if weight is None:
        return losses.mean()
    return (losses * weight).sum() / weight.sum()
