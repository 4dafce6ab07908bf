"""A decoder-only transformer of the Llama and Qwen family, small enough to be read in one go.

Letters: B rows, T tokens of a row, S all tokens of a call laid end to end, D width, H query heads, K key-value heads,
E size of a head, V vocabulary. Everything but attention treats each token by itself and runs on `[S, ...]`; which
token sees which is the business of a `Layout`, so that training, generation and shared prompts use the same forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from foolsgold.policies import fused
from foolsgold.policies.fused_attention import Shape
from foolsgold.policies.layouts import FusableLayout, Layout, Rows

STRIDE = 8
"""Rows are padded to a multiple of as many tokens on the CPU."""


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of a decoder.

    Raises:
      ValueError: heads do not divide into key-value heads, or a head's size is odd.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    """Width inside the SwiGLU block."""
    head_size: int
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    norm_epsilon: float = 1e-6
    qk_norm: bool = False
    """RMSNorm of every query and key head before rotation (Qwen 3)."""
    qkv_bias: bool = False
    """Bias of queries, keys and values (Qwen 2)."""
    output_bias: bool = False
    """Bias of attention's output too (Llama with `attention_bias`)."""
    tied: bool = True
    """The embedding is also the output matrix."""
    max_positions: int = 2048

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} key-value heads evenly")
        if self.head_size % 2:
            raise ValueError(f"head_size {self.head_size} must be even: positions rotate pairs")

    @classmethod
    def sized(cls, vocabulary: int, width: int, layers: int, max_positions: int = 2048) -> DecoderConfig:
        """The usual proportions: heads of 32 up to width 256, then 64; SwiGLU of 8/3 the width, a multiple of 8."""
        head_size = 32 if width <= 256 else 64
        heads = max(1, width // head_size)
        hidden = 8 * round(width * 8 / 3 / 8)
        return cls(vocabulary, width, layers, heads, heads, hidden, head_size, max_positions=max_positions)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        attention = self.width * self.head_size * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.width * self.hidden) + self.vocabulary * self.width * (2 - self.tied)


@dataclass(frozen=True)
class RopeScaling:
    """Llama 3.1's stretching of slow rotations, so that a model trained on short texts reads long ones."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_positions: int


class RMSNorm(nn.Module):
    """Division by the root mean square (Zhang and Sennrich 2019)."""

    def __init__(self, size: int, epsilon: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        return self.weight * scaled.to(self.weight.dtype)

    def after_adding(self, stream: torch.Tensor, branch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The stream with the branch added, both `[S, D]`, and that normalised."""
        if fused.usable(self.weight):
            return fused.add_norm(stream, branch, self.weight, self.epsilon)
        stream = stream + branch
        return stream, self(stream)


class Block(nn.Module):
    """One layer: attention, then SwiGLU; each reads a normalised copy of the stream and is added to it."""

    def __init__(self, config: DecoderConfig, index: int):
        super().__init__()
        self.config, self.index = config, index
        heads, size = config.heads + 2 * config.kv_heads, config.head_size
        self.attention_norm = RMSNorm(config.width, config.norm_epsilon)
        self.qkv = nn.Linear(config.width, heads * size, bias=config.qkv_bias)
        self.query_norm = RMSNorm(size, config.norm_epsilon) if config.qk_norm else None
        self.key_norm = RMSNorm(size, config.norm_epsilon) if config.qk_norm else None
        self.output = nn.Linear(config.heads * size, config.width, bias=config.output_bias)
        self.mlp_norm = RMSNorm(config.width, config.norm_epsilon)
        self.gate_up = nn.Linear(config.width, 2 * config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def attention(self, x: torch.Tensor, layout: Layout, frequencies: torch.Tensor) -> torch.Tensor:
        """What attention adds to the stream, `[S, D]`, for the normalised stream `[S, D]`."""
        config = self.config
        qkv = self.qkv(x)
        if layout.fusable and not config.qk_norm and fused.usable(qkv):
            fusable = cast(FusableLayout, layout)
            if fusable.longest <= fused.LONGEST:
                turns = angles(torch.arange(fusable.longest), frequencies)
                return self.output(fusable.attend_fused(qkv, Shape(config.heads, config.kv_heads, *turns)))
        cosine, sine = (turn[:, None] for turn in angles(layout.positions, frequencies))
        by_head = qkv.view(len(x), -1, config.head_size)
        query, key, value = by_head.split((config.heads, config.kv_heads, config.kv_heads), dim=1)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        seen = layout.attend(self.index, rotate(query, cosine, sine), rotate(key, cosine, sine), value)
        return self.output(seen.reshape(len(x), -1))

    def mlp(self, x: torch.Tensor) -> torch.Tensor:
        """What the SwiGLU adds to the stream, `[S, D]`, for the normalised stream `[S, D]` (Shazeer 2020)."""
        gate_up = self.gate_up(x)
        if fused.usable(gate_up):
            return self.down(fused.swiglu(gate_up))
        gate, up = gate_up.chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Decoder(nn.Module):
    """The model. `decoder(tokens)` gives logits; `decoder.states` what comes before the output matrix."""

    frequencies: torch.Tensor

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.blocks = nn.ModuleList(Block(config, i) for i in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)
        self.unembedding = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)
        self.register_buffer("frequencies", rope_frequencies(config), persistent=False)
        self.apply(self._start)

    def _start(self, module: nn.Module) -> None:
        """Normal weights of deviation 0.02, smaller where a layer adds to the stream (Radford et al. 2019)."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, Block):
            for linear in (module.output, module.down):
                nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * self.config.layers))

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Decoder:
        """As all modules do to move and cast their tensors; the frequencies need all their digits."""
        super()._apply(fn, recurse)
        self.frequencies = rope_frequencies(self.config).to(self.device)
        return self

    @property
    def output_matrix(self) -> torch.Tensor:
        """`[V, D]`"""
        return self.embedding.weight if self.unembedding is None else self.unembedding.weight

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def states(self, tokens: torch.Tensor, layout: Layout) -> torch.Tensor:
        """States after the last norm, `[S, D]`, of tokens `[S]` that see each other as `layout` says."""
        blocks = [cast(Block, block) for block in self.blocks]
        norms = [norm for block in blocks for norm in (block.attention_norm, block.mlp_norm)] + [self.norm]
        branch = self.embedding(tokens)
        wide = torch.float32 if fused.usable(branch) else branch.dtype
        stream, x = norms[0].after_adding(torch.zeros_like(branch, dtype=wide), branch)
        for i, block in enumerate(blocks):
            stream, x = norms[2 * i + 1].after_adding(stream, block.attention(x, layout, self.frequencies))
            stream, x = norms[2 * i + 2].after_adding(stream, block.mlp(x))
        return x

    def hidden(self, tokens: torch.Tensor) -> torch.Tensor:
        """States after the last norm, `[B, T, D]`, of right-padded rows `[B, T]`."""
        rows, length = tokens.shape
        if fused.usable(self.embedding.weight):
            # The CPU's matrix products are set up anew for each shape they meet: a few shapes only.
            tokens = F.pad(tokens, (0, -length % STRIDE))
        layout = Rows(rows, tokens.shape[1], tokens.device)
        return self.states(tokens.reshape(-1), layout).view(rows, tokens.shape[1], -1)[:, :length]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of the next token, `[B, T, V]`, for right-padded rows of tokens `[B, T]`."""
        return F.linear(self.hidden(tokens), self.output_matrix)


def angles(positions: torch.Tensor, frequencies: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine, each `[S, E/2]` float32, of the angles that heads turn by at positions `[S]`."""
    turns = positions[:, None].float() * frequencies
    return turns.cos(), turns.sin()


def rotate(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Rotary positions (Su et al. 2021): the two halves of each head `[S, H, E]` turn by angles `[S, 1, E/2]`."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1).to(x.dtype)


def rope_frequencies(config: DecoderConfig) -> torch.Tensor:
    """Radians that each pair of a head turns by per position, `[E/2]`, float32."""
    exponents = torch.arange(0, config.head_size, 2, dtype=torch.float32) / config.head_size
    frequencies = 1.0 / config.rope_theta**exponents
    scaling = config.rope_scaling
    if scaling is None:
        return frequencies
    turns = scaling.original_positions * frequencies / (2 * math.pi)  # made within the original length
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)  # fast rotations stay, slow ones are stretched
    return frequencies * (kept + (1 - kept) / scaling.factor)
