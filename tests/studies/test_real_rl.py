"""RL on a verifier beside RL on a vibe: a tiny world from end to end."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from tiny_problems import ARM, ARMS, PLAN, SumVerifier, arms_here, make

from foolsgold.audit.verdict import Verdict
from foolsgold.labels.store import open_store
from foolsgold.rewards.verifiers import worlds
from foolsgold.studies import real_rl, real_rl_arm, real_rl_pipeline
from foolsgold.studies.progress import Stages
from foolsgold.studies.real_rl import RealRL
from foolsgold.studies.real_rl_arm import ArmResult
from foolsgold.studies.real_rl_pipeline import Remembered, different_pairs
from foolsgold.studies.real_rl_plan import TABLE, Plan
from foolsgold.studies.real_rl_price import kl_price
from foolsgold.training.run_folder import RunFolder

TINY = Plan(1.0, PLAN, ARMS)


@pytest.fixture(scope="module", autouse=True)
def _small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(worlds.WORLDS, "sums", make)
        patch.setattr(real_rl, "run_arms", arms_here)
        for name, value in (("TEST_PROBLEMS", 10), ("TRAIN_PROBLEMS", 6), ("POOL_ANSWERS", 4)):
            patch.setattr(real_rl_arm, name, value)
        yield


def start(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path, real_rl.STUDY, asdict(TINY), real_rl.VERSION)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return RealRL(TINY, folder, stages).run()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    folder = start(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


def test_a_run_leaves_verdict_report_comparisons_and_metrics(finished):
    verdict = Verdict.read(finished.path / "verdict.json")
    assert [each.n for each in verdict.figures if each.name == "the verifier's lead at the end"] == [10]
    assert all(each.value == each.value for each in verdict.figures)
    assert "<svg" in (finished.path / "report.html").read_text()
    with open_store(finished.path / "comparisons.sqlite") as store:
        assert 0 < len(store) <= PLAN.held_out + PLAN.comparisons
    rows = RunFolder.open(finished.path, real_rl.STUDY, real_rl.VERSION).metrics()
    assert [row["step"] for row in rows if "reviewers/sampled" in row] == [0, 1, 2, 3, 4]


def test_arms_start_from_the_same_policy_and_the_same_answers(finished):
    first, second, third = (
        json.loads((finished.path / "arms" / arm.name / "evaluation-00000.json").read_text()) for arm in ARMS
    )
    assert first == second == third


def test_a_price_on_kl_is_paid_by_the_last_arm_alone(finished):
    free, priced = (ArmResult.read(finished.path / "arms" / arm.name / "result.json") for arm in ARMS[1:])
    assert free.price == 0 < priced.price
    assert priced.evaluations[1:] != free.evaluations[1:]


def test_the_price_is_that_of_the_best_policy_so_far_away_by_integration():
    scores = np.random.default_rng(0).normal(5, 0.7, (4_000, 8))
    price = kl_price(scores, nats=1.5)
    reward = np.linspace(-9, 19, 20_001)  # of answers, under the start's policy normal
    start = stats.norm.pdf(reward, 5, 0.7)
    best = start * np.exp((reward - 5) / price)
    best /= best.sum() * (reward[1] - reward[0])
    kl = np.sum(best * np.log(np.maximum(best, 1e-300) / np.maximum(start, 1e-300))) * (reward[1] - reward[0])
    assert kl == pytest.approx(1.5, rel=0.02)


def test_evaluations_are_close_together_at_first():
    arm = replace(ARM, steps=216, evaluate_every=36)
    assert sorted(arm.looks) == [0, 1, 2, 4, 8, 16, 36, 72, 108, 144, 180, 216]
    assert sorted(replace(ARM, steps=4, evaluate_every=1).looks) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("where", ["the second evaluation", "the reward model", "the report"])
def test_a_run_that_was_killed_goes_on_to_the_same_verdict(finished, tmp_path, monkeypatch, where):
    owner, name, after = {
        "the second evaluation": (real_rl_arm, "evaluate_policy", 2),
        "the reward model": (real_rl_pipeline, "fit_text_reward_model", 1),
        "the report": (real_rl, "write_report", 1),
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
    resumed = RunFolder.open(folder.path, real_rl.STUDY, real_rl.VERSION)
    assert Plan.from_json(resumed.config) == TINY
    run(resumed)
    assert (resumed.path / "verdict.json").read_bytes() == (finished.path / "verdict.json").read_bytes()


def test_no_answer_is_judged_twice():
    verifier = SumVerifier()
    remembered = Remembered(verifier)
    asked = {"total": [3, 3, 5], "completion_ids": [[1], [2], [3]]}
    first = remembered.verdicts(["1+2=", "1+2=", "1+4="], ["3", "3", "4"], **asked, trainer_state=None)
    assert [each.outcome for each in first] == ["passed", "passed", "wrong"]
    assert verifier.judged == 2
    assert remembered.verdicts(["1+4=", "1+2="], ["5", "3"], total=[5, 3])[0].outcome == "passed"
    assert verifier.judged == 3


def test_pairs_are_of_one_problem_and_differ():
    texts = ["a", "b", "a", "c", "c", "c", "x", "y", "x"]
    first, second = different_pairs(texts, 3, 100, seed=0)
    found = {frozenset((texts[i], texts[j])) for i, j in zip(first, second, strict=True)}
    assert found == {frozenset("ab"), frozenset("xy")}
    assert (first // 3 == second // 3).all()
    assert len(different_pairs(texts, 3, 1, seed=0)[0]) == 1


def test_which_answer_of_a_pair_is_shown_first_is_chance():
    texts = [str(number) for number in range(400)]
    first, second = different_pairs(texts, 2, 200, seed=0)
    assert 70 < int((first < second).sum()) < 130


@pytest.mark.parametrize("world", list(TABLE))
def test_arms_differ_in_their_reward_and_the_price_of_kl_alone(world):
    real, vibe, priced = (asdict(arm) for arm in Plan.of(world, 20, 0).arms)
    assert {name for name in real if real[name] != vibe[name]} == {"name", "reward"}
    assert {name for name in vibe if vibe[name] != priced[name]} == {"name", "kl_budget"}


def test_the_dial_sets_steps_in_proportion():
    short, long = Plan.of("java", 20, 0), Plan.of("java", 60, 0)
    assert long.arms[0].steps == pytest.approx(3 * short.arms[0].steps, abs=12)
    assert long.problems.finetuning_steps == pytest.approx(3 * short.problems.finetuning_steps, abs=2)
    assert Plan.from_json(json.loads(json.dumps(asdict(short)))) == short
