"""Learning from proofs alone: a tiny run from end to end, with the real engine."""

import json
from dataclasses import asdict

import pytest

pytest.importorskip("z3")

from rich.console import Console

from foolsgold.audit.verdict import Verdict
from foolsgold.environments.loops import families
from foolsgold.environments.loops.world import Loops
from foolsgold.rewards.verifiers import worlds
from foolsgold.rewards.verifiers.annotations import AnnotationsVerifier
from foolsgold.studies import annotations, annotations_arm
from foolsgold.studies.annotations import Annotations
from foolsgold.studies.annotations_arm import METHODS, Arm, ArmResult
from foolsgold.studies.annotations_pipeline import AnnotationsPlan
from foolsgold.studies.annotations_plan import Plan
from foolsgold.studies.progress import Stages
from foolsgold.studies.real_rl_pipeline import ProblemsPlan
from foolsgold.training.run_folder import RunFolder

PROBLEMS = ProblemsPlan(
    seed=3,
    world="annotations",
    width=32,
    layers=1,
    vocabulary=300,
    max_new_tokens=12,
    demonstrations=400,
    finetuning_steps=200,
    finetuning_rate=1e-2,
    asked=0,
    comparisons=0,
    reward_steps=0,
    problems=30,
    finetuning_batch=16,
    tokenizer_texts=100,
)
SETTINGS = AnnotationsPlan(PROBLEMS, second_opinions=20, tested=6, trained=6, tries=4)
TINY = Plan(1.0, SETTINGS, tuple(Arm(name, steps=4, prompts=4, samples=4, rounds=2) for name in METHODS))


def make():
    return Loops(), AnnotationsVerifier(workers=0)


def arms_here(plan, arms, folder, created, stages, run, read, kind):
    """`run_arms` one after the other in this process: others would not know these families."""
    return [read(run(plan, arm, folder, created)) for arm in arms]


@pytest.fixture(scope="module", autouse=True)
def _small():
    """Two easy structures, whose names never change: a tiny model learns them in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(worlds.WORLDS, "annotations", make)
        patch.setattr(annotations, "run_arms", arms_here)
        patch.setattr(annotations_arm, "SAVE_EVERY", 1)
        patch.setattr(families, "_names", lambda rng: families.Names("x", "y", "z", "n", "t"))
        easy = {name: families.TRAIN[name] for name in ("count up", "even")}
        patch.setitem(families.FAMILIES, "train", easy)
        patch.setitem(families.FAMILIES, "test", easy)
        yield


def start(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path, annotations.STUDY, asdict(TINY), annotations.VERSION)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return Annotations(TINY, folder, stages).run()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    folder = start(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


@pytest.mark.slow
def test_a_run_leaves_verdict_report_and_metrics(finished):
    verdict = Verdict.read(finished.path / "verdict.json")
    figures = {each.name: each for each in verdict.figures}
    assert figures["Houdini"].value == 1  # both structures are within its candidates
    assert figures["of them refuted by other runs"].value == 0
    assert figures["proofs believed"].value > 0
    assert figures["RL less start, sampled"].n == SETTINGS.tested
    assert "<svg" in (finished.path / "report.html").read_text()
    rows = RunFolder.open(finished.path, annotations.STUDY, annotations.VERSION).metrics()
    assert [row["step"] for row in rows if "rl/sampled" in row] == [0, 16, 32, 48, 64]


@pytest.mark.slow
def test_arms_draw_as_many_answers(finished):
    drawn = {}
    for name in METHODS:
        result = ArmResult.read(finished.path / "arms" / name / "result.json")
        drawn[name] = result.evaluations[-1].drawn
        assert result.evaluations[0].drawn == 0
    assert drawn["expert"] == drawn["rl"] == 4 * 4 * 4
    most = 4 * 4 * SETTINGS.turns - 1  # the last batch of episodes is played to its end
    assert all(64 <= drawn[name] <= 64 + most for name in ("tries", "turns"))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["evaluation of turns", "a batch of episodes", "expert iteration", "the report"])
def test_a_run_that_was_killed_goes_on_to_the_same_verdict(finished, tmp_path, monkeypatch, where):
    owner, name, after = {
        "evaluation of turns": (annotations_arm, "evaluate_policy", 13),
        "a batch of episodes": (annotations_arm.CountedTurns, "step", 3),
        "expert iteration": (annotations_arm, "evaluate_policy", 2),
        "the report": (annotations, "write_report", 1),
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
    resumed = RunFolder.open(folder.path, annotations.STUDY, annotations.VERSION)
    assert Plan.from_json(resumed.config) == TINY
    run(resumed)
    assert (resumed.path / "verdict.json").read_bytes() == (finished.path / "verdict.json").read_bytes()


def test_the_dial_sets_steps_in_proportion():
    short, long = Plan.of(10, 0), Plan.of(30, 0)
    assert long.arms[0].steps == pytest.approx(3 * short.arms[0].steps, abs=2)
    assert {arm.answers for arm in short.arms} == {short.arms[0].answers}
    assert Plan.from_json(json.loads(json.dumps(asdict(short)))) == short


def test_arms_differ_in_their_way_alone():
    arms = [asdict(arm) for arm in Plan.of(10, 0).arms]
    assert {name for arm in arms for name in arm if arm[name] != arms[0][name]} == {"name"}
