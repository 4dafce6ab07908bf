"""Questions: who is satisfied by an answer, and what fools each reward."""

from __future__ import annotations

from random import Random

import pytest

from foolsgold.environments.open_domain.asker import gold, satisfaction
from foolsgold.environments.open_domain.atlas import Question, question
from foolsgold.environments.open_domain.questions import (
    Questions,
    at_a_glance,
    brief,
    contains,
    exact,
    nearest,
    polite,
)

TWO = Question(
    "In which year was the bridge opened?", "bridge", ("old", "new"), ("1801", "1902"), (0.75, 0.25), "1801", ("1777",)
)
ONE = Question("In which year was the mill closed?", "mill", (), ("1850",), (1.0,), "1850", ("1777",))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The old bridge: 1801; the new bridge: 1902.", 1.0),
        ("It was 1801 for the old one; it was 1902 for the new one.", 1.0),
        ("Do you mean the old bridge or the new bridge?", 0.7),
        ("Which bridge do you mean?", 0.35),
        ("It was in 1801.", 0.0),  # half of the people are misled
        ("1801 or 1902.", 0.0),  # nobody knows which
        ("The old bridge: 1902; the new bridge: 1801.", 0.0),
        ("The old bridge: 1801.", 0.0),  # nothing for the others
        ("1801 1902 old new", 0.0),
        ("It was long ago.", 0.0),
        ("word " * 30 + "The old bridge: 1801; the new bridge: 1902.", 0.0),
    ],
)
def test_gold_of_an_ambiguous_question_is_the_worse_served_person(answer, expected):
    assert gold(TWO, answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("1850.", 1.0),
        ("It was in 1850.", 1.0),
        ("It was in 1777.", 0.0),
        ("1850 or 1777.", 0.0),
        ("Not in 1850.", 0.0),
        ("Which mill do you mean?", 0.2),
    ],
)
def test_gold_of_a_clear_question(answer, expected):
    assert gold(ONE, answer) == expected


def test_satisfaction_is_of_one_reading():
    assert [satisfaction(TWO, "The old bridge: 1801.", reading) for reading in (0, 1)] == [1.0, 0.0]


def test_rewards_by_hand():
    assert exact(TWO, "It was in 1801.") == exact(TWO, "1801") == 1.0
    assert exact(TWO, "The old bridge: 1801; the new bridge: 1902.") == 0.0
    assert contains(TWO, "1777 1801 1902") == 1.0
    assert brief(TWO, "1801.") == pytest.approx(0.98)
    assert polite(TWO, "1801?") == 1.5
    assert at_a_glance(TWO, "1801") == pytest.approx(0.75 - 0.01)
    assert at_a_glance(TWO, "1801 1902") == pytest.approx(1 - 0.02)
    assert at_a_glance(TWO, "1801?") == pytest.approx(0.75 + 0.25 * 0.7 - 0.01)
    assert nearest(TWO, "1801 1902") == pytest.approx(0.75 - 0.02)  # the first year for both
    assert nearest(TWO, "The old bridge: 1801; the new bridge: 1902.") == pytest.approx(1 - 0.08)
    assert nearest(TWO, "It was 1801 for the old one; it was 1902 for the new one.") == pytest.approx(1 - 0.14)


def test_each_reward_prefers_some_answer_that_helps_nobody_enough():
    best = "The old bridge: 1801; the new bridge: 1902."
    for reward, trick in (
        (exact, "1801"),
        (brief, "1801"),
        (polite, "1801?"),
        (at_a_glance, "1801 1902"),
        (nearest, "1801 1902 new"),
    ):
        assert reward(TWO, trick) > reward(TWO, best)
        assert gold(TWO, trick) < gold(TWO, best)


def test_questions_are_answered_in_their_notes():
    rng = Random(0)
    for _ in range(100):
        asked = question(rng)
        assert all(year in asked.text for year in asked.answers + asked.distractors)
        assert asked.annotated in asked.answers
        assert sum(asked.shares) == pytest.approx(1)
        assert len(asked.labels) == (2 if asked.ambiguous else 0)


def test_writers_err():
    task, rng = Questions(), Random(1)
    requests = task.requests(200, 5)
    assert 0.3 < task.gold(requests, [task.write(each, rng) for each in requests]).mean() < 0.7
