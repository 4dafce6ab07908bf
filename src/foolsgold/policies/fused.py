"""The kernels with their gradients, as PyTorch sees them: the decoder's fast path on the CPU.

Letters as in `kernels`. The stream that runs through the layers is float32 here also when the weights are bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch

from foolsgold.policies import kernels

LONGEST = 1024
"""Tokens of a row up to which attention's shares fit into memory; longer rows take PyTorch's flash attention."""

LEAST_WORK = 1 << 16
"""Elements from which a second thread is worth being woken."""


def usable(weight: torch.Tensor) -> bool:
    """Whether the kernels can work on a model with such weights."""
    return weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.bfloat16)


def array(x: torch.Tensor) -> np.ndarray:
    """The memory of a CPU tensor, bfloat16 as uint16."""
    x = x.detach()
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="kernels")


def share(work: Callable[[int, int], None], count: int, elements: int) -> None:
    """Call `work(start, stop)` for slabs that together are 0 to `count`, in PyTorch's number of threads."""
    threads = min(torch.get_num_threads(), count)
    if threads == 1 or elements < LEAST_WORK:
        work(0, count)
        return
    ends = [count * i // threads for i in range(threads + 1)]
    others = [_pool().submit(work, ends[i], ends[i + 1]) for i in range(1, threads)]
    work(ends[0], ends[1])
    for other in others:
        other.result()


def add_norm(
    x: torch.Tensor, branch: torch.Tensor, weight: torch.Tensor, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The stream `x + branch`, `[S, D]` float32, and its RMSNorm times `weight` in the weight's type.

    Args:
      x: `[S, D]`, float32.
      branch: `[S, D]`, what a layer adds.
      weight: `[D]`.
      epsilon: under the root.
    """
    return _AddNorm.apply(x, branch, weight, epsilon)


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, branch: torch.Tensor, weight: torch.Tensor, epsilon: float) -> Any:
        stream, out = torch.empty_like(x), torch.empty_like(x, dtype=weight.dtype)
        scales = torch.empty(len(x))
        given = [array(t) for t in (x, branch.contiguous(), weight)]
        made = [array(t) for t in (stream, out, scales)]
        share(lambda a, b: kernels.add_norm(*given, np.float32(epsilon), *made, a, b), len(x), x.numel())
        ctx.save_for_backward(stream, scales, weight)
        return stream, out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        to_stream, to_out = gradients
        stream, scales, weight = ctx.saved_tensors
        to_x, to_branch = torch.empty_like(stream), torch.empty_like(stream, dtype=weight.dtype)
        to_weights: dict[int, np.ndarray] = {}
        given = [array(t) for t in (stream, scales, weight, to_out.contiguous(), to_stream.contiguous())]
        made = [array(to_x), array(to_branch)]

        def work(start: int, stop: int) -> None:
            to_weight = np.zeros(len(weight), np.float32)
            kernels.norm_backward(*given, *made, to_weight, start, stop)
            to_weights[start] = to_weight

        share(work, len(stream), stream.numel())
        to_weight = torch.from_numpy(sum(to_weights[start] for start in sorted(to_weights)))
        return to_x, to_branch, to_weight.to(weight.dtype), None


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) up, `[S, F]`, of both side by side, `[S, 2 F]` (Shazeer 2020)."""
    return _SwiGLU.apply(gate_up)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: torch.Tensor) -> Any:
        out = gate_up.new_empty(len(gate_up), gate_up.shape[1] // 2)
        given, made = array(gate_up), array(out)
        share(lambda a, b: kernels.swiglu(given, made, a, b), len(out), out.numel())
        ctx.save_for_backward(gate_up)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (gate_up,) = ctx.saved_tensors
        to_out = gradients[0].contiguous()
        to_gate_up = torch.empty_like(gate_up)
        given, made = (array(gate_up), array(to_out)), array(to_gate_up)
        share(lambda a, b: kernels.swiglu_backward(*given, made, a, b), len(to_out), to_out.numel())
        return to_gate_up


def log_probs_of(logits: torch.Tensor, targets: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-softmax of `logits / temperature` at the targets, `[S]`, and the log of the sums, `[S]`; no gradient."""
    found, totals = torch.empty(len(logits)), torch.empty(len(logits))
    given, made = (array(logits), array(targets)), (array(found), array(totals))
    inverse = np.float32(1 / temperature)
    share(lambda a, b: kernels.log_probs_of(*given, inverse, *made, a, b), len(logits), logits.numel())
    return found, totals


def log_probs_backward_(
    logits: torch.Tensor, targets: torch.Tensor, temperature: float, totals: torch.Tensor, upstream: torch.Tensor
) -> torch.Tensor:
    """Gradient of `log_probs_of` with respect to the logits, in their place."""
    given = [array(t) for t in (targets, totals, upstream.contiguous())]
    inverse, rows = np.float32(1 / temperature), array(logits)
    share(
        lambda a, b: kernels.log_probs_backward(rows, given[0], inverse, given[1], given[2], a, b),
        len(logits),
        logits.numel(),
    )
    return logits
