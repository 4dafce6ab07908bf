"""The study `open_domain`: rewards for tasks of which nobody knows what to reward."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from foolsgold.audit.report import write_report
from foolsgold.audit.text_edits import EvolutionSettings
from foolsgold.audit.verdict import Verdict
from foolsgold.errors import UserError
from foolsgold.studies.arms import in_processes
from foolsgold.studies.open_domain_measure import TaskMeasured
from foolsgold.studies.open_domain_report import judge, sections
from foolsgold.studies.open_domain_run import TASKS, TaskPlan, read_task, run_task, steps_done, steps_of
from foolsgold.studies.progress import Stages, run_and_tell
from foolsgold.training.run_folder import RunFolder

STUDY = "open_domain"
VERSION = 1
Size = Literal["s", "m"]


@dataclass(frozen=True)
class OpenDomainConfig:
    """Rewards for summaries, ambiguous questions, jokes and translations of Java, and what optimising them comes to.

    Each task is a small invented world in which gold is known. Rewards that are used for such tasks are compared with
    gold on ordinary answers, then optimised: mildly, by the best of n, and hard, by a search that sees nothing but the
    reward. Which agree, which break, and by what answers?

    Examples:
      foolsgold run open_domain
      foolsgold run open_domain --tasks jokes,java --size m
      foolsgold run open_domain --resume runs/open_domain-20260101-120000
    """

    size: Size = "s"
    """s: some 5 minutes on two cores; m: twice the prompts and answers, and a longer search."""
    seed: int = 0
    """Seed of everything that is random: the same seed gives the same numbers."""
    tasks: Annotated[str, tyro.conf.arg(metavar="NAME,...")] = ",".join(TASKS)
    """Which tasks, with commas between them; java needs a JDK and the sandbox."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold."""
    out: Path = Path("runs")
    """Where the run folder is made."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} is negative; give 0 or more")
        unknown = sorted(set(self.tasks.split(",")) - set(TASKS))
        if unknown:
            raise UserError(f"--tasks {self.tasks}: there is no task {unknown[0]!r}; choose from {', '.join(TASKS)}")


@dataclass(frozen=True)
class Plan:
    """Everything that follows from the dial; printed, and stored with the run."""

    size: Size
    seed: int
    tasks: tuple[TaskPlan, ...]

    @classmethod
    def of(cls, config: OpenDomainConfig) -> Plan:
        chosen = [name for name in TASKS if name in config.tasks.split(",")]
        more = {"s": 1, "m": 2}[config.size]
        plans = []
        for name in chosen:
            runs = name == "java"  # each answer of which must be run
            evolution = EvolutionSettings((12 if runs else 200) * more, 8, 8 if runs else 16)
            searched = (24 if runs else 32) * more
            plans.append(TaskPlan(name, config.seed, 64 * more, (128 if runs else 256) * more, searched, 4, evolution))
        return cls(config.size, config.seed, tuple(plans))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan of a stored run."""
        return cls(**{**data, "tasks": tuple(TaskPlan.from_json(each) for each in data["tasks"])})


class OpenDomain:
    """One run of the study."""

    def __init__(self, plan: Plan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages

    def run(self) -> Verdict:
        """All tasks; writes verdict.json and report.html."""
        path = self.folder.path
        jobs = [(plan, self._place(plan)) for plan in self.plan.tasks]
        total = sum(steps_of(plan) for plan in self.plan.tasks)
        # The longest first, so that the others share what is left of the cores.
        missing = sorted(
            (job for job in jobs if steps_done(*job) < steps_of(job[0])), key=lambda job: job[0].name != "java"
        )
        if missing:
            with self.stages.stage(f"{len(missing)} tasks, {total} steps", total) as tick:
                in_processes(run_task, missing, lambda: tick(sum(steps_done(*job) for job in jobs), total))
        with self.stages.stage("agreement and curves", None):
            measured = [TaskMeasured(read_task(plan, self._place(plan))) for plan in self.plan.tasks]
            verdict = judge(measured)
            body = sections(measured)
        verdict.write(path / "verdict.json")
        tasks = ",".join(plan.name for plan in self.plan.tasks)
        command = f"foolsgold run {STUDY} --size {self.plan.size} --seed {self.plan.seed} --tasks {tasks}"
        write_report(path / "report.html", verdict, body, self.folder.record, command)
        return verdict

    def _place(self, plan: TaskPlan) -> Path:
        return self.folder.path / "tasks" / plan.name


def main(config: OpenDomainConfig) -> None:
    """Run or resume the study and say where the report is."""
    if config.resume is None:
        plan = Plan.of(config)
        folder = RunFolder.create(config.out, STUDY, asdict(plan), VERSION)
    else:
        folder = RunFolder.open(config.resume, STUDY, VERSION)
        plan = Plan.from_json(folder.config)
    head = f"[bold]{STUDY}[/bold], size {plan.size}, seed {plan.seed}"
    values = {
        f"{each.name} {key}": value for each in plan.tasks for key, value in asdict(each).items() if key != "name"
    }
    run_and_tell(folder, head, values, lambda stages: OpenDomain(plan, folder, stages).run())
