"""Rows of tokens as batches, in an order that a resumed run finds again.

Letters: B rows of a batch, T tokens of its longest row. Nothing here keeps a state: which rows make up step 1,000
follows from the seed and the number 1,000, so a run that was killed goes on to the same numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from foolsgold.errors import UserError

Order = Callable[[int, int, int], np.ndarray]
"""(rows n, seed, epoch) -> int64 `[n]`, a permutation."""


def pack(texts: Iterable[Sequence[int]], block: int, eos: int) -> np.ndarray:
    """Texts one behind the other, the end token after each, cut into blocks: int32 `[n, block]`.

    What is left over at the end, less than a block, is dropped.

    Raises:
      UserError: all texts together fill no block.
    """
    ends = np.array([eos], np.int32)
    parts = [part for ids in texts for part in (np.asarray(ids, np.int32), ends)]
    stream = np.concatenate(parts) if parts else ends[:0]
    n = len(stream) // block
    if not n:
        raise UserError(f"the texts have {len(stream)} tokens, too few for one block of {block}; give more texts")
    return stream[: n * block].reshape(n, block)


@dataclass(frozen=True)
class PaddedBatch:
    """Prompts and their completions, one behind the other, padded on the right."""

    tokens: torch.Tensor
    """int64 `[B, T]`"""
    prompt_lengths: torch.Tensor
    """int64 `[B]`, tokens of the prompt"""
    lengths: torch.Tensor
    """int64 `[B]`, tokens of prompt and completion"""

    @property
    def completion_mask(self) -> torch.Tensor:
        """bool `[B, T - 1]`: column t is True where the target `tokens[:, t + 1]` belongs to the completion."""
        target = torch.arange(1, self.tokens.shape[1], device=self.tokens.device)
        return (target >= self.prompt_lengths[:, None]) & (target < self.lengths[:, None])

    @property
    def attention_mask(self) -> torch.Tensor:
        """int64 `[B, T]`: 1 where there is a token, 0 where there is padding, as transformers takes it."""
        return (torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]).long()

    def to(self, device: torch.device | str) -> PaddedBatch:
        """The same batch on another device."""
        return replace(
            self,
            tokens=self.tokens.to(device),
            prompt_lengths=self.prompt_lengths.to(device),
            lengths=self.lengths.to(device),
        )


def pad_pairs(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]], pad: int, max_length: int | None = None
) -> PaddedBatch:
    """B pairs (prompt, completion) of token ids as one batch; see `truncated` for rows above `max_length` tokens."""
    kept = [truncated(prompt, completion, max_length) for prompt, completion in pairs]
    prompt_lengths = torch.tensor([len(prompt) for prompt, _ in kept])
    lengths = torch.tensor([len(prompt) + len(completion) for prompt, completion in kept])
    tokens = np.full((len(kept), max(int(lengths.max()), 1)), pad, np.int64)
    for row, (prompt, completion) in zip(tokens, kept, strict=True):
        row[: len(prompt)] = prompt
        row[len(prompt) : len(prompt) + len(completion)] = completion
    return PaddedBatch(torch.from_numpy(tokens), prompt_lengths, lengths)


def truncated(
    prompt: Sequence[int], completion: Sequence[int], max_length: int | None
) -> tuple[Sequence[int], Sequence[int]]:
    """A pair within `max_length` tokens: the prompt is cut from its left, then the completion from its right.

    The prompt gives way first, down to its last token, which predicts the completion's first: of a prompt the end
    matters most, of a completion the whole, its end token included.
    """
    if max_length is None or len(prompt) + len(completion) <= max_length:
        return prompt, completion
    keep = min(len(prompt), max(max_length - len(completion), 1))
    return prompt[len(prompt) - keep :], completion[: max_length - keep]


@functools.lru_cache(maxsize=4)
def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The rows' order in one epoch, at random: int64 `[n]`, a permutation, read-only."""
    return _frozen(np.random.default_rng([seed, epoch]).permutation(n))


def length_grouped(lengths: Sequence[int] | np.ndarray, batch: int, window: int = 32) -> Order:
    """An order whose batches hold rows of about the same length, which saves padding.

    Each epoch is a new permutation; within every `window` batches of it rows are sorted by their length, and the
    batches shuffled again, so that a step's length says nothing about the step's number.

    Args:
      lengths: `[n]`, in tokens.
      batch: rows of a step, as given to `batch_indices`.
    """
    sizes = np.asarray(lengths)

    @functools.lru_cache(maxsize=4)
    def order(n: int, seed: int, epoch: int) -> np.ndarray:
        if n != len(sizes):
            raise ValueError(f"{len(sizes)} lengths for {n} rows")
        rows = epoch_order(n, seed, epoch).copy()
        rng = np.random.default_rng([seed, epoch, 1])
        # The epoch's first rows may complete a batch that the epoch before began; groups start after them.
        begin = min(-epoch * n % batch, n)
        for start in range(begin, n, window * batch):
            part = rows[start : start + window * batch]
            part = part[np.argsort(sizes[part], kind="stable")]
            whole = len(part) // batch * batch
            shuffled = rng.permutation(part[:whole].reshape(-1, batch)).ravel()
            rows[start : start + len(part)] = np.concatenate([shuffled, part[whole:]])
        return _frozen(rows)

    return order


def batch_indices(n: int, batch: int, step: int, seed: int, order: Order = epoch_order) -> np.ndarray:
    """Rows of optimisation step `step`, counted from 0: int64 `[batch]`.

    Epochs follow each other without a gap: every row comes once an epoch, and a batch may end one and begin the next.

    Raises:
      ValueError: there are no rows.
    """
    if n < 1:
        raise ValueError("there are no rows to draw from")
    positions = np.arange(step * batch, (step + 1) * batch)
    epochs, within = np.divmod(positions, n)
    return np.concatenate([order(n, seed, int(epoch))[within[epochs == epoch]] for epoch in np.unique(epochs)])


def _frozen(order: np.ndarray) -> np.ndarray:
    order.flags.writeable = False  # it is kept for the next step
    return order
