"""What a policy pays for leaving its reference, and how far it has gone.

The reference is a frozen copy of the weights that a run starts with. The price is either a term of the loss or a fine
on the reward; a fine can steer itself towards a target. As a term of the loss it may be another divergence than the
KL: `KLSettings(in_loss=0.01, term=TERMS["chi_squared"])`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from foolsgold.errors import UserError
from foolsgold.objectives.chi_squared import chi_squared, weighted_chi_squared
from foolsgold.objectives.kl import AdaptiveKL, k1, k2, k3, sequence_kl, weighted_k3
from foolsgold.objectives.policy_gradient import Aggregation, Normalizer

Term = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps log-probabilities of the policy, of the policy that drew the tokens and of the reference, `[B, T-1]` and 0
outside the completions, to terms `[B, T-1]`: nats a token of KL, or of another divergence."""

TERMS: dict[str, Term] = {
    "k1": lambda log_prob, old, reference: k1(log_prob, reference),
    "k2": lambda log_prob, old, reference: k2(log_prob, reference),
    "k3": lambda log_prob, old, reference: k3(log_prob, reference),
    "weighted_k3": weighted_k3,
    "chi_squared": weighted_chi_squared,
}
"""Terms of a loss by name. On average the gradient of k1 is zero and that of k3 not the KL's; both are here because
published runs used them. `chi_squared` is of whole completions: next to nothing up to a log ratio of about the
logarithm of one over twice its price, a wall beyond."""


@dataclass(frozen=True)
class KLSettings:
    """Price of KL, in the unit of the reward (of the advantages, in the loss) a nat; by default there is none.

    Raises:
      UserError: a value is out of its range, or a target has no fine to steer.
    """

    in_loss: float = 0.0
    """Price of a token's KL as a term of the loss (Shao et al. 2024, equation 3), or of the divergence in `term`."""
    term: Term = weighted_k3
    """Of the loss; see `TERMS`."""
    in_reward: float = 0.0
    """Price of a completion's KL, taken from its reward (Ziegler et al. 2019, equation 2)."""
    target: float | None = None
    """Nats a completion that the price in the reward steers to; None keeps the price."""
    gain: float = 0.1
    """Of the steering; see `AdaptiveKL`."""
    measure: bool = False
    """Log the KL also where it costs nothing."""

    def __post_init__(self) -> None:
        if self.in_loss < 0 or self.in_reward < 0:
            raise UserError(
                f"a price of KL is not negative: {self.in_loss} in the loss, {self.in_reward} in the reward"
            )
        if self.target is not None and not (self.target > 0 and self.in_reward > 0):
            raise UserError("a target of KL is above 0 and steers a price in the reward; give in_reward to start from")

    @property
    def needs_reference(self) -> bool:
        return bool(self.in_loss or self.in_reward or self.measure)

    def loss(
        self,
        log_probs: torch.Tensor,
        columns: Mapping[str, torch.Tensor],
        aggregate: Aggregation,
        normalizer: Normalizer,
    ) -> torch.Tensor:
        """A micro-batch's share of the term in the loss, `[]`; 0 without a price.

        Args:
          log_probs: `[B, T-1]`, nats, of the policy being trained.
          columns: with `mask`, `old_log_probs` and `reference_log_probs`, `[B, T-1]` each.
          aggregate, normalizer: of the policy's loss.
        """
        if not self.in_loss:
            return log_probs.new_zeros(())
        terms = self.term(log_probs, columns["old_log_probs"], columns["reference_log_probs"])
        return self.in_loss * aggregate(terms, columns["mask"], normalizer)

    def price(self, memory: dict[str, Any]) -> float:
        """Present price in the reward; `memory` is the loop's."""
        return memory.get("kl_coefficient", self.in_reward)

    def steer(self, memory: dict[str, Any], kl: float) -> None:
        """Set the price for the steps that follow a batch of `kl` nats a completion."""
        if self.target is not None:
            controller = AdaptiveKL(self.price(memory), self.target, self.gain)
            memory["kl_coefficient"] = controller.updated(kl).coefficient


def kl_metrics(log_probs: torch.Tensor, reference: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
    """KL of whole completions from the reference, nats: both estimates are unbiased, k3 is of less variance when small.

    Beside them, without unit, the chi-squared divergence, which a batch underestimates where the KL is some nats.

    Args:
      log_probs, reference: `[B, T-1]`, of tokens that the policy drew without top-k and top-p.
      mask: `[B, T-1]` bool.
    """
    plain, controlled = sequence_kl(log_probs, reference, mask), sequence_kl(log_probs, reference, mask, k3)
    return {
        "kl": plain.mean,
        "kl_se": plain.standard_error,
        "kl_k3": controlled.mean,
        "kl_k3_se": controlled.standard_error,
        "chi_squared": float(chi_squared(torch.where(mask, log_probs - reference, 0.0).sum(1))),
    }
