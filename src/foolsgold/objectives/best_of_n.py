"""What drawing n samples and keeping the best would give: estimated from N samples drawn once, or exactly.

Letters: P prompts, N samples of each; V completions, where all can be listed. *Best* is by the proxy reward; what is
asked for is the gold reward of the one that is kept. Prompts are independent, samples of a prompt exchangeable.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from foolsgold.compiled import kernel

PROMPTS_TOGETHER = 64
"""Prompts that share one pass over the weights: as many as make finding a weight cheap beside using it."""
COLUMNS_TOGETHER = 1024
"""Values of n whose resamples are held at once."""
NEGLIGIBLE = 1e-17
"""Chance left to all lower ranks at which a sum of float64 no longer sees them."""


def best_of_n_gold(proxy: ArrayLike, gold: ArrayLike, ns: ArrayLike | None = None) -> np.ndarray:
    """Expected gold reward of the best of n by proxy: `[P, N]`, column n - 1 for n, or `[P, J]`, a column for each n.

    Unbiased: the mean over all subsets of n of the N samples, each with its best by proxy; among equals, one is
    drawn. Handing in the proxy as gold gives the expected proxy reward of the best. All n of one prompt take about
    40 N ln N steps, as the best of a large n is rarely far from the top; the memory is that of what goes in and out.

    Args:
      proxy: `[P, N]`, the reward that chooses.
      gold: `[P, N]`, the reward that counts.
      ns: `[J]`, which n are wanted, from 1 to N; all of them if left out.

    Raises:
      ValueError: shapes that differ, no samples, an n that is not from 1 to N, or NaN; leave out what could not be
        scored.

    Source: Nakano et al. 2021 (WebGPT); Gao et al. 2023.
    """
    proxy, gold = np.asarray(proxy, np.float64), np.asarray(gold, np.float64)
    if proxy.ndim != 2 or proxy.shape != gold.shape or proxy.size == 0:
        raise ValueError(f"proxy {proxy.shape} and gold {gold.shape} must both be [prompts, samples]")
    if np.isnan(proxy).any() or np.isnan(gold).any():
        raise ValueError("proxy and gold must not contain NaN; leave out prompts that could not be scored")
    prompts, samples = proxy.shape
    wanted = np.arange(1, samples + 1) if ns is None else np.asarray(ns)
    if wanted.ndim != 1 or wanted.dtype.kind not in "iu" or ((wanted < 1) | (wanted > samples)).any():
        raise ValueError(f"ns must be a row of whole numbers from 1 to {samples}, the samples of a prompt")
    wanted = wanted.astype(np.int64)
    out = np.empty((prompts, len(wanted)))
    threads = numba.get_num_threads()
    together = min(PROMPTS_TOGETHER, -(-prompts // threads))

    def fill(start: int) -> None:
        rows = slice(start, start + together)
        order = np.argsort(proxy[rows], axis=1)[:, ::-1]
        best_first = [np.take_along_axis(reward[rows], order, 1) for reward in (proxy, gold)]
        out[rows] = _means_of_best(np.ascontiguousarray(_means_of_ties(*best_first).T), wanted).T

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(0, prompts, together)))
    return out


def doublings(most: int) -> np.ndarray:
    """n = 1, 2, 4 and so on up to `most`, which is the last: steps of about equal KL; int64."""
    return np.unique([*(2 ** np.arange(int(most).bit_length())), most])


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
    proxy: ArrayLike,
    gold: ArrayLike,
    n_resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    ns: ArrayLike | None = None,
) -> BestOfNCurve:
    """The mean curve over prompts with a percentile bootstrap interval; whole prompts are resampled.

    Args and errors: as for `best_of_n_gold`; `n_resamples`, `seed` and `confidence` as for `bootstrap_interval`.
    """
    per_prompt = best_of_n_gold(proxy, gold, ns)
    prompts, columns = per_prompt.shape
    # How often each prompt is drawn is multinomial: a matrix product does for all resamples of a block of n.
    drawn = np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=n_resamples)
    share = (drawn / prompts).T
    low, high = np.empty((2, columns))
    for start in range(0, columns, COLUMNS_TOGETHER):
        block = slice(start, start + COLUMNS_TOGETHER)
        means = per_prompt[:, block].T @ share
        low[block], high[block] = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    n = np.arange(1, columns + 1) if ns is None else np.asarray(ns)
    return BestOfNCurve(n, best_of_n_kl(n), per_prompt.mean(0), low, high)


def best_of_n_win_rate(n: ArrayLike) -> np.ndarray:
    """Chance that the best of n beats a single sample by the reward that chooses, n / (n + 1), of the shape of `n`.

    It holds without ties among samples: the single one is the best of n + 1 in one of n + 1 cases.
    """
    n = np.asarray(n, np.float64)
    return n / (n + 1)


def exact_best_of_n(chance: ArrayLike, reward: ArrayLike, n: float) -> np.ndarray:
    """Distribution `[V]` of the best of n independent draws where every completion is known; it sums to 1.

    Among equal rewards each draw is as likely to be kept, so completions of one reward keep their proportions.

    Args:
      chance: `[V]`, of each completion under the policy that is drawn from; sums to 1.
      reward: `[V]`, the reward that chooses.
      n: 1 or more.

    Raises:
      ValueError: shapes that differ, chances below 0 or that do not sum to 1, a reward that is NaN, or n below 1.

    Source: Beirami et al. 2024 (Theoretical guarantees on the best-of-n alignment policy).
    """
    chance, level, classes = _reward_classes(chance, reward)
    best = _best_class(classes, n)
    return chance * np.divide(best, classes, out=np.zeros_like(best), where=classes > 0)[level]


def exact_best_of_n_kl(chance: ArrayLike, reward: ArrayLike, n: float) -> float:
    """KL of `exact_best_of_n` from `chance`, nats; at most `best_of_n_kl`, which it nears as each chance gets small.

    Args and errors: as for `exact_best_of_n`.
    """
    # Within a class nothing changes, so the KL of the classes is all of it.
    _, _, classes = _reward_classes(chance, reward)
    return float(rel_entr(_best_class(classes, n), classes).sum())


def exact_win_rate(chance: ArrayLike, reward: ArrayLike, n: float) -> float:
    """Chance that a draw from `exact_best_of_n` has a higher reward than one from `chance`, a tie being half a win.

    Args and errors: as for `exact_best_of_n`.
    """
    _, _, classes = _reward_classes(chance, reward)
    return float(_best_class(classes, n) @ (classes.cumsum() - classes / 2))


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


@kernel
def _means_of_best(gold, ns):
    """`[J, P]`, the mean gold of the best of n for each of `ns` `[J]`, from gold `[N, P]` with the best sample first.

    The sample that j others beat is the best of n with chance C(N-1-j, n-1) / C(N, n): the chance that those j are
    all missing, times n / (N-j). Both follow from those of j - 1, so there are no large numbers on the way.
    """
    samples, prompts = gold.shape
    out = np.zeros((len(ns), prompts))
    for i in range(len(ns)):
        n, missing = ns[i], 1.0
        for j in range(samples - n + 1):
            weight = missing * n / (samples - j)
            for p in range(prompts):
                out[i, p] += weight * gold[j, p]
            missing *= (samples - j - n) / (samples - j)
            if missing < NEGLIGIBLE:
                break
    return out


def _reward_classes(chance: ArrayLike, reward: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chances `[V]`, the class of each completion `[V]`, and the classes' chances `[C]` from low to high reward."""
    chances, rewards = np.asarray(chance, np.float64), np.asarray(reward, np.float64)
    if chances.ndim != 1 or chances.shape != rewards.shape or np.isnan(rewards).any():
        raise ValueError(f"chance {chances.shape} and reward {rewards.shape} must be two rows, the reward without NaN")
    total = chances.sum()
    if not (chances >= 0).all() or abs(total - 1) > 1e-4:
        raise ValueError(f"chances must be 0 or more and sum to 1, not {total:g}")
    chances = chances / total  # those of a softmax in float32 are a little off
    level = np.unique(rewards, return_inverse=True)[1]
    return chances, level, np.bincount(level, weights=chances)


def _best_class(classes: np.ndarray, n: float) -> np.ndarray:
    """Chance `[C]` that the best of n draws falls into each class, given that of one draw.

    F^n - G^n, where F is the chance of this class or a lower one and G of a lower one, by logarithms: else the
    difference of two numbers near 1 would lose a rare class at the top.
    """
    if n < 1:
        raise ValueError(f"the best of {n} is not defined; n must be 1 or more")
    up_to, above = classes.cumsum(), np.append(classes[:0:-1].cumsum()[::-1], 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_up_to = np.where(up_to < 0.5, np.log(up_to), np.log1p(-above))
        log_step = np.log1p(-np.divide(classes, up_to, out=np.zeros_like(classes), where=up_to > 0))
    return -np.exp(n * log_up_to) * np.expm1(n * log_step)
