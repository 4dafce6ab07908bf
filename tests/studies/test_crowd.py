"""Rules, users and figures on made-up crowds worked by hand; tiny studies of both worlds from end to end."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.console import Console
from tiny_poems import TINY, few_texts

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.errors import UserError
from foolsgold.objectives.tilting import kl_from_uniform
from foolsgold.policies.go_network import NetworkSize
from foolsgold.studies import crowd, crowd_arm
from foolsgold.studies.crowd import CrowdStudy
from foolsgold.studies.crowd_arm import RLResult, Served
from foolsgold.studies.crowd_cell import GROUPS, TRUTH, CellResult
from foolsgold.studies.crowd_measure import START, CrowdMeasured, Estimate, policies
from foolsgold.studies.crowd_measure import Served as ServedUsers
from foolsgold.studies.crowd_plan import Cell, CrowdConfig, CrowdPlan, RLArm
from foolsgold.studies.crowd_report import judge, sections
from foolsgold.studies.crowd_rl_report import at_kl
from foolsgold.studies.crowd_rules import POOLED, RULES, Electorate
from foolsgold.studies.crowd_tastes import CROWDS, Crowd, board_tastes, poem_tastes
from foolsgold.studies.gaming_go_pipeline import GoPlan
from foolsgold.studies.progress import Stages
from foolsgold.training.run_folder import RunFolder

PAIR = Crowd("a minority of one in ten", ("many", "few"), (0.9, 0.1))
CELL = Cell("made-up", PAIR, 0, comparisons=60, steps=4, raters=10, users=40, held_out=60)
PROMPTS, CANDIDATES = 4, 32


def made_up(seed: int) -> CellResult:
    """Ten raters and forty users, nine tenths of whom like what the rest dislike; reward models that know it."""
    rng = np.random.default_rng(seed)
    many = rng.normal(size=(PROMPTS, CANDIDATES))
    few = rng.normal(size=(PROMPTS, CANDIDATES)) - 0.8 * many
    rater_group, user_group = PAIR.groups(10), PAIR.groups(40)
    tastes = np.array([many, few])
    held = np.arange(100) % 10
    right = np.where(rater_group[held] == 0, 1.0, -1.0)
    return CellResult(
        pooled=0.9 * many + 0.1 * few,
        groups=tastes,
        belongs=np.eye(2)[rater_group],
        raters=tastes[rater_group],
        mean=many,
        spread=np.abs(many - few),
        raters_true=tastes[rater_group],
        raters_group=rater_group,
        users_true=tastes[user_group] + 0.1 * rng.normal(size=(40, PROMPTS, CANDIDATES)),
        users_group=user_group,
        gold=rng.random((PROMPTS, CANDIDATES)),
        held_rater=held,
        leads=np.array([2 * right, np.full(100, 2.0), np.full(100, 2.0), right, np.ones(100)]),
    )


def measured() -> CrowdMeasured:
    return CrowdMeasured(PAIR, [CELL] * 3, [made_up(seed) for seed in range(3)], (0.5, 1.0))


def test_shares_become_whole_people():
    assert PAIR.groups(50).tolist() == [0] * 45 + [1] * 5
    assert PAIR.groups(3).tolist() == [0, 0, 1]
    assert np.bincount(CROWDS["poems"][1].groups(200)).tolist() == [90, 70, 40]


@pytest.mark.parametrize("draw", [poem_tastes, board_tastes])
def test_people_of_one_taste_differ_less_than_tastes_do(draw):
    world = "poems" if draw is poem_tastes else "go"
    found = draw(CROWDS[world][0], 100, 1)
    within = found[:90].std(0) / np.abs(found[:90].mean(0))
    assert (within < 0.6).all()
    assert np.corrcoef(found[:90].mean(0), found[90:].mean(0))[0, 1] < 0.5
    assert not np.array_equal(found, draw(CROWDS[world][0], 100, 2))


@pytest.mark.parametrize("name", RULES)
def test_every_rule_keeps_to_the_kl_and_blind_units_do_not_matter(name):
    voters = made_up(0).electorates[TRUTH]
    chances = RULES[name](voters, 0.7)
    assert chances.sum(1) == pytest.approx(np.ones(PROMPTS))
    assert kl_from_uniform(chances) == pytest.approx(0.7, abs=1e-6)
    # Another unit for each voter, another level for each prompt: nothing that a rule may look at.
    unit = np.linspace(0.5, 2, 10)[:, None, None]
    moved = Electorate(unit * voters.likings + np.arange(PROMPTS)[:, None], voters.weight, voters.group)
    assert RULES[name](moved, 0.7) == pytest.approx(chances, abs=1e-5)


def test_a_lone_voter_gets_the_same_order_from_every_rule():
    lone = Electorate(made_up(0).raters_true[:1], np.ones(1), np.zeros(1, np.int64))
    best = lone.likings[0].argmax(1)
    for name, rule in RULES.items():
        assert rule(lone, 1.0).argmax(1).tolist() == best.tolist(), name


def test_a_quarter_of_the_start_satisfies_everybody():
    served = ServedUsers(made_up(0))
    start = served.by(np.full((PROMPTS, CANDIDATES), 1 / CANDIDATES))
    assert start.satisfied == pytest.approx(np.full(40, 0.25), abs=0.04)  # one quantile of 32 values
    assert start.gain == pytest.approx(np.zeros(40), abs=1e-9)


def test_a_policy_is_worth_to_a_user_what_the_user_likes():
    result = made_up(0)
    chances = np.zeros((PROMPTS, CANDIDATES))
    chances[np.arange(PROMPTS), result.users_true[7].argmax(1)] = 1
    found = ServedUsers(result).by(chances)
    assert found.satisfied[7] == 1
    assert found.figures["gold"] == pytest.approx(result.gold[np.arange(PROMPTS), chances.argmax(1)].mean())


def test_the_worst_group_fares_best_under_its_own_rule_and_pays_for_it():
    found = measured()
    worst = {name: found.figure("worst gain", name, TRUTH).value for name in RULES}
    assert max(worst, key=worst.get) == "worst group"
    assert found.figure("satisfied", "satisfied", TRUTH).value > found.figure("satisfied", "worst group", TRUTH).value
    assert found.figure("worst group", START, kl=0.0).value == pytest.approx(0.25, abs=0.04)


def test_all_policies_of_a_draw_are_at_one_kl():
    for (who, rule), chances in policies(made_up(1), 1.0).items():
        assert kl_from_uniform(chances) == pytest.approx(1.0, abs=1e-6), (who, rule)


def test_accuracy_and_calibration_of_a_minority_that_is_hidden():
    found = measured()
    # One rater of ten is always foretold wrongly, with a confidence of sigmoid(2) = 0.8808.
    assert found.accuracy("one for all").value == pytest.approx(0.9)
    assert found.accuracy("one for all", 1).value == 0
    assert found.calibration_error("one for all").value == pytest.approx(0.9 - 0.8808, abs=1e-4)
    assert found.calibration_error("one for all", 1).value == pytest.approx(0.8808, abs=1e-4)
    assert found.accuracy("a head a group", 1).value == 1
    assert found.rightly_grouped.value == 1


def test_an_estimate_is_students_over_draws():
    found = Estimate.of([0.1, 0.2, 0.3])
    # t(0.975, 2) = 4.3027; the standard error is 0.1 / sqrt(3).
    assert found.interval == pytest.approx((0.2 - 4.3027 * 0.057735, 0.2 + 4.3027 * 0.057735), abs=1e-4)


def test_the_claim_holds_where_the_minority_is_surely_lost_and_fails_where_all_are_alike():
    assert judge([measured()], []).answer == "holds"
    same = []
    for seed in range(3):
        each = made_up(seed)
        likings = np.repeat(each.groups[:1], 40, 0)
        alike = np.repeat(each.groups[:1], 2, 0)
        same.append(replace(each, users_true=likings, groups=alike, raters_true=likings[:10], raters=likings[:10]))
    assert judge([CrowdMeasured(PAIR, [CELL] * 3, same, (1.0,))], []).answer == "fails"


def rl_result(rule: str) -> RLResult:
    rows = [[[0.25, 0.35], [0.2, 0.3]], [[0.35, 0.45], [0.1, 0.2]], [[0.5, 0.6], [0.0, 0.1]]]
    kls = [-0.01, 0.25, 4.0]
    evaluations = [Served(8 * i, kl, row, 0.4) for i, (kl, row) in enumerate(zip(kls, rows, strict=True))]
    return RLResult(RLArm(f"rl-{rule}", rule, CELL), evaluations)


def test_satisfaction_at_a_kl_lies_between_evaluations_by_the_root():
    # The root of 1 nat lies a third of the way from 0.5 to 2.
    assert at_kl(rl_result("pooled"), 1.0)[0] == pytest.approx([0.40, 0.50])
    assert at_kl(rl_result("pooled"), 9.0).shape == (2, 0)


def test_rl_is_compared_as_far_as_all_arms_came():
    slow = replace(rl_result("worst group"), evaluations=rl_result("worst group").evaluations[:2])
    figures = judge([measured()], [rl_result("pooled"), slow]).figures[-2:]
    assert [each.name[-8:] for each in figures] == ["0.2 nats"] * 2
    assert [each.value for each in figures] == pytest.approx([0.15, 0.15])


def test_the_report_is_a_page_with_every_rule(tmp_path):
    plan = CrowdPlan.of(CrowdConfig())
    alone = CrowdMeasured(
        Crowd("one taste", ("many",), (1.0,)),
        [CELL] * 3,
        [
            replace(
                made_up(seed),
                groups=made_up(seed).groups[:1],
                belongs=np.ones((10, 1)),
                raters_group=np.zeros(10, np.int64),
                users_group=np.zeros(40, np.int64),
            )
            for seed in range(3)
        ],
        (0.5, 1.0),
    )
    crowds = [measured(), alone]
    found = [rl_result(rule) for rule in ("pooled", "worst group")]
    page = write_report(tmp_path / "r.html", judge(crowds, found), sections(crowds, found, plan), {}).read_text()
    for name in (*RULES, POOLED, GROUPS, "one taste"):
        assert name in page


def test_plans_come_back_from_json():
    for config in (CrowdConfig(), CrowdConfig(world="go"), CrowdConfig(size="s", seed=3)):
        plan = CrowdPlan.of(config)
        assert CrowdPlan.from_json(asdict(plan)) == plan
    assert len(CrowdPlan.of(CrowdConfig(size="s")).cells) == 2
    assert not CrowdPlan.of(CrowdConfig(world="go")).arms


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"source": "a", "resume": "b"}, {"source": "a", "world": "go"}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UserError):
        CrowdConfig(**wrong)


TINY_CELLS = tuple(replace(CELL, name=f"pair-{seed}", seed=seed, layers=1) for seed in range(2))
TINY_POEMS = CrowdPlan(
    "poems",
    "s",
    replace(TINY, poems_a_prompt=48, max_new_tokens=16),
    None,
    None,
    (*TINY_CELLS, replace(TINY_CELLS[0], name="alone-0", crowd=Crowd("one taste", ("flowery",), (1.0,)))),
    tuple(RLArm(f"rl-{n}", rule, TINY_CELLS[0], 2, 1, 2, 2) for n, rule in enumerate(("worst group", "satisfied"))),
    prompts=6,
    candidates=24,
    kls=(1.0,),
)
TINY_GO = CrowdPlan(
    "go",
    "s",
    None,
    GoPlan(0, 5, NetworkSize(1, 8), 40, 0, moves=14, taste="looks"),
    None,
    TINY_CELLS,
    (),
    prompts=6,
    candidates=24,
    kls=(1.0,),
)


def with_real_tastes(plan: CrowdPlan, names: tuple[str, str]) -> CrowdPlan:
    def cell(each: Cell) -> Cell:
        return replace(each, crowd=replace(each.crowd, tastes=names)) if len(each.crowd.tastes) > 1 else each

    arms = tuple(replace(arm, cell=cell(arm.cell)) for arm in plan.arms)
    return replace(plan, cells=tuple(cell(each) for each in plan.cells), arms=arms)


def run(folder: RunFolder, plan: CrowdPlan) -> Verdict:
    with folder, Stages(Console(quiet=True)) as stages:
        return CrowdStudy(plan, folder, stages).run()


def arms_here(plan, arms, folder, created, stages, run, read, kind="arms"):
    """`run_arms` one after the other in this process: to start others takes longer than the arms."""
    return [read(run(plan, arm, folder, created)) for arm in arms]


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [with_real_tastes(TINY_POEMS, ("flowery", "plain")), with_real_tastes(TINY_GO, ("tidy", "brawling"))],
    ids=["poems", "go"],
)
def test_a_tiny_study_from_end_to_end_goes_on_after_a_kill(tmp_path, monkeypatch, plan):
    few_texts(monkeypatch)
    monkeypatch.setattr(crowd, "run_arms", arms_here)
    monkeypatch.setattr(crowd_arm, "EVALUATED_PROMPTS", 8)
    whole = RunFolder.create(tmp_path / "whole", crowd.STUDY, asdict(plan), crowd.VERSION)
    verdict = run(whole, plan)
    assert len(verdict.figures) >= 20
    assert (whole.path / "report.html").exists()

    killed = RunFolder.create(tmp_path / "killed", crowd.STUDY, asdict(plan), crowd.VERSION)
    calls = []

    def stop(plan, arms, folder, created, stages, run, read, kind="arms"):
        for arm in arms:
            calls.append(arm)
            if len(calls) == 2:
                raise KeyboardInterrupt
            run(plan, arm, folder, created)

    with monkeypatch.context() as patch:
        patch.setattr(crowd, "run_arms", stop)
        with pytest.raises(KeyboardInterrupt):
            run(killed, plan)
    resumed = RunFolder.open(killed.path, crowd.STUDY, crowd.VERSION)
    assert CrowdPlan.from_json(resumed.config) == plan
    run(resumed, plan)
    assert (killed.path / "verdict.json").read_bytes() == (whole.path / "verdict.json").read_bytes()
