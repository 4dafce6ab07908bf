"""Bradley–Terry: one score for every item, from who won against whom.

Letters: I items, P distinct pairs of them. Scores are nats of log-odds: a lead of 1 makes the odds of being preferred
e : 1. A tie counts as half a win for each side. Where people want different things the scores are those of nobody, and
their order is that of Borda counts (see `social_choice.borda`).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg
from scipy.special import expit, log_expit

from foolsgold.objectives.aggregation.paired import Pairs
from foolsgold.objectives.statistics import Interval

MOST_STEPS = 100
"""Newton steps; some six are usual."""
CONVERGED = 1e-6
"""Change of all scores, nats, at which Newton stops; what is left is of the order of its square."""
ROUNDING = 1e-12
"""Loss of log-likelihood, as a share of it, that is float64 and no step too far."""


@dataclass(frozen=True)
class BradleyTerry:
    """The fitted scores."""

    scores: np.ndarray
    """`[I]`, nats, with mean 0."""
    information: sparse.csr_array
    """`[I, I]`, Fisher information of the comparisons plus the prior's precision."""

    def probability(self, a: int, b: int) -> float:
        """Chance that item a is preferred to item b."""
        return float(expit(self.scores[a] - self.scores[b]))

    def lead_interval(self, a: int, b: int, confidence: float = 0.95) -> Interval:
        """Wald's interval for the score of a minus that of b, nats."""
        contrast = np.zeros(len(self.scores))
        contrast[a], contrast[b] = 1.0, -1.0
        half = NormalDist().inv_cdf((1 + confidence) / 2) * float(contrast @ _solve(self.information, contrast)) ** 0.5
        lead = float(self.scores[a] - self.scores[b])
        return Interval(lead - half, lead + half)

    def errors(self) -> np.ndarray:
        """Standard errors of the scores, `[I]`, nats; by a dense inverse, for up to some thousands of items."""
        size = len(self.scores)
        # Adding 1 along the direction that comparisons cannot see makes the matrix regular; it is taken out again.
        covariance = np.linalg.inv(self.information.toarray() + 1 / size)
        prior = float(self.information.sum()) / size
        return np.sqrt(np.diag(covariance) - 1 / (size * (1 + prior)))


def bradley_terry(pairs: Pairs, precision: float = 0.0) -> BradleyTerry:
    """Maximum likelihood by Newton's method, or with `precision` the mode under a normal prior.

    Args:
      pairs: as `PairedComparisons.pairs` gives them.
      precision: 1 / variance of the normal prior of every score, 1/nats²; above 0 every item has a finite score.

    Raises:
      ValueError: without a prior, some items never lost (or never won) against the others, so that no finite score is
        most likely; or `precision` is below 0.

    Source: Bradley and Terry 1952; finite if and only if the graph of wins is strongly connected, Ford 1957.
    """
    if precision < 0:
        raise ValueError(f"precision is {precision}; give 0 or more")
    if precision == 0:
        parts, _ = connected_components(pairs.beats(), directed=True, connection="strong")
        if parts > 1:
            raise ValueError(
                f"the items fall into {parts} parts of which one never won against the other, so that the best scores "
                "are infinite; give precision, such as 0.1, or more comparisons"
            )
    scores, cells = np.zeros(pairs.items), _cells(pairs)
    value, slope, information = _likelihood(pairs, cells, scores, precision)
    for _ in range(MOST_STEPS):
        step = _solve(information, slope)
        length = 1.0
        moved = _likelihood(pairs, cells, scores + step, precision)
        # The likelihood is concave: some part of a Newton step always climbs, if by no more than rounding.
        while moved[0] < value - ROUNDING * abs(value):
            length /= 2
            moved = _likelihood(pairs, cells, scores + length * step, precision)
        scores = scores + length * step
        value, slope, information = moved
        if np.abs(step).max() < CONVERGED:
            break
    return BradleyTerry(scores - scores.mean(), information)


def _cells(pairs: Pairs) -> sparse.csr_array:
    """The cells of the information matrix `[I, I]`; each holds its place among what `_likelihood` computes for them."""
    own = np.arange(pairs.items)
    rows, columns = np.r_[pairs.a, pairs.b, own], np.r_[pairs.b, pairs.a, own]
    return sparse.csr_array((np.arange(len(rows)), (rows, columns)), shape=(pairs.items, pairs.items))


def _likelihood(
    pairs: Pairs, cells: sparse.csr_array, scores: np.ndarray, precision: float
) -> tuple[float, np.ndarray, sparse.csr_array]:
    """Log-likelihood and log prior, nats, their slope `[I]`, and the information `[I, I]`."""

    def of_items(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Sums over an item's pairs, `[I]`, of what is said of the first and of the second item, `[P]` each."""
        return np.bincount(pairs.a, first, pairs.items) + np.bincount(pairs.b, second, pairs.items)

    lead = scores[pairs.a] - scores[pairs.b]
    chance = expit(lead)
    value = pairs.wins @ log_expit(lead) + (pairs.n - pairs.wins) @ log_expit(-lead) - precision / 2 * scores @ scores
    surprise = pairs.wins - pairs.n * chance
    known = pairs.n * chance * (1 - chance)
    content = np.r_[-known, -known, of_items(known, known) + precision]
    information = sparse.csr_array((content[cells.data], cells.indices, cells.indptr), shape=cells.shape)
    return float(value), of_items(surprise, -surprise) - precision * scores, information


def _solve(information: sparse.csr_array, target: np.ndarray) -> np.ndarray:
    """Of the solutions of `information @ x = target` the one that sums to 0; `target` does too, but for rounding."""
    scale = sparse.diags_array(1 / information.diagonal())
    found, _ = cg(information, target - target.mean(), rtol=1e-9, atol=0.0, maxiter=10 * len(target) + 100, M=scale)
    return found - found.mean()
