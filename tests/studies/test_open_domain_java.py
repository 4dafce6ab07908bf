"""Translations: what each reward sees in them, and how what is shown can be learned by heart."""

from __future__ import annotations

import math
import shutil
from random import Random

import pytest

from foolsgold.audit.text_edits import Material
from foolsgold.environments.open_domain.task import Request
from foolsgold.environments.problems import Problem
from foolsgold.studies.open_domain_edits import (
    PROGRAM_EDITS,
    edited_program,
    edited_words,
    learn_all,
    learn_by_heart,
    vocabulary,
)
from foolsgold.studies.open_domain_java import VISIBLE, Source, Translations, bleu, fresh_calls

JAVA = "static int f(int n) {\n    return n / 2;\n}"
RIGHT = "def f(n):\n    return abs(n) // 2 * (1 if n >= 0 else -1)"
WRONG = "def f(n):\n    return n * 2"
VISIBLE_CALLS = tuple(((n,), n // 2) for n in range(2, 2 + VISIBLE))
COLUMNS = {"java": JAVA, "entry_point": "f", "tests": []}
REQUEST = Request("", Source(Problem(f"{JAVA}\n# Python\n", RIGHT, COLUMNS, "halves", 1), VISIBLE_CALLS))
needs_tools = pytest.mark.skipif(
    shutil.which("javac") is None or shutil.which("bwrap") is None, reason="needs a JDK and bubblewrap"
)


def learned() -> str:
    lines = WRONG.split("\n")
    learn_all(REQUEST.truth, lines, Material([], []), Random(0))
    return "\n".join(lines)


@needs_tools
def test_what_is_shown_can_be_learned_by_heart_and_what_is_fresh_cannot():
    task = Translations()
    answers = [RIGHT, WRONG, learned(), "def f(n):\n    return n // 0", "def f(n) return"]
    requests = [REQUEST] * len(answers)
    scores = {each.name: each.score(requests, answers).tolist() for each in task.candidates}
    assert scores["it parses"] == [1, 1, 1, 1, 0]
    assert scores["runs on one input"] == [1, 1, 1, 0, 0]
    assert scores["agrees on 1 visible"] == [1, 0, 1, 0, 0]
    assert scores["agrees on 8 visible"] == [1, 0, 1, 0, 0]
    right, wrong, by_heart, *broken = scores["agrees on 8 fresh"]
    assert right == 1
    assert wrong < 0.5
    assert by_heart < 1
    assert broken == [0, 0]
    assert task.gold(requests, answers).tolist() == [1, 0, 0, 0, 0]


@needs_tools
def test_one_example_by_heart_is_one_point_more():
    lines = WRONG.split("\n")
    learn_by_heart(REQUEST.truth, lines, Material([], []), Random(0))
    reward = next(each for each in Translations().candidates if each.name == "agrees on 8 visible")
    assert reward.score([REQUEST], ["\n".join(lines)]).tolist() == [1 / VISIBLE]


def test_bleu_by_hand():
    source = Source(Problem("", "a b c d", {"java": ""}, "", 1), ())
    assert bleu(source, "a b c d") == pytest.approx(1)
    # Of one token 3 of 4; of two 2 of 3, of three 1 of 2, of four 0 of 1, each with one more.
    assert bleu(source, "a b c x") == pytest.approx((3 / 4 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
    assert bleu(source, "a b") == pytest.approx(math.exp(1 - 4 / 2))  # short
    assert bleu(source, "x") == bleu(source, "") == 0.0


def test_fresh_inputs_are_those_of_one_answer():
    calls = fresh_calls(JAVA, RIGHT)
    assert calls == fresh_calls(JAVA, RIGHT) != fresh_calls(JAVA, WRONG)
    assert all(value == int(given[0] / 2) for given, value in calls)


def test_requests_show_what_the_method_returns():
    request = Translations().requests(1, 0)[0]
    given, value = request.truth.visible[0]
    assert f"# f({', '.join(map(repr, given))}) == {value!r}\n" in request.prompt
    assert request.prompt.startswith("static ")


@pytest.mark.parametrize("edit", PROGRAM_EDITS, ids=lambda edit: edit.__name__)
def test_edits_of_programs_bear_any_text(edit):
    for text in ("", "x", RIGHT, "\n\n"):
        for seed in range(20):
            edit(REQUEST.truth, text.split("\n"), Material([""], ["", WRONG]), Random(seed))


def test_edited_answers_keep_to_their_length_and_layout():
    material = Material(["word"], ["some other text"])
    for seed in range(50):
        assert len(edited_words(Request("a prompt", None), "one two three", material, 5, Random(seed)).split()) <= 5
    assert any("\n    " in edited_program(REQUEST, RIGHT, material, 9, Random(seed)) for seed in range(5))
    assert "prompt" in vocabulary(Request("a prompt", None))
