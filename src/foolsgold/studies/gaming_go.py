"""The study `gaming` on Go: the same defences and alarms where amateurs compare boards, and who wins is gold."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import partial

import numpy as np

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.rewards.go_ensembles import GoEnsemble
from foolsgold.rewards.go_reward_model import GoReward
from foolsgold.studies.arms import in_processes, run_arms
from foolsgold.studies.gaming_go_arm import GoTrial, fit_go_reward_model, run_go_trial
from foolsgold.studies.gaming_go_pipeline import GoPipeline
from foolsgold.studies.gaming_go_report import sections
from foolsgold.studies.gaming_measure import Measured, shared_error
from foolsgold.studies.gaming_plan import STUDY, VERSION, GamingConfig, GoGamingPlan
from foolsgold.studies.gaming_report import judge
from foolsgold.studies.gaming_trial import TrialResult, log_results
from foolsgold.studies.progress import Stages, run_and_tell
from foolsgold.training.run_folder import RunFolder


class GoGaming:
    """One run of the study on Go."""

    def __init__(self, plan: GoGamingPlan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.created = datetime.fromisoformat(folder.record["created"])
        self.pipeline = GoPipeline(plan.go, folder.path, stages)

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, pipeline, path = self.plan, self.pipeline, self.folder.path
        _ = pipeline.compared
        self.fit_reward_models()
        read = partial(TrialResult.read, trial=GoTrial)
        results: list[TrialResult] = run_arms(plan.go, plan.trials, path, self.created, self.stages, run_go_trial, read)
        start = pipeline.start
        measured = Measured(results, start.grouped(pipeline.ended(start).won), self.shared_errors(), plan.go.seed)
        log_results(self.folder, results)
        verdict = judge(measured)
        verdict.write(path / "verdict.json")
        command = f"foolsgold run {STUDY} --world {plan.world} --size {plan.size} --seed {plan.go.seed}"
        write_report(path / "report.html", verdict, sections(measured, plan.go), self.folder.record, command)
        return verdict

    def fit_reward_models(self) -> None:
        """All that any run needs, before the runs: two that need the same must not fit it at once."""
        fits = list(dict.fromkeys(fit for trial in self.plan.trials for fit in trial.fits))
        models = self.folder.path / "models"
        waiting = [fit for fit in fits if not (models / f"{fit.name}.safetensors").exists()]
        if waiting:
            with self.stages.stage(f"{len(waiting)} reward models", None):
                jobs = [(self.plan.go, fit, self.folder.path) for fit in waiting]
                in_processes(fit_go_reward_model, jobs, lambda: None)

    def shared_errors(self) -> dict[str, float]:
        """How alike the members of an ensemble err about the start's final boards, by what they were fitted to."""
        start, found = self.pipeline.start, {}
        for trial in self.plan.trials:
            if trial.seed == 0 and trial.defence == "none" and trial.raters == "club":
                members = GoEnsemble([GoReward(self.pipeline.fitted(fit), self.plan.go.board) for fit in trial.fits])
                scores = np.array([start.grouped(row) for row in members.margins(start.final, start.color)])
                told = f"{trial.comparisons:,} comparisons, the same"
                found[told] = shared_error(scores, start.grouped(self.pipeline.ended(start).score))
        return found


def run_go(config: GamingConfig) -> None:
    """Run or resume the study on Go and say where the report is."""
    if config.resume is None:
        plan = GoGamingPlan.of(config)
        folder = RunFolder.create(config.out, STUDY, asdict(plan), VERSION)
    else:
        folder = RunFolder.open(config.resume, STUDY, VERSION)
        plan = GoGamingPlan.from_json(folder.config)
    go = plan.go
    head = f"[bold]{STUDY}[/bold] on {go.board}x{go.board}, size {plan.size}: {len(plan.trials)} runs of RL"
    values = {**asdict(plan), **asdict(go), "network": str(go.network)}
    run_and_tell(folder, head, values, lambda stages: GoGaming(plan, folder, stages).run())
