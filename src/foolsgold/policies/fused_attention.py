"""Attention in training on the CPU: rotary positions, masked softmax and its gradient around batched matrix products.

Letters as in `kernels`; N prompts of L tokens with G continuations of T tokens each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from foolsgold.policies import kernels
from foolsgold.policies.fused import array, share


@dataclass(frozen=True)
class Shape:
    """How heads and positions lie in `[.., (H + 2 K) E]`."""

    heads: int
    kv_heads: int
    cosine: torch.Tensor
    """`[positions, E/2]`, float32, of the angles that positions turn by."""
    sine: torch.Tensor

    @property
    def size(self) -> int:
        return 2 * self.cosine.shape[1]

    @property
    def group(self) -> int:
        return self.heads // self.kv_heads


def causal_attention(qkv: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Attention of rows side by side, `[B, T, H E]`, each token seeing itself and those before it.

    Args:
      qkv: `[B, T, (H + 2 K) E]`, queries, keys and values as the linear layer gives them.
      shape: of the heads.
    """
    return _CausalAttention.apply(qkv, shape)


def shared_prompt_attention(
    prompts: torch.Tensor, continuations: torch.Tensor, lengths: torch.Tensor, shape: Shape
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of prompts, `[N, L, H E]`, and of continuations that see their prompt, `[N G, T, H E]`.

    Args:
      prompts: `[N, L, (H + 2 K) E]`, padded on the right.
      continuations: `[N G, T, (H + 2 K) E]`, in prompt order, padded on the right.
      lengths: `[N]`, int64, tokens of each prompt.
      shape: of the heads.
    """
    return _SharedPromptAttention.apply(prompts, continuations, lengths, shape)


Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Rotated queries `[B, H, T, E]` and keys, and values, `[B, K, T, E]`."""


def _split(qkv: torch.Tensor, offsets: np.ndarray, shape: Shape) -> Heads:
    rows, length, _ = qkv.shape
    query = qkv.new_empty(rows, shape.heads, length, shape.size)
    key, value = qkv.new_empty(2, rows, shape.kv_heads, length, shape.size)
    given = [array(t) for t in (qkv.contiguous(), shape.cosine, shape.sine)]
    made = [array(t) for t in (query, key, value)]
    share(lambda a, b: kernels.split_heads(*given, offsets, *made, a, b), rows, qkv.numel())
    return query, key, value


def _merge(gradients: Heads, offsets: np.ndarray, shape: Shape) -> torch.Tensor:
    """Gradient of `_split`."""
    rows, _, length, size = gradients[0].shape
    to_qkv = gradients[0].new_empty(rows, length, (shape.heads + 2 * shape.kv_heads) * size)
    given = [array(t.contiguous()) for t in (*gradients, shape.cosine, shape.sine)]
    made = array(to_qkv)
    share(lambda a, b: kernels.merge_heads_backward(*given, offsets, made, a, b), rows, to_qkv.numel())
    return to_qkv


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, firsts: np.ndarray, second: int, shape: Shape
) -> tuple[torch.Tensor, torch.Tensor]:
    """What is seen, `[B, T, H E]`, and the shares `[B K, g T, J]`; keys and values are `[B, K, J, E]`.

    firsts `[B]` and `second` say what is seen; see `kernels.seen_softmax`.
    """
    rows, heads, length, size = query.shape
    pairs, columns = rows * shape.kv_heads, key.shape[2]
    shares = torch.bmm(query.view(pairs, -1, size), key.view(pairs, columns, size).transpose(1, 2))
    scores = array(shares.view(pairs, shape.group, length, columns))
    by_pair, scale = np.repeat(firsts, shape.kv_heads), np.float32(1 / math.sqrt(size))
    share(lambda a, b: kernels.seen_softmax(scores, by_pair, second, scale, a, b), pairs, shares.numel())
    seen = torch.bmm(shares, value.view(pairs, columns, size))
    out = query.new_empty(rows, length, heads * size)
    by_head, by_token = array(seen.view(rows, heads, length, size)), array(out)
    share(lambda a, b: kernels.place_heads(by_head, by_token, a, b), rows, out.numel())
    return out, shares


def _attend_backward(
    to_out: torch.Tensor,
    shares: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    shape: Shape,
) -> Heads:
    """Gradients of queries, keys and values, in their shapes."""
    rows, _, length, size = query.shape
    pairs, columns = rows * shape.kv_heads, key.shape[2]
    to_seen = torch.empty_like(query)
    by_token, by_head = array(to_out.contiguous()), array(to_seen)
    share(lambda a, b: kernels.part_heads(by_token, by_head, a, b), rows, to_out.numel())
    to_seen = to_seen.view(pairs, -1, size)
    to_value = torch.bmm(shares.transpose(1, 2), to_seen)
    to_shares = torch.bmm(to_seen, value.view(pairs, columns, size).transpose(1, 2))
    both = [array(t.view(pairs, shape.group, length, columns)) for t in (shares, to_shares)]
    scale = np.float32(1 / math.sqrt(size))
    share(lambda a, b: kernels.softmax_backward(*both, scale, a, b), pairs, shares.numel())
    to_query = torch.bmm(to_shares, key.view(pairs, columns, size))
    to_key = torch.bmm(to_shares.transpose(1, 2), query.view(pairs, -1, size))
    return to_query.view_as(query), to_key.view_as(key), to_value.view_as(value)


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: torch.Tensor, shape: Shape) -> Any:
        none = np.zeros(len(qkv), np.int64)
        heads = _split(qkv, none, shape)
        out, shares = _attend(*heads, none, 0, shape)
        ctx.save_for_backward(shares, *heads)
        ctx.shape = shape
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        shares, query, key, value = ctx.saved_tensors
        found = _attend_backward(gradients[0], shares, query, key, value, ctx.shape)
        return _merge(found, np.zeros(len(query), np.int64), ctx.shape), None


class _SharedPromptAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, prompts: torch.Tensor, continuations: torch.Tensor, lengths: torch.Tensor, shape: Shape
    ) -> Any:
        none, samples = np.zeros(len(prompts), np.int64), len(continuations) // len(prompts)
        after = np.repeat(lengths.numpy(), samples)
        query, key, value = _split(prompts, none, shape)
        of_prompts, prompt_shares = _attend(query, key, value, none, 0, shape)
        own = _split(continuations, after, shape)
        keys, values = (
            torch.cat((old.repeat_interleave(samples, 0), new), dim=2) for old, new in ((key, own[1]), (value, own[2]))
        )
        of_continuations, shares = _attend(own[0], keys, values, after, prompts.shape[1], shape)
        ctx.save_for_backward(prompt_shares, query, key, value, shares, own[0], keys, values)
        ctx.shape, ctx.after = shape, after
        return of_prompts, of_continuations

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        prompt_shares, query, key, value, shares, own_query, keys, values = ctx.saved_tensors
        count, length = len(query), key.shape[2]
        to_query, to_key, to_value = _attend_backward(gradients[0], prompt_shares, query, key, value, ctx.shape)
        to_own, to_keys, to_values = _attend_backward(gradients[1], shares, own_query, keys, values, ctx.shape)
        for of_prompt, of_all in ((to_key, to_keys), (to_value, to_values)):
            seen = of_all[:, :, :length]
            of_prompt += seen.reshape(count, -1, *seen.shape[1:]).sum(1)
        own: Heads = (to_own, to_keys[:, :, length:], to_values[:, :, length:])
        none = np.zeros(count, np.int64)
        return _merge((to_query, to_key, to_value), none, ctx.shape), _merge(own, ctx.after, ctx.shape), None, None
