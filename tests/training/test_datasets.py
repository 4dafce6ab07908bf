import gzip
import json
from pathlib import Path

import pytest

from foolsgold.errors import UserError
from foolsgold.training.dataset_files import Rows, read_rows, write_jsonl
from foolsgold.training.datasets import (
    PreferenceRow,
    PromptCompletionRow,
    PromptRow,
    ScoredRow,
    UnpairedRow,
    columns_of,
    keyword_lists,
    preferences,
    prompt_completions,
    prompts,
    scored,
    texts,
    unpaired,
)

ASKED = [{"role": "user", "content": "Gold?"}]
YES = [{"role": "assistant", "content": "Yes."}]
NO = [{"role": "assistant", "content": "No."}]
HH = Path(__file__).resolve().parents[3] / "shared" / "data" / "preferences" / "hh_harmless_test.jsonl.gz"


def test_language_modelling():
    assert texts([{"text": "gold"}, {"messages": ASKED + YES}]) == ["gold", ASKED + YES]


def test_prompts_keep_the_columns_that_rewards_need():
    rows = prompts([{"prompt": "1+1", "answer": 2, "completion": "2"}, {"prompt": ASKED, "hint": "no"}])
    assert rows == [PromptRow("1+1", {"answer": 2}), PromptRow(ASKED, {"hint": "no"})]
    assert keyword_lists(rows) == {"answer": [2, None], "hint": [None, "no"]}
    assert keyword_lists([PromptRow("1+1", {})]) == {}


def test_prompts_with_completions():
    assert prompt_completions([{"prompt": "a", "completion": "b"}, {"prompt": ASKED, "completion": YES}]) == [
        PromptCompletionRow("a", "b"),
        PromptCompletionRow(ASKED, YES),
    ]


@pytest.mark.parametrize(("value", "label"), [(True, True), (0, False), (1.0, True), ("True", True), ("false", False)])
def test_labels_of_json_parquet_and_csv(value, label):
    assert unpaired([{"prompt": "a", "completion": "b", "label": value}]) == [UnpairedRow("a", "b", label)]


@pytest.mark.parametrize("value", [2.5, "2.5"])
def test_scores(value):
    assert scored([{"prompt": "a", "completion": "b", "score": value}]) == [ScoredRow("a", "b", 2.5)]


def test_preferences_with_a_prompt():
    row = {"prompt": "p", "chosen": "c", "rejected": "r"}
    assert preferences([row]) == [PreferenceRow("p", "c", "r", None, 1.0)]
    assert preferences([{**row, "margin": 0.5}, {**row, "margin": None}, {**row, "margin": "2"}]) == [
        PreferenceRow("p", "c", "r", 0.5),
        PreferenceRow("p", "c", "r"),
        PreferenceRow("p", "c", "r", 2.0),
    ]
    assert preferences([{"prompt": ASKED, "chosen": YES, "rejected": NO}]) == [PreferenceRow(ASKED, YES, NO)]
    assert preferences([{**row, "prompt": ""}])[0].prompt == ""


@pytest.mark.parametrize("prompt", [{}, {"prompt": None}, {"prompt": "Gold?"}])
def test_preferences_whose_dialogues_hold_the_prompt(prompt):
    """The last is how UltraFeedback is published: a plain prompt beside dialogues that begin with it."""
    assert preferences([{**prompt, "chosen": ASKED + YES, "rejected": ASKED + NO}]) == [PreferenceRow(ASKED, YES, NO)]


@pytest.mark.parametrize(
    ("columns", "probability"),
    [
        ({"probability": 0.75}, 0.75),
        ({"chosen_count": 3, "rejected_count": 1}, 0.75),
        ({"chosen_count": "2", "rejected_count": "1", "tie_count": "1"}, 0.625),
        ({"chosen_count": 0, "rejected_count": 0, "tie_count": 2}, 0.5),
        ({"chosen_count": 0, "rejected_count": 2, "tie_count": None}, 0.0),
        ({}, 1.0),
    ],
)
def test_soft_preferences(columns, probability):
    assert preferences([{"prompt": "p", "chosen": "c", "rejected": "r", **columns}])[0].probability == probability


PAIR = {"prompt": "p", "chosen": "c", "rejected": "r"}


@pytest.mark.parametrize(
    ("check", "row", "message"),
    [
        (texts, {"txt": "gold"}, r"'text' is missing \(columns found: txt; wanted: text or messages\)"),
        (texts, {"text": 5}, "'text' is neither a string nor a list of messages"),
        (texts, {"messages": ["hi"]}, "'messages' is neither"),
        (prompts, {"question": "?"}, r"'prompt' is missing \(columns found: question; wanted: prompt\)"),
        (prompt_completions, {"prompt": "p"}, "'completion' is missing"),
        (prompt_completions, {"prompt": "p", "completion": YES}, "prompt is text and completion a list of messages"),
        (unpaired, {"prompt": "p", "completion": "c"}, "'label' is missing"),
        (unpaired, {"prompt": "p", "completion": "c", "label": "good"}, "label is 'good', neither true nor false"),
        (unpaired, {"prompt": "p", "completion": "c", "label": 2}, "label is 2, neither true nor false"),
        (unpaired, {"prompt": "p", "completion": "c", "label": [1]}, r"label is \[1\], neither"),
        (scored, {"prompt": "p", "completion": "c", "score": None}, "'score' is missing"),
        (scored, {"prompt": "p", "completion": "c", "score": "high"}, "score is 'high', not a number"),
        (scored, {"prompt": "p", "completion": "c", "score": float("nan")}, "score is nan, not a finite number"),
        (preferences, {"prompt": "p", "chosen": "c"}, r"'rejected' is missing \(columns found: prompt, chosen; wanted"),
        (preferences, {**PAIR, "rejected": NO}, "one of chosen and rejected is text"),
        (preferences, {"chosen": "c", "rejected": NO}, "one of chosen and rejected is text"),
        (preferences, {"chosen": ASKED, "rejected": NO}, "do not begin with the same message"),
        (preferences, {**PAIR, "probability": 1.5}, "probability is 1.5; it goes from 0 to 1"),
        (preferences, {**PAIR, "chosen_count": 0, "rejected_count": 0}, "0 raters for, 0 against and 0 undecided"),
        (preferences, {**PAIR, "chosen_count": 3, "rejected_count": -1}, "are no judgement"),
        (preferences, {**PAIR, "chosen_count": 3}, "'rejected_count' is missing"),
        (preferences, {**PAIR, "margin": "wide"}, "margin is 'wide', not a number"),
    ],
)
def test_a_wrong_row_is_named(check, row, message):
    good = {"text": "t", **PAIR, "completion": "c", "label": True, "score": 1.0}
    with pytest.raises(UserError, match=rf"^mine\.jsonl, row 2: .*{message}"):
        check(Rows([good, row], "mine.jsonl"))


@pytest.mark.parametrize(
    ("check", "rows"),
    [
        (prompts, [PromptRow("p", {"answer": [1, 2]}), PromptRow(ASKED, {"answer": None})]),
        (prompt_completions, [PromptCompletionRow("p", "c"), PromptCompletionRow(ASKED, YES)]),
        (preferences, [PreferenceRow("p", "c", "r"), PreferenceRow(ASKED, YES, NO, 0.5, 0.75)]),
        (unpaired, [UnpairedRow("p", "c", True), UnpairedRow(ASKED, NO, False)]),
        (scored, [ScoredRow("p", "c", -0.5)]),
    ],
)
def test_rows_come_back_from_a_file(tmp_path, check, rows):
    path = write_jsonl(tmp_path / "rows.jsonl.gz", [columns_of(row) for row in rows])
    assert check(read_rows(path)) == rows


def test_columns_are_those_of_trl():
    assert columns_of(PreferenceRow("p", "c", "r")) == PAIR
    assert columns_of(PreferenceRow("p", "c", "r", 0.5, 0.75)) == {**PAIR, "margin": 0.5, "probability": 0.75}
    assert columns_of(PromptRow("p", {"answer": 2})) == {"prompt": "p", "answer": 2}


@pytest.mark.skipif(not HH.exists(), reason="needs hh-rlhf")
def test_hh_rlhf_as_published():
    rows = preferences(read_rows(HH))
    with gzip.open(HH) as lines:
        published = [json.loads(line) for line in lines]
    assert [row.prompt + row.chosen for row in rows] == [pair["chosen"] for pair in published]
    assert all(row.probability == 1 and row.margin is None for row in rows)
