"""The study of the loop at a size that takes seconds: from end to end, killed and taken up again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from foolsgold.audit.verdict import Verdict
from foolsgold.environments.code_tasks.functions import Function
from foolsgold.environments.code_tasks.world import _problem
from foolsgold.studies import coding, coding_arm, coding_pipeline
from foolsgold.studies.coding import Coding
from foolsgold.studies.coding_plan import CodingPlan
from foolsgold.studies.coding_traces import read_trace
from foolsgold.studies.progress import Stages
from foolsgold.training.datasets import prompt_completions
from foolsgold.training.run_folder import RunFolder

TINY = replace(
    CodingPlan.of(1, 3),
    finetuning_steps=120,
    finetuning_rate=1e-2,
    attempts=60,
    run_attempts=30,
    rl_steps=1,
    test_problems=4,
    width=32,
    layers=1,
    vocabulary=320,
    max_new_tokens=40,
    rounds=2,
    turns=2,
    rl_problems=4,
    rl_samples=2,
    imitation_batch=8,
)
FUNCTIONS = [Function("all", "", "", "itself", result) for result in ("sum", "count", "list", "largest")]


class Few:
    """Four functions, the same in both splits; people get every second one wrong."""

    def problems(self, split, n, seed):
        return [_problem(FUNCTIONS[(seed + i) % 4]) for i in range(n)]

    def demonstrations(self, n, seed):
        return [(each, "    return 7" if i % 2 else each.answer) for i, each in enumerate(self.problems("train", n, 0))]


def arms_here(plan, arms, folder, created, stages, run, read, kind):
    """One after the other in this process."""
    return [read(run(plan, arm, folder, created)) for arm in arms]


@pytest.fixture(scope="module", autouse=True)
def _here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coding, "run_arms", arms_here)
        patch.setattr(coding, "PEOPLE", 10)
        patch.setattr(coding_pipeline, "CodeTasks", Few)
        yield


def start(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path, coding.STUDY, TINY.to_json(), coding.VERSION)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return Coding(TINY, folder, stages).run()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    folder = start(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


@pytest.mark.slow
def test_a_run_leaves_verdict_report_and_traces_that_trl_reads(finished):
    verdict = Verdict.read(finished.path / "verdict.json")
    assert [each.n for each in verdict.figures if each.name.startswith("the loop less as many")] == [4]
    assert "<svg" in (finished.path / "report.html").read_text()
    lines = (finished.path / "traces" / "train.jsonl").read_text().splitlines()
    assert len(lines) == TINY.problems * TINY.rl_samples
    rows = prompt_completions([json.loads(line) for line in lines])
    assert [rows[0].prompt[0]["role"], rows[0].completion[-1]["role"]] == ["user", "assistant"]
    assert any(episode.solved for episode, _ in map(read_trace, lines))


@pytest.mark.slow
def test_the_first_attempt_is_the_same_whatever_is_read_later(finished):
    rounds = json.loads((finished.path / "arms" / "start" / "result.json").read_text())["rounds"]
    first = [np.array(rounds[mode]["hidden"])[:, :, 0].tolist() for mode in ("read", "other", "none")]
    assert first[0] == first[1] == first[2]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["rl", "traces", "report"])
def test_a_run_that_was_killed_goes_on_to_the_same_verdict(finished, tmp_path, monkeypatch, where):
    owner, name = {
        "rl": (coding_arm, "train_on_turns"),
        "traces": (coding_pipeline, "play"),
        "report": (coding, "write_report"),
    }[where]

    def stop(*arguments, **named):
        raise KeyboardInterrupt

    folder = start(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    resumed = RunFolder.open(folder.path, coding.STUDY, coding.VERSION)
    assert CodingPlan.from_json(resumed.config) == TINY
    run(resumed)
    assert (resumed.path / "verdict.json").read_bytes() == (finished.path / "verdict.json").read_bytes()


def test_arms_learn_from_as_many_turns():
    plan = CodingPlan.of(10, 0)
    steps = {arm.name: arm.steps for arm in plan.arms}
    played = plan.rl_steps * plan.rl_problems * plan.rl_samples
    assert {steps[name] * plan.imitation_batch for name in ("traces", "hidden", "distilled", "people")} == {2 * played}


def test_a_plan_comes_back_from_its_record():
    plan = CodingPlan.of(4, 1)
    assert CodingPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
