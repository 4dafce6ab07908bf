"""What a policy has just done, as trainers learn from it: rollouts, and how far they are from the reference."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from foolsgold.objectives.kl import k1
from foolsgold.policies.hub import LanguageModel
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.training.kl_penalty import KLSettings, kl_metrics
from foolsgold.training.loop import LoopSettings, Metrics
from foolsgold.training.policy_batches import Columns, as_columns, per_token
from foolsgold.training.rollouts import Rollouts, RolloutSettings, Task, frozen_copy, roll_out


@dataclass(frozen=True)
class Gathered:
    """Of one step; tensors are on the CPU."""

    rollouts: Rollouts
    columns: Columns
    """As `as_columns` gives them, and `reference_log_probs` `[B, T-1]` where there is a reference."""
    kl: torch.Tensor
    """`[B, T-1]`, nats, estimate of each token's KL from the reference; 0 outside the mask and without a reference."""
    price: float
    """Of a nat, to be taken from the reward."""
    metrics: Metrics


class Experience:
    """Gathers each step's rollouts.

    Args:
      policy: that is trained, with its starting weights.
      reference: that KL is measured from; `policy` as it is now where None. Copied either way, if it is needed.
    """

    def __init__(
        self,
        policy: LanguageModel,
        task: Task,
        settings: RolloutSettings,
        kl: KLSettings,
        loop: LoopSettings,
        micro_batch: int,
        reference: LanguageModel | None = None,
    ):
        self.policy, self.task, self.settings, self.kl, self.loop = policy, task, settings, kl, loop
        self.micro_batch = micro_batch
        self.reference = frozen_copy(reference or policy, loop.dtype) if kl.needs_reference else None

    def gather(self, step: int, memory: dict[str, Any]) -> Gathered:
        """Draw and score the completions of step `step`, from 0; `memory` is the loop's, for the price.

        Raises:
          RewardFailure: a reward failed; its batch is on disk.
        """
        self.policy.eval()
        rollouts = roll_out(self.policy, self.task, self.settings, self.loop.seed, step, self.loop.steps)
        self.policy.train()
        columns, metrics = as_columns(rollouts), rollouts.metrics()
        kl, price = torch.zeros_like(rollouts.log_probs), self.kl.price(memory)
        if self.reference is not None:
            start = time.perf_counter()
            says = partial(token_log_probs, self.reference, temperature=self.settings.sampling.temperature)
            said = per_token(says, columns, self.micro_batch, self.policy.device)
            columns["reference_log_probs"] = said
            kl = k1(rollouts.log_probs, said)  # both are 0 outside the mask
            metrics |= kl_metrics(rollouts.log_probs, said, rollouts.mask)
            metrics |= {"kl_coefficient": price, "seconds/reference": time.perf_counter() - start}
            self.kl.steer(memory, metrics["kl"])
        return Gathered(rollouts, columns, kl, price, metrics)
