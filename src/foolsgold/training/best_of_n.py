"""Best of n: draw n completions and keep the one that the reward likes best; no weights change.

It is the yardstick that RL is held against, and costs a policy nothing but samples. A pool of N completions a prompt,
scored by proxy and gold, tells what every n up to N would have given.

Letters: P prompts, N completions of each.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.objectives.best_of_n import BestOfNCurve, best_of_n_curve, doublings
from foolsgold.policies.hub import LanguageModel
from foolsgold.policies.messages import Text
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import Scorer
from foolsgold.training.rollouts import Task, derived_seed, draw_and_score, frozen_copy


@dataclass(frozen=True)
class Pool:
    """N completions of each of P prompts."""

    prompts: list[Text]
    """`[P]`"""
    texts: list[list[str]]
    """`[P][N]`, without special tokens."""
    tokens: list[list[list[int]]]
    """`[P][N]`, the same as it was drawn, stop tokens included."""
    proxy: np.ndarray
    """float64 `[P, N]`, NaN where no reward applied."""
    gold: np.ndarray
    """float64 `[P, N]`, NaN where no reward applied or none was asked."""


def draw_pool(
    policy: LanguageModel,
    task: Task,
    gold: Scorer | None,
    n: int,
    sampling: Sampling,
    seed: int = 0,
    rows: int = 512,
    folder: str | Path | None = None,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> Pool:
    """Draw N completions of each of the task's prompts, scored by the task's rewards (the proxy) and by gold.

    Args:
      policy: drawn from in the machine's fastest type; stays as it is.
      gold: None where it is to be asked later, and of some completions only.
      n: N.
      rows: completions drawn at once; part of the seed, as it were: another number gives another pool.
      folder: keeps what is drawn, piece by piece, and a pool that was interrupted goes on from there.
      report: is told how many of how many pieces are done.

    Raises:
      UserError: `n` or `rows` is below 1, or the folder holds a pool of another policy, prompts or settings.
      RewardFailure: a reward failed; its batch is on disk.
    """
    if n < 1 or rows < 1:
        raise UserError(f"a pool needs n and rows of at least 1, not {n} and {rows}")
    policy = frozen_copy(policy)
    kept = None if folder is None else Path(folder)
    if kept is not None:
        _claim(kept, _identity(policy, task, gold, n, sampling, seed, rows))
    together = max(1, rows // n)  # whole prompts of a piece; one whose N is above `rows` is drawn in several
    pieces = [
        (range(start, min(start + together, len(task.prompts))), range(first, min(first + rows, n)))
        for start in range(0, len(task.prompts), together)
        for first in range(0, n, rows)
    ]
    texts: list[list[str]] = [[] for _ in task.prompts]
    tokens: list[list[list[int]]] = [[] for _ in task.prompts]
    proxies, golds = np.empty((2, len(task.prompts), n))
    for i, (prompts, samples) in enumerate(pieces):
        path = None if kept is None else kept / f"piece-{i:05}.json"
        piece = _read(path)
        if piece is None:
            piece = _drawn(policy, task, gold, prompts, len(samples), sampling, derived_seed(seed, i))
            if path is not None:
                write_text(path, json.dumps(piece))
        for place, row in enumerate(prompts):
            own = slice(place * len(samples), (place + 1) * len(samples))
            texts[row].extend(piece["texts"][own])
            tokens[row].extend(piece["tokens"][own])
        for scores, name in ((proxies, "proxy"), (golds, "gold")):
            found = np.array(piece[name], np.float64).reshape(len(prompts), -1)
            scores[prompts.start : prompts.stop, samples.start : samples.stop] = found
        report(i + 1, len(pieces))
    return Pool([row.prompt for row in task.prompts], texts, tokens, proxies, golds)


def _drawn(
    policy: LanguageModel,
    task: Task,
    gold: Scorer | None,
    prompts: Sequence[int],
    samples: int,
    sampling: Sampling,
    seed: int,
) -> dict[str, list[Any]]:
    drawn = draw_and_score(policy, task, prompts, sampling, samples, seed)
    true = np.full(len(drawn.texts), np.nan)
    if gold is not None:
        true = gold.score(drawn.prompts, drawn.answers, trainer_state=None, **drawn.columns).total
    return {
        "texts": drawn.texts,
        "tokens": drawn.samples.completions(),
        "proxy": drawn.scores.total.tolist(),
        "gold": true.tolist(),
    }


def _identity(
    policy: LanguageModel, task: Task, gold: Scorer | None, n: int, sampling: Sampling, seed: int, rows: int
) -> dict[str, Any]:
    """What pieces of one pool have in common."""
    weights = 0
    for parameter in policy.parameters():
        weights = zlib.crc32(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data, weights)
    return {
        "prompts": zlib.crc32(json.dumps(task.ids).encode()),
        "weights": weights,
        "rewards": [[each.name, each.weight] for scorer in (task.scorer, gold) if scorer for each in scorer.rewards],
        "n": n,
        "sampling": {each.name: getattr(sampling, each.name) for each in fields(sampling)},
        "seed": seed,
        "rows": rows,
    }


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    path, text = folder / "pool.json", json.dumps(identity, indent=2)
    if not path.exists():
        write_text(path, text)
        return
    known, asked = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
    other = [name for name in asked if known.get(name) != asked[name]]
    if other:
        raise UserError(f"{folder} holds a pool that differs in {', '.join(other)}; name another folder")


def _read(path: Path | None) -> dict[str, list[Any]] | None:
    """A piece that is there, and whole."""
    piece = json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else {}
    return piece if piece.keys() >= {"texts", "tokens", "proxy", "gold"} else None


class PoolCurves(NamedTuple):
    """Gold and proxy reward of the best of n by proxy, at the same n; unpacks to `gold, proxy`."""

    gold: BestOfNCurve
    proxy: BestOfNCurve


def pool_curves(pool: Pool, n_resamples: int = 2000, seed: int = 0) -> PoolCurves:
    """What n = 1, 2, 4, … and N give, with 95 % intervals over prompts; those with an unscored completion are left out.

    Raises:
      UserError: no prompt is left.
    """
    scored = ~np.isnan(pool.proxy + pool.gold).any(1)
    if not scored.any():
        raise UserError("no prompt of the pool has all of its completions scored; look at the rewards that return None")
    proxy, gold = pool.proxy[scored], pool.gold[scored]
    ns = doublings(proxy.shape[1])
    return PoolCurves(
        best_of_n_curve(proxy, gold, n_resamples, seed, ns=ns), best_of_n_curve(proxy, proxy, n_resamples, seed, ns=ns)
    )


class Best(NamedTuple):
    """The completion that was kept."""

    text: str
    reward: float


def best_of_n(
    policy: LanguageModel, task: Task, n: int, sampling: Sampling, seed: int = 0, rows: int = 512
) -> list[Best]:
    """Serve a policy: for each of the task's prompts, the best of n completions by its rewards; the first of equals.

    Args:
      rows: completions drawn at once, for whole prompts.

    Raises:
      UserError: to a prompt, no reward applied to any of the completions.
      RewardFailure: a reward failed; its batch is on disk.
    """
    best: list[Best] = []
    together = max(1, rows // n)
    for start in range(0, len(task.prompts), together):
        prompts = range(start, min(start + together, len(task.prompts)))
        drawn = draw_and_score(policy, task, prompts, sampling, n, derived_seed(seed, start))
        rewards = drawn.scores.total.reshape(-1, n)
        for row, of_prompt in enumerate(rewards):
            if np.isnan(of_prompt).all():
                raise UserError(f"no reward applies to any completion of prompt {prompts[row] + 1}")
            kept = int(np.nanargmax(of_prompt))
            best.append(Best(drawn.texts[row * n + kept], float(of_prompt[kept])))
    return best
