"""What drawing n samples and keeping the best would give, estimated from N samples drawn once.

Letters: P prompts, N samples of each. *Best* is by the proxy reward; what is asked for is the gold reward of the one
that is kept. Prompts are independent, samples of a prompt exchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


def best_of_n_gold(proxy: ArrayLike, gold: ArrayLike) -> np.ndarray:
    """Expected gold reward of the best of n by proxy, for every n at once: `[P, N]`, column n - 1 for n.

    Unbiased: the mean over all subsets of n of the N samples, each with its best by proxy; among equals, one is
    drawn. Handing in the proxy as gold gives the expected proxy reward of the best.

    Args:
      proxy: `[P, N]`, the reward that chooses.
      gold: `[P, N]`, the reward that counts.

    Raises:
      ValueError: shapes that differ, no samples, or NaN; leave out what could not be scored.

    Source: Nakano et al. 2021 (WebGPT); Gao et al. 2023.
    """
    proxy, gold = np.asarray(proxy, np.float64), np.asarray(gold, np.float64)
    if proxy.ndim != 2 or proxy.shape != gold.shape or proxy.size == 0:
        raise ValueError(f"proxy {proxy.shape} and gold {gold.shape} must both be [prompts, samples]")
    if np.isnan(proxy).any() or np.isnan(gold).any():
        raise ValueError("proxy and gold must not contain NaN; leave out prompts that could not be scored")
    order = np.argsort(proxy, axis=1)
    return _means_of_ties(np.take_along_axis(proxy, order, 1), np.take_along_axis(gold, order, 1)) @ (
        _chance_of_rank(proxy.shape[1]).T
    )


def best_of_n_kl(n: ArrayLike) -> np.ndarray:
    """KL of the best of n from a single sample, nats, of the shape of `n`; with ties among samples, an upper bound.

    Source: Stiennon et al. 2020, appendix G.3; as a bound, Beirami et al. 2024.
    """
    n = np.asarray(n, np.float64)
    return np.log(n) - (n - 1) / n


@dataclass(frozen=True)
class BestOfNCurve:
    """Gold reward against n, over prompts; each field is `[N]`."""

    n: np.ndarray
    kl: np.ndarray
    """Nats."""
    gold: np.ndarray
    """Mean over prompts, in the unit of the gold reward."""
    low: np.ndarray
    high: np.ndarray
    """Both ends of the pointwise interval of `gold`."""


def best_of_n_curve(
    proxy: ArrayLike, gold: ArrayLike, n_resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> BestOfNCurve:
    """The mean curve over prompts with a percentile bootstrap interval; whole prompts are resampled.

    Args and errors: as for `best_of_n_gold`; `n_resamples`, `seed` and `confidence` as for `bootstrap_interval`.
    """
    per_prompt = best_of_n_gold(proxy, gold)
    prompts, samples = per_prompt.shape
    # How often each prompt is drawn is multinomial: one matrix product does for all resamples and n.
    drawn = np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=n_resamples)
    low, high = np.quantile(drawn @ per_prompt / prompts, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    n = np.arange(1, samples + 1)
    return BestOfNCurve(n, best_of_n_kl(n), per_prompt.mean(0), low, high)


def pass_at_k(samples: int, correct: ArrayLike, k: int) -> np.ndarray:
    """Chance that at least one of k samples is correct, unbiased, from 0 to 1; of the shape of `correct`.

    Args:
      samples: drawn for each problem.
      correct: how many of them were correct, for each problem.
      k: from 1 to `samples`.

    Raises:
      ValueError: `k` or `correct` out of range.

    Source: Chen et al. 2021 (Codex), equation 1.
    """
    correct = np.asarray(correct)
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs from {k} samples up, and k of at least 1; got {samples}")
    if ((correct < 0) | (correct > samples)).any():
        raise ValueError(f"correct must lie from 0 to {samples}")
    # All k are wrong: a product of chances, each without what was drawn before. It ends at 0 once wrong ones run out.
    drawn = np.arange(k)
    wrong_left = np.maximum(samples - correct[..., None] - drawn, 0)
    return 1 - (wrong_left / (samples - drawn)).prod(-1)


def _means_of_ties(proxy: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Gold `[P, N]` with runs of equal proxy (sorted along each row) replaced by their mean gold."""
    begins = np.ones(proxy.shape, bool)
    begins[:, 1:] = proxy[:, 1:] != proxy[:, :-1]
    run = begins.ravel().cumsum() - 1
    return (np.bincount(run, weights=gold.ravel()) / np.bincount(run))[run].reshape(gold.shape)


def _chance_of_rank(samples: int) -> np.ndarray:
    """`[N, N]`: row n - 1, column i - 1: chance that the i-th lowest of N is the highest of n drawn of them.

    It is C(i-1, n-1) / C(N, n), built from n to n + 1 by its own ratio: no large numbers on the way.
    """
    n, rank = np.arange(1, samples)[:, None], np.arange(1, samples + 1)
    growth = np.maximum(rank - n, 0) / n * (n + 1) / (samples - n)
    return np.concatenate([np.full((1, samples), 1 / samples), growth]).cumprod(0)
