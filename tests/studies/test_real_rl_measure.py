"""What follows from made-up curves and pools: the verdict, more answers, what is quoted."""

import numpy as np
import pytest
from tiny_problems import ARM, PLAN

from foolsgold.audit.report import write_report
from foolsgold.environments.problems import Problem
from foolsgold.studies.real_rl_arm import ArmResult, Evaluation, PoolOfAnswers, Shown
from foolsgold.studies.real_rl_measure import Course, Measured, chosen_at, majority_passes, pass_at
from foolsgold.studies.real_rl_report import fixed, loved, sections
from foolsgold.studies.real_rl_verdict import judge

P = 60
HOSTILE = "<script>alert(1)</script>\n    {{ 7 * 7 }}"
TESTED = [Problem(f"{i}+1=", f"{i + 1}", {"total": i + 1}, f"family {i % 3}", 1 + i % 2) for i in range(P)]


def pool(rate: float) -> PoolOfAnswers:
    rng = np.random.default_rng(1)
    passed = rng.random((P, 8)) < rate
    return PoolOfAnswers(passed, rng.normal(size=(P, 8)), rng.integers(0, 3, (P, 8)))


def result(rates: list[float], proxy: list[float], arm=ARM) -> ArmResult:
    """An arm whose problems differ in difficulty, and pass at these rates."""
    level = np.linspace(-0.04, 0.04, P)
    noise = np.random.default_rng(0).normal(0, 0.01, (len(rates), P))
    evaluations = [
        Evaluation(
            step=10 * i,
            kl=float(i),
            sampled=(rate + level + noise[i]).tolist(),
            greedy=(rate + level + noise[i]).tolist(),
            train=(rate + level)[:20].tolist(),
            proxy=(liked + level + noise[i]).tolist(),
            outcomes={"passed": rate, "wrong": 1 - rate},
            entropy=0.3,
            likeliest=[
                Shown(each.prompt, HOSTILE, "passed" if j < rate * P else "wrong", "why", 0.0)
                for j, each in enumerate(TESTED)
            ],
            loved=[Shown("1+1=", HOSTILE, "wrong", "why", 3.0)],
        )
        for i, (rate, liked) in enumerate(zip(rates, proxy, strict=True))
    ]
    return ArmResult(arm, evaluations, pool(rates[-1]))


UP = [0.3, 0.4, 0.5, 0.6, 0.7]
LIKED = [0.0, 1.0, 2.0, 3.0, 4.0]


def measured(real: list[float], vibe: list[float], priced: list[float] | None = None) -> Measured:
    return Measured(
        verifier=result(real, LIKED),
        reviewers=result(vibe, LIKED, ARM.paid_by("reviewers")),
        priced=result(vibe if priced is None else priced, LIKED, ARM.paid_by("reviewers").priced(0.5)),
        start=pool(0.3),
        tested=TESTED,
        reviewers_agree=np.array([True, True, False]),
        reward_accuracy=0.7,
        held_out=100,
        reward_agrees=np.array([True, False]),
        demonstrations_pass=np.array([True, False]),
    )


@pytest.mark.parametrize(
    ("real", "vibe", "answer"),
    [
        (UP, [0.3, 0.35, 0.35, 0.3, 0.1], "holds"),  # falls
        (UP, [0.3, 0.4, 0.45, 0.45, 0.45], "holds"),  # stalls
        (UP, [0.3, 0.35, 0.4, 0.45, 0.5], "depends"),  # goes on rising, more slowly
        ([0.3, 0.6, 0.7, 0.7, 0.6], [0.3] * 5, "depends"),  # the verifier's falls from its peak
        (UP, UP, "fails"),
        ([0.3] * 5, [0.3, 0.3, 0.2, 0.1, 0.0], "fails"),  # nothing is gained
        (UP[::-1], UP, "fails"),
    ],
)
def test_the_verdict(real, vibe, answer):
    verdict = judge(measured(real, vibe))
    assert verdict.answer == answer
    figures = {each.name: each.value for each in verdict.figures}
    assert figures["RL on the verifier: end less start"] == pytest.approx(100 * (real[-1] - real[0]), abs=1)
    assert figures["RL on the reward model: end less middle"] == pytest.approx(100 * (vibe[-1] - vibe[2]), abs=1)
    assert figures["the verifier's lead at the end"] == pytest.approx(100 * (real[-1] - vibe[-1]), abs=1)
    assert figures["its proxy, end less start"] == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize(
    ("vibe", "priced", "answer"),
    [
        ([0.3, 0.35, 0.2, 0.1, 0.0], [0.3, 0.35, 0.4, 0.4, 0.4], "holds"),  # one falls, the other stalls
        ([0.3, 0.35, 0.2, 0.1, 0.0], [0.3, 0.35, 0.4, 0.45, 0.5], "depends"),  # with a price it goes on rising
        ([0.3, 0.7, 0.2, 0.1, 0.0], [0.3, 0.3, 0.3, 0.3, 0.3], "depends"),  # stopped in time it is as good
        ([0.3, 0.3, 0.2, 0.1, 0.0], [0.3, 0.7, 0.7, 0.7, 0.7], "fails"),  # priced it is as good
    ],
)
def test_rlhf_has_a_price_on_kl_and_may_stop_early(vibe, priced, answer):
    verdict = judge(measured(UP, vibe, priced))
    assert verdict.answer == answer
    figures = {each.name: each.value for each in verdict.figures}
    best = max(*vibe, *priced)
    assert figures["the verifier's lead over the best stop"] == pytest.approx(100 * (UP[-1] - best), abs=1)
    assert figures["RL on the reward model, KL priced: end less peak"] == pytest.approx(
        100 * (priced[-1] - max(priced)), abs=1
    )


def test_a_course_is_paired_by_problem():
    values = np.array([[0.0, 0.5, 1.0], [0.5, 1.0, 0.5]])
    course = Course.of(values, np.array([0, 1, 2]))
    assert (course.start.mean, course.end.mean, course.gain.mean, course.late.mean) == (0.25, 0.75, 0.5, 0.0)
    # The first problem's peak, at the end, is where the second is measured, and the other way round.
    assert course.fall.mean == pytest.approx(((1.0 - 0.5) + (0.5 - 0.5)) / 2)
    assert course.rise.mean == pytest.approx(((0.5 - 0.0) + (0.5 - 0.5)) / 2)


def test_the_middle_is_of_steps_and_not_of_evaluations():
    values = np.array([[0.0, 0.1, 0.2, 0.4, 0.8]])
    assert Course.of(np.repeat(values, 3, 0), np.array([0, 1, 2, 6, 12])).late.mean == pytest.approx(0.8 - 0.4)


def test_any_of_k_answers():
    passed = np.array([[True, False, False, False]])
    k, found = pass_at(PoolOfAnswers(passed, np.zeros((1, 4)), np.zeros((1, 4), int)))
    assert k.tolist() == [1, 2, 4]
    np.testing.assert_allclose(found, [[1 / 4, 1 / 2, 1]])  # 1 - (3 choose k) / (4 choose k)


def test_the_reward_models_favourite_of_k_answers():
    passed, proxy = np.array([[True, False]]), np.array([[0.0, 1.0]])
    np.testing.assert_allclose(chosen_at(PoolOfAnswers(passed, proxy, np.array([[0, 1]])))[1], [[0.5, 0.0]])


def test_the_majority_is_of_equal_texts_and_a_tie_counts_in_part():
    passed = np.array([[True, False, False, True], [True, False, False, False]])
    same = np.array([[7, 2, 3, 7], [1, 2, 2, 1]])
    # Text 7 leads in the first row; in the second both texts come twice, and 1 passes where it comes first.
    assert majority_passes(PoolOfAnswers(passed, np.zeros((2, 4)), same)).tolist() == [1.0, 0.5]


def test_what_a_model_wrote_is_quoted_as_text(tmp_path):
    found = measured(UP, UP[::-1])
    page = write_report(tmp_path / "report.html", judge(found), sections(found, PLAN), {}).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\n    {{ 7 * 7 }}" in page


def test_quotes_are_of_what_the_verifier_rejects_and_of_what_was_mended():
    found = measured(UP, UP[::-1])
    assert {quote.facts["verifier"] for quote in loved(found).quotes} == {"wrong"}
    changed = fixed(found)
    assert "mended 24 and broke 0" in changed.intro  # 18 of 60 passed at the start, 42 at the end
    assert [quote.facts["verifier"] for quote in changed.quotes] == ["wrong", "passed"] * 3


def test_a_result_comes_back_from_its_file(tmp_path):
    first = result(UP, LIKED)
    first.write(tmp_path / "result.json")
    again = ArmResult.read(tmp_path / "result.json")
    assert again.evaluations == first.evaluations
    assert again.arm == first.arm
    assert np.array_equal(again.end.passed, first.end.passed)
