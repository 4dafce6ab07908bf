import json

import numpy as np
import pytest

from foolsgold.audit.alarm_advice import Readings, advice, logged_readings, rounded_up
from foolsgold.audit.gold_curve import GoldCurve
from foolsgold.objectives.overoptimization import REINFORCEMENT_LEARNING

STEPS = np.array([0, 10, 20, 30])


def curve(means):
    spread = np.linspace(-0.01, 0.01, 16)[:, None] * np.array([1, -1, 1, -1])
    gold = np.array(means) + spread
    return GoldCurve(REINFORCEMENT_LEARNING, STEPS, STEPS / 5, np.arange(4.0) + spread, gold)


def test_a_run_whose_gold_fell_sets_a_threshold_by_its_honest_part():
    read = Readings(np.array([1, 10, 20, 30]), np.array([0.5, 3.0, 2.0, 40.0]))
    first, second = advice(curve([0.2, 0.5, 0.6, 0.3]), read)
    assert "step 20, chi-squared read at most 3." in first
    assert "--alarm-threshold 3 a run like this one stops at step 30, at a gold of 0.3;" in first
    assert "one case of two" in second


def test_an_alarm_that_read_no_more_after_the_peak_would_not_have_found_the_fall():
    read = Readings(np.array([10, 20, 30]), np.array([3.0, 2.0, 1.0]))
    assert "would not have found this fall" in advice(curve([0.2, 0.5, 0.6, 0.3]), read)[0]


def test_a_run_whose_gold_did_not_fall_is_honest_to_its_end():
    read = Readings(np.array([10, 20, 30]), np.array([3.0, 2.0, 7.25]))
    assert "up to 7.25" in advice(curve([0.2, 0.5, 0.6, 0.7]), read)[0]


def test_readings_are_taken_from_whole_lines_of_the_log(tmp_path):
    log = tmp_path / "metrics.jsonl"
    rows = [{"step": 1, "alarm/chi-squared": 0.5}, {"step": 2, "reward": 1}, {"step": 10, "alarm/chi-squared": 4.0}]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 20, "alarm/chi-squared": 7')
    found = logged_readings(log)
    assert (found.steps.tolist(), found.values.tolist()) == ([1, 10], [0.5, 4.0])
    assert logged_readings(tmp_path / "none.jsonl") is None


@pytest.mark.parametrize(
    ("value", "up"), [(136.38, 136.4), (3.60857, 3.609), (3.0, 3.0), (0.0, 0.0), (-1.23456, -1.234)]
)
def test_a_rounded_threshold_is_not_below_what_was_read(value, up):
    assert rounded_up(value) == up
