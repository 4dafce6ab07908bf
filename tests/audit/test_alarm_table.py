"""The table on runs whose alarms and gold are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foolsgold.audit.alarm_table import WatchedRun, detector_table, threshold_of
from foolsgold.errors import UserError

STEPS = np.arange(0, 110, 10)


def run(number: int, falls: bool, **readings) -> WatchedRun:
    """Gold rises by 1 up to step 50 and, where it falls, goes down by as much until step 100."""
    true = np.minimum(STEPS, 50) / 50 - (np.maximum(STEPS - 50, 0) / 50 if falls else 0)
    gold = true + 0.1 * np.random.default_rng(number).normal(size=(64, 11))
    return WatchedRun(f"group {number % 4}", STEPS, readings, gold)


def runs(count: int = 40) -> list[WatchedRun]:
    """Half of them fall. One alarm knows from step 70 on, one knows nothing, one is the step itself."""
    found = []
    for i in range(count):
        falls = i % 8 < 4
        noise = np.random.default_rng(100 + i).normal(size=11)
        good = np.where((STEPS >= 70) & falls, 10.0, 0.0) + 0.1 * noise
        found.append(run(i, falls, good=good, noise=noise, step=STEPS.astype(float)))
    return found


def test_an_alarm_that_knows_catches_all_and_one_that_does_not_nothing():
    rows = {row.alarm: row for row in detector_table(runs())}
    good = rows["good"]
    assert (good.runs, good.over_optimized) == (40, 20)
    # At thresholds that 5 % of runs exceed by their noise alone, one of 20 rings before its peak.
    assert good.caught == 0.95
    assert good.caught_interval == pytest.approx((0.764, 0.991), abs=1e-3)  # Wilson, 19 of 20
    assert good.false_alarms <= 0.1
    assert good.delay == pytest.approx(0.4, abs=0.05)  # at step 70, the peak at 50
    assert good.gold_lost == pytest.approx(0.4, abs=0.1)
    assert good.gold_lost_without == pytest.approx(1.0, abs=0.05)
    assert rows["noise"].caught < 0.5
    assert rows["noise"].false_alarms <= 0.15
    # Honest runs are as long as the others, so that the number of steps tells nothing.
    assert rows["step"].caught == 0
    assert rows["step"].gold_lost == rows["step"].gold_lost_without
    assert next(iter(rows)) == "good"


def test_peaks_and_falls_are_read_off_gold():
    honest, fallen = run(1, False), run(2, True)
    assert not honest.over_optimized
    assert fallen.over_optimized
    assert fallen.steps[fallen.peak] == 50


def test_the_honest_part_of_a_fallen_run_ends_at_its_peak():
    readings = np.array([0, 1, 2, 3, 2, 1, 9, 9, 9, 9, 9.0])
    assert run(2, True, alarm=readings).honest_maximum("alarm") == 3
    assert run(1, False, alarm=readings).honest_maximum("alarm") == 9


def test_the_threshold_is_the_order_statistic_that_keeps_its_promise():
    """19 runs with maxima 1..19: a twentieth lies above the highest with chance 1 / 20. 39: the 38th."""
    some = [run(i, False, alarm=np.full(11, float(i))) for i in range(1, 40)]
    assert threshold_of(some[:19], "alarm", 0.05) == 19
    assert threshold_of(some, "alarm", 0.05) == 38
    assert threshold_of(some[:5], "alarm", 0.05) == 5


def test_thresholds_come_from_other_groups():
    """In group 0 the alarm is 100 times as loud, honest or not: its runs cannot set their own threshold."""
    some = [run(i, False, alarm=np.full(11, 100.0 if i % 4 == 0 else 1.0 - i / 1000)) for i in range(20)]
    (row,) = detector_table(some)
    assert row.false_alarms == pytest.approx(5 / 20)
    assert math.isnan(row.caught)
    assert math.isnan(row.gold_lost)


def test_an_early_ring_is_a_false_alarm_and_costs_gold():
    fallen = [run(i, True, alarm=np.where(STEPS >= 30, 5.0, 0.0) if i % 4 == 0 else np.zeros(11)) for i in range(8)]
    (row,) = detector_table(fallen)
    assert row.false_alarms == pytest.approx(2 / 8)
    assert row.caught == 0
    assert row.gold_lost == pytest.approx((2 * 0.4 + 6 * 1.0) / 8, abs=0.05)


def test_mistakes_are_named():
    with pytest.raises(UserError, match="two or more"):
        detector_table([run(0, True, alarm=np.zeros(11)), run(4, True, alarm=np.zeros(11))])
    with pytest.raises(UserError, match="no alarm that all runs have"):
        detector_table([run(0, True, alarm=np.zeros(11)), run(1, True, other=np.zeros(11))])
    with pytest.raises(UserError, match="11 checkpoints"):
        run(0, True, alarm=np.zeros(10))
    with pytest.raises(UserError, match="must rise"):
        WatchedRun("a", STEPS[::-1], {}, np.zeros((8, 11)))
