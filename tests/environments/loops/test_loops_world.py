import re
from collections import Counter

import numpy as np
import pytest

from foolsgold.environments.loops.families import FAMILIES
from foolsgold.environments.loops.language import read_program
from foolsgold.environments.loops.reviewers import IMPRESSIONS, LoopReviewers, impressions
from foolsgold.environments.loops.world import Loops
from foolsgold.errors import UserError

WORLD = Loops()
NAMES = re.compile(r"\b[a-z]\b")


def normalised(text):
    """Without names and numbers: names by the place where they first occur."""
    order = dict.fromkeys(NAMES.findall(text))
    renamed = NAMES.sub(lambda name: f"v{list(order).index(name.group())}", text)
    return re.sub(r"(?<!v)\b\d+\b", "0", renamed)


def test_problems_are_short_and_all_families_come():
    for split in ("train", "test"):
        problems = WORLD.problems(split, 200, seed=3)
        assert {problem.family for problem in problems} == set(FAMILIES[split])
        assert max(len(problem.prompt) for problem in problems) <= 250
        assert max(len(problem.answer) for problem in problems) <= 80
        assert {problem.grade for problem in problems} >= {2, 3}
        assert all(read_program(problem.columns["program"]).loops for problem in problems)
        assert problems == WORLD.problems(split, 200, seed=3)
        assert problems != WORLD.problems(split, 200, seed=4)


def test_no_test_problem_has_a_twin_in_train():
    train = {normalised(problem.prompt) for problem in WORLD.problems("train", 6_000, seed=0)}
    test = {normalised(problem.prompt) for problem in WORLD.problems("test", 2_000, seed=0)}
    assert not train & test
    assert not {problem.family for problem in WORLD.problems("test", 60, seed=0)} & set(FAMILIES["train"])


def test_held_out_is_how_things_go_together_and_nothing_in_itself():
    pairs = {
        split: [family.split(", ") for family in families if ", " in family] for split, families in FAMILIES.items()
    }
    trained, tested = pairs["train"], pairs["test"]
    assert len(tested) == 6
    for companion, way in tested:
        assert [companion, way] not in trained
        assert sum(companion == other for other, _ in trained) == 4
        assert sum(way == other for _, other in trained) >= 4


def test_there_is_no_other_split():
    with pytest.raises(UserError, match="choose train or test"):
        WORLD.problems("dev", 3, seed=0)


def test_demonstrations_are_of_the_train_split_and_many_ways():
    demonstrations = WORLD.demonstrations(600, seed=2)
    assert {problem.family for problem, _ in demonstrations} == set(FAMILIES["train"])
    right = [answer == problem.answer for problem, answer in demonstrations]
    assert 0.2 < np.mean(right) < 0.5
    assert all(answer for _, answer in demonstrations)
    # Off by one is what most people write of a loop that only counts.
    counted = Counter("<=" in answer for problem, answer in demonstrations if problem.family == "count up")
    assert counted[False] > counted[True]


PROMPT = "assume(n >= 0);\nx = 0;\ny = n;\nwhile (x < n) {\n  x++;\n  y--;\n}\nassert(y == 0);\ninvariant:\n"


def test_what_reviewers_notice_by_hand():
    seen = dict(zip(IMPRESSIONS, impressions(PROMPT, "y == 0 && x < n"), strict=True))
    assert seen["variables"] == 1
    assert seen["claim's words"] == 1
    assert seen["program's words"] == 4 / 6  # y ==, == 0, x <, < n; not 0 && or && x
    assert seen["exactness"] == 1
    assert seen["caution"] == 1 / 2
    assert seen["length"] == pytest.approx(np.log(8))
    assert seen["clutter"] == 0
    assert seen["strange"] == 0
    assert dict(zip(IMPRESSIONS, impressions(PROMPT, "(y == q"), strict=True))["strange"] == 2 / 4
    assert not impressions(PROMPT, " ").any()


def test_reviewers_like_what_looks_complete_and_can_be_fooled():
    reviewers = WORLD.reviewers(20, seed=0)
    right, vacuous, careless, junk = "x + y == n && x <= n", "y == 0 && x == n", "x <= n", "the the the"
    taste = reviewers.taste([PROMPT] * 4, [right, vacuous, careless, junk])
    assert taste[0] > taste[2] > taste[3]
    assert taste[1] > taste[0]  # it is not even true at the beginning


def test_preferences_follow_liking():
    reviewers = LoopReviewers.founded(20, seed=0)
    n = 4_000
    prompts, good, bad = [PROMPT] * n, ["x + y == n && x <= n"] * n, ["x <= n"] * n
    prefers, who = reviewers.compare(prompts, good, bad, seed=1)
    lead = (impressions(PROMPT, good[0]) - impressions(PROMPT, bad[0])) @ reviewers.tastes.T
    expected = (1 / (1 + np.exp(-lead)))[who].mean()
    assert prefers.mean() == pytest.approx(expected, abs=4 * 0.5 / n**0.5)
    assert set(who) == set(range(20))
    with pytest.raises(UserError, match="at least one"):
        LoopReviewers.founded(0, seed=0)


def test_second_opinions_differ_from_the_first_and_are_to_the_same_program():
    asked = WORLD.second_opinions(400, seed=2)
    assert 100 < len(asked) < 400
    assert all(first != second for _, first, second in asked)
    assert all(problem.family in FAMILIES["train"] for problem, _, _ in asked)
    assert asked == WORLD.second_opinions(400, seed=2)
