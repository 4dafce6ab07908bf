"""Social choice from who prefers what to what: Condorcet, Borda, Copeland, and the maximal lottery (Nash).

Letters: V voters, C candidates. All but plurality need no more of the voters than `shares` `[C, C]`: the share who
prefer the row's candidate to the column's, ties counted half, so that `shares + shares.T` is 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize
from scipy.special import softmax

from foolsgold.objectives.aggregation.votes import weights_of, winners

UNEVEN = 1e-9
"""Sum of squares by which a lottery may miss the most even one."""
MOST_STEPS = 500
"""Newton steps of the regularised Nash policy; it takes some ten."""


def preference_shares(utilities: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Share of voters who prefer the row's candidate to the column's, `[C, C]`, ties counted half.

    Args:
      utilities: `[V, C]`, higher is better; only the order within a row counts.
      weight: `[V]`, from 0 up, how much each voter counts; all alike if left out.
    """
    values = np.asarray(utilities, np.float64)
    weights = weights_of(weight, len(values))
    shares = np.empty((values.shape[1], values.shape[1]))
    for c in range(values.shape[1]):
        own = values[:, [c]]
        shares[c] = weights @ ((own > values) + 0.5 * (own == values))
    return shares / weights.sum()


def plurality(utilities: ArrayLike, weight: ArrayLike | None = None) -> np.ndarray:
    """Share of voters whose favourite the candidate is, `[C]`; equal favourites share a vote.

    Args:
      utilities, weight: as for `preference_shares`.
    """
    values = np.asarray(utilities, np.float64)
    return np.average(winners(values), axis=0, weights=weights_of(weight, len(values)))


def condorcet_winner(shares: ArrayLike) -> int | None:
    """The candidate whom more than half prefer to each of the others; None where there is none."""
    beats = _margins(shares) > 0
    found = np.flatnonzero(beats.sum(1) == len(beats) - 1)
    return int(found[0]) if len(found) else None


def borda(shares: ArrayLike) -> np.ndarray:
    """How often the candidate is preferred to another one drawn at random, `[C]`, from 0 to 1.

    It is the order that one reward model fitted to everybody's comparisons learns, however much people differ
    (Siththaranjan et al. 2024).

    Source: Borda 1781; divided by V (C - 1).
    """
    margins = _margins(shares)
    return 0.5 + margins.sum(1) / 2 / max(len(margins) - 1, 1)


def copeland(shares: ArrayLike) -> np.ndarray:
    """Share of the others whom the candidate beats, preferred by more than half; ties count half: `[C]`.

    Source: Copeland 1951.
    """
    margins = _margins(shares)
    return 0.5 + np.sign(margins).sum(1) / 2 / max(len(margins) - 1, 1)


def maximal_lottery(shares: ArrayLike) -> np.ndarray:
    """The lottery to which no candidate is preferred by more than half, `[C]`: Nash, or minimax, of the margins.

    It plays the symmetric zero-sum game "be preferred" optimally. A Condorcet winner gets all of it. With margins that
    are odd whole numbers over V there is but one; of several, it is the most even one (least sum of squares), so that
    candidates in equal positions get equal chances.

    Args:
      shares: `[C, C]`.

    Returns:
      Chances `[C]` that sum to 1.

    Raises:
      ValueError: `shares` is not square, or `shares + shares.T` is not 1.

    Source: Kreweras 1965; Fishburn 1984; as "Nash learning from human feedback", Munos et al. 2024. The most even point
      is found as by Wolfe 1976 (finding the nearest point in a polytope).
    """
    margins = _margins(shares)
    even = _optimal_lottery(margins, np.zeros(len(margins)))
    vertices = [even]
    for _ in range(10 * len(margins)):  # two rounds where there is but one maximal lottery
        vertex = _optimal_lottery(margins, even)
        if even @ vertex >= even @ even - UNEVEN:
            break
        vertices.append(vertex)
        # The shortest convex combination of the vertices found so far.
        equations = np.vstack([np.array(vertices).T, np.ones(len(vertices))])
        parts = optimize.nnls(equations, np.r_[np.zeros(len(margins)), 1])[0]
        even = parts @ np.array(vertices) / parts.sum()
    return even


def _optimal_lottery(margins: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Of the lotteries that no candidate beats one at which `cost` `[C]` is lowest: `[C]`."""
    size = len(margins)
    scale = np.abs(margins).max(0)
    found = optimize.linprog(
        cost,
        A_ub=-(margins / np.where(scale > 0, scale, 1)).T,
        b_ub=np.zeros(size),
        A_eq=np.ones((1, size)),
        b_eq=[1],
        method="highs",
    )
    chances = np.clip(found.x, 0, None)
    return chances / chances.sum()


def regularized_nash(shares: ArrayLike, reference: ArrayLike, temperature: float) -> np.ndarray:
    """The policy that wins against every other one when both pay for their KL from the reference policy: `[C]`.

    The fixed point of p ∝ reference · exp(shares p / temperature). As the temperature falls it nears a maximal lottery;
    as it rises, the reference policy.

    Args:
      shares: `[C, C]`.
      reference: `[C]`, chances under the reference policy, above 0.
      temperature: above 0; nats of KL cost that much of a share of preferences each.

    Raises:
      ValueError: as for `maximal_lottery`; a chance or the temperature is not above 0; no convergence.

    Source: Munos et al. 2024 (the regularised preference).
    """
    prefer = _margins(shares) / 2
    base = np.log(np.asarray(reference, np.float64) / np.sum(reference))
    if not (np.isfinite(base).all() and temperature > 0):
        raise ValueError("the reference policy must give every candidate a chance, and the temperature be above 0")

    def excess(logits: np.ndarray) -> np.ndarray:
        """How far the logits are from those of the best answer to them."""
        return logits - base - prefer @ softmax(logits) / temperature

    # Margins are skew-symmetric: no eigenvalue of the slope has a real part below 1, and Newton never gets stuck.
    logits, missing = base, excess(base)
    for _ in range(MOST_STEPS):
        if np.abs(missing).max() < 1e-12 * max(1, 1 / temperature):
            return softmax(logits)
        p = softmax(logits)
        slope = np.eye(len(p)) - prefer @ (np.diag(p) - np.outer(p, p)) / temperature
        step = np.linalg.solve(slope, missing)
        length = 1.0
        while np.linalg.norm(excess(logits - length * step)) > (1 - length / 4) * np.linalg.norm(missing):
            length /= 2
            if length < 1e-12:
                break
        logits = logits - length * step
        missing = excess(logits)
    raise ValueError(f"no convergence at temperature {temperature}; give a higher one, or take the maximal lottery")


def _margins(shares: ArrayLike) -> np.ndarray:
    """`[C, C]`, share who prefer the row's less share who prefer the column's; skew-symmetric to the last bit."""
    array = np.asarray(shares, np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise ValueError(f"shares must be [candidates, candidates], not {array.shape}")
    off = ~np.eye(len(array), dtype=bool)
    if not np.allclose((array + array.T)[off], 1):
        raise ValueError("of each two candidates the shares must sum to 1; count a tie half to each")
    margins = array - array.T
    return np.where(np.abs(margins) > 1e-12, margins, 0.0)
