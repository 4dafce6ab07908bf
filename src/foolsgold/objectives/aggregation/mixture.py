"""Groups of users who want different things, found by EM: a mixture of Bradley–Terry models on linear features.

Letters: J comparisons, R raters, G groups, D features. A comparison of a and b is `features(a) - features(b)`; one-hot
features give every item a score of its own in every group. All comparisons of one rater come from one group; which one
is not known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit, logsumexp

SHORT_RUN = 8
"""Rounds of EM after which the best of the starts is chosen and carried to the end."""


@dataclass(frozen=True)
class GroupMixture:
    """The fitted model; groups are in the order of their size, the largest first."""

    weights: np.ndarray
    """`[G, D]`, what each group's users value: their score of an item is `weights @ features`, nats."""
    shares: np.ndarray
    """`[G]`, of raters."""
    membership: np.ndarray
    """`[R, G]`, probability that the rater belongs to the group."""
    log_likelihood: float
    """Of all comparisons, nats."""
    bic: float
    """Bayesian information criterion with raters as the units, nats doubled; the number of groups with the lowest one
    fits best."""


def responsibilities(log_likelihood: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, float]:
    """The E-step: to which group each rater belongs, whatever model gives the likelihoods.

    Args:
      log_likelihood: `[R, G]`, of all that the rater said if the rater were in the group, nats.
      shares: `[G]`, of raters, summing to 1.

    Returns:
      Membership `[R, G]`, rows summing to 1, and the log-likelihood of everything, nats.

    Source: Dempster et al. 1977.
    """
    with np.errstate(divide="ignore"):  # a group may die out
        joint = log_likelihood + np.log(shares)
    evidence = logsumexp(joint, axis=1, keepdims=True)
    return np.exp(joint - evidence), float(evidence.sum())


def group_mixture(
    features: ArrayLike,
    outcome: ArrayLike,
    rater: ArrayLike,
    groups: int,
    precision: float = 1.0,
    starts: int = 5,
    iterations: int = 500,
    tolerance: float = 1e-7,
    seed: int = 0,
) -> GroupMixture:
    """The most likely groups, of several random starts.

    Each start puts raters into groups by what a few of them, far apart, want. EM finds a local maximum: with `starts`
    1 it may miss a small group.

    Args:
      features: `[J, D]`, features of item a less those of item b.
      outcome: `[J]`, 1 where a was preferred, 0 where b was, 0.5 for a tie.
      rater: int `[J]`, from 0 to R - 1.
      groups: G, from 1 up.
      precision: 1 / variance of the normal prior of each weight, above 0.
      starts: random starts.
      iterations: rounds of EM at most, each with one Newton step a group.
      tolerance: EM stops when a round gains less than this, nats a comparison.
      seed: the same seed gives the same fit.

    Raises:
      ValueError: shapes that differ, or numbers out of range.

    Source: Chakraborty et al. 2024 (MaxMin-RLHF), whose raters are put into their likeliest group; here they belong to
      all of them in part. Short runs first: Biernacki et al. 2003.
    """
    x, y, who = np.asarray(features, np.float64), np.asarray(outcome, np.float64), np.asarray(rater, np.int64)
    if x.ndim != 2 or not len(x) == len(y) == len(who) > 0:
        raise ValueError(f"features {x.shape}, outcome {y.shape} and rater {who.shape} must have a row a comparison")
    if groups < 1 or starts < 1 or precision <= 0:
        raise ValueError("give one group and one start at least, and a precision above 0")
    data = _Data(x, y, who, int(who.max()) + 1, precision)
    rng = np.random.default_rng(seed)
    if groups == 1:
        starts = 1
    runs = [_em(data, _start(data, groups, rng), SHORT_RUN, tolerance) for _ in range(starts)]
    best = max(runs, key=lambda run: run.value)
    return _em(data, best, iterations, tolerance).result(data)


@dataclass(frozen=True)
class _Data:
    """What a fit is given."""

    x: np.ndarray
    y: np.ndarray
    rater: np.ndarray
    raters: int
    precision: float


@dataclass(frozen=True)
class _State:
    """Where EM stands."""

    weights: np.ndarray
    shares: np.ndarray
    membership: np.ndarray
    log_likelihood: float
    value: float
    """Log-likelihood and log prior: what EM climbs."""

    def result(self, data: _Data) -> GroupMixture:
        order = np.argsort(-self.shares, kind="stable")
        free = self.weights.size + len(order) - 1
        return GroupMixture(
            self.weights[order],
            self.shares[order],
            self.membership[:, order],
            self.log_likelihood,
            free * math.log(data.raters) - 2 * self.log_likelihood,
        )


def _start(data: _Data, groups: int, rng: np.random.Generator) -> _State:
    """Weights of `groups` raters chosen far apart, each from that rater's comparisons alone (k-means++)."""
    slope = np.zeros((data.raters, data.x.shape[1]))
    pooled = _newton(data, np.zeros(data.x.shape[1]), np.ones(data.raters))
    np.add.at(slope, data.rater, (data.y - expit(data.x @ pooled))[:, None] * data.x)
    judged = np.bincount(data.rater, minlength=data.raters)
    wants = slope / np.sqrt(np.maximum(judged, 1))[:, None]
    centres = [wants[rng.integers(data.raters)]]
    while len(centres) < groups:
        apart = np.min([((wants - centre) ** 2).sum(1) for centre in centres], axis=0)
        chance = apart / apart.sum() if apart.sum() > 0 else None
        centres.append(wants[rng.choice(data.raters, p=chance)])
    nearest = np.argmin([((wants - centre) ** 2).sum(1) for centre in centres], axis=0)
    # Not quite hard, so that a group chosen badly can still gain raters.
    membership = 0.9 * (nearest[:, None] == np.arange(groups)) + 0.1 / groups
    weights = np.stack([_newton(data, pooled, membership[:, g]) for g in range(groups)])
    return _expect(data, weights, membership.mean(0))


def _em(data: _Data, state: _State, iterations: int, tolerance: float) -> _State:
    for _ in range(iterations):
        moved = np.stack([_newton(data, w, state.membership[:, g]) for g, w in enumerate(state.weights)])
        after = _expect(data, moved, state.membership.mean(0))
        while after.value < state.value and np.abs(moved - state.weights).max() > 1e-9:
            # Newton stepped too far: half way back.
            moved = (moved + state.weights) / 2
            after = _expect(data, moved, state.membership.mean(0))
        gained, state = after.value - state.value, after
        if gained < tolerance * len(data.y):
            break
    return state


def _expect(data: _Data, weights: np.ndarray, shares: np.ndarray) -> _State:
    leads = data.x @ weights.T
    likelihood = data.y[:, None] * log_expit(leads) + (1 - data.y[:, None]) * log_expit(-leads)
    each = np.stack([np.bincount(data.rater, weights=column, minlength=data.raters) for column in likelihood.T], 1)
    membership, total = responsibilities(each, shares)
    return _State(weights, shares, membership, total, total - data.precision / 2 * float((weights**2).sum()))


def _newton(data: _Data, weights: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """One Newton step of the logistic regression in which each rater counts by membership `[R]`: `[D]`."""
    counted = membership[data.rater]
    chance = expit(data.x @ weights)
    slope = data.x.T @ (counted * (data.y - chance)) - data.precision * weights
    curvature = (data.x.T * (counted * chance * (1 - chance))) @ data.x
    return weights + np.linalg.solve(curvature + data.precision * np.eye(len(weights)), slope)
