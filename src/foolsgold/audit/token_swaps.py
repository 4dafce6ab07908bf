"""Token swaps that raise a reward model's score, found by its gradient: no samples of any policy are needed.

To first order, token v in place of u adds g · (e_v − e_u) to the score, g its gradient by the embedding at that place
(HotFlip; Ebrahimi et al. 2018, equation 5). In a transformer that estimate is rough: places and tokens are drawn among
the best of it and scored exactly (greedy coordinate gradient; Zou et al. 2023, algorithm 1).

Letters: B texts, C tokens of a completion without its end token, V vocabulary, D width.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from foolsgold.audit.text_edits import Score
from foolsgold.errors import UserError
from foolsgold.policies.messages import Text
from foolsgold.rewards.text_reward_model import (
    TextReward,
    TextRewardModel,
    TokenPair,
    TransformersRewardModel,
    encode_pairs,
    pad_texts,
)


@dataclass(frozen=True)
class SwapSettings:
    """How tokens are swapped.

    Raises:
      UserError: a number is below 1.
    """

    steps: int = 20
    """Swaps a text at most."""
    top: int = 64
    """Tokens that candidates are drawn from at each place: those of the highest estimate."""
    candidates: int = 64
    """Swaps that are scored in a step, for each text."""

    def __post_init__(self) -> None:
        if min(self.steps, self.top, self.candidates) < 1:
            raise UserError(f"the numbers of token swaps must be 1 or more, not {self}")


@dataclass(frozen=True)
class Swapped:
    """What came out."""

    texts: list[str]
    """`[B]`"""
    scores: np.ndarray
    """float64 `[steps + 1, B]`, before the first step and after each."""
    scorings: int
    """Candidates that were scored."""


Gains = Callable[[TextReward, Sequence[TokenPair]], Iterator[torch.Tensor]]
"""For each pair, `[C, V]`: what putting a token in a place is estimated to add to the score."""


def swap_tokens(
    reward: TextReward,
    score: Score,
    prompts: Sequence[Text],
    texts: Sequence[str],
    settings: SwapSettings,
    seed: int,
    rows: Sequence[int] | None = None,
    gains: Gains | None = None,
    report: Callable[[], None] = lambda: None,
) -> Swapped:
    """Swap one token a step in each text for one that `score` likes better, while there is such a one.

    An exploit is a text: candidates that tokenize otherwise once they are text are refused, and so are special tokens.

    Args:
      reward: what is differentiated.
      score: what decides; that reward, or another one that it stands for.
      prompts: `[P]`.
      texts: `[B]`, to begin with.
      rows: `[B]`, number of each text's prompt; one text a prompt where None.
      gains: how candidates are found; `first_order_gains` where None.
      report: is told of each step.
    """
    rows = range(len(texts)) if rows is None else rows
    rng = np.random.default_rng([seed, 71])
    texts = list(texts)
    scores, scorings = [score(rows, texts)], 0
    for _ in range(settings.steps):
        pairs = encode_pairs(reward.tokenizer, [prompts[row] for row in rows], texts)
        estimates = (gains or first_order_gains)(reward, pairs)
        drawn = [_drawn(pair, gain, settings, rng) for pair, gain in zip(pairs, estimates, strict=True)]
        tried = _surviving(reward, prompts, rows, pairs, drawn, settings.candidates)
        owners = [i for i, candidates in enumerate(tried) for _ in candidates]
        flat = list(itertools.chain.from_iterable(tried))
        found = score([rows[i] for i in owners], flat) if flat else np.empty(0)
        best = scores[-1].copy()
        for i, text, value in zip(owners, flat, found.tolist(), strict=True):
            if value > best[i]:
                texts[i], best[i] = text, value
        scores.append(best)
        scorings += len(flat)
        report()
    return Swapped(texts, np.stack(scores), scorings)


def first_order_gains(reward: TextReward, pairs: Sequence[TokenPair]) -> Iterator[torch.Tensor]:
    """HotFlip's estimates for each pair, float32 `[C, V]`; 0 for the tokens that stand there.

    A place that the reward model does not read, since the text is longer than it allows, gains nothing.
    """
    embedding = embedding_of(reward.model)
    with torch.no_grad():
        every = torch.arange(embedding.num_embeddings, device=reward.model.device)
        table = embedding(every).float()  # not its weight: some families scale what comes out
    for start in range(0, len(pairs), reward.batch_size):
        part = pairs[start : start + reward.batch_size]
        tokens, lengths = (x.to(reward.model.device) for x in pad_texts(part, reward.max_length))
        gradients = _gradients(reward.model, embedding, tokens, lengths).float()
        for (_, completion), gradient, length in zip(part, gradients, lengths.tolist(), strict=True):
            gain = torch.zeros(len(completion) - 1, len(table), device=table.device)
            read = min(len(completion), length) - 1
            if read > 0:
                slopes = gradient[length - 1 - read : length - 1] @ table.T
                here = torch.tensor(completion[-1 - read : -1], device=table.device)
                gain[-read:] = slopes - slopes.gather(1, here[:, None])
            yield gain


def embedding_of(model: TextRewardModel | TransformersRewardModel) -> nn.Embedding:
    """The module that turns tokens into vectors."""
    return model.trunk.embedding if isinstance(model, TextRewardModel) else model.inner.get_input_embeddings()  # type: ignore[return-value]


def _gradients(model: nn.Module, embedding: nn.Module, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Gradient of each row's score by its embeddings, `[B, T, D]`."""
    read: list[torch.Tensor] = []

    def as_leaf(module: nn.Module, given: tuple, output: torch.Tensor) -> torch.Tensor:
        read.append(output.detach().requires_grad_())
        return read[-1]

    hook = embedding.register_forward_hook(as_leaf)
    try:
        with torch.enable_grad():
            total = model(tokens, lengths).sum()  # rows do not see each other
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(total, read)
    return gradient.view(len(tokens), -1, gradient.shape[-1])  # our decoder lays rows end to end, and pads them


def _drawn(
    pair: TokenPair, gain: torch.Tensor, settings: SwapSettings, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Places and tokens to try, each once, four times as many as are scored: not all survive."""
    places = len(pair[1]) - 1
    if not places:
        return []
    top = gain.topk(min(settings.top, gain.shape[1])).indices.cpu().numpy()
    at = rng.integers(places, size=4 * settings.candidates)
    tokens = top[at, rng.integers(top.shape[1], size=len(at))]
    return list(dict.fromkeys(zip(at.tolist(), tokens.tolist(), strict=True)))


def _surviving(
    reward: TextReward,
    prompts: Sequence[Text],
    rows: Sequence[int],
    pairs: Sequence[TokenPair],
    drawn: Sequence[Sequence[tuple[int, int]]],
    most: int,
) -> list[list[str]]:
    """Of each text's swaps, the first `most` texts `[B][<= most]` that come back as the same tokens."""
    tokenizer = reward.tokenizer
    added = tokenizer.added_tokens_decoder.items()
    forbidden = {*tokenizer.all_special_ids, *(number for number, token in added if token.special)}
    swapped: list[tuple[int, list[int]]] = []
    for i, ((_, completion), candidates) in enumerate(zip(pairs, drawn, strict=True)):
        for at, token in candidates:
            if token != completion[at] and token < len(tokenizer) and token not in forbidden:
                swapped.append((i, [*completion[:at], token, *completion[at + 1 : -1]]))
    if not swapped:
        return [[] for _ in pairs]
    texts = tokenizer.batch_decode([tokens for _, tokens in swapped], clean_up_tokenization_spaces=False)
    again = encode_pairs(tokenizer, [prompts[rows[i]] for i, _ in swapped], texts)
    kept: list[list[str]] = [[] for _ in pairs]
    for (i, tokens), text, (_, completion) in zip(swapped, texts, again, strict=True):
        if list(completion[:-1]) == tokens and len(kept[i]) < most:
            kept[i].append(text)
    return kept
