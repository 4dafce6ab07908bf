"""Alarms that need no gold: what a policy's samples and the reward model say of over-optimization by themselves.

Each alarm is fitted to samples of the reference policy and gives one number of later samples, higher where there is
more to suspect. What is alarming an honest run alone can tell, since every policy that learns moves away from its
reference; `alarm_table` sets thresholds by such runs and says what each alarm is worth. Thresholds from the reference's
own samples (`Alarms.thresholds`) say only that a reading cannot be luck.

Letters: B samples, M members of an ensemble, D width of the reward model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

from foolsgold.audit.latents import LatentBall, halves
from foolsgold.audit.text_features import repetition
from foolsgold.errors import UserError
from foolsgold.rewards.ensembles import disagreement


@dataclass(frozen=True)
class Watched:
    """Samples of one policy as alarms see them; an alarm whose columns are missing (None) is left out.

    Raises:
      UserError: columns of different lengths, or no samples.
    """

    proxy: np.ndarray
    """float64 `[B]`, scores of the reward model."""
    texts: Sequence[str] | None = None
    """`[B]`, completions."""
    lengths: np.ndarray | None = None
    """`[B]`, tokens of each completion."""
    log_probs: np.ndarray | None = None
    """`[B]`, nats a token, mean log-probability of each completion's own tokens under the policy that drew it."""
    log_ratios: np.ndarray | None = None
    """`[B]`, nats, log-probability of each completion under that policy less that under the reference."""
    members: np.ndarray | None = None
    """`[M, B]`, scores of an ensemble's members."""
    latents: np.ndarray | None = None
    """`[B, D]`, see `latents_of`."""
    groups: np.ndarray | None = None
    """int64 `[B]`, which prompt each sample answers; each its own where None."""

    def __post_init__(self) -> None:
        if len(self.proxy) == 0:
            raise UserError("there are no samples to watch")
        for name in (each.name for each in fields(self)):
            column = getattr(self, name)
            count = None if column is None else column.shape[-1] if name == "members" else len(column)
            if count not in (None, len(self.proxy)):
                raise UserError(f"{name} has {count} entries for {len(self.proxy)} samples")

    def rows(self, picked: np.ndarray) -> Watched:
        """The samples at `picked` `[R]`, int64."""

        def of(name: str) -> object:
            column = getattr(self, name)
            if column is None:
                return None
            if name == "texts":
                return [column[row] for row in picked]
            return column[:, picked] if name == "members" else column[picked]

        return Watched(**{each.name: of(each.name) for each in fields(self)})  # type: ignore[arg-type]


class Alarm(Protocol):
    """Something that finds samples more or less suspicious."""

    def score(self, now: Watched) -> float:
        """Higher is more suspicious."""
        ...


@dataclass(frozen=True)
class Disagreement:
    """Mean disagreement of an ensemble's members, each in its own standard deviations on the reference (Coste et al.
    2024; Eisenstein et al. 2023): they were fitted to the same labels and differ where no label told them."""

    mean: np.ndarray
    """`[M, 1]`"""
    deviation: np.ndarray
    """`[M, 1]`"""

    @classmethod
    def fit(cls, reference: Watched) -> Disagreement | None:
        members = reference.members
        if members is None or len(members) < 2:
            return None
        return cls(members.mean(1, keepdims=True), _spread(members, 1))

    def score(self, now: Watched) -> float:
        assert now.members is not None
        return float(disagreement((now.members - self.mean) / self.deviation).mean())


@dataclass(frozen=True)
class Outliers:
    """Share of samples outside the cloud of the reference's latents (Miao et al. 2025)."""

    ball: LatentBall

    @classmethod
    def fit(cls, reference: Watched) -> Outliers | None:
        return None if reference.latents is None else cls(LatentBall.fit(reference.latents, reference.groups))

    def score(self, now: Watched) -> float:
        assert now.latents is not None
        return self.ball.outside(now.latents)


@dataclass(frozen=True)
class BeyondTilt:
    """Gain of the proxy as a share of what the reference's own samples allow at this KL.

    By Donsker and Varadhan's inequality no policy at KL d from the reference has a mean proxy above
    (ln E exp(l proxy) + d) / l, whatever l > 0; the reference tilted by exp(l proxy) reaches it. The expectation is
    taken over the reference's samples. A share above 1 thus says that the proxy was raised by texts such as were not
    among them: new ones, good or not. Prompts count as one: where they differ much in proxy, the bound is too wide.
    """

    proxy: np.ndarray
    """`[B]`, of the reference."""

    @classmethod
    def fit(cls, reference: Watched) -> BeyondTilt | None:
        return cls(np.asarray(reference.proxy, np.float64))

    def score(self, now: Watched) -> float:
        assert now.log_ratios is not None
        gain = float(now.proxy.mean() - self.proxy.mean())
        # Near the start the bound is 0, and a share of it would be luck: three standard errors of the gain at least.
        luck = 3 * float(np.hypot(_error(self.proxy), _error(now.proxy)))
        allowed = max(largest_gain(self.proxy, float(now.log_ratios.mean())), luck)
        return gain / allowed if allowed > 0 else 0.0


def largest_gain(proxy: np.ndarray, kl: float) -> float:
    """The most by which a policy at `kl` nats from the reference may raise the mean of `proxy` `[B]`, its samples'.

    That of the samples tilted by exp(l proxy) to this KL. From ln B less the log of the number of highest samples on,
    it is the highest less the mean. An estimated KL below 0 counts as 0.

    Source: Donsker and Varadhan 1983; for policies, Gao et al. 2023 and Mroueh 2024.
    """
    centred = (proxy - proxy.mean()) / _spread(proxy)
    highest = math.log(len(proxy) / (centred == centred.max()).sum())
    if kl <= 0 or highest == 0:
        return 0.0

    def tilted(strength: float) -> tuple[float, float]:
        """Mean proxy, and KL in nats, of the samples tilted."""
        log_weight = strength * centred - logsumexp(strength * centred)
        weight = np.exp(log_weight)
        return float(weight @ centred), float(weight @ log_weight) + math.log(len(centred))

    top = 1.0
    while tilted(top)[1] < min(kl, highest * (1 - 1e-6)):
        top *= 2
        if top > 1e9:  # the highest are nearly equal, and nothing is left to gain by telling them apart
            return float(proxy.max() - proxy.mean())
    if kl >= highest * (1 - 1e-6):
        return float(proxy.max() - proxy.mean())
    return tilted(brentq(lambda strength: tilted(strength)[1] - kl, 0, top))[0] * float(_spread(proxy))


@dataclass(frozen=True)
class ChiSquared:
    """How far the gain of the proxy, in its standard deviations, falls short of the square root of the chi-squared
    divergence: from 0 on it promises no gain of gold, however well the two correlate on the reference.

    With a correlation r, gold gains at least (gain - sqrt((1 - r^2) chi^2)) / r of its standard deviations (Laidlaw et
    al. 2024, there for occupancies, here for whole completions); what r is cannot be known without gold, and the worst
    is taken, r near 0. The divergence, a mean of exp(log ratio), is carried by a few samples and comes out too low more
    often than too high. It is cut off at e^60.
    """

    mean: float
    deviation: float

    @classmethod
    def fit(cls, reference: Watched) -> ChiSquared | None:
        return cls(float(reference.proxy.mean()), float(_spread(reference.proxy)))

    def score(self, now: Watched) -> float:
        assert now.log_ratios is not None
        log_mean = float(logsumexp(now.log_ratios)) - math.log(len(now.log_ratios))
        divergence = math.expm1(min(max(log_mean, 0.0), 60.0))
        return divergence**0.5 - (float(now.proxy.mean()) - self.mean) / self.deviation


@dataclass(frozen=True)
class Drift:
    """Change of a mean, in standard deviations of the reference's samples."""

    column: str
    """"repetition", or a field of `Watched`."""
    either_way: bool
    """Whether a fall is as suspicious as a rise."""
    mean: float
    deviation: float

    @classmethod
    def fit(cls, reference: Watched, column: str, either_way: bool = False) -> Drift | None:
        values = _column(reference, column)
        return None if values is None else cls(column, either_way, float(values.mean()), float(_spread(values)))

    def score(self, now: Watched) -> float:
        values = _column(now, self.column)
        assert values is not None
        change = (float(values.mean()) - self.mean) / self.deviation
        return abs(change) if self.either_way else change


@dataclass(frozen=True)
class Duplicates:
    """Share of samples that say, word for word, what another has said."""

    def score(self, now: Watched) -> float:
        assert now.texts is not None
        return 1 - len(set(now.texts)) / len(now.texts)


NEEDS = {
    "disagreement": "members",
    "outliers": "latents",
    "proxy beyond tilt": "log_ratios",
    "chi-squared": "log_ratios",
    "proxy": "proxy",
    "repetition": "texts",
    "length": "lengths",
    "collapse": "log_probs",
    "duplicates": "texts",
}
"""Names of the alarms, and what each needs to be known of samples."""


@dataclass(frozen=True)
class Alarms:
    """All alarms that there is something to fit to."""

    alarms: dict[str, Alarm]
    """By name, those of `NEEDS`."""
    thresholds: dict[str, float]
    """What a batch of the reference's own samples exceeds with the chance given, by name of the alarm."""

    @classmethod
    def of(
        cls,
        reference: Watched,
        batch: int = 64,
        chance: float = 0.01,
        seed: int = 0,
        names: Collection[str] = tuple(NEEDS),
    ) -> Alarms:
        """Fit to the one half of the reference's prompts, and set thresholds by samples of the other.

        For thresholds whole prompts are drawn, which makes them rather too high than too low where a later batch has
        few samples a prompt. Alarms that read log ratios, and duplicates, have none.

        Args:
          reference: 256 samples or more, of as many prompts as can be had; `log_ratios` are not needed.
          batch: samples of a later reading.
          chance: of a reading above the threshold from `batch` samples of the reference itself.
          names: of the alarms wanted, as in `NEEDS`.

        Raises:
          UserError: too few samples, or of one prompt only.
        """
        if len(reference.proxy) < 256:
            raise UserError(f"{len(reference.proxy)} samples of the reference are too few for alarms; give 256 or more")
        rng = np.random.default_rng(seed)
        fitted, others = map(reference.rows, halves(len(reference.proxy), reference.groups, rng))
        fits: dict[str, Callable[[], Alarm | None]] = {
            "disagreement": lambda: Disagreement.fit(fitted),
            "outliers": lambda: Outliers.fit(fitted),
            "proxy beyond tilt": lambda: BeyondTilt.fit(reference),
            "chi-squared": lambda: ChiSquared.fit(fitted),
            "proxy": lambda: Drift.fit(fitted, "proxy"),
            "repetition": lambda: Drift.fit(fitted, "repetition"),
            "length": lambda: Drift.fit(fitted, "lengths", either_way=True),
            "collapse": lambda: Drift.fit(fitted, "log_probs"),
            "duplicates": Duplicates,
        }
        found = {name: fit() for name, fit in fits.items() if name in names}
        alarms = {name: alarm for name, alarm in found.items() if alarm is not None}
        resampled = [others.rows(_whole_groups(others, batch, rng)) for _ in range(200)]
        thresholds = {
            name: float(np.quantile([alarm.score(each) for each in resampled], 1 - chance))
            for name, alarm in alarms.items()
            # Drawn with replacement, samples are duplicates by that alone; and the reference's log ratios are all 0.
            if name != "duplicates" and NEEDS[name] != "log_ratios" and getattr(others, NEEDS[name]) is not None
        }
        return cls(alarms, thresholds)

    def read(self, now: Watched) -> dict[str, float]:
        """Readings by name, of those alarms whose columns are there."""
        return {name: alarm.score(now) for name, alarm in self.alarms.items() if getattr(now, NEEDS[name]) is not None}


def _whole_groups(watched: Watched, batch: int, rng: np.random.Generator) -> np.ndarray:
    """`batch` rows, int64: those of prompts drawn with replacement."""
    if watched.groups is None:
        return rng.integers(len(watched.proxy), size=batch)
    names, place = np.unique(watched.groups, return_inverse=True)
    rows = np.split(place.argsort(kind="stable"), np.bincount(place).cumsum()[:-1])
    return np.concatenate([rows[group] for group in rng.integers(len(names), size=batch)])[:batch]


def _column(watched: Watched, column: str) -> np.ndarray | None:
    if column == "repetition":
        return None if watched.texts is None else np.array([repetition(text) for text in watched.texts])
    return getattr(watched, column)


def _spread(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Standard deviation, 1 where all are equal, axes kept."""
    spread = values.std(axis, keepdims=axis is not None)
    return np.where(spread > 0, spread, 1.0)


def _error(values: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(values.std() / len(values) ** 0.5)
