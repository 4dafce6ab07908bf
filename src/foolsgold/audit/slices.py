"""Where the proxy is wrong: over-rating and accuracy on slices of the samples, and the proxy's own taste.

*Over-rating* is the proxy less what samples of equal gold get on average, in standard deviations of the proxy. Less
than that would not do: a proxy that is gold plus noise stands nearer to its mean than gold does, and the plain
difference of the two, each in its standard deviations, would blame it for whatever goes with gold.

A bias is a partial correlation: of the proxy with a feature, among samples equal in gold; for all features but length
also among samples equal in length, since long texts have more of everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foolsgold.audit.agreement import compares_within
from foolsgold.audit.evidence import Samples
from foolsgold.audit.text_features import LENGTH
from foolsgold.objectives.agreement import (
    Estimate,
    centred,
    concordant_pairs,
    correlation,
    mid_ranks,
    ratio,
    without,
)
from foolsgold.objectives.multiplicity import holm

MANY_SAMPLES = 200
"""Labelled ones from which on curves of gold and length are held equal, and not lines only."""
MOST_VALUES = 12
"""Different words in a column, above which it is not sliced."""


@dataclass(frozen=True)
class Slice:
    """Samples that are alike in one feature."""

    moment: str
    """Of which policy, such as "at the start"."""
    feature: str
    values: str
    """Which of them, such as "120 to 340"."""
    samples: int
    """Labelled ones."""
    over_rating: Estimate
    """SD of the proxy."""
    accuracy: Estimate
    """Share of pairs of samples of one prompt, both in the slice, that the proxy orders as gold does."""
    p_value: float
    """Of `over_rating` against 0, adjusted for all that was looked at."""


@dataclass(frozen=True)
class Bias:
    """The proxy's own taste for one feature."""

    moment: str
    feature: str
    correlation: Estimate
    """-1 to 1: partial correlation of the proxy with the feature's rank."""
    p_value: float
    """Adjusted for all that was looked at."""

    @property
    def clear(self) -> bool:
        return self.p_value < 0.05

    def __str__(self) -> str:
        verb = "over-rates" if self.correlation.value > 0 else "under-rates"
        return f"{self.moment} the proxy {verb} {self.feature}"


@dataclass(frozen=True)
class Slices:
    """All that was looked at, p-values adjusted together (Holm)."""

    slices: tuple[Slice, ...]
    biases: tuple[Bias, ...]

    @property
    def found(self) -> list[Bias]:
        """Clear biases, the strongest first."""
        return sorted((each for each in self.biases if each.clear), key=lambda each: -abs(each.correlation.value))

    @property
    def looked_at(self) -> int:
        return len(self.slices) + len(self.biases)


def look(moments: Sequence[tuple[str, Samples, Mapping[str, np.ndarray]]]) -> Slices:
    """Slice the samples of each moment by each of its features.

    Args:
      moments: name, samples, and features by name, `[P, N]` each, numbers or words. Numbers are sliced at their
        quartiles, words one slice a word.
    """
    slices: list[Slice] = []
    biases: list[Bias] = []
    for moment, samples, features in moments:
        judged = _Judged.of(samples, features.get(LENGTH))
        for name, values in features.items():
            values = values.astype(np.float64) if values.dtype == bool else values
            numbers = np.issubdtype(values.dtype, np.number)
            if numbers and np.ptp(values):
                biases.append(judged.bias(moment, name, values))
            for words, inside in _quartiles(values) if numbers else _words(values):
                slices.append(judged.slice(moment, name, words, inside))
    tested = [each.over_rating.p_value for each in slices] + [each.correlation.p_value for each in biases]
    adjusted = holm(tested).tolist()
    return Slices(
        tuple(replace(each, p_value=p) for each, p in zip(slices, adjusted, strict=False)),
        tuple(replace(each, p_value=p) for each, p in zip(biases, adjusted[len(slices) :], strict=True)),
    )


@dataclass(frozen=True)
class _Judged:
    """Samples, centred as `Agreement` does; every array is `[P, N]`."""

    samples: Samples
    weight: np.ndarray
    within: bool
    proxy: np.ndarray
    equal: list[np.ndarray]
    """What is held equal for over-rating: functions of gold."""
    length: list[np.ndarray]
    """What is held equal besides for the bias of other features: functions of length."""
    remainder: np.ndarray
    """Of the proxy, without gold, in standard deviations of the proxy."""

    @classmethod
    def of(cls, samples: Samples, length: np.ndarray | None) -> _Judged:
        weight, within = samples.weight, compares_within(samples)
        proxy = centred(samples.proxy, weight, within)
        equal = _bends(samples.gold, weight, within)
        spread = np.sqrt((weight * proxy**2).sum() / weight.sum())
        remainder = without(proxy, equal, weight) / (spread if spread > 0 else 1)
        taken = [] if length is None else _bends(length, weight, within)
        return cls(samples, weight, within, proxy, equal, taken, remainder)

    def bias(self, moment: str, name: str, values: np.ndarray) -> Bias:
        feature = centred(_ranks(values.astype(np.float64), self.weight), self.weight, self.within)
        equal = self.equal if name == LENGTH else [*self.equal, *self.length]
        proxy, feature = (without(each, equal, self.weight) for each in (self.proxy, feature))
        return Bias(moment, name, correlation(proxy, feature, self.weight), np.nan)

    def slice(self, moment: str, name: str, words: str, inside: np.ndarray) -> Slice:
        weight = self.weight * inside
        over = ratio((weight * self.remainder).sum(1), weight.sum(1))
        accuracy = ratio(*concordant_pairs(self.samples.proxy, self.samples.gold, weight))
        return Slice(moment, name, words, int((weight > 0).sum()), over, accuracy, np.nan)


def _bends(values: np.ndarray, weight: np.ndarray, within: bool) -> list[np.ndarray]:
    """The values, their rank, and of many samples its square and cube: a proxy that is a curved function of gold, such
    as one that saturates, is then not blamed for what goes with that curve."""
    ranks = _ranks(values, weight)
    bends = [values, ranks, ranks**2, ranks**3] if (weight > 0).sum() >= MANY_SAMPLES else [values, ranks]
    return [centred(each, weight, within) for each in bends]


def _ranks(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return mid_ranks(values.ravel(), weight.ravel()).reshape(values.shape)


def _quartiles(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Up to four groups of about equal size, fewer where many samples share a value; none of a constant."""
    edges = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="lower"))
    edges = edges[edges < values.max()]
    group = np.searchsorted(edges, values, side="left")
    if not len(edges):
        return []
    least = [values[group == i].min() for i in range(len(edges) + 1)]
    most = [values[group == i].max() for i in range(len(edges) + 1)]
    return [
        (_short(low) if low == high else f"{_short(low)} to {_short(high)}", group == i)
        for i, (low, high) in enumerate(zip(least, most, strict=True))
    ]


def _words(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    known = np.unique(values)
    return [(str(word), values == word) for word in known] if 1 < len(known) <= MOST_VALUES else []


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
