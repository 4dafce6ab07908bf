"""Fit reward models to comparisons of raters who differ: a head a rater, groups of raters by EM, a mean and a spread.

All have several heads on one trunk and see the comparisons in steps; they differ in what the heads of a comparison's
two candidates cost. Whether candidates are texts or boards is the business of whoever scores them.

Letters: K comparisons, B of a step, H heads, R raters, G groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from scipy.cluster.vq import kmeans2

from foolsgold.errors import UserError
from foolsgold.objectives.aggregation.distributional import mean_and_spread_loss
from foolsgold.objectives.aggregation.mixture import responsibilities
from foolsgold.objectives.preference import bradley_terry_loss
from foolsgold.rewards.group_reward_models import TOGETHER, TextHeads
from foolsgold.training.batches import Order, batch_indices, epoch_order, length_grouped
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.go_reward_model import BoardPairs, pair_planes
from foolsgold.training.loop import Loop, LoopSettings, Metrics
from foolsgold.training.text_reward_model import TextComparisons

Report = Callable[[int, Metrics], None]
Scores = tuple[torch.Tensor, torch.Tensor]
"""Of the chosen and of the rejected candidates, float32 `[B, H]` each."""


class ComparedPairs(Protocol):
    """K comparisons of two candidates."""

    def __len__(self) -> int: ...

    def order(self, batch: int) -> Order:
        """In which steps see them."""
        ...

    def scores(self, model: torch.nn.Module, rows: np.ndarray) -> Scores:
        """What the model's heads make of some of them."""
        ...


@dataclass(frozen=True)
class TextPairs:
    """Comparisons of two completions."""

    comparisons: TextComparisons

    def __len__(self) -> int:
        return len(self.comparisons)

    def order(self, batch: int) -> Order:
        return length_grouped(self.comparisons.lengths, batch)

    def scores(self, model: torch.nn.Module, rows: np.ndarray) -> Scores:
        assert isinstance(model, TextHeads)
        part = self.comparisons.rows(rows)
        texts = [text for two in zip(part.chosen, part.rejected, strict=True) for text in two]
        both = model.scores_of(part.prompts, texts)
        return both[:, 0], both[:, 1]


@dataclass(frozen=True)
class BoardComparisons:
    """Comparisons of two boards."""

    pairs: BoardPairs

    def __len__(self) -> int:
        return len(self.pairs)

    def order(self, batch: int) -> Order:
        return epoch_order

    def scores(self, model: torch.nn.Module, rows: np.ndarray) -> Scores:
        part = self.pairs.rows(rows)
        both = model(torch.from_numpy(pair_planes(part)))
        a, b = both[: len(rows)], both[len(rows) :]
        first = torch.from_numpy(part.prefers_a)[:, None]
        return torch.where(first, a, b), torch.where(first, b, a)


@dataclass(frozen=True)
class HeadSettings:
    """Of one fit."""

    loop: LoopSettings
    batch: int = 64
    """Comparisons of a step."""


def fit_raters(
    model: torch.nn.Module,
    pairs: ComparedPairs,
    rater: np.ndarray,
    settings: HeadSettings,
    shrinkage: float = 0.02,
    folder: str | Path | None = None,
    report: Report = lambda step, metrics: None,
) -> Loop:
    """Fit a head for what raters have in common, the first one, and one for how each departs from it.

    A rater's score is the sum of both. Departures pay for their size, so that a rater of few words stays near the rest.

    Args:
      model: of 1 + R heads, trained in place.
      rater: int `[K]`, who preferred, from 0 to R - 1.
      shrinkage: price of the squared departure of a comparison's lead, nats for a squared nat.

    Raises:
      UserError: there are no comparisons, or a loss is not finite.
    """

    def loss(chosen: torch.Tensor, rejected: torch.Tensor, rows: np.ndarray, loop: Loop) -> torch.Tensor:
        own = 1 + torch.from_numpy(rater[rows])
        leads = chosen - rejected
        departure = leads.gather(1, own[:, None])[:, 0]
        return -F.logsigmoid(leads[:, 0] + departure).mean() + shrinkage * departure.square().mean()

    return _fit(model, pairs, settings, loss, folder, report)


def rater_scores(scores: np.ndarray) -> np.ndarray:
    """Scores of every rater, `[..., R]`, from those of the heads that `fit_raters` fits, `[..., 1 + R]`."""
    return scores[..., :1] + scores[..., 1:]


def groups_of_raters(likings: np.ndarray, groups: int, seed: int, tries: int = 20) -> np.ndarray:
    """Where EM may start: raters put into groups by what they like, int `[R]` from 0, the largest group first.

    Args:
      likings: `[R, N]`, of each rater for the same N candidates; what all raters share does not matter.
      groups: G.
      tries: runs of k-means, of which the tightest counts.
    """
    apart = likings - likings.mean(0)
    found = []
    for number in range(tries):
        centres, label = kmeans2(apart, groups, minit="++", seed=np.random.default_rng([seed, number]))
        found.append((float(np.square(apart - centres[label]).sum()), number, label))
    label = min(found)[2]
    by_size = np.argsort(-np.bincount(label, minlength=groups), kind="stable")
    return np.argsort(by_size)[label]


def fit_groups(
    model: torch.nn.Module,
    pairs: ComparedPairs,
    rater: np.ndarray,
    start: np.ndarray,
    settings: HeadSettings,
    rounds: int = 4,
    folder: str | Path | None = None,
    report: Report = lambda step, metrics: None,
) -> np.ndarray:
    """Fit a head a group of raters, and find who belongs to which, by EM; returns that, `[R, G]`, rows summing to 1.

    Each round is an E-step over all comparisons, after which the heads and the trunk learn for `steps / rounds` steps.

    Args:
      model: of G heads, trained in place.
      rater: int `[K]`, who preferred, from 0 to R - 1.
      start: `[R, G]`, membership in the first round.

    Raises:
      UserError: there are no comparisons, or a loss is not finite.

    Source: Chakraborty et al. 2024 (MaxMin-RLHF), algorithm 2, with soft membership and a trunk in common.
    """
    every = max(1, -(-settings.loop.steps // rounds))

    def loss(chosen: torch.Tensor, rejected: torch.Tensor, rows: np.ndarray, loop: Loop) -> torch.Tensor:
        if loop.step % every == 0:
            belongs = start if loop.step == 0 else memberships(model, pairs, rater, np.array(loop.memory["belongs"]))
            loop.memory["belongs"] = belongs.tolist()
        belongs = np.array(loop.memory["belongs"])
        return bradley_terry_loss(chosen, rejected, weight=torch.from_numpy(belongs[rater[rows]]).float())

    loop = _fit(model, pairs, settings, loss, folder, report)
    return memberships(model, pairs, rater, np.array(loop.memory["belongs"]))


@torch.no_grad()
def memberships(model: torch.nn.Module, pairs: ComparedPairs, rater: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The E-step: `[R, G]`, from all that each rater said, with the groups' shares of `before` `[R, G]`."""
    log_likelihood = np.zeros(before.shape)
    for first in range(0, len(pairs), TOGETHER):
        rows = np.arange(first, min(first + TOGETHER, len(pairs)))
        chosen, rejected = pairs.scores(model, rows)
        np.add.at(log_likelihood, rater[rows], F.logsigmoid(chosen - rejected).double().numpy())
    # A share of 0 could never grow again.
    return responsibilities(log_likelihood, np.maximum(before.mean(0), 1 / (10 * len(before))))[0]


def fit_mean_and_spread(
    model: torch.nn.Module,
    pairs: ComparedPairs,
    settings: HeadSettings,
    folder: str | Path | None = None,
    report: Report = lambda step, metrics: None,
) -> Loop:
    """Fit two heads: what a candidate is worth on average, and how far that differs between raters and moments.

    Nobody says who preferred. See `mean_and_spread` for the numbers that the heads stand for.

    Args:
      model: of 2 heads, trained in place.

    Raises:
      UserError: there are no comparisons, or a loss is not finite.
    """

    def loss(chosen: torch.Tensor, rejected: torch.Tensor, rows: np.ndarray, loop: Loop) -> torch.Tensor:
        first, second = (F.softplus(scores[:, 1]) for scores in (chosen, rejected))
        return mean_and_spread_loss(chosen[:, 0], first, rejected[:, 0], second, torch.ones(len(rows)))

    return _fit(model, pairs, settings, loss, folder, report)


def mean_and_spread(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, `[...]` each, by the scores `[..., 2]` of heads that `fit_mean_and_spread` fits."""
    return scores[..., 0], np.logaddexp(0, scores[..., 1])


def _fit(
    model: torch.nn.Module,
    pairs: ComparedPairs,
    settings: HeadSettings,
    loss: Callable[[torch.Tensor, torch.Tensor, np.ndarray, Loop], torch.Tensor],
    folder: str | Path | None,
    report: Report,
) -> Loop:
    """The loop of every fit here; the model ends in float32."""
    if not len(pairs):
        raise UserError("there are no comparisons to fit a reward model to; give at least one")
    order = pairs.order(settings.batch)
    loop = Loop(model, settings.loop, folder)

    def body(step: int) -> Metrics:
        rows = batch_indices(len(pairs), settings.batch, step, settings.loop.seed, order)
        chosen, rejected = pairs.scores(model, rows)
        there = {"rows": torch.from_numpy(rows), "chosen": chosen.detach(), "rejected": rejected.detach()}
        value = loop.backward(loss(chosen, rejected, rows, loop), there)
        return {"loss": value, "gradient_norm": loop.update(there)}

    loop.run(body, report)
    restore_float32(loop)
    return loop
