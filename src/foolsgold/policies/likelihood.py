"""What a language model says of given tokens: their log-probabilities, without keeping the logits of a whole batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from foolsgold.policies import fused
from foolsgold.policies.decoder import Decoder

STRIDE = 256
"""Rows of logits are padded to a multiple of it on the CPU."""

CHUNK_ELEMENTS = 1 << 22
"""Logits held at once, 16 MiB in float32."""


def token_log_probs(
    model: torch.nn.Module, tokens: torch.Tensor, mask: torch.Tensor | None = None, temperature: float = 1.0
) -> torch.Tensor:
    """Log-probabilities of each row's tokens but the first, `[B, T-1]`, float32, nats.

    Args:
      model: a `Decoder`, or any module that gives logits `[B, T, V]` for tokens `[B, T]`.
      tokens: `[B, T]`, int64, padded on the right.
      mask: `[B, T-1]`, bool, the targets that are wanted; others cost little and get 0. All where None.
      temperature: logits are divided by it first.
    """
    if not isinstance(model, Decoder):
        logits = model(tokens)[:, :-1].float() / temperature
        found = logits.gather(-1, tokens[:, 1:, None]).squeeze(-1) - logits.logsumexp(-1)
        return found if mask is None else torch.where(mask, found, 0.0)
    states, targets = model.hidden(tokens)[:, :-1], tokens[:, 1:]
    if mask is None:
        rows = states.reshape(-1, states.shape[-1])
        flat = linear_log_probs(rows, model.output_matrix, targets.reshape(-1), temperature)
        return flat.view(targets.shape)
    wanted = linear_log_probs(states[mask], model.output_matrix, targets[mask], temperature)
    return torch.zeros(targets.shape, device=tokens.device).masked_scatter(mask, wanted)


def linear_log_probs(
    states: torch.Tensor, matrix: torch.Tensor, targets: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Log-softmax of `states @ matrix.T / temperature` at the targets, `[S]`, float32.

    Logits are made in chunks and made again for the gradient, so that memory does not grow with S times V.

    Args:
      states: `[S, D]`.
      matrix: `[V, D]`.
      targets: `[S]`, int64.
      temperature: above 0.
    """
    count = len(states)
    if fused.usable(matrix):  # a few shapes only, see `Decoder.hidden`
        missing = -count % STRIDE
        states, targets = F.pad(states, (0, 0, 0, missing)), F.pad(targets, (0, missing))
    return _LinearLogProbs.apply(states, matrix, targets, temperature)[:count]


class _LinearLogProbs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, matrix: torch.Tensor, targets: torch.Tensor, temperature: float) -> Any:
        found = torch.empty(len(states), dtype=torch.float32, device=states.device)
        totals = torch.empty_like(found)
        for rows in _chunks(len(states), len(matrix)):
            found[rows], totals[rows] = _log_probs(F.linear(states[rows], matrix), targets[rows], temperature)
        ctx.save_for_backward(states, matrix, targets, totals)
        ctx.temperature = temperature
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (upstream,) = gradients
        states, matrix, targets, totals = ctx.saved_tensors
        upstream = upstream.float()
        to_states, to_matrix = torch.empty_like(states), torch.zeros_like(matrix)
        for rows in _chunks(len(states), len(matrix)):
            logits = F.linear(states[rows], matrix)
            to_logits = _to_logits(logits, targets[rows], ctx.temperature, totals[rows], upstream[rows])
            to_states[rows] = to_logits @ matrix
            to_matrix += to_logits.T @ states[rows]
        return to_states, to_matrix, None, None


def _log_probs(logits: torch.Tensor, targets: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-softmax at the targets and the log of the sums, each `[S]` float32."""
    if fused.usable(logits):
        return fused.log_probs_of(logits, targets, temperature)
    scaled = logits.float() / temperature
    totals = scaled.logsumexp(-1)
    return scaled.gather(-1, targets[:, None]).squeeze(-1) - totals, totals


def _to_logits(
    logits: torch.Tensor, targets: torch.Tensor, temperature: float, totals: torch.Tensor, upstream: torch.Tensor
) -> torch.Tensor:
    """Gradient of `_log_probs`' first result with respect to the logits, which are overwritten."""
    if fused.usable(logits):
        return fused.log_probs_backward_(logits, targets, temperature, totals, upstream)
    shares = (logits.float() / temperature - totals[:, None]).exp_()
    shares.mul_(-upstream[:, None]).scatter_add_(-1, targets[:, None], upstream[:, None])
    return shares.div_(temperature).to(logits.dtype)


def _chunks(rows: int, vocabulary: int) -> list[slice]:
    step = max(1, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
