"""What a nat of KL costs in RL on a reward model: set by the reward model and the start's answers, before RL.

The verifier has no part in it, as nobody who has only a reward model could ask one.
"""

from __future__ import annotations

import numpy as np

from foolsgold.objectives.best_of_n import best_of_n_kl
from foolsgold.studies.real_rl_pipeline import ProblemsPipeline

BEST_OF = 16
"""The priced policy may go as far from the start as the reward model's favourite of so many answers is."""
KL_BUDGET = float(best_of_n_kl(BEST_OF))
"""Nats: 1.84."""


def kl_price(scores: np.ndarray, nats: float) -> float:
    """Price of a nat, in the unit of the reward, at which the best policy is `nats` from the start.

    At price b the highest reward less price is that of the start's policy tilted by exp(r / b). Normal rewards of
    deviation s are shifted by s^2 / b, which is s^2 / (2 b^2) nats: b = s / sqrt(2 nats).

    Args:
      scores: `[P, S]`, rewards of S answers of the start to each of P problems; s is their deviation within problems.

    Source: Korbak et al. 2022 (RL with KL penalties is better viewed as Bayesian inference), for the tilt.
    """
    deviation = np.sqrt(scores.var(1, ddof=1).mean())
    return float(deviation / np.sqrt(2 * nats))


def price_for(pipeline: ProblemsPipeline, nats: float) -> float:
    """Of a run, in standard deviations of the proxy a nat."""
    scores = pipeline.proxy(*pipeline.standard_answers)
    return kl_price(np.array(scores, float).reshape(-1, pipeline.plan.answers), nats)
