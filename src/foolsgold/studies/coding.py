"""The study `coding`: write tests, write code, run them, read the failures, repeat; and train on the traces."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import torch

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.studies.arms import run_arms
from foolsgold.studies.coding_arm import ArmResult, run_arm
from foolsgold.studies.coding_measure import Measured
from foolsgold.studies.coding_pipeline import CodingPipeline
from foolsgold.studies.coding_plan import CodingPlan
from foolsgold.studies.coding_report import judge, sections
from foolsgold.studies.coding_traces import read_trace
from foolsgold.studies.minutes_dial import MinutesDial
from foolsgold.studies.progress import Stages, run_and_tell
from foolsgold.training.run_folder import RunFolder

STUDY = "coding"
VERSION = 1
PEOPLE = 300
"""Of people's first attempts that are judged, to say how good they are."""


@dataclass(frozen=True)
class CodingConfig(MinutesDial):
    """An agent writes tests, writes code, runs them, reads what fails and repeats; its traces train the next model.

    A small model learns from what people write and how they mend it. Measured on problems of kinds that training never
    showed: how many it solves round by round, whether reading the failure helps beyond one more try, what tests of its
    own are worth, how often it passes the tests it sees and no others, and what training on its traces gains, by
    imitation and by RL over turns.

    Examples:
      foolsgold run coding
      foolsgold run coding --minutes 30 --seed 1
      foolsgold run coding --resume runs/coding-20260101-120000
    """

    minutes: float = 10


class Coding:
    """One run of the study."""

    def __init__(self, plan: CodingPlan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.pipeline = CodingPipeline(plan, folder.path, stages)

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, pipeline, path = self.plan, self.pipeline, self.folder.path
        torch.set_num_threads(1)  # the same numbers however many processors there are
        pipeline.finetuned()
        traces = pipeline.traces()
        created = datetime.fromisoformat(self.folder.record["created"])
        results = run_arms(plan, plan.arms, path, created, self.stages, run_arm, ArmResult.read, "arms")
        held_out = (path / "arms" / "start" / "traces" / "read.jsonl").read_text(encoding="utf-8").splitlines()
        measured = Measured(
            {each.arm.name: each for each in results},
            pipeline.tested,
            traces,
            [read_trace(line) for line in held_out],
            self.people_pass(),
        )
        self._log(results)
        verdict = judge(measured)
        verdict.write(path / "verdict.json")
        command = f"foolsgold run {STUDY} --minutes {plan.minutes:g} --seed {plan.seed}"
        write_report(path / "report.html", verdict, sections(measured, plan), self.folder.record, command)
        return verdict

    def people_pass(self) -> np.ndarray:
        """bool `[300]`, whether people's first attempts pass all tests."""
        problems, bodies = zip(*self.pipeline.world.demonstrations(PEOPLE, self.plan.seed), strict=True)
        return np.array(self.pipeline.loop().passes_hidden(problems, bodies))

    def _log(self, results: list[ArmResult]) -> None:
        self.folder.truncate_after(-1)  # metrics are written here, all at once
        for each in results:
            for mode, rounds in each.rounds.items():
                for number, (solved, gamed) in enumerate(zip(rounds.solved.T, rounds.gamed.T, strict=True), start=1):
                    name = f"{each.arm.name}/{mode}"
                    self.folder.log(number, **{f"{name}/solved": solved.mean(), f"{name}/gamed": gamed.mean()})


def main(config: CodingConfig) -> None:
    """Run or resume the study and say where the report is."""
    if config.resume is None:
        plan = CodingPlan.of(config.minutes, config.seed)
        folder = RunFolder.create(config.out, STUDY, plan.to_json(), VERSION)
    else:
        folder = RunFolder.open(config.resume, STUDY, VERSION)
        plan = CodingPlan.from_json(folder.config)
    head = f"[bold]{STUDY}[/bold]: {plan.decoder.parameters:,} weights"
    run_and_tell(folder, head, plan.to_json(), lambda stages: Coding(plan, folder, stages).run())
