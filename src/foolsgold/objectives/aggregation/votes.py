"""Judgements of many raters about many items, counted: majority, and how often each rater is right.

Letters: J judgements, R raters, I items, K classes (labels that a rater may give). An item may be a pair of candidates
with the classes a, b and tie; then a majority vote adds up comparisons of one pair.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

ROUNDING = 1e-9
"""Difference of two scores, as a share of their size, that is float64 and not a preference."""


@dataclass(frozen=True)
class Judgements:
    """Who said what of which item: the crowd format worker, item, label, as codes from 0.

    A rater who judged an item twice counts twice.
    """

    rater: np.ndarray
    """int64 `[J]`, index into `raters`."""
    item: np.ndarray
    """int64 `[J]`, index into `items`."""
    label: np.ndarray
    """int64 `[J]`, index into `classes`."""
    raters: tuple[Any, ...]
    """`[R]`, names in the order of their first judgement."""
    items: tuple[Any, ...]
    """`[I]`, likewise."""
    classes: tuple[Any, ...]
    """`[K]`."""

    @classmethod
    def of(
        cls,
        raters: Iterable[Hashable],
        items: Iterable[Hashable],
        labels: Iterable[Hashable],
        classes: Sequence[Hashable] | None = None,
    ) -> Judgements:
        """Codes for names of any kind.

        Args:
          raters, items, labels: `[J]` each; row j says that the rater gave the item the label.
          classes: all labels that may be given, in the order wanted; those that were given, sorted, if left out.

        Raises:
          ValueError: no judgements, rows of different lengths, or a label that is none of `classes`.
        """
        (rater, rater_names), (item, item_names), (given, found) = codes(raters), codes(items), codes(labels)
        if not len(rater) == len(item) == len(given) > 0:
            raise ValueError(
                f"{len(rater)} raters, {len(item)} items and {len(given)} labels; give one each a judgement"
            )
        named = tuple(sorted(found)) if classes is None else tuple(classes)
        place = {name: k for k, name in enumerate(named)}
        unknown = [label for label in found if label not in place]
        if unknown:
            raise ValueError(f"label {unknown[0]!r} is none of the classes {', '.join(map(repr, named))}")
        label = np.array([place[name] for name in found])[given]
        return cls(rater, item, label, rater_names, item_names, named)

    def counts(self, weight: ArrayLike | None = None) -> np.ndarray:
        """How often each item got each label: `[I, K]`; with `weight` `[R]`, the weights of those who gave it."""
        cell = self.item * len(self.classes) + self.label
        each = None if weight is None else weights_of(weight, len(self.raters))[self.rater]
        flat = np.bincount(cell, weights=each, minlength=len(self.items) * len(self.classes))
        return flat.reshape(len(self.items), len(self.classes)).astype(np.float64)

    def truth(self, known: dict[Any, Any]) -> np.ndarray:
        """The true classes of the items named in `known`, as int64 `[I]`; -1 where nothing is known.

        Raises:
          ValueError: a true label that is none of the classes.
        """
        place = {name: k for k, name in enumerate(self.classes)}
        try:
            return np.array([place[known[name]] if name in known else -1 for name in self.items], np.int64)
        except KeyError as error:
            raise ValueError(f"true label {error} is none of the classes") from None


def codes(names: Iterable[Hashable]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Indices int64 `[J]` into the distinct names, and these in the order in which they first came."""
    if isinstance(names, np.ndarray) and names.dtype.kind in "iu":
        # Sorting numbers is several times faster than hashing as many Python objects.
        found, first, index = np.unique(names, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return np.argsort(order)[index], tuple(found[order].tolist())
    place: dict[Hashable, int] = {}
    indices = [place.setdefault(name, len(place)) for name in names]
    return np.array(indices, np.int64), tuple(place)


def weights_of(weight: ArrayLike | None, n: int) -> np.ndarray:
    """`weight` as an array `[n]`; ones if there is none.

    Raises:
      ValueError: not one weight each, one that is not from 0 up, or all 0.
    """
    weights = np.ones(n) if weight is None else np.asarray(weight, np.float64)
    if weights.shape != (n,) or not (np.isfinite(weights) & (weights >= 0)).all() or weights.sum() == 0:
        raise ValueError(f"give {n} weights from 0 up, not all 0")
    return weights


def vote_shares(counts: ArrayLike) -> np.ndarray:
    """Share of an item's votes that each class has: `[I, K]`; NaN for an item without votes.

    Args:
      counts: `[I, K]`, from 0 up, as `Judgements.counts` gives them.
    """
    votes = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):
        return votes / votes.sum(1, keepdims=True)


def majority_vote(counts: ArrayLike) -> np.ndarray:
    """Chance of each class to be called the winner, `[I, K]`: 1 for the one with most votes; tied ones share evenly.

    Args:
      counts: `[I, K]`, votes, or posterior probabilities: then it picks the most probable class.
    """
    return winners(np.asarray(counts, np.float64))


def winners(scores: np.ndarray) -> np.ndarray:
    """1 for the highest score along the last axis, shared evenly by all that are equal to it but for rounding.

    Args:
      scores: `[..., C]`, finite.

    Returns:
      Chances `[..., C]` that sum to 1.
    """
    top = scores.max(-1, keepdims=True)
    size = np.abs(scores).max(-1, keepdims=True)
    best = scores >= top - ROUNDING * size
    return best / best.sum(-1, keepdims=True)


def consensus_accuracy(chances: np.ndarray, truth: np.ndarray) -> float:
    """Share of items with a known truth that are called right, ties counted by chance.

    Args:
      chances: `[I, K]`, of `majority_vote`.
      truth: int `[I]`, the true class; -1 where it is not known.

    Raises:
      ValueError: no truth is known.
    """
    known = np.flatnonzero(truth >= 0)
    if len(known) == 0:
        raise ValueError("no item has a known truth; there is nothing to be right about")
    return float(chances[known, truth[known]].mean())


def rater_accuracy(judgements: Judgements, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each rater is right: right judgements and judgements of items with a known truth, `[R]` each.

    Args:
      truth: int `[I]`, -1 where it is not known.
    """
    true = truth[judgements.item]
    raters = len(judgements.raters)
    right = np.bincount(judgements.rater[true == judgements.label], minlength=raters)
    return right, np.bincount(judgements.rater[true >= 0], minlength=raters)


def agreement_with_others(judgements: Judgements) -> np.ndarray:
    """Chance that another judgement of the same item, drawn at random, says what the rater said: `[R]`.

    The mean over the rater's judgements that are not the only one of their item; NaN for a rater without such. A rater
    who answers at random stands out here when no truth is known.
    """
    votes = judgements.counts()
    others = votes.sum(1)[judgements.item] - 1
    alike = votes[judgements.item, judgements.label] - 1
    shared = others > 0
    rater, raters = judgements.rater[shared], len(judgements.raters)
    total = np.bincount(rater, weights=alike[shared] / others[shared], minlength=raters)
    with np.errstate(invalid="ignore"):
        return total / np.bincount(rater, minlength=raters)
