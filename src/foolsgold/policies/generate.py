"""Sampling from a decoder: a static cache, one prefill a prompt, the whole batch at once, finished rows retired.

Letters: P prompts, G samples of each, B = P G rows in prompt order, N new tokens at most, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F

from foolsgold.policies.cpu_engine import CpuEngine
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.fused import usable
from foolsgold.policies.layouts import Rows
from foolsgold.policies.sampling import Sampling, draw

SEATS = 16
"""Rows are retired in portions that leave a multiple of it."""


@dataclass(frozen=True)
class Samples:
    """Completions of a batch of prompts."""

    prompts: list[list[int]]
    """One entry a row."""
    tokens: torch.Tensor
    """`[B, N]`, int64, on the CPU; 0 after a row's end."""
    lengths: torch.Tensor
    """`[B]`, int64, tokens of each row, the stop token counted."""
    log_probs: torch.Tensor
    """`[B, N]`, float32, log-probabilities at the sampling temperature (at 1 when greedy), before top-k and top-p cut
    the distribution; 0 after a row's end."""
    stopped: torch.Tensor
    """`[B]`, bool, whether a row ended by itself; else it was cut off."""

    def completions(self) -> list[list[int]]:
        """Tokens of each row."""
        return [row[:length] for row, length in zip(self.tokens.tolist(), self.lengths.tolist(), strict=True)]


@torch.no_grad()
def generate(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seed: int,
    samples: int = 1,
    decode: Callable[[list[int]], str] | None = None,
) -> Samples:
    """Draw `samples` completions of each prompt, row by row independent of what else is in the batch.

    Args:
      model: on any device.
      prompts: tokens, at least one a prompt; lengths may differ.
      sampling: how tokens are drawn.
      seed: the same seed, prompts and model give the same samples.
      samples: G.
      decode: text of tokens; wanted for `stop_strings` only.

    Raises:
      ValueError: there are no prompts, one is empty, or stop strings come without `decode`.
    """
    if not prompts or not all(prompts):
        raise ValueError("there must be at least one prompt and each needs at least one token")
    if sampling.stop_strings and decode is None:
        raise ValueError("stop strings need `decode`")
    rows = len(prompts) * samples
    uniforms = torch.rand((sampling.max_new_tokens, rows), generator=torch.Generator().manual_seed(seed))
    kind = CpuEngine if usable(model.embedding.weight) and not model.config.qk_norm else TorchEngine
    slabs = _slabs(len(prompts)) if kind is CpuEngine else [slice(0, len(prompts))]

    def work(slab: slice) -> list[torch.Tensor]:
        engine = kind(model, prompts[slab], samples, sampling.max_new_tokens)
        return _run(engine, uniforms[:, slab.start * samples : slab.stop * samples], sampling, decode)

    parts = [work(slabs[0])] if len(slabs) == 1 else list(_pool(len(slabs)).map(work, slabs))
    tokens, log_probs, lengths, stopped = (torch.cat(part) for part in zip(*parts, strict=True))
    repeated = [list(prompt) for prompt in prompts for _ in range(samples)]
    return Samples(repeated, tokens, lengths, log_probs, stopped)


def _slabs(prompts: int) -> list[slice]:
    """The prompts in as many parts as PyTorch has threads: a thread goes through all tokens of its part by itself."""
    threads = min(torch.get_num_threads(), prompts)
    ends = [prompts * i // threads for i in range(threads + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "generate", initializer=torch.set_num_threads, initargs=(1,))


@torch.no_grad()
def _run(
    engine: CpuEngine | TorchEngine,
    uniforms: torch.Tensor,
    sampling: Sampling,
    decode: Callable[[list[int]], str] | None,
) -> list[torch.Tensor]:
    """Tokens, log-probabilities, lengths and which rows stopped, as `Samples` has them."""
    longest, rows = uniforms.shape
    tokens = torch.zeros((rows, longest), dtype=torch.int64)
    log_probs = torch.zeros((rows, longest))
    lengths = torch.zeros(rows, dtype=torch.int64)
    stopped = torch.zeros(rows, dtype=torch.bool)
    seats = torch.arange(rows)
    """Rows that the engine goes on with."""
    running = torch.ones(rows, dtype=torch.bool)
    """`[seats]`: not ended yet."""
    stops = torch.tensor(sampling.stop_tokens, dtype=torch.int64)
    logits = engine.prefill()
    for step in range(longest):
        drawn, said = engine.draw(logits, uniforms[step, seats], sampling)
        alive = seats[running]
        tokens[alive, step], log_probs[alive, step], lengths[alive] = drawn[running], said[running], step + 1
        ended = torch.isin(drawn, stops)
        if sampling.stop_strings and decode is not None:
            ended |= _says_stop(tokens[seats, : step + 1], sampling.stop_strings, decode)
        stopped[seats[ended & running]] = True
        running &= ~ended
        if not running.any() or step + 1 == longest:
            break
        kept = _seats_kept(running)
        if kept is not None:
            seats, running, drawn = seats[kept], running[kept], drawn[kept]
            engine.keep(kept)
        logits = engine.step(drawn, step)
    return [tokens, log_probs, lengths, stopped]


def _seats_kept(running: torch.Tensor) -> torch.Tensor | None:
    """Which seats to go on with, bool `[seats]`; None for all.

    Ended rows keep their seats until the others fill a multiple of `SEATS`: each number of seats costs the CPU a new
    setup of its matrix products.
    """
    wanted = -(-int(running.sum()) // SEATS) * SEATS
    if wanted >= len(running):
        return None
    kept = running.clone()
    kept[(~running).nonzero().flatten()[: wanted - int(running.sum())]] = True
    return kept


def _says_stop(tokens: torch.Tensor, stops: Sequence[str], decode: Callable[[list[int]], str]) -> torch.Tensor:
    """`[R]`, bool: the text of a row holds a stop string."""
    tail = max(map(len, stops)) + 4  # every token but a stray byte is at least one character; a few for those
    texts = [decode(row[-tail:]) for row in tokens.tolist()]
    return torch.tensor([any(stop in text for stop in stops) for text in texts])


class TorchEngine:
    """Prefill and decoding in plain PyTorch, on any device; the yardstick of every faster engine."""

    def __init__(self, model: Decoder, prompts: Sequence[Sequence[int]], samples: int, new_tokens: int):
        self.model, self.samples = model, samples
        device, config = model.device, model.config
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self.longest = int(lengths.max())
        self.prompts = torch.zeros((len(prompts), self.longest), dtype=torch.int64, device=device)
        for row, prompt in enumerate(prompts):
            self.prompts[row, : len(prompt)] = torch.tensor(prompt, device=device)
        self.prompt_lengths = lengths
        shape = (config.layers, len(prompts) * samples, config.kv_heads, self.longest + new_tokens, config.head_size)
        dtype = model.embedding.weight.dtype
        self.keys, self.values = torch.zeros((2, *shape), dtype=dtype, device=device)
        self.lengths = lengths.repeat_interleave(samples)

    def prefill(self) -> torch.Tensor:
        """Read the prompts, each once: logits of every row's first new token, `[B, V]`."""
        layout = _Reading(self, *self.prompts.shape)
        states = self.model.states(self.prompts.reshape(-1), layout).view(*self.prompts.shape, -1)
        last = states[torch.arange(len(states)), self.prompt_lengths - 1]
        return F.linear(last, self.model.output_matrix).repeat_interleave(self.samples, 0)

    def draw(
        self, logits: torch.Tensor, uniforms: torch.Tensor, sampling: Sampling
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One token a row and its log-probability, `[R]` each, on the CPU."""
        tokens, log_probs = draw(logits, uniforms.to(logits.device), sampling)
        return tokens.cpu(), log_probs.cpu()

    def step(self, tokens: torch.Tensor, step: int) -> torch.Tensor:
        """Logits after `tokens` `[R]`, the rows' new tokens number `step`: `[R, V]`."""
        states = self.model.states(tokens.to(self.model.device), _Writing(self, step))
        return F.linear(states, self.model.output_matrix)

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with some rows only; bool, `[R]`."""
        rows = rows.to(self.model.device)
        self.keys, self.values, self.lengths = self.keys[:, rows], self.values[:, rows], self.lengths[rows]


class _Reading(Rows):
    """Prompts side by side, their keys and values kept for every sample of each."""

    fusable = False

    def __init__(self, engine: TorchEngine, rows: int, length: int):
        super().__init__(rows, length, engine.model.device)
        self.engine = engine

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        for kept, new in ((self.engine.keys, key), (self.engine.values, value)):
            by_row = new.view(self.rows, self.length, *new.shape[1:]).transpose(1, 2)
            kept[layer, :, :, : self.length] = by_row.repeat_interleave(self.engine.samples, 0)
        return super().attend(layer, query, key, value)


class _Writing:
    """One new token a row, which sees its prompt and the new tokens before it."""

    fusable = False

    def __init__(self, engine: TorchEngine, step: int):
        self.engine, self.place = engine, engine.longest + step
        self.positions = engine.lengths + step
        places = torch.arange(self.place + 1, device=engine.model.device)
        self.seen = (places < engine.lengths[:, None]) | (places >= engine.longest)

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        keys, values = self.engine.keys[layer], self.engine.values[layer]
        keys[:, :, self.place], values[:, :, self.place] = key, value
        grouped = query.shape[1] != key.shape[1]
        seen = F.scaled_dot_product_attention(
            query[:, :, None],
            keys[:, :, : self.place + 1],
            values[:, :, : self.place + 1],
            attn_mask=self.seen[:, None, None],
            enable_gqa=grouped,
        )
        return seen[:, :, 0]
