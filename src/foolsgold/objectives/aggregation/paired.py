"""Paired comparisons as arrays: which of two items each rater preferred.

Letters: J comparisons, R raters, I items that are compared (candidates), P distinct pairs of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from foolsgold.objectives.aggregation.votes import codes


@dataclass(frozen=True)
class PairedComparisons:
    """Comparisons of two items each, as codes from 0."""

    a: np.ndarray
    """int64 `[J]`, the items named first."""
    b: np.ndarray
    """int64 `[J]`, the items named second."""
    outcome: np.ndarray
    """float64 `[J]`, from 0 to 1: 1 where a was preferred, 0 where b was, 0.5 for a tie (and for both bad)."""
    rater: np.ndarray
    """int64 `[J]`; all 0 where raters are not told apart."""
    items: tuple[Any, ...]
    """`[I]`, names."""
    raters: tuple[Any, ...]
    """`[R]`, names."""

    def __post_init__(self) -> None:
        if not len(self.a) == len(self.b) == len(self.outcome) == len(self.rater) > 0:
            raise ValueError("a, b, outcome and rater must have one entry a comparison, and there must be one at least")
        if not ((self.outcome >= 0) & (self.outcome <= 1)).all():
            raise ValueError("outcomes must lie from 0 (b preferred) to 1 (a preferred)")
        if (self.a == self.b).any():
            raise ValueError("an item is compared with itself; such a comparison tells nothing, leave it out")

    @classmethod
    def of(
        cls,
        a: Iterable[Hashable],
        b: Iterable[Hashable],
        outcome: ArrayLike,
        raters: Iterable[Hashable] | None = None,
    ) -> PairedComparisons:
        """Codes for names of any kind, in the order in which they first come.

        Args:
          a, b: `[J]`, the items of each comparison.
          outcome: `[J]`, 1 where a was preferred, 0 where b was, 0.5 for a tie.
          raters: `[J]`, who compared.

        Raises:
          ValueError: no comparisons, rows of different lengths, outcomes outside 0 to 1, or an item compared with
            itself.
        """
        first, second = (each if isinstance(each, np.ndarray) else list(each) for each in (a, b))
        outcomes = np.asarray(outcome, np.float64)
        both = isinstance(first, np.ndarray) and isinstance(second, np.ndarray)
        index, items = codes(np.concatenate([first, second]) if both else [*first, *second])
        rater, names = codes([None] * len(first) if raters is None else raters)
        return cls(index[: len(first)], index[len(first) :], outcomes, rater, items, names)

    @property
    def pairs(self) -> Pairs:
        """What all raters together said of each distinct pair; enough for every model that does not tell them apart."""
        low, high = np.minimum(self.a, self.b), np.maximum(self.a, self.b)
        won = np.where(self.a < self.b, self.outcome, 1 - self.outcome)
        shape = (len(self.items), len(self.items))
        # Both matrices hold the same cells, zeros included, in the same order; several times faster than sorting pairs.
        wins, n = (sparse.csr_array((each, (low, high)), shape=shape) for each in (won, np.ones(len(low))))
        for matrix in (wins, n):
            matrix.sum_duplicates()
        cells = n.tocoo()
        return Pairs(cells.row.astype(np.int64), cells.col.astype(np.int64), wins.data, n.data, len(self.items))


@dataclass(frozen=True)
class Pairs:
    """Wins and comparisons of each distinct pair."""

    a: np.ndarray
    """int64 `[P]`, the item with the lower code."""
    b: np.ndarray
    """int64 `[P]`, the other one."""
    wins: np.ndarray
    """`[P]`, how often a was preferred, ties counted half."""
    n: np.ndarray
    """`[P]`, comparisons, or their weights."""
    items: int
    """I."""

    def shares(self) -> np.ndarray:
        """`[I, I]`, how often the row's item was preferred to the column's; 0.5 where they were never compared."""
        share = np.full((self.items, self.items), 0.5)
        share[self.a, self.b] = self.wins / self.n
        share[self.b, self.a] = 1 - self.wins / self.n
        return share

    def beats(self) -> sparse.csr_array:
        """`[I, I]`, wins of the row's item over the column's, without the pairs that it never won."""
        rows, columns = np.r_[self.a, self.b], np.r_[self.b, self.a]
        won = np.r_[self.wins, self.n - self.wins]
        kept = won > 0
        return sparse.csr_array((won[kept], (rows[kept], columns[kept])), shape=(self.items, self.items))
