"""The study of proofs: a tiny run from end to end, with a prover in Python."""

import json
from dataclasses import asdict, replace

import pytest
from rich.console import Console
from tiny_proofs import PythonProver

from foolsgold.audit.verdict import Verdict
from foolsgold.errors import UserError
from foolsgold.studies import proofs, proofs_arms
from foolsgold.studies.progress import Stages
from foolsgold.studies.proofs import BRUTE_FORCE, POLICIES, RANKED, Proofs, ProofsConfig, main, result_path, tactics
from foolsgold.studies.proofs_arms import expert_rounds, rl_steps, spent
from foolsgold.studies.proofs_measure import Result
from foolsgold.studies.proofs_pipeline import ProofsPipeline, accepted, script_of
from foolsgold.studies.proofs_plan import Plan
from foolsgold.training.run_folder import RunFolder

TINY = replace(
    Plan.of("coq", 1, 3),
    students=60,
    finetuning_steps=120,
    train=16,
    test=8,
    rl_steps=4,
    expansions=24,
    expert_expansions=8,
    width=32,
    layers=1,
    finetuning_rate=1e-2,
    problems=4,
    samples=4,
    rounds=2,
    batch=32,
)


@pytest.fixture(scope="module", autouse=True)
def _python_prover():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proofs, "session_of", lambda tool: PythonProver())
        patch.setattr(proofs, "in_processes", lambda function, jobs, watch: [function(*job) for job in jobs])
        patch.setattr(proofs_arms, "CHUNK", 8)
        yield


def start(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path, proofs.STUDY, asdict(TINY), proofs.VERSION)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return Proofs(TINY, folder, stages).run()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    folder = start(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


def test_a_run_leaves_verdict_report_and_metrics(finished):
    verdict = Verdict.read(finished.path / "verdict.json")
    by_name = {each.name: each for each in verdict.figures}
    assert by_name["start: single tries"].n == TINY.test
    assert by_name["proofs found that the kernel accepts"].value == 1
    assert "<svg" in (finished.path / "report.html").read_text()
    rows = RunFolder.open(finished.path, proofs.STUDY, proofs.VERSION).metrics()
    assert [row["step"] for row in rows] == [1, 2, 3, 4]


def test_all_proofs_counted_are_proofs(finished):
    pipeline, prover = ProofsPipeline(TINY, finished.path), PythonProver()
    for name in (*POLICIES, BRUTE_FORCE, *RANKED):
        result = Result.read(result_path(finished.path, name))
        solved = [
            (problem.columns["statement"], script)
            for problem, script in zip(pipeline.problems("test"), result.searched.scripts, strict=True)
            if script
        ]
        assert len(solved) == sum(result.searched.solved) == result.searched.accepted
        assert all(accepted(prover, "coq", solved))
        assert max(result.searched.expansions) <= TINY.expansions
    assert sum(Result.read(result_path(finished.path, BRUTE_FORCE)).searched.solved) > 0


def test_expert_iteration_and_more_imitation_take_what_rl_took(finished):
    pipeline = ProofsPipeline(TINY, finished.path)
    rl, expert, imitation = (spent(pipeline, name) for name in ("rl", "expert", "imitation"))
    assert rl.calls == sum(step.calls for step in rl_steps(finished.path)) > 0
    # A round goes on until a chunk of theorems is searched.
    most = max(each.calls for each in expert_rounds(pipeline))
    assert rl.calls <= expert.calls < rl.calls + most
    assert (imitation.calls, spent(pipeline, "start").rows) == (0, 0)
    assert abs(imitation.rows - rl.rows) <= TINY.batch


@pytest.mark.slow
@pytest.mark.parametrize("where", ["RL", "a round", "a measurement", "the report"])
def test_a_run_that_was_killed_goes_on_to_the_same_verdict(finished, tmp_path, monkeypatch, where):
    owner, name, after = {
        "RL": (proofs_arms, "RLStep", 2),
        "a round": (proofs_arms, "best_first", 1),
        "a measurement": (proofs, "measure_policy", 3),
        "the report": (proofs, "write_report", 1),
    }[where]
    go_on, calls = getattr(owner, name), []

    def stop(*arguments, **named):
        calls.append(name)
        if len(calls) == after:
            raise KeyboardInterrupt
        return go_on(*arguments, **named)

    folder = start(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    resumed = RunFolder.open(folder.path, proofs.STUDY, proofs.VERSION)
    assert Plan.from_json(resumed.config) == TINY
    run(resumed)
    assert (resumed.path / "verdict.json").read_bytes() == (finished.path / "verdict.json").read_bytes()


def test_another_prover_checks_what_was_found(finished, tmp_path):
    """What the second one is asked is in its own words."""
    pipeline = ProofsPipeline(TINY, finished.path)
    results = {name: Result.read(result_path(finished.path, name)) for name in (*POLICIES, BRUTE_FORCE)}

    class Told(PythonProver):
        def __init__(self):
            super().__init__()
            self.told = []

        def check(self, statement, script):
            self.told.append((statement, script))
            return self.verdict("passed", "", statement, script)

    prover = Told()
    agreement = proofs.compare(pipeline, prover, "lean", results)
    assert agreement.proofs == agreement.translated == agreement.accepted == len(prover.told) > 0
    assert any("→" in statement for statement, _ in prover.told)
    assert not any("destruct" in script or "split" in script for _, script in prover.told)


def test_scripts_and_their_sizes():
    assert script_of(["intro h1", "exact h1"], "coq") == "intro h1. exact h1."
    assert script_of(["intro h1", "exact h1"], "lean") == "intro h1; exact h1"
    assert tactics("intro h1. exact h1.", "coq") == tactics("intro h1; exact h1", "lean") == 2


def test_mistakes_are_told_at_the_door(tmp_path):
    with pytest.raises(UserError, match="--seed"):
        ProofsConfig(seed=-1)
    with pytest.raises(UserError, match="--minutes"):
        ProofsConfig(minutes=0)
    with pytest.raises(UserError, match="--check coq"):
        main(ProofsConfig(check="coq", out=tmp_path))
    assert json.loads(json.dumps(asdict(TINY))) == asdict(TINY)
