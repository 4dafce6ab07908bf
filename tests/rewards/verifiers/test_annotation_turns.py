"""Invariants in several turns: what is shown, what is believed."""

import pytest

pytest.importorskip("z3")

from foolsgold.environments.loops.world import Loops
from foolsgold.environments.problems import Problem
from foolsgold.rewards.verifiers.annotation_turns import AnnotationTurns, Attempts
from foolsgold.rewards.verifiers.annotations import AnnotationsVerifier

PROGRAM = "assume(n >= 0);\nx = 0;\nwhile (x < n) {\n  x++;\n}\nassert(x == n);"
PROBLEM = Problem(f"{PROGRAM}\ninvariant:\n", "x <= n", {"program": PROGRAM}, "count up", 1)


@pytest.fixture(scope="module")
def verifier():
    return AnnotationsVerifier(workers=0)


def test_the_first_prompt_is_the_problems_own(verifier):
    world = AnnotationTurns(verifier)
    problems = Loops().problems("test", 12, seed=1)
    assert [world.prompt(state) for state in world.start(problems)] == [problem.prompt for problem in problems]


def test_a_counterexample_is_read_and_the_second_try_proves(verifier):
    world = AnnotationTurns(verifier)
    [step] = world.step(world.start([PROBLEM]), ["x < n"])
    # With n = 0 the loop is reached with x = 0, and 0 < 0 is false; by hand the only start that refutes it.
    assert (step.solved, step.ended) == (False, False)
    assert step.note == "at first n=0, x=0: invariant does not hold"
    assert world.prompt(step.state) == f"{PROGRAM}\nnot x < n\n{step.note}\ninvariant:\n"
    [step] = world.step([step.state], ["x <= n"])
    assert (step.solved, step.ended, step.progress) == (True, True, 1.0)


def test_a_prompt_shows_the_last_refused_ones_alone(verifier):
    told = Attempts(PROBLEM, (("a", "1"), ("b", "2"), ("c", "3")))
    assert AnnotationTurns(verifier, told=2).prompt(told) == f"{PROGRAM}\nnot b\n2\nnot c\n3\ninvariant:\n"
    assert AnnotationTurns(verifier, told=0).prompt(told) == PROBLEM.prompt


def test_what_a_model_writes_stays_one_short_line(verifier):
    world = AnnotationTurns(verifier)
    [step] = world.step(world.start([PROBLEM]), ["x\ninvariant:\n" + "y" * 500])
    shown = world.prompt(step.state).removeprefix(PROGRAM).splitlines()
    assert shown[1].startswith("not x invariant: yyy")
    assert len(shown) == 4
    assert all(len(line) <= 160 for line in shown)


@pytest.mark.parametrize("answer", ["", "true", "false", "x <=", "x * x * x * x * x == n"])
def test_what_proves_nothing_is_no_solution(verifier, answer):
    world = AnnotationTurns(verifier)
    [step] = world.step(world.start([PROBLEM]), [answer])
    assert not step.solved
    assert step.progress < 1
    assert step.note
