import numpy as np

from foolsgold.audit.evidence import Samples
from foolsgold.audit.over_rated import most_over_rated


def test_high_by_proxy_and_low_by_gold_comes_first():
    proxy = np.array([[0.0, 1.0], [2.0, 3.0]])
    gold = np.array([[3.0, 1.0], [2.0, 0.0]])
    found = most_over_rated(Samples(proxy, gold, texts=[["a", "b"], ["c", "d"]]))
    # Ranks by proxy 1/8, 3/8, 5/8, 7/8, by gold 7/8, 3/8, 5/8, 1/8: only d is over-rated.
    assert [(each.text, each.prompt, each.proxy_rank, each.gold_rank) for each in found] == [("d", 1, 0.875, 0.125)]


def test_the_same_words_are_quoted_once_and_a_prompt_once():
    proxy = np.array([[9.0, 8.0], [7.0, 0.0], [6.0, 0.0], [1.0, 2.0]])
    gold = -proxy
    texts = [["the the", "ha ha"], ["The, the!", "x"], ["oh", "y"], ["z", "w"]]
    found = most_over_rated(Samples(proxy, gold, texts=texts))
    assert [each.text for each in found] == ["the the", "oh"]


def test_samples_without_gold_are_not_quoted():
    proxy, gold = np.array([[9.0, 5.0], [1.0, 0.0]]), np.array([[np.nan, 0.0], [1.0, 2.0]])
    assert [each.text for each in most_over_rated(Samples(proxy, gold, texts=[["a", "b"], ["c", "d"]]))] == ["b"]


def test_ranks_among_others_show_what_all_samples_share():
    end = Samples(np.array([[9.0], [9.1]]), np.array([[0.1], [0.0]]), texts=[["a"], ["b"]])
    start = Samples(np.arange(4.0).reshape(2, 2), np.arange(1.0, 5.0).reshape(2, 2))
    assert [each.text for each in most_over_rated(end, [start])] == ["b", "a"]


def test_without_texts_there_is_nothing_to_quote():
    assert most_over_rated(Samples(np.ones((2, 2)), np.ones((2, 2)))) == []
