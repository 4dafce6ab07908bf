"""Prefill and decoding on the CPU: matrix products by PyTorch, compiled steps between them, buffers made once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from foolsgold.policies import decode_kernels, kernels
from foolsgold.policies.decoder import Block, Decoder, angles
from foolsgold.policies.fused import array
from foolsgold.policies.layouts import Rows
from foolsgold.policies.sampling import Sampling, draw


class CpuEngine:
    """As `generate.TorchEngine`, several times faster: a prompt's keys are kept once for all its samples."""

    def __init__(self, model: Decoder, prompts: Sequence[Sequence[int]], samples: int, new_tokens: int):
        self.model, self.samples = model, samples
        config, dtype = model.config, model.embedding.weight.dtype
        longest = max(map(len, prompts))
        self.prompts = torch.zeros((len(prompts), longest), dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            self.prompts[row, : len(prompt)] = torch.tensor(prompt)
        rows, layers, kv_heads, size = len(prompts) * samples, config.layers, config.kv_heads, config.head_size
        self.prompt_lengths = torch.tensor([len(prompt) for prompt in prompts])
        self.lengths = self.prompt_lengths.repeat_interleave(samples).numpy()
        self.prompt_of = np.repeat(np.arange(len(prompts)), samples)
        self.rows = np.arange(rows)
        """Places in the cache of the rows that go on."""
        kind = np.uint16 if dtype == torch.bfloat16 else np.float32
        padded = decode_kernels.padded
        self.room, self.new = padded(longest), padded(new_tokens)
        pairs, own, wide = len(prompts) * kv_heads, rows * kv_heads, padded(size)
        # Zeros, since the lanes beyond a row's end are multiplied too.
        self.prompt_keys = [np.zeros((pairs, size, self.room), kind) for _ in range(layers)]
        self.prompt_values = [np.zeros((pairs, self.room, wide), kind) for _ in range(layers)]
        self.keys = [np.zeros(own * size * self.new, kind) for _ in range(layers)]
        self.values = [np.zeros(own * self.new * wide, kind) for _ in range(layers)]
        turns = angles(torch.arange(longest + new_tokens), model.frequencies)
        self.cosine, self.sine = (turn.contiguous().numpy() for turn in turns)
        self._buffers = _Buffers(model, rows)

    def prefill(self) -> torch.Tensor:
        """Read the prompts, each once: logits of every row's first new token, `[B, V]`."""
        layout = _Reading(self, *self.prompts.shape)
        states = self.model.states(self.prompts.reshape(-1), layout).view(*self.prompts.shape, -1)
        last = states[torch.arange(len(states)), self.prompt_lengths - 1]
        return F.linear(last, self.model.output_matrix).repeat_interleave(self.samples, 0)

    def step(self, tokens: torch.Tensor, step: int) -> torch.Tensor:
        """Logits after `tokens` `[R]`, the rows' new tokens number `step`: `[R, V]`, valid until the next step."""
        buffers = self._buffers.first(len(tokens))
        layers = buffers.layers
        count = len(tokens)
        torch.index_select(self.model.embedding.weight, 0, tokens, out=buffers.branch)
        buffers.stream.zero_()
        for index, layer in enumerate(layers):
            layer.attention_norm(buffers, count)
            layer.qkv(buffers.x, buffers.heads)
            decode_kernels.attend_step(
                buffers.heads_array,
                self.cosine,
                self.sine,
                step,
                self.rows,
                self.prompt_of,
                self.lengths,
                self.prompt_keys[index].reshape(-1),
                self.prompt_values[index].reshape(-1),
                self.keys[index],
                self.values[index],
                self.room,
                self.new,
                self.model.config.kv_heads,
                layer.scale,
                buffers.seen_array,
            )
            layer.output(buffers.seen, buffers.branch)
            layer.mlp_norm(buffers, count)
            layer.gate_up(buffers.x, buffers.gate_up)
            kernels.swiglu(buffers.gate_up_array, buffers.hidden_array, 0, count)
            layer.down(buffers.hidden, buffers.branch)
        buffers.norm(buffers, count)
        buffers.unembed(buffers.x, buffers.logits)
        return buffers.logits

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some rows only; bool, `[R]`. Nothing is moved."""
        self.rows = self.rows[rows.numpy()]

    def draw(
        self, logits: torch.Tensor, uniforms: torch.Tensor, sampling: Sampling
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One token a row and its log-probability, `[R]` each."""
        if not sampling.plain:
            return draw(logits, uniforms, sampling)
        tokens, log_probs = torch.empty(len(logits), dtype=torch.int64), torch.empty(len(logits))
        made = array(tokens), array(log_probs)
        decode_kernels.draw_tokens(array(logits), np.float32(1 / sampling.temperature), array(uniforms), *made)
        return tokens, log_probs


class _Linear:
    """A matrix product into a buffer."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None):
        self.weight = weight.detach().t()
        self.bias = None if bias is None else bias.detach()

    def __call__(self, x: torch.Tensor, out: torch.Tensor) -> None:
        if self.bias is None:
            torch.mm(x, self.weight, out=out)
        else:
            torch.addmm(self.bias, x, self.weight, out=out)


class _Norm:
    """Adds the branch to the stream and normalises it."""

    def __init__(self, weight: torch.Tensor, epsilon: float):
        self.weight, self.epsilon = array(weight), np.float32(epsilon)

    def __call__(self, buffers: _View, count: int) -> None:
        stream = buffers.stream_array
        kernels.add_norm(
            stream, buffers.branch_array, self.weight, self.epsilon, stream, buffers.x_array, buffers.scales, 0, count
        )


class _Layer:
    def __init__(self, block: Block):
        config = block.config
        self.attention_norm = _Norm(block.attention_norm.weight, config.norm_epsilon)
        self.mlp_norm = _Norm(block.mlp_norm.weight, config.norm_epsilon)
        self.qkv, self.output, self.gate_up, self.down = (
            _Linear(linear.weight, linear.bias) for linear in (block.qkv, block.output, block.gate_up, block.down)
        )
        self.scale = np.float32(1 / math.sqrt(config.head_size))


class _Buffers:
    """Room for the most rows; `first` gives the part that the rows still going on need."""

    def __init__(self, model: Decoder, rows: int):
        config, dtype = model.config, model.embedding.weight.dtype
        self.model = model
        widths = {
            "branch": config.width,
            "x": config.width,
            "heads": (config.heads + 2 * config.kv_heads) * config.head_size,
            "seen": config.heads * config.head_size,
            "gate_up": 2 * config.hidden,
            "hidden": config.hidden,
            "logits": config.vocabulary,
        }
        self.room = {name: torch.empty(rows, width, dtype=dtype) for name, width in widths.items()}
        self.room["stream"] = torch.empty(rows, config.width)
        self.scales = np.empty(rows, np.float32)
        self.layers = [_Layer(block) for block in model.blocks]  # type: ignore[arg-type]
        self.norm = _Norm(model.norm.weight, config.norm_epsilon)
        self.unembed = _Linear(model.output_matrix)
        self._view: _View | None = None

    def first(self, count: int) -> _View:
        if self._view is None or len(self._view.stream) != count:
            self._view = _View(self, count)
        return self._view


class _View:
    """The first rows of all buffers, as tensors and as arrays."""

    def __init__(self, buffers: _Buffers, count: int):
        self.stream, self.branch, self.x, self.heads, self.seen, self.gate_up, self.hidden, self.logits = (
            buffers.room[name][:count]
            for name in ("stream", "branch", "x", "heads", "seen", "gate_up", "hidden", "logits")
        )
        self.stream_array, self.branch_array, self.x_array = array(self.stream), array(self.branch), array(self.x)
        self.heads_array, self.seen_array = array(self.heads), array(self.seen)
        self.gate_up_array, self.hidden_array = array(self.gate_up), array(self.hidden)
        self.scales, self.layers, self.norm, self.unembed = (
            buffers.scales,
            buffers.layers,
            buffers.norm,
            buffers.unembed,
        )


class _Reading(Rows):
    """Prompts side by side, whose keys and values are kept."""

    fusable = False

    def __init__(self, engine: CpuEngine, rows: int, length: int):
        super().__init__(rows, length)
        self.engine = engine

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        by_row = [array(x.contiguous().view(self.rows, self.length, *x.shape[1:])) for x in (key, value)]
        engine = self.engine
        decode_kernels.keep_prompts(*by_row, engine.prompt_keys[layer], engine.prompt_values[layer])
        return super().attend(layer, query, key, value)
