"""Welfare of many users: mean, worst group, the worst off, and the share of users who are satisfied.

Letters: V users, C candidates (or samples of a policy, or prompts), G groups. Utilities of different users must share
a scale for every function here but the share of satisfied users, which compares a user with that user alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from foolsgold.objectives.aggregation.votes import weights_of


def mean_utility(utilities: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Weighted mean over users, `[C]`: what a pooled reward model aims at.

    Args:
      utilities: `[V, C]`.
      weight: `[V]`, from 0 up; all alike if left out.
    """
    values = np.asarray(utilities, np.float64)
    return np.average(values, axis=0, weights=weights_of(weight, len(values)))


def group_means(utilities: ArrayLike, group: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Weighted mean of each group's users, `[G, C]`.

    Args:
      utilities: `[V, C]`.
      group: int `[V]`, from 0 to G - 1, none of them empty.
      weight: `[V]`, from 0 up, with some in every group.

    Raises:
      ValueError: a group has no users, or only such of weight 0.
    """
    values, groups = np.asarray(utilities, np.float64), np.asarray(group, np.int64)
    weights = weights_of(weight, len(values))
    member = (groups == np.arange(groups.max() + 1)[:, None]) * weights
    size = member.sum(1)
    if (size == 0).any():
        raise ValueError(f"group {int(np.argmin(size))} has no users; number the groups from 0 without gaps")
    return member @ values / size[:, None]


def worst_group(utilities: ArrayLike, group: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Mean utility of the group that fares worst, `[C]`; of each candidate it may be another one.

    Args:
      utilities, group, weight: as for `group_means`.

    Source: Sen 1970 (maximin of groups); Chakraborty et al. 2024 (MaxMin-RLHF).
    """
    return group_means(utilities, group, weight).min(0)


def worst_off(utilities: ArrayLike, share: float, weight: ArrayLike | None = None) -> np.ndarray:
    """Mean utility of the worst-off `share` of users, `[C]`: a worst group that needs no groups to be known.

    Args:
      utilities: `[V, C]`.
      share: above 0 up to 1, of the users' weight; the user on the edge counts in part.
      weight: `[V]`, from 0 up.

    Raises:
      ValueError: `share` is not above 0 up to 1.

    Source: Rockafellar and Uryasev 2000 (conditional value at risk).
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; give one above 0 and up to 1")
    values = np.asarray(utilities, np.float64)
    weights = weights_of(weight, len(values))
    order = np.argsort(values, 0)
    ordered = np.take_along_axis(values, order, 0)
    each = (weights / weights.sum())[order]
    before = np.cumsum(each, 0) - each
    counted = np.clip(share - before, 0, each)
    return (counted * ordered).sum(0) / counted.sum(0)


def share_satisfied(utilities: ArrayLike, aspiration: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Share of users to whom the candidate gives at least what they aspire to, `[C]`, from 0 to 1.

    For a policy, hand in its samples as candidates: the mean of what comes back is the share of (user, sample) that
    satisfy. Choosing the candidate with the highest share is approval voting.

    Args:
      utilities: `[V, C]`.
      aspiration: `[V]`, the least utility that satisfies each user, such as `aspirations` gives.
      weight: `[V]`, from 0 up.
    """
    enough = np.asarray(utilities, np.float64) >= np.asarray(aspiration, np.float64)[:, None]
    return np.average(enough, axis=0, weights=weights_of(weight, len(enough)))


def aspirations(utilities: ArrayLike, quantile: float) -> np.ndarray:
    """What each user would call good enough, `[V]`: the given quantile of what the reference policy offers that user.

    Args:
      utilities: `[V, N]`, utilities of N samples of the reference policy.
      quantile: from 0 to 1; at 0.75 a quarter of the reference policy's samples satisfies each user.
    """
    return np.quantile(np.asarray(utilities, np.float64), quantile, axis=1, method="higher")


def maximin_lottery(values: ArrayLike) -> np.ndarray:
    """The lottery over candidates whose worst-off group has the highest expected utility: `[C]`, by linear programming.

    Better for that group than any single candidate wherever groups want different ones.

    Args:
      values: `[G, C]`, each group's mean utility of each candidate, as `group_means` gives it.

    Raises:
      ValueError: not such a table, or numbers that are not finite.

    Source: von Neumann 1928; as a policy, Chakraborty et al. 2024 (MaxMin-RLHF).
    """
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ValueError("values must be [groups, candidates], and finite")
    groups, size = table.shape
    # Maximise the floor t under each group's expected utility: variables are the chances and t.
    found = optimize.linprog(
        np.r_[np.zeros(size), -1],
        A_ub=np.hstack([-table, np.ones((groups, 1))]),
        b_ub=np.zeros(groups),
        A_eq=np.r_[np.ones(size), 0][None],
        b_eq=[1],
        bounds=[(0, 1)] * size + [(None, None)],
        method="highs",
    )
    chances = np.clip(found.x[:size], 0, None)
    return chances / chances.sum()
