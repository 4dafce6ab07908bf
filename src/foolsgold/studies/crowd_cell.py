"""What one draw of a crowd came to: what reward models and people make of the same candidates.

Letters: R raters, U users, G groups, P prompts, N candidates of each, K comparisons that no reward model was fitted to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from foolsgold.errors import UserError
from foolsgold.files import replacing, write_text
from foolsgold.rewards.group_reward_models import BoardHeads, TextHeads
from foolsgold.studies.crowd_plan import Cell
from foolsgold.studies.crowd_rules import Electorate
from foolsgold.studies.kept_models import decaying_loop
from foolsgold.training import checkpoint
from foolsgold.training.group_reward_models import (
    ComparedPairs,
    HeadSettings,
    fit_groups,
    fit_mean_and_spread,
    fit_raters,
    groups_of_raters,
    mean_and_spread,
    rater_scores,
)

Heads = TextHeads | BoardHeads


@dataclass(frozen=True)
class CellResult:
    """Arrays, as they lie in the cell's folder. Scores are in nats of log-odds, but for mean and spread."""

    pooled: np.ndarray
    """`[P, N]`, by the reward model of all comparisons"""
    groups: np.ndarray
    """`[G, P, N]`, by the head of each group that EM found"""
    belongs: np.ndarray
    """`[R, G]`, how far each rater is taken to belong to it"""
    raters: np.ndarray
    """`[R, P, N]`, by each rater's own head"""
    mean: np.ndarray
    """`[P, N]`"""
    spread: np.ndarray
    """`[P, N]`"""
    raters_true: np.ndarray
    """`[R, P, N]`, what raters like"""
    raters_group: np.ndarray
    """int `[R]`, groups of the crowd"""
    users_true: np.ndarray
    """`[U, P, N]`, what the users who are served like"""
    users_group: np.ndarray
    """int `[U]`"""
    gold: np.ndarray
    """`[P, N]`, what is true of the candidates whatever people like"""
    held_rater: np.ndarray
    """int `[K]`, who said what of the comparisons held out"""
    leads: np.ndarray
    """`[5, K]`, nats: of the candidate that was preferred, by pooled, groups (the rater's), raters (the rater's), mean
    (in units of the spread of the pair), and what the rater likes"""

    def save(self, path: Path) -> None:
        with replacing(path) as part:
            np.savez(part, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, path: Path) -> CellResult:
        """From the folder's `result.json`, which is written last."""
        with np.load(path.parent / "scores.npz") as kept:
            return cls(**kept)

    @cached_property
    def electorates(self) -> dict[str, Electorate]:
        """Whom a rule may add up: groups as EM found them, raters by their own heads, raters as they truly are."""
        likeliest = np.unique(self.belongs.argmax(1), return_inverse=True)[1]
        share = self.belongs.mean(0)
        each = np.ones(len(self.belongs))
        return {
            GROUPS: Electorate(self.groups, share, np.arange(len(share))),
            RATERS: Electorate(self.raters, each, likeliest),
            TRUTH: Electorate(self.raters_true, each, self.raters_group),
        }


GROUPS, RATERS, TRUTH = "groups found by EM", "a head a rater", "raters as they are"
LEADS = ("one for all", "a head a group", "a head a rater", "mean and spread", "what the rater likes")
"""Rows of `CellResult.leads`."""


@dataclass(frozen=True)
class Materials:
    """What a world hands over for one cell, so that the rest is the same in both."""

    pairs: ComparedPairs
    """Comparisons to fit to."""
    rater: np.ndarray
    """int, who said each"""
    held_rater: np.ndarray
    """int `[K]`"""
    new_heads: Callable[[int], Heads]
    """Makes an unfitted model of so many heads."""
    score: Callable[[Heads], np.ndarray]
    """`[P, N, H]`, of the candidates"""
    score_held: Callable[[Heads], np.ndarray]
    """`[2, K, H]`, of the candidates that were preferred and of the others, in the comparisons held out"""
    dtype: torch.dtype | None = None
    """In which heads are fitted; the machine's fastest where None."""


def fitted(cell: Cell, here: Path, given: Materials, tick: Callable[[str], Callable[[int, int], None]]) -> CellHeads:
    """All models with several heads, taken from the cell's folder where they are there."""
    crowd, groups = cell.crowd, len(cell.crowd.tastes)
    loop = replace(decaying_loop(cell.steps, cell.learning_rate, cell.seed, weight_decay=0.01), dtype=given.dtype)
    settings = HeadSettings(loop)

    def kept(name: str, heads: int, fit: Callable[[Heads, Path], np.ndarray | None]) -> tuple[Heads, np.ndarray | None]:
        path, model = here / f"{name}.safetensors", given.new_heads(heads)
        if not path.exists():
            belongs = fit(model, here / f"fit-{name}")
            checkpoint.save(path, model.state_dict(), {"belongs": None if belongs is None else belongs.tolist()})
        state, meta = checkpoint.load(path)
        model.load_state_dict(state)
        return model.eval(), None if meta["belongs"] is None else np.array(meta["belongs"])

    def of_raters(model: Heads, folder: Path) -> None:
        report = lambda step, _: tick("raters")(step, cell.steps)  # noqa: E731
        fit_raters(model, given.pairs, given.rater, settings, folder=folder, report=report)

    raters, _ = kept("raters", 1 + cell.raters, of_raters)

    def of_groups(model: Heads, folder: Path) -> np.ndarray:
        own = given.score(raters)[..., 1:].reshape(-1, cell.raters).T
        start = np.eye(groups)[groups_of_raters(own, groups, cell.seed)]
        report = lambda step, _: tick("groups")(step, cell.steps)  # noqa: E731
        # Not quite hard, so that a rater put into the wrong group can leave it.
        belongs = 0.9 * start + 0.1 / groups
        return fit_groups(model, given.pairs, given.rater, belongs, settings, folder=folder, report=report)

    def of_spread(model: Heads, folder: Path) -> None:
        report = lambda step, _: tick("spread")(step, cell.steps)  # noqa: E731
        fit_mean_and_spread(model, given.pairs, settings, folder, report)

    found, belongs = kept("groups", groups, of_groups) if groups > 1 else (None, None)
    spread, _ = kept("spread", 2, of_spread)
    if len(crowd.shares) != groups:
        raise UserError(f"{crowd.name}: {groups} tastes and {len(crowd.shares)} shares")
    return CellHeads(raters, found, belongs, spread)


@dataclass(frozen=True)
class CellHeads:
    """Fitted models of one cell."""

    raters: Heads
    groups: Heads | None
    """None where the crowd has one taste only, which needs no groups."""
    belongs: np.ndarray | None
    """`[R, G]`"""
    spread: Heads


def result_of(
    given: Materials,
    heads: CellHeads,
    pooled: np.ndarray,
    pooled_held: np.ndarray,
    true_lead: np.ndarray,
    people: dict[str, np.ndarray],
) -> CellResult:
    """Everything scored.

    Args:
      pooled: `[P, N]`, by the reward model of all comparisons.
      pooled_held: `[K]`, its lead of the preferred candidate in the comparisons held out.
      true_lead: `[K]`, the same by what the rater likes.
      people: `raters_true`, `raters_group`, `users_true`, `users_group` and `gold` of the result.
    """
    who, each = given.held_rater, np.arange(len(given.held_rater))
    raters, spread = given.score(heads.raters), given.score(heads.spread)
    own = np.subtract(*rater_scores(given.score_held(heads.raters)))[each, who]
    means, spreads = mean_and_spread(given.score_held(heads.spread))
    apart = (means[0] - means[1]) / np.hypot(*spreads)
    mean, deviation = mean_and_spread(spread)
    if heads.groups is None or heads.belongs is None:
        groups, belongs, of_group = pooled[None], np.ones((raters.shape[-1] - 1, 1)), pooled_held
    else:
        groups, belongs = np.moveaxis(given.score(heads.groups), -1, 0), heads.belongs
        of_group = (np.subtract(*given.score_held(heads.groups)) * belongs[who]).sum(1)
    return CellResult(
        pooled=pooled,
        groups=groups,
        belongs=belongs,
        raters=np.moveaxis(rater_scores(raters), -1, 0),
        mean=mean,
        spread=deviation,
        held_rater=who,
        leads=np.array([pooled_held, of_group, own, apart, true_lead]),
        **people,
    )


def finish(here: Path, result: CellResult) -> Path:
    """Write the result where `CellResult.read` finds it."""
    result.save(here / "scores.npz")
    return write_text(here / "result.json", "{}\n")
