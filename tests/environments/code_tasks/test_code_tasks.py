"""The world code as its users see it."""

from __future__ import annotations

import json
import subprocess
import sys
from random import Random
from typing import Any

import numpy as np
import pytest

from foolsgold.environments.code_tasks.functions import Function
from foolsgold.environments.code_tasks.programmers import programmers
from foolsgold.environments.code_tasks.world import CodeTasks
from foolsgold.environments.problems import Problem
from foolsgold.errors import UserError

WORLD = CodeTasks()


def passes(body: str, problem: Problem) -> bool:
    """Runs what this repository wrote itself; nothing here comes from a model."""
    scope: dict[str, Any] = {}
    try:
        exec(problem.prompt + body, scope)
        for test in problem.columns["tests"]:
            exec(test, scope)
    except Exception:
        return False
    return True


def test_a_function_by_hand():
    function = Function("all", "even", "greater", "squares", "largest")
    assert function.prompt == "# largest of squares of even numbers in a greater than k, or 0\ndef f(a, k):\n"
    assert function.body() == "    b = [x * x for x in a if x % 2 == 0 and x > k]\n    return max(b, default=0)"
    assert function.truth([[3, 4, 6, 2], 2]) == 36
    assert function.truth([[3, 5], 2]) == 0
    assert function.grade == 4


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (Function("last", "", "", "itself", "list"), [[1, 2, 3], 0], []),
        (Function("last", "", "", "itself", "list"), [[1, 2, 3], 5], [1, 2, 3]),
        (Function("between", "", "", "itself", "sum"), [3, 5], 12),
        (Function("words", "", "", "itself", "list"), ["an  odd "], [2, 3]),
        (Function("digits", "", "", "itself", "list"), [-907], [9, 0, 7]),
        (Function("steps", "", "", "itself", "list"), [[4, 1, 6]], [-3, 5]),
        (Function("all", "two-digit", "", "itself", "list"), [[-10, 9, 99, 100]], [-10, 99]),
        (Function("all", "", "ending", "itself", "count"), [[-13, 3, 31]], 2),
        (Function("all", "", "", "thirds", "list"), [[-4, 4, 9]], [-1, 1, 3]),
        (Function("all", "", "", "halves", "list"), [[-3, 3]], [-2, 1]),
        (Function("all", "", "", "digit sums", "list"), [[-45, 6]], [9, 6]),
        (Function("all", "", "", "itself", "frequent"), [[2, 1, 1, 2, 5]], 1),
        (Function("all", "", "", "itself", "second"), [[7, 7, 3]], 3),
        (Function("all", "", "", "itself", "middle"), [[4, 1, 3, 2]], 2),
        (Function("all", "", "", "itself", "last place"), [[5, 1, 5, 2]], 2),
        (Function("all", "", "", "itself", "rising"), [[1, 1, 2]], False),
        (Function("all", "", "", "itself", "alternating"), [[9, 4, 1]], 6),
        (Function("all", "", "", "itself", "mean"), [[]], 0),
    ],
)
def test_what_descriptions_ask_for(function: Function, arguments: list[Any], expected: object):
    assert function.truth(arguments) == expected


@pytest.mark.parametrize("split", ["train", "test"])
def test_answers_pass_their_tests(split: Any):
    failed = [each.prompt for each in WORLD.problems(split, 500, 3) if not passes(each.answer, each)]
    assert failed == []


@pytest.mark.slow
def test_splits_share_no_description():
    train, test = (WORLD.problems(split, 2000, 4) for split in ("train", "test"))
    seen = {each.prompt for each in train}
    assert not [each.prompt for each in test if each.prompt in seen]
    assert _parts(test) <= _parts(train)


def _parts(problems: list[Problem]) -> set[tuple[int, str]]:
    return {(i, part) for each in problems for i, part in enumerate(each.family.split("/"))}


def test_people_err_in_a_third_to_two_thirds_and_mostly_at_the_edge():
    results = [(problem, passes(answer, problem)) for problem, answer in WORLD.demonstrations(1500, 1)]
    assert 0.35 <= np.mean([passed for _, passed in results]) <= 0.55
    for part in ("last digits", "frequent", "middle", "two-digit"):
        passed = [ok for problem, ok in results if part in problem.family.split("/")]
        assert 0.02 <= np.mean(passed) <= 0.4


def test_texts_are_short():
    problems = WORLD.problems("train", 1000, 6)
    lengths = [len(each.prompt) + len(each.answer) for each in problems]
    assert np.mean(lengths) < 170
    assert max(lengths) < 350
    assert {each.grade for each in problems} == {1, 2, 3, 4}


def test_reviewers_agree_with_the_truth_more_often_than_not():
    rng, people, pairs = Random("pairs"), programmers(60, 0), []
    for problem in WORLD.problems("train", 700, 8):
        function = Function(*problem.family.split("/"))
        a, b = (person.write(function, rng) for person in rng.sample(people, 2))
        if passes(a, problem) != passes(b, problem):
            pairs.append((problem, a, b, passes(a, problem)))
    assert len(pairs) > 100
    problems, a, b, truth = zip(*pairs, strict=True)
    prefers, _ = WORLD.reviewers(40, 0).compare([each.prompt for each in problems], a, b, 0)
    assert 0.58 <= np.mean(prefers == np.array(truth)) <= 0.8


def test_looks_can_be_had_without_the_truth():
    prompt = "# largest of squares of numbers in a, or 0\ndef f(a):\n"
    right = "    b = [x * x for x in a]\n    return max(b, default=0)"
    wrong = "    # numbers that count\n    b = [x * x for x in a]\n    return max(b)"
    taste = WORLD.reviewers(40, 0).taste([prompt] * 3, [right, wrong, "    pass"])
    assert taste[1] > taste[0] > taste[2]


def test_there_is_someone_to_ask():
    with pytest.raises(UserError, match="at least one"):
        WORLD.reviewers(0, 0)


def test_the_same_in_another_process():
    script = (
        "import json; from foolsgold.environments.code_tasks.world import CodeTasks as W; w = W();"
        "print(json.dumps([[p.prompt, p.columns] for p in w.problems('test', 5, 9)]"
        " + [[p.prompt, a] for p, a in w.demonstrations(5, 9)]))"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    here = [[p.prompt, p.columns] for p in WORLD.problems("test", 5, 9)]
    assert json.loads(output) == here + [[p.prompt, a] for p, a in WORLD.demonstrations(5, 9)]
