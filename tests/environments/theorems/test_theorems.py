from collections import Counter

import pytest

from foolsgold.environments.theorems.formulas import parse, statement
from foolsgold.environments.theorems.provability import provable
from foolsgold.environments.theorems.world import Theorems
from foolsgold.errors import UserError


@pytest.fixture(scope="module")
def train():
    return Theorems().problems("train", 60, 0)


def test_problems_follow_from_the_seed(train):
    assert Theorems().problems("train", 60, 0) == train
    assert Theorems().problems("train", 60, 1) != train


def test_every_theorem_is_provable_and_true(train):
    for problem in train:
        formula = parse(problem.prompt)
        assert formula.tautology
        assert provable(frozenset(), formula)
        assert problem.columns == {"statement": statement(formula, "coq")}


def test_grades_come_equally_often_and_follow_the_size(train):
    assert Counter(problem.grade for problem in train) == dict.fromkeys((1, 2, 3, 4), 15)
    for problem in train:
        assert (problem.answer.count(".") - 1) // 2 == min(problem.grade, 4) or problem.answer.count(".") == 11


def test_problems_are_short(train):
    assert max(len(problem.prompt + problem.answer) for problem in train) < 300


def test_no_skeleton_is_in_both_splits(train):
    test = Theorems().problems("test", 40, 0)
    assert {problem.family for problem in test}.isdisjoint(problem.family for problem in train)
    assert all(problem.family == parse(problem.prompt).skeleton for problem in test + train)


def test_both_tools_are_given_the_same_formulas(train):
    lean = Theorems(tool="lean").problems("train", 60, 0)
    assert [problem.prompt for problem in lean] == [problem.prompt for problem in train]
    assert lean[0].columns["statement"] == statement(parse(lean[0].prompt), "lean")


def test_students_prove_about_half():
    demonstrations = Theorems().demonstrations(160, 0)
    right = sum(script == problem.answer for problem, script in demonstrations)
    assert 0.3 < right / 160 < 0.65
    assert all(script for _, script in demonstrations)


def test_steps_begin_with_the_theorem_and_end_at_the_first_error():
    steps = Theorems().steps(40, 0)
    assert sum(state.startswith("|- ") and "h" not in state for state, _ in steps) >= 40
    assert ("|- " in state and tactic for state, tactic in steps)
    followed = Counter(tactic.split()[0] for _, tactic in steps)
    assert {"intro", "exact", "destruct", "left", "split"} <= set(followed)


def test_mistakes_are_told():
    with pytest.raises(UserError, match="no prover 'isabelle'"):
        Theorems(tool="isabelle")
    with pytest.raises(UserError, match="grades 1 to 4"):
        Theorems(grades=(5,))
    with pytest.raises(UserError, match="no split"):
        Theorems().problems("dev", 1, 0)
    with pytest.raises(UserError, match="no reviewers"):
        Theorems().reviewers(3, 0)
