"""Fit a reward model that does not pay for length, or for any other number that raters are known to fall for (ODIN).

Two heads read one trunk. Their sum explains the comparisons; one head is drawn towards the length and takes that part
of raters' taste with it, the other is drawn away from it and is kept. What is kept is an ordinary reward model.

Letters: K comparisons, B of a step, D width. The *feature* is the number to be free of.

Source: Chen et al. 2024 (ODIN: Disentangled reward mitigates hacking in RLHF).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from foolsgold.errors import UserError
from foolsgold.rewards.text_reward_model import TextRewardModel, pad_texts
from foolsgold.training.batches import batch_indices, epoch_order, length_grouped
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.loop import Loop, Metrics
from foolsgold.training.text_reward_model import RewardModelSettings, TextComparisons, agreement, preference_loss


@dataclass(frozen=True)
class Feature:
    """A number of each completion compared, such as its length.

    Raises:
      UserError: the columns differ in length, or the feature is the same everywhere or not finite.
    """

    chosen: np.ndarray
    """float64 `[K]`"""
    rejected: np.ndarray
    """float64 `[K]`"""

    def __post_init__(self) -> None:
        both = np.concatenate([self.chosen, self.rejected])
        if self.chosen.shape != self.rejected.shape or not np.isfinite(both).all():
            raise UserError("a feature is one finite number for each chosen and each rejected completion")
        if len(both) and np.ptp(both) == 0:
            raise UserError("the feature is the same for all completions; a reward model is free of it as it is")

    @classmethod
    def length(cls, comparisons: TextComparisons) -> Feature:
        """Tokens of each completion, the end token counted."""
        return cls(
            *(np.array([len(x) for x in each], np.float64) for each in (comparisons.chosen, comparisons.rejected))
        )


@dataclass(frozen=True)
class FreeOfFeature:
    """Weights of what is added to the loss of the comparisons; both 1 in the paper."""

    correlation: float = 1.0
    """Of the kept head's correlation with the feature, either way, and of the other head's lack of it."""
    orthogonality: float = 1.0
    """Of the cosine between both heads."""


class TwoHeads(nn.Module):
    """A reward model, and beside its head one that is to speak for the feature.

    Args:
      model: is trained in place; its head is the one that is kept.
      seed: of the other head.
    """

    def __init__(self, model: TextRewardModel, seed: int = 0):
        super().__init__()
        self.kept = model
        start = torch.randn(model.head.shape, generator=torch.Generator().manual_seed(seed)) * 0.02
        self.feature_head = nn.Parameter(start.to(model.device, model.head.dtype))
        """`[1, D]`"""

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Scores by the kept head and by the other, float32 `[B, 2]`, of right-padded rows `[B, T]`."""
        states = self.kept.trunk.hidden(tokens)
        last = states[torch.arange(len(tokens), device=tokens.device), lengths - 1].float()
        return F.linear(last, torch.cat([self.kept.head, self.feature_head]).float())

    def cosine(self) -> torch.Tensor:
        """Between both heads, `[]`."""
        return F.cosine_similarity(self.kept.head.float(), self.feature_head.float()).squeeze()


def correlation(scores: torch.Tensor, feature: torch.Tensor) -> torch.Tensor:
    """Pearson's, of `[N]` and `[N]`, `[]`; 0 where one of them is the same everywhere."""
    scores, feature = scores - scores.mean(), feature - feature.mean()
    return (scores * feature).sum() / (scores.norm() * feature.norm()).clamp(min=1e-8)


def disentangling_loss(
    kept: torch.Tensor, other: torch.Tensor, feature: torch.Tensor, cosine: torch.Tensor, weights: FreeOfFeature
) -> torch.Tensor:
    """What is added to the loss of the comparisons, `[]`.

    The cosine stands for the product of the heads' weights, which two heads could make small by growing short.

    Args:
      kept, other: `[2 B]`, scores by both heads of all completions of a step.
      feature: `[2 B]`
      cosine: `[]`, between the heads.

    Source: Chen et al. 2024 (ODIN).
    """
    drawn = correlation(kept, feature).abs() - correlation(other, feature)
    return weights.correlation * drawn + weights.orthogonality * cosine.abs()


def fit_free_of_feature(
    model: TextRewardModel,
    comparisons: TextComparisons,
    settings: RewardModelSettings,
    feature: Feature | None = None,
    weights: FreeOfFeature = FreeOfFeature(),
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
) -> Loop:
    """Fit `model` in place, to be saved and used as any reward model. A run in `folder` is taken up where it stopped.

    Correlations are those of a step's completions: steps of 32 comparisons and more tell them from chance.

    Args:
      model: as for `fit_text_reward_model`; ends in float32.
      feature: to be free of; the length in tokens where None.
      report: gets every step's `loss` (all of it), `accuracy` of both heads' sum, `kept_accuracy` of the kept head,
        `correlation` and `other_correlation` of the heads with the feature, `cosine`, `gradient_norm`,
        `comparisons_per_second`.
      evaluate: see `Loop.run`.

    Raises:
      UserError: there are no comparisons, the feature does not fit them, micro-batches or centering are asked for, or a
        loss is not finite.
    """
    if not len(comparisons):
        raise UserError("there are no comparisons to fit a reward model to; give at least one")
    if settings.micro_batch or settings.centering:
        raise UserError("a correlation is of a step's whole batch and blind to the mean: no micro_batch, no centering")
    feature = feature or Feature.length(comparisons)
    if len(feature.chosen) != len(comparisons):
        raise UserError(f"the feature is given for {len(feature.chosen)} of {len(comparisons)} comparisons")
    n, lengths = len(comparisons), comparisons.lengths
    order = length_grouped(lengths, settings.batch) if settings.length_grouped else epoch_order
    heads = TwoHeads(model, settings.loop.seed)
    loop = Loop(heads, settings.loop, folder)

    def body(step: int) -> Metrics:
        started = time.perf_counter()
        indices = batch_indices(n, settings.batch, step, settings.loop.seed, order)
        batch, rows = comparisons.rows(indices), torch.from_numpy(indices)
        pairs = [*zip(batch.prompts, batch.chosen, strict=True), *zip(batch.prompts, batch.rejected, strict=True)]
        scores = heads(*(x.to(model.device) for x in pad_texts(pairs)))
        numbers = np.concatenate([feature.chosen[indices], feature.rejected[indices]])
        numbers_there = torch.as_tensor(numbers, dtype=scores.dtype, device=scores.device)
        kept, other = scores.unbind(1)
        chosen, rejected = scores.sum(1).chunk(2)
        cosine = heads.cosine()
        loss = preference_loss(chosen, rejected, batch)
        loss = loss + disentangling_loss(kept, other, numbers_there, cosine, weights)
        value = loop.backward(loss, {"rows": rows, "scores": scores.detach()})
        norm = loop.update({"rows": rows})
        of_kept = kept.detach().chunk(2)
        return {
            "loss": value,
            "accuracy": _accuracy(chosen.detach() - rejected.detach(), batch),
            "kept_accuracy": _accuracy(of_kept[0] - of_kept[1], batch),
            "correlation": float(correlation(kept.detach(), numbers_there)),
            "other_correlation": float(correlation(other.detach(), numbers_there)),
            "cosine": float(cosine.detach()),
            "gradient_norm": norm,
            "comparisons_per_second": len(batch) / (time.perf_counter() - started),
        }

    loop.run(body, report, evaluate)
    restore_float32(loop)
    return loop


def _accuracy(lead: torch.Tensor, batch: TextComparisons) -> float:
    return float(agreement(lead.cpu().numpy(), batch.probabilities).mean())
