"""Rewards that are harder to fool: what a component may pay at most, what a high score is worth, and all of them by
name for a study.

Ensembles and averaged weights are in `rewards.ensembles`, a price on the way from the reference in
`training.kl_penalty`, a reward model without length in `training.length_free`, new labels in `training.repair`.

Letters: K completions, B of a batch.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy.optimize import isotonic_regression

from foolsgold.errors import UserError
from foolsgold.objectives.statistics import Interval
from foolsgold.policies.messages import Text
from foolsgold.rewards.ensembles import Ensemble, average_weights, mean, mean_minus_deviations, worst_case
from foolsgold.rewards.protocol import Reward, is_async, reward_name
from foolsgold.rewards.text_reward_model import TextReward


class Capped:
    """A reward that counts only up to a cap: beyond it more of the same is worth nothing.

    Args:
      reward: a plain function, not an async one.
      cap: in the unit of the reward, such as a `proxy_point`.
      name: what to call it in tables; as the reward where None.

    Source: Moskovitz et al. 2024 (Confronting reward model overoptimization with constrained RLHF), whose multipliers
    hold a component's *mean* at its proxy point; a cap on each completion needs no multiplier and stops the tail too.
    """

    def __init__(self, reward: Reward, cap: float, name: str | None = None):
        if not np.isfinite(cap):
            raise UserError(f"a cap is a finite number, not {cap}")
        self.reward, self.cap = _plain(reward), float(cap)
        self.__name__ = name or reward_name(reward)

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> list[float | None]:
        """Rewards `[B]`, None where the reward does not apply."""
        scores = _asked(self.reward, prompts, completions, columns)
        return _listed(np.minimum(scores, self.cap))


Transform = Callable[[np.ndarray], np.ndarray]
"""Maps leads over a reference `[B]`, nats of log-odds, to rewards `[B]`."""


def log_sigmoid(lead: np.ndarray) -> np.ndarray:
    """Log of the chance to be preferred to the reference, `[B]`: straight far below it, flat far above.

    Sums of such rewards stand for *and*: to be good in each respect (Wang et al. 2024, Transforming and combining
    rewards for aligning large language models).
    """
    return -np.logaddexp(0, -lead)


def sigmoid(lead: np.ndarray) -> np.ndarray:
    """Chance to be preferred to the reference, `[B]`: flat far above and far below (Fu et al. 2025, preference as
    reward)."""
    return np.exp(log_sigmoid(lead))


@dataclass(frozen=True)
class References:
    """What completions are held against, by prompt."""

    by_prompt: dict[str, float]
    """In the unit of the reward; prompts of messages by their JSON."""
    elsewhere: float
    """For prompts that are not among them."""

    @classmethod
    def of(
        cls, prompts: Sequence[Text], rewards: Sequence[float | None], quantile: float = 0.85, least: int = 4
    ) -> References:
        """A quantile of the rewards that the start's own completions got; of all prompts where a prompt has too few.

        Args:
          prompts, rewards: `[K]` each, of completions that the policy wrote before RL; None: not applicable.
          quantile: from 0 to 1; the higher, the more completions are still worth improving.
          least: completions from which a prompt has a reference of its own.

        Raises:
          UserError: no reward applies.
        """
        known = [(_key(prompt), x) for prompt, x in zip(prompts, rewards, strict=True) if x is not None]
        if not known:
            raise UserError("no reward applies to any of the completions that references are to be taken from")
        grouped: dict[str, list[float]] = defaultdict(list)
        for prompt, x in known:
            grouped[prompt].append(x)
        own = {prompt: float(np.quantile(xs, quantile)) for prompt, xs in grouped.items() if len(xs) >= least}
        return cls(own, float(np.quantile([x for _, x in known], quantile)))

    def __call__(self, prompts: Sequence[Text]) -> np.ndarray:
        """float64 `[B]`"""
        return np.array([self.by_prompt.get(_key(prompt), self.elsewhere) for prompt in prompts])


class Shaped:
    """A transform of a reward's lead over a reference, so that what is good already gains little by scoring more.

    Args:
      reward: a plain function, not an async one, in nats of log-odds as reward models give them.
      references: see `References.of`.
      transform: `log_sigmoid`, `sigmoid`, or a function of your own.
      name: what to call it in tables; as the reward where None.
    """

    def __init__(
        self, reward: Reward, references: References, transform: Transform = log_sigmoid, name: str | None = None
    ):
        self.reward, self.references, self.transform = _plain(reward), references, transform
        self.__name__ = name or reward_name(reward)

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> list[float | None]:
        """Rewards `[B]`, None where the reward does not apply."""
        shaped = _asked(self.reward, prompts, completions, columns)
        known = ~np.isnan(shaped)
        shaped[known] = self.transform((shaped - self.references(prompts))[known])
        return _listed(shaped)


@dataclass(frozen=True)
class ProxyPoint:
    """Where more proxy stops meaning more gold."""

    value: float
    """Proxy at which the mean of gold is highest."""
    interval: Interval
    """Of the value, from resampled completions."""
    falls: bool
    """Whether gold falls beyond: the interval ends below the highest tenth of the proxy. If not, the cap only says how
    far the sample goes."""


def proxy_point(
    proxy: np.ndarray, gold: np.ndarray, resamples: int = 200, seed: int = 0, confidence: float = 0.95
) -> ProxyPoint:
    """The proxy at which the mean of gold given proxy is highest, that mean taken to rise and then to fall.

    The completions are put into bins of as many each, about twice the cube root of their number; through the bins goes
    the nearest curve of one peak, and the point is the mean proxy of the bins that share its top.

    Args:
      proxy, gold: `[K]`; NaN in gold where nobody judged.
      resamples: of the bootstrap.
      confidence: of the interval.

    Raises:
      UserError: fewer than 30 completions with gold, or all proxies alike.

    Source: proxy points are of Moskovitz et al. 2024, who read them off runs of RL.
    """
    judged = ~np.isnan(gold)
    proxy, gold = np.asarray(proxy, np.float64)[judged], np.asarray(gold, np.float64)[judged]
    if len(proxy) < 30 or np.ptp(proxy) == 0:
        raise UserError(
            f"{len(proxy)} completions with gold, their proxies from {proxy.min(initial=np.inf):g} to "
            f"{proxy.max(initial=-np.inf):g}, tell no proxy point; have 30 or more judged that differ"
        )
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(proxy), size=len(proxy)) for _ in range(resamples))
    points = [_top(proxy[rows], gold[rows]) for rows in drawn]
    low, high = np.quantile(points, [(1 - confidence) / 2, (1 + confidence) / 2])
    return ProxyPoint(_top(proxy, gold), Interval(float(low), float(high)), bool(high < np.quantile(proxy, 0.9)))


def _top(proxy: np.ndarray, gold: np.ndarray) -> float:
    order = np.argsort(proxy, kind="stable")
    bins = np.array_split(order, max(3, round(2 * len(proxy) ** (1 / 3))))
    x, y, n = (np.array([f(rows) for rows in bins]) for f in (lambda r: proxy[r].mean(), lambda r: gold[r].mean(), len))
    fits = [_up_then_down(k, y, n) for k in range(1, len(y) + 1)]
    best = min(fits, key=lambda fit: float((n * (fit - y) ** 2).sum()))
    return float(np.average(x, weights=n * (best == best.max())))


def _up_then_down(k: int, y: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The nearest curve to `y` `[bins]` that rises over the first k bins and falls over the others."""
    up = isotonic_regression(y[:k], weights=n[:k]).x
    down = isotonic_regression(y[k:], weights=n[k:], increasing=False).x if k < len(y) else y[k:]
    return np.concatenate([up, down])


@dataclass(frozen=True)
class StartSamples:
    """K completions that the policy wrote before RL."""

    prompts: Sequence[Text]
    completions: Sequence[Text]
    gold: np.ndarray | None = None
    """float64 `[K]`, NaN where nobody judged; only caps need it."""


DEFENCES = ("none", "mean", "worst", "uncertainty", "warm", "capped", "shaped")
"""What `make_defended` knows."""


def make_defended(members: Sequence[TextReward], which: str, start: StartSamples, k: float = 1.0) -> Reward:
    """Reward models under a defence, by name.

    - none: the first member alone; capped: the same up to its proxy point; shaped: the log-sigmoid of its lead over
      the start's completions;
    - mean, worst, uncertainty: of all members, each centred on the start's completions; uncertainty takes off `k` of
      their standard deviations;
    - warm: one model with the mean of all weights, for members fitted from one start.

    Args:
      members: of one tokenizer; none, capped and shaped read the first alone.
      which: one of `DEFENCES`.

    Raises:
      UserError: there is no member or too few for an ensemble, the name is unknown, or a cap has no gold to be found
        with.
    """
    if not members:
        raise UserError("there is no reward model to defend; give at least one")
    rewards = [cast(Reward, member) for member in members]  # a list of float is no list of float or None to mypy
    first = rewards[0]
    if which == "none":
        return first
    if which == "capped":
        if start.gold is None:
            raise UserError("a cap is found with gold; have some of the start's completions judged")
        scores = np.array(members[0](start.prompts, start.completions), np.float64)
        return Capped(first, proxy_point(scores, start.gold).value, "capped")
    if which == "shaped":
        said = members[0](start.prompts, start.completions)
        return Shaped(first, References.of(start.prompts, said), name="shaped")
    if which not in DEFENCES:
        raise UserError(f"no defence {which!r}; choose one of {', '.join(DEFENCES)}")
    if len(members) < 2:
        raise UserError(f"{which!r} is of several reward models, not of one; fit more, with seeds of their own")
    if which == "warm":
        averaged = average_weights([member.model for member in members])
        one = TextReward(averaged, members[0].tokenizer, members[0].batch_size, members[0].max_length, "warm")
        return cast(Reward, one)
    combine = {"mean": mean, "worst": worst_case, "uncertainty": mean_minus_deviations(k)}[which]
    return Ensemble(rewards, combine, which).centred(start.prompts, start.completions)


def _plain(reward: Reward) -> Reward:
    if is_async(reward):
        raise UserError(f"{reward_name(reward)} is async; only plain functions can be capped or shaped")
    return reward


def _asked(reward: Reward, prompts: Sequence[Text], completions: Sequence[Text], columns: dict[str, Any]) -> np.ndarray:
    """float64 `[B]`, NaN where the reward does not apply."""
    said = reward(prompts=list(prompts), completions=list(completions), **columns)
    return np.array([np.nan if x is None else float(x) for x in said])  # type: ignore[union-attr]


def _listed(scores: np.ndarray) -> list[float | None]:
    return [None if np.isnan(x) else float(x) for x in scores]


def _key(prompt: Text) -> str:
    return prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True)
