"""The study `gap`: choosing the best of several answers is easier than writing one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.environments.poems.critic import critique
from foolsgold.errors import UserError
from foolsgold.files import replacing
from foolsgold.policies.generate import generate
from foolsgold.policies.tokenizer import encode_prompt
from foolsgold.studies.gap_measure import (
    CRITIC,
    ITSELF,
    PARTS,
    READER,
    REWARD_MODEL,
    TASTE,
    GapPool,
    Measured,
    glances,
)
from foolsgold.studies.gap_report import judge, sections
from foolsgold.studies.overoptimization import Size
from foolsgold.studies.poem_arm import standard_reward
from foolsgold.studies.poem_study import run_study
from foolsgold.studies.poems_pipeline import PoemsPipeline, PoemsPlan
from foolsgold.studies.poems_start import poems_plan, take_over
from foolsgold.studies.progress import Stages
from foolsgold.studies.standard_reward import StandardReward
from foolsgold.training.rollouts import derived_seed
from foolsgold.training.run_folder import RunFolder

STUDY = "gap"
VERSION = 1
PIECE = 8
"""Prompts whose poems are drawn at once and kept together."""


@dataclass(frozen=True)
class GapConfig:
    """The same model's poems, and who can tell the good ones.

    A small model learns to write poems; for each prompt it writes many. The reward model, readers, the model itself
    and an exact critic each pick the best of n: how much better is the picked poem than what the model writes, how
    often does each name the better of two, and what share of the critic's gain is had without knowing the critic?

    Examples:
      foolsgold run gap
      foolsgold run gap --from runs/overoptimization-20260101-120000 --size m
      foolsgold run gap --resume runs/gap-20260101-120000
    """

    size: Size = "s"
    """s: up to 10 minutes on two cores, m: up to 20, l: hours, or a larger machine."""
    seed: int = 0
    """Seed of everything that is random: the same seed gives the same numbers on the same machine."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Run folder of another study on poems, of the same size and seed, whose models and comparisons are copied in
    place of training anew."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold."""
    out: Path = Path("runs")
    """Where the run folder is made."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} is negative; give 0 or more")
        if self.source is not None and self.resume is not None:
            raise UserError("a run that goes on has its models already; give --from or --resume, not both")


@dataclass(frozen=True)
class Plan:
    """Everything that follows from the dial; printed, and stored with the run."""

    size: Size
    poems: PoemsPlan
    source: str | None
    """Run folder that models and comparisons are copied from."""
    prompts: int = 128
    poems_each: int = 256
    """Fresh poems a prompt, to pick from."""
    best_of: int = 16
    """Poems to pick from in the verdict."""

    @classmethod
    def of(cls, config: GapConfig) -> Plan:
        source = None if config.source is None else str(config.source.resolve())
        return cls(config.size, poems_plan(config.size, config.seed, config.source), source)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan of a stored run."""
        return cls(**{**data, "poems": PoemsPlan(**data["poems"])})


class Gap:
    """One run of the study."""

    def __init__(self, plan: Plan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.created = datetime.fromisoformat(folder.record["created"])
        self.pipeline = PoemsPipeline(plan.poems, folder.path, stages, self.created)

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, pipeline = self.plan, self.pipeline
        if plan.source is not None:
            take_over(Path(plan.source), plan.poems, self.folder.path)
        pipeline.finetuned()
        readers_agree = pipeline.judged.readers_agree
        proxy = self.proxy()
        demonstrations = pipeline.world.demonstrations(4000, 99)
        measured = Measured(
            pool=self.pool(proxy),
            n=plan.best_of,
            readers_agree=readers_agree,
            demonstrations_gold=np.array(pipeline.world.gold(*map(list, zip(*demonstrations, strict=True)))),
        )
        verdict = judge(measured)
        verdict.write(self.folder.path / "verdict.json")
        command = f"foolsgold run {STUDY} --size {plan.size} --seed {plan.poems.seed}"
        write_report(
            self.folder.path / "report.html", verdict, sections(measured, plan.poems), self.folder.record, command
        )
        return verdict

    def proxy(self) -> StandardReward:
        """The reward model, fitted to what readers preferred."""
        poems = self.plan.poems
        with self.stages.stage(f"reward model learns {poems.comparisons:,} comparisons", None) as tick:
            model = self.pipeline.reward_model(poems.comparisons, poems.layers, tick)
            return standard_reward(self.pipeline, self.pipeline.reward(model))

    def pool(self, proxy: StandardReward) -> GapPool:
        """Poems that no verifier has seen before, with every verifier's scores; pieces that are there are kept."""
        plan = self.plan
        prompts = self.pipeline.world.prompts("train", plan.prompts, plan.poems.seed + 11)
        starts = range(0, plan.prompts, PIECE)
        pieces = []
        with self.stages.stage(f"{plan.poems_each:,} poems for each of {plan.prompts:,} prompts", len(prompts)) as tick:
            for start in starts:
                pieces.append(self.piece(prompts[start : start + PIECE], start, proxy))
                tick(min(start + PIECE, len(prompts)), len(prompts))
        joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        texts = joined["texts"].tolist()
        with self.stages.stage("readers glance at the poems", None):
            readership = self.pipeline.world.readers(plan.poems.readers, plan.poems.seed)
            taste = [
                readership.taste([prompt] * len(poems), poems) for prompt, poems in zip(prompts, texts, strict=True)
            ]
            seen = glances(readership, prompts, texts, plan.poems.seed)
        scores = {
            REWARD_MODEL: joined["proxy"],
            TASTE: np.array(taste),
            READER: seen,
            ITSELF: joined["log_prob"],
            CRITIC: joined["gold"],
        }
        return GapPool(prompts, texts, joined["parts"], joined["gold"], scores)

    def piece(self, prompts: list[str], start: int, proxy: StandardReward) -> dict[str, np.ndarray]:
        """Poems for some prompts, with parts, gold, proxy and the policy's mean log-probability of a token."""
        plan, pipeline = self.plan, self.pipeline
        path = self.folder.path / "poems_to_pick_from" / f"piece-{start:05}.npz"
        if not path.exists():
            ids = [encode_prompt(pipeline.tokenizer, prompt) for prompt in prompts]
            seed = derived_seed(plan.poems.seed, 12, start)
            drawn = generate(pipeline.policy, ids, pipeline.sampling, seed, plan.poems_each)
            texts = pipeline.tokenizer.batch_decode(drawn.completions(), skip_special_tokens=True)
            asked = [prompt for prompt in prompts for _ in range(plan.poems_each)]
            found = [critique(prompt, text) for prompt, text in zip(asked, texts, strict=True)]
            shape = len(prompts), plan.poems_each
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as part:
                np.savez_compressed(
                    part,
                    texts=np.array(texts).reshape(shape),
                    parts=np.array([[getattr(each, name) for name in PARTS] for each in found]).reshape(*shape, -1),
                    gold=np.array([each.total for each in found]).reshape(shape),
                    proxy=np.array(proxy(asked, texts), np.float64).reshape(shape),
                    log_prob=(drawn.log_probs.sum(1) / drawn.lengths).double().numpy().reshape(shape),
                )
        with np.load(path) as kept:
            return dict(kept)


def main(config: GapConfig) -> None:
    """Run or resume the study and say where the report is."""
    make_plan = partial(Plan.of, config)
    run_study(STUDY, VERSION, config.out, config.resume, make_plan, Plan.from_json, Gap)
