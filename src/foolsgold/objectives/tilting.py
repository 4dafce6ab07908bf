"""Policies that choose among given candidates, all at one KL from the policy that wrote them.

The reference policy draws each of a prompt's candidates alike. What maximises an expected reward at a given KL from it
is then known exactly, candidate by candidate: no optimiser stands between a rule and what it does.

Letters: P prompts, N candidates of each, G groups. KL is the mean over prompts, in nats; strength is one number for
all prompts, the reciprocal of the price of a nat.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize
from scipy.special import entr, softmax

STRONGEST = 1e6
"""Strength, for rewards of deviation 1, at which only ties are left."""
PRECISION = 1e-10
"""Largest error of a logarithm of a chance in the regularised Nash equilibrium."""


def kl_from_uniform(chances: np.ndarray) -> float:
    """Mean KL over prompts of chances `[P, N]` from drawing every candidate alike, nats."""
    return float(np.log(chances.shape[1]) - entr(chances).sum(1).mean())


def tilt_at_kl(reward: ArrayLike, kl: float) -> np.ndarray:
    """The policy with the highest expected reward of all at this KL: chances `[P, N]`, each row summing to 1.

    It is proportional to exp(strength · reward) within each prompt, as the optimum of RL with a price on KL is.

    Args:
      reward: `[P, N]`; what a prompt's candidates share does not matter.
      kl: nats, above 0.

    Raises:
      ValueError: the KL cannot be reached, since too many candidates share the highest reward.

    Source: Korbak et al. 2022, equation 4; with the strength found by bisection.
    """
    values = np.asarray(reward, np.float64)
    values = values - values.max(1, keepdims=True)
    values = values / max(float(values.std()), 1e-300)

    def chances(log_strength: float) -> np.ndarray:
        return softmax(np.exp(log_strength) * values, axis=1)

    top = np.log(STRONGEST)
    most = kl_from_uniform(chances(top))
    if not 0 < kl < most:
        raise ValueError(f"a KL of {kl:g} nats cannot be reached; give one above 0 and below {most:.3g}")
    return chances(optimize.brentq(lambda x: kl_from_uniform(chances(x)) - kl, -25.0, top, xtol=1e-12))


def maximin_at_kl(rewards: ArrayLike, kl: float) -> tuple[np.ndarray, np.ndarray]:
    """The policy at this KL whose worst group has the highest expected reward, and the weights that make it.

    By the minimax theorem it is the tilt by a weighted mean of the groups' rewards, with the weights under which that
    tilt's own expected reward is least: groups that fare better than the worst one weigh nothing.

    Args:
      rewards: `[G, P, N]`, on one scale; for each group 0 is what it counts from.
      kl: nats, above 0.

    Returns: (chances `[P, N]`, weights `[G]` that sum to 1).

    Raises:
      ValueError: as for `tilt_at_kl`.

    Source: Chakraborty et al. 2024 (MaxMin-RLHF), equation 7, at a KL in place of a price.
    """
    values = np.asarray(rewards, np.float64)
    groups = len(values)

    def gains(weights: np.ndarray) -> np.ndarray:
        return expected(tilt_at_kl(np.tensordot(weights, values, 1), kl), values)

    def best(weights: np.ndarray) -> tuple[float, np.ndarray]:
        found = gains(weights)
        return float(weights @ found), found  # the envelope theorem: the policy's own change costs nothing

    if groups == 1:
        weights = np.ones(1)
    elif groups == 2:
        weights = _two_weights(lambda w: float(np.subtract(*gains(np.array([w, 1 - w])))))
    else:
        weights = optimize.minimize(
            best,
            np.full(groups, 1 / groups),
            jac=True,
            bounds=[(0, 1)] * groups,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 200},
        ).x
        weights = np.clip(weights, 0, None) / np.clip(weights, 0, None).sum()
    return tilt_at_kl(np.tensordot(weights, values, 1), kl), weights


def _two_weights(lead: Callable[[float], float]) -> np.ndarray:
    """Weights of two groups, by how far the first leads under its own weight, which rises with that weight."""
    if lead(0.0) >= 0:
        first = 0.0
    elif lead(1.0) <= 0:
        first = 1.0
    else:
        first = optimize.brentq(lead, 0.0, 1.0, xtol=1e-9)
    return np.array([first, 1 - first])


def expected(chances: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean over prompts of the expectation of `values` `[..., P, N]` under chances `[P, N]`: `[...]`."""
    return np.einsum("pn,...pn->...", chances, values) / len(chances)


def nash_at_kl(shares: ArrayLike, kl: float) -> np.ndarray:
    """The policy at this KL that is preferred to every other one that pays the same for KL: chances `[P, N]`.

    The regularised Nash equilibrium of the game "be preferred"; see
    `objectives.aggregation.social_choice.regularized_nash`, which solves one prompt at a given price.

    Args:
      shares: `[P, N, N]`, who prefer the row's candidate to the column's; with its transpose 1.
      kl: nats, above 0.

    Raises:
      ValueError: the KL cannot be reached.

    Source: Munos et al. 2024 (Nash learning from human feedback), section 4.
    """
    margins = np.asarray(shares, np.float64)
    margins = (margins - margins.transpose(0, 2, 1)) / 2  # a constant share adds nothing to a softmax
    logits = np.zeros(margins.shape[:2])
    low, strength = 0.0, 1.0
    before = logits
    while kl_from_uniform(softmax(logits := _equilibrium(margins, strength, before), axis=1)) < kl:
        low, strength, before = strength, 1.5 * strength, logits
        if strength > STRONGEST:
            raise ValueError(f"no equilibrium lies at {kl:g} nats; give less, or candidates that differ more")

    def chances(at: float) -> np.ndarray:
        return softmax(_equilibrium(margins, at, before), axis=1)

    return chances(optimize.brentq(lambda x: kl_from_uniform(chances(x)) - kl, low, strength, xtol=1e-9))


def _equilibrium(margins: np.ndarray, strength: float, start: np.ndarray) -> np.ndarray:
    """Logits `[P, N]` with z = strength · margins softmax(z), by Newton's method from `start`.

    The Jacobian can always be inverted: a skew-symmetric matrix times a covariance has imaginary eigenvalues alone.
    """
    logits, eye = start.copy(), np.eye(margins.shape[1])
    for _ in range(100):
        p = softmax(logits, axis=1)
        pull = np.einsum("pij,pj->pi", margins, p)
        error = logits - strength * pull
        if np.abs(error).max() < PRECISION:
            return logits
        jacobian = eye - strength * (margins * p[:, None] - pull[:, :, None] * p[:, None])
        step = np.linalg.solve(jacobian, error[:, :, None])[:, :, 0]
        # Far from the solution a whole step may overshoot: no logit moves by more than 2.
        logits = logits - step / np.maximum(1, np.abs(step).max(1, keepdims=True) / 2)
    raise ValueError(f"no equilibrium was found at a strength of {strength:g}; candidates differ too little")
