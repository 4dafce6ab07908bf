"""The study `crowd` on poems: raters compare what the finetuned policy wrote, reward models learn from them.

The pool of the three stages holds as many poems of each prompt as are needed: the first half is compared by raters,
the second is what policies choose among.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from foolsgold.environments.poems.readers import impressions_of
from foolsgold.files import replacing
from foolsgold.rewards.group_reward_models import TextHeads, text_scores
from foolsgold.rewards.text_reward_model import TextReward, TokenPair, encode_pairs, load_reward_model
from foolsgold.studies.crowd_cell import CellHeads, Heads, Materials, finish, fitted, result_of
from foolsgold.studies.crowd_plan import Cell, CrowdPlan
from foolsgold.studies.crowd_tastes import poem_tastes
from foolsgold.studies.kept_models import shortened
from foolsgold.studies.poem_arm import ticking
from foolsgold.studies.poems_pipeline import PoemsPipeline
from foolsgold.studies.progress import Stages
from foolsgold.training.group_reward_models import TextPairs
from foolsgold.training.text_reward_model import TextComparisons

Tick = Callable[[str], Callable[[int, int], None]]


class PoemCrowds:
    """One run's stages on poems; everything is taken from the run folder where it is there."""

    def __init__(self, plan: CrowdPlan, folder: Path, stages: Stages, created: datetime):
        assert plan.poems is not None
        self.plan, self.folder = plan, folder
        self.pipeline = PoemsPipeline(plan.poems, folder, stages, created)

    @cached_property
    def impressions(self) -> np.ndarray:
        """float64 `[all prompts, poems, F]`, of the pool"""
        path, pool = self.folder / "impressions.npy", self.pipeline.pool()
        if not path.exists():
            each = len(pool.texts[0])
            seen = [impressions_of([p] * each, poems) for p, poems in zip(pool.prompts, pool.texts, strict=True)]
            with replacing(path) as part, open(part, "wb") as file:
                np.save(file, np.array(seen))
        return np.load(path)

    @property
    def chosen_prompts(self) -> np.ndarray:
        """int `[P]`, spread over all prompts"""
        every = len(self.pipeline.prompts)
        return np.unique(np.linspace(0, every - 1, min(every, self.plan.prompts)).astype(np.int64))

    @property
    def candidates(self) -> slice:
        """Poems of a prompt that policies choose among."""
        return slice(self._compared, self._compared + self.plan.candidates)

    @property
    def _compared(self) -> int:
        assert self.plan.poems is not None
        return self.plan.poems.poems_a_prompt - self.plan.candidates

    def pairs(self, prompts: np.ndarray) -> list[TokenPair]:
        """Candidates of some prompts in tokens, prompt by prompt."""
        pool, part = self.pipeline.pool(), self.candidates
        texts = [text for p in prompts for text in pool.texts[p][part]]
        asked = [pool.prompts[p] for p in prompts for _ in range(self.plan.candidates)]
        return encode_pairs(self.pipeline.tokenizer, asked, texts)

    def new_heads(self, cell: Cell, heads: int) -> TextHeads:
        return TextHeads(shortened(self.pipeline.finetuned(), cell.layers), heads, cell.seed)

    def grouped(self, scores: np.ndarray) -> np.ndarray:
        """`[prompts · candidates, ...]` -> `[prompts, candidates, ...]`."""
        return scores.reshape(-1, self.plan.candidates, *scores.shape[1:])

    def pooled(self, path: Path) -> TextReward:
        """The reward model of all comparisons in `path`."""
        return self.pipeline.reward(load_reward_model(path))  # type: ignore[arg-type]

    def judged(self, cell: Cell) -> tuple[TextComparisons, np.ndarray, np.ndarray]:
        """What the cell's raters said, those held out first: comparisons `[K]`, who said it, and by how much the rater
        likes the one preferred better, in nats."""
        pool, pipeline = self.pipeline.pool(), self.pipeline
        rng = np.random.default_rng([cell.seed, 82])
        count = cell.held_out + cell.comparisons
        prompt, first = rng.integers(len(pool.prompts), size=count), rng.integers(self._compared, size=count)
        second = (first + rng.integers(1, self._compared, size=count)) % self._compared
        rater = rng.permutation(np.arange(count) % cell.raters)
        tastes = poem_tastes(cell.crowd, cell.raters, cell.seed)
        lead = ((self.impressions[prompt, first] - self.impressions[prompt, second]) * tastes[rater]).sum(1)
        prefers = rng.random(count) < 1 / (1 + np.exp(-np.clip(lead, -50, 50)))
        chosen, rejected = np.where(prefers, [first, second], [second, first])

        def texts(which: np.ndarray) -> list[str]:
            return [pool.texts[p][i] for p, i in zip(prompt, which, strict=True)]

        asked = [pool.prompts[p] for p in prompt]
        rows = TextComparisons.encode(pipeline.tokenizer, asked, texts(chosen), texts(rejected))
        return rows, rater, np.where(prefers, lead, -lead)

    def materials(self, cell: Cell, rows: TextComparisons, rater: np.ndarray) -> Materials:
        held, rest = np.arange(cell.held_out), np.arange(cell.held_out, len(rows))
        part = rows.rows(held)
        candidates = self.pairs(self.chosen_prompts)

        def score_held(model: Heads) -> np.ndarray:
            assert isinstance(model, TextHeads)
            both = (list(zip(part.prompts, texts, strict=True)) for texts in (part.chosen, part.rejected))
            return np.array([text_scores(model, pairs) for pairs in both], np.float64)  # type: ignore[arg-type]

        def score(model: Heads) -> np.ndarray:
            assert isinstance(model, TextHeads)
            return self.grouped(text_scores(model, candidates).astype(np.float64))

        return Materials(
            TextPairs(rows.rows(rest)), rater[rest], rater[held], lambda n: self.new_heads(cell, n), score, score_held
        )

    def heads(self, cell: Cell, tick: Tick) -> tuple[Materials, CellHeads, np.ndarray]:
        """The cell's models with several heads, and by how much raters like what they preferred of what is held out."""
        rows, rater, lead = self.judged(cell)
        given = self.materials(cell, rows, rater)
        here = self.folder / "arms" / cell.name
        if not (here / "pooled" / "config.json").exists():
            assert isinstance(given.pairs, TextPairs)
            model = self.pipeline.fit_reward(given.pairs.comparisons, cell.layers, cell.seed, here / "fit-pooled")
            model.save(here / "pooled", self.pipeline.tokenizer)
        return given, fitted(cell, here, given, tick), lead[: cell.held_out]

    def run_cell(self, cell: Cell, tick: Tick) -> Path:
        """Fit and score one cell; returns where its result lies."""
        here = self.folder / "arms" / cell.name
        given, heads, lead = self.heads(cell, tick)
        pooled = self.pooled(here / "pooled")
        rows, _, _ = self.judged(cell)
        part = rows.rows(np.arange(cell.held_out))
        yes, no = (
            pooled.scores(list(zip(part.prompts, texts, strict=True))).astype(np.float64)
            for texts in (part.chosen, part.rejected)
        )
        prompts = self.chosen_prompts
        seen = self.impressions[prompts, self.candidates]
        people = {
            "raters_true": self.likings(poem_tastes(cell.crowd, cell.raters, cell.seed), seen),
            "raters_group": cell.crowd.groups(cell.raters),
            "users_true": self.likings(users_of(cell), seen),
            "users_group": cell.crowd.groups(cell.users),
            "gold": self.pipeline.pool().gold[prompts, self.candidates],
        }
        scored = self.grouped(pooled.scores(self.pairs(prompts)).astype(np.float64))
        return finish(here, result_of(given, heads, scored, yes - no, lead, people))

    @staticmethod
    def likings(tastes: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Of people with tastes `[V, F]` for what has impressions `[P, N, F]`: `[V, P, N]`, nats."""
        return np.einsum("vf,pnf->vpn", tastes, seen)


def users_of(cell: Cell) -> np.ndarray:
    """Tastes `[U, F]` of the users who are served: other people than the raters."""
    return poem_tastes(cell.crowd, cell.users, cell.seed + 500)


def run_poem_cell(plan: CrowdPlan, cell: Cell, folder: Path, created: datetime) -> Path:
    """Run or resume a cell of the run in `folder`; called in a process of its own."""
    torch.set_num_threads(1)
    here = folder / "arms" / cell.name
    if (here / "result.json").exists():
        return here / "result.json"
    with Stages(quiet=True) as stages:
        return PoemCrowds(plan, folder, stages, created).run_cell(cell, ticking(here))
