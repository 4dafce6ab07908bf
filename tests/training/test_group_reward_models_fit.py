"""Raters of two tastes: EM tells them apart, heads follow their raters, spread shows where they differ."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

from foolsgold.environments.go import rules
from foolsgold.errors import UserError
from foolsgold.policies.go_network import NetworkSize
from foolsgold.rewards.group_reward_models import BoardHeads
from foolsgold.training.batches import epoch_order
from foolsgold.training.go_reward_model import BoardPairs
from foolsgold.training.group_reward_models import (
    BoardComparisons,
    HeadSettings,
    fit_groups,
    fit_mean_and_spread,
    fit_raters,
    groups_of_raters,
    mean_and_spread,
    rater_scores,
)
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings

RATERS, FEATURES = 20, 4
TASTES = np.array([[2.0, 2.0, 0.0, 0.0], [2.0, -2.0, 0.0, 0.0]])
GROUP = np.arange(RATERS) // 16
"""Sixteen of one taste, four of the other: they agree about the first feature, and not about the second."""


class Vectors:
    """Comparisons of vectors, which heads see as they are."""

    def __init__(self, count: int, seed: int):
        rng = np.random.default_rng(seed)
        self.rater = rng.permutation(np.arange(count) % RATERS)
        both = rng.normal(size=(2, count, FEATURES))
        lead = ((both[0] - both[1]) * TASTES[GROUP[self.rater]]).sum(1)
        first = rng.random(count) < 1 / (1 + np.exp(-lead))
        self.chosen, self.rejected = (
            torch.from_numpy(np.where(each[:, None], *both)).float() for each in (first, ~first)
        )

    def __len__(self) -> int:
        return len(self.rater)

    def order(self, batch: int):
        return epoch_order

    def scores(self, model, rows):
        return model(self.chosen[rows]), model(self.rejected[rows])


def settings(steps: int = 150) -> HeadSettings:
    return HeadSettings(LoopSettings(steps, AdamWSettings(0.05), save_every=10, dtype=torch.float32))


def heads(count: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(FEATURES, count)


def weights(model: nn.Module) -> np.ndarray:
    return next(model.parameters()).detach().numpy()


def test_em_finds_the_minority_from_a_poor_start_and_learns_both_tastes():
    pairs = Vectors(4000, 0)
    start = np.where(GROUP[:, None] == [0, 1], 0.55, 0.45)
    model = heads(2)
    belongs = fit_groups(model, pairs, pairs.rater, start, settings(300), rounds=5)
    assert belongs.argmax(1).tolist() == GROUP.tolist()
    assert belongs.sum(1) == pytest.approx(np.ones(RATERS))
    assert weights(model) == pytest.approx(TASTES, abs=0.8)


def test_a_head_a_rater_follows_its_rater_and_shrinks_with_the_price():
    pairs = Vectors(4000, 1)
    free, priced = heads(1 + RATERS), heads(1 + RATERS)
    fit_raters(free, pairs, pairs.rater, settings(300), shrinkage=0.01)
    fit_raters(priced, pairs, pairs.rater, settings(300), shrinkage=10.0)
    second = rater_scores(weights(free).T)[1]
    assert second[GROUP == 0].min() > 0 > second[GROUP == 1].max()
    assert np.abs(weights(priced)[1:]).mean() < 0.3 * np.abs(weights(free)[1:]).mean()


def test_raters_are_grouped_by_what_sets_them_apart_the_largest_group_first():
    liking = np.random.default_rng(0).normal(size=(FEATURES, 50)) * 3
    noisy = TASTES[GROUP] @ liking + np.random.default_rng(1).normal(size=(RATERS, 50))
    assert groups_of_raters(noisy + 100, 2, seed=0).tolist() == GROUP.tolist()


class Deviation(nn.Module):
    """Mean from the first two features, spread from the size of the second: what two tastes leave of it."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.spread = nn.Linear(FEATURES, 1, bias=False), nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.mean(x), self.spread(x[:, 1:2].abs())], 1)


def test_spread_is_found_without_names_where_tastes_part():
    pairs = Vectors(6000, 2)
    model = Deviation()
    fit_mean_and_spread(model, pairs, settings(300))
    assert float(model.spread.weight.detach()) > 0.2
    mean, spread = mean_and_spread(np.array([[1.0, 0.0], [2.0, 50.0]]))
    assert mean.tolist() == [1.0, 2.0]
    assert spread == pytest.approx([np.log(2), 50.0])


def test_a_killed_fit_goes_on_to_the_same_numbers(tmp_path):
    pairs = Vectors(400, 3)
    start = np.full((RATERS, 2), 0.5) + 0.2 * np.eye(2)[GROUP] - 0.1
    whole, killed = heads(2), heads(2)
    belongs = fit_groups(whole, pairs, pairs.rater, start, settings(40))

    def stop(step, metrics):
        if step == 27:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        fit_groups(killed, pairs, pairs.rater, start, settings(40), folder=tmp_path, report=stop)
    again = heads(2)
    assert np.array_equal(fit_groups(again, pairs, pairs.rater, start, settings(40), folder=tmp_path), belongs)
    assert np.array_equal(weights(again), weights(whole))


def test_nothing_to_learn_from_is_said():
    with pytest.raises(UserError, match="no comparisons"):
        fit_mean_and_spread(heads(2), Vectors(0, 0), settings())


def test_boards_are_scored_by_what_was_preferred():
    torch.manual_seed(0)
    model = BoardHeads(NetworkSize(1, 8), 3).eval()
    states = np.stack([rules.new_state(5), rules.new_state(5)])
    history = rules.new_history(10)
    rules.play(states[1], history, 7)
    pairs = BoardPairs(states, np.array([0, 0]), np.array([1, 1]), np.array([1, 1], np.int8), np.array([True, False]))
    chosen, rejected = BoardComparisons(pairs).scores(model, np.array([0, 1]))
    assert chosen.shape == (2, 3)
    assert torch.equal(chosen[0], rejected[1])
    assert torch.equal(chosen[1], rejected[0])
    assert not torch.equal(chosen[0], rejected[0])
