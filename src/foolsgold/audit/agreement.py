"""How well the proxy agrees with gold on samples of one policy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foolsgold.audit.evidence import Samples
from foolsgold.audit.verdict import Figure
from foolsgold.objectives.agreement import Estimate, centred, concordant_pairs, correlation, mid_ranks, ratio


@dataclass(frozen=True)
class Agreement:
    """Three readings; NaN where samples do not tell, such as a correlation with a constant."""

    pearson: Estimate
    spearman: Estimate
    """Of ranks within a prompt, or over all samples."""
    accuracy: Estimate
    """Share of pairs of samples of one prompt, different in gold, that the proxy orders as gold does."""
    within: bool
    """Whether correlations are within prompts: prompts differ in how good any answer can be, which is not what a
    policy is optimised for. Over all samples where fewer than two prompts have two labelled samples."""

    @classmethod
    def of(cls, samples: Samples) -> Agreement:
        weight = samples.weight
        within = compares_within(samples)
        x, y = centred(samples.proxy, weight, within), centred(samples.gold, weight, within)
        pairs = ratio(*concordant_pairs(samples.proxy, samples.gold, weight))
        return cls(correlation(x, y, weight), _spearman(samples, within), pairs, within)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Both correlations, and the share of pairs ordered alike where a prompt has pairs."""
        kind = "within prompts" if self.within else "over all samples"
        pairs = share_figure("proxy orders two samples as gold does", self.accuracy, "of all pairs; sample: prompts")
        return (
            correlation_figure(f"correlation {kind} (Pearson)", self.pearson),
            correlation_figure(f"rank correlation {kind} (Spearman)", self.spearman),
            *([pairs] if self.within else []),
        )


def compares_within(samples: Samples) -> bool:
    """Whether at least two prompts have two labelled samples or more."""
    return int((samples.labelled.sum(1) >= 2).sum()) >= 2


def correlation_figure(name: str, estimate: Estimate, note: str = "") -> Figure:
    return _figure(name, estimate, estimate.correlation_interval(), "", note)


def share_figure(name: str, estimate: Estimate, note: str = "") -> Figure:
    known = estimate.prompts > 1 and not math.isnan(estimate.value)
    return _figure(name, estimate, estimate.share_interval() if known else (math.nan, math.nan), "%", note)


def mean_figure(name: str, estimate: Estimate, unit: str = "", note: str = "") -> Figure:
    return _figure(name, estimate, estimate.interval(), unit, note)


def _figure(name: str, estimate: Estimate, interval: tuple[float, float], unit: str, note: str) -> Figure:
    low, high = (None, None) if math.isnan(interval[0] + interval[1]) else interval
    return Figure(name, estimate.value, low, high, estimate.prompts, unit, note)


def _spearman(samples: Samples, within: bool) -> Estimate:
    weight = samples.weight
    return correlation(_ranks(samples.proxy, weight, within), _ranks(samples.gold, weight, within), weight)


def _ranks(values: np.ndarray, weight: np.ndarray, within: bool) -> np.ndarray:
    """Centred ranks within each prompt, or over all."""
    if within:
        found = np.array([mid_ranks(row, weights) for row, weights in zip(values, weight, strict=True)])
    else:
        found = mid_ranks(values.ravel(), weight.ravel()).reshape(values.shape)
    return centred(found, weight, within)
