"""The study `overoptimization`: RLHF pushed too far, gold beside proxy at every step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.errors import UserError
from foolsgold.files import replacing
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.studies.arms import run_arms
from foolsgold.studies.overoptimization_measure import Measured, PoolOfBest
from foolsgold.studies.overoptimization_report import judge, sections
from foolsgold.studies.poem_arm import Arm, ArmResult, standard_reward
from foolsgold.studies.poem_study import run_study
from foolsgold.studies.poems_pipeline import PoemsPipeline, PoemsPlan
from foolsgold.studies.progress import Stages
from foolsgold.training.best_of_n import draw_pool
from foolsgold.training.datasets import PromptRow
from foolsgold.training.rollouts import Task
from foolsgold.training.run_folder import RunFolder

STUDY = "overoptimization"
VERSION = 1

Size = Literal["s", "m", "l"]

STAGES: dict[Size, dict[str, int]] = {
    "s": {"width": 128, "layers": 4, "pretraining_steps": 700, "finetuning_steps": 1500},
    "m": {"width": 160, "layers": 4, "pretraining_steps": 800, "finetuning_steps": 1800},
    "l": {"width": 256, "layers": 6, "pretraining_steps": 6000, "finetuning_steps": 12000},
}
"""What the dial sets of the three stages."""

STEPS: dict[Size, int] = {"s": 96, "m": 160, "l": 800}
"""Of RL; runs of the sweeps have five eighths of it."""


@dataclass(frozen=True)
class OveroptimizationConfig:
    """Three stages of a language model, then RLHF for too long.

    A small model learns to write poems from texts and from people's poems; readers compare its poems; a reward model
    learns what they like; RL follows it with next to no price on KL. An exact critic, which neither the readers nor
    the reward model know, tells what is gained and when it is lost. Best of n, other amounts of comparisons, other
    reward models and other prices of KL stand beside it.

    Examples:
      foolsgold run overoptimization
      foolsgold run overoptimization --size s --seed 1
      foolsgold run overoptimization --resume runs/overoptimization-20260101-120000
    """

    size: Size = "m"
    """s: a few minutes, m: up to 20 on two cores, l: hours, or a larger machine."""
    steps: int | None = None
    """Steps of RL, for those who want to go further; 96, 160 and 800 at the three sizes unless given."""
    seed: int = 0
    """Seed of everything that is random: the same seed gives the same numbers on the same machine."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold."""
    out: Path = Path("runs")
    """Where the run folder is made."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} is negative; give 0 or more")
        if self.steps is not None and self.steps < 10:
            raise UserError(f"--steps {self.steps} are too few to see anything; give 10 or more")


@dataclass(frozen=True)
class Plan:
    """Everything that follows from the dial; printed, and stored with the run."""

    size: Size
    poems: PoemsPlan
    main: Arm
    sweeps: dict[str, list[Arm]]
    """Arms that differ from the main one in one thing each, by the name of that thing."""
    best_of_prompts: int
    best_of: int
    """Poems a prompt for best of n."""

    @classmethod
    def of(cls, config: OveroptimizationConfig) -> Plan:
        stages, steps = STAGES[config.size], STEPS[config.size]
        comparisons = 8_000
        amounts = (500, 5_000, 50_000)
        poems = PoemsPlan(
            seed=config.seed,
            width=stages["width"],
            layers=stages["layers"],
            pretraining_steps=stages["pretraining_steps"],
            finetuning_steps=stages["finetuning_steps"],
            comparisons=comparisons,
            most_comparisons=max(amounts),
        )
        layers = poems.layers
        every = max(4, steps // 20)
        main = Arm("main", comparisons, layers, kl_price=0.0, steps=config.steps or steps, evaluate_every=every)
        short = replace(main, steps=steps * 5 // 8, prompts=16)
        sweeps = {
            "comparisons": [replace(short, name=f"comparisons-{n}", comparisons=n) for n in amounts],
            "reward layers": [replace(short, name=f"layers-{n}", reward_layers=n) for n in (1, 2) if n < layers],
            "kl price": [replace(short, name=f"kl-{price:g}", kl_price=price) for price in (0.02, 0.1)],
        }
        return cls(config.size, poems, main, sweeps, best_of_prompts=48, best_of=1024)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan of a stored run."""
        sweeps = {name: [Arm(**arm) for arm in arms] for name, arms in data["sweeps"].items()}
        return cls(**{**data, "poems": PoemsPlan(**data["poems"]), "main": Arm(**data["main"]), "sweeps": sweeps})


class Overoptimization:
    """One run of the study."""

    def __init__(self, plan: Plan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.created = datetime.fromisoformat(folder.record["created"])
        self.pipeline = PoemsPipeline(plan.poems, folder.path, stages, self.created)

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, pipeline = self.plan, self.pipeline
        pipeline.finetuned()
        readers_agree = pipeline.judged.readers_agree
        with self.stages.stage(f"reward model learns {plan.main.comparisons:,} comparisons", None) as tick:
            pipeline.reward_model(plan.main.comparisons, plan.main.reward_layers, tick)
        arms = [plan.main, *(arm for group in plan.sweeps.values() for arm in group)]
        results: list[ArmResult] = run_arms(plan.poems, arms, self.folder.path, self.created, self.stages)
        by_name = {result.arm.name: result for result in results}
        measured = Measured(
            main=results[0],
            sweeps={name: [by_name[arm.name] for arm in group] for name, group in plan.sweeps.items()},
            best_of_n=self.best_of_n(),
            readers_agree=readers_agree,
            pool_gold=pipeline.pool().gold,
            demonstrations_gold=np.array(
                pipeline.world.gold(*map(list, zip(*pipeline.world.demonstrations(4000, 99), strict=True)))
            ),
            seed=plan.poems.seed,
        )
        self.folder.truncate_after(-1)  # metrics are written here, all at once
        for result in results:
            for each in result.evaluations:
                figures = {"kl": each.kl, "gold": np.mean(each.gold), "proxy": np.mean(each.proxy)}
                self.folder.log(each.step, **{f"{result.arm.name}/{name}": value for name, value in figures.items()})
        verdict = judge(measured)
        verdict.write(self.folder.path / "verdict.json")
        command = f"foolsgold run {STUDY} --size {plan.size} --steps {plan.main.steps} --seed {plan.poems.seed}"
        write_report(
            self.folder.path / "report.html", verdict, sections(measured, plan.poems), self.folder.record, command
        )
        return verdict

    def best_of_n(self) -> PoolOfBest:
        """Many poems of the finetuned policy for each of some prompts, with proxy and gold."""
        plan, pipeline, path = self.plan, self.pipeline, self.folder.path / "best_of_n.npz"
        if not path.exists():
            model = pipeline.reward_model(plan.main.comparisons, plan.main.reward_layers, lambda done, of: None)
            prompts = pipeline.world.prompts("train", plan.best_of_prompts, plan.poems.seed + 9)
            rows = [PromptRow(prompt, {}) for prompt in prompts]
            failures = self.folder.path / "failures"
            proxy = Scorer([WeightedReward(standard_reward(pipeline, pipeline.reward(model)))], None, failures)
            gold = Scorer([WeightedReward(pipeline.world.gold, name="gold")], None, failures)
            with self.stages.stage(f"best of {plan.best_of:,}", None) as tick:
                pool = draw_pool(
                    pipeline.policy,
                    Task(rows, proxy, pipeline.tokenizer),
                    gold,
                    plan.best_of,
                    pipeline.sampling,
                    plan.poems.seed + 10,
                    folder=self.folder.path / "best_of_n",
                    report=tick,
                )
            with replacing(path) as part:
                texts = np.array(pool.texts)
                np.savez_compressed(part, prompts=np.array(prompts), texts=texts, proxy=pool.proxy, gold=pool.gold)
        with np.load(path) as kept:
            return PoolOfBest(kept["proxy"], kept["gold"])


def main(config: OveroptimizationConfig) -> None:
    """Run or resume the study and say where the report is."""
    make_plan = partial(Plan.of, config)
    run_study(STUDY, VERSION, config.out, config.resume, make_plan, Plan.from_json, Overoptimization)
