"""Asked against obtained: on made-up answers worked by hand, and a tiny run from end to end."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from rich.console import Console
from tiny_poems import TINY, arms_here, few_texts

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.studies import conditioned, poem_arm
from foolsgold.studies.conditioned import BINS, DIGITS, ConditionedConfig, Plan, ScoreConditioned, told_apart
from foolsgold.studies.conditioned_measure import Answers, Conditioned, Measured
from foolsgold.studies.conditioned_report import judge, sections
from foolsgold.studies.overoptimization_measure import PoolOfBest
from foolsgold.studies.poem_arm import Arm, ArmResult, Evaluation
from foolsgold.studies.progress import Stages
from foolsgold.training.run_folder import RunFolder

RL = Arm("rl", TINY.comparisons, TINY.layers, kl_price=0.0, steps=2, evaluate_every=1, prompts=4, samples=2)
PLAN = Plan("s", TINY, None, samples=608, steps=3, rl=RL, best_of=4, poems_each=2)
HOSTILE = "<script>alert(1)</script>\n{{ 7 * 7 }} & 'more'"


def answers(proxy: np.ndarray, gold: np.ndarray) -> Answers:
    """Of `[P]` prompts."""
    return Answers(1.5, gold.tolist(), proxy.tolist(), [("write a poem about the sea.\n", HOSTILE, 1.0, 0.5)] * 3)


def taught(proxy: list[float], gold: list[float], asked: list[float], prompts: int = 20) -> Conditioned:
    """Obtained means by number, with a little noise that is different for each prompt."""
    noise = np.random.default_rng(0).normal(0, 0.01, (2, len(proxy), prompts))
    return Conditioned(np.array(asked), [answers(p + n, g + m) for p, g, n, m in zip(proxy, gold, *noise, strict=True)])


def measured(by_proxy: Conditioned, start: float = 0.0, prompts: int = 20) -> Measured:
    """The finetuned policy's poems have proxies around 0 and gold around `start`; RL gained 1 and 0.1."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (prompts, 8))
    ends = [
        Evaluation(step, kl, (start + gold + noise[:, 0] / 100).tolist(), (proxy + noise[:, 0] / 100).tolist(),
                   [("write a poem about the sea.\n", HOSTILE, 2.0, 0.1)])
        for step, kl, proxy, gold in ((0, 0.0, 0.0, 0.0), (2, 3.0, 1.0, 0.1))
    ]  # fmt: skip
    drawn = PoolOfBest(noise - noise.mean(), start + 0.1 * noise)
    by_gold = taught([0, 0, 0, 0], [0.1, 0.2, 0.3, 0.3], [0.0, 0.25, 0.5])
    return Measured(by_proxy, by_gold, drawn, ArmResult(RL, 0.6, 0.6, 20, ends), samples=160)


def figure(verdict: Verdict, name: str) -> float:
    (found,) = (each.value for each in verdict.figures if each.name == name)
    return found


def test_spread_and_beyond_by_hand():
    arm = Conditioned(
        np.array([-1.0, 0.0, 1.0]),
        [answers(np.array(proxy), np.array([0.1, 0.2])) for proxy in ([0, 1], [2, 2], [1, 3], [2, 3], [4, 5])],
    )
    assert (arm.best, arm.middle) == (2, 1)
    assert arm.spread(arm.proxy).mean == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert arm.beyond(arm.proxy).mean == pytest.approx((2 + 1) / 2)  # means of 2, 4 and 3, 5 less 1 and 3


def test_worth_in_best_of_n_by_hand():
    proxy = np.tile([1.0, 2.0, 3.0], (5, 1))  # best of 1, 2, 3: 2, 2 2/3, 3
    drawn = PoolOfBest(proxy, proxy)
    base = measured(taught([0, 0, 0], [0, 0, 0], [0, 1], prompts=5), prompts=5)
    for level, n in ((1.5, 1), (2.5, 2), (2.9, 3), (3.1, np.inf)):
        arm = Conditioned(np.array([0.0, 1.0]), [answers(np.full(5, each), np.zeros(5)) for each in (0, level, 0)])
        assert replace(base, by_proxy=arm, drawn=drawn).worth == (n, (n, n))


@pytest.mark.parametrize(
    ("proxy", "gold", "answer"),
    [
        ([-1, 0, 1, 1], [0.3, 0.4, 0.6, 0.6], "holds"),
        ([-1, 0, 1, 1], [0.5, 0.5, 0.4, 0.4], "depends"),  # the proxy obeys, gold does not
        ([-3, -2, -1, 0], [0.1, 0.2, 0.3, 0.3], "depends"),  # obeys, below the finetuned policy
        ([0, 0, 0, 0], [0.4, 0.4, 0.4, 0.4], "fails"),
        ([1, 0, -1, -2], [0.5, 0.4, 0.3, 0.3], "fails"),
    ],
)
def test_the_verdict(proxy, gold, answer):
    verdict = judge(measured(taught(proxy, gold, [-1, 0, 1]), start=0.4))
    assert verdict.answer == answer
    assert figure(verdict, "proxy, the best score less the middle score") == pytest.approx(
        proxy[2] - proxy[1], abs=0.02
    )
    assert figure(verdict, "gold, the best score less the finetuned policy") == pytest.approx(gold[2] - 0.4, abs=0.05)
    assert figure(verdict, "proxy, the best score less RL") == pytest.approx(proxy[2] - 1, abs=0.05)


def test_more_than_was_ever_seen_is_told_apart():
    rising = judge(measured(taught([-1, 0, 1, 3], [0.3, 0.4, 0.6, 0.6], [-1, 0, 1])))
    falling = judge(measured(taught([-1, 0, 1, 0], [0.3, 0.4, 0.6, 0.6], [-1, 0, 1])))
    assert "than it ever saw it gave more" in rising.sentence
    assert "than it ever saw it gave less" in falling.sentence


def test_what_a_model_wrote_is_quoted_as_text(tmp_path):
    found = measured(taught([-1, 0, 1, 1], [0.3, 0.4, 0.6, 0.6], [-1, 0, 1]))
    page = write_report(tmp_path / "report.html", judge(found), sections(found, TINY), {}).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_every_digit_of_a_number_beyond_is_learned_at_its_place():
    seen = {(place, digit) for number in range(BINS) for place, digit in enumerate(f"{number:0{DIGITS}b}")}
    assert seen == {(place, digit) for place in range(DIGITS) for digit in "01"}


def test_words_that_pretraining_left_alike_are_told_apart():
    torch.manual_seed(0)
    model = Decoder(DecoderConfig.sized(40, 32, 1, max_positions=16))
    matrix = model.embedding.weight.data
    matrix[3:5] = 1.0
    before = matrix.clone()
    told_apart(model, [[3, 4], [3], [9]], seed=0)
    changed = (matrix != before).any(1).nonzero().flatten().tolist()
    assert changed == [3, 4, 9]
    assert abs(float(torch.cosine_similarity(matrix[3], matrix[4], dim=0))) < 0.6
    assert float(matrix[[3, 4, 9]].std()) == pytest.approx(float(before.std()), rel=0.3)


def test_rl_and_best_of_n_get_no_more_poems_than_are_learned_from():
    plan = Plan.of(ConditionedConfig())
    world = conditioned.Poems()
    assert plan.samples == len(set(world.prompts("train", 10_000, 0))) * plan.poems.poems_a_prompt
    for used in (plan.rl.steps * plan.rl.prompts * plan.rl.samples, plan.best_of * poem_arm.EVALUATED_PROMPTS):
        assert 0.98 * plan.samples < used <= plan.samples


def start(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path, conditioned.STUDY, asdict(PLAN), conditioned.VERSION)


def run(folder: RunFolder) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return ScoreConditioned(PLAN, folder, stages).run()


@pytest.fixture(scope="module", autouse=True)
def _small():
    with pytest.MonkeyPatch.context() as patch:
        few_texts(patch)
        patch.setattr(conditioned, "run_arms", arms_here)
        patch.setattr(poem_arm, "EVALUATED_PROMPTS", 10)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    folder = start(tmp_path_factory.mktemp("whole"))
    run(folder)
    return folder


def test_a_run_leaves_verdict_report_and_models(finished):
    verdict = Verdict.read(finished.path / "verdict.json")
    assert {each.n for each in verdict.figures if each.name.startswith("proxy,")} == {10}
    assert "<svg" in (finished.path / "report.html").read_text()
    assert {path.name for path in (finished.path / "models").iterdir()} >= {"conditioned-proxy", "conditioned-gold"}


@pytest.mark.parametrize(
    "stage", ["answer", pytest.param("trained", marks=pytest.mark.slow), pytest.param("drawn", marks=pytest.mark.slow)]
)
def test_a_run_that_was_killed_goes_on_to_the_same_verdict(finished, tmp_path, monkeypatch, stage):
    folder = start(tmp_path)
    calls = []
    go_on = getattr(ScoreConditioned, stage)

    def stop_at_the_second(self, *arguments):
        calls.append(stage)
        if len(calls) == 2 or stage == "drawn":
            raise KeyboardInterrupt
        return go_on(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ScoreConditioned, stage, stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
    resumed = RunFolder.open(folder.path, conditioned.STUDY, conditioned.VERSION)
    assert Plan.from_json(resumed.config) == PLAN
    run(resumed)
    assert (resumed.path / "verdict.json").read_bytes() == (finished.path / "verdict.json").read_bytes()


def test_settings_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(UserError, match="0 or more"):
        ConditionedConfig(seed=-1)
    with pytest.raises(UserError, match="not both"):
        ConditionedConfig(source=tmp_path, resume=tmp_path)
