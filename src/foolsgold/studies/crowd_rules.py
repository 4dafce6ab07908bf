"""Rules of adding up many users' likings, each as a policy that chooses among given candidates at a given KL.

Letters: V voters, P prompts, N candidates of each, G groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.objectives.aggregation.social_choice import borda, copeland, preference_shares
from foolsgold.objectives.aggregation.welfare import aspirations, group_means, mean_utility, share_satisfied
from foolsgold.objectives.tilting import maximin_at_kl, nash_at_kl, tilt_at_kl

ASPIRATION = 0.75
"""A user is satisfied by what is as good as the best quarter of what the policy wrote to the prompt before."""
TIE = 1e-3
"""Weight of the mean liking beside the share of satisfied voters, which has few values: equal shares are told apart."""


@dataclass(frozen=True)
class Electorate:
    """What is known, or believed, of the people whose likings are added up."""

    likings: np.ndarray
    """`[V, P, N]`; of a voter any unit, and any level within a prompt."""
    weight: np.ndarray
    """`[V]`, how many people a voter stands for."""
    group: np.ndarray
    """int `[V]`, from 0 without gaps"""

    @cached_property
    def standard(self) -> np.ndarray:
        """`[V, P, N]`, likings in each voter's own standard deviations within prompts, from the prompt's mean: the unit
        in which those of different people are added up."""
        apart = self.likings - self.likings.mean(2, keepdims=True)
        return apart / apart.std((1, 2), keepdims=True)

    @cached_property
    def shares(self) -> np.ndarray:
        """`[P, N, N]`, who prefers what to what."""
        return np.array([preference_shares(each, self.weight) for each in self.likings.transpose(1, 0, 2)])

    @cached_property
    def mean(self) -> np.ndarray:
        """`[P, N]`"""
        return _by_prompt(self.standard, lambda each: mean_utility(each, self.weight))

    @cached_property
    def groups(self) -> np.ndarray:
        """`[G, P, N]`, mean of each group's voters."""
        values, shape = self.standard, self.standard.shape[1:]
        return group_means(values.reshape(len(values), -1), self.group, self.weight).reshape(-1, *shape)

    @cached_property
    def satisfied(self) -> np.ndarray:
        """`[P, N]`, share of voters whom a candidate satisfies."""
        return _by_prompt(self.likings, lambda each: share_satisfied(each, aspirations(each, ASPIRATION), self.weight))


def _by_prompt(likings: np.ndarray, value: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`value` of each prompt's `[V, N]`: `[P, N]`."""
    return np.array([value(each) for each in likings.transpose(1, 0, 2)])


Rule = Callable[[Electorate, float], np.ndarray]
"""From an electorate and a KL in nats to chances `[P, N]`, of the policy that is best by the rule at this KL."""

RULES: dict[str, Rule] = {
    "mean": lambda voters, kl: tilt_at_kl(voters.mean, kl),
    "majority": lambda voters, kl: tilt_at_kl(np.array([copeland(each) for each in voters.shares]), kl),
    "Borda": lambda voters, kl: tilt_at_kl(np.array([borda(each) for each in voters.shares]), kl),
    "Nash": lambda voters, kl: nash_at_kl(voters.shares, kl),
    "satisfied": lambda voters, kl: tilt_at_kl(voters.satisfied + TIE * voters.mean, kl),
    "worst group": lambda voters, kl: maximin_at_kl(voters.groups, kl)[0],
}
"""By name: mean liking; share of the other candidates that a majority likes less (Copeland); share of (voter, other)
pairs won; the equilibrium of "be preferred"; share of voters satisfied; liking of the group that fares worst
(MaxMin)."""
POOLED, CAUTIOUS = "pooled", "mean less spread"
"""Rules that know no voters: one Bradley–Terry reward model of all comparisons; a lower quantile of what people find a
candidate worth, by the mean-and-spread model (Siththaranjan et al. 2024)."""
