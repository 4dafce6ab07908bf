import json
import math

import numpy as np
import pytest

from foolsgold.audit.evidence_tables import read_table
from foolsgold.errors import UserError


@pytest.fixture
def table(tmp_path):
    def write(text, name="table.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_a_table_without_steps_is_the_start(table):
    evidence = read_table(table("prompt,proxy,gold,text\na,1,2,x\nb,3,,y\na,5,6,z\nb,7,true,\n"))
    assert evidence.start.proxy.tolist() == [[1, 5], [3, 7]]
    assert np.array_equal(evidence.start.gold, [[2, 6], [np.nan, 1]], equal_nan=True)
    assert evidence.start.texts == [["x", "z"], ["y", ""]]
    assert evidence.prompts == ["a", "b"]
    assert evidence.run == ()


def test_steps_make_a_run_and_step_0_the_start(table):
    rows = ["prompt,proxy,gold,step,kl"] + [
        f"{p},{s + 1},{s},{s},{'' if s == 0 else s / 5}" for s in (10, 0) for p in "ab"
    ]
    evidence = read_table(table("\n".join(rows)))
    assert [(each.step, each.kl) for each in evidence.run] == [(0, 0.0), (10, 2.0)]
    assert evidence.start is evidence.run[0].samples
    assert evidence.run[1].samples.proxy.tolist() == [[11], [11]]
    assert math.isnan(evidence.run[1].kl_error)


def test_rows_without_a_step_are_the_start_and_step_0(table):
    text = "prompt,proxy,gold,step,kl\nb,1,1,,\na,2,2,,\nb,3,3,,\na,4,4,,\na,5,5,7,1\nb,6,6,7,1\n"
    evidence = read_table(table(text))
    assert evidence.prompts == ["b", "a"]
    assert [each.step for each in evidence.run] == [0, 7]
    assert evidence.start.proxy.tolist() == [[1, 3], [2, 4]]
    assert evidence.run[1].samples.proxy.tolist() == [[6], [5]]


def test_a_start_on_prompts_of_its_own_is_no_checkpoint(table):
    evidence = read_table(table("prompt,proxy,gold,step,kl\nq,1,1,,\na,5,5,7,1\na,5,5,9,2\n"))
    assert [each.step for each in evidence.run] == [7, 9]
    assert len(evidence.start.proxy) == 1


def test_log_ratios_of_samples_are_averaged_with_their_error(table):
    rows = ["prompt,proxy,gold,step,kl", "a,1,1,5,1", "a,1,1,5,3", "b,1,1,5,6", "b,1,1,5,6"]
    (point,) = read_table(table("\n".join(rows))).run
    # Prompts 2 and 6: mean 4, and an error of sqrt(8 / 2).
    assert (point.kl, point.kl_error) == (4, 2)


def test_jsonl_with_dialogues_chances_and_columns(table):
    rows = [
        {
            "prompt": [{"role": "user", "content": q}],
            "proxy": i,
            "gold": g,
            "chance": 0.5,
            "words": w,
            "completion": "t",
        }
        for q, i, g, w in (("a", 0, None, "en"), ("a", 1, 1.5, "de"), ("b", 2, False, "en"), ("b", 3, 0, "en"))
    ]
    path = table("\n".join(map(json.dumps, rows)), "table.jsonl")
    start = read_table(path, columns=["words", "proxy"]).start
    assert start.chance.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert start.columns["words"].tolist() == [["en", "de"], ["en", "en"]]
    assert start.columns["proxy"].dtype == np.float64
    assert start.gold[1].tolist() == [0, 0]


def test_prompts_of_the_same_text_are_told_apart_by_their_ids(table):
    evidence = read_table(table("prompt,prompt_id,proxy,gold\nsea,1,1,1\nsea,2,2,2\nmoon,3,3,3\n"))
    assert evidence.prompts == ["sea", "sea", "moon"]
    assert evidence.start.proxy.tolist() == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt,proxy\na,1\n", "has no column 'gold'; it has prompt, proxy"),
        ("prompt,proxy,gold\na,,1\n", "row 1 has no proxy"),
        ("prompt,proxy,gold\na,1,1\n,1,1\n", "row 2 has no prompt"),
        ("prompt,proxy,gold\na,much,1\n", "row 1: proxy is 'much', which is no number"),
        ("prompt,proxy,gold,step\na,1,1,two\n", "row 1: step is 'two'"),
        (
            "prompt,proxy,gold\na,1,1\nb,1,1\nb,1,1\nc,1,2\n",
            "without a step, prompt 'b' has 2 samples where others have 1",
        ),
        ("prompt,proxy,gold,step,kl\na,1,1,0,\nb,1,1,0,\na,1,1,5,1\n", "at step 5 prompt 'b' is lacking"),
        ("prompt,proxy,gold,step,kl\na,1,1,0,\na,1,1,5,1\nb,1,1,5,1\n", "at step 5 prompt 'b' is new"),
        ("prompt,proxy,gold,step,kl\na,1,1,0,\na,1,1,5,\n", "at step 5 some samples have no kl"),
    ],
)
def test_tables_that_cannot_be(table, text, said):
    with pytest.raises(UserError, match=said):
        read_table(table(text))


def test_a_start_on_as_many_other_prompts_is_not_quoted_with_those_of_the_run(table):
    evidence = read_table(table("prompt,proxy,gold,step,kl\nq,1,1,,\nr,1,2,,\na,5,5,7,1\nb,5,5,7,1\n"))
    assert len(evidence.start.proxy) == len(evidence.run[0].samples.proxy) == 2
    assert evidence.prompts is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt,proxy,gold\na,1,1\na,nan,1\n", "row 2: proxy is 'nan'; it must be a finite number"),
        ("prompt,proxy,gold\na,1,1\na,2,1e999\n", "row 2: gold is '1e999'; it must be a finite number"),
        ("prompt,proxy,gold,step,kl\na,1,1,0,0\na,1,,10,1\n", "at step 10 no sample has gold"),
        ("prompt,proxy,gold,chance\na,1,1,0.5\na,1,,\n", "1 samples have no chance; give it for all or none"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(table, text, said):
    with pytest.raises(UserError, match=said):
        read_table(table(text))
