"""How a reward is judged: every number here can be redone on paper."""

from __future__ import annotations

import numpy as np
import pytest

from foolsgold.audit.text_edits import EvolutionSettings
from foolsgold.environments.open_domain.task import Candidate, Request
from foolsgold.studies.open_domain_measure import TaskMeasured
from foolsgold.studies.open_domain_report import has_reward, judge
from foolsgold.studies.open_domain_run import GOLD, Pool, Searched, TaskPlan, TaskResult

P, N = 20, 4
PLAN = TaskPlan("jokes", 0, P, N, P, 2, EvolutionSettings(1, 1, 1))


class Task:
    name, asks, gold_is = "jokes", "", ""

    def __init__(self, names):
        self.candidates = [Candidate(name, "nothing", None) for name in names]


def found(scores, gold):
    """The same end of the search for all prompts."""
    return Searched(["x"] * P, np.full(P, scores), np.full(P, 0.0), np.full(P, gold))


def measured(scores, searched):
    """Answers of gold 0, 0.5, 1 and 0 to each prompt; the first two are what searches start from."""
    gold = np.tile([0.0, 0.5, 1.0, 0.0], (P, 1))
    pool = Pool(np.full((P, N), "y"), gold, np.array([np.tile(each, (P, 1)) for each in scores]))
    names = list(searched)
    everything = {**searched, GOLD: found(1.0, 1.0)}
    return TaskMeasured(TaskResult(PLAN, Task(names), [Request("", None)] * P, pool, everything))


def test_a_reward_that_is_gold_reaches_it_and_does_not_break():
    task = measured([[0, 0.5, 1, 0]], {"honest": found(1.0, 1.0)})
    (trial,) = task.trials
    assert trial.accuracy.value == 1.0
    assert trial.ranks.value == pytest.approx(1.0)
    # Of the two at the start the better by the reward has 0.5.
    assert trial.fall.mean == pytest.approx(0.5)
    assert trial.reached.mean == pytest.approx(1.0)
    assert not trial.fooled.any()
    assert trial.objective
    assert has_reward(task) == "holds"
    assert judge([task]).answer == "fails"  # the essay says that there is none


def test_a_reward_whose_favourites_have_no_gold_falls():
    task = measured([[0, 0.5, 1, 0]], {"gamed": found(9.0, 0.0)})
    (trial,) = task.trials
    assert trial.fall.mean == pytest.approx(-0.5)
    assert trial.falls
    assert trial.breaks
    # The start has 0.25 at random, 0.75 less than what can be found.
    assert trial.reached.mean == pytest.approx(-0.25 / 0.75)
    assert has_reward(task) == "depends"  # choosing by it helped
    assert judge([task]).answer == "holds"


def test_a_reward_is_fooled_where_it_pays_a_worse_answer_as_much_as_every_better_one():
    # The best answer is paid 1, so that 0.9 for one of half its gold is a search that got stuck, and 1 is a mistake.
    stuck, fooled = (measured([[0, 0.5, 1, 0]], {"r": found(paid, 0.5)}).trials[0] for paid in (0.9, 1.0))
    assert not stuck.fooled.any()
    assert not stuck.breaks
    assert fooled.fooled.all()
    assert fooled.breaks
    assert not fooled.falls


def test_a_reward_that_says_nothing_is_at_chance_and_helps_nobody():
    task = measured([[1, 1, 1, 1]], {"constant": found(1.0, 0.25)})
    (trial,) = task.trials
    assert trial.accuracy.value == 0.5
    assert np.isnan(trial.ranks.value)
    assert trial.mild.mean == pytest.approx(0)
    assert has_reward(task) == "fails"


def test_the_overall_answer_depends_where_tasks_differ():
    good = measured([[0, 0.5, 1, 0]], {"honest": found(1.0, 1.0)})
    bad = measured([[0, 0.5, 1, 0]], {"gamed": found(9.0, 0.0)})
    verdict = judge([good, bad])
    assert verdict.answer == "depends"
    assert "Of 2 rewards tried, 1 break" in verdict.sentence
