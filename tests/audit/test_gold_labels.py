import csv
import json

import numpy as np
import pytest

from foolsgold.audit.gold_labels import (
    Draw,
    Label,
    Pool,
    draw_labels,
    read_labels,
    text_key,
    with_labels,
    write_requests,
)
from foolsgold.errors import UserError

PROXY = np.array([[3.0, 1.0, 2.0], [5.0, 4.0, 4.0]])
POOL = Pool(["Sum?", "Joke?"], [["four", "five", "six"], ["ha", "ho", "ho"]], PROXY, "start")
CHANCE = np.array([[0.8, 0.2, 0.5], [1.0, 0.4, 0.4]])
CHOSEN = np.array([[True, False, True], [True, True, False]])
DRAW = Draw(POOL, CHANCE, CHOSEN)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answered(path, gold):
    """The file with gold from a dict of completions; what is not in it stays null."""
    return write_rows(path, [{**row, "gold": gold.get(row["completion"])} for row in rows_of(path)])


def test_requests_hold_what_a_judge_needs_and_not_the_proxy(tmp_path):
    rows = rows_of(write_requests(tmp_path / "new" / "labels.jsonl", [DRAW]))
    assert {(row["prompt"], row["completion"], row["chance"]) for row in rows} == {
        ("Sum?", "four", 0.8),
        ("Sum?", "six", 0.5),
        ("Joke?", "ha", 1.0),
        ("Joke?", "ho", 0.4),
    }
    assert all(row.keys() == {"prompt", "completion", "gold", "chance", "copies", "asked", "id"} for row in rows)
    assert all((row["gold"], row["copies"], row["asked"]) == (None, 1, 4) for row in rows)
    assert "start" not in (tmp_path / "new" / "labels.jsonl").read_text()


def test_order_tells_nothing_and_repeats_with_its_seed(tmp_path):
    pool = Pool(["p"], [[f"text {i}" for i in range(200)]], np.arange(200.0)[None])
    draw = draw_labels(pool, 100)
    orders = []
    for seed in (0, 0, 1):
        orders.append([row["completion"] for row in rows_of(write_requests(tmp_path / "r.jsonl", [draw], seed))])
    assert orders[0] == orders[1] != orders[2]
    # Of 100 in random order, the correlation of place and proxy is 0 give or take 0.1.
    proxy = [int(text.split()[1]) for text in orders[0]]
    assert abs(np.corrcoef(proxy, np.arange(100))[0, 1]) < 0.3


def test_labels_come_back_to_their_places(tmp_path):
    path = write_requests(tmp_path / "labels.jsonl", [DRAW])
    found = with_labels(POOL, read_labels(answered(path, {"four": 4, "six": 6.5, "ha": -1, "ho": 0})))
    # One of the two "ho" was drawn; they are alike in all, so that it does not matter which.
    np.testing.assert_array_equal(found.samples.gold, [[4, np.nan, 6.5], [-1, 0, np.nan]])
    np.testing.assert_allclose(found.samples.chance[CHOSEN], CHANCE[CHOSEN])
    assert found.samples.texts == POOL.texts
    assert (found.unmatched, found.unanswered) == (frozenset(), 0)


def test_a_text_drawn_twice_is_asked_for_once(tmp_path):
    draw = Draw(POOL, CHANCE, np.array([[True, False, False], [False, True, True]]))
    path = write_requests(tmp_path / "labels.jsonl", [draw])
    assert {row["completion"]: (row["copies"], row["asked"]) for row in rows_of(path)} == {"four": (1, 3), "ho": (2, 3)}
    found = with_labels(POOL, read_labels(answered(path, {"four": 4, "ho": 7})))
    np.testing.assert_array_equal(found.samples.gold, [[4, np.nan, np.nan], [np.nan, 7, 7]])


@pytest.mark.parametrize("dropped", [False, True])
def test_chances_shrink_by_the_share_that_was_judged(tmp_path, dropped):
    # 3 of 4 are judged: had the fourth been asked for and answered by chance too, chances were 3/4 of the drawn ones.
    path = answered(write_requests(tmp_path / "labels.jsonl", [DRAW]), {"four": 4, "six": 6, "ha": 1})
    if dropped:
        write_rows(path, [row for row in rows_of(path) if row["gold"] is not None])
    found = with_labels(POOL, read_labels(path))
    np.testing.assert_allclose(found.samples.chance[0, [0, 2]], [0.6, 0.375])
    assert found.samples.chance[1, 0] == pytest.approx(0.75)
    assert found.unanswered == 1


def test_estimates_stay_true_where_judges_pass_over_some():
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(8, 16))
    gold = proxy + rng.normal(size=proxy.shape) + 5
    pool = Pool([f"p{p}" for p in range(8)], [[str(gold[p, i]) for i in range(16)] for p in range(8)], proxy)

    means = []
    for seed in range(400):
        draw = draw_labels(pool, 40, seed=seed)
        labels = {
            pool.ids()[p][i]: Label(gold[p, i] if rng.random() < 0.7 else None, draw.chance[p, i], 1, 40)
            for p, i in np.argwhere(draw.chosen)
        }
        means.append(with_labels(pool, labels).samples.gold_estimate.mean())
    assert np.mean(means) == pytest.approx(gold.mean(), abs=4 * np.std(means) / 400**0.5)


def test_judges_of_one_text_are_averaged(tmp_path):
    rows = [{"prompt": "p", "completion": "c", "gold": gold} for gold in (1, None, 4)]
    assert read_labels(write_rows(tmp_path / "l.jsonl", rows)) == {text_key("p", "c"): Label(2.5)}


def test_pools_with_the_same_text_share_a_file(tmp_path):
    later = Pool(POOL.prompts, POOL.texts, PROXY + 1, "step 100")
    path = write_requests(tmp_path / "l.jsonl", [DRAW, Draw(later, CHANCE / 2, ~CHOSEN)])
    labels = read_labels(answered(path, {"four": 4, "five": 5, "six": 6, "ha": 1, "ho": 0}))
    start, end = with_labels(POOL, labels), with_labels(later, labels)
    assert start.samples.labelled.sum() == 4
    assert end.samples.labelled.sum() == 2
    assert end.samples.chance[0, 1] == pytest.approx(0.1)
    assert not start.unmatched & end.unmatched
    with pytest.raises(UserError, match="names that differ"):
        write_requests(tmp_path / "l.jsonl", [DRAW, DRAW])


def test_repeated_prompts_keep_their_samples_apart(tmp_path):
    pool = Pool(["p", "p"], [["a"], ["a"]], np.array([[1.0], [2.0]]))
    draw = Draw(pool, np.array([[0.5], [0.5]]), np.array([[False], [True]]))
    path = answered(write_requests(tmp_path / "l.jsonl", [draw]), {"a": 3})
    np.testing.assert_array_equal(with_labels(pool, read_labels(path)).samples.gold, [[np.nan], [3]])


def test_labels_that_people_chose_have_no_chances(tmp_path):
    rows = [
        {"prompt": "Joke?", "completion": "ho", "gold": 2, "id": "mine"},
        {"prompt": "Joke?", "completion": "hi", "gold": 9, "id": "mine too"},
    ]
    found = with_labels(POOL, read_labels(write_rows(tmp_path / "l.jsonl", rows)))
    assert found.samples.chance is None
    np.testing.assert_array_equal(found.samples.gold[1], [np.nan, 2, 2])
    assert found.unmatched == {text_key("Joke?", "hi")}


def test_chats_and_tables_do_as_well(tmp_path):
    chat = [{"role": "user", "content": "Hi"}]
    pool = Pool([chat], [["a", "b"]], np.array([[1.0, 2.0]]))
    path = answered(write_requests(tmp_path / "l.jsonl", [draw_labels(pool, 2)]), {"a": 1, "b": 2})
    assert with_labels(pool, read_labels(path)).samples.gold.tolist() == [[1, 2]]

    rows = rows_of(write_requests(tmp_path / "l.jsonl", [DRAW]))
    with (tmp_path / "l.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows({**row, "gold": "7" if row["completion"] == "ha" else ""} for row in rows)
    found = with_labels(POOL, read_labels(tmp_path / "l.csv"))
    assert (found.samples.gold[1, 0], found.unanswered) == (7, 3)


GOOD = {"prompt": "p", "completion": "c", "gold": 1}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"prompt": "p", "completion": "c", "gold": "good"}, "row 2: gold is 'good'"),
        ({"prompt": "p", "completion": "c", "gold": float("nan")}, "row 2: gold is 'nan'"),
        ({"prompt": "p", "completion": "c", "gold": 10**400}, "row 2: gold"),
        ({"prompt": "p", "completion": "c", "gold": 1, "chance": 1.5}, "row 2: chance is 1.5"),
        ({"prompt": "p", "completion": "c", "gold": 1, "chance": 0}, "row 2: chance is 0"),
        ({"prompt": "p", "completion": "c", "gold": 1, "copies": 0.5}, "row 2: copies is 0.5"),
        ({"prompt": "p", "gold": 1}, 'row 2 has no "prompt" and "completion"'),
        ({"prompt": "p", "completion": "c", "gold": 1, "chance": 0.5}, "row 2: an earlier row has this text"),
    ],
)
def test_broken_rows_are_named(tmp_path, bad, message):
    with pytest.raises(UserError, match=message):
        read_labels(write_rows(tmp_path / "l.jsonl", [GOOD, bad]))


def test_says_what_cannot_be_used(tmp_path):
    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps(GOOD) + "\n{broken\n")
    with pytest.raises(UserError, match="line 2"):
        read_labels(path)
    with pytest.raises(UserError, match="no file"):
        read_labels(tmp_path / "missing.jsonl")
    with pytest.raises(UserError, match="have some judged first"):
        read_labels(write_requests(path, [DRAW]))
    with pytest.raises(UserError, match="none of the 1 judged texts is a sample of start"):
        with_labels(POOL, read_labels(write_rows(path, [GOOD])))
    with pytest.raises(UserError, match="nothing to judge"):
        write_requests(path, [Draw(POOL, CHANCE, ~CHOSEN & CHOSEN)])
    with pytest.raises(ValueError, match="does not fit"):
        Pool(["p"], [["a"], ["b"]], PROXY)


def test_labels_of_two_draws_do_not_mix(tmp_path):
    rows = rows_of(write_requests(tmp_path / "l.jsonl", [DRAW]))
    own = {"prompt": "Sum?", "completion": "five", "gold": 5}
    path = write_rows(tmp_path / "l.jsonl", [*({**row, "gold": 1} for row in rows), own])
    with pytest.raises(UserError, match="mixed"):
        with_labels(POOL, read_labels(path))
