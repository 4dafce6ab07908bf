"""Programs judged by their tests; what each program does is plain to see."""

import pytest

from foolsgold.errors import UserError
from foolsgold.rewards.sandbox import Limits, Sandbox
from foolsgold.rewards.scoring import RewardFailure, Scorer, WeightedReward
from foolsgold.rewards.verifiers.code import CodeVerifier
from foolsgold.rewards.verifiers.code_formats import called, same_output, split_check, task_of
from foolsgold.rewards.verifiers.verdict import VerifierFailure, VerifierReward

SQUARE = "def square(x):\n    return x * x\n"
CUBE = "def square(x):\n    return x * x * x\n"
TESTS = ["assert square(0) == 0", "assert square(1) == 1", "assert square(3) == 9", "assert square(-2) == 4"]
SHORT = Limits(cpu_s=1.0, wall_s=20.0)


@pytest.fixture(scope="module")
def verifier():
    with Sandbox() as sandbox:
        yield CodeVerifier(sandbox, SHORT)


def judged(verifier, completions, prompt="", **columns):
    repeated = {name: [value] * len(completions) for name, value in columns.items()}
    return verifier.verdicts([prompt] * len(completions), completions, **repeated)


def said(verdicts):
    return [(each.outcome, each.passed, each.of) for each in verdicts]


def test_asserts_are_counted_and_the_first_that_fails_is_told(verifier):
    right, wrong = judged(verifier, [SQUARE, CUBE], tests=TESTS)
    assert said([right, wrong]) == [("passed", 4, 4), ("wrong", 2, 4)]
    assert right.detail == ""
    assert "square(3) == 9" in wrong.detail


def test_outcomes_tell_what_went_wrong(verifier):
    endless = "def square(x):\n    while x:\n        pass\n    return 0\n"
    hungry = "def square(x):\n    return len('a' * 10**10)\n"
    raising = "def square(x):\n    raise KeyError(x)\n"
    leaving = "import os\ndef square(x):\n    os._exit(0)\n"
    broken = "def square(x):\n    return x *\n"
    found = judged(verifier, [endless, hungry, raising, leaving, broken, "I do not know."], tests=TESTS)
    assert found[0].outcome == "timeout"
    assert found[1].outcome in ("memory", "wrong")  # Python may be told in time that there is none
    assert [each.outcome for each in found[2:]] == ["wrong", "wrong", "invalid", "invalid"]
    assert all(each.passed < 4 and each.detail for each in found)


def test_a_wrong_answer_that_also_hangs_is_wrong(verifier):
    (found,) = judged(
        verifier, ["def square(x):\n    while x == 3:\n        pass\n    return 7\n"], tests=[TESTS[1], TESTS[2]]
    )
    assert said([found]) == [("wrong", 0, 2)]


def test_a_property_test_draws_the_same_inputs_each_time(verifier):
    """A function that is wrong for one input in fifty: whether it is caught hangs on what is drawn."""
    drawn = "for _ in range(20):\n    x = random.randrange(50)\n    assert square(x) == reference(x), x"
    reference = "def reference(x):\n    return x ** 2\n"
    rare = "def square(x):\n    return x * x + (x == {})\n"
    answers = [rare.format(x) for x in range(50)]
    first = judged(verifier, [SQUARE, *answers], tests=[drawn], entry_point="square", preamble=reference)
    assert first[0].outcome == "passed"
    import random

    random.seed(0)
    caught = {random.randrange(50) for _ in range(20)}
    assert [each.outcome for each in first[1:]] == ["wrong" if x in caught else "passed" for x in range(50)]


def test_mbpp_names_its_function_only_in_its_tests(verifier):
    found = judged(
        verifier,
        ["import math\ndef area(r):\n    return math.pi * r * r\n", "def area(r):\n    return r\n"],
        prompt="Write a function to find the area of a circle.",
        test_list=["assert isclose(area(1), 3.14159, rel_tol=1e-5)", "assert isclose(area(0), 0)"],
        test_setup_code="",
        test_imports=["from math import isclose"],
    )
    assert said(found) == [("passed", 2, 2), ("wrong", 1, 2)]


HUMANEVAL = """
METADATA = {"author": "me"}

def check(candidate):
    assert True, "good for debugging"
    numbers = [1, 2, 3]
    assert candidate(numbers) == 6
    assert candidate([]) == 0, "empty"
    import math
    for x in range(3):
        assert candidate([x, twice(x)]) == math.prod([3, x])
"""
PROMPT = 'def twice(x):\n    return 2 * x\n\n\ndef total(numbers):\n    """Sum."""\n'


def test_humaneval_is_split_into_its_asserts_and_sees_the_prompts_helpers(verifier):
    answers = ["    return sum(numbers)\n", "    return 6\n", "    return len(numbers) * 2\n"]
    found = judged(verifier, answers, PROMPT, test=HUMANEVAL, entry_point="total")
    assert said(found) == [("passed", 3, 3), ("wrong", 1, 3), ("wrong", 2, 3)]


def test_check_is_split_by_statements():
    preamble, tests = split_check(HUMANEVAL)
    assert preamble == "METADATA = {'author': 'me'}\n"
    assert [test.count("\n") for test in tests] == [1, 0, 2]
    assert tests[0].startswith("numbers = [1, 2, 3]\nassert candidate(numbers) == 6")


def test_programs_are_judged_by_what_they_print(verifier):
    echo = "import sys\nfor line in sys.stdin:\n    print(int(line) * 2, ' ')\n"
    crash = "print(int(input()) * 2); int(input())\nprint(5)"
    endless = "print(input())\nwhile True: pass"
    columns = {"inputs": ["1\n", "2\n-3\n"], "outputs": ["2\n", "4\n-6"]}
    found = judged(verifier, [f"```python\n{echo}```", crash, endless, "print(2)", "print("], **columns)
    assert said(found) == [("passed", 2, 2), ("wrong", 0, 2), ("timeout", 0, 2), ("wrong", 1, 2), ("invalid", 0, 2)]
    assert "EOFError" in found[1].detail
    assert found[3].detail == "input 2: expected '4\\n-6', got '2'"


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("1\n2\n", "1  \n2", True),
        ("1", "1\n\n\n", True),
        ("a b", "a  b", False),
        ("1\n2", "1\n\n2", False),
        ("", "\n", True),
    ],
)
def test_blanks_at_the_ends_do_not_count(expected, got, same):
    assert same_output(expected, got) is same


def test_rows_of_several_forms_are_judged_together(verifier):
    found = verifier.verdicts(
        ["", "", PROMPT],
        [SQUARE, "print(1)", "    return sum(numbers)"],
        tests=[TESTS, None, None],
        inputs=[None, [""], None],
        outputs=[None, ["1"], None],
        test=[None, None, HUMANEVAL],
        entry_point=[None, None, "total"],
        something_else=[1, 2, 3],
    )
    assert said(found) == [("passed", 4, 4), ("passed", 1, 1), ("passed", 3, 3)]


def test_a_verdict_is_reached_again_from_its_record(verifier):
    for old in judged(verifier, [SQUARE, CUBE, "no"], tests=TESTS):
        record = old.record
        again = CodeVerifier.of_record(record)
        assert again.limits == SHORT
        columns = {name: [value] for name, value in record["columns"].items()}
        (new,) = again.verdicts([record["prompt"]], [record["completion"]], **columns)
        assert new == old


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "no tests"),
        ({"tests": []}, "empty"),
        ({"tests": "assert f(1)"}, "no list"),
        ({"tests": ["assert 1 == 1"]}, "entry_point"),
        ({"tests": ["assert f(1"]}, "no Python"),
        ({"test": HUMANEVAL}, "entry_point"),
        ({"test": "x = 1", "entry_point": "f"}, "no function check"),
        ({"test": "def check(candidate):\n    assert True", "entry_point": "f"}, "asserts nothing"),
        ({"inputs": ["a"], "outputs": ["a", "b"]}, "1 inputs and 2 outputs"),
    ],
)
def test_what_is_wrong_with_a_task_is_said_with_its_row(verifier, row, message):
    with pytest.raises(UserError, match=message):
        judged(verifier, [SQUARE], **row)
    with pytest.raises(UserError, match="task 7"):
        task_of(row, "task 7")


def test_the_function_under_test_is_the_one_that_nobody_else_defines():
    assert called(("assert sorted(f(1)) == g(2)", "assert g(f(3))")) == "f"
    assert called(("assert g(f(3))",), "def g(x):\n    return x\n") == "f"
    assert called(("assert isclose(f(3), 1)",), "from math import isclose\n") == "f"
    assert called(("assert f(1)", "assert g(1)")) is None


class Broken:
    """A sandbox whose processes cannot be started."""

    def run(self, jobs):
        raise VerifierFailure("no bubblewrap")


def test_a_sandbox_that_fails_stops_training_and_keeps_the_batch(tmp_path):
    reward = VerifierReward(CodeVerifier(Broken()))  # type: ignore[arg-type]
    scorer = Scorer([WeightedReward(reward)], failures=tmp_path)
    with pytest.raises(RewardFailure, match=r"reward 'code' raised VerifierFailure: no bubblewrap.*saved in"):
        scorer.score(["", ""], [SQUARE, CUBE], tests=[TESTS, TESTS])
    (saved,) = tmp_path.glob("code-*.jsonl")
    assert saved.read_text().count("\n") == 2


def test_as_a_reward_it_gives_one_nothing_or_the_share(verifier, tmp_path):
    rewards = [
        WeightedReward(VerifierReward(verifier)),
        WeightedReward(VerifierReward(verifier, partial=True), name="share"),
    ]
    scores = Scorer(rewards, failures=tmp_path).score([""] * 3, [SQUARE, CUBE, "no"], tests=[TESTS] * 3)
    assert scores.components.tolist() == [[1, 0, 0], [1, 0.5, 0]]
