"""The loop of writing, running, reading and writing again."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.environments.code_tasks.world import CodeTasks
from foolsgold.environments.problems import Problem
from foolsgold.rewards.sandbox import CallsResult, Returned
from foolsgold.rewards.verifiers.code import CodeVerifier
from foolsgold.rewards.verifiers.coding_loop import (
    Check,
    CodingLoop,
    check_of,
    failure_line,
    hidden_checks,
    own_checks,
    passes,
)

SUM = Problem(
    "# sum of even numbers in a\ndef f(a):\n",
    "    return sum(x for x in a if x % 2 == 0)",
    {
        "entry_point": "f",
        "preamble": "",
        "tests": ["assert f([]) == 0", "assert f([2]) == 2", "assert f([4, 1]) == 4", "assert f([3, 3, 3]) == 0"],
    },
    family="sum",
    grade=1,
)


class Counting:
    """A sandbox in this process, for bodies written here."""

    def __init__(self):
        self.ran = []

    def run(self, jobs):
        self.ran += [job.source for job in jobs]
        results = []
        for job in jobs:
            names = {}
            exec(job.source, names)
            returned = []
            for arguments in job.calls:
                try:
                    returned.append(Returned(names[job.entry](*arguments)))
                except Exception as error:
                    returned.append(Returned(raised=type(error).__name__))
            results.append(CallsResult("ended", returned))
        return results


def loop(**settings) -> CodingLoop:
    return CodingLoop(visible=4, sandbox=Counting(), known={}, **settings)


def test_a_failed_attempt_is_read_with_its_first_failure_and_mended():
    world = loop()
    state = world.start([SUM])[0]
    assert world.prompt(state) == SUM.prompt
    (step,) = world.step([state], ["    return sum(a)"])
    assert (step.solved, step.ended, step.progress) == (False, False, 0.5)
    assert world.prompt(step.state) == (
        "# sum of even numbers in a\ndef f(a):\n    return sum(a)\n# f([4, 1]) gave 5, not 4\ndef f(a):\n"
    )
    (step,) = world.step([step.state], [SUM.answer])
    assert (step.solved, step.ended, step.progress, step.note) == (True, True, 1.0, "")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("    sum(a)", "f([]) gave None, not 0"),
        ("    return a[0]", "f([]) raised IndexError, not 0"),
        ("    return sum(a", "it does not compile"),
        ("", "it does not compile"),
    ],
)
def test_failures_are_told_in_a_line(body, line):
    world = loop()
    (step,) = world.step(world.start([SUM]), [body])
    assert step.note == step.state.failure == line
    assert world.prompt(step.state).count("def f(a):") == 2


def test_who_passes_what_is_shown_may_fail_what_is_hidden():
    world = loop()
    world = replace(world, visible=1)
    (shown,) = world.given(SUM)
    body = f"    return {shown.expected!r}"
    (step,) = world.step(world.start([SUM]), [body])
    assert step.solved
    assert world.passes_hidden([SUM, SUM], [body, SUM.answer]) == [False, True]


def test_an_attempt_runs_once():
    world = loop()
    state = world.start([SUM])[0]
    world.step([state, state], ["    return 0", "    return 0"])
    world.passes_hidden([SUM], ["    return 0"])
    replace(world, feedback="none").step([state], ["    return 0"])
    assert len(world.sandbox.ran) == 1


def test_without_reading_each_turn_begins_anew():
    world = loop(feedback="none")
    (step,) = world.step(world.start([SUM]), ["    return 1"])
    assert not step.ended
    assert world.prompt(step.state) == SUM.prompt


def test_the_failure_of_another_problem_takes_the_place_of_ones_own():
    world = loop(feedback="other", others={"def f(a):": ["f([9]) gave 8, not 7", "f([]) gave 1, not 0"]})
    (step,) = world.step(world.start([SUM]), ["    return 1"])
    assert step.note == "f([]) gave 1, not 0"  # its own, which happens to be among the others', is not taken
    assert step.state.failure == "f([9]) gave 8, not 7"


def test_tests_of_ones_own_are_written_first_and_then_decide():
    world = loop(own_tests=True)
    state = world.start([SUM])[0]
    assert world.prompt(state) == "# sum of even numbers in a\n# tests of f(a)\n"
    (written,) = world.step([state], ["assert f([2, 3]) == 5\nnonsense\nassert f([]) == 0"])
    assert (written.ended, written.note) == (False, "2 tests")
    assert world.prompt(written.state) == SUM.prompt
    right, wrong = world.step([written.state] * 2, [SUM.answer, "    return sum(a)"])
    assert right.note == "f([2, 3]) gave 2, not 5"  # the test is wrong, and the right function fails it
    assert wrong.solved
    assert world.passes_hidden([SUM], ["    return sum(a)"]) == [False]


def test_with_no_test_only_a_function_is_asked_for():
    world = loop(own_tests=True)
    (written,) = world.step(world.start([SUM]), ["no tests"])
    fine, broken = world.step([written.state] * 2, ["    return 1", "    return ("])
    assert (fine.solved, broken.solved) == (True, False)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("assert f([1, -2], 3) == None", Check(([1, -2], 3), None)),
        ("  assert f('a b') == [1.5]", Check(("a b",), [1.5])),
        ("assert f() == (1, True)", Check((), (1, True))),
        ("assert g(1) == 1", None),
        ("assert f(1) != 1", None),
        ("assert f(1) == 1 == 1", None),
        ("assert f(x=1) == 1", None),
        ("assert f(__import__('os').getpid()) == 1", None),
        ("assert f([0] * 9) == 1", None),
        ("assert f(...) == 1", None),
        ("assert f({1: 2}) == 1", None),
        ("f(1) == 1", None),
        ("assert f(1) == 1; import os", None),
        ("assert f(" + "[" * 150 + ") == 1", None),
        ("assert f(1) == '" + "x" * 1_000 + "'", None),
        ("", None),
    ],
)
def test_only_comparisons_with_plain_values_are_tests(text, check):
    assert check_of(text, "f") == check


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_can_be_read_for_tests(text):
    own_checks(text, "f")
    own_checks(f"assert f({text}) == {text}", "f")


def test_tests_of_ones_own_count_once_and_three_at_most():
    lines = [f"assert f({i}) == 0" for i in (1, 1, 2, 3, 4)]
    assert [each.arguments for each in own_checks("\n".join(lines), "f")] == [(1,), (2,), (3,)]


def test_long_values_are_cut():
    line = failure_line(SUM, Check((list(range(40)),), 0), Returned("y" * 500))
    assert len(line) < 100
    assert line.endswith("not 0")
    assert failure_line(SUM, Check(([],), 0), Returned(raised="a\nb" * 50)).count("\n") == 0


def test_what_cannot_be_read_as_a_test_of_the_problem_is_refused():
    other = replace(SUM, columns={**SUM.columns, "tests": ["assert all(f(x) for x in [])"]})
    with pytest.raises(ValueError, match="no `assert"):
        hidden_checks(other)


def test_given_tests_are_some_of_the_problems_and_follow_from_the_seed():
    problem = CodeTasks().problems("test", 1, 0)[0]
    few = CodingLoop(visible=3)
    assert few.given(problem) == CodingLoop(visible=3).given(problem)
    assert len(few.given(problem)) == 3
    assert all(check in hidden_checks(problem) for check in few.given(problem))
    assert any(few.given(problem) != CodingLoop(visible=3, seed=seed).given(problem) for seed in range(1, 5))


@pytest.mark.slow
def test_the_loop_and_the_verifier_of_code_agree_on_what_people_write():
    shown = CodeTasks().demonstrations(60, 5)
    problems, bodies = [problem for problem, _ in shown], [body for _, body in shown]
    columns = {name: [problem.columns[name] for problem in problems] for name in problems[0].columns}
    verdicts = CodeVerifier().verdicts([problem.prompt for problem in problems], bodies, **columns)
    passed = CodingLoop(known={}).passes_hidden(problems, bodies)
    assert passed == [each.outcome == "passed" for each in verdicts]
    assert 10 < sum(passed) < 50
    assert all(CodingLoop(known={}).passes_hidden(problems, [problem.answer for problem in problems]))


def test_a_call_that_ends_badly_passes_nothing():
    check = Check((1,), None)
    assert passes(check, Returned())
    assert not passes(check, Returned(raised="ValueError"))
    assert not passes(check, Returned(timeout=True))
