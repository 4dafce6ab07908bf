"""The same with an ensemble of convolutional reward models of boards, fitted anew after each batch."""

from __future__ import annotations

import numpy as np
import torch

from active_selection_worlds import board_pairs
from foolsgold.labels.next_pair import Leads, Strategy
from foolsgold.policies.go_network import NetworkSize
from foolsgold.rewards.go_reward_model import GoRewardModel
from foolsgold.training.active_comparisons import Gathered, Gathering, gather
from foolsgold.training.go_reward_model import BoardPairs, RewardModelSettings, fit_reward_model, preference_margins

MEMBERS = 4
PAIRS, HELD_OUT = 3000, 2000
NETWORK = NetworkSize(blocks=2, channels=16)
BATCH, STEPS, PASSES = 32, 200, 4
"""Of a fit: as many steps as four passes take, and at least 200."""


def network_curve(strategy: Strategy, plan: Gathering, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Comparisons after each fit, and the accuracy of the members' mean."""
    drawn = board_pairs(PAIRS + HELD_OUT, seed)
    rng = np.random.default_rng([seed, 74])
    rater = rng.integers(drawn.chances.shape[1], size=PAIRS)
    said = rng.random(PAIRS) < drawn.chances[np.arange(PAIRS), rater]
    unjudged = np.zeros(len(drawn.a), bool)
    everything = BoardPairs(drawn.pool.states, drawn.a, drawn.b, drawn.color, unjudged)
    held_out = everything.rows(slice(PAIRS, None))
    most_prefer_a = drawn.chances[PAIRS:].mean(1) > 0.5
    comparisons, accuracy = [], []

    def fit(gathered: Gathered) -> list[GoRewardModel]:
        rows = gathered.rows
        pairs = BoardPairs(drawn.pool.states, drawn.a[rows], drawn.b[rows], drawn.color[rows], gathered.prefers_a)
        passes = max(PASSES, STEPS * BATCH / len(rows))
        settings = RewardModelSettings(batch=BATCH, passes=passes, average=0.98)
        models = []
        for member in range(MEMBERS):
            torch.manual_seed(1000 * seed + member)
            models.append(fit_reward_model(GoRewardModel(NETWORK), pairs, settings, 1000 * seed + member))
        return models

    def leads(models: list[GoRewardModel], rows: np.ndarray) -> Leads:
        return Leads.of_members(margins(models, everything.rows(rows)), np.zeros((MEMBERS, len(rows))))

    def report(judged: int, models: list[GoRewardModel]) -> None:
        comparisons.append(judged)
        accuracy.append(((margins(models, held_out).mean(0) > 0) == most_prefer_a).mean())

    gather(PAIRS, lambda rows: said[rows], fit, leads, strategy, plan, seed, report)
    return np.array(comparisons), np.array(accuracy)


def margins(models: list[GoRewardModel], pairs: BoardPairs) -> np.ndarray:
    return np.stack([preference_margins(model, pairs) for model in models])
