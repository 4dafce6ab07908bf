"""Which pair to show to people next, from what a reward model believes about the pairs that wait.

A batch is chosen pair by pair, each as if those before it had been judged: two pairs that would teach the same are not
both chosen, which ranking all pairs by one number would do.

Letters: P pairs, M members of an ensemble, R directions in which the leads vary together. Leads are in nats of
log-odds of a being preferred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit, xlogy

from foolsgold.labels.labelling import Labelling
from foolsgold.objectives.statistics import Interval

CHUNK = 1 << 16
"""Pairs whose merits are reckoned at a time."""
LOOKED = 64
"""Pairs that get a new look first, once some of their batch are chosen."""
# Even steps: exact to 1e-4 up to a deviation of 12 nats, where Gauss-Hermite quadrature needs far more nodes.
_NODES = np.linspace(-5, 5, 61)
_WEIGHTS = np.exp(-(_NODES**2) / 2) / np.exp(-(_NODES**2) / 2).sum()


@dataclass(frozen=True)
class Leads:
    """What is believed about the leads of a over b in P pairs: jointly normal, with covariance `factor @ factor.T`."""

    mean: np.ndarray
    """float64 `[P]`"""
    factor: np.ndarray
    """float64 `[P, R]`"""

    @classmethod
    def of_members(cls, scores_a: np.ndarray, scores_b: np.ndarray) -> Leads:
        """As the members of an ensemble spread.

        Args:
          scores_a, scores_b: `[M, P]`, each member's rewards of the candidates, such as `Ensemble.judge(...).members`.

        Raises:
          ValueError: fewer than two members, the scores differ in shape, or one is not finite.
        """
        leads = np.asarray(scores_a, np.float64) - np.asarray(scores_b, np.float64)
        if np.shape(scores_a) != np.shape(scores_b) or leads.ndim != 2 or len(leads) < 2:
            raise ValueError(
                f"scores of shapes {np.shape(scores_a)} and {np.shape(scores_b)}; give one row for each of two members "
                "or more"
            )
        if not np.isfinite(leads).all():
            raise ValueError("a score is not finite; leave out pairs that a member cannot judge")
        mean = leads.mean(0)
        return cls(mean, (leads - mean).T / (len(leads) - 1) ** 0.5)

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def variance(self) -> np.ndarray:
        """float64 `[P]`, nats squared."""
        return np.einsum("pr,pr->p", self.factor, self.factor)


Scores = Callable[[Sequence[str], Sequence[str]], np.ndarray]
"""Maps P prompts and completions to each member's rewards `[M, P]`, NaN where a member cannot judge: of an `Ensemble`,
`lambda prompts, completions: ensemble.judge(prompts, completions).members`."""
Merit = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps means and variances of P leads, `[P]` each, to how much each pair is wanted, `[P]`; no less where a variance is
greater."""
Strategy = Callable[[Leads, int, int], np.ndarray]
"""Maps leads, the size of a batch and a seed to the rows of a batch, int64 `[batch]`, the most wanted first."""


def uncertainty(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Entropy of the foretold judgement, nats `[P]`: near even, be it that the model or that the raters are unsure.

    Source: Lewis and Gale 1994 (uncertainty sampling).
    """
    return _entropy(_chances(mean, variance) @ _WEIGHTS)


def disagreement(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Standard deviation of the foretold chance that a is preferred, `[P]`.

    Source: Christiano et al. 2017, section 2.2.4.
    """
    chances = _chances(mean, variance)
    return np.sqrt(((chances - (chances @ _WEIGHTS)[:, None]) ** 2) @ _WEIGHTS)


def expected_information(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """What one judgement is expected to tell about the leads, nats `[P]`: `uncertainty` less that of the raters.

    Source: Lindley 1956; for a binary answer Houlsby et al. 2011 (BALD), equation 2.
    """
    chances = _chances(mean, variance)
    return np.maximum(_entropy(chances @ _WEIGHTS) - _entropy(chances) @ _WEIGHTS, 0)


def choose_batch(leads: Leads, batch: int, seed: int, merit: Merit) -> np.ndarray:
    """The rows of `batch` pairs, int64 `[batch]`, each of greatest merit given that those before it are judged.

    Whatever a judgement says, under the normal approximation (Laplace) it narrows the leads by the same amount, so the
    variances after it are known before it; the means stay. Equal merits are told apart by chance.

    Raises:
      ValueError: more are wanted than there are.
    """
    order = draw_uniformly(leads, len(leads), seed)
    merits = _by_chunks(merit, leads)[order]
    narrowed = np.eye(leads.factor.shape[1])
    fresh = np.ones(len(order), bool)
    rows: list[int] = []
    for _ in _checked(batch, len(leads)):
        # A judgement lowers merits and never raises one, so old merits are bounds: only the highest need a new look.
        looked = LOOKED
        while not fresh[best := int(np.argmax(merits))]:
            stale = np.where(fresh, -np.inf, merits)
            look = np.argpartition(stale, -min(looked, len(stale)))[-looked:]
            look = look[stale[look] > -np.inf]
            looked *= 2
            factor = leads.factor[order[look]] @ narrowed
            merits[look] = merit(leads.mean[order[look]], np.einsum("pr,pr->p", factor, factor))
            fresh[look] = True
        row = int(order[best])
        rows.append(row)
        merits[best] = -np.inf
        narrowed = _narrowed(narrowed, leads.factor[row] @ narrowed, leads.mean[row])
        fresh[:] = merits == -np.inf
    return np.array(rows, np.int64)


def draw_uniformly(leads: Leads, batch: int, seed: int) -> np.ndarray:
    """The rows of `batch` different pairs drawn at random, int64 `[batch]`; see `choose_batch`."""
    _checked(batch, len(leads))
    return np.random.default_rng([seed, 61]).permutation(len(leads))[:batch]


STRATEGIES: dict[str, Strategy] = {
    "uniform": draw_uniformly,
    "uncertainty": partial(choose_batch, merit=uncertainty),
    "disagreement": partial(choose_batch, merit=disagreement),
    "information": partial(choose_batch, merit=expected_information),
}
"""By name, for commands and tables."""


def prioritise(project: Labelling, scores: Scores, strategy: Strategy, batch: int, seed: int) -> int:
    """Let a project hand out next what a strategy chooses from its pairs that still want judgements.

    The first of the batch has priority 1, the next ones less; all others have 0, and so come in random order after it.
    Call it again as judgements come in and the reward models are fitted anew.

    Args:
      batch: pairs to choose, at most; about as many as are judged until the next call.

    Returns:
      How many were chosen; pairs that a member cannot judge are not.

    Raises:
      ValueError: fewer than two members.
    """
    wanting = [stored for stored in project.pairs() if stored.pair.known is None and stored.taken < stored.pair.wanted]
    if not wanting:
        return 0
    prompts = [stored.pair.prompt for stored in wanting]
    sides = [np.asarray(scores(prompts, [getattr(stored.pair, side) for stored in wanting])) for side in ("a", "b")]
    judged = np.flatnonzero(np.isfinite(sides).all((0, 1)))
    leads = Leads.of_members(sides[0][:, judged], sides[1][:, judged])
    rows = judged[strategy(leads, min(batch, len(judged)), seed)]
    wanted = np.zeros(len(wanting))
    wanted[rows] = 1 - np.arange(len(rows)) / max(len(rows), 1)
    changed = [i for i, stored in enumerate(wanting) if stored.pair.priority != wanted[i]]
    project.set_priorities([wanting[i].id for i in changed], [wanted[i] for i in changed])
    return len(rows)


def foretellable(same: float) -> Interval:
    """Between which the share of judgements lies that the best of all reward models could foretell.

    What one rater says twice of a pair, unable to remember it, comes out the same in p^2 + (1 - p)^2 of cases; the best
    guess is right in max(p, 1 - p). Raters who remember their answers, or who differ, leave less than this says.

    Args:
      same: share of repeated judgements that came out as the first time did.

    Raises:
      ValueError: `same` is no share.

    Source: Cover and Hart 1967, theorem 1: a repeat is the nearest of all neighbours.
    """
    if not 0 <= same <= 1:
        raise ValueError(f"{same} is no share; give from 0 to 1")
    above_chance = max(2 * same - 1, 0.0)
    return Interval((1 + above_chance) / 2, (1 + above_chance**0.5) / 2)


def _checked(batch: int, pairs: int) -> range:
    if not 0 <= batch <= pairs:
        raise ValueError(f"a batch of {batch} pairs cannot be chosen from {pairs}")
    return range(batch)


def _by_chunks(merit: Merit, leads: Leads) -> np.ndarray:
    """Merits `[P]`, in pieces for the sake of memory."""
    variance, starts = leads.variance, range(0, len(leads), CHUNK)
    parts = [merit(leads.mean[i : i + CHUNK], variance[i : i + CHUNK]) for i in starts]
    return np.concatenate([np.zeros(0), *parts])


def _narrowed(root: np.ndarray, direction: np.ndarray, mean: float) -> np.ndarray:
    """What factors are multiplied by `[R, R]` after a judgement of a pair whose factor is `direction` by now, `[R]`."""
    variance = float(direction @ direction)
    if variance == 0:
        return root
    chances = _chances(np.array([mean]), np.array([variance]))[0]
    precision = float((chances * (1 - chances)) @ _WEIGHTS)  # what a judgement adds to that of the lead
    # The square root of I - precision d d' / (1 + precision d'd), so that a factor stays a factor.
    shrink = (1 - (1 + precision * variance) ** -0.5) / variance
    return root - np.outer(root @ direction, shrink * direction)


def _chances(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Chances that a is preferred at the nodes of quadrature, `[P, nodes]`."""
    return expit(mean[:, None] + np.sqrt(variance)[:, None] * _NODES)


def _entropy(chance: np.ndarray) -> np.ndarray:
    return -xlogy(chance, chance) - xlogy(1 - chance, 1 - chance)
