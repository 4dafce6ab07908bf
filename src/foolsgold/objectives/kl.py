"""How far a policy has moved from its reference: estimates of KL(policy || reference), in nats.

Letters: B sequences, T tokens, V words of the vocabulary. The estimators read log-probabilities of tokens that the
*policy* drew. Arithmetic runs in the inputs' own type; hand in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch


def k1(log_prob: torch.Tensor, ref_log_prob: torch.Tensor) -> torch.Tensor:
    """Log ratio of each token, nats: unbiased, of high variance, often negative; any shape, the same as the inputs.

    Args:
      log_prob: of the policy that drew the tokens, nats.
      ref_log_prob: of the reference, nats.

    Source: Schulman 2020 (Approximating KL divergence).
    """
    return log_prob - ref_log_prob


def k2(log_prob: torch.Tensor, ref_log_prob: torch.Tensor) -> torch.Tensor:
    """Half the squared log ratio, nats: biased, little where the two are near; on policy its gradient is the KL's.

    Arguments, shape and source: as for `k1`.
    """
    return 0.5 * (log_prob - ref_log_prob) ** 2


def k3(log_prob: torch.Tensor, ref_log_prob: torch.Tensor) -> torch.Tensor:
    """Log ratio with a control variate, nats: unbiased, never negative, of low variance where the two are near.

    Unbiased only as long as the policy can draw whatever the reference can: not after top-k sampling. Its gradient is
    not the KL's: for a term of a loss, take `weighted_k3` or `k2`.
    Arguments, shape and source: as for `k1`.
    """
    log_ratio = ref_log_prob - log_prob
    return log_ratio.expm1() - log_ratio


def weighted_k3(log_prob: torch.Tensor, old_log_prob: torch.Tensor, ref_log_prob: torch.Tensor) -> torch.Tensor:
    """k3 times the ratio to the policy that drew the tokens, nats: value *and* gradient are the KL's, unbiased.

    The ratio carries a gradient even where it is 1, and that is the part which k3 alone lacks.

    Args:
      log_prob: of the policy being trained, nats.
      old_log_prob: of the policy that drew the tokens, nats.
      ref_log_prob: of the reference, nats.

    Source: DeepSeek-AI 2025 (DeepSeek-V3.2), equation 7.
    """
    return (log_prob - old_log_prob).exp() * k3(log_prob, ref_log_prob)


def exact_kl(logits: torch.Tensor, ref_logits: torch.Tensor) -> torch.Tensor:
    """KL of the whole next-token distributions, nats, `[...]`.

    Args:
      logits: `[..., V]`, of the policy; minus infinity for tokens that it never draws.
      ref_logits: `[..., V]`, of the reference; where it alone is minus infinity, the KL is infinite.
    """
    log_p, log_q = logits.log_softmax(-1), ref_logits.log_softmax(-1)
    never = log_p.isneginf()
    # Both masked before the subtraction: infinity minus infinity would poison the gradient.
    log_ratio = torch.where(never, 0.0, log_p) - torch.where(never, 0.0, log_q)
    return (log_p.exp() * log_ratio).sum(-1)


class SequenceKL(NamedTuple):
    """KL of whole completions, nats; unpacks to `mean, standard_error`."""

    mean: float
    standard_error: float
    """NaN for fewer than two sequences."""


def sequence_kl(
    log_prob: torch.Tensor,
    ref_log_prob: torch.Tensor,
    mask: torch.Tensor,
    estimator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = k1,
) -> SequenceKL:
    """KL of the distributions over completions, the abscissa of over-optimization: terms summed over the tokens.

    Args:
      log_prob, ref_log_prob: `[B, T]`, nats, of tokens that the policy drew at temperature 1.
      mask: `[B, T]` bool, tokens of the completions.
      estimator: of one token's KL: `k1`, or `k3` with less variance, if its condition holds.

    Raises:
      ValueError: no sequences.
    """
    if len(mask) == 0:
        raise ValueError("no sequences to estimate a KL from; give at least one")
    sums = torch.where(mask, estimator(log_prob, ref_log_prob), 0.0).detach().double().sum(1)
    if len(sums) == 1:
        return SequenceKL(float(sums[0]), float("nan"))
    return SequenceKL(float(sums.mean()), float(sums.std() / len(sums) ** 0.5))


@dataclass(frozen=True)
class AdaptiveKL:
    """Price of KL that steers a run to a target KL; `updated` gives the next one.

    Source: Ziegler et al. 2019.
    """

    coefficient: float
    """Price of one nat, in the unit of the reward."""
    target: float
    """Nats a completion, above 0."""
    gain: float = 0.1
    """Largest relative change is a fifth of this."""

    def updated(self, kl: float) -> AdaptiveKL:
        """The controller after a batch whose completions had `kl` nats on average."""
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        return replace(self, coefficient=self.coefficient * (1 + self.gain * error))
