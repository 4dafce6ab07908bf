"""Dawid and Skene: what is true of each item, and how each rater errs, learned together from judgements alone.

Letters: J judgements, R raters, I items, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from foolsgold.objectives.aggregation.votes import Judgements, vote_shares

RAREST = 1e-10
"""Least probability of a label or a class, so that no judgement is called impossible."""


@dataclass(frozen=True)
class DawidSkene:
    """The fitted model."""

    posterior: np.ndarray
    """`[I, K]`, probability that the item's true class is k."""
    confusion: np.ndarray
    """`[R, K, K]`, probability that the rater says the last index of an item whose true class is the middle one."""
    prior: np.ndarray
    """`[K]`, share of items of each class."""
    log_likelihood: float
    """Of all judgements (and of what was known), nats."""
    iterations: int
    """Rounds of EM that were run."""

    @property
    def accuracy(self) -> np.ndarray:
        """Chance that the rater is right about an item drawn at random, `[R]`."""
        return np.einsum("k,rkk->r", self.prior, self.confusion)


def dawid_skene(
    judgements: Judgements,
    known: np.ndarray | None = None,
    smoothing: float = 0.0,
    iterations: int = 1000,
    tolerance: float = 1e-9,
) -> DawidSkene:
    """Maximum likelihood by EM, started from the shares of the votes.

    Given the true class, judgements are taken to be independent. With few judgements a rater the confusions are rough,
    and a majority vote may do better; `smoothing` helps. One million judgements take about a second.

    Args:
      known: int `[I]`, the true class of items that have a known answer (attention checks), -1 for the others.
      smoothing: judgements added to every cell of every rater's confusion, from 0 (Dawid and Skene) up.
      iterations: rounds of EM at most.
      tolerance: EM stops when a round gains less than this, nats a judgement.

    Raises:
      ValueError: a known class that is none, or `smoothing` below 0.

    Source: Dawid and Skene 1979.
    """
    raters, items, classes = len(judgements.raters), len(judgements.items), len(judgements.classes)
    if smoothing < 0:
        raise ValueError(f"smoothing is {smoothing}; give 0 or more")
    truth = np.full(items, -1) if known is None else np.asarray(known, np.int64)
    if truth.shape != (items,) or not ((truth >= -1) & (truth < classes)).all():
        raise ValueError(f"known must hold a class from 0 to {classes - 1}, or -1, for each of {items} items")
    unknown = (truth < 0)[:, None]
    possible = unknown | (truth[:, None] == np.arange(classes))
    # Row i counts what was said of item i, by rater and label: both steps of EM are products with this matrix.
    said = sparse.csr_array(
        (np.ones(len(judgements.item)), (judgements.item, judgements.rater * classes + judgements.label)),
        shape=(items, raters * classes),
    )
    told = said.T.tocsr()
    least = RAREST * (np.diff(told.indptr) > 0)[:, None]  # a label that a rater never used may have chance 0
    posterior = np.where(unknown, vote_shares(judgements.counts()), possible)
    last, done = -np.inf, 0
    while done < max(iterations, 1):
        done += 1
        prior = np.maximum(posterior.mean(0), RAREST)
        confusion = np.maximum(told @ posterior + smoothing, least).reshape(raters, classes, classes)
        confusion /= confusion.sum(1, keepdims=True)  # [R, said, true]
        log_confusion = np.log(np.maximum(confusion, np.finfo(float).tiny)).reshape(raters * classes, classes)
        joint = said @ log_confusion + np.log(prior)
        joint = np.where(possible, joint, -np.inf)
        top = joint.max(1, keepdims=True)
        posterior = np.exp(joint - top)
        total = posterior.sum(1, keepdims=True)
        posterior /= total
        log_likelihood = float((top + np.log(total)).sum())
        if log_likelihood - last < tolerance * len(judgements.item):
            break
        last = log_likelihood
    return DawidSkene(posterior, confusion.transpose(0, 2, 1), prior, log_likelihood, done)
