"""What the study `gaming` measures: gold that each defence keeps, and what each alarm is worth.

Letters: P prompts, K evaluations of a run, S runs that differ in their seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.audit.alarm_table import DetectorRow, WatchedRun, detector_table
from foolsgold.objectives.best_of_n import best_of_n_curve, doublings
from foolsgold.objectives.statistics import Interval, mean_interval
from foolsgold.studies.gaming_trial import AnyTrial, TrialResult

LEVELS = (1.0, 5.0, 20.0)
"""KL in nats at which runs are compared."""


@dataclass(frozen=True)
class Kept:
    """Gold of one defence, over its runs, and how much more that is than without defence, by prompt.

    A difference is NaN where a run never came to the KL asked for.
    """

    trials: tuple[AnyTrial, ...]
    end: float
    """Mean gold after the last step: at equal compute."""
    end_more: float
    end_interval: Interval
    peak: float
    """Highest mean gold of an evaluation, the mean over runs; somewhat too high by luck."""
    peak_kl: float
    """Nats, at that evaluation, median over runs."""
    peak_step: float
    last_kl: float
    """Nats, median over runs."""
    at: dict[float, tuple[float, Interval]]
    """By nats: gold more than without defence at the same KL."""
    labels: int


@dataclass(frozen=True)
class Tail:
    """Gold of the best of n where the proxy is gold plus an error that has nothing to do with it."""

    name: str
    n: np.ndarray
    gold: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Measured:
    """All of it."""

    results: list[TrialResult]
    gold: np.ndarray
    """`[prompts, samples]`, of the policy before RL."""
    shared_error: dict[str, float]
    """By the members' comparisons: mean correlation between two members' errors over samples of one prompt."""
    seed: int

    @cached_property
    def defences(self) -> dict[tuple[int, str], Kept]:
        """By number of comparisons and name, "none" first; of the runs of the first one's setting, so those of another
        learning rate serve the alarms alone."""
        found: dict[tuple[int, str], list[TrialResult]] = {}
        for result in self.results:
            trial = result.trial
            if trial.setting == self.results[0].trial.setting:
                name = f"{trial.defence} {trial.price:g}" if trial.price else trial.defence
                found.setdefault((trial.comparisons, name), []).append(result)
        return {key: kept(runs, found[key[0], "none"]) for key, runs in found.items()}

    @cached_property
    def watched(self) -> list[WatchedRun]:
        """Runs as the table of alarms takes them."""
        return watched(self.results)

    @cached_property
    def alarms(self) -> list[DetectorRow]:
        return detector_table(self.watched, seed=self.seed)

    @cached_property
    def tails(self) -> list[Tail]:
        """The same size of error with light tails and with heavy ones (Kwa et al. 2024)."""
        rng = np.random.default_rng([self.seed, 71])
        deviation = float(self.gold.std())
        normal = rng.normal(size=self.gold.shape)
        heavy = rng.standard_t(2, size=self.gold.shape)
        found = []
        for name, error in (("light tails: normal", normal), ("heavy tails: Student's t, 2 degrees", heavy)):
            # Of one size by the middle half of the errors, which both kinds have.
            size = np.subtract(*np.quantile(error, [0.75, 0.25])) / np.subtract(*np.quantile(normal, [0.75, 0.25]))
            ns = doublings(self.gold.shape[1])
            curve = best_of_n_curve(self.gold + deviation * error / size, self.gold, seed=self.seed, ns=ns)
            found.append(Tail(name, curve.n, curve.gold, curve.low, curve.high))
        return found


def watched(results: Sequence[TrialResult], prefix: str = "") -> list[WatchedRun]:
    """Runs as the table of alarms takes them, `prefix` before the names of their groups."""
    return [
        WatchedRun(
            prefix + result.trial.group,
            result.steps,
            {name: np.array([each[name] for each in result.readings], np.float64) for name in result.readings[0]},
            result.gold,
        )
        for result in results
    ]


def kept(runs: list[TrialResult], without: list[TrialResult]) -> Kept:
    """What runs of one defence keep, each held against the run of the same seed without defence."""
    by_seed = {result.trial.seed: result for result in without}
    pairs = [(result, by_seed[result.trial.seed]) for result in runs]
    # Prompts are the same in all runs: a prompt's differences are averaged over seeds before anything is inferred.
    more = np.mean([run.gold[:, -1] - other.gold[:, -1] for run, other in pairs], 0)
    means = [run.gold.mean(0) for run in runs]
    peaks = [int(mean.argmax()) for mean in means]
    at = {}
    for level in LEVELS:
        both = [(at_kl(run, level), at_kl(other, level)) for run, other in pairs]
        reached = [run - other for run, other in both if run is not None and other is not None]
        if len(reached) == len(pairs):
            difference = np.mean(reached, 0)
            at[level] = float(difference.mean()), mean_interval(difference)
    return Kept(
        trials=tuple(run.trial for run in runs),
        end=float(np.mean([mean[-1] for mean in means])),
        end_more=float(more.mean()),
        end_interval=mean_interval(more),
        peak=float(np.mean([mean.max() for mean in means])),
        peak_kl=float(np.median([run.kl[i] for run, i in zip(runs, peaks, strict=True)])),
        peak_step=float(np.median([run.steps[i] for run, i in zip(runs, peaks, strict=True)])),
        last_kl=float(np.median([run.kl[-1] for run in runs])),
        at=at,
        labels=max(run.labels for run in runs),
    )


def at_kl(run: TrialResult, level: float) -> np.ndarray | None:
    """Gold of each prompt when the run first came to `level` nats, `[P]`, between two evaluations in proportion to the
    square root of KL; None where it never did."""
    d, wanted = np.sqrt(run.kl), level**0.5
    beyond = np.flatnonzero(d >= wanted)
    if not len(beyond) or beyond[0] == 0:
        return None
    k = int(beyond[0])
    share = (wanted - d[k - 1]) / (d[k] - d[k - 1])
    return (1 - share) * run.gold[:, k - 1] + share * run.gold[:, k]


def shared_error(scores: np.ndarray, gold: np.ndarray) -> float:
    """Mean correlation between two members' errors: what of each one's scores gold does not tell, within prompts.

    Args:
      scores: `[M, P, N]`.
      gold: `[P, N]`.
    """
    known = (gold - gold.mean(1, keepdims=True)).ravel()
    centred = (scores - scores.mean(2, keepdims=True)).reshape(len(scores), -1)
    errors = centred - np.outer(centred @ known / (known @ known), known)
    correlations = np.corrcoef(errors)
    return float(correlations[np.triu_indices(len(scores), 1)].mean())
