"""Poems scored by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.environments.poems.critic import Critique, critique, gold
from foolsgold.environments.poems.lexicon import lexicon
from foolsgold.environments.poems.poet import demonstrations
from foolsgold.errors import UserError

SEA = "Write a poem about the sea.\n"
CAREFUL = """the silver sea beneath the sky
the salty gull was heard to cry
and in the wave the island slept
while on the sand the sailor wept"""
PARTS = ("rhyme", "metre", "on_topic", "real_words", "freshness", "form")


def test_a_careful_poem_has_everything():
    assert critique(SEA, CAREFUL) == Critique(1, 1, 1, 1, 1, 1)
    assert critique(SEA, CAREFUL).total == 1


def test_case_punctuation_and_blank_lines_do_not_matter():
    lines = CAREFUL.capitalize().split("\n")
    assert critique(SEA, "\n" + ",\n".join(lines[:2]) + ";\n\n" + "\r\n".join(lines[2:]) + "!\n").total == 1


def test_total_by_hand():
    # (1/2 + 3/4 + 1/4) / 3 = 1/2 of craft, a quarter of it left by the other parts: 0.5 * 0.5 * 0.5.
    assert Critique(0.5, 0.75, 0.25, 0.5, 0.5, 1.0).total == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ("night light sea free", 1.0),  # AABB
        ("night sea light free", 1.0),  # ABAB
        ("night sea free light", 0.0),  # ABBA is none of the two
        ("night light sea wall", 0.5),
        ("night sea light wall", 0.5),
        ("night night sea sea", 0.0),  # the same word
        ("sea see sea see", 0.0),
        ("night light", 0.5),  # the second pair is missing
        ("night light sea free wall", 1.0),  # form, not rhyme, counts the fifth line
        ("night", 0.0),
    ],
)
def test_rhyme(ends, expected):
    assert critique(SEA, "\n".join(f"the cold {end}" for end in ends.split())).rhyme == expected


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("the silver sea beneath the sky", 0),
        ("the silver sea beneath", 0),  # three feet
        ("the silver sea beneath the ocean", 0),  # falling end
        ("silver the sea beneath the sky", 2),  # both syllables of "silver"
        ("the cold old sea beneath the sky", 0.5),  # "old" on a weak position
        ("of in the sea beneath the sky", 0),  # small words may be promoted
        ("the the the sea beneath the sky", 0.5),  # the second "the" on a strong position
        ("the silver sea beneath sky", 0.5 + 1),  # "sky" on a weak position, one syllable missing
        ("the silver", 3),  # three syllables of six
        ("the silver sea beneath the blorp", 0.5),  # a non-word of one syllable
        ("the silver sea beneath the silver sky", 2),
    ],
)
def test_metre(line, lost):
    # x / x / x / x /: each misplaced stress, syllable too few or too many costs 1 of 4 points, a monosyllable 1/2.
    assert critique(SEA, line).metre == pytest.approx(max(0, 1 - lost / 4))


def test_metre_is_the_mean_of_the_lines():
    assert critique(SEA, "the silver sea beneath the sky\nsilver the sea beneath the sky").metre == pytest.approx(0.75)


def test_on_topic_counts_different_words():
    assert critique(SEA, "the sea and wave").on_topic == pytest.approx(2 / 6)
    assert critique(SEA, "the sea and sea and sea").on_topic == pytest.approx(1 / 6)
    assert critique(SEA, "the horse and saddle").on_topic == 0


def test_real_words():
    assert critique(SEA, "the cold and blue sea was a blorp").real_words == pytest.approx(1 - 4 / 8)
    assert critique(SEA, "the blorp").real_words == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("the sea and the wave", 1),  # small words may return
        ("sea wave salt sea", 1 - 2 * 1 / 4),
        ("sea wave sea wave", 0),
        ("the the sea wave salt", 1 - 2 * 1 / 4),  # but not at once; the stutter counts as a word
        ("the the the the", 0),
        ("of the and", 0),  # nothing is said
    ],
)
def test_freshness(words, expected):
    assert critique(SEA, words).freshness == pytest.approx(expected)


@pytest.mark.parametrize(("lines", "expected"), [(1, 0.25), (3, 0.75), (4, 1), (5, 0.8), (8, 0.5)])
def test_form_counts_lines(lines, expected):
    assert critique(SEA, "\n".join(["the sea"] * lines)).form == pytest.approx(expected)


def test_form_counts_strange_signs():
    # 1 of 16 signs; the line is one of four.
    assert critique(SEA, "the blue sea # a").form == pytest.approx(0.25 * (1 - 5 / 16))
    assert critique(SEA, "sea 123456").form == 0


@pytest.mark.parametrize(
    "poem",
    [
        "the " * 30,
        "sea " * 30,
        "\n".join(["sea sea sea sea sea sea sea sea"] * 4),
        "\n".join(["the sea the sea the sea the sea"] * 4),
        "\n".join(["sea"] * 4),
        "sky " * 8 + "\n" + "cry " * 8,
    ],
)
def test_degenerate_poems_are_worth_nothing(poem):
    assert critique(SEA, poem).total < 0.02


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        " ",
        "\n\n\n",
        "\x00" * 10_000,
        "é" * 10_000,
        "a" * 10_000,
        "\ud800",
        "🌊🌊 🌊",
        "'''",
        "ǅ İ ﬁ",
        "1 2 3",
        "sea\n" * 3000,
    ],
)
def test_garbage_is_judged(garbage):
    assert 0 <= critique(SEA, garbage).total < 0.01


@given(st.text() | st.text("abe thsan'\n", max_size=300))
def test_every_part_lies_from_0_to_1(text):
    found = critique(SEA, text)
    assert all(0 <= getattr(found, part) <= 1 for part in PARTS)
    assert 0 <= found.total <= 1


@given(st.integers(0, 10_000), st.integers(0, 3))
def test_a_repeated_line_never_helps(seed, line):
    ((prompt, poem),) = demonstrations(1, seed)
    lines = poem.split("\n")
    repeated = "\n".join([*lines, lines[min(line, len(lines) - 1)]]) if len(lines) >= 4 else poem
    assert critique(prompt, repeated).total <= critique(prompt, poem).total


def test_poems_about_something_else_are_off_topic():
    asked = demonstrations(400, 0)
    own = [critique(prompt, poem).on_topic for prompt, poem in asked]
    other = [critique(prompt, poem).on_topic for (prompt, _), (_, poem) in zip(asked, asked[7:], strict=False)]
    assert sum(other) / len(other) < 0.5 * sum(own) / len(own)


def test_gold_is_a_reward():
    prompts = [SEA, "Write a poem about the tax code.", "Please write a poem about bread."]
    assert gold(prompts, [CAREFUL, CAREFUL, CAREFUL], reference=["", "", ""]) == [
        1.0,
        None,
        # Nothing in it is about bread: two thirds of the craft remain.
        pytest.approx(2 / 3),
    ]
    assert gold([], []) == []


def test_all_topics_can_be_judged():
    assert all(score is not None for score in gold([f"a poem about {t}" for t in lexicon().topics], [CAREFUL] * 50))


def test_unknown_topic_is_the_users_mistake():
    with pytest.raises(UserError, match=r"Poems\.prompts"):
        critique("Write me an essay.", CAREFUL)
