"""Rules that choose for many users, each from the same account of who wants what; ties are drawn.

docs/aggregation.md tells which properties each rule has. Letters: V users, C candidates, G groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foolsgold.objectives.aggregation import social_choice, welfare
from foolsgold.objectives.aggregation.votes import winners


@dataclass(frozen=True)
class Users:
    """What users want."""

    utilities: np.ndarray
    """`[V, C]`, higher is better. Plurality, Borda, Copeland and Nash look at the order within a row only."""
    aspiration: np.ndarray
    """`[V]`, the least utility that satisfies each user; fixed before the candidates are known."""
    group: np.ndarray
    """int `[V]`, from 0 to G - 1."""
    weight: np.ndarray | None = None
    """`[V]`, from 0 up; all alike if left out."""

    @property
    def shares(self) -> np.ndarray:
        """`[C, C]`, who prefers what to what: see `preference_shares`."""
        return social_choice.preference_shares(self.utilities, self.weight)


Rule = Callable[[Users], np.ndarray]
"""From users to chances of the candidates, `[C]`, that sum to 1."""

RULES: dict[str, Rule] = {
    "plurality": lambda users: winners(social_choice.plurality(users.utilities, users.weight)),
    "borda": lambda users: winners(social_choice.borda(users.shares)),
    "copeland": lambda users: winners(social_choice.copeland(users.shares)),
    "nash": lambda users: social_choice.maximal_lottery(users.shares),
    "mean": lambda users: winners(welfare.mean_utility(users.utilities, users.weight)),
    "worst group": lambda users: winners(welfare.worst_group(users.utilities, users.group, users.weight)),
    "satisfied": lambda users: winners(welfare.share_satisfied(users.utilities, users.aspiration, users.weight)),
}
"""Every rule by its name; `borda` is what a pooled Bradley–Terry reward model learns, `satisfied` approval voting."""
