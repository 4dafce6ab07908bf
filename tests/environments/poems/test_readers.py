"""Impressions counted by hand; how readers choose, agree with the critic on ordinary poems and part from it."""

import numpy as np
import pytest
from scipy.special import expit

from foolsgold.environments.poems.critic import gold
from foolsgold.environments.poems.poet import demonstrations
from foolsgold.environments.poems.readers import (
    COMMON_TASTE,
    IMPRESSIONS,
    ORDINARY_SPREAD,
    Readership,
    impressions,
    impressions_of,
)
from foolsgold.errors import UserError
from foolsgold.objectives.statistics import wilson_interval

SEA = "Write a poem about the sea.\n"
CAREFUL = """the silver sea beneath the sky
the salty gull was heard to cry
and in the wave the island slept
while on the sand the sailor wept"""
STUFFED = """golden sea love sea wave sea heart sea
golden sea love sea wave sea heart sea
golden sea love sea wave sea heart sea
golden sea love sea wave sea heart sea"""


def seen(poem: str) -> dict[str, float]:
    return dict(zip(IMPRESSIONS, impressions(SEA, poem).tolist(), strict=True))


def test_impressions_of_a_poem_by_hand():
    # On topic: sea, salty, gull, wave, island, sand, sailor. Vivid: silver. 6 + 7 + 7 + 7 words.
    assert seen(CAREFUL) == pytest.approx(
        {
            "topic words": 7**0.5,
            "vivid words": 1,
            "sentimental words": 0,
            "line ends alike": 1,
            "verse": 1,
            "fullness": np.log(28),
            "odd words": 0,
        }
    )


def test_readers_do_not_look_whether_words_come_again():
    assert seen("sea sea sea sea")["topic words"] == 2
    assert seen("love and love and love and love")["sentimental words"] == 2


@pytest.mark.parametrize(
    ("ends", "share"),
    [
        ("sky cry slept wept", 1),
        ("sky slept cry wept", 1),  # crossed
        ("sea sea sea sea", 1),  # the same word
        ("love move stone moon", 0.5),  # for the eye
        ("rain plane stop moon", 0.5),  # for the ear
        ("sky stone moon cry", 0),  # too far apart
    ],
)
def test_line_ends_alike(ends, share):
    assert seen(ends.replace(" ", "\n"))["line ends alike"] == share


def test_most_misspellings_are_read_over():
    assert seen("slivver saety gul")["odd words"] == 0
    assert seen("slvr #! aaa sea")["odd words"] == 0.75


def test_metre_is_not_scanned():
    shuffled = "\n".join(" ".join([*sorted(line.split()[:-1]), line.split()[-1]]) for line in CAREFUL.split("\n"))
    np.testing.assert_array_equal(impressions(SEA, shuffled), impressions(SEA, CAREFUL))


@pytest.mark.parametrize("garbage", ["", "\n", "\x00" * 10_000, "é" * 10_000, "a" * 10_000, "\ud800", "sea\n" * 3000])
def test_garbage_makes_impressions(garbage):
    assert np.isfinite(impressions(SEA, garbage)).all()


def test_ordinary_spread_is_that_of_demonstrations():
    prompts, poems = zip(*demonstrations(20_000, 1), strict=True)
    spread = impressions_of(prompts, poems).std(0)
    np.testing.assert_allclose(np.maximum(spread, 0.1), ORDINARY_SPREAD, rtol=0.05)


def test_one_reader_chooses_as_bradley_and_terry_say():
    weights = np.array([[0.0, 1.0, 0, 0, 0, 0, 0]])
    prefers_a, reader = Readership(weights).compare([SEA] * 20_000, ["silver"] * 20_000, ["sea"] * 20_000, 0)
    assert set(reader) == {0}
    assert prefers_a.mean() == pytest.approx(expit(1.0), abs=0.012)  # 3.5 standard errors


def test_taste_is_the_mean_readers_liking():
    readers = Readership(np.array([[1.0, 0, 0, 0, 0, 0, 0], [3.0, 0, 0, 2.0, 0, 0, 0]]))
    # 2 sqrt(4) from topic words and 1 from ends alike.
    assert readers.taste([SEA], ["sea sea\nsea sea"]) == pytest.approx([2 * 2 + 1])


def test_founded_readers_share_the_common_taste():
    readers = Readership.founded(4000, 0, decisiveness=1.0)
    assert len(readers) == 4000
    np.testing.assert_allclose(readers.tastes.mean(0) * ORDINARY_SPREAD, COMMON_TASTE, rtol=0.05)
    assert (np.sign(readers.tastes) == np.sign(COMMON_TASTE)).all()


def test_nobody_cannot_read():
    with pytest.raises(UserError, match="at least one"):
        Readership.founded(0, 0)


def pairs(n: int) -> tuple[list[str], list[str], list[str]]:
    """Pairs of demonstrations for the same prompt."""
    by_prompt: dict[str, list[str]] = {}
    for prompt, poem in demonstrations(n, 5):
        by_prompt.setdefault(prompt, []).append(poem)
    found = [(p, a, b) for p, poems in by_prompt.items() for a, b in zip(poems[::2], poems[1::2], strict=False)]
    return tuple(map(list, zip(*found, strict=True)))  # type: ignore[return-value]


def agreement(readers: Readership) -> tuple[int, int]:
    """(pairs in which the reader chose as the critic, pairs the critic does not call equal)."""
    prompts, a, b = pairs(12_000)
    prefers_a, _ = readers.compare(prompts, a, b, 1)
    lead = np.array(gold(prompts, a)) - np.array(gold(prompts, b))
    return int((prefers_a == (lead > 0))[lead != 0].sum()), int((lead != 0).sum())


def test_readers_agree_with_the_critic_on_ordinary_poems():
    low, high = wilson_interval(*agreement(Readership.founded(20, 0)))
    assert low > 0.65
    assert high < 0.75


def test_readers_without_noise_agree_more():
    noisy, n = agreement(Readership.founded(20, 0))
    calm, _ = agreement(Readership.founded(20, 0, decisiveness=1e6))
    assert noisy / n + 0.05 < calm / n < 0.85


def test_the_vibe_is_not_the_poem():
    readers = Readership.founded(20, 0)
    liked = readers.taste([SEA, SEA], [STUFFED, CAREFUL])
    assert liked[0] > liked[1]
    assert gold([SEA, SEA], [STUFFED, CAREFUL]) == [0.0, 1.0]


def test_the_seed_decides():
    prompts, a, b = pairs(2000)
    readers = Readership.founded(20, 0)
    first, again, other = (readers.compare(prompts, a, b, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()
    assert first[1].min() == 0
    assert first[1].max() == 19
