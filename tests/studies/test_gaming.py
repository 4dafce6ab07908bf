"""Gold kept and alarms weighed: on made-up runs worked by hand, and a tiny study from end to end."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console
from tiny_poems import TINY, few_texts

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.errors import UserError
from foolsgold.studies import gaming, gaming_arm
from foolsgold.studies.gaming import Gaming
from foolsgold.studies.gaming_arm import Trial, check
from foolsgold.studies.gaming_measure import Measured, at_kl, kept, shared_error
from foolsgold.studies.gaming_plan import GamingConfig, GamingPlan, trials
from foolsgold.studies.gaming_report import judge, sections
from foolsgold.studies.gaming_trial import TrialResult
from foolsgold.studies.poem_arm import Evaluation
from foolsgold.studies.progress import Stages
from foolsgold.training.run_folder import RunFolder

USUAL = Trial("none-8-0", "none", 8, 1, steps=20, evaluate_every=5)
HOSTILE = "<script>alert(1)</script>"


def made_up(trial: Trial, kl: list[float], gold: list[float], readings: list[float], prompts: int = 40) -> TrialResult:
    """A run whose every prompt has about the gold given."""
    noise = np.random.default_rng([trial.seed, 5]).normal(0, 0.01, (len(gold), prompts))
    evaluations = [
        Evaluation(5 * i, kl[i], (gold[i] + noise[i]).tolist(), [float(i)] * prompts, [("p", HOSTILE, 1.0, 0.0)])
        for i in range(len(gold))
    ]
    rows = [{"outliers": reading, "kl": kl[i], "step": 5.0 * i} for i, reading in enumerate(readings)]
    return TrialResult(trial, evaluations, rows, 0, 0.6, 100)


FALLS = [0.4, 0.5, 0.4, 0.2, 0.1]
KEEPS = [0.4, 0.45, 0.5, 0.5, 0.5]


def grid() -> list[TrialResult]:
    """Four groups; without defence gold falls and the alarm rises with it, under "worst" gold is kept."""
    found = []
    for seed in range(4):
        none = replace(USUAL, name=f"none-{seed}", seed=seed)
        worst = replace(USUAL, name=f"worst-{seed}", seed=seed, defence="worst")
        found.append(made_up(none, [0, 1, 4, 9, 16], FALLS, [0.0, 0.1, 0.5, 0.9, 1.0]))
        found.append(made_up(worst, [0, 1, 2, 3, 4], KEEPS, [0.0, 0.1, 0.1, 0.1, 0.1]))
    return found


def measured() -> Measured:
    gold = np.random.default_rng(3).random((30, 64))
    return Measured(grid(), gold, {"8 comparisons, the same": 0.9}, seed=0)


def test_gold_at_a_kl_lies_between_evaluations_by_the_root():
    run = made_up(USUAL, [0, 1, 9, 9, 16], [0.0, 1.0, 0.0, 0.0, 0.0], [0.0] * 5)
    assert at_kl(run, 4.0).mean() == pytest.approx(0.5, abs=0.01)
    assert at_kl(run, 1.0).mean() == pytest.approx(1.0, abs=0.01)
    assert at_kl(run, 25.0) is None


def test_gold_kept_is_paired_with_the_run_of_the_same_seed():
    runs = grid()
    found = kept(
        [run for run in runs if run.trial.defence == "worst"], [run for run in runs if run.trial.name[0] == "n"]
    )
    # Both runs of a seed have the same noise here, so only the difference is left.
    assert found.end_more == pytest.approx(0.4)
    assert found.end_interval.low == pytest.approx(0.4)
    assert found.at[1.0][0] == pytest.approx(0.45 - 0.5, abs=1e-9)
    assert 5.0 not in found.at  # the defended runs never came to 5 nats
    assert found.peak_kl in (2, 3, 4)


def test_errors_of_members_that_are_one_correlate_fully_and_independent_ones_not():
    rng = np.random.default_rng(0)
    gold, error = rng.normal(size=(50, 40)), rng.normal(size=(50, 40))
    prompt = rng.normal(size=(50, 1))  # what a prompt's poems share is no error in choosing among them
    assert shared_error(np.array([gold + error, 3 * gold + error + prompt]), gold) == pytest.approx(1, abs=1e-6)
    own = rng.normal(size=(3, 50, 40))
    assert abs(shared_error(gold + own, gold)) < 0.05


def test_the_table_of_alarms_catches_what_falls_and_the_defence_is_named():
    verdict = judge(measured())
    assert verdict.answer == "holds"
    assert "outliers" in verdict.sentence
    assert "“worst” kept most" in verdict.sentence
    caught = next(each for each in verdict.figures if each.name.startswith("over-optimized"))
    assert caught.n == 4
    assert caught.value == 1.0


def test_without_a_fall_nothing_was_found():
    runs = [each for each in grid() if each.trial.defence == "worst"]
    same = [replace(each, trial=replace(each.trial, name=f"none-{i}", defence="none")) for i, each in enumerate(runs)]
    other = [replace(each, trial=replace(each.trial, defence="mean")) for each in runs]
    found = Measured([*same, *other], measured().gold, {}, seed=0)
    assert judge(found).answer == "depends"
    assert "none of the 8 runs" in judge(found).sentence


def test_heavy_tails_lose_what_light_ones_gain():
    light, heavy = measured().tails
    assert light.gold[-1] > light.gold[0] + 0.1
    assert heavy.gold[-1] < light.gold[-1] - 0.1


def test_a_page_with_what_a_model_wrote_is_text(tmp_path):
    found = measured()
    page = write_report(tmp_path / "report.html", judge(found), sections(found, TINY), {}).read_text()
    assert "<script>alert" not in page
    assert "worst" in page


def test_the_grid_of_the_default_size_has_sixty_runs_of_different_names():
    found = trials("m", 4)
    assert len({each.name for each in found}) == len(found) >= 60
    assert len({each.group for each in found}) >= 8
    for each in found:
        check(each)


@pytest.mark.parametrize("wrong", [{"defence": "hope"}, {"price": 0.1}, {"defence": "kl"}, {"method": "ppo"}])
def test_a_trial_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="none-8-0"):
        check(replace(USUAL, **wrong))


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="0 or more"):
        GamingConfig(seed=-1)


TINY_TRIALS = (
    Trial("none-40-0", "none", 40, 1, 4, 2, prompts=4, samples=2),
    Trial("worst-40-0", "worst", 40, 1, 4, 2, prompts=4, samples=2),
    Trial("repair-40-0", "repair", 40, 1, 4, 1, prompts=4, samples=2),
    Trial("length-free-40-0", "length-free", 40, 1, 4, 2, prompts=4, samples=2),
    Trial("chi2-40-0", "chi2", 40, 1, 4, 2, price=0.01, prompts=4, samples=2),
    Trial("capped-40-1", "capped", 40, 1, 4, 2, seed=1, prompts=4, samples=2),
    Trial("none-40-1", "none", 40, 1, 4, 2, seed=1, prompts=4, samples=2),
)
TINY_PLAN = GamingPlan("s", replace(TINY, most_comparisons=100), None, TINY_TRIALS)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return Gaming(TINY_PLAN, folder, stages).run()


@pytest.mark.slow
def test_a_tiny_study_from_end_to_end_goes_on_after_a_kill(tmp_path, monkeypatch):
    few_texts(monkeypatch)
    monkeypatch.setattr(gaming_arm, "EVALUATED_PROMPTS", 10)
    monkeypatch.setattr(gaming_arm, "MEMBERS", 2)
    monkeypatch.setattr(gaming_arm, "LABELS_A_ROUND", 6)

    def here(plan, arms, folder, created, stages, run, read):
        return [read(run(plan, arm, folder, created)) for arm in arms]

    monkeypatch.setattr(gaming, "run_arms", here)
    monkeypatch.setattr(gaming, "in_processes", lambda function, jobs, watch: [function(*job) for job in jobs])
    start = RunFolder.create(tmp_path / "whole", gaming.STUDY, asdict(TINY_PLAN), gaming.VERSION)
    whole = run(start)
    assert len(whole.figures) == 5
    repaired = TrialResult.read(start.path / "arms" / "repair-40-0" / "result.json", Trial)
    assert [each.step for each in repaired.evaluations] == [0, 1, 2, 3, 4]
    assert repaired.labels == 3 * 6 or repaired.labels == gaming_arm.ROUNDS * 6

    killed = RunFolder.create(tmp_path / "killed", gaming.STUDY, asdict(TINY_PLAN), gaming.VERSION)
    evaluations = []
    measure = gaming_arm.evaluation_of

    def stop(*arguments):
        evaluations.append(arguments)
        if len(evaluations) == 9:
            raise KeyboardInterrupt
        return measure(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(gaming_arm, "evaluation_of", stop)
        with pytest.raises(KeyboardInterrupt):
            run(killed)
    resumed = RunFolder.open(killed.path, gaming.STUDY, gaming.VERSION)
    assert GamingPlan.from_json(resumed.config) == TINY_PLAN
    run(resumed)
    assert (killed.path / "verdict.json").read_bytes() == (start.path / "verdict.json").read_bytes()
