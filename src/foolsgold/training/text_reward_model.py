"""Fit a reward model of texts to comparisons (Christiano et al. 2017; Ouyang et al. 2022).

Letters: K comparisons, B of a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.errors import UserError
from foolsgold.objectives.preference import bradley_terry_loss, centering_penalty, preference_cross_entropy
from foolsgold.objectives.statistics import Interval, expected_calibration_error, wilson_interval
from foolsgold.policies.messages import Text
from foolsgold.rewards.text_reward_model import TextRewardModel, encode_pairs, pad_texts
from foolsgold.training.batches import batch_indices, epoch_order, length_grouped
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.loop import Loop, LoopSettings, Metrics

Tokens = Sequence[int]


@dataclass(frozen=True)
class TextComparisons:
    """K comparisons of two completions of one prompt, in tokens.

    Raises:
      ValueError: the columns differ in length, margins come with shares of raters, or a weight is not above 0.
    """

    prompts: Sequence[Tokens]
    chosen: Sequence[Tokens]
    """Completions preferred, the end token last."""
    rejected: Sequence[Tokens]
    """The others, the end token last."""
    margins: np.ndarray | None = None
    """float `[K]`, nats of log-odds by which the chosen score must lead before the loss treats the two as equal."""
    probabilities: np.ndarray | None = None
    """float `[K]`, share of raters who prefer the chosen one; all of them where None."""
    weights: np.ndarray | None = None
    """float `[K]`, how much each comparison counts; equally where None."""

    def __post_init__(self) -> None:
        columns = [self.chosen, self.rejected, self.margins, self.probabilities, self.weights]
        if any(column is not None and len(column) != len(self.prompts) for column in columns):
            raise ValueError("prompts, completions, margins, probabilities and weights must be of one length")
        if self.margins is not None and self.probabilities is not None:
            raise ValueError("a margin and a share of raters both say how clear a preference is; give one of them")
        if self.weights is not None and not (self.weights > 0).all():
            raise ValueError("weights must be above 0; leave out comparisons that do not count")

    @classmethod
    def encode(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        prompts: Sequence[Text],
        chosen: Sequence[Text],
        rejected: Sequence[Text],
        max_length: int | None = None,
        **columns: np.ndarray | None,
    ) -> TextComparisons:
        """Comparisons of texts.

        Args:
          max_length: tokens of a prompt and a completion; see `fitted`.
          columns: margins, probabilities, weights.

        Raises:
          UserError: as `policies.tokenizer.encode_pair`.
        """
        first = encode_pairs(tokenizer, prompts, chosen)
        second = encode_pairs(tokenizer, prompts, rejected)
        rows = [fitted(prompt, yes, no, max_length) for (prompt, yes), (_, no) in zip(first, second, strict=True)]
        return cls([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], **columns)

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(self, indices: np.ndarray) -> TextComparisons:
        """Some of them, in this order."""

        def picked(column: np.ndarray | None) -> np.ndarray | None:
            return None if column is None else column[indices]

        prompts, chosen, rejected = ([column[i] for i in indices] for column in self._tokens)
        return TextComparisons(
            prompts, chosen, rejected, picked(self.margins), picked(self.probabilities), picked(self.weights)
        )

    @property
    def lengths(self) -> np.ndarray:
        """int64 `[K]`, tokens of each prompt with its longer completion."""
        return np.array([len(p) + max(len(c), len(r)) for p, c, r in zip(*self._tokens, strict=True)], np.int64)

    @property
    def _tokens(self) -> tuple[Sequence[Tokens], Sequence[Tokens], Sequence[Tokens]]:
        return self.prompts, self.chosen, self.rejected


def fitted(prompt: Tokens, chosen: Tokens, rejected: Tokens, max_length: int | None) -> tuple[Tokens, Tokens, Tokens]:
    """A comparison whose longer text has `max_length` tokens: texts lose their beginning, the prompt first.

    The same for both completions, so that they still answer one prompt.
    """
    longest = max(len(chosen), len(rejected))
    if max_length is None or len(prompt) + longest <= max_length:
        return prompt, chosen, rejected
    keep = min(len(prompt), max(max_length - longest, 1))
    return prompt[len(prompt) - keep :], chosen[-(max_length - keep) :], rejected[-(max_length - keep) :]


@dataclass(frozen=True)
class RewardModelSettings:
    """Fit to comparisons."""

    loop: LoopSettings
    batch: int = 32
    """Comparisons of a step."""
    micro_batch: int = 0
    """Comparisons of a forward, for the sake of memory; 0: the whole batch. It does not change the result."""
    centering: float = 0.0
    """Weight of the squared sum of both scores, which keeps scores around 0 (TRL's `center_rewards_coefficient`)."""
    length_grouped: bool = False
    """Put comparisons of about the same length into a step: less padding, a little less chance."""


def score_pairs(
    model: torch.nn.Module, prompts: Sequence[Tokens], chosen: Sequence[Tokens], rejected: Sequence[Tokens]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of both completions of B prompts, float32 `[B]` each; our own model reads each prompt once."""
    if isinstance(model, TextRewardModel):
        both = model.scores_of(prompts, [text for pair in zip(chosen, rejected, strict=True) for text in pair])
        return both[:, 0], both[:, 1]
    first, second = zip(prompts, chosen, strict=True), zip(prompts, rejected, strict=True)
    tokens, lengths = pad_texts([*first, *second])
    device = next(model.parameters()).device
    both = model(tokens.to(device), lengths.to(device))
    return both[: len(prompts)], both[len(prompts) :]


def fit_text_reward_model(
    model: torch.nn.Module,
    comparisons: TextComparisons,
    settings: RewardModelSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
) -> Loop:
    """Fit `model` in place; it ends in float32. A run in `folder` is taken up where it stopped. Returns the loop.

    Args:
      model: from `rewards.text_reward_model`: scores `[B]` of tokens `[B, T]` and lengths `[B]`.
      report: gets every step's `loss` (nats a comparison, centering included), `accuracy` and `margin` (mean lead of
        the chosen) before the step, `gradient_norm` and `comparisons_per_second`.
      evaluate: measures the model every `loop.evaluate_every` steps, for instance
        `lambda step: measure(model, held_out).metrics()`.

    Raises:
      UserError: there are no comparisons, or a loss is not finite.
    """
    if not len(comparisons):
        raise UserError("there are no comparisons to fit a reward model to; give at least one")
    n, lengths = len(comparisons), comparisons.lengths
    order = length_grouped(lengths, settings.batch) if settings.length_grouped else epoch_order
    loop = Loop(model, settings.loop, folder)

    def body(step: int) -> Metrics:
        started = time.perf_counter()
        indices = batch_indices(n, settings.batch, step, settings.loop.seed, order)
        indices = indices[np.argsort(lengths[indices], kind="stable")]  # micro-batches of like lengths
        batch, rows = comparisons.rows(indices), torch.from_numpy(indices)
        loss, leads = 0.0, []
        for part, share in _parts(batch, settings.micro_batch or settings.batch):
            chosen, rejected = score_pairs(model, part.prompts, part.chosen, part.rejected)
            wanted = preference_loss(chosen, rejected, part) * share
            if settings.centering:
                wanted = wanted + settings.centering * centering_penalty(chosen, rejected) * (len(part) / len(batch))
            loss += loop.backward(wanted, {"rows": rows, "chosen": chosen.detach(), "rejected": rejected.detach()})
            leads.append((chosen - rejected).detach())
        lead = torch.cat(leads).cpu().numpy()
        norm = loop.update({"rows": rows})
        return {
            "loss": loss,
            "accuracy": float(agreement(lead, batch.probabilities).mean()),
            "margin": float(lead.mean()),
            "gradient_norm": norm,
            "comparisons_per_second": len(batch) / (time.perf_counter() - started),
        }

    loop.run(body, report, evaluate)
    restore_float32(loop)
    return loop


def fit_ensemble(
    start: Callable[[int], TextRewardModel],
    comparisons: TextComparisons,
    settings: RewardModelSettings,
    seeds: Sequence[int],
    folder: str | Path | None = None,
    report: Callable[[int, int, Metrics], None] = lambda seed, step, metrics: None,
) -> list[TextRewardModel]:
    """One reward model a seed, all fitted to the same comparisons in orders of their own.

    Args:
      start: the model that a seed begins with: `lambda seed: TextRewardModel(policy, seed)` differ in their heads;
        for `average_weights` all must start from one, `lambda seed: TextRewardModel(policy, 0)`.
      folder: each seed's run lies in `seed-<seed>`.
      report: gets seed, step and metrics.

    Raises:
      UserError: as `fit_text_reward_model`.
    """
    models = []
    for seed in seeds:
        model = start(seed)
        own = replace(settings, loop=replace(settings.loop, seed=seed))
        where = None if folder is None else Path(folder) / f"seed-{seed}"
        fit_text_reward_model(
            model,
            comparisons,
            own,
            where,
            lambda step, metrics, seed=seed: report(seed, step, metrics),  # type: ignore[misc]
        )
        models.append(model)
    return models


@dataclass(frozen=True)
class PreferenceAccuracy:
    """How well a reward model foretells comparisons that it was not fitted to."""

    n: int
    """Comparisons."""
    accuracy: float
    """Share in which the chosen one scores higher, equal scores counted half; of several raters, the share of them
    that the model agrees with."""
    interval: Interval
    """Of the accuracy, 95 % (Wilson)."""
    calibration_error: float
    """Distance of the model's confidence from its accuracy, a share (Guo et al. 2017)."""
    loss: float
    """Nats a comparison."""

    def metrics(self) -> Metrics:
        """Figures for a log."""
        return {
            "held_out_accuracy": self.accuracy,
            "held_out_accuracy_low": self.interval.low,
            "held_out_accuracy_high": self.interval.high,
            "held_out_calibration_error": self.calibration_error,
            "held_out_loss": self.loss,
        }


@torch.no_grad()
def measure(model: torch.nn.Module, comparisons: TextComparisons, micro_batch: int = 32) -> PreferenceAccuracy:
    """Score all comparisons, none of which the model should have been fitted to.

    Raises:
      ValueError: there are none.
    """
    ordered = comparisons.rows(np.argsort(comparisons.lengths, kind="stable"))
    leads, loss = [], 0.0
    for part, share in _parts(ordered, micro_batch):
        chosen, rejected = score_pairs(model, part.prompts, part.chosen, part.rejected)
        loss += float(preference_loss(chosen, rejected, part)) * share
        leads.append(chosen - rejected)
    lead = torch.cat(leads).cpu().numpy().astype(np.float64)
    agreed = agreement(lead, ordered.probabilities)
    confidence = 1 / (1 + np.exp(-np.abs(lead)))  # that the one it scores higher is preferred
    return PreferenceAccuracy(
        n=len(lead),
        accuracy=float(agreed.mean()),
        interval=wilson_interval(float(agreed.sum()), len(lead)),
        calibration_error=expected_calibration_error(confidence, agreed),
        loss=loss,
    )


def preference_loss(chosen: torch.Tensor, rejected: torch.Tensor, comparisons: TextComparisons) -> torch.Tensor:
    """Loss of scores `[B]` on B comparisons, as their labels ask for, `[]`, nats a comparison."""

    def tensor(column: np.ndarray | None) -> torch.Tensor | None:
        return None if column is None else torch.as_tensor(column, dtype=chosen.dtype, device=chosen.device)

    margins, probabilities, weights = map(tensor, (comparisons.margins, comparisons.probabilities, comparisons.weights))
    if probabilities is None:
        return bradley_terry_loss(chosen, rejected, margins, weights)
    return preference_cross_entropy(chosen, rejected, probabilities, weights)


def agreement(lead: np.ndarray, probabilities: np.ndarray | None) -> np.ndarray:
    """Share of each comparison's raters that a lead of the chosen score agrees with: float64 `[B]`."""
    share = np.ones(len(lead)) if probabilities is None else np.asarray(probabilities, np.float64)
    return np.where(lead > 0, share, np.where(lead < 0, 1 - share, 0.5))


def _parts(comparisons: TextComparisons, size: int) -> list[tuple[TextComparisons, float]]:
    """Micro-batches, each with its share of the whole in the mean loss."""
    n = len(comparisons)
    parts = [comparisons.rows(np.arange(i, min(i + size, n))) for i in range(0, n, size)]
    if comparisons.weights is None:
        return [(part, len(part) / n) for part in parts]
    whole = comparisons.weights.sum()
    return [(part, float(part.weights.sum() / whole)) for part in parts if part.weights is not None]
