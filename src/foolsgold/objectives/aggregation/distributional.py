"""Distributional preferences: what an item is worth differs from user to user, with a mean and a spread.

Comparisons of many users are explained by drawing each side's worth from its own normal distribution. The spread is
what a pooled reward model hides: two items of the same mean, one liked by all, one loved by some and loathed by others.

Letters: J or B comparisons, I items. Means and spreads share an arbitrary unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from scipy import optimize
from scipy.special import log_ndtr, ndtr

from foolsgold.objectives.aggregation.paired import Pairs


@dataclass(frozen=True)
class MeanAndSpread:
    """The fitted distributions."""

    mean: np.ndarray
    """`[I]`, with mean 0 over items."""
    spread: np.ndarray
    """`[I]`, standard deviation over users (and noise), in the unit of `mean`."""

    def probability(self, a: int, b: int) -> float:
        """Chance that a random user prefers item a to item b."""
        apart = self.mean[a] - self.mean[b]
        return float(ndtr(apart / np.hypot(self.spread[a], self.spread[b])))

    @property
    def explained(self) -> float:
        """Share of the variance of worth that is between items: 1 if all users agree. The paper's r²."""
        between = self.mean.var()
        return float(between / (between + (self.spread**2).mean()))

    def lower_quantile(self, share: float) -> np.ndarray:
        """What all but `share` of the users find the item worth at least, `[I]`: a risk-averse score.

        Raises:
          ValueError: `share` is not between 0 and 1.
        """
        if not 0 < share < 1:
            raise ValueError(f"share is {share}; give one between 0 and 1")
        return self.mean + NormalDist().inv_cdf(share) * self.spread


def mean_and_spread(pairs: Pairs, precision: float = 0.1, iterations: int = 1000) -> MeanAndSpread:
    """The most probable means and spreads by L-BFGS.

    Comparisons tell the ratio of everything to the spreads, and no more: the prior sets the unit, with spreads around
    1. How spread an item is shows only in comparisons against items of many different means, and more slowly than its
    mean does; with some tens of comparisons an item the prior decides.

    Args:
      pairs: as `PairedComparisons.pairs` gives them.
      precision: 1 / variance of the normal priors of mean and log spread, above 0.
      iterations: of L-BFGS, at most.

    Raises:
      ValueError: `precision` is not above 0.

    Source: Siththaranjan et al. 2024 (Distributional preference learning), the mean-and-variance model.
    """
    if precision <= 0:
        raise ValueError(f"precision is {precision}; give it above 0, or the unit is arbitrary")
    a, b, size = pairs.a, pairs.b, pairs.items

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative log posterior, nats, and its slope in means and log spreads."""
        mean, log_spread = x[:size], x[size:]
        variance = np.exp(2 * log_spread)
        total = np.sqrt(variance[a] + variance[b])
        lead = (mean[a] - mean[b]) / total
        won, lost = log_ndtr(lead), log_ndtr(-lead)
        value = pairs.wins @ won + (pairs.n - pairs.wins) @ lost - precision / 2 * x @ x
        density = -0.5 * lead**2 - 0.5 * np.log(2 * np.pi)
        push = pairs.wins * np.exp(density - won) - (pairs.n - pairs.wins) * np.exp(density - lost)
        in_mean = np.bincount(a, weights=push / total, minlength=size)
        in_mean -= np.bincount(b, weights=push / total, minlength=size)
        shrink = -push * lead / total**2
        in_spread = np.bincount(a, weights=shrink * variance[a], minlength=size)
        in_spread += np.bincount(b, weights=shrink * variance[b], minlength=size)
        return -value, precision * x - np.concatenate([in_mean, in_spread])

    options = {"maxiter": iterations, "ftol": 1e-13, "gtol": 1e-7}
    found = optimize.minimize(loss, np.zeros(2 * size), jac=True, method="L-BFGS-B", options=options).x
    return MeanAndSpread(found[:size] - found[:size].mean(), np.exp(found[size:]))


def mean_and_spread_loss(
    mean_a: torch.Tensor,
    spread_a: torch.Tensor,
    mean_b: torch.Tensor,
    spread_b: torch.Tensor,
    probability_a: torch.Tensor,
) -> torch.Tensor:
    """Cross-entropy of what was preferred from a network's means and spreads, `[]`, nats for one comparison.

    Args:
      mean_a, mean_b: `[B]`.
      spread_a, spread_b: `[B]`, above 0, such as softplus of a second output.
      probability_a: `[B]`, 1 where a was preferred, 0 where b was, 0.5 for a tie.

    Source: Siththaranjan et al. 2024, the mean-and-variance model.
    """
    lead = (mean_a - mean_b) / torch.hypot(spread_a, spread_b)
    won, lost = torch.special.log_ndtr(lead), torch.special.log_ndtr(-lead)
    return -(probability_a * won + (1 - probability_a) * lost).mean()
