"""Small worlds in which it is known how far the proxy can be trusted."""

import string

import numpy as np

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples


def honest(prompts=40, samples=16, seed=0):
    """The proxy is gold plus noise."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=(prompts, samples))
    return Samples(gold + rng.normal(size=gold.shape), gold)


def turning(prompts=400, samples=64, seed=0):
    """Gold rises with the proxy's rank u until the proxy is fooled: u - 0.6 u^30, plus noise.

    The best of n has rank u ~ Beta(n, 1), so its gold is n / (n + 1) - 0.6 n / (n + 30): highest at n = 8.
    """
    rng = np.random.default_rng(seed)
    u = rng.random((prompts, samples))
    return Samples(u, u - 0.6 * u**30 + 0.2 * rng.normal(size=u.shape))


def turning_gold(n):
    return n / (n + 1) - 0.6 * n / (n + 30)


def run(gold_gained, kl, prompts=60, samples=4, noise=0.05, seed=0):
    """Checkpoints whose gold is `gold_gained` `[K]` above each prompt's own; the proxy rises by √KL."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(prompts, 1))
    points = []
    for k, (gain, nats) in enumerate(zip(gold_gained, kl, strict=True)):
        within = rng.normal(size=(prompts, samples))
        gold = base + gain + within + noise * rng.normal(size=(prompts, samples)) - within.mean(1, keepdims=True)
        proxy = base + np.sqrt(max(nats, 0)) + within + rng.normal(size=(prompts, samples))
        points.append(Checkpoint(10 * k, float(nats), Samples(proxy, gold)))
    return Evidence(None, tuple(points))


def loving_length(prompts=40, samples=16, seed=0, love=1.0, texts_seed=1):
    """Texts of letters; gold knows nothing of them, the proxy adds `love` for each standard deviation of length."""
    rng = np.random.default_rng(texts_seed)
    texts = [[text(rng) for _ in range(samples)] for _ in range(prompts)]
    length = np.array([[len(each) for each in row] for row in texts])
    gold = np.random.default_rng(seed).normal(size=length.shape)
    proxy = gold + love * (length - length.mean()) / length.std()
    return Samples(proxy + 0.5 * np.random.default_rng(seed + 1).normal(size=gold.shape), gold, texts=texts)


def text(rng):
    """Words drawn anew, some said again, a few of them on a new line; how many of each goes by chance."""
    words = ["".join(rng.choice(list(string.ascii_lowercase), 7)) for _ in range(rng.integers(5, 40))]
    again = words[: int(len(words) * rng.random())]
    ends = [" ", "\n"]
    share = rng.random() / 3
    return "".join(word + ends[int(rng.random() < share)] for word in [*words, *again])
