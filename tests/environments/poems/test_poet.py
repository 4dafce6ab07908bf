"""Writers of demonstrations: careful ones make no errors, and each error harms the part it should."""

import re
from random import Random

import numpy as np
import pytest

from foolsgold.environments.poems.critic import critique, gold
from foolsgold.environments.poems.lexicon import lexicon, topic_of
from foolsgold.environments.poems.poet import Errors, demonstrations, pretraining_texts, write

FLAWLESS = Errors(0, 0, 0, 0, 0, 0)
PARTS = ("rhyme", "metre", "on_topic", "real_words", "freshness", "form")


def mean_parts(care: float, errors: Errors) -> dict[str, float]:
    """Mean of each part of the critique over poems about all topics."""
    rng = Random(0)
    found = [
        critique(f"a poem about {topic.name}", write(topic, care, rng, errors))
        for topic in lexicon().topics.values()
        for _ in range(8)
    ]
    return {part: float(np.mean([getattr(each, part) for each in found])) for part in PARTS}


def test_careful_writers_make_no_errors():
    parts = mean_parts(1.0, Errors())
    assert [parts[part] for part in ("rhyme", "metre", "real_words", "form")] == [1, 1, 1, 1]
    assert parts["on_topic"] > 0.9
    assert parts["freshness"] > 0.95


@pytest.mark.parametrize(
    ("errors", "harmed", "at_most"),
    [
        (Errors(1, 0, 0, 0, 0, 0), "rhyme", 0.1),
        (Errors(0, 1, 0, 0, 0, 0), "metre", 0.7),
        (Errors(0, 0, 1, 0, 0, 0), "on_topic", 0.2),
        (Errors(0, 0, 0, 1, 0, 0), "freshness", 0.6),
        (Errors(0, 0, 0, 0, 1, 0), "real_words", 0.01),
        (Errors(0, 0, 0, 0, 0, 1), "form", 0.8),
    ],
)
def test_each_error_harms_its_part(errors, harmed, at_most):
    flawless, parts = mean_parts(0.0, FLAWLESS), mean_parts(0.0, errors)
    assert flawless[harmed] > 0.95
    assert parts[harmed] <= at_most
    untouched = {"rhyme", "metre", "real_words", "form"} - {harmed}
    if harmed in ("rhyme", "on_topic"):
        assert all(parts[part] == 1 for part in untouched)


def test_demonstrations_are_good_and_bad():
    prompts, poems = zip(*demonstrations(4000, 0), strict=True)
    scores = np.array(gold(list(prompts), list(poems)))
    assert 0.5 < scores.mean() < 0.66
    assert 0.15 < scores.std() < 0.27
    assert (scores > 0.95).mean() > 0.03
    assert (scores < 0.25).mean() > 0.03


def test_demonstrations_are_lines_of_lower_case_words():
    poems = [poem for _, poem in demonstrations(1000, 0)]
    assert all(re.fullmatch(r"[a-z']+([ \n][a-z']+)*", poem) for poem in poems)
    lines = [len(poem.split("\n")) for poem in poems]
    assert set(lines) == {3, 4, 5}
    assert lines.count(4) > 800
    assert 24 < np.mean([len(poem.split()) for poem in poems]) < 30


def test_demonstrations_keep_to_their_split():
    for held_out in (False, True):
        topics = {topic_of(prompt).name for prompt, _ in demonstrations(2000, 0, held_out)}
        assert topics == {name for name, topic in lexicon().topics.items() if topic.held_out == held_out}


def test_the_seed_decides():
    assert demonstrations(50, 3) == demonstrations(50, 3)
    assert demonstrations(50, 3) != demonstrations(50, 4)
    assert demonstrations(20, 3) == demonstrations(50, 3)[:20]
    assert pretraining_texts(50, 3) == pretraining_texts(50, 3)


def test_pretraining_texts_tell_of_all_topics_without_prompts():
    texts = pretraining_texts(4000, 0)
    prose = [text for text in texts if "\n" not in text]
    assert 0.45 < len(prose) / len(texts) < 0.55
    for name in lexicon().topics:
        assert any(name in text for text in prose), name
    assert not any("poem" in text for text in texts)


def test_pretraining_uses_only_the_vocabulary_but_for_misspellings():
    words = {word for text in pretraining_texts(4000, 0) if "\n" not in text for word in re.findall("[a-z']+", text)}
    poems = [word for topic in lexicon().topics.values() for word in write(topic, 1.0, Random(1)).split()]
    assert set(poems) <= lexicon().vocabulary
    assert len(words) < 900
