import json
from dataclasses import replace

import numpy as np
import pytest

from foolsgold.errors import UserError
from foolsgold.studies.gaming_arm import Trial
from foolsgold.studies.gaming_go_arm import GoTrial
from foolsgold.studies.gaming_table import joined_table
from foolsgold.studies.gaming_trial import TrialResult
from foolsgold.studies.poem_arm import Evaluation

POEMS = Trial("none-8-0", "none", 8, 4, 30, 10)
GO = GoTrial("none-8-0", "none", 8, 30, 10)


def result(trial, means, readings):
    spread = np.linspace(-0.01, 0.01, 16)
    rows = [
        Evaluation(10 * k, float(k), (mean + (-1) ** k * spread).tolist(), [0.0] * 16, [])
        for k, mean in enumerate(means)
    ]
    read = [{"chi-squared": reading, "kl": float(k)} for k, reading in enumerate(readings)]
    return TrialResult(trial, rows, read, 0, 0.6, 100)


def folder(path, world, results):
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"format": 1, "study": "gaming", "config": {"world": world}}))
    for each in results:
        place = path / "arms" / each.trial.name
        place.mkdir(parents=True)
        each.write(place / "result.json")
    return path


@pytest.fixture
def runs(tmp_path):
    """On poems gold falls and chi-squared rises above 5 with it; on Go it does not fall, and chi-squared reads 100."""
    fell, stood = [0.2, 0.6, 0.3, 0.1], [0.2, 0.4, 0.6, 0.6]
    poems = [
        result(replace(POEMS, name=f"none-8-{seed}", seed=seed), fell, [0.0, 2.0 + seed / 10, 9.0, 9.0])
        for seed in range(3)
    ]
    go = [
        result(replace(GO, name=f"none-8-{seed}", seed=seed), stood, [0.0, 50.0, 90.0, 100.0 + seed])
        for seed in range(3)
    ]
    return folder(tmp_path / "poems", "poems", poems), folder(tmp_path / "go", "go", go)


def test_thresholds_of_a_world_its_own_the_others_and_one_for_all(runs):
    own, go, together, carried, _ = joined_table(runs).split("\n\n**")
    assert "3 runs, of which the gold of 3 surely fell" in own
    # Thresholds from two others: seed 2, the highest, rings before its peak, and is not caught.
    assert "| chi-squared | 2.2 | 33.3 % " in own
    assert " 66.7 % " in own.split("| chi-squared")[1].splitlines()[0]
    assert "the gold of 0 surely fell" in go
    assert "6 runs" in together
    # The highest of Go lies above all that is read on poems.
    assert "| chi-squared | 102 | 0.0 % [0.0, 56.2] | 0.0 % [0.0, 56.2] | 0.500" in carried


def test_a_run_given_twice_or_without_results_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match="given twice"):
        joined_table([runs[0], runs[0]])
    with pytest.raises(UserError, match="no run of RL"):
        joined_table([folder(tmp_path / "empty", "poems", [])])
