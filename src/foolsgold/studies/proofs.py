"""The study `proofs`: RL where the reward is a proof that checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.environments.theorems.formulas import Tool, parse, statement
from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.policies.decoder import Decoder
from foolsgold.rewards.verifiers.proof_sessions import ProofSession
from foolsgold.studies.arms import in_processes
from foolsgold.studies.minutes_dial import MinutesDial
from foolsgold.studies.progress import Stages, run_and_tell
from foolsgold.studies.proofs_arms import Spent, Tick, expert_rounds, imitate, iterate, reinforce, rl_steps, spent
from foolsgold.studies.proofs_measure import (
    BRUTE_FORCE,
    POLICIES,
    RANKED,
    Agreement,
    Measured,
    Result,
    measure_brute_force,
    measure_policy,
    measure_ranked,
)
from foolsgold.studies.proofs_menu import by_the_book, translated
from foolsgold.studies.proofs_pipeline import ProofsPipeline, accepted, session_of
from foolsgold.studies.proofs_plan import Plan
from foolsgold.studies.proofs_report import judge, sections
from foolsgold.training.run_folder import RunFolder

STUDY = "proofs"
VERSION = 2


@dataclass(frozen=True)
class ProofsConfig(MinutesDial):
    """RL where the reward is a proof that checks: Coq or Lean says after each tactic what is left to show.

    A small model learns tactics from students, who err. From there RL over turns and expert iteration by search go on
    with the prover's word alone, and more of the students' proofs is the control. All are measured on theorems of
    families that training never showed, by single tries and by best-first search, beside search by brute force.

    Examples:
      foolsgold run proofs
      foolsgold run proofs --check lean
      foolsgold run proofs --tool lean --minutes 4
      foolsgold run proofs --resume runs/proofs-20260101-120000
    """

    tool: Tool = "coq"
    """Whose word counts: coq takes a millisecond for a tactic; lean, without a native installation, some 50."""
    minutes: float = 10
    check: Literal["none", "coq", "lean"] = "none"
    """Have a second prover check the shortest proof found of each theorem, put into its words."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold, but `--check` may be added."""


class Proofs:
    """One run of the study."""

    def __init__(self, plan: Plan, folder: RunFolder, stages: Stages, check: Tool | None = None):
        """
        Args:
          check: a second prover; None for none.
        """
        self.plan, self.folder, self.stages, self.check = plan, folder, stages, check
        self.pipeline = ProofsPipeline(plan, folder.path)

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, path = self.plan, self.folder.path
        with self.stages.stage("theorems and students' proofs", None):
            tested = self.pipeline.problems("test")
            self.pipeline.problems("train")
            _ = self.pipeline.tokenizer
        with self.stages.stage("supervised finetuning", plan.finetuning_steps) as tick:
            self.pipeline.finetuned(tick)
        first = [("arm", "rl"), ("measure", "start"), ("measure", BRUTE_FORCE)]
        # One Lean takes 4 GB and a while to start: with it all is done here, one after the other.
        with nullcontext() if plan.tool == "coq" else session_of(plan.tool) as session:
            with self.stages.stage("RL, and what the start can do", plan.rl_steps) as tick:
                self._do(first, session, lambda: tick(len(rl_steps(path)), plan.rl_steps))
            with self.stages.stage("expert iteration and more imitation", None):
                self._do([("arm", "expert"), ("arm", "imitation")], session, lambda: None)
            with self.stages.stage("what they can do", None):
                self._do([("measure", name) for name in (*POLICIES[1:], *RANKED)], session, lambda: None)
        results = {name: Result.read(result_path(path, name)) for name in (*POLICIES, BRUTE_FORCE, *RANKED)}
        measured = Measured(
            tested=tested,
            results=results,
            spent={name: spent(self.pipeline, name) for name in POLICIES},
            rl=rl_steps(path),
            rounds=expert_rounds(self.pipeline),
            train=plan.train,
            shortest=[tactics(each.answer, plan.tool) for each in tested],
            tool=plan.tool,
            agreement=self._agreement(results),
        )
        self._log(measured)
        verdict = judge(measured, plan)
        verdict.write(path / "verdict.json")
        checked = f" --check {self.check}" if self.check else ""
        command = f"foolsgold run {STUDY} --tool {plan.tool} --minutes {plan.minutes:g}{checked} --seed {plan.seed}"
        write_report(path / "report.html", verdict, sections(measured, plan), self.folder.record, command)
        return verdict

    def _do(self, jobs: Sequence[tuple[str, str]], session: ProofSession | None, watch: Callable[[], None]) -> None:
        path = self.folder.path
        waiting = [job for job in jobs if not done(path, *job)]
        if session is None and waiting:
            in_processes(run_job, [(self.plan, *job, path) for job in waiting], watch)
        elif session is not None:
            for job in waiting:
                run_job(self.plan, *job, path, session, lambda done, of: watch())

    def _agreement(self, results: dict[str, Result]) -> Agreement | None:
        path = self.folder.path / "agreement.json"
        if self.check is not None and not path.exists():
            with self.stages.stage(f"{self.check} checks the proofs found", None), session_of(self.check) as session:
                found = compare(self.pipeline, session, self.check, results)
            write_text(path, json.dumps(asdict(found)))
        return Agreement(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def _log(self, measured: Measured) -> None:
        self.folder.truncate_after(-1)  # metrics are written here, all at once
        for number, step in enumerate(measured.rl, start=1):
            self.folder.log(number, **{f"rl/{name}": value for name, value in asdict(step).items()})


def run_job(
    plan: Plan,
    what: str,
    name: str,
    folder: Path,
    session: ProofSession | None = None,
    tick: Tick = lambda done, of: None,
) -> None:
    """Do an arm, or measure a policy, of the run in `folder`; in a process of its own where there is no session."""
    torch.set_num_threads(1)
    pipeline = ProofsPipeline(plan, folder)
    with nullcontext(session) if session is not None else session_of(plan.tool) as running:
        if what == "arm":
            _arm(pipeline, running, name, tick)
        elif name == BRUTE_FORCE:
            measure_brute_force(pipeline, running).write(result_path(folder, name))
        elif name in RANKED:
            measure_ranked(pipeline, running, _arm(pipeline, running, RANKED[name], tick)).write(
                result_path(folder, name)
            )
        else:
            policy = _arm(pipeline, running, name, tick)
            measure_policy(pipeline, running, name, policy, tick).write(result_path(folder, name))


def _arm(pipeline: ProofsPipeline, session: ProofSession, name: str, tick: Tick) -> Decoder:
    """An arm's policy, trained where it is not there."""
    if name == "start":
        return pipeline.finetuned()
    if name == "rl":
        return reinforce(pipeline, session, tick)
    budget: Spent = spent(pipeline, "rl")
    return iterate(pipeline, session, budget, tick) if name == "expert" else imitate(pipeline, budget, tick)


def done(folder: Path, what: str, name: str) -> bool:
    """Whether a job's result is there."""
    if what == "measure":
        return result_path(folder, name).exists()
    return (folder / "models" / name / "config.json").exists()


def result_path(folder: Path, name: str) -> Path:
    """Where a policy's measurements lie."""
    return folder / "measured" / f"{name.replace(', ', '-').replace(' ', '-')}.json"


def tactics(script: str, tool: Tool) -> int:
    """In a script of the world's own."""
    return len(script.rstrip(".").split(". " if tool == "coq" else "; "))


def compare(pipeline: ProofsPipeline, session: ProofSession, to: Tool, results: dict[str, Result]) -> Agreement:
    """Have another prover check the shortest proof found of each test theorem."""
    tool, found = pipeline.plan.tool, 0
    said: list[tuple[str, list[str]]] = []
    kept: list[bool] = []
    for row, problem in enumerate(pipeline.problems("test")):
        scripts = [result.proofs[row] for result in results.values() if result.proofs[row]]
        if not scripts:
            continue
        found += 1
        script, formula = min(scripts, key=len), parse(problem.prompt)
        other = [translated(tactic, tool, to) for tactic in script]
        known = [tactic for tactic in other if tactic is not None]
        if len(known) == len(other):
            said.append((statement(formula, to), known))
            kept.append(by_the_book(formula, script, tool))
    passed = accepted(session, to, said)
    both = sum(book and each for book, each in zip(kept, passed, strict=True))
    return Agreement(to, found, len(said), sum(passed), sum(kept), both)


def main(config: ProofsConfig) -> None:
    """Run or resume the study and say where the report is."""
    if config.resume is None:
        plan = Plan.of(config.tool, config.minutes, config.seed)
    else:
        folder = RunFolder.open(config.resume, STUDY, VERSION)
        plan = Plan.from_json(folder.config)
    check = None if config.check == "none" else config.check
    if check == plan.tool:
        raise UserError(f"--check {check} is the prover of the run itself; name the other one")
    if config.resume is None:
        folder = RunFolder.create(config.out, STUDY, asdict(plan), VERSION)
    head = f"[bold]{STUDY}[/bold] in {plan.tool}: {plan.decoder.parameters:,} weights"
    run_and_tell(folder, head, asdict(plan), lambda stages: Proofs(plan, folder, stages, check).run())
