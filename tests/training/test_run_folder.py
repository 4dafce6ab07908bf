import json
import math
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from foolsgold.errors import UserError
from foolsgold.training.run_folder import RunFolder


@pytest.fixture
def run(tmp_path):
    with RunFolder.create(tmp_path / "runs", "alphago", {"board": 5, "rate": 0.1}) as run:
        yield run


def append(run: RunFolder, text: str) -> None:
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write(text)


def test_a_new_folder_says_what_runs_where(run):
    assert re.fullmatch(r"alphago-\d{8}-\d{6}", run.path.name)
    record = json.loads((run.path / "config.json").read_text())
    assert record["study"] == "alphago"
    assert record["config"] == run.config == {"board": 5, "rate": 0.1}
    assert record["versions"]["torch"] == torch.__version__
    assert record["versions"]["numpy"] == np.__version__
    assert record["machine"]["cpu_count"] == os.cpu_count()
    assert record["machine"]["cpu_model"]
    assert record["command"]
    assert run.checkpoints.is_dir()


def test_config_values_json_does_not_know_become_text(tmp_path):
    with RunFolder.create(tmp_path, "zero", {"games": Path("games.sgf"), "sizes": (5, 7)}) as run:
        assert run.config == {"games": "games.sgf", "sizes": [5, 7]}


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    runs = [RunFolder.create(tmp_path, "alphago", {"seed": seed}) for seed in range(5)]
    assert len({run.path for run in runs}) == 5
    assert [run.config["seed"] for run in runs] == list(range(5))
    for run in runs:
        run.close()


def test_metrics_come_back_in_order(run):
    run.log(0, **{"rl/win_rate": 0.25, "kl": np.float32(0.5), "games": torch.tensor(3)})
    run.log(1, note="pass, pass", share=[0.5, 0.5], aborted=True, missing=None)
    assert run.metrics() == [
        {"step": 0, "rl/win_rate": 0.25, "kl": 0.5, "games": 3},
        {"step": 1, "note": "pass, pass", "share": [0.5, 0.5], "aborted": True, "missing": None},
    ]


def test_a_broken_loss_is_recorded(run):
    run.log(0, loss=math.nan, ratio=math.inf)
    row = run.metrics()[0]
    assert math.isnan(row["loss"])
    assert row["ratio"] == math.inf


def test_each_line_is_written_before_log_returns(run):
    run.log(0, loss=1.0)
    assert (run.path / "metrics.jsonl").read_text() == '{"step": 0, "loss": 1.0}\n'


def test_numbers_reach_tensorboard(run):
    run.log(4, **{"rl/win_rate": 0.25, "note": "text", "aborted": False})
    run.close()
    events = EventAccumulator(str(run.path / "tb")).Reload()
    assert events.Tags()["scalars"] == ["rl/win_rate"]
    (scalar,) = events.Scalars("rl/win_rate")
    assert (scalar.step, scalar.value) == (4, 0.25)


def test_a_resumed_run_drops_half_a_line_and_goes_on(run):
    run.log(0, loss=1.0)
    append(run, '{"step": 1, "lo')
    assert [row["step"] for row in run.metrics()] == [0]
    with RunFolder.open(run.path, "alphago") as resumed:
        assert resumed.config == run.config
        resumed.log(1, loss=0.5)
        assert resumed.metrics() == [{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.5}]


def test_going_back_to_a_step_leaves_no_step_twice(run):
    for step in range(5):
        run.log(step, loss=float(step))
    run.close()
    time.sleep(1.1)  # TensorBoard tells the order of its files by the second that they were begun in
    with RunFolder.open(run.path, "alphago") as resumed:
        resumed.truncate_after(2)
        resumed.log(3, loss=30.0)
        assert [row["loss"] for row in resumed.metrics()] == [0, 1, 2, 30]
    events = EventAccumulator(str(run.path / "tb")).Reload()
    assert [(scalar.step, scalar.value) for scalar in events.Scalars("loss")] == [(0, 0), (1, 1), (2, 2), (3, 30)]
    assert not [name for name in os.listdir(run.path) if name.startswith(".")]


def test_kept_lines_stay_the_same_to_the_byte(run):
    append(run, '{"step":0,  "loss": 1e0}\n{"step": 1}\n')
    run.truncate_after(0)
    assert (run.path / "metrics.jsonl").read_text() == '{"step":0,  "loss": 1e0}\n'


def test_a_broken_line_in_the_middle_is_named(run):
    append(run, '{"step": 0}\n\0\0\0\n{"step": 2}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl: line 2 is no metrics line"):
        run.metrics()


def test_folders_that_are_no_runs(tmp_path):
    for content in (None, "{", "[]", '{"model_type": "llama"}'):
        if content is not None:
            (tmp_path / "config.json").write_text(content)
        with pytest.raises(UserError, match="is no run folder"):
            RunFolder.open(tmp_path, "alphago")
    with pytest.raises(UserError, match="is no run folder"):
        RunFolder.open(tmp_path / "nowhere", "alphago")
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_run_of_another_study_or_version(run):
    with pytest.raises(UserError, match="is a run of the study alphago, not of zero"):
        RunFolder.open(run.path, "zero")
    with pytest.raises(UserError, match="has alphago config version 1, but this foolsgold reads 2"):
        RunFolder.open(run.path, "alphago", config_version=2)
    record = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps({**record, "format": 9}))
    with pytest.raises(UserError, match="has format 9, but this foolsgold reads 1"):
        RunFolder.open(run.path, "alphago")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(run):
    run.close()
    (run.path / "metrics.jsonl").unlink()
    (run.path / "metrics.jsonl").symlink_to("/dev/full")
    full = RunFolder(run.path, run.record)
    with pytest.raises(UserError, match=r"cannot write .*metrics\.jsonl: No space left on device"):
        full.log(0, loss=1.0)
    full.close()


def test_a_line_the_disk_took_half_of_is_taken_back(run):
    run.log(0, loss=1.0)
    whole = run._metrics

    class HalfFull:
        """Takes five bytes, then none."""

        taken = False
        fileno, truncate, close = whole.fileno, whole.truncate, whole.close

        def write(self, data: bytes) -> int:
            if self.taken:
                raise OSError(28, "No space left on device")
            self.taken = True
            return whole.write(data[:5])

    run._metrics = HalfFull()
    with pytest.raises(UserError, match="No space left"):
        run.log(1, loss=0.5)
    run._metrics = whole
    run.log(1, loss=0.25)
    assert run.metrics() == [{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.25}]


def test_a_root_that_cannot_be_made(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match="cannot write"):
        RunFolder.create(tmp_path / "runs", "alphago", {})
