"""Losses for reward models of raters who differ: groups found by EM, a mean with its spread.

Letters: B comparisons, R raters, G groups. Scores are in nats of log-odds, but for a mean with its spread, whose
unit is the spread's.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import log_softmax


def mixture_loss(leads: torch.Tensor, responsibility: torch.Tensor) -> torch.Tensor:
    """The M-step of a mixture of Bradley–Terry models, `[]`, nats a comparison.

    Args:
      leads: `[B, G]`, score of the chosen candidate less that of the rejected one, by each group's head.
      responsibility: `[B, G]`, how far each comparison's rater is taken to belong to each group; rows sum to 1.

    Source: Chakraborty et al. 2024 (MaxMin-RLHF), algorithm 2, with soft membership.
    """
    return -(responsibility * F.logsigmoid(leads)).sum(1).mean()


def responsibilities(log_likelihood: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The E-step: chance that each rater belongs to each group, `[R, G]`, rows summing to 1.

    Args:
      log_likelihood: `[R, G]`, nats, of all that a rater said under each group's reward model.
      shares: `[G]`, above 0, of raters in each group.

    Source: Dempster, Laird and Rubin 1977.
    """
    return np.exp(log_softmax(log_likelihood + np.log(shares), axis=1))


def mean_spread_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, chosen_spread: torch.Tensor, rejected_spread: torch.Tensor
) -> torch.Tensor:
    """Negative log-likelihood where what a candidate is worth is normal over raters, `[]`, nats a comparison.

    One candidate is preferred where its draw is above the other's: raters of unlike taste show as a large spread, and
    so does plain noise.

    Args:
      chosen, rejected: `[B]`, means.
      chosen_spread, rejected_spread: `[B]`, standard deviations, above 0.

    Source: Siththaranjan et al. 2024 (Distributional preference learning), mean-and-variance model; Thurstone 1927.
    """
    lead = (chosen - rejected) / torch.sqrt(chosen_spread.square() + rejected_spread.square())
    return -torch.special.log_ndtr(lead).mean()
