"""What an audit rests on: proxy and gold of a policy's samples, before RL and along it.

Letters: P prompts, N samples of each. Gold is dear, so a sample may have none (NaN); where the samples to be judged
were chosen at random with known chances, means over all samples can still be estimated without bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.errors import UserError
from foolsgold.objectives.label_budget import augmented_gold


@dataclass(frozen=True)
class Samples:
    """N samples of one policy for each of P prompts.

    Raises:
      UserError: shapes differ, a proxy is NaN or infinite, no sample has gold, a chance lies outside of 0 to 1, or
        texts or columns are not one a sample.
    """

    proxy: np.ndarray
    """float64 `[P, N]`"""
    gold: np.ndarray
    """float64 `[P, N]`, NaN where nobody judged."""
    chance: np.ndarray | None = None
    """float64 `[P, N]`, with what chance a sample was to be judged; above 0 and at most 1. None: gaps in gold, if any,
    came about regardless of proxy and gold."""
    texts: Sequence[Sequence[str]] | None = None
    """`[P][N]`"""
    columns: Mapping[str, np.ndarray] | None = None
    """Name to `[P, N]`, numbers or words: what else is known of each sample, such as its language or the distance from
    the reward model's training data. The audit asks of each whether the proxy is wrong along it."""

    def __post_init__(self) -> None:
        proxy, gold = self.proxy, self.gold
        if proxy.ndim != 2 or proxy.shape != gold.shape or proxy.size == 0:
            raise UserError(f"proxy {proxy.shape} and gold {gold.shape} must both be [prompts, samples], and not empty")
        if not np.isfinite(proxy).all():
            raise UserError(f"{(~np.isfinite(proxy)).sum()} of {proxy.size} proxy rewards are NaN or infinite")
        if np.isinf(gold).any():
            raise UserError("gold is infinite somewhere; it must be a number, or NaN where nobody judged")
        if np.isnan(gold).all():
            raise UserError("no sample has a gold reward; judge some")
        if self.chance is not None:
            known = self.chance.shape == proxy.shape and ((self.chance > 0) & (self.chance <= 1)).all()
            if not known:
                raise UserError(f"chances of being judged must be {proxy.shape}, above 0 and at most 1")
            if lacking := int((np.isnan(gold) & (self.chance == 1)).sum()):
                raise UserError(f"{lacking} samples have no gold though their chance of being judged is 1; lower it")
        if self.texts is not None and [len(row) for row in self.texts] != [proxy.shape[1]] * len(proxy):
            raise UserError(f"texts must be one a sample, {proxy.shape[1]} for each of {len(proxy)} prompts")
        for name, column in (self.columns or {}).items():
            if column.shape != proxy.shape:
                raise UserError(f"column {name!r} is {column.shape}; it must have one value a sample, {proxy.shape}")

    @property
    def labelled(self) -> np.ndarray:
        """bool `[P, N]`, samples that have gold."""
        return ~np.isnan(self.gold)

    @property
    def weight(self) -> np.ndarray:
        """`[P, N]`, 1 / chance where labelled, else 0: with it, sums over labelled samples estimate sums over all."""
        return self.labelled / (1.0 if self.chance is None else self.chance)

    @cached_property
    def gold_estimate(self) -> np.ndarray:
        """`[P, N]`: gold where all is known; else numbers of the same mean, so that any weighted sum over samples is
        estimated without bias, and its spread over prompts tells its error."""
        if self.labelled.all():
            return self.gold
        chance = np.full(self.gold.shape, self.labelled.mean()) if self.chance is None else self.chance
        return augmented_gold(self.proxy, self.gold, chance)


@dataclass(frozen=True)
class Checkpoint:
    """The policy after some steps of RL, on the same prompts as before."""

    step: int
    kl: float
    """Nats a completion from the policy that RL began with."""
    samples: Samples
    kl_error: float = float("nan")
    """Standard error of `kl`, NaN where unknown."""


@dataclass(frozen=True)
class Evidence:
    """All that was measured.

    Raises:
      UserError: there is neither a start nor a run, prompts do not match, or checkpoints are out of order.
    """

    start: Samples | None
    """Of the policy that RL begins with, or that is to be served as the best of n; None where only a run is known."""
    run: tuple[Checkpoint, ...] = ()
    """Of RL, in the order of steps, the first at a KL of 0 or near it."""
    prompts: Sequence[str] | None = None
    """`[P]`"""
    proxy_name: str = "proxy"
    gold_name: str = "gold"

    def __post_init__(self) -> None:
        if self.start is None and not self.run:
            raise UserError("there is nothing to audit: give samples of a policy, or checkpoints of a run")
        steps = [each.step for each in self.run]
        if steps != sorted(set(steps)):
            raise UserError(f"checkpoints must be in the order of their steps, each once; got {steps}")
        counts = {len(each.samples.proxy) for each in self.run}
        if len(counts) > 1:
            raise UserError(f"checkpoints have {sorted(counts)} prompts; measure all of them on the same prompts")
        for each in self.run:
            if not np.isfinite(each.kl):
                raise UserError(f"the KL at step {each.step} is {each.kl}; it must be a number of nats")
