"""What the study `crowd` measures: whom each rule's policy satisfies, and what a pooled reward model hides.

Letters: S draws of a crowd (seeds), U users, G groups, P prompts, N candidates of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.objectives.aggregation.distributional import MeanAndSpread
from foolsgold.objectives.aggregation.welfare import aspirations
from foolsgold.objectives.statistics import Interval, expected_calibration_error, mean_interval
from foolsgold.objectives.tilting import expected, tilt_at_kl
from foolsgold.studies.crowd_cell import GROUPS, LEADS, CellResult
from foolsgold.studies.crowd_plan import MAIN_KL, Cell
from foolsgold.studies.crowd_rules import ASPIRATION, CAUTIOUS, POOLED, RULES, Electorate
from foolsgold.studies.crowd_tastes import Crowd

START = "start"
CAUTION = 0.25
"""The quantile of the rule "mean less spread": what all but a quarter of people find a candidate worth at least."""


@dataclass(frozen=True)
class Outcome:
    """What the users of one draw get from one policy."""

    satisfied: np.ndarray
    """`[U]`, share of what the policy writes that satisfies the user"""
    gain: np.ndarray
    """`[U]`, mean liking in the user's standard deviations within prompts, from the start's mean"""
    group: np.ndarray
    """int `[U]`"""
    gold: float

    def by_group(self, values: np.ndarray) -> np.ndarray:
        """`[G]`, means."""
        return np.array([values[self.group == g].mean() for g in range(self.group.max() + 1)])

    @property
    def figures(self) -> dict[str, float]:
        groups = self.by_group(self.satisfied)
        return {
            "satisfied": float(self.satisfied.mean()),
            "worst group": float(groups.min()),
            "worst gain": float(self.by_group(self.gain).min()),
            "better off": float((self.gain > 0).mean()),
            "gold": self.gold,
            **{f"group {g}": float(value) for g, value in enumerate(groups)},
        }


class Served:
    """The users of one draw, and what policies that choose among the candidates mean to them."""

    def __init__(self, result: CellResult):
        self.result = result
        self.users = Electorate(result.users_true, np.ones(len(result.users_group)), result.users_group)
        # Whether each candidate satisfies each user, [U, P, N].
        by_prompt = result.users_true.transpose(1, 0, 2)
        self._enough = np.array([each >= aspirations(each, ASPIRATION)[:, None] for each in by_prompt])
        self._enough = self._enough.transpose(1, 0, 2).astype(np.float64)

    def by(self, chances: np.ndarray) -> Outcome:
        """Under a policy's chances `[P, N]`."""
        return Outcome(
            expected(chances, self._enough),
            expected(chances, self.users.standard),
            self.result.users_group,
            float(expected(chances, self.result.gold)),
        )


def policies(result: CellResult, kl: float) -> dict[tuple[str, str], np.ndarray]:
    """Chances `[P, N]` by (whom the rule adds up, rule), all at `kl` nats; "" where it adds up nobody."""
    model = MeanAndSpread(result.mean, result.spread)
    found = {
        ("", POOLED): tilt_at_kl(result.pooled, kl),
        ("", CAUTIOUS): tilt_at_kl(model.lower_quantile(CAUTION), kl),
    }
    for who, voters in result.electorates.items():
        found |= {(who, name): rule(voters, kl) for name, rule in RULES.items()}
    return found


@dataclass(frozen=True)
class Estimate:
    """A mean over draws, with its 95 % interval (Student's t over draws)."""

    value: float
    interval: Interval
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> Estimate:
        array = np.asarray(values, np.float64)
        interval = mean_interval(array) if len(array) > 1 else Interval(float("nan"), float("nan"))
        return cls(float(array.mean()), interval, len(array))


class CrowdMeasured:
    """All draws of one crowd."""

    def __init__(self, crowd: Crowd, cells: Sequence[Cell], results: Sequence[CellResult], kls: Sequence[float]):
        self.crowd, self.cells, self.results, self.kls = crowd, tuple(cells), tuple(results), tuple(kls)

    @cached_property
    def outcomes(self) -> dict[tuple[str, str, float], list[Outcome]]:
        """By (whom, rule, KL): one outcome a draw. Nobody and "start" is the policy that nothing was done to."""
        found: dict[tuple[str, str, float], list[Outcome]] = {}
        for result in self.results:
            served = Served(result)
            shape = result.pooled.shape
            found.setdefault(("", START, 0.0), []).append(served.by(np.full(shape, 1 / shape[1])))
            for kl in self.kls:
                for (who, rule), chances in policies(result, kl).items():
                    found.setdefault((who, rule, kl), []).append(served.by(chances))
        return found

    def figure(self, name: str, rule: str, who: str = "", kl: float = MAIN_KL) -> Estimate:
        """One of `Outcome.figures`."""
        return Estimate.of([each.figures[name] for each in self.outcomes[who, rule, kl]])

    def more(self, name: str, rule: str, who: str = GROUPS, kl: float = MAIN_KL) -> Estimate:
        """The same less what the pooled reward model's policy gives, draw by draw."""
        pairs = zip(self.outcomes[who, rule, kl], self.outcomes["", POOLED, kl], strict=True)
        return Estimate.of([a.figures[name] - b.figures[name] for a, b in pairs])

    def over_start(self, name: str, rule: str, who: str = "", kl: float = MAIN_KL) -> Estimate:
        """The same less what the start gives."""
        pairs = zip(self.outcomes[who, rule, kl], self.outcomes["", START, 0.0], strict=True)
        return Estimate.of([a.figures[name] - b.figures[name] for a, b in pairs])

    def accuracy(self, model: str, group: int | None = None) -> Estimate:
        """Share of held-out comparisons of a group's raters that a model foretells; of everybody where None."""
        return Estimate.of([float((lead > 0).mean()) for lead in self._held_out(model, group)])

    def calibration_error(self, model: str, group: int | None = None) -> Estimate:
        """Distance of its confidence from its accuracy there. A mean with its spread is confident by the normal."""
        found = []
        for lead in self._held_out(model, group):
            chance = 1 / (1 + np.exp(-np.clip(np.abs(lead), 0, 50)))
            found.append(expected_calibration_error(chance, lead > 0))
        return Estimate.of(found)

    def _held_out(self, model: str, group: int | None) -> list[np.ndarray]:
        row = LEADS.index(model)
        found = []
        for result in self.results:
            inside = np.full(len(result.held_rater), True)
            if group is not None:
                inside = result.raters_group[result.held_rater] == group
            lead = result.leads[row][inside]
            found.append(1.702 * lead if model == "mean and spread" else lead)  # the normal's nearest logistic
        return found

    @property
    def rightly_grouped(self) -> Estimate:
        """Share of raters whose likeliest group is made up mostly of raters of their own taste."""
        found = []
        for result in self.results:
            label = result.belongs.argmax(1)
            table = np.array([np.bincount(result.raters_group[label == k], minlength=1).max() for k in set(label)])
            found.append(float(table.sum() / len(label)))
        return Estimate.of(found)

    @property
    def explained(self) -> Estimate:
        """r² of the mean-and-spread model: share of the variance of worth that lies between candidates of a prompt."""
        found = []
        for result in self.results:
            between = result.mean.var(1).mean()
            found.append(float(between / (between + np.square(result.spread).mean())))
        return Estimate.of(found)

    @property
    def discord(self) -> Estimate:
        """Correlation within prompts of the spread found with the standard deviation of what raters truly like."""
        found = []
        for result in self.results:
            voters = Electorate(result.raters_true, np.ones(len(result.raters_group)), result.raters_group)
            true = voters.likings - voters.likings.mean(2, keepdims=True)
            true = true.std(0)
            apart = [each - each.mean(1, keepdims=True) for each in (result.spread, true)]
            found.append(float(np.corrcoef(apart[0].ravel(), apart[1].ravel())[0, 1]))
        return Estimate.of(found)

    @property
    def conflict(self) -> np.ndarray:
        """`[G, G]`, mean over draws of the correlation within prompts of what the users of two groups like."""
        found = []
        for result in self.results:
            users = Electorate(result.users_true, np.ones(len(result.users_group)), result.users_group)
            found.append(np.corrcoef(users.groups.reshape(len(users.groups), -1)))
        return np.atleast_2d(np.mean(found, 0))

    def users_better_off(self, rule: str, who: str = "", group: int | None = None) -> np.ndarray:
        """bool, of the users of all draws, whether the rule's policy gives them more than the start, at `MAIN_KL`."""
        found = []
        for each in self.outcomes[who, rule, MAIN_KL]:
            inside = np.full(len(each.group), True) if group is None else each.group == group
            found.append(each.gain[inside] > 0)
        return np.concatenate(found)
