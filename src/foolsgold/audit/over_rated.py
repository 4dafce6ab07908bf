"""The samples that the proxy over-rates most: high by proxy, low by gold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foolsgold.audit.evidence import Samples
from foolsgold.objectives.agreement import mid_ranks

_ALIKE = 0.7
"""Share of words in common from which two texts count as the same exploit."""


@dataclass(frozen=True)
class OverRated:
    """One sample with its rewards and, from 0 to 1, its ranks by both among all samples it was compared with."""

    prompt: int
    """Index of its prompt."""
    text: str
    proxy: float
    gold: float
    proxy_rank: float
    gold_rank: float


def most_over_rated(samples: Samples, others: Sequence[Samples] = (), count: int = 4) -> list[OverRated]:
    """Labelled samples whose rank by proxy lies furthest above that by gold, the furthest first.

    At most one of each prompt, and none that says nearly what another does.

    Args:
      samples: with texts.
      others: samples that also count for ranks: of the start, when these are of a policy after RL that may have no good
        sample left to compare with.
      count: at most so many; fewer where not so many lie higher by proxy than by gold.
    """
    if samples.texts is None:
        return []
    everyone = (samples, *others)
    weight = np.concatenate([each.weight.ravel() for each in everyone])
    shape, size = samples.proxy.shape, samples.proxy.size
    by_proxy, by_gold = (
        mid_ranks(np.concatenate([values.ravel() for values in rewards]), weight)[:size].reshape(shape)
        for rewards in ([each.proxy for each in everyone], [each.gold for each in everyone])
    )
    lead = np.where(samples.labelled, by_proxy - by_gold, -np.inf)
    found: list[OverRated] = []
    words: list[set[str]] = []
    prompts: set[int] = set()
    for place in np.argsort(-lead, axis=None, kind="stable"):
        p, n = (int(i) for i in np.unravel_index(place, shape))
        if len(found) == count or lead[p, n] <= 0:
            break
        text = samples.texts[p][n]
        own = set(re.findall(r"\w+", text.lower()))
        if p in prompts or any(_alike(own, other) for other in words):
            continue
        prompts.add(p)
        words.append(own)
        rewards = (float(values[p, n]) for values in (samples.proxy, samples.gold, by_proxy, by_gold))
        found.append(OverRated(p, text, *rewards))
    return found


def _alike(a: set[str], b: set[str]) -> bool:
    return len(a & b) >= _ALIKE * len(a | b)
