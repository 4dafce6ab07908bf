"""Answers to problems of mathematics, whose equality is known, and GSM8K with its models' judged solutions."""

import gzip
import json
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.rewards.scoring import RewardFailure, Scorer, WeightedReward
from foolsgold.rewards.verifiers import maths
from foolsgold.rewards.verifiers.maths import MathsVerifier, final_answer, plain_values
from foolsgold.rewards.verifiers.verdict import VerifierFailure, VerifierReward

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "maths"
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def outcome(right: str, completion, seconds: float = 5.0) -> str:
    (verdict,) = MathsVerifier(seconds).verdicts([""], [completion], answer=[right])
    return verdict.outcome


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("4 + 5 = <<4+5=9>>9\n#### 9", "9"),
        ("#### 1\n#### 2\n", "2"),
        ("So \\boxed{\\frac{1}{2}}, as said.", "\\frac{1}{2}"),
        ("\\boxed{1} or rather \\fbox{2}", "2"),
        ("#### 3\nthat is \\boxed{4}", "4"),
        ("He sells 3.\nA: 18", "18"),
        ("The answer is 18. I hope it helps.", "18"),
        ("Work.\n**Answer:** $18$", "18"),
        ("Final answer: \\(x = 2\\)", "x = 2"),
        ("1.5", "1.5"),
        ("  $$\\pi$$ ", "\\pi"),
        ("first one line\nthen another", None),
        ("\\boxed{1", "\\boxed{1"),
        ("", None),
    ],
)
def test_the_final_answer_of_a_solution(text, answer):
    assert final_answer(text) == answer


@given(st.fractions(max_denominator=10**4), st.booleans())
def test_plain_numbers_are_read_exactly(value, dollars):
    text = f"{'$' if dollars else ''}{value.numerator}/{value.denominator}" if value >= 0 else str(value)
    assert plain_values(text) == {round(value, 6)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,234,567", {Fraction(1234567)}),
        ("1{,}234", {Fraction(1234)}),
        ("-$.5", {Fraction(-1, 2)}),
        ("42.", {Fraction(42)}),
        ("25%", {Fraction(25), Fraction(1, 4)}),
        ("25\\%", {Fraction(25), Fraction(1, 4)}),
        ("1,2", set()),
        ("12,34", set()),
        ("1/0", set()),
        (".", set()),
        ("", set()),
        ("1 2", set()),
    ],
)
def test_what_a_plain_number_may_stand_for(text, values):
    assert plain_values(text) == values


@pytest.mark.parametrize(
    ("right", "answer"),
    [
        ("#### 72", "48/2 = 24\n#### 72"),
        ("72", "\\boxed{72.00}"),
        ("1/3", "0.333333"),
        ("50%", "0.5"),
        ("42", "$x = 42$"),
        ("42", "\\boxed{42\\text{ cm}}"),
        ("1000000", "10^6"),
        ("2500", "2.5 \\times 10^3"),
        ("\\frac{1}{2}", "0.5"),
        ("\\sqrt{8}", "\\boxed{2\\sqrt{2}}"),
        ("(x+1)^2", "$x^2+2x+1$"),
        ("\\{1, 2\\}", "\\{2, 1\\}"),
        ("\\text{Evelyn}", "evelyn"),
        ("x \\le 5", "x \\leq 5"),
    ],
)
def test_equal_answers_pass(right, answer):
    assert outcome(right, answer) == "passed"


@pytest.mark.parametrize(
    ("right", "answer"),
    [
        ("42", "-42"),
        ("1/3", "0.33"),
        ("(1, 2)", "(2, 1)"),
        ("p - q", "q - p"),
        ("listen", "silent"),
        ("42", "\\boxed{42, 43}"),
        ("42", "\\boxed{42 or 43}"),
        ("42", "\\boxed{43}, not \\boxed{41}"),
        # A question given back is no answer, though sympy could work it out.
        ("42", "\\boxed{6 \\cdot 7}"),
        ("42", "\\int_0^{42} 1 dx"),
        ("\\frac{\\pi}{4}", "\\int_0^1 \\frac{1}{1+x^2} dx"),
        ("42", "42 = 42"),
    ],
)
def test_other_answers_are_wrong(right, answer):
    assert outcome(right, answer) == "wrong"


@pytest.mark.parametrize("answer", ["I do not\nknow.", "\\boxed{\\frac{}", "\\boxed{" + "1" * 401 + "}", ""])
def test_what_cannot_be_read_is_invalid(answer):
    assert outcome("\\sqrt{2}", answer) == "invalid"


def test_an_answer_that_takes_too_long_takes_its_process_along_and_the_next_one_gets_another():
    nested = "\\boxed{" + "{" * 30 + "42" + "}" * 30 + "}"
    began = time.perf_counter()
    assert outcome("\\sqrt{8}", nested, 0.5) == "timeout"
    assert time.perf_counter() - began < 20
    assert outcome("\\sqrt{8}", "2\\sqrt{2}") == "passed"


def test_it_works_on_other_threads_than_the_first():
    """math-verify's own limits are signals, which only the first thread gets."""
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(outcome("\\sqrt{8}", "\\boxed{2\\sqrt{2}}"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["passed"] * 3


def test_a_comparison_that_crashes_is_no_zero(monkeypatch, tmp_path):
    crashing = [sys.executable, "-c", "print('ready', flush=True); input(); import os; os.abort()"]
    start = subprocess.Popen
    monkeypatch.setattr(maths.subprocess, "Popen", lambda words, **other: start(crashing, **other))
    monkeypatch.setattr(maths, "_worker", maths._Worker)
    with pytest.raises(VerifierFailure, match="exit code"):
        outcome("\\sqrt{8}", "2\\sqrt{2}")
    scorer = Scorer([WeightedReward(VerifierReward(MathsVerifier()))], failures=tmp_path)
    with pytest.raises(RewardFailure, match="VerifierFailure"):
        scorer.score([""], ["2\\sqrt{2}"], answer=["\\sqrt{8}"])
    assert list(tmp_path.glob("maths-*.jsonl"))


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(maths.importlib.util, "find_spec", lambda name: None)
    assert outcome("42", "#### 42") == "passed"  # plain numbers need no packages
    with pytest.raises(UserError, match=r"foolsgold\[verifiers\]"):
        outcome("\\sqrt{8}", "2\\sqrt{2}")
    with pytest.raises(UserError, match="row 1 of the batch has no right answer"):
        MathsVerifier().verdicts([""], ["42"])


def test_a_verdict_is_reached_again_from_its_record():
    (old,) = MathsVerifier(3.0).verdicts(["?"], ["\\boxed{2\\sqrt{2}}"], answer=["\\sqrt{8}"])
    again = MathsVerifier.of_record(old.record)
    assert again.seconds == 3.0
    assert again.verdicts([old.record["prompt"]], [old.record["completion"]], answer=["\\sqrt{8}"]) == [old]
    assert old.record["versions"]["math-verify"]


def read(name: str) -> list[dict]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.skipif(not DATA.exists(), reason="the data of GSM8K is not here")
@pytest.mark.parametrize("split", ["train", "test"])
def test_all_reference_solutions_of_gsm8k_pass(split):
    rows = read(f"gsm8k_{split}.jsonl.gz")
    numbers = [row["answer"].rpartition("#### ")[2] for row in rows]
    verdicts = MathsVerifier().verdicts(numbers, [row["answer"] for row in rows], answer=numbers)
    assert {each.outcome for each in verdicts} == {"passed"}


@pytest.mark.skipif(not DATA.exists(), reason="the data of GSM8K is not here")
@pytest.mark.parametrize("model", MODELS)
def test_solutions_of_models_are_judged_as_their_authors_judged_them(model):
    rows = read("gsm8k_model_solutions.jsonl.gz")
    solutions, right = [row[model]["solution"] for row in rows], [row["ground_truth"] for row in rows]
    verdicts = MathsVerifier().verdicts(solutions, solutions, answer=right)
    assert [each.outcome == "passed" for each in verdicts] == [row[model]["is_correct"] for row in rows]
