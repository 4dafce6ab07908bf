"""Rise and fall of gold: the verdict on made-up curves, and a tiny run from end to end."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console
from tiny_poems import TINY, arms_here, few_texts

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.errors import UserError
from foolsgold.labels.store import open_store
from foolsgold.studies import overoptimization, poem_arm
from foolsgold.studies.overoptimization import Overoptimization, OveroptimizationConfig, Plan
from foolsgold.studies.overoptimization_measure import Measured, PoolOfBest, Turn
from foolsgold.studies.overoptimization_report import judge, sections
from foolsgold.studies.poem_arm import Arm, ArmResult, Evaluation
from foolsgold.studies.progress import Stages
from foolsgold.training.run_folder import RunFolder

MAIN = Arm("main", TINY.comparisons, TINY.layers, kl_price=0.0, steps=2, evaluate_every=1, prompts=4, samples=2)
PRICED = replace(MAIN, name="kl-0.1", kl_price=0.1)
PLAN = Plan("s", TINY, MAIN, {"kl price": [PRICED]}, best_of_prompts=3, best_of=4)
HOSTILE = "<script>alert(1)</script>\n{{ 7 * 7 }} & 'more'"
PROMPTS = 40


def result(gold: list[float], proxy: list[float], arm: Arm = MAIN) -> ArmResult:
    """An arm with these means, KL of a nat more at each evaluation, and prompts of different difficulty."""
    rng = np.random.default_rng(0)
    level = rng.normal(0, 0.1, PROMPTS)
    evaluations = [
        Evaluation(
            step=10 * i,
            kl=float(i),
            gold=(g + level + rng.normal(0, 0.01, PROMPTS)).tolist(),
            proxy=(p + level + rng.normal(0, 0.01, PROMPTS)).tolist(),
            poems=[("write a poem about the sea.\n", HOSTILE, 9.0, -9.0)],
        )
        for i, (g, p) in enumerate(zip(gold, proxy, strict=True))
    ]
    return ArmResult(arm, 0.7, 0.6, 20, evaluations)


def measured(gold: list[float], proxy: list[float]) -> Measured:
    rng = np.random.default_rng(2)
    seen = rng.normal(0, 1, (6, 16))
    return Measured(
        main=result(gold, proxy),
        sweeps={"kl price": [result(gold, proxy, PRICED)]},
        best_of_n=PoolOfBest(seen, 0.3 + 0.05 * seen),
        readers_agree=np.array([True, False, True]),
        pool_gold=np.full((3, 4), 0.3),
        demonstrations_gold=np.array([0.4, 0.6]),
        seed=0,
    )


UP = [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("gold", "proxy", "answer"),
    [
        ([0.3, 0.5, 0.7, 0.4, 0.1], UP, "holds"),
        ([0.3, 0.4, 0.5, 0.6, 0.7], UP, "fails"),  # never falls
        ([0.7, 0.5, 0.4, 0.3, 0.1], UP, "depends"),  # falls from the start
        ([0.3, 0.5, 0.7, 0.4, 0.1], UP[::-1], "fails"),  # nothing was optimised: the proxy fell too
        ([0.4] * 5, UP, "fails"),
    ],
)
def test_the_verdict(gold, proxy, answer):
    verdict = judge(measured(gold, proxy))
    assert verdict.answer == answer
    figures = {each.name: each.value for each in verdict.figures}
    assert figures["gold at the start"] == pytest.approx(gold[0], abs=0.06)
    assert figures["gold, end less peak"] == pytest.approx(gold[-1] - max(gold), abs=0.02)
    assert figures["proxy, end less start"] == pytest.approx(proxy[-1] - proxy[0], abs=0.02)


def test_the_peak_is_found_on_one_half_of_the_prompts_and_measured_on_the_other():
    gold = np.zeros((4, 3))
    gold[::2, 1], gold[1::2, 2] = 1.0, 0.5  # the halves disagree
    evaluations = [Evaluation(i, float(i), gold[:, i].tolist(), [float(i)] * 4, []) for i in range(3)]
    turn = Turn.of(ArmResult(MAIN, 0.7, 0.6, 20, evaluations))
    assert turn.peak.step == 1
    # Each half's best evaluation is the other's worst, and only the second half still has gold at the end.
    assert (turn.rise.mean, turn.fall.mean) == (0.0, 0.25)
    assert turn.rise.n == 4


def test_a_fitted_law_turns_where_gold_turns():
    kl = np.arange(0, 9.0)
    gold = np.sqrt(kl) * (0.4 - 0.1 * np.log(np.maximum(np.sqrt(kl), 1e-9)))
    found = measured(gold.tolist(), np.arange(9.0).tolist())
    assert found.rl_law.fit.a == pytest.approx(0.4, abs=0.02)
    assert found.rl_law.fit.b == pytest.approx(0.1, abs=0.02)


def test_what_a_model_wrote_is_quoted_as_text(tmp_path):
    found = measured([0.3, 0.5, 0.7, 0.4, 0.1], UP)
    page = write_report(tmp_path / "report.html", judge(found), sections(found, TINY), {}).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }} &amp;" in page


def test_the_first_poem_that_only_the_reward_model_loves_is_shown():
    found = measured([0.3, 0.5, 0.7, 0.4, 0.1], UP)
    (quotes,) = (each for each in sections(found, TINY) if each.title == "What the policy writes")
    assert "came at step 0." in quotes.intro
    assert [quote.note for quote in quotes.quotes].count("degenerate") == 3


def test_arms_of_a_sweep_differ_in_one_thing():
    plan = Plan.of(OveroptimizationConfig())
    for name, field in (("comparisons", "comparisons"), ("reward layers", "reward_layers"), ("kl price", "kl_price")):
        arms = [asdict(arm) for arm in plan.sweeps[name]]
        for arm in arms:
            del arm["name"], arm[field]
        assert all(arm == arms[0] for arm in arms)
    everyone = [plan.main, *(arm for group in plan.sweeps.values() for arm in group)]
    assert len({arm.name for arm in everyone}) == len(everyone)
    assert max(arm.comparisons for arm in everyone) == plan.poems.most_comparisons


def start(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path, overoptimization.STUDY, asdict(PLAN), overoptimization.VERSION)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return Overoptimization(PLAN, folder, stages).run()


@pytest.fixture(scope="module", autouse=True)
def _small():
    with pytest.MonkeyPatch.context() as patch:
        few_texts(patch)
        patch.setattr(overoptimization, "run_arms", arms_here)
        patch.setattr(poem_arm, "EVALUATED_PROMPTS", 10)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    folder = start(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


def test_a_run_leaves_verdict_report_comparisons_and_metrics(finished):
    verdict = Verdict.read(finished.path / "verdict.json")
    assert [each.n for each in verdict.figures if each.name == "proxy, end less start"] == [10]
    assert "<svg" in (finished.path / "report.html").read_text()
    with open_store(finished.path / "comparisons.sqlite") as store:
        assert 50 <= len(store) <= TINY.held_out + TINY.most_comparisons  # twice the same is one judgement
    rows = RunFolder.open(finished.path, overoptimization.STUDY, overoptimization.VERSION).metrics()
    assert [row["step"] for row in rows if "main/gold" in row] == [0, 1, 2]


def killed(tmp_path, monkeypatch, where: str) -> RunFolder:
    folder = start(tmp_path)
    calls = []

    if where == "best of n":
        owner, name = Overoptimization, "best_of_n"
    else:
        owner, name = poem_arm, "evaluate_policy"
    go_on = getattr(owner, name)

    def stop(*arguments):
        calls.append(name)
        if where == "best of n" or len(calls) == 2:
            raise KeyboardInterrupt
        return go_on(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    return RunFolder.open(folder.path, overoptimization.STUDY, overoptimization.VERSION)


@pytest.mark.parametrize("where", ["RL", pytest.param("best of n", marks=pytest.mark.slow)])
def test_a_run_that_was_killed_goes_on_to_the_same_verdict(finished, tmp_path, monkeypatch, where):
    resumed = killed(tmp_path, monkeypatch, where)
    assert Plan.from_json(resumed.config) == PLAN
    run(resumed)
    assert (resumed.path / "verdict.json").read_bytes() == (finished.path / "verdict.json").read_bytes()


@pytest.mark.slow
def test_arms_in_processes_of_their_own_come_to_the_same(finished, tmp_path):
    from foolsgold.studies.arms import run_arms

    folder = start(tmp_path)
    kept = ("models", "poems.npz")
    for name in kept:
        (folder.path / name).symlink_to(finished.path / name)
    with folder, Stages(Console(quiet=True)) as stages:
        study = Overoptimization(PLAN, folder, stages)
        (found,) = run_arms(TINY, [MAIN], folder.path, study.created, stages)
    whole = json.loads((finished.path / "arms" / "main" / "result.json").read_text())
    assert found.readers_accuracy == whole["readers_accuracy"]
    assert len(found.evaluations) == len(whole["evaluations"])


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="0 or more"):
        OveroptimizationConfig(seed=-1)
