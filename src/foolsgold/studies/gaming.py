"""The study `gaming`: reward gaming found and fined, on poems here; on Go in `gaming_go`."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.studies.arms import in_processes, run_arms
from foolsgold.studies.gaming_arm import Trial, fit_reward_model, run_trial
from foolsgold.studies.gaming_go import run_go
from foolsgold.studies.gaming_measure import Measured, shared_error
from foolsgold.studies.gaming_plan import STUDY, VERSION, GamingConfig, GamingPlan
from foolsgold.studies.gaming_report import judge, sections
from foolsgold.studies.gaming_table import joined_table
from foolsgold.studies.gaming_trial import TrialResult, log_results
from foolsgold.studies.poem_study import run_study
from foolsgold.studies.poems_pipeline import PoemsPipeline, RewardFit
from foolsgold.studies.poems_start import take_over
from foolsgold.studies.progress import Stages
from foolsgold.studies.study_evidence import record_of
from foolsgold.training.run_folder import RunFolder


class Gaming:
    """One run of the study on poems."""

    def __init__(self, plan: GamingPlan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.created = datetime.fromisoformat(folder.record["created"])
        self.pipeline = PoemsPipeline(plan.poems, folder.path, stages, self.created)

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, pipeline = self.plan, self.pipeline
        if plan.source is not None:
            take_over(Path(plan.source), plan.poems, self.folder.path)
        pipeline.finetuned()
        _ = pipeline.judged
        self.fit_reward_models()
        results: list[TrialResult] = run_arms(
            plan.poems,
            plan.trials,
            self.folder.path,
            self.created,
            self.stages,
            run_trial,
            partial(TrialResult.read, trial=Trial),
        )
        measured = Measured(results, pipeline.pool().gold, self.shared_errors(), plan.poems.seed)
        log_results(self.folder, results)
        verdict = judge(measured)
        verdict.write(self.folder.path / "verdict.json")
        command = f"foolsgold run {STUDY} --size {plan.size} --seed {plan.poems.seed}"
        write_report(
            self.folder.path / "report.html", verdict, sections(measured, plan.poems), self.folder.record, command
        )
        return verdict

    def fit_reward_models(self) -> None:
        """All that any run needs, before the runs: two that need the same must not fit it at once."""
        fits = list(dict.fromkeys(fit for trial in self.plan.trials for fit in (*trial.fits, *trial.own_fits)))
        models = self.folder.path / "models"

        def missing() -> list[RewardFit]:
            return [fit for fit in fits if not (models / fit.name / "config.json").exists()]

        waiting = missing()
        if not waiting:
            return
        # The longest first, so that no process is left alone with one at the end.
        waiting.sort(key=lambda fit: -fit.comparisons * fit.layers)
        with self.stages.stage(f"{len(waiting)} reward models", len(waiting)) as tick:
            jobs = [(self.plan.poems, fit, self.folder.path, self.created) for fit in waiting]
            in_processes(fit_reward_model, jobs, lambda: tick(len(waiting) - len(missing()), len(waiting)))

    def shared_errors(self) -> dict[str, float]:
        """How alike the members of an ensemble err, by what they were fitted to."""
        pipeline = self.pipeline
        prompts, texts, gold = pipeline.some_poems(16)
        found = {}
        for trial in self.plan.trials:
            if trial.seed == 0 and trial.defence in ("mean", "worst", "worst of parts"):
                told = f"{trial.comparisons:,} comparisons, " + ("the same" if not trial.own_fits else "in four parts")
                fits = trial.own_fits or trial.fits
                if told not in found:
                    members = [pipeline.reward(pipeline.fitted_reward(fit, lambda done, of: None)) for fit in fits]
                    scores = np.array([member(prompts, texts) for member in members])
                    by_prompt = gold.reshape(len(pipeline.prompts), -1)
                    found[told] = shared_error(scores.reshape(len(fits), *by_prompt.shape), by_prompt)
        return found


def main(config: GamingConfig) -> None:
    """Run or resume the study, in the world asked for or of the run, and say where the report is; or print a table."""
    if config.table:
        print(joined_table(config.table), end="")
        return
    world = config.world if config.resume is None else record_of(config.resume)["config"].get("world", "poems")
    if world != "poems":
        run_go(config)
        return
    make_plan = partial(GamingPlan.of, config)
    run_study(STUDY, VERSION, config.out, config.resume, make_plan, GamingPlan.from_json, Gaming)
