"""Next-token training on packed texts.

Letters: B blocks of a step, T tokens of a block.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from foolsgold.errors import UserError
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.training.batches import batch_indices
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.loop import Loop, LoopSettings, Metrics


@dataclass(frozen=True)
class PretrainSettings:
    """Next-token training."""

    loop: LoopSettings
    tokens: int = 0
    """Train on at least so many tokens, in place of `loop.steps`; 0: `loop.steps` counts."""
    batch: int = 32
    """Blocks of a step."""
    micro_batch: int = 0
    """Blocks of a forward, for the sake of memory; 0: the whole batch. It does not change the result."""


def pretrain(
    model: torch.nn.Module,
    blocks: np.ndarray,
    settings: PretrainSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
) -> Loop:
    """Train `model` in place; it ends in float32. A run in `folder` is taken up where it stopped. Returns the loop.

    Args:
      model: a `Decoder`, or any module that gives logits `[B, T, V]` for tokens `[B, T]`.
      blocks: int `[n, T]`, as `batches.pack` makes them.
      report: gets every step's `loss` (nats a token), `gradient_norm`, `tokens` since the start and
        `tokens_per_second`.
      evaluate: measures the model every `loop.evaluate_every` steps, for instance
        `lambda step: {"held_out_loss": language_model_loss(model, held_out)}`.

    Raises:
      UserError: there are no blocks or they have no two tokens, or a loss is not finite.
    """
    n, length = blocks.shape
    if not n or length < 2:
        raise UserError(f"{n} blocks of {length} tokens teach nothing; give at least one of two tokens")
    batch = settings.batch
    steps = math.ceil(settings.tokens / (batch * length)) or settings.loop.steps
    loop = Loop(model, replace(settings.loop, steps=steps), folder)

    def body(step: int) -> Metrics:
        started = time.perf_counter()
        tokens = _tensor(blocks[batch_indices(n, batch, step, settings.loop.seed)], model)
        loss = 0.0
        for part in tokens.split(settings.micro_batch or batch):
            share = -token_log_probs(model, part).sum() / (batch * (length - 1))
            loss += loop.backward(share, {"tokens": part})
        norm = loop.update({"tokens": tokens})
        return {
            "loss": loss,
            "gradient_norm": norm,
            "tokens": float((step + 1) * batch * length),
            "tokens_per_second": batch * length / (time.perf_counter() - started),
        }

    loop.run(body, report, evaluate)
    restore_float32(loop)
    return loop


@torch.no_grad()
def language_model_loss(model: torch.nn.Module, blocks: np.ndarray, micro_batch: int = 32) -> float:
    """Mean negative log-likelihood of the blocks `[n, T]`, nats a token."""
    parts = _tensor(blocks, model).split(micro_batch)
    return -sum(float(token_log_probs(model, part).sum()) for part in parts) / (len(blocks) * (blocks.shape[1] - 1))


def _tensor(blocks: np.ndarray, model: torch.nn.Module) -> torch.Tensor:
    return torch.from_numpy(blocks.astype(np.int64)).to(next(model.parameters()).device)
