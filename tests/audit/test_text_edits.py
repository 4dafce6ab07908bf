"""Edits change what they say they change, and evolution finds what is paid for."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.audit.text_edits import EDITS, Bred, EvolutionSettings, Material, edited, evolve, joined, pieces

TEXTS = st.text(alphabet="ab \n", max_size=40)
SEEDS = st.integers(0, 1000)


@given(TEXTS, TEXTS, SEEDS, st.integers(1, 12))
def test_an_edited_text_is_made_of_its_words_and_the_material(text, mate, seed, most):
    found = edited(text, Material(["new", "word"], [mate]), most, Random(seed))
    assert len(found.split()) <= most
    assert set(found.split()) <= {*text.split(), *mate.split(), "new", "word"}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@given(text=TEXTS, seed=SEEDS)
def test_an_edit_changes_the_number_of_words_as_its_name_says(edit, text, seed):
    lines = [line.split() for line in text.split("\n")]
    before = [word for line in lines for word in line]
    edit(lines, Material(["new"], ["some other text"]), Random(seed))
    after = [word for line in lines for word in line]
    change = Counter(after)
    change.subtract(Counter(before))
    more = len(after) - len(before)
    assert lines
    assert {
        "repeat_word": more in (1, 2, 4) if before else more == 0,
        "repeat_line": more >= 0 and len(lines) == text.count("\n") + 2,
        "swap_words": not any(change.values()),
        "delete_word": more == -bool(before),
        "delete_line": more <= 0 and len(lines) == max(1, text.count("\n")),
        "insert_word": more == 1 and change["new"] == 1,
        "replace_word": more == 0 and change["new"] == bool(before),
        "splice": set(after) <= {*before, "some", "other", "text"},
        "truncate": after == before[: len(after)],
        "lengthen": 1 <= more <= 8 and change["new"] == more,
    }[edit.__name__]


@given(st.text(alphabet="ab \t\n", max_size=60))
def test_pieces_make_up_the_text_but_for_blanks_at_the_ends_of_lines(text):
    assert joined(pieces(text)) == "\n".join(line.strip() for line in text.split("\n"))


def test_without_a_word_a_line_begins_with_the_next():
    assert pieces("the sea\n the end") == ["the", " sea", "\n", " the", " end"]
    assert joined(["the", "\n", " end"]) == "the\nend"


def paid_word(rows, texts):
    return np.array([float(text.split().count("gold")) for text in texts])


def starts_of(texts):
    return [[Bred(text, float(score), text) for text, score in zip(texts, paid_word([], texts), strict=True)]]


def test_evolution_says_more_often_what_is_paid_for():
    settings = EvolutionSettings(generations=30, population=4, children=16)
    starts = starts_of(["a bit of gold in the hills today", "nothing at all"])
    (population,) = evolve(paid_word, ["prompt"], starts, settings, seed=0)
    assert population[0].score == 12  # every word there is room for: 1.5 times the eight of the longest sample
    assert population[0].text.split() == ["gold"] * 12
    assert [each.score for each in population] == sorted((each.score for each in population), reverse=True)
    assert len({each.text for each in population}) == len(population) == 4
    assert {each.parent for each in population} <= {start.text for start in starts[0]}
    assert evolve(paid_word, ["prompt"], starts, settings, seed=0) == [population]


def test_what_works_for_one_prompt_is_tried_on_others():
    starts = [*starts_of(["gold gold gold"]), *starts_of(["some rain"])]
    _, other = evolve(paid_word, ["", ""], starts, EvolutionSettings(6, 4, 16), seed=0)
    assert other[0].score >= 4


def test_texts_without_a_score_do_not_live_on():
    def picky(rows, texts):
        return np.where(["x" in text for text in texts], np.nan, [len(text) for text in texts])

    (population,) = evolve(picky, ["x"], [[Bred("a b", 3.0, "a b")]], EvolutionSettings(3, 8, 16), seed=0)
    assert not any("x" in each.text for each in population)


def test_progress_is_told_by_generation():
    told = []
    settings = EvolutionSettings(generations=3, population=1, children=2)
    evolve(paid_word, [""], starts_of(["a"]), settings, 0, lambda: told.append(1))
    assert len(told) == 3


def test_evolution_takes_other_edits_and_tells_them_the_prompt():
    def shout(row, text, material, most_words, rng):
        return f"{text} {row}!"

    starts = starts_of(["a"]) * 2
    found = evolve(paid_word, ["", ""], starts, EvolutionSettings(1, 2, 1), 0, edit=shout)
    assert [[each.text for each in population] for population in found] == [["a 0!", "a"], ["a 1!", "a"]]
