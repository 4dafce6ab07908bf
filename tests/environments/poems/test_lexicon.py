"""Rhymes and syllables against the `pronouncing` library and by ear; topics and prompts."""

import itertools

import pronouncing
import pytest

from foolsgold.environments.poems.lexicon import asked_topic, lexicon, rhyme, sound, topic_of
from foolsgold.errors import UserError


@pytest.mark.parametrize(
    ("first", "second", "rhymes"),
    [
        ("light", "night", True),
        ("flying", "trying", True),
        ("again", "rain", True),  # either way to say "again"
        ("again", "pen", True),
        ("paperclips", "ships", True),  # secondary stress
        ("love", "move", False),  # to the eye only
        ("light", "light", False),
        ("sea", "see", False),  # the same sound is no rhyme
        ("light", "delight", False),  # the same sound from the consonant on
        ("river", "water", False),
        ("xqz", "qxz", False),
    ],
)
def test_rhyme_by_ear(first, second, rhymes):
    assert rhyme(first, second) is rhymes
    assert rhyme(second, first) is rhymes


def test_rhymes_of_one_syllable_are_those_of_pronouncing():
    def phones(word):
        return pronouncing.phones_for_word(word)

    def part(spoken):
        return "".join(filter(lambda sign: not sign.isdigit(), pronouncing.rhyming_part(spoken)))

    words = [w for w in sorted(lexicon().vocabulary) if len(w) > 3 and phones(w) and sound(w).syllables == 1][::3]
    words = [w for w in words if all(pronouncing.syllable_count(p) == 1 for p in phones(w))]
    assert len(words) > 100
    for a, b in itertools.combinations(words, 2):
        expected = any(part(p) == part(q) and p != q for p in phones(a) for q in phones(b))
        assert rhyme(a, b) == expected, (a, b)


def test_syllables_are_those_of_the_shortest_pronunciation():
    for word in lexicon().vocabulary:
        if spoken := pronouncing.phones_for_word(word):
            assert sound(word).syllables == min(map(pronouncing.syllable_count, spoken)), word


def test_misfit_by_hand():
    # Half-points from a weak and from a strong position on.
    assert sound("silver").misfit == (4, 0)  # two stresses misplaced
    assert sound("beneath").misfit == (0, 4)
    assert sound("memory").misfit == (4, 0)  # its last syllable may be strong or weak
    assert sound("sea").misfit == (1, 0)
    assert sound("the").misfit == (0, 1)
    assert sound("with").misfit == (0, 0)


def test_unknown_words_have_syllables_and_no_rhyme():
    heard = sound("slivvera")
    assert (heard.real, heard.syllables, heard.rhymes) == (False, 3, frozenset())
    assert sound("zzz").syllables == 1


def test_letters_of_the_alphabet_are_no_words():
    assert [letter for letter in "abcdefghijklmnopqrstuvwxyz" if sound(letter).real] == ["a", "i", "o"]


def test_all_words_of_the_vocabulary_are_real():
    vocabulary = lexicon().vocabulary
    assert len(vocabulary) <= 1200
    assert [word for word in vocabulary if not sound(word).real] == []


def test_topics():
    topics = lexicon().topics
    assert 40 <= len(topics) <= 60
    assert topics["paperclips"].held_out
    for topic in topics.values():
        assert 15 <= len({word for group in topic.words.values() for word in group}) <= 30, topic.name
    assert {"wave", "waves", "salty"} <= topics["the sea"].related


def test_every_phrasing_names_its_topic():
    for name in lexicon().topics:
        for phrasing in lexicon().phrasings:
            topic = topic_of(phrasing.format(name))
            assert topic is not None
            assert topic.name == name


def test_prompts_of_no_known_topic():
    assert topic_of("Write a poem about the tax code.") is None
    assert topic_of("") is None
    with pytest.raises(UserError, match="tax code"):
        asked_topic("Write a poem about the tax code.")
