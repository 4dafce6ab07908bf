"""Scores as a few tokens: which quantile of the training scores a completion's score falls into, and back.

A policy trained on (prompt, token of the score) -> completion can then be asked for the highest token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class RewardQuantiles:
    """Bins of scores, numbered from 0, the worst; none was empty in training."""

    edges: np.ndarray
    """`[K - 1]`, rising; a score that equals an edge belongs to the bin above it."""
    medians: np.ndarray
    """`[K]`, median training score of each bin."""

    @property
    def best(self) -> int:
        """Number of the highest bin."""
        return len(self.edges)

    def bin_of(self, scores: ArrayLike) -> np.ndarray:
        """Number of the bin of each score, int64 of the shape of `scores`; beyond the training scores, the end bins.

        Raises:
          ValueError: NaN.
        """
        return np.searchsorted(self.edges, _known(scores), side="right")

    def score_of(self, bins: ArrayLike) -> np.ndarray:
        """Median training score of each bin, of the shape of `bins`: what asking for the bin asks for."""
        return self.medians[np.asarray(bins)]


def reward_quantiles(scores: ArrayLike, n_bins: int) -> RewardQuantiles:
    """Bins of as nearly equal numbers of training scores as ties allow.

    Equal scores share a bin: a cut that would part them moves to the nearer end of their run. Of few different
    scores, as from a verifier, fewer bins than `n_bins` come out, down to one if all are equal.

    Args:
      scores: `[N]`, of the training completions.
      n_bins: wanted, from 1 up; Quark uses 5 to 8.

    Raises:
      ValueError: no scores, NaN, or no bins.

    Source: Lu et al. 2022 (Quark), section 2.
    """
    ordered = np.sort(_known(scores).ravel())
    if len(ordered) == 0 or n_bins < 1:
        raise ValueError("quantiles need at least one score and one bin")
    # Between which neighbours, by number of scores below, a cut parts no equal ones.
    places = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    wanted = np.arange(1, n_bins) * len(ordered) / n_bins
    if len(places) == 0:
        cuts = places
    else:
        cuts = np.unique(places[np.abs(places - wanted[:, None]).argmin(1)])
    return RewardQuantiles(ordered[cuts], np.array([np.median(part) for part in np.split(ordered, cuts)]))


def _known(scores: ArrayLike) -> np.ndarray:
    array = np.asarray(scores, np.float64)
    if np.isnan(array).any():
        raise ValueError("NaN is no score; leave out what could not be scored")
    return array
