"""The study `crowd` on Go: members of a club compare boards of unfinished games, each for one side.

A prompt is an opening, a side, and the other side's dice; its candidates are the boards that the base policy's games
from there have come to after some moves.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from foolsgold.environments.go.amateurs import IMPRESSIONS
from foolsgold.files import replacing
from foolsgold.labels.board_comparisons import impressions_for
from foolsgold.rewards.go_reward_model import GoRewardModel
from foolsgold.rewards.group_reward_models import BoardHeads, board_scores
from foolsgold.studies.crowd_cell import Heads, Materials, finish, fitted, result_of
from foolsgold.studies.crowd_plan import Cell, CrowdPlan
from foolsgold.studies.crowd_tastes import board_tastes
from foolsgold.studies.gaming_go_pipeline import GoPipeline
from foolsgold.studies.poem_arm import ticking
from foolsgold.studies.progress import Stages
from foolsgold.training import checkpoint
from foolsgold.training.go_reward_model import BoardPairs
from foolsgold.training.group_reward_models import BoardComparisons
from foolsgold.training.rollouts import derived_seed

LEAD_SPREAD = 3.0
"""Standard deviation in nats of what a user likes about the boards of one prompt: people who know what they like."""


class BoardCrowds:
    """One run's stages on Go; everything is taken from the run folder where it is there."""

    def __init__(self, plan: CrowdPlan, folder: Path, stages: Stages):
        assert plan.go is not None
        self.plan, self.go, self.folder, self.stages = plan, plan.go, folder, stages
        self.pipeline = GoPipeline(plan.go, folder, stages)

    def prepare(self) -> None:
        """What all cells share."""
        _ = self.boards

    @cached_property
    def boards(self) -> dict[str, np.ndarray]:
        """Boards to choose among and boards to be compared, prompt by prompt, each with its side, and who would win."""
        path = self.folder / "boards.npz"
        if not path.exists():
            plan, pipeline = self.plan, self.pipeline
            _ = pipeline.base
            with self.stages.stage("the base policy plays", None):
                chosen, compared = (
                    pipeline.games(pipeline.base, plan.prompts, plan.candidates, derived_seed(self.go.seed, 84, part))
                    for part in (0, 1)
                )
                won = pipeline.ended(chosen).won
            with replacing(path) as part:
                np.savez_compressed(
                    part,
                    chosen=chosen.final,
                    chosen_side=chosen.color,
                    gold=won,
                    compared=compared.final,
                    compared_side=compared.color,
                )
        with np.load(path) as kept:
            return dict(kept)

    @cached_property
    def chosen_impressions(self) -> np.ndarray:
        """float64 `[P, N, F]`, for the prompt's side"""
        seen = impressions_for(self.boards["chosen"], self.boards["chosen_side"]).astype(np.float64)
        return seen.reshape(self.plan.prompts, -1, len(IMPRESSIONS))

    def tastes(self, cell: Cell, people: int, seed: int) -> np.ndarray:
        """float64 `[people, F]`, in nats: each group's likings spread by `LEAD_SPREAD`."""
        tastes, group = board_tastes(cell.crowd, people, seed), cell.crowd.groups(people)
        apart = self.chosen_impressions - self.chosen_impressions.mean(1, keepdims=True)
        spread = np.array([(apart @ tastes[group == g].mean(0)).std() for g in range(group.max() + 1)])
        return LEAD_SPREAD * tastes / spread[group][:, None]

    def judged(self, cell: Cell) -> tuple[BoardPairs, np.ndarray, np.ndarray]:
        """What the cell's raters said of pairs of boards of one prompt, those held out first: pairs `[K]`, who said it,
        and by how much the rater likes the one preferred better, in nats."""
        boards, side = self.boards["compared"], self.boards["compared_side"]
        rng = np.random.default_rng([cell.seed, 85])
        count, each = cell.held_out + cell.comparisons, self.plan.candidates
        prompt, first = rng.integers(self.plan.prompts, size=count), rng.integers(each, size=count)
        second = (first + rng.integers(1, each, size=count)) % each
        a, b = prompt * each + first, prompt * each + second
        rater = rng.permutation(np.arange(count) % cell.raters)
        seen = impressions_for(boards, side).astype(np.float64)
        lead = ((seen[a] - seen[b]) * self.tastes(cell, cell.raters, cell.seed)[rater]).sum(1)
        prefers = rng.random(count) < 1 / (1 + np.exp(-np.clip(lead, -50, 50)))
        return BoardPairs(boards, a, b, side[a], prefers), rater, np.where(prefers, lead, -lead)

    def materials(self, cell: Cell) -> tuple[Materials, np.ndarray]:
        """And by how much raters like what they preferred of what is held out."""
        pairs, rater, lead = self.judged(cell)
        held, rest = pairs.rows(slice(0, cell.held_out)), slice(cell.held_out, None)
        yes, no = np.where(held.prefers_a, [held.a, held.b], [held.b, held.a])

        def new_heads(count: int) -> BoardHeads:
            torch.manual_seed(cell.seed)
            return BoardHeads(self.go.network, count)

        given = Materials(
            BoardComparisons(pairs.rows(rest)),
            rater[rest],
            rater[: cell.held_out],
            new_heads,
            self.scores,
            lambda model: np.array([board_scores(model, pairs.pool[rows], held.color) for rows in (yes, no)]),  # type: ignore[arg-type]
            torch.float32,
        )
        return given, lead[: cell.held_out]

    def scores(self, model: Heads | GoRewardModel) -> np.ndarray:
        """float64 `[P, N, H]`, of one head `[P, N]`, of the boards to choose among"""
        assert isinstance(model, GoRewardModel)
        found = board_scores(model, self.boards["chosen"], self.boards["chosen_side"]).astype(np.float64)
        return found.reshape(self.plan.prompts, self.plan.candidates, *found.shape[1:])

    def run_cell(self, cell: Cell, here: Path, tick: object) -> Path:
        """Fit and score one cell; returns where its result lies."""
        given, lead = self.materials(cell)
        assert isinstance(given.pairs, BoardComparisons)
        here.mkdir(parents=True, exist_ok=True)
        path = here / "pooled.safetensors"
        if not path.exists():
            checkpoint.save(path, self.pipeline.fit(given.pairs.pairs, cell.seed).state_dict(), {})
        pooled = self.pipeline.load(path).eval()
        heads = fitted(cell, here, given, tick)  # type: ignore[arg-type]
        seen, group = self.chosen_impressions, cell.crowd.groups
        likings = [
            np.einsum("vf,pnf->vpn", self.tastes(cell, count, seed), seen)
            for count, seed in ((cell.raters, cell.seed), (cell.users, cell.seed + 500))
        ]
        people = {
            "raters_true": likings[0],
            "raters_group": group(cell.raters),
            "users_true": likings[1],
            "users_group": group(cell.users),
            "gold": self.boards["gold"].reshape(seen.shape[:2]),
        }
        held = np.subtract(*given.score_held(pooled)).astype(np.float64)  # type: ignore[arg-type]
        return finish(here, result_of(given, heads, self.scores(pooled), held, lead, people))


def run_board_cell(plan: CrowdPlan, cell: Cell, folder: Path, created: datetime) -> Path:
    """Run or resume a cell of the run in `folder`; called in a process of its own."""
    torch.set_num_threads(1)
    here = folder / "arms" / cell.name
    if (here / "result.json").exists():
        return here / "result.json"
    with Stages(quiet=True) as stages:
        return BoardCrowds(plan, folder, stages).run_cell(cell, here, ticking(here))
