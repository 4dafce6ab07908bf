"""Standings by hand, and rewards asked once."""

from __future__ import annotations

import numpy as np
import pytest

from foolsgold.audit.standings import Judge, Reference
from foolsgold.errors import UserError
from foolsgold.training.datasets import PromptRow

PROMPTS = [PromptRow("first", {"answer": "a"}), PromptRow([{"role": "user", "content": "second"}], {"answer": "b"})]


def test_standings_are_counted_from_the_mean_of_the_prompt_s_own_samples():
    # Within prompts: deviations -1, 1, -2, 2; their squares add up to 10, with 2 degrees of freedom.
    reference = Reference.of(np.array([[1.0, 3.0], [10.0, 14.0]]), 100, "proxy")
    assert reference.centers.tolist() == [2, 12]
    assert reference.spread == pytest.approx(5**0.5)
    assert reference.level == pytest.approx(2 / 5**0.5)
    assert reference.standings([0, 1, 1], np.array([2.0, 22.0, np.nan])) == pytest.approx(
        [0, 10 / 5**0.5, np.nan], nan_ok=True
    )


def test_unknown_rewards_are_left_out():
    gaps = Reference.of(np.array([[1.0, np.nan, 3.0], [10.0, 14.0, np.nan]]), 50, "gold")
    assert (gaps.centers.tolist(), gaps.spread) == ([2, 12], pytest.approx(5**0.5))


@pytest.mark.parametrize(
    ("rewards", "message"),
    [([[1, 2], [np.nan, 3]], "gold judges 1 samples of prompt 2"), ([[1, 1], [2, 2]], "the same reward")],
)
def test_what_cannot_be_measured_is_said(rewards, message):
    with pytest.raises(UserError, match=message):
        Reference.of(np.array(rewards, float), 50, "gold")


def test_the_same_answer_is_asked_about_once_and_in_batches():
    batches = []

    def length(prompts, completions, answer, **columns):
        batches.append((prompts, completions, answer))
        return [float(len(str(each))) if isinstance(each, str) else None for each in completions]

    judge = Judge(length, PROMPTS, batch=2)
    assert judge([0, 0, 0], ["a", "bb", "a"]).tolist() == [1, 2, 1]
    assert judge([0, 0, 1], ["a", "ccc", "a"]) == pytest.approx([1, 3, np.nan], nan_ok=True)
    assert judge.calls == 4
    assert [len(completions) for _, completions, _ in batches] == [2, 2]
    # To messages, the answer is a message; columns travel with the prompt.
    assert batches[1] == (
        ["first", PROMPTS[1].prompt],
        ["ccc", [{"role": "assistant", "content": "a"}]],
        ["a", "b"],
    )


def test_what_is_known_costs_nothing():
    judge = Judge(lambda prompts, completions, **columns: [7.0] * len(completions), PROMPTS)
    judge.learn([["a", "b"], ["a", "b"]], np.array([[1.0, np.nan], [2.0, 3.0]]))
    assert judge.known([0, 0, 1], ["a", "b", "b"]) == pytest.approx([1, np.nan, 3], nan_ok=True)
    assert judge.affordable([0, 1, 0, 0, 0], ["a", "b", "b", "b", "c"], calls=1) == 4
    assert judge.affordable([0, 1], ["a", "b"], calls=0) == 2
    assert judge([0, 0], ["a", "b"]).tolist() == [1, 7]
    assert judge.calls == 1
