"""The study `crowd`: many users, one policy, and the rules by which their satisfaction may be added up."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from pathlib import Path

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.studies.arms import run_arms
from foolsgold.studies.crowd_arm import RLResult, run_rl_arm
from foolsgold.studies.crowd_boards import BoardCrowds, run_board_cell
from foolsgold.studies.crowd_cell import CellResult
from foolsgold.studies.crowd_measure import CrowdMeasured
from foolsgold.studies.crowd_plan import STUDY, VERSION, CrowdConfig, CrowdPlan
from foolsgold.studies.crowd_poems import PoemCrowds, run_poem_cell
from foolsgold.studies.crowd_report import judge, sections
from foolsgold.studies.poems_start import take_over
from foolsgold.studies.progress import Stages, run_and_tell
from foolsgold.training.run_folder import RunFolder


class CrowdStudy:
    """One run of the study, in either world."""

    def __init__(self, plan: CrowdPlan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.created = datetime.fromisoformat(folder.record["created"])

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, path = self.plan, self.folder.path
        self.prepare()
        run_cell = run_poem_cell if plan.world == "poems" else run_board_cell
        results: list[CellResult] = run_arms(
            plan, plan.cells, path, self.created, self.stages, run_cell, CellResult.read, "draws of a crowd"
        )
        trained: list[RLResult] = []
        if plan.arms:
            trained = run_arms(plan, plan.arms, path, self.created, self.stages, run_rl_arm, RLResult.read)
        both = zip(plan.cells, results, strict=True)
        drawn = [list(each) for _, each in groupby(both, key=lambda pair: pair[0].crowd.name)]
        measured = [
            CrowdMeasured(each[0][0].crowd, [cell for cell, _ in each], [result for _, result in each], plan.kls)
            for each in drawn
        ]
        with self.stages.stage("policies by every rule", None):
            for each in measured:
                _ = each.outcomes
        self._log(measured, trained)
        verdict = judge(measured, trained)
        verdict.write(path / "verdict.json")
        seed = (plan.poems or plan.go).seed  # type: ignore[union-attr]
        command = f"foolsgold run {STUDY} --world {plan.world} --size {plan.size} --seed {seed}"
        page = sections(measured, trained, plan)
        write_report(path / "report.html", verdict, page, self.folder.record, command)
        return verdict

    def prepare(self) -> None:
        """All that any process needs, before the processes: two that need the same must not make it at once."""
        plan, path = self.plan, self.folder.path
        if plan.world == "go":
            BoardCrowds(plan, path, self.stages).prepare()
            return
        assert plan.poems is not None
        if plan.source is not None:
            take_over(Path(plan.source), plan.poems, path)
        world = PoemCrowds(plan, path, self.stages, self.created)
        world.pipeline.finetuned()
        _ = world.impressions

    def _log(self, measured: list[CrowdMeasured], trained: list[RLResult]) -> None:
        self.folder.truncate_after(-1)  # metrics are written here, all at once
        for crowd in measured:
            for (who, rule, kl), outcomes in crowd.outcomes.items():
                name = "/".join(each for each in (crowd.crowd.name, who, rule) if each)
                for outcome in outcomes[:1]:
                    self.folder.log(round(1000 * kl), **{f"{name}/{k}": v for k, v in outcome.figures.items()})
        for result in trained:
            for each in result.evaluations:
                groups = {f"group {g}": sum(row) / len(row) for g, row in enumerate(each.satisfied)}
                figures = {"kl": each.kl, "gold": each.gold, **groups}
                self.folder.log(each.step, **{f"{result.arm.name}/{name}": value for name, value in figures.items()})


def main(config: CrowdConfig) -> None:
    """Run or resume the study and say where the report is."""
    if config.resume is None:
        plan = CrowdPlan.of(config)
        folder = RunFolder.create(config.out, STUDY, asdict(plan), VERSION)
    else:
        folder = RunFolder.open(config.resume, STUDY, VERSION)
        plan = CrowdPlan.from_json(folder.config)
    head = f"[bold]{STUDY}[/bold] of {plan.world}, size {plan.size}: {len(plan.cells)} draws of raters and users"
    stages = asdict(plan.poems or plan.go)  # type: ignore[arg-type]
    values = {**asdict(plan), **stages, **{f"a draw's {name}": value for name, value in asdict(plan.cells[0]).items()}}
    run_and_tell(folder, head, values, lambda stages: CrowdStudy(plan, folder, stages).run())
