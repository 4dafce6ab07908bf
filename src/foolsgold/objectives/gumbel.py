"""Planning with Gumbel: the arithmetic of Danihelka et al. 2022, "Policy improvement by planning with Gumbel".

One node of a search tree is four numbers an action and one for the node. The legend of all functions here:

- `prior`: float32 `[A]`, the policy network's probabilities, 0 for illegal actions.
- `visits`: int32 `[A]`, simulations that went through each action.
- `totals`: float32 `[A]`, sum of the values those simulations brought back, for the player to move at the node.
- `value`: the value network's estimate at the node, for the player to move, in [-1, 1].
- `value_scale`, `visit_offset`: c_scale and c_visit of the paper's equation 8.
"""

import math

import numpy as np
from numba import float64

from foolsgold.compiled import kernel, next_random, random_unit


def considered_visits(considered: int, simulations: int) -> np.ndarray:
    """Sequential halving as a schedule: which visit count is to be raised by each simulation.

    Sequential halving (Karnin et al. 2013) shares `simulations` among ceil(log2(considered)) rounds and drops the
    worse half of the actions after each. Written as visit counts: simulation i goes to the best action among those
    visited exactly `schedule[i]` times so far.

    Returns: int32 `[simulations]`.
    """
    if considered <= 1:
        return np.arange(simulations, dtype=np.int32)
    rounds = math.ceil(math.log2(considered))
    schedule: list[int] = []
    visited, remaining = 0, considered
    while len(schedule) < simulations:
        for _ in range(max(1, simulations // (rounds * remaining))):
            schedule += [visited] * remaining
            visited += 1
        remaining = max(2, remaining // 2)
    return np.array(schedule[:simulations], np.int32)


def halving_table(considered: int, simulations: int) -> np.ndarray:
    """Schedules for every number of considered actions: int32 `[considered + 1, simulations]`."""
    return np.stack([considered_visits(m, simulations) for m in range(considered + 1)])


@kernel
def mixed_value(prior, visits, totals, value):
    """v_mix, the value given to actions that were not visited (paper, equation 33).

    Returns (v_mix, all visits, most visits of one action).
    """
    all_visits = 0
    most = 0
    mass = 0.0
    weighted = 0.0
    for a in range(len(prior)):
        n = visits[a]
        if n > 0:
            all_visits += n
            mass += prior[a]
            weighted += prior[a] * totals[a] / n
            most = max(most, n)
    if all_visits == 0:
        return float64(value), all_visits, most
    return (value + all_visits * weighted / max(mass, 1e-37)) / (1 + all_visits), all_visits, most


@kernel
def select_root(prior, visits, totals, value, gumbel, considered_visit, value_scale, visit_offset):
    """The action with the highest gumbel + logit + sigma(q) among those visited `considered_visit` times.

    Args:
      gumbel: float32 `[A]`, Gumbel(0) noise, all 0 to act greedily.

    Returns: the action; -1 when no legal action has that many visits.
    """
    mix, _, most = mixed_value(prior, visits, totals, value)
    scale = value_scale * (visit_offset + most)
    best, choice = -np.inf, -1
    for a in range(len(prior)):
        if prior[a] <= 0 or visits[a] != considered_visit:
            continue
        q = totals[a] / visits[a] if visits[a] > 0 else mix
        merit = gumbel[a] + math.log(prior[a]) + scale * q
        if merit > best:
            best, choice = merit, a
    return choice


@kernel
def select_interior(prior, visits, totals, value, value_scale, visit_offset):
    """The action whose share of visits lags most behind the improved policy (paper, equation 14)."""
    mix, all_visits, most = mixed_value(prior, visits, totals, value)
    scale = value_scale * (visit_offset + most)
    # Unvisited actions share the factor exp(scale * mix), which cancels: only visited ones need an exponential.
    norm = 0.0
    for a in range(len(prior)):
        if visits[a] > 0:
            norm += prior[a] * math.exp(min(scale * (totals[a] / visits[a] - mix), 600.0))
        else:
            norm += prior[a]
    best, choice = -np.inf, 0
    for a in range(len(prior)):
        if prior[a] <= 0:
            continue
        weight = float64(prior[a])
        if visits[a] > 0:
            weight *= math.exp(min(scale * (totals[a] / visits[a] - mix), 600.0))
        merit = weight / norm - visits[a] / (1 + all_visits)
        if merit > best:
            best, choice = merit, a
    return choice


@kernel
def improved_policy(prior, visits, totals, value, value_scale, visit_offset, out):
    """softmax(logits + sigma(completed q)) into `out` float32 `[A]` (paper, equation 11): what the policy learns."""
    mix, _, most = mixed_value(prior, visits, totals, value)
    scale = value_scale * (visit_offset + most)
    highest = -np.inf
    for a in range(len(prior)):
        if prior[a] > 0:
            q = totals[a] / visits[a] if visits[a] > 0 else mix
            highest = max(highest, math.log(prior[a]) + scale * q)
    norm = 0.0
    for a in range(len(prior)):
        out[a] = 0
        if prior[a] > 0:
            q = totals[a] / visits[a] if visits[a] > 0 else mix
            out[a] = math.exp(math.log(prior[a]) + scale * q - highest)
            norm += out[a]
    for a in range(len(prior)):
        out[a] /= norm


@kernel
def softmax_legal(logits, legal, out):
    """Probabilities of the legal actions into `out` float32 `[A]`, 0 for the others."""
    highest = -np.inf
    for a in range(len(out)):
        if legal[a] and logits[a] > highest:
            highest = logits[a]
    norm = 0.0
    for a in range(len(out)):
        out[a] = math.exp(logits[a] - highest) if legal[a] else 0.0
        norm += out[a]
    for a in range(len(out)):
        if legal[a]:
            out[a] = max(out[a] / norm, 1e-30)  # a legal action keeps a logarithm


@kernel
def sample_gumbel(seed, scale, out):
    """Fill `out` float32 `[A]` with Gumbel(0) noise times `scale`; returns the next seed."""
    for a in range(len(out)):
        seed = next_random(seed)
        out[a] = -math.log(-math.log(random_unit(seed))) * scale
    return seed
