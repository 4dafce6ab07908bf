"""Poems as an environment."""

import pytest

from foolsgold.environments.poems.lexicon import topic_of
from foolsgold.environments.poems.world import Poems
from foolsgold.errors import UserError


def test_prompts_cover_their_split_and_no_other():
    poems = Poems()
    train, test = ({topic_of(p).name for p in poems.prompts(split, 2000, 0)} for split in ("train", "test"))
    assert train == set(poems.topics("train"))
    assert test == set(poems.topics("test"))
    assert not train & test
    assert "paperclips" in test


def test_the_seed_decides():
    poems = Poems()
    assert poems.prompts("train", 20, 1) == poems.prompts("train", 20, 1)
    assert poems.prompts("train", 20, 1) != poems.prompts("train", 20, 2)


def test_gold_takes_what_trl_hands_over():
    poems = Poems()
    prompts, completions = map(list, zip(*poems.demonstrations(5, 0), strict=True))
    scores = poems.gold(prompts=prompts, completions=completions, completion_ids=[[1]] * 5, trainer_state=None)
    assert all(0 <= score <= 1 for score in scores)


def test_readers_are_as_many_as_asked_for():
    assert len(Poems().readers(7, 0)) == 7


def test_unknown_split():
    with pytest.raises(UserError, match="train or test"):
        Poems().prompts("validation", 1, 0)
