"""Supervised finetuning: to imitate completions, given their prompts.

Letters: B rows of a step, T tokens of the longest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from foolsgold.errors import UserError
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.rewards.text_reward_model import TokenPair
from foolsgold.training.batches import PaddedBatch, batch_indices, epoch_order, length_grouped, pad_pairs, truncated
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.loop import Loop, LoopSettings, Metrics


@dataclass(frozen=True)
class SFTSettings:
    """Supervised finetuning."""

    loop: LoopSettings
    batch: int = 32
    """Rows of a step."""
    micro_batch: int = 0
    """Rows of a forward, for the sake of memory; 0: the whole batch. It does not change the result."""
    max_length: int | None = None
    """Tokens of a row; a longer one loses the start of its prompt, then the end of its completion."""
    train_on_prompts: bool = False
    """Learn prompts too, not completions only."""
    length_grouped: bool = False
    """Put rows of about the same length into a step: less padding, a little less chance."""


def sft(
    model: torch.nn.Module,
    rows: Sequence[TokenPair],
    settings: SFTSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
) -> Loop:
    """Train `model` in place; it ends in float32. A run in `folder` is taken up where it stopped. Returns the loop.

    The loss is the mean over all learned tokens of a step, so long completions count more than short ones, and how
    rows fall into micro-batches does not count at all.

    Args:
      model: a `Decoder`, or any module that gives logits `[B, T, V]` for tokens `[B, T]`.
      rows: tokens of prompts and completions, as `policies.tokenizer.encode_pair` gives them.
      report: gets every step's `loss` (nats a learned token), `gradient_norm` and `tokens_per_second`, all tokens
        counted.
      evaluate: measures the model every `loop.evaluate_every` steps, for instance
        `lambda step: {"held_out_loss": sft_loss(model, held_out)}`.

    Raises:
      UserError: there are no rows, one has nothing to learn, or a loss is not finite.
    """
    rows = [truncated(prompt, completion, settings.max_length) for prompt, completion in rows]
    _check(rows, settings.train_on_prompts)
    lengths = np.array([len(prompt) + len(completion) for prompt, completion in rows])
    order = length_grouped(lengths, settings.batch) if settings.length_grouped else epoch_order
    loop = Loop(model, settings.loop, folder)

    def body(step: int) -> Metrics:
        started = time.perf_counter()
        chosen = batch_indices(len(rows), settings.batch, step, settings.loop.seed, order)
        chosen = chosen[np.argsort(lengths[chosen], kind="stable")]  # micro-batches of like lengths
        parts = _parts([rows[i] for i in chosen], settings.micro_batch or settings.batch, model)
        masks = [_learned(part, settings.train_on_prompts) for part in parts]
        total = sum(int(mask.sum()) for mask in masks)
        loss = 0.0
        for part, mask in zip(parts, masks, strict=True):
            share = -token_log_probs(model, part.tokens, mask).sum() / total
            loss += loop.backward(share, {"tokens": part.tokens, "mask": mask})
        norm = loop.update({"rows": torch.from_numpy(chosen)})
        speed = int(lengths[chosen].sum()) / (time.perf_counter() - started)
        return {"loss": loss, "gradient_norm": norm, "tokens_per_second": speed}

    loop.run(body, report, evaluate)
    restore_float32(loop)
    return loop


@torch.no_grad()
def sft_loss(
    model: torch.nn.Module, rows: Sequence[TokenPair], micro_batch: int = 32, train_on_prompts: bool = False
) -> float:
    """Mean negative log-likelihood of the rows' completions, nats a token."""
    total, count = 0.0, 0
    for part in _parts(sorted(rows, key=lambda row: len(row[0]) + len(row[1])), micro_batch, model):
        mask = _learned(part, train_on_prompts)
        total -= float(token_log_probs(model, part.tokens, mask).sum())
        count += int(mask.sum())
    return total / count


def _parts(rows: Sequence[TokenPair], micro_batch: int, model: torch.nn.Module) -> list[PaddedBatch]:
    device = next(model.parameters()).device
    # Padding stands where causality hides it, so any token does.
    return [pad_pairs(rows[i : i + micro_batch], pad=0).to(device) for i in range(0, len(rows), micro_batch)]


def _learned(batch: PaddedBatch, prompts_too: bool) -> torch.Tensor:
    """bool `[B, T - 1]`, the targets that are learned."""
    return batch.attention_mask[:, 1:].bool() if prompts_too else batch.completion_mask


def _check(rows: Sequence[TokenPair], prompts_too: bool) -> None:
    if not rows:
        raise UserError("there are no rows to learn from; give at least one prompt with its completion")
    for number, (prompt, completion) in enumerate(rows, start=1):
        if len(prompt) + len(completion) < 2 or not (prompts_too or len(completion)):
            raise UserError(f"row {number} has no token to learn; give it a prompt and a completion")
