"""Which tokens of a call see which; tokens lie end to end.

Letters: S tokens of the call, H query heads, K key-value heads, E size of a head, B rows of T tokens; N prompts of L
tokens with G continuations of T tokens each.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F

from foolsgold.policies.fused_attention import Shape, causal_attention, shared_prompt_attention


class Layout(Protocol):
    """Which tokens of a call see which."""

    positions: torch.Tensor
    """`[S]`, int64, each token's place in its own text, from 0."""
    fusable: bool
    """Whether it is a `FusableLayout`."""

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Attention of `[S, H, E]` queries over `[S, K, E]` keys and values, rotated already: `[S, H, E]`."""
        ...


class FusableLayout(Layout, Protocol):
    """One that the compiled attention of training knows."""

    longest: int
    """Positions of the longest text."""

    def attend_fused(self, qkv: torch.Tensor, shape: Shape) -> torch.Tensor:
        """As `attend`, from queries, keys and values side by side, `[S, (H + 2 K) E]`, not rotated yet: `[S, H E]`."""
        ...


class Rows:
    """Rows side by side, each token seeing itself and what stands before it in its row.

    Padding stands on the right, where causality hides it from all that matters.
    """

    fusable = True

    def __init__(self, rows: int, length: int, device: torch.device | str = "cpu"):
        self.rows, self.length, self.longest = rows, length, length
        self.positions = torch.arange(length, device=device).repeat(rows)

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.view(self.rows, self.length, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=query.shape[1] != key.shape[1])
        return seen.transpose(1, 2).reshape(query.shape)

    def attend_fused(self, qkv: torch.Tensor, shape: Shape) -> torch.Tensor:
        return causal_attention(qkv.view(self.rows, self.length, -1), shape).view(len(qkv), -1)


class SharedPrompts:
    """Prompts, then all continuations: each prompt is read once for all that continue it.

    Args:
      lengths: `[N]`, int64, tokens of each prompt, of L on the right-padded side.
      length: L.
      samples: G.
      continuation: T, of right-padded continuations in prompt order.
    """

    fusable = True

    def __init__(self, lengths: torch.Tensor, length: int, samples: int, continuation: int):
        self.lengths, self.length, self.samples, self.continuation = lengths, length, samples, continuation
        self.longest = length + continuation
        self.after = lengths.repeat_interleave(samples)
        of_prompts = torch.arange(length, device=lengths.device).repeat(len(lengths))
        of_continuations = self.after[:, None] + torch.arange(continuation, device=lengths.device)
        self.positions = torch.cat((of_prompts, of_continuations.reshape(-1)))

    @property
    def _tokens(self) -> int:
        """Tokens of all prompts."""
        return len(self.lengths) * self.length

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        prompts, count = Rows(len(self.lengths), self.length, query.device), self._tokens
        of_prompts = prompts.attend(layer, query[:count], key[:count], value[:count])
        q, k, v = (x[count:].view(-1, self.continuation, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
        old_k, old_v = (
            x[:count].view(-1, self.length, *x.shape[1:]).transpose(1, 2).repeat_interleave(self.samples, 0)
            for x in (key, value)
        )
        place = torch.arange(self.longest, device=query.device)
        own = place[self.length :] - self.length
        before = (place[: self.length] < self.after[:, None])[:, None].expand(-1, self.continuation, -1)
        causal = (own <= own[:, None]).expand(len(before), -1, -1)
        mask = torch.cat((before, causal), dim=2)[:, None]
        grouped = query.shape[1] != key.shape[1]
        keys, values = torch.cat((old_k, k), 2), torch.cat((old_v, v), 2)
        seen = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, enable_gqa=grouped)
        return torch.cat((of_prompts, seen.transpose(1, 2).reshape(-1, *query.shape[1:])))

    def attend_fused(self, qkv: torch.Tensor, shape: Shape) -> torch.Tensor:
        prompts = qkv[: self._tokens].view(len(self.lengths), self.length, -1)
        continuations = qkv[self._tokens :].view(-1, self.continuation, qkv.shape[1])
        first, second = shared_prompt_attention(prompts, continuations, self.lengths, shape)
        return torch.cat((first.view(self._tokens, -1), second.view(len(qkv) - self._tokens, -1)))
