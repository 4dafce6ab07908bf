"""Crowds of the study `crowd`: groups of users, what each likes, and how many belong to each.

A user's weights are those of the user's group times factors of the user's own. Raters and the users who are served are
drawn alike and are different people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foolsgold.environments.go import amateurs
from foolsgold.environments.poems import readers

VARIETY = 0.3
"""Spread of the log-normal factors that users of one group differ by."""
DECISIVENESS = 2.0
"""Log-odds of a preference for a lead of 1 in liking: people who know what they like."""


@dataclass(frozen=True)
class Crowd:
    """Groups of users."""

    name: str
    tastes: tuple[str, ...]
    """`[G]`, names in `POEM_TASTES` or `BOARD_TASTES`."""
    shares: tuple[float, ...]
    """`[G]`, of users, summing to 1; the smallest group last."""

    def groups(self, people: int) -> np.ndarray:
        """Group of each of `people`, int `[people]`: the shares as nearly as whole people allow, at least one each."""
        ends = np.round(np.cumsum(self.shares) * people).astype(np.int64)
        ends = np.minimum(ends, people - np.arange(len(ends))[::-1])  # nobody is rounded away
        return np.searchsorted(ends, np.arange(people), side="right")


ONE_IN_TEN = "a minority of one in ten"

CROWDS = {
    "poems": (
        Crowd(ONE_IN_TEN, ("flowery", "plain"), (0.9, 0.1)),
        Crowd("three tastes", ("flowery", "tender", "plain"), (0.45, 0.35, 0.2)),
        Crowd("one taste", ("flowery",), (1.0,)),
    ),
    "go": (
        Crowd(ONE_IN_TEN, ("tidy", "brawling"), (0.9, 0.1)),
        Crowd("three tastes", ("tidy", "hoarding", "brawling"), (0.45, 0.35, 0.2)),
        Crowd("one taste", ("tidy",), (1.0,)),
    ),
}
"""The last one is what the others are held against: what looks like discord among people who agree is noise."""

POEM_TASTES = {
    "flowery": np.array([0.5, 1.0, 1.0, 0.5, 0.3, 0.4, -0.5]),
    "plain": np.array([0.5, -0.8, -0.8, 0.5, 0.5, -0.8, -0.5]),
    "tender": np.array([0.3, -0.4, 1.4, 0.5, 0.3, 0.0, -0.5]),
}
"""Weights in the order of `environments.poems.readers.IMPRESSIONS`, for differences of its `ORDINARY_SPREAD`."""

BOARD_TASTES = {
    "tidy": np.array([1.0, 0.4, 0.4, 0.6, 0.4, 0.4, 0.2, 0.4]),
    "hoarding": np.array([0.2, 0.2, 1.6, 0.2, 0.0, 0.0, 0.0, 0.0]),
    "brawling": np.array([0.3, 0.0, 0.6, -0.8, -0.8, -0.4, -0.2, -0.8]),
}
"""The same in the order of `environments.go.amateurs.IMPRESSIONS`."""


def poem_tastes(crowd: Crowd, people: int, seed: int) -> np.ndarray:
    """What each impression is worth to each of `people`, float64 `[people, F]`, in nats of log-odds."""
    tastes = np.array([POEM_TASTES[name] for name in crowd.tastes])
    return DECISIVENESS / readers.ORDINARY_SPREAD * _drawn(tastes, crowd.groups(people), seed)


def board_tastes(crowd: Crowd, people: int, seed: int) -> np.ndarray:
    """The same of boards, float64 `[people, F]`, for impressions divided by the side of the board."""
    tastes = np.array([BOARD_TASTES[name] for name in crowd.tastes])
    spread = amateurs.ORDINARY_SPREAD / amateurs.ORDINARY_SPREAD[0]
    return _drawn(tastes, crowd.groups(people), seed) / spread


def _drawn(tastes: np.ndarray, group: np.ndarray, seed: int) -> np.ndarray:
    factors = np.random.default_rng([seed, 81]).lognormal(-(VARIETY**2) / 2, VARIETY, (len(group), tastes.shape[1]))
    return tastes[group] * factors
