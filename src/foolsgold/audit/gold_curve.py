"""Gold and proxy along an optimisation, by best of n or by RL: where gold peaks, and what is lost by going on.

Letters: P prompts, K points of the curve, the first of them before any optimisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import stats

from foolsgold.audit.evidence import Checkpoint, Samples
from foolsgold.audit.verdict import Figure
from foolsgold.objectives.best_of_n import best_of_n_gold, best_of_n_kl, doublings
from foolsgold.objectives.label_budget import effective_labels
from foolsgold.objectives.multiplicity import set_of_best
from foolsgold.objectives.overoptimization import BEST_OF_N, REINFORCEMENT_LEARNING, Law
from foolsgold.objectives.sequential import gold_at_best
from foolsgold.objectives.statistics import mean_interval


@dataclass(frozen=True)
class Stop:
    """Where to stop, and between which points nothing is clearly better."""

    at: int
    """n or step of the highest gold."""
    first: int
    last: int
    """Both ends of what holds the true peak in 95 of 100 audits."""
    kl: float
    """Nats at `at`."""
    least_kl: float
    most_kl: float
    """Of the points that may be the peak."""


@dataclass(frozen=True)
class GoldCurve:
    """Gold and proxy of the same prompts at K points."""

    law: Law
    """Which law of over-optimization it may follow."""
    at: np.ndarray
    """`[K]`, n or steps of RL."""
    kl: np.ndarray
    """`[K]`, nats from the first point's policy; estimates may lie a little below 0."""
    proxy: np.ndarray
    """`[P, K]`"""
    gold: np.ndarray
    """`[P, K]`, unbiased where not all samples are labelled."""
    kl_error: np.ndarray | None = None
    """`[K]`, standard error of `kl`, NaN where unknown."""
    unrelated_error: np.ndarray | None = None
    """`[K]`, standard error that gold less gold at the start would have if the proxy were unrelated to gold. Where
    gold is rare and a point rests on few samples, none of them may have it: prompts then show no spread, although the
    point is as uncertain as it ever was. None where it is not known."""
    seed: int = 0

    @property
    def unit(self) -> str:
        """What `at` counts."""
        return "n" if self.law is BEST_OF_N else "step"

    @property
    def prompts(self) -> int:
        return len(self.gold)

    def place(self, index: int) -> str:
        """A point in words, such as "n = 64"."""
        return f"n = {self.at[index]:,}" if self.unit == "n" else f"step {self.at[index]:,}"

    @cached_property
    def peak(self) -> int:
        """Index of the point of the highest mean gold; of equals the first."""
        return int(self.gold.mean(0).argmax())

    @cached_property
    def may_be_peak(self) -> np.ndarray:
        """bool `[K]`: a set that holds the point of the truly highest gold in 95 of 100 audits."""
        best, mean = set_of_best(self.gold, self.seed), self.gold.mean(0)
        return best | (mean[self.peak] - mean <= np.maximum(self._luck, self._luck[self.peak]))

    @cached_property
    def stop(self) -> Stop:
        """The peak, as the place to stop."""
        among = self.may_be_peak.copy()
        among[self.peak] = True
        at, kl = self.at[among], self.kl[among]
        ends = (int(at.min()), int(at.max()), float(self.kl[self.peak]), float(kl.min()), float(kl.max()))
        return Stop(int(self.at[self.peak]), *ends)

    @property
    def rivals(self) -> str:
        """In words, which points may be the peak as well as the highest."""
        among = np.flatnonzero(self.may_be_peak)
        named = [f"{self.at[k]:,}" for k in among]
        if len(among) < 2:
            return "all others are clearly worse"
        if len(among) == among[-1] - among[0] + 1:
            return f"from {named[0]} to {named[-1]} no other is clearly better"
        return f"no other is clearly better at {', '.join(named[:-1])} and {named[-1]}"

    @cached_property
    def at_peak(self) -> np.ndarray:
        """`[P]`, gold at the peak, free of the luck that made it the peak."""
        return gold_at_best(self.gold)

    @cached_property
    def _luck(self) -> np.ndarray:
        """`[K]`, what an unrelated proxy gains or loses in 95 of 100 audits at most; 0 where that is not known."""
        if self.unrelated_error is None or self.prompts < 2:
            return np.zeros(len(self.at))
        return stats.t.ppf(0.975, self.prompts - 1) * self.unrelated_error

    def _change(self, name: str, values: np.ndarray, point: int) -> Figure:
        """A mean of differences `[P]` of gold, no surer than luck is small where an unrelated proxy might do as much
        at `point`."""
        figure, luck = over_prompts(name, values), self._luck[point]
        if figure.low is None or figure.high is None or abs(figure.value) > luck:
            return figure
        return replace(figure, low=min(figure.low, figure.value - luck), high=max(figure.high, figure.value + luck))

    @property
    def start(self) -> Figure:
        return over_prompts("gold at the start", self.gold[:, 0])

    @property
    def rise(self) -> Figure:
        """The start is one of the points, so the true peak is never below it. An estimate below 0, which says that the
        two halves of the prompts disagree about the peak, therefore counts as 0; its upper end is then that of the
        highest point on all prompts, which luck makes rather too high."""
        found = self._change("gold, peak less start", self.at_peak - self.gold[:, 0], self.peak)
        if found.value >= 0 or found.high is None:
            return replace(found, value=max(found.value, 0.0))
        plain = over_prompts("", self.gold[:, self.peak] - self.gold[:, 0])
        return replace(found, value=0.0, low=0.0, high=max(found.high, plain.high or 0.0))

    @property
    def fall(self) -> Figure:
        """What is lost by going to the end instead of stopping at the peak, as a negative number; 0 where it comes out
        above, as for `rise`."""
        found = self._change("gold, end less peak", self.gold[:, -1] - self.at_peak, -1)
        if found.value <= 0 or found.low is None:
            return replace(found, value=min(found.value, 0.0))
        plain = over_prompts("", self.gold[:, -1] - self.gold[:, self.peak])
        return replace(found, value=0.0, low=min(found.low, plain.low or 0.0), high=0.0)

    @property
    def gain(self) -> Figure:
        return self._change("gold, end less start", self.gold[:, -1] - self.gold[:, 0], -1)

    @property
    def proxy_gain(self) -> Figure:
        return over_prompts("proxy, end less start", self.proxy[:, -1] - self.proxy[:, 0])


def curve_of_best(samples: Samples, seed: int = 0) -> GoldCurve:
    """Best of n at n = 1, 2, 4 and so on, steps of about equal KL, up to all samples of a prompt."""
    most = samples.proxy.shape[1]
    n = doublings(most)
    proxy = best_of_n_gold(samples.proxy, samples.proxy, n)
    gold = best_of_n_gold(samples.proxy, samples.gold_estimate, n)
    return GoldCurve(BEST_OF_N, n, best_of_n_kl(n), proxy, gold, None, _unrelated_error(samples, n), seed)


def _unrelated_error(samples: Samples, n: np.ndarray) -> np.ndarray | None:
    """See `GoldCurve`: by the spread of gold within prompts, over as many samples as the best of each n rests on."""
    known = samples.labelled
    chance = samples.chance if samples.chance is not None else np.full(known.shape, known.mean())
    rests_on = np.maximum(effective_labels(samples.proxy, known, chance, n.tolist()), 1.0)
    several = known.sum(1) > 1
    if not several.any():
        return None
    spread = np.nanvar(samples.gold[several], 1, ddof=1).mean()
    return np.sqrt(spread * np.maximum(1 / rests_on - 1 / known.sum(), 0))


def curve_of_run(run: Sequence[Checkpoint], seed: int = 0) -> GoldCurve:
    """RL, one point a checkpoint."""
    return GoldCurve(
        REINFORCEMENT_LEARNING,
        np.array([each.step for each in run]),
        np.array([each.kl for each in run]),
        np.stack([each.samples.proxy.mean(1) for each in run], 1),
        np.stack([each.samples.gold_estimate.mean(1) for each in run], 1),
        np.array([each.kl_error for each in run]),
        seed=seed,
    )


def over_prompts(name: str, values: np.ndarray, unit: str = "", note: str = "") -> Figure:
    """A mean of `values` `[P]` with Student's interval; without one of a single prompt."""
    low, high = mean_interval(values) if len(values) > 1 else (None, None)
    return Figure(name, float(np.mean(values)), low, high, len(values), unit, note)


def band(values: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Lower and upper end of the mean's interval at each point of `values` `[P, K]`; None of a single prompt."""
    if len(values) < 2:
        return None, None
    low, high = np.array([mean_interval(column) for column in values.T]).T
    return low, high
