"""What a reward model sees in a text: its last state where the score is read, and how far that is from known ones.

Texts on which a reward model is fooled tend to lie outside the cloud of its states on the texts that it was fitted to
or that the policy wrote before it was trained (Miao et al. 2024, InfoRM; Miao et al. 2025, there as the share of
outliers by Mahalanobis distance). Letters: B texts, D width of the reward model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solve_triangular

from foolsgold.errors import UserError
from foolsgold.policies.messages import Text
from foolsgold.rewards.text_reward_model import (
    TextReward,
    TextRewardModel,
    TransformersRewardModel,
    encode_pairs,
    pad_texts,
)


@torch.inference_mode()
def latents_of(reward: TextReward, prompts: Sequence[Text], completions: Sequence[Text]) -> np.ndarray:
    """The last hidden state at the token where `reward` reads its score, float32 `[B, D]`.

    Raises:
      UserError: as `TextReward`.
    """
    pairs = encode_pairs(reward.tokenizer, prompts, completions)
    order = np.argsort([len(prompt) + len(completion) for prompt, completion in pairs], kind="stable")
    found: list[np.ndarray | None] = [None] * len(pairs)
    for start in range(0, len(pairs), reward.batch_size):
        rows = order[start : start + reward.batch_size]
        tokens, ends = pad_texts([pairs[row] for row in rows], reward.max_length)
        tokens, ends = tokens.to(reward.model.device), ends.to(reward.model.device)
        states = _states(reward.model, tokens, ends)
        last = states[torch.arange(len(rows), device=tokens.device), ends - 1].float().cpu().numpy()
        for row, latent in zip(rows, last, strict=True):
            found[row] = latent
    return np.stack(found)  # type: ignore[arg-type]


def _states(
    model: TextRewardModel | TransformersRewardModel, tokens: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """States after the last norm, `[B, T, D]`."""
    if isinstance(model, TextRewardModel):
        return model.trunk.hidden(tokens)
    real = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    tokens = torch.where(real, tokens, model.inner.config.pad_token_id)
    said = model.inner(input_ids=tokens, attention_mask=real.long(), output_hidden_states=True)
    return said.hidden_states[-1]


def ledoit_wolf(samples: np.ndarray) -> tuple[np.ndarray, float]:
    """Covariance `[D, D]` of `samples` `[B, D]`, shrunk towards a multiple of the identity, and by what share.

    It can be inverted also where there are fewer samples than dimensions.

    Source: Ledoit and Wolf 2004, lemma 3.2 to theorem 3.2.
    """
    count, width = samples.shape
    centred = samples - samples.mean(0)
    covariance = centred.T @ centred / count
    mean_variance = np.trace(covariance) / width
    apart = np.square(covariance).sum() - width * mean_variance**2
    # Sum over samples of the squared distance between a sample's outer product and their mean.
    noise = np.square(np.square(centred).sum(1)).sum() / count - np.square(covariance).sum()
    shrinkage = float(min(noise / count / apart, 1.0)) if apart > 0 else 1.0
    return (1 - shrinkage) * covariance + shrinkage * mean_variance * np.eye(width), shrinkage


def halves(count: int, groups: np.ndarray | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of `count` rows, int64, drawn at random, rows of one of `groups` `[B]` in one half.

    Raises:
      UserError: all rows are of one group.
    """
    groups = np.arange(count) if groups is None else groups
    first, second = np.array_split(rng.permutation(np.unique(groups)), 2)
    if not len(second):
        raise UserError("all samples of the reference answer one prompt; give samples of many")
    return np.flatnonzero(np.isin(groups, first)), np.flatnonzero(np.isin(groups, second))


@dataclass(frozen=True)
class LatentBall:
    """The cloud of known latents: an ellipsoid that holds a given share of those it was not fitted to."""

    mean: np.ndarray
    """`[D]`"""
    factor: np.ndarray
    """`[D, D]`, lower Cholesky factor of the covariance."""
    radius: float
    """Mahalanobis distance, in standard deviations."""

    @classmethod
    def fit(
        cls, latents: np.ndarray, groups: np.ndarray | None = None, share: float = 0.99, seed: int = 0
    ) -> LatentBall:
        """Mean and covariance of a half of `latents` `[B, D]`, drawn by `seed`; the radius holds `share` of the other.

        In many dimensions the samples that a covariance was fitted to lie nearer to its mean than others do, and so do
        samples of the same prompts.

        Args:
          groups: `[B]`, int, the prompt of each; a prompt's samples stay in one half. Each its own where None.

        Raises:
          UserError: fewer than 100 latents, which do not tell where the outermost hundredth lies; or they are all the
            same.
        """
        if len(latents) < 100:
            raise UserError(
                f"{len(latents)} samples of the reference do not show where outliers begin; give 100 or more"
            )
        latents = np.asarray(latents, np.float64)
        fitted, held_out = (latents[rows] for rows in halves(len(latents), groups, np.random.default_rng(seed)))
        covariance, _ = ledoit_wolf(fitted)
        try:
            ball = cls(fitted.mean(0), np.linalg.cholesky(covariance), float("inf"))
        except np.linalg.LinAlgError:
            raise UserError("the reward model's states are the same for all samples of the reference") from None
        return cls(ball.mean, ball.factor, float(np.quantile(ball.distances(held_out), share)))

    def distances(self, latents: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of each of `latents` `[B, D]` from the mean, `[B]`."""
        away = np.asarray(latents, np.float64) - self.mean
        return np.sqrt(np.square(solve_triangular(self.factor, away.T, lower=True)).sum(0))

    def outside(self, latents: np.ndarray) -> float:
        """Share of `latents` `[B, D]` outside the ball, from 0 to 1."""
        return float((self.distances(latents) > self.radius).mean())
