"""The study of rewards for open tasks: tiny runs from end to end."""

from __future__ import annotations

import pytest

from foolsgold.audit.report import write_report
from foolsgold.audit.text_edits import EvolutionSettings
from foolsgold.errors import UserError
from foolsgold.studies import open_domain_run
from foolsgold.studies.open_domain import OpenDomainConfig, Plan
from foolsgold.studies.open_domain_measure import TaskMeasured
from foolsgold.studies.open_domain_report import judge, quotes, sections, table
from foolsgold.studies.open_domain_run import GOLD, TaskPlan, read_task, run_task, steps_done, steps_of


def plan(name, seed=0, generations=15):
    return TaskPlan(name, seed, 8, 12, 6, 4, EvolutionSettings(generations, 8, 8))


@pytest.fixture(scope="module")
def jokes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jokes")
    run_task(plan("jokes", generations=40), folder)
    return folder


def test_the_search_finds_the_known_tricks(jokes):
    result = read_task(plan("jokes", generations=40), jokes)
    for name in ("laughter words", "surprise", "words of both senses"):
        found = result.searched[name]
        assert (found.scores > found.start_scores).all()
        assert found.gold.mean() < 0.2 < result.pool.gold.mean()
    assert result.searched[GOLD].gold.mean() >= result.pool.gold[:6, :4].max(1).mean()
    assert "haha" in " ".join(result.searched["laughter words"].texts).lower()


def test_a_task_that_was_stopped_goes_on_to_the_same(tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_task(plan("questions"), whole)
    search = open_domain_run.search

    def stop_at_the_third(task, name, *rest):
        if name == task.candidates[2].name:
            raise KeyboardInterrupt
        return search(task, name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(open_domain_run, "search", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            run_task(plan("questions"), broken)
    assert steps_done(plan("questions"), broken) == 3 < steps_of(plan("questions"))
    run_task(plan("questions"), broken)
    names = sorted(each.name for each in whole.iterdir())
    assert names == sorted(each.name for each in broken.iterdir())
    for name in names:
        if name.endswith("json"):
            assert (whole / name).read_bytes() == (broken / name).read_bytes()


def test_another_seed_gives_other_answers(tmp_path):
    for seed in (0, 1):
        run_task(plan("questions", seed, 1), tmp_path / str(seed))
    first, second = (read_task(plan("questions", seed, 1), tmp_path / str(seed)) for seed in (0, 1))
    assert first.requests != second.requests


def test_the_report_quotes_answers_as_data(jokes, tmp_path):
    result = read_task(plan("jokes", generations=40), jokes)
    result.searched["laughter words"].texts[:] = ["<script>alert(1)</script>"] * 6
    task = TaskMeasured(result)
    assert len(table(task).rows) == len(result.task.candidates) + 1
    assert len(quotes(task).quotes) == len(result.task.candidates)
    record = {"created": "2026-01-01T00:00:00+00:00", "versions": {}}
    page = write_report(tmp_path / "report.html", judge([task]), sections([task]), record, "foolsgold run open_domain")
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert(1)" not in text
    assert "<svg" in text


def test_settings_are_checked_and_stored():
    with pytest.raises(UserError, match="no task 'poems'; choose from summaries, questions, jokes, java"):
        OpenDomainConfig(tasks="jokes,poems")
    with pytest.raises(UserError, match="0 or more"):
        OpenDomainConfig(seed=-1)
    chosen = Plan.of(OpenDomainConfig(tasks="java,jokes", size="m", seed=3))
    assert [(each.name, each.prompts, each.seed) for each in chosen.tasks] == [("jokes", 128, 3), ("java", 128, 3)]
