"""How a step's rollouts are learned from: epochs, minibatches, micro-batches, whatever the loss.

Letters: B rows, T tokens of the longest row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from foolsgold.errors import UserError
from foolsgold.objectives.policy_gradient import Loss, Normalizer, token_mean
from foolsgold.training.loop import Loop, Metrics
from foolsgold.training.rollouts import Rollouts, derived_seed

Columns = dict[str, torch.Tensor]
"""Rows of rollouts by name: `tokens` `[B, T]`, `lengths` `[B]` of prompt and completion, `mask` `[B, T-1]`, and what
a trainer adds, of shape `[B]` or `[B, T-1]`."""

LossOf = Callable[[Columns, Normalizer], tuple[torch.Tensor, dict[str, torch.Tensor]]]
"""Maps a micro-batch and the normalizer of its update to its shares, each `[]`, of the loss and of figures to log."""


@dataclass(frozen=True)
class Updates:
    """How often the rollouts of one step are learned from.

    Raises:
      UserError: a number below 1.
    """

    epochs: int = 1
    """Passes over the rollouts."""
    minibatches: int = 1
    """Optimiser steps a pass; with one pass and one step the policy learns only from what it itself drew."""
    micro_batch: int = 32
    """Rows of a forward; changes memory and speed, not the result."""

    def __post_init__(self) -> None:
        if min(self.epochs, self.minibatches, self.micro_batch) < 1:
            raise UserError(f"epochs, minibatches and micro_batch are at least 1, not {self}")

    def of(self, rows: torch.Tensor, lengths: torch.Tensor, seed: int, step: int) -> Iterator[list[torch.Tensor]]:
        """For each update of step `step`, its micro-batches, each as some of `rows`; nothing where there are no rows.

        Args:
          rows: `[R]`, int64, of the rollouts.
          lengths: `[B]`, of all rows.
        """
        for epoch in range(self.epochs if len(rows) else 0):
            generator = torch.Generator().manual_seed(derived_seed(seed, step, epoch))
            shuffled = rows[torch.randperm(len(rows), generator=generator)]
            for minibatch in shuffled.chunk(self.minibatches):
                yield micro_batches(minibatch, lengths, self.micro_batch)


def micro_batches(rows: torch.Tensor, lengths: torch.Tensor, size: int) -> list[torch.Tensor]:
    """`rows` in portions of `size`, those of about the same length together: `columns_of` then cuts their padding."""
    return list(rows[lengths[rows].argsort(stable=True)].split(size))


def as_columns(rollouts: Rollouts) -> Columns:
    """All rows, as the sampler drew them."""
    batch = rollouts.batch
    return {
        "tokens": batch.tokens,
        "lengths": batch.lengths,
        "mask": rollouts.mask,
        "old_log_probs": rollouts.log_probs,
    }


def picked(columns: Columns, rows: torch.Tensor, device: torch.device) -> Columns:
    """Some rows, without the padding that none of them needs, on `device`."""
    longest = int(columns["lengths"][rows].max())
    width = {name: longest if name == "tokens" else longest - 1 for name in columns}
    return {
        name: (values[rows] if values.ndim == 1 else values[rows, : width[name]]).to(device)
        for name, values in columns.items()
    }


@torch.no_grad()
def per_token(
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    columns: Columns,
    micro_batch: int,
    device: torch.device,
) -> torch.Tensor:
    """`[B, T-1]`, float32, on the CPU: what `function` makes of tokens `[b, t]` and mask `[b, t-1]`; 0 elsewhere."""
    found = torch.zeros(columns["mask"].shape)
    needed = {name: columns[name] for name in ("tokens", "lengths", "mask")}
    for rows in micro_batches(torch.arange(len(found)), columns["lengths"], micro_batch):
        part = picked(needed, rows, device)
        values = torch.where(part["mask"], function(part["tokens"], part["mask"]), 0.0)
        found[rows, : values.shape[1]] = values.cpu()
    return found


def learn(loop: Loop, columns: Columns, rows: torch.Tensor, updates: Updates, step: int, loss_of: LossOf) -> Metrics:
    """Do the updates of step `step`; returns the means over them of loss, figures and the gradient's norm.

    `sampler_mismatch` is that of the first update alone, before which the weights are still those that drew.

    Args:
      rows: `[R]`, int64, of `columns` that are learned from; with none, nothing is updated and nothing returned.

    Raises:
      UserError: a loss or gradient is not finite; the batch is on disk.
    """
    device = next(loop.model.parameters()).device
    figures: list[Counter[str]] = []
    for portions in updates.of(rows, columns["lengths"], loop.settings.seed, step):
        counts = Normalizer.of(columns["mask"][torch.cat(portions)])
        normalizer = Normalizer(counts.sequences.to(device), counts.tokens.to(device))
        sums: Counter[str] = Counter()
        for portion in portions:
            part = picked(columns, portion, device)
            loss, shares = loss_of(part, normalizer)
            sums.update({"loss": loop.backward(loss, part)})
            sums.update({name: float(share) for name, share in shares.items()})
        sums["gradient_norm"] = loop.update(columns)  # type: ignore[assignment]
        figures.append(sums)
    if not figures:
        return {}
    means = {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}
    return {**means, "sampler_mismatch": figures[0]["sampler_mismatch"]}


def loss_figures(
    loss: Loss, log_probs: torch.Tensor, old: torch.Tensor, mask: torch.Tensor, normalizer: Normalizer
) -> dict[str, torch.Tensor]:
    """What to log of a micro-batch's policy loss.

    `sampler_mismatch`, nats a token, is the mean distance of log-probabilities in training from the sampler's: before
    the first update nothing but rounding, in bfloat16 some thousandths.
    """
    return {
        "clip_fraction": loss.clip_fraction,
        "approx_kl": loss.approx_kl,
        "ratio": loss.ratio_mean,
        "sampler_mismatch": token_mean((log_probs.detach() - old).abs(), mask, normalizer),
    }
