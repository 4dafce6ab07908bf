"""Who picks best: on made-up poems worked by hand, and a tiny run from end to end."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console
from tiny_poems import TINY, few_texts

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.environments.poems.readers import Readership
from foolsgold.errors import UserError
from foolsgold.studies import gap, poems_start
from foolsgold.studies.gap import Gap, GapConfig, Plan
from foolsgold.studies.gap_measure import CRITIC, ITSELF, PARTS, READER, REWARD_MODEL, TASTE, GapPool, Measured, glances
from foolsgold.studies.gap_report import judge, sections
from foolsgold.studies.progress import Stages
from foolsgold.training.run_folder import RunFolder

PLAN = Plan("s", TINY, None, prompts=10, poems_each=4, best_of=2)


def measured(gold: np.ndarray, seen: dict[str, np.ndarray], texts=None, n: int = 2) -> Measured:
    """Poems of which the named know what is given, the others nothing."""
    prompts, each = gold.shape
    blind = np.zeros(gold.shape)
    scores = {name: seen.get(name, blind) for name in (REWARD_MODEL, TASTE, READER, ITSELF)} | {CRITIC: gold}
    pool = GapPool(
        prompts=[f"write a poem about the sea, number {i}.\n" for i in range(prompts)],
        texts=texts or [[f"poem {i} {j}" for j in range(each)] for i in range(prompts)],
        parts=np.repeat(gold[..., None], len(PARTS), -1),
        gold=gold,
        scores=scores,
    )
    return Measured(pool, n, np.array([True, True, False]), np.array([0.5, 0.7]))


def test_gain_and_recovered_share_by_hand():
    gold = np.array([[0.0, 0.3, 0.6], [0.2, 0.2, 0.8]])
    seen = np.array([[2.0, 1.0, 3.0], [5.0, 5.0, 5.0]])
    found = measured(gold, {REWARD_MODEL: seen})
    assert found.generator == pytest.approx([0.3, 0.4])
    # Pairs of the first prompt: the kept ones have 0, 0.6 and 0.6. The second prompt is picked from by chance.
    assert found.gain(REWARD_MODEL, 2) == pytest.approx([0.4 - 0.3, 0.0])
    # The critic keeps 0.3, 0.6, 0.6 and 0.2, 0.8, 0.8.
    assert found.gain(CRITIC, 2) == pytest.approx([0.2, 0.2])
    assert found.recovered(REWARD_MODEL, 2).value == pytest.approx(0.1 / 0.4)
    assert found.recovered(CRITIC, 2).value == pytest.approx(1)
    assert found.part_gain(REWARD_MODEL, 3)[:, 0] == pytest.approx([0.3, 0.0])


def test_who_names_the_better_of_two_by_hand():
    gold = np.array([[0.0, 0.03, 0.6], [0.4, 0.4, 0.4]])
    seen = np.array([[1.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    found = measured(gold, {READER: seen})
    # Wrong about 0 and 0.03, wrong about 0 and 0.6, a coin for the third pair; equal poems make no pair.
    assert found.accuracy(READER) == pytest.approx([0.5 / 3, np.nan], nan_ok=True)
    near, *_, far = found.accuracy_by_lead(READER)[0]
    assert (near, far) == pytest.approx((0.0, 0.25))
    assert found.mean_leads[0] == pytest.approx(0.03)
    assert found.mean_leads[-1] == pytest.approx((0.6 + 0.57) / 2)
    assert found.accuracy(CRITIC)[0] == 1


def test_the_filter_keeps_the_best_eighth():
    gold = np.linspace(0, 1.5, 16)[None] * [[1], [0]]
    seen = np.arange(16.0)[None] * [[-1], [1]]
    found = measured(gold, {TASTE: seen})
    assert found.filtered(CRITIC) == pytest.approx([1.45 - 0.75, 0])
    assert found.filtered(TASTE) == pytest.approx([0.05 - 0.75, 0])


def test_a_reader_at_a_glance_prefers_as_in_comparisons():
    """The higher of two noisy likings is that of a with the chance of Bradley and Terry."""
    readership = Readership.founded(1, seed=0)
    prompt, a, b = "write a poem about the sea.\n", "the sea and the waves", "a table"
    lead = float(np.diff(readership.taste([prompt] * 2, [b, a]))[0])
    seen = glances(readership, [prompt] * 4000, [[a, b]] * 4000, seed=1)
    expected = 1 / (1 + np.exp(-lead))
    assert 0.55 < expected < 0.999
    assert (seen[:, 0] > seen[:, 1]).mean() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("knowing", "answer"),
    [((REWARD_MODEL, READER), "holds"), ((READER,), "depends"), ((), "fails"), ((CRITIC,), "fails")],
)
def test_the_verdict_asks_the_reward_model_and_the_readers(knowing, answer):
    rng = np.random.default_rng(0)
    gold = rng.random((40, 8))
    verdict = judge(measured(gold, {name: gold + 0.3 * rng.normal(size=gold.shape) for name in knowing}))
    assert verdict.answer == answer
    assert verdict.figures[0].value == pytest.approx(gold.mean())


def test_picking_worse_than_by_chance_fails():
    gold = np.random.default_rng(0).random((40, 8))
    assert judge(measured(gold, {REWARD_MODEL: -gold, READER: -gold})).answer == "fails"


def test_what_a_model_wrote_is_quoted_as_text(tmp_path):
    gold = np.random.default_rng(0).random((10, 8))
    hostile = "<script>alert(1)</script>\n{{ 7 * 7 }} & 'more'"
    found = measured(gold, {REWARD_MODEL: gold}, texts=[[hostile] * 8] * 10)
    page = write_report(tmp_path / "report.html", judge(found), sections(found, TINY), {}).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }} &amp;" in page


def start(tmp_path, plan: Plan = PLAN) -> RunFolder:
    return RunFolder.create(tmp_path, gap.STUDY, asdict(plan), gap.VERSION)


def run(folder: RunFolder, plan: Plan = PLAN) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return Gap(plan, folder, stages).run()


@pytest.fixture(scope="module", autouse=True)
def _few_texts():
    with pytest.MonkeyPatch.context() as patch:
        few_texts(patch)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    folder = start(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


def test_a_run_leaves_verdict_and_report(finished):
    verdict = Verdict.read(finished.path / "verdict.json")
    assert [f.n for f in verdict.figures if f.name == "gold of the policy's poems"] == [10]
    assert "<svg" in (finished.path / "report.html").read_text()


def test_a_run_killed_between_pieces_goes_on_to_the_same_verdict(finished, tmp_path, monkeypatch):
    folder = start(tmp_path)
    piece = Gap.piece

    def stop_at_the_second(self, prompts, start, proxy):
        if start:
            raise KeyboardInterrupt
        return piece(self, prompts, start, proxy)

    with monkeypatch.context() as patch:
        patch.setattr(Gap, "piece", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    resumed = RunFolder.open(folder.path, gap.STUDY, gap.VERSION)
    assert Plan.from_json(resumed.config) == PLAN
    run(resumed)
    assert (resumed.path / "verdict.json").read_bytes() == (finished.path / "verdict.json").read_bytes()


def test_models_of_another_run_are_taken_over(finished, tmp_path, monkeypatch):
    for stage in ("pretrain", "sft", "fit_text_reward_model"):
        monkeypatch.setattr(f"foolsgold.studies.poems_pipeline.{stage}", None)  # nothing is trained again
    plan = replace(PLAN, source=str(finished.path))
    folder = start(tmp_path, plan)
    run(folder, plan)
    assert (folder.path / "verdict.json").read_bytes() == (finished.path / "verdict.json").read_bytes()


def source_run(tmp_path, **changes):
    """A run folder with a plan and an empty finetuned policy."""
    plan = replace(poems_start.poems_plan("s", 0, None), **changes)
    folder = RunFolder.create(tmp_path, "overoptimization", {"poems": asdict(plan)})
    folder.close()
    policy = folder.path / "models" / "finetuned" / "config.json"
    policy.parent.mkdir(parents=True)
    policy.write_text("{}")
    return folder.path


def test_a_source_sets_how_many_pairs_are_compared(tmp_path):
    plan = poems_start.poems_plan("s", 0, source_run(tmp_path, most_comparisons=50_000))
    assert plan.most_comparisons == 50_000
    assert replace(plan, most_comparisons=8_000) == poems_start.poems_plan("s", 0, None)


def test_a_source_of_another_size_or_seed_is_refused(tmp_path):
    with pytest.raises(UserError, match="seed 1 for 0, width 160 for 128"):
        poems_start.poems_plan("s", 0, source_run(tmp_path, seed=1, width=160))


def test_a_source_that_is_no_run_on_poems_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no run on poems"):
        Plan.of(GapConfig(source=tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"config": {"poems": 3}}))
    with pytest.raises(UserError, match="is no run on poems"):
        Plan.of(GapConfig(source=tmp_path))


def test_a_source_without_a_policy_is_refused(tmp_path):
    source = source_run(tmp_path)
    (source / "models" / "finetuned" / "config.json").unlink()
    with pytest.raises(UserError, match="has no finetuned policy"):
        Plan.of(GapConfig(source=source))


def test_settings_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(UserError, match="0 or more"):
        GapConfig(seed=-1)
    with pytest.raises(UserError, match="not both"):
        GapConfig(source=tmp_path, resume=tmp_path)
