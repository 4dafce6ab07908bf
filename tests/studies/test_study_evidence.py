"""Evidence from run folders of studies, finished or not."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from foolsgold.audit import go_evidence
from foolsgold.errors import UserError
from foolsgold.studies.poem_arm import Evaluation
from foolsgold.studies.study_evidence import evidence_of, record_of


@pytest.fixture
def run(tmp_path):
    """A run folder of the study overoptimization that has measured nothing yet."""
    (tmp_path / "arms" / "main").mkdir(parents=True)
    (tmp_path / "config.json").write_text(json.dumps({"study": "overoptimization", "config": {"size": "s"}}))
    return tmp_path


def evaluate(run, step: int, kl: float) -> None:
    found = Evaluation(step, kl, gold=[0.5, 0.1 * step], proxy=[float(step), -1.0], poems=[("p", "poem", 1.0, 0.5)])
    (run / "arms" / "main" / f"evaluation-{step:05}.json").write_text(json.dumps(asdict(found)))


def test_checkpoints_are_the_evaluations_so_far(run):
    for step, kl in ((8, 0.7), (0, -0.01), (16, 2.5)):
        evaluate(run, step, kl)
    evidence = evidence_of(run)
    assert evidence.start is None
    assert [(each.step, each.kl) for each in evidence.run] == [(0, -0.01), (8, 0.7), (16, 2.5)]
    assert evidence.run[1].samples.proxy.tolist() == [[8.0], [-1.0]]
    assert evidence.run[1].samples.gold.tolist() == [[0.5], [0.8]]


@pytest.mark.parametrize("texts", [True, False])
def test_best_of_n_is_the_start_with_its_texts_where_they_were_kept(run, texts):
    proxy, gold = np.array([[1.0, 2.0, 3.0]]), np.array([[0.1, 0.2, 0.0]])
    kept = {"texts": np.array([["a", "bb", ""]]), "prompts": np.array(["write"])} if texts else {}
    np.savez_compressed(run / "best_of_n.npz", proxy=proxy, gold=gold, **kept)
    evidence = evidence_of(run)
    assert evidence.run == ()
    assert evidence.start.proxy.tolist() == proxy.tolist()
    assert evidence.start.gold.tolist() == gold.tolist()
    assert evidence.start.texts == ([["a", "bb", ""]] if texts else None)
    assert evidence.prompts == (["write"] if texts else None)


def test_a_run_that_measured_nothing_yet_is_said_to(run):
    with pytest.raises(UserError, match="neither best of n nor a step"):
        evidence_of(run)


def test_reading_a_running_folder_changes_nothing(run):
    (run / "metrics.jsonl").write_text('{"step": 1}\n{"step":')  # half a line is being written
    evaluate(run, 0, 0.0)
    evidence_of(run)
    assert (run / "metrics.jsonl").read_text() == '{"step": 1}\n{"step":'


def test_go_is_played(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"study": "alphago", "config": {}}))
    called = []

    def played(folder, report, *, seed):
        called.append((folder, seed))
        return "evidence"

    monkeypatch.setattr(go_evidence, "evidence_of_run", played)
    assert evidence_of(tmp_path, seed=3) == "evidence"
    assert called == [(tmp_path, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is no run folder"),
        ("{", "is no run folder"),
        ("[]", "is no run folder"),
        ('{"study": 1}', "no run folder"),
    ],
)
def test_other_folders_are_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=message):
        record_of(tmp_path)


def test_a_study_without_gold_beside_proxy_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"study": "gap", "config": {}}))
    with pytest.raises(UserError, match=r"a run of gap, .* audit one of rl, expert, overoptimization, alphago"):
        evidence_of(tmp_path)
