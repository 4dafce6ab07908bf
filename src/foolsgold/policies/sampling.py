"""How a token is drawn from logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Raises:
      ValueError: a value is out of its range.
    """

    max_new_tokens: int = 64
    temperature: float = 1.0
    """Logits are divided by it; 0 takes the likeliest token."""
    top_k: int = 0
    """Draw from the k likeliest tokens; 0 from all."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together hold this probability (Holtzman et al. 2020)."""
    stop_tokens: tuple[int, ...] = ()
    """A row ends with the first of these, which is part of it."""
    stop_strings: tuple[str, ...] = ()
    """A row ends with the token that completes one of these; `generate` then needs `decode`."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"max_new_tokens >= 1, temperature >= 0, top_k >= 0 and 0 < top_p <= 1, not {self}")

    @property
    def plain(self) -> bool:
        """Whether tokens come from the whole distribution."""
        return self.temperature > 0 and not self.top_k and self.top_p == 1


def draw(logits: torch.Tensor, uniforms: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """One token a row and its log-probability, by the inverse of the cumulative distribution.

    Args:
      logits: `[R, V]`.
      uniforms: `[R]`, from 0 up to but not 1.
    """
    wide = logits.float()
    if sampling.temperature == 0:
        tokens = wide.argmax(-1)
        return tokens, wide.log_softmax(-1).gather(-1, tokens[:, None]).squeeze(-1)
    log_probs = (wide / sampling.temperature).log_softmax(-1)
    kept = _truncated(log_probs, sampling).exp()
    cumulative = kept.double().cumsum(-1)
    tokens = torch.searchsorted(cumulative, uniforms.double()[:, None] * cumulative[:, -1:], right=True).squeeze(-1)
    tokens = tokens.clamp(max=logits.shape[-1] - 1)
    return tokens, log_probs.gather(-1, tokens[:, None]).squeeze(-1)


def _truncated(log_probs: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Log-probabilities with -inf for tokens outside top-k and top-p."""
    if sampling.top_k and sampling.top_k < log_probs.shape[-1]:
        least = log_probs.topk(sampling.top_k, dim=-1).values[:, -1:]
        log_probs = log_probs.masked_fill(log_probs < least, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = log_probs.softmax(-1).sort(dim=-1, descending=True)
        out = ordered.cumsum(-1) - ordered >= sampling.top_p  # the token that crosses the line is kept
        log_probs = log_probs.masked_fill(torch.zeros_like(out).scatter(-1, order, out), -torch.inf)
    return log_probs
