"""The study `gaming` on Go: its pieces on hand-drawn boards, and a tiny study from end to end."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console

from foolsgold.audit.verdict import Verdict
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.errors import UserError
from foolsgold.labels.board_comparisons import board_texts
from foolsgold.policies.go_network import NetworkSize
from foolsgold.studies import gaming, gaming_go, gaming_go_arm, gaming_go_pipeline
from foolsgold.studies.gaming_go import GoGaming
from foolsgold.studies.gaming_go_arm import GoTrial, check, exhibits, joined
from foolsgold.studies.gaming_go_pipeline import GoPlan, StandardMargin
from foolsgold.studies.gaming_go_report import grid_of
from foolsgold.studies.gaming_plan import STUDY, VERSION, GamingConfig, GamingPlan, GoGamingPlan, go_trials
from foolsgold.studies.gaming_trial import TrialResult
from foolsgold.studies.progress import Stages
from foolsgold.training.go_reward_model import BoardPairs
from foolsgold.training.go_rollouts import GoGames
from foolsgold.training.run_folder import RunFolder

USUAL = GoTrial("none-40-0", "none", 40, 4, 2, prompts=4, samples=4)


def drawn(*rows: str) -> np.ndarray:
    """The state of a drawn board: X Black, O White."""
    board, marks = Board(len(rows)), "".join(rows)
    board.set_up(*([i for i, mark in enumerate(marks) if mark == color] for color in "XO"))
    return board.state


BLACKS = drawn("XX.OO", ".X.OO", "XX.OO", ".X.O.", "XXXXO")
WHITES = drawn("XX.OO", ".X.OO", "XX.OO", ".XOO.", "XOOOO")


def games(final: np.ndarray, color: np.ndarray) -> GoGames:
    return GoGames(
        final,
        np.zeros((len(final), 1), np.uint64),
        np.zeros(len(final), np.float32),
        color,
        np.zeros((len(final), 0)),
        None,
        1,
    )  # type: ignore[arg-type]


def test_a_board_is_drawn_as_it_was_told():
    text = board_texts(WHITES[None])[0]
    assert text.startswith("XX.OO/.X.OO/")
    assert grid_of(text).tolist()[4] == [1, 2, 2, 2, 2]
    assert grid_of(text)[0, 2] == 0


def test_exhibits_are_lost_by_area_and_the_highest_come_first():
    # Area of the first: Black 12, White 9; of the second: Black 9, White 13.
    final = np.stack([BLACKS, BLACKS, WHITES, WHITES, WHITES])
    color = np.array([BLACK, WHITE, BLACK, WHITE, BLACK], np.int8)
    played = games(final, color)
    found = exhibits(played, np.array([9.0, 0.5, 1.0, 8.0, 2.0]), played)
    assert [(side, score) for side, _, score, _ in found] == [("Black", 2.0), ("White", 0.5)]
    assert [lead for *_, lead in found] == [-4, -3]


def test_new_comparisons_stand_behind_old_ones():
    old = BoardPairs(np.stack([BLACKS, WHITES]), *(np.array([x]) for x in (0, 1, BLACK, True)))
    new = BoardPairs(np.stack([WHITES, BLACKS]), *(np.array([x]) for x in (0, 1, WHITE, False)))
    both = joined(old, new)
    assert len(both) == 2
    np.testing.assert_array_equal(both.pool[both.a], [BLACKS, WHITES])
    np.testing.assert_array_equal(both.pool[both.b], [WHITES, BLACKS])
    assert both.prefers_a.tolist() == [True, False]


def test_a_reward_is_in_deviations_of_the_start():
    start = games(np.stack([BLACKS] * 4), np.array([BLACK] * 4, np.int8))
    said = iter([np.array([1.0, 1.0, 5.0, 5.0]), np.array([3.0, 7.0])])
    reward = StandardMargin(lambda states, color: next(said), start)
    assert reward(start.final[:2], start.color[:2]).tolist() == [0, 2]


def test_the_grid_of_the_default_size():
    found = go_trials("m")
    assert len({each.name for each in found}) == len(found) == 24
    assert len({each.group for each in found}) == 6
    for size in ("s", "m", "l"):
        for each in go_trials(size):
            check(each)


@pytest.mark.parametrize(
    "wrong", [{"defence": "hope"}, {"price": 0.1}, {"defence": "kl"}, {"defence": "repair", "evaluate_every": 2}]
)
def test_a_trial_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="none-40-0"):
        check(replace(USUAL, **wrong))


def test_models_of_poems_are_none_of_go(tmp_path):
    with pytest.raises(UserError, match="--world go"):
        GamingConfig(world="go", source=tmp_path)


def test_a_stored_plan_comes_back():
    plan = GoGamingPlan.of(GamingConfig(world="go", size="s"))
    assert GoGamingPlan.from_json(json.loads(json.dumps(asdict(plan)))) == plan


def test_unfinished_games_are_judged_by_their_looks_and_no_score_knows_them():
    plan = GoGamingPlan.of(GamingConfig(world="unfinished-go"))
    assert (plan.go.moves, plan.go.taste, plan.go.board) == (26, "looks", 7)
    assert {trial.raters for trial in plan.trials} == {"club"}
    assert GoGamingPlan.from_json(json.loads(json.dumps(asdict(plan)))) == plan


def test_plans_of_earlier_runs_are_of_poems():
    plan = asdict(GamingPlan.of(GamingConfig(size="s")))
    del plan["world"]
    assert GamingPlan.from_json(plan).world == "poems"


TINY_TRIALS = (
    USUAL,
    replace(USUAL, name="worst-40-0", defence="worst"),
    replace(USUAL, name="repair-40-0", defence="repair", evaluate_every=1),
    replace(USUAL, name="kl-40-0", defence="kl", price=0.1),
    replace(USUAL, name="capped-40-1", defence="capped", seed=1),
    replace(USUAL, name="none-40-1", seed=1),
    replace(USUAL, name="score-40-0", raters="score"),
)
TINY = GoGamingPlan("s", GoPlan(0, 5, NetworkSize(1, 8), 40, 40, 100, evaluated_prompts=16), TINY_TRIALS)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return GoGaming(TINY, folder, stages).run()


@pytest.mark.slow
def test_a_tiny_study_from_end_to_end_goes_on_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(gaming_go_pipeline, "START_PROMPTS", 64)
    monkeypatch.setattr(gaming_go_arm, "MEMBERS", 2)
    monkeypatch.setattr(gaming_go_arm, "LABELS_A_ROUND", 10)

    def here(plan, arms, folder, created, stages, run, read):
        return [read(run(plan, arm, folder, created)) for arm in arms]

    monkeypatch.setattr(gaming_go, "run_arms", here)
    monkeypatch.setattr(gaming_go, "in_processes", lambda function, jobs, watch: [function(*job) for job in jobs])
    start = RunFolder.create(tmp_path / "whole", STUDY, asdict(TINY), VERSION)
    whole = run(start)
    assert len(whole.figures) == 5
    repaired = TrialResult.read(start.path / "arms" / "repair-40-0" / "result.json", GoTrial)
    assert [each.step for each in repaired.evaluations] == [0, 1, 2, 3, 4]
    assert repaired.labels == 30
    first = repaired.evaluations[0]
    assert first.kl == 0
    assert len(first.gold) == 16
    assert "repetition" not in repaired.readings[0]
    assert {"disagreement", "outliers", "duplicates", "chi-squared", "kl"} <= repaired.readings[0].keys()
    page = (start.path / "report.html").read_text()
    assert "loved and lost" in page

    killed = RunFolder.create(tmp_path / "killed", STUDY, asdict(TINY), VERSION)
    evaluations = []
    keep = gaming_go_arm.keep_watched

    def stop(*arguments):
        evaluations.append(arguments)
        if len(evaluations) == 10:
            raise KeyboardInterrupt
        keep(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(gaming_go_arm, "keep_watched", stop)
        with pytest.raises(KeyboardInterrupt):
            run(killed)
    resumed = RunFolder.open(killed.path, STUDY, VERSION)
    assert GoGamingPlan.from_json(resumed.config) == TINY
    run(resumed)
    assert (killed.path / "verdict.json").read_bytes() == (start.path / "verdict.json").read_bytes()


def test_a_run_goes_on_in_its_own_world(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path, STUDY, asdict(TINY), VERSION)
    folder.close()
    asked = []
    monkeypatch.setattr(gaming, "run_go", asked.append)
    config = GamingConfig(resume=folder.path)
    gaming.main(config)
    assert asked == [config]
