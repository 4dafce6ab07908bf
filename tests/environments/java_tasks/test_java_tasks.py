"""The world java as its users see it."""

from __future__ import annotations

import json
import subprocess
import sys
from random import Random
from typing import Any

import numpy as np
import pytest

from foolsgold.environments.java_tasks.families import structure
from foolsgold.environments.java_tasks.parser import parse
from foolsgold.environments.java_tasks.python_source import constructs
from foolsgold.environments.java_tasks.translators import translators
from foolsgold.environments.java_tasks.world import JavaTasks
from foolsgold.environments.problems import Problem
from foolsgold.errors import UserError

WORLD = JavaTasks()


def passes(source: str, problem: Problem) -> bool:
    """Runs what this repository wrote itself; nothing here comes from a model."""
    scope: dict[str, Any] = {}
    try:
        exec(source, scope)
        for test in problem.columns["tests"]:
            exec(test, scope)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("split", ["train", "test"])
def test_answers_pass_their_tests(split: Any):
    failed = [each.prompt for each in WORLD.problems(split, 400, 3) if not passes(each.answer, each)]
    assert failed == []


@pytest.mark.slow
def test_splits_share_no_structure():
    train, test = (WORLD.problems(split, 1000, 4) for split in ("train", "test"))
    seen = {structure(each.columns["java"]) for each in train}
    assert not [each.prompt for each in test if structure(each.columns["java"]) in seen]
    # What is met in tests is met in training, each by itself.
    assert _parts(test) <= _parts(train)


def _parts(problems: list[Problem]) -> set[tuple[int, str]]:
    return {(i, part) for each in problems for i, part in enumerate(each.family.split("/"))}


def test_structure_forgets_names_and_numbers():
    assert structure("return a[i] % 3 == k;") == structure("return b[j] % 7 == n;")
    assert structure("x + x") != structure("x + k")


def test_people_err_in_a_third_to_two_thirds_and_mostly_where_it_does_not_show():
    results = [(problem, passes(answer, problem)) for problem, answer in WORLD.demonstrations(800, 1)]
    assert 0.35 <= np.mean([passed for _, passed in results]) <= 0.55
    by_construct: dict[str, list[bool]] = {}
    for problem, passed in results:
        for construct in constructs(parse(problem.columns["java"])):
            by_construct.setdefault(construct, []).append(passed)
    for construct in ("division", "remainder", "overflow", "moving loop"):
        # The usual form is wrong, yet some know the right one.
        assert 0.05 <= np.mean(by_construct[construct]) <= 0.45


def test_texts_are_short_and_grades_even():
    problems = WORLD.problems("train", 800, 6)
    lengths = [len(each.prompt) + len(each.answer) for each in problems]
    assert np.mean(lengths) < 300
    assert np.percentile(lengths, 99) < 480
    assert {each.grade for each in problems} == {1, 2, 3, 4}
    assert all(4 <= len(each.columns["tests"]) <= 10 for each in problems)


def test_reviewers_agree_with_the_truth_more_often_than_not():
    rng, people = Random("pairs"), translators(60, 0)
    first, second = [], []
    for problem in WORLD.problems("train", 500, 8):
        method = parse(problem.columns["java"])
        a, b = (person.translate(method, rng) for person in rng.sample(people, 2))
        if passes(a, problem) != passes(b, problem):
            first.append((problem, a, passes(a, problem)))
            second.append(b)
    assert len(first) > 80
    prompts, answers = [each.prompt for each, _, _ in first], [a for _, a, _ in first]
    prefers, who = WORLD.reviewers(40, 0).compare(prompts, answers, second, 0)
    assert 0.58 <= np.mean(prefers == [passed for _, _, passed in first]) <= 0.78
    assert set(who.tolist()) <= set(range(40))


def test_looks_can_be_had_without_the_truth():
    java = "static int f(int x, int k) {\n    int r = x / 3;\n    return r;\n}\n# Python\n"
    right = "def f(x, k):\n    r = int(x / 3)\n    return r"
    wrong = "def f(x, k):\n    # same steps as in Java\n    r = x // 3\n    return r"
    taste = WORLD.reviewers(40, 0).taste([java] * 3, [right, wrong, "return x / 3;"])
    assert taste[1] > taste[0] > taste[2]


def test_there_is_someone_to_ask():
    with pytest.raises(UserError, match="at least one"):
        WORLD.reviewers(0, 0)


def test_the_same_in_another_process():
    script = (
        "import json; from foolsgold.environments.java_tasks.world import JavaTasks as W; w = W();"
        "print(json.dumps([[p.prompt, p.columns] for p in w.problems('test', 5, 9)]"
        " + [[p.prompt, a] for p, a in w.demonstrations(5, 9)]))"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    here = [[p.prompt, p.columns] for p in WORLD.problems("test", 5, 9)]
    assert json.loads(output) == here + [[p.prompt, a] for p, a in WORLD.demonstrations(5, 9)]
