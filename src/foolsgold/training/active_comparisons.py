"""Gather comparisons where they teach most: fit, choose the next batch, ask, fit again.

Letters: P pairs, K comparisons, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from foolsgold.labels.next_pair import Leads, Strategy, draw_uniformly

Model = TypeVar("Model")


@dataclass(frozen=True)
class LinearReward:
    """A reward linear in features, and how sure it is: normal around its most likely weights (Laplace)."""

    weights: np.ndarray
    """float64 `[F]`, nats of log-odds for each unit of a feature"""
    factor: np.ndarray
    """float64 `[F, F]`; `factor @ factor.T` is the weights' covariance"""

    def leads(self, differences: np.ndarray) -> Leads:
        """Of pairs whose features differ by `differences` `[P, F]`, a less b."""
        return Leads(differences @ self.weights, differences @ self.factor)


def fit_linear_reward(
    differences: np.ndarray, prefers_a: np.ndarray, deviation: float, start: LinearReward | None = None
) -> LinearReward:
    """Bayesian Bradley-Terry on features: milliseconds for hundreds of them, and it knows what it does not know.

    Args:
      differences: `[K, F]`, features of a less those of b.
      prefers_a: `[K]`, from 0 to 1; a tie is 0.5.
      deviation: prior standard deviation of every weight around 0; put the features on one scale first.
      start: where to begin the search, such as the fit before these comparisons came; it does not change the result.

    Raises:
      ValueError: the shapes differ, or a number is not finite.

    Source: MacKay 1992 (the evidence framework applied to classification networks), section 2.
    """
    x, y = np.asarray(differences, np.float64), np.asarray(prefers_a, np.float64)
    if x.ndim != 2 or y.shape != (len(x),) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(f"differences {x.shape} and preferences {y.shape}; give finite [K, F] and [K]")
    precision = deviation**-2
    weights = np.zeros(x.shape[1]) if start is None else start.weights

    def loss(w: np.ndarray) -> float:
        lead = x @ w
        return float((np.logaddexp(0, lead) - y * lead).sum() + precision / 2 * w @ w)

    now = loss(weights)
    while True:
        chance = expit(x @ weights)
        gradient = x.T @ (chance - y) + precision * weights
        hessian = x.T * (chance * (1 - chance)) @ x + precision * np.eye(x.shape[1])
        step = np.linalg.solve(hessian, gradient)
        promised = float(gradient @ step) / 2
        if promised < 1e-8:  # nats
            root = np.linalg.cholesky(hessian)
            return LinearReward(weights, solve_triangular(root, np.eye(len(root)), lower=True).T)
        # Newton may overshoot far from the minimum; the loss is convex, so a small enough part of the step lowers it.
        size = 1.0
        while (after := loss(weights - size * step)) > now - 0.1 * size * promised:
            size /= 2
        weights, now = weights - size * step, after


@dataclass(frozen=True)
class Gathering:
    """How comparisons are gathered."""

    comparisons: int
    """Judgements in all, repeats among them."""
    batch: int
    """Judgements between two fits; the first batch is drawn uniformly."""
    repeats: float = 0.0
    """Share of judgements that are of a pair judged before, to measure consistency."""

    def __post_init__(self) -> None:
        if self.batch < 1 or not 0 <= self.repeats < 1:
            raise ValueError(
                f"batches of {self.batch} with {self.repeats} repeated; give 1 or more, and from 0 below 1"
            )


@dataclass(frozen=True)
class Gathered:
    """K judgements in the order they were given."""

    rows: np.ndarray
    """int64 `[K]`, which of the pairs"""
    prefers_a: np.ndarray
    """bool `[K]`"""


def gather(
    pairs: int,
    ask: Callable[[np.ndarray], np.ndarray],
    fit: Callable[[Gathered], Model],
    leads: Callable[[Model, np.ndarray], Leads],
    strategy: Strategy,
    plan: Gathering,
    seed: int,
    report: Callable[[int, Model], None] = lambda judged, model: None,
) -> Gathered:
    """Rounds of choosing a batch, having it judged, and fitting a reward model to all judgements so far.

    Args:
      pairs: P, that may be judged; each is judged once, repeats aside.
      ask: has the pairs of rows `[B]` judged: whether a is preferred, bool `[B]`.
      fit: a model of all comparisons so far.
      leads: what the model believes of the pairs of rows.
      strategy: one of `labels.next_pair.STRATEGIES`.
      report: gets the number of judgements and the model after each fit.

    Raises:
      ValueError: there are too few pairs.
    """
    rng = np.random.default_rng([seed, 62])
    waiting = np.ones(pairs, bool)
    once: list[int] = []  # judged, not yet repeated
    gathered = Gathered(np.zeros(0, np.int64), np.zeros(0, bool))
    model: Model | None = None
    while (judged := len(gathered.rows)) < plan.comparisons:
        size = min(plan.batch, plan.comparisons - judged)
        # The running total is rounded, not each batch: a small share is kept with small batches too.
        repeated = min(int((judged + size) * plan.repeats) - int(judged * plan.repeats), len(once))
        left = np.flatnonzero(waiting)
        believed = leads(model, left) if model is not None else _nothing_known(len(left))
        choose = strategy if model is not None else draw_uniformly
        new = left[choose(believed, size - repeated, int(rng.integers(2**31)))]
        again = [once.pop(int(rng.integers(len(once)))) for _ in range(repeated)]
        waiting[new] = False
        once += new.tolist()
        rows = np.concatenate([new, np.array(again, np.int64)])
        gathered = Gathered(
            np.concatenate([gathered.rows, rows]), np.concatenate([gathered.prefers_a, np.asarray(ask(rows), bool)])
        )
        model = fit(gathered)
        report(len(gathered.rows), model)
    return gathered


def _nothing_known(pairs: int) -> Leads:
    return Leads(np.zeros(pairs), np.zeros((pairs, 0)))
