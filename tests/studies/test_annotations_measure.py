"""What follows from made-up policies: differences, what was said, proofs looked at again, the verdict."""

import numpy as np
import pytest

pytest.importorskip("z3")

from foolsgold.audit.report import write_report
from foolsgold.environments.problems import Problem
from foolsgold.rewards.verifiers.annotations import judge as judged
from foolsgold.studies.annotations_arm import METHODS, Arm, ArmResult
from foolsgold.studies.annotations_figures import Measured, Search
from foolsgold.studies.annotations_measure import SAID, Ending, Evaluation, disagreements, what_was_said
from foolsgold.studies.annotations_plan import Plan
from foolsgold.studies.annotations_report import judge, sections

P = 60
UP = "x = 0;\nwhile (x < 9) {\n  x++;\n}\nassert(x == 9);"
HOSTILE = "<script>alert(1)</script> {{ 7 * 7 }}"
PROBLEMS = [Problem(f"{UP}\ninvariant:\n", "x <= 9", {"program": UP}, f"family {i % 3}", 1) for i in range(P)]


def ending(rate: float, seed: int = 0) -> Ending:
    rng = np.random.default_rng(seed)
    tested, turns = rng.random((P, 8)) < rate, rng.random((P, 4)) < rate
    return Ending(
        tested,
        tested,
        tested[:, 0],
        tested[:, 0],
        np.where(turns, 1 + (np.arange(4) % 3), 0),
        {name: 1 / len(SAID) for name in SAID},
        [(UP, "x <= 9")],
        [[(UP, ""), (HOSTILE, "why"), ("x <= 9", "proved")]],
    )


def measured(rates: dict[str, float], refuted: int = 0, houdini: float = 0.5) -> Measured:
    arms = {}
    for name in METHODS:
        values = [rates["start"], rates[name]]
        ways = [Evaluation(128 * i, [v] * 30 + [v / 2] * 30, [1.0] * P, [v, v / 2]) for i, v in enumerate(values)]
        arms[name] = ArmResult(Arm(name, 1, 16, 8, 4), ways, ending(rates[name]))
    alone = np.random.default_rng(5).random(P) < houdini
    return Measured(
        start=ending(rates["start"]),
        arms=arms,
        houdini=Search(alone, alone),
        tested=PROBLEMS,
        trained=PROBLEMS,
        workers=np.array([True, False]),
        rechecked=(10, refuted, 4_000),
    )


UNCHANGED = dict.fromkeys(("start", *METHODS), 0.4)
BETTER = UNCHANGED | {"rl": 0.9, "expert": 0.6, "tries": 0.7, "turns": 0.8}


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (measured(BETTER), "holds"),
        (measured(BETTER, houdini=1.0), "depends"),
        (measured(UNCHANGED), "fails"),
        (measured(BETTER, refuted=1), "fails"),
    ],
)
def test_the_verdict_follows_from_the_figures(found, answer):
    verdict = judge(found)
    assert verdict.answer == answer
    assert len({each.name for each in verdict.figures}) == len(verdict.figures)


def test_differences_are_paired_by_program():
    found = measured(UNCHANGED)  # the same seed: the same answers to each program
    assert found.gain("rl").mean == 0
    assert found.gain("rl").interval == (0, 0)
    better = measured(BETTER)
    assert better.gain("rl").mean == pytest.approx(0.5, abs=0.08)
    assert better.gain_by_family("rl").mean == pytest.approx(better.gain("rl").mean)  # families are of one size
    assert better.gain_by_family("rl").n == 3


def test_some_of_k_answers_and_turns():
    few = ending(0.0)
    few.tested[0, 0] = True
    few.turns[0] = [1, 3, 0, 2]
    assert few.proved(1)[0] == 1 / 8
    assert few.proved(8)[0] == 1
    assert few.proved(3)[0] == pytest.approx(3 / 8)
    assert [few.proved_by(turn)[0] for turn in (1, 2, 3)] == [0.25, 0.5, 0.75]


def test_a_report_quotes_what_models_wrote_as_text(tmp_path):
    found = measured(BETTER)
    plan = Plan.of(1, 0).annotations
    page = write_report(tmp_path / "report.html", judge(found), sections(found, plan), {}, "foolsgold").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }}" in page
    assert "family 2" in page


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("x <= 9", "proved"),
        ("x == 1", "initiation"),
        ("x < 9", "consecution"),
        ("x >= 0", "sufficiency"),
        ("x <=", "no invariant"),
    ],
)
def test_what_the_engine_said_is_told_in_a_word(answer, said):
    assert what_was_said(judged(UP, answer)) == said


def test_a_proof_that_runs_refute_is_counted():
    believed = [(UP, "x <= 9"), (UP, "x <= 8"), (UP.replace("== 9", "== 8"), "true")]
    refuted, states = disagreements(believed)
    assert refuted == 2
    assert states > 3 * 200


def test_what_is_measured_is_kept_as_it_is(tmp_path):
    result = ArmResult(Arm("turns", 2, 16, 8, 4), [Evaluation(0, [0.5], [1.0], [0.25])], ending(0.5))
    result.write(tmp_path / "result.json")
    again = ArmResult.read(tmp_path / "result.json")
    assert again.arm == result.arm
    assert again.evaluations == result.evaluations
    assert again.ending.to_json() == result.ending.to_json()
    assert (again.ending.turns == result.ending.turns).all()
