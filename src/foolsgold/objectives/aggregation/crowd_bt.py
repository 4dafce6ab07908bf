"""Crowd-BT: Bradley–Terry scores and each rater's reliability, learned together.

Letters: J comparisons, R raters, I items. A rater of reliability η says what Bradley–Terry would say with probability η
and the opposite otherwise: 1 is a perfect reading of the scores, 0.5 a coin, below 0.5 an adversary, whose word then
counts the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import expit, log_expit, logit

from foolsgold.objectives.aggregation.bradley_terry import bradley_terry
from foolsgold.objectives.aggregation.paired import PairedComparisons

START = 0.9
"""Reliability from which the fit starts: of the two mirror images it finds the one where most raters mean well."""
CERTAIN = 1e-12
"""How near to 0 and 1 a probability may come before its logarithm is taken."""


@dataclass(frozen=True)
class CrowdBT:
    """The fitted model."""

    scores: np.ndarray
    """`[I]`, nats, with mean 0."""
    reliability: np.ndarray
    """`[R]`, from 0 to 1."""
    log_posterior: float
    """Of the fit, nats, but for a constant."""


def crowd_bt(
    comparisons: PairedComparisons,
    regularization: float = 0.5,
    prior: tuple[float, float] = (4.0, 2.0),
    iterations: int = 500,
) -> CrowdBT:
    """The most probable scores and reliabilities, by L-BFGS on both at once.

    Ties count as half a judgement for each side. Reliability and spread of the scores stand in for one another where
    raters judged little: then the priors decide.

    Args:
      regularization: weight of one win and one loss of every item against a virtual item of score 0, above 0.
      prior: of the reliability, a beta distribution's parameters, each 1 or more; the default is worth four judgements
        of which three were right.
      iterations: of L-BFGS, at most.

    Raises:
      ValueError: `regularization` or `prior` out of range.

    Source: Chen et al. 2013 (Pairwise ranking aggregation in a crowdsourced setting), with a prior of reliability.
    """
    right, wrong = prior
    if regularization <= 0 or right < 1 or wrong < 1:
        raise ValueError("give regularization above 0 and a prior of two numbers of 1 or more")
    items, raters = len(comparisons.items), len(comparisons.raters)
    a, b, rater, outcome = comparisons.a, comparisons.b, comparisons.rater, comparisons.outcome

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative log posterior, nats, and its slope in scores and log-odds of the reliabilities."""
        scores, eta = x[:items], expit(x[items:])
        chance = expit(scores[a] - scores[b])
        trust = 2 * eta[rater] - 1
        said_a = np.clip(0.5 + trust * (chance - 0.5), CERTAIN, 1 - CERTAIN)
        value = outcome @ np.log(said_a) + (1 - outcome) @ np.log1p(-said_a)
        value += regularization * (log_expit(scores) + log_expit(-scores)).sum()
        value += ((right - 1) * log_expit(x[items:]) + (wrong - 1) * log_expit(-x[items:])).sum()
        surprise = (outcome - said_a) / (said_a * (1 - said_a))
        lead = surprise * trust * chance * (1 - chance)
        in_scores = np.bincount(a, weights=lead, minlength=items) - np.bincount(b, weights=lead, minlength=items)
        in_scores += regularization * (1 - 2 * expit(scores))
        in_eta = np.bincount(rater, weights=surprise * (2 * chance - 1), minlength=raters) * eta * (1 - eta)
        in_eta += (right - 1) * (1 - eta) - (wrong - 1) * eta
        return -value, -np.concatenate([in_scores, in_eta])

    # A logistic prior with this weight has the curvature of a normal one of half its precision.
    start = np.concatenate([bradley_terry(comparisons.pairs, regularization / 2).scores, np.full(raters, logit(START))])
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations, "ftol": 1e-13, "gtol": 1e-6}
    )
    scores = found.x[:items]
    return CrowdBT(scores - scores.mean(), expit(found.x[items:]), -float(found.fun))
