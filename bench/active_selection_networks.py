"""An ensemble of small networks as the reward model, fitted anew after each batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from active_selection_worlds import World
from foolsgold.labels.next_pair import Leads, Strategy
from foolsgold.objectives.preference import preference_cross_entropy
from foolsgold.training.active_comparisons import Gathered, Gathering, gather

MEMBERS, HIDDEN = 5, 32
STEPS, BATCH = 150, 64
LEARNING_RATE, WEIGHT_DECAY = 1e-2, 1.0


class Ensemble(nn.Module):
    """Networks of one hidden layer, all at once; they differ in their first weights and the order of their batches."""

    def __init__(self, features: int):
        super().__init__()
        self.first = nn.Parameter(torch.randn(MEMBERS, features, HIDDEN) * (2 / features) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(MEMBERS, 1, HIDDEN))
        self.out = nn.Parameter(torch.randn(MEMBERS, HIDDEN, 1) / HIDDEN**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """`[M, B, F]` -> rewards `[M, B]`."""
        return (torch.relu(features @ self.first + self.bias) @ self.out).squeeze(2)


def fit_networks(a: Tensor, b: Tensor, prefers_a: Tensor, seed: int) -> Ensemble:
    """Fit to comparisons of features `[K, F]`."""
    generator = torch.manual_seed(seed)
    model = Ensemble(a.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - step / STEPS)
        rows = torch.randint(len(a), (MEMBERS, BATCH), generator=generator)
        loss = preference_cross_entropy(model(a[rows]).flatten(), model(b[rows]).flatten(), prefers_a[rows].flatten())
        optimizer.zero_grad(set_to_none=True)
        (loss * MEMBERS).backward()
        optimizer.step()
    return model


def network_curve(world: World, strategy: Strategy, plan: Gathering, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Comparisons after each fit, and the accuracy of the members' mean."""
    rng = np.random.default_rng([seed, 74])
    rater = rng.integers(world.chances.shape[1], size=world.pairs)
    said = rng.random(world.pairs) < world.chances[np.arange(world.pairs), rater]
    a, b = torch.from_numpy(world.a).float(), torch.from_numpy(world.b).float()
    comparisons, accuracy = [], []

    def fit(gathered: Gathered) -> Ensemble:
        rows = torch.from_numpy(gathered.rows)
        return fit_networks(a[rows], b[rows], torch.from_numpy(gathered.prefers_a).float(), seed)

    @torch.no_grad()
    def leads(model: Ensemble, rows: np.ndarray) -> Leads:
        scores = [model(side[rows].expand(MEMBERS, -1, -1)).numpy() for side in (a, b)]
        return Leads.of_members(*scores)

    def report(judged: int, model: Ensemble) -> None:
        comparisons.append(judged)
        mean = leads(model, np.arange(world.pairs, len(world.a))).mean
        accuracy.append(((mean > 0) == world.most_prefer_a).mean())

    gather(world.pairs, lambda rows: said[rows], fit, leads, strategy, plan, seed, report)
    return np.array(comparisons), np.array(accuracy)
