"""The study `real_rl`: RL on a reward that cannot be fooled beside RL on a vibe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.files import replacing
from foolsgold.studies.arms import run_arms
from foolsgold.studies.minutes_dial import MinutesDial
from foolsgold.studies.progress import Stages, run_and_tell
from foolsgold.studies.real_rl_arm import ArmResult, PoolOfAnswers, pool_of, run_arm, tested_problems
from foolsgold.studies.real_rl_measure import Measured
from foolsgold.studies.real_rl_pipeline import ProblemsPipeline
from foolsgold.studies.real_rl_plan import Plan, World
from foolsgold.studies.real_rl_report import sections
from foolsgold.studies.real_rl_verdict import judge
from foolsgold.training.datasets import PromptRow, keyword_lists
from foolsgold.training.run_folder import RunFolder

STUDY = "real_rl"
VERSION = 2


@dataclass(frozen=True)
class RealRLConfig(MinutesDial):
    """RL on a reward that cannot be fooled beside RL on a reward model fitted to reviewers who only look.

    A small model learns from people's answers, which are often wrong. From there three copies go on with the same
    steps, problems and samples: one is paid by a verifier that runs the answer or proves it, two by a reward model
    fitted to what reviewers prefer at a glance, the last of them with a price on KL, as RLHF is done. All are measured
    on problems of kinds that training never showed.

    Examples:
      foolsgold run real_rl
      foolsgold run real_rl --world annotations --minutes 40
      foolsgold run real_rl --resume runs/real_rl-20260101-120000
    """

    world: World = "java"
    """What is answered: java (translate a method to Python), code (write a function that passes tests), annotations
    (find a loop's invariant that proves the program)."""
    minutes: float = 20


class RealRL:
    """One run of the study."""

    def __init__(self, plan: Plan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.created = datetime.fromisoformat(folder.record["created"])
        self.pipeline = ProblemsPipeline(plan.problems, folder.path, stages, self.created)

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, pipeline, path = self.plan, self.pipeline, self.folder.path
        pipeline.finetuned()
        _ = pipeline.judged
        pipeline.reward_model()
        start = self.start()
        results: list[ArmResult] = run_arms(
            plan.problems, plan.arms, path, self.created, self.stages, run_arm, ArmResult.read
        )
        told, agrees = pipeline.accuracy()
        measured = Measured(
            verifier=results[0],
            reviewers=results[1],
            priced=results[2],
            start=start,
            tested=tested_problems(pipeline),
            reviewers_agree=pipeline.judged.readers_agree,
            reward_accuracy=told.accuracy,
            held_out=told.n,
            reward_agrees=agrees,
            demonstrations_pass=self.demonstrations_pass(),
        )
        self._log(results)
        verdict = judge(measured)
        verdict.write(path / "verdict.json")
        problems = plan.problems
        command = f"foolsgold run {STUDY} --world {problems.world} --minutes {plan.minutes:g} --seed {problems.seed}"
        write_report(path / "report.html", verdict, sections(measured, problems), self.folder.record, command)
        return verdict

    def start(self) -> PoolOfAnswers:
        """The finetuned policy's answers to test problems."""
        path, pipeline = self.folder.path / "start.npz", self.pipeline
        if not path.exists():
            with self.stages.stage("what the start can do", None):
                pool = pool_of(pipeline, pipeline.policy, tested_problems(pipeline))
            with replacing(path) as part:
                np.savez_compressed(part, **vars(pool))
        with np.load(path) as kept:
            return PoolOfAnswers(**kept)

    def demonstrations_pass(self) -> np.ndarray:
        """bool `[400]`, whether people's answers pass"""
        some = self.pipeline.world.demonstrations(400, self.plan.problems.seed)
        rows = [PromptRow(problem.prompt, problem.columns) for problem, _ in some]
        prompts, answers = [problem.prompt for problem, _ in some], [answer for _, answer in some]
        verdicts = self.pipeline.verifier.verdicts(prompts, answers, **keyword_lists(rows))
        return np.array([each.outcome == "passed" for each in verdicts])

    def _log(self, results: list[ArmResult]) -> None:
        self.folder.truncate_after(-1)  # metrics are written here, all at once
        for result in results:
            for each in result.evaluations:
                figures = {
                    "kl": each.kl,
                    "entropy": each.entropy,
                    **{name: np.mean(getattr(each, name)) for name in ("sampled", "greedy", "train", "proxy")},
                    **{f"outcome/{name}": share for name, share in each.outcomes.items()},
                }
                self.folder.log(each.step, **{f"{result.arm.name}/{name}": value for name, value in figures.items()})


def main(config: RealRLConfig) -> None:
    """Run or resume the study and say where the report is."""
    if config.resume is None:
        plan = Plan.of(config.world, config.minutes, config.seed)
        folder = RunFolder.create(config.out, STUDY, asdict(plan), VERSION)
    else:
        folder = RunFolder.open(config.resume, STUDY, VERSION)
        plan = Plan.from_json(folder.config)
    problems = plan.problems
    head = f"[bold]{STUDY}[/bold] on {problems.world}: {problems.decoder.parameters:,} weights"
    values = {"minutes": plan.minutes, **asdict(problems), **{f"RL {k}": v for k, v in asdict(plan.arms[0]).items()}}
    run_and_tell(folder, head, values, lambda stages: RealRL(plan, folder, stages).run())
