"""Counting words, against plain definitions."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.environments.open_domain.words import longest_common, ngrams, word_overlap, words

TOKENS = st.lists(st.sampled_from("abcd"), max_size=12)


@given(TOKENS, TOKENS)
def test_the_longest_common_subsequence_is_that_of_its_definition(ours, theirs):
    @cache
    def longest(i: int, j: int) -> int:
        if i == len(ours) or j == len(theirs):
            return 0
        if ours[i] == theirs[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    assert longest_common(ours, theirs) == longest(0, 0)


def test_overlap_by_hand():
    assert word_overlap(["a", "a", "b"], ["a", "b", "c"]) == pytest.approx(2 * 2 / 6)
    assert word_overlap([], ["a"]) == 0.0


def test_words_and_their_runs():
    assert words("It's 1871, isn't it?") == ["it's", "1871", "isn't", "it"]
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    assert ngrams(["a"], 2) == []
