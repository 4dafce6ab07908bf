"""The study `annotations`: models write the annotations, an engine proves the program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import ClassVar

import numpy as np

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.environments.problems import Problem
from foolsgold.files import write_text
from foolsgold.rewards.verifiers.annotations_houdini import houdini
from foolsgold.studies.annotations_arm import ArmResult, run_arm
from foolsgold.studies.annotations_figures import Measured, Search
from foolsgold.studies.annotations_measure import Ending, disagreements, ending_of
from foolsgold.studies.annotations_pipeline import AnnotationsPipeline
from foolsgold.studies.annotations_plan import Plan
from foolsgold.studies.annotations_report import judge, sections
from foolsgold.studies.arms import run_arms
from foolsgold.studies.minutes_dial import MinutesDial
from foolsgold.studies.progress import Stages, run_and_tell
from foolsgold.training.run_folder import RunFolder

STUDY = "annotations"
VERSION = 2
HOUDINI_S = 60.0
"""Never needed: a program takes it a fifth of a second, and a busy machine must not change the result."""


@dataclass(frozen=True)
class AnnotationsConfig(MinutesDial):
    """Models write the annotations, an engine proves the program: learning from proofs alone.

    A small model learns to annotate loops from workers who are often wrong. From there it goes on in four ways, each of
    as many answers drawn and judged: it imitates what proves (expert iteration), is paid by the proof (RL), or is paid
    for episodes of several answers, with and without the engine's counterexamples to read. All are measured on
    structures of loops that training never showed, beside a search that learns nothing (Houdini).

    Examples:
      foolsgold run annotations
      foolsgold run annotations --minutes 40 --seed 1
      foolsgold run annotations --resume runs/annotations-20260101-120000
    """

    minutes: float = 6
    FEWEST: ClassVar[float] = 0.5


class Annotations:
    """One run of the study."""

    def __init__(self, plan: Plan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.created = datetime.fromisoformat(folder.record["created"])
        self.pipeline = AnnotationsPipeline(plan.annotations, folder.path, stages, self.created)

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, pipeline, path = self.plan, self.pipeline, self.folder.path
        pipeline.finetuned()
        start = self.start()
        searched = self.houdini(pipeline.tested, "tested"), self.houdini(pipeline.trained, "trained")
        results: list[ArmResult] = run_arms(
            plan.annotations, plan.arms, path, self.created, self.stages, run_arm, ArmResult.read, "arms"
        )
        measured = Measured(
            start=start,
            arms={result.arm.name: result for result in results},
            houdini=Search(*searched),
            tested=pipeline.tested,
            trained=pipeline.trained,
            workers=self.workers(),
            rechecked=self.rechecked([start, *(result.ending for result in results)]),
        )
        self._log(results)
        verdict = judge(measured)
        verdict.write(path / "verdict.json")
        command = f"foolsgold run {STUDY} --minutes {plan.minutes:g} --seed {plan.annotations.problems.seed}"
        write_report(path / "report.html", verdict, sections(measured, plan.annotations), self.folder.record, command)
        return verdict

    def start(self) -> Ending:
        """What the finetuned policy can do."""
        path = self.folder.path / "start.json"
        if not path.exists():
            with self.stages.stage("what the start can do", None):
                write_text(path, json.dumps(ending_of(self.pipeline, self.pipeline.policy).to_json()))
        return Ending.from_json(json.loads(path.read_text(encoding="utf-8")))

    def houdini(self, problems: Sequence[Problem], name: str) -> np.ndarray:
        """bool, which of the problems a search without learning proves; the same verifier believes it or not."""
        path = self.folder.path / f"houdini-{name}.json"
        if not path.exists():
            programs = [problem.columns["program"] for problem in problems]
            with self.stages.stage(f"Houdini on {len(programs)} programs", len(programs)) as tick:
                found = []
                for i, program in enumerate(programs, start=1):
                    found.append(houdini(program, HOUDINI_S) or "")
                    tick(i, len(programs))
                write_text(path, json.dumps(found))
        answers = json.loads(path.read_text(encoding="utf-8"))
        return self._proves(problems, answers)

    def workers(self) -> np.ndarray:
        """bool `[400]`, whether workers' annotations prove their programs."""
        problems, answers = zip(
            *self.pipeline.world.demonstrations(400, self.plan.annotations.problems.seed), strict=True
        )
        return self._proves(problems, answers)

    def rechecked(self, endings: Sequence[Ending]) -> tuple[int, int, int]:
        """Of all proofs believed: how many, how many of them new runs refute, how many states these came to."""
        proofs = list(dict.fromkeys(proof for ending in endings for proof in ending.proofs))
        with self.stages.stage(f"other runs of {len(proofs):,} proved programs", None):
            return len(proofs), *disagreements(proofs)

    def _proves(self, problems: Sequence[Problem], answers: Sequence[str]) -> np.ndarray:
        programs = [problem.columns["program"] for problem in problems]
        verdicts = self.pipeline.engine.verdicts([problem.prompt for problem in problems], answers, program=programs)
        return np.array([each.outcome == "passed" for each in verdicts])

    def _log(self, results: list[ArmResult]) -> None:
        self.folder.truncate_after(-1)  # metrics are written here, all at once
        rows = [(each.drawn, result.arm.name, each) for result in results for each in result.evaluations]
        for drawn, name, each in sorted(rows, key=lambda row: row[:2]):
            figures = {what: np.mean(getattr(each, what)) for what in ("sampled", "greedy", "train")}
            self.folder.log(drawn, **{f"{name}/{what}": value for what, value in figures.items()})


def main(config: AnnotationsConfig) -> None:
    """Run or resume the study and say where the report is."""
    if config.resume is None:
        plan = Plan.of(config.minutes, config.seed)
        folder = RunFolder.create(config.out, STUDY, asdict(plan), VERSION)
    else:
        folder = RunFolder.open(config.resume, STUDY, VERSION)
        plan = Plan.from_json(folder.config)
    problems = plan.annotations.problems
    head = f"[bold]{STUDY}[/bold]: {problems.decoder.parameters:,} weights"
    arm = {f"arm {name}": value for name, value in asdict(plan.arms[0]).items() if name != "name"}
    values = {"minutes": plan.minutes, **asdict(problems), **asdict(plan.annotations), **arm}
    run_and_tell(folder, head, values, lambda stages: Annotations(plan, folder, stages).run())
