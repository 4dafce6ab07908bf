"""Falls of gold seen by repeated looks: by hand, and the chance of a false alarm by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from foolsgold.objectives.sequential import first_fall, gold_at_best, surest_fall
from foolsgold.objectives.statistics import wilson_interval


def noise(kind: str, prompts: int, looks: int, rng: np.random.Generator) -> np.ndarray:
    """Gold whose mean over all prompts there are is the same at every look, `[P, K]`."""
    prompt = rng.normal(size=(prompts, 1))
    if kind == "normal":
        return prompt + rng.normal(size=(prompts, looks))
    if kind == "heavy tails":
        return prompt + rng.standard_t(3, size=(prompts, looks))
    if kind == "right or wrong":
        return (rng.random((prompts, looks)) < 1 / (1 + np.exp(-prompt))).astype(float)
    if kind == "drift apart":  # training helps some prompts and hurts others, more and more
        return prompt + rng.normal(size=(prompts, looks)).cumsum(1)
    assert kind == "few change"  # with common random numbers most completions stay the same from look to look
    changed = rng.random((prompts, looks)) < 0.1
    return prompt + np.where(changed, rng.normal(size=(prompts, looks)), 0).cumsum(1)


KINDS = ["normal", "heavy tails", "right or wrong", "drift apart", "few change"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("prompts", "looks"), [(16, 10), (64, 20)])
def test_flat_gold_is_rarely_said_to_fall(kind, prompts, looks):
    rng = np.random.default_rng(KINDS.index(kind))
    runs = 300
    stopped = sum(first_fall(noise(kind, prompts, looks, rng)) is not None for _ in range(runs))
    assert wilson_interval(stopped, runs).low < 0.05


def test_naive_looking_would_be_wrong_most_of_the_time():
    """What all this is for: t tests of every look against the best so far, each at 5 %."""
    rng = np.random.default_rng(0)

    def naive(gold: np.ndarray) -> bool:
        means = gold.mean(0)
        return any(
            stats.ttest_rel(gold[:, means[:k].argmax()], gold[:, k], alternative="greater").pvalue < 0.05
            for k in range(1, gold.shape[1])
        )

    runs = 100
    assert sum(naive(noise("normal", 64, 20, rng)) for _ in range(runs)) > 0.5 * runs


def test_a_fall_is_found():
    """Gold rises for 8 looks and then falls by 0.1 a look, a tenth of one prompt's noise: found before it lost 1."""
    rng = np.random.default_rng(1)
    true = np.concatenate([np.linspace(0, 1, 8), 1 - 0.1 * np.arange(1, 13)])
    found = [first_fall(true + noise("normal", 64, 20, rng)) for _ in range(100)]
    assert all(look is None or look > 8 for look in found)
    assert sum(look is not None and look <= 17 for look in found) >= 90


def test_pooled_looks_find_what_single_ones_cannot():
    """A fall by 0.3 for good, of 64 prompts: 1.7 standard errors of two looks' difference, 4.8 of eight looks' each."""
    rng = np.random.default_rng(2)
    true = np.repeat([0.3, 0.0], 10)
    gold = [true + noise("normal", 64, 20, rng) for _ in range(50)]
    assert sum(first_fall(each) is not None for each in gold) > 25


def test_one_comparison_by_hand():
    """Two looks of eight prompts, one comparison at 5 %: differences of mean 1 and deviation 1.0690 (squares sum to 8),
    Student's t 1.8946 at 7 degrees of freedom from the printed table."""
    before = np.array([2, 0, 2, 0, 2, 0, 2, 0.0])
    found = surest_fall(np.stack([before, np.zeros(8)], 1), planned=2)
    assert (found.since, found.width, found.fall) == (0, 1, 1)
    assert found.low == pytest.approx(1 - 1.8946 * 1.0690 / 8**0.5, abs=1e-4)
    assert found.certain


def test_more_planned_looks_leave_less_for_each():
    gold = np.random.default_rng(3).normal(size=(20, 5))
    lows = [surest_fall(gold, planned).low for planned in (5, 10, 40)]
    assert lows[0] > lows[1] > lows[2]


def test_the_earlier_side_is_named():
    """Gold stands at 1 for four looks, then at 0 for four: the surest comparison pools four looks on either side."""
    true = np.repeat([1.0, 0.0], 4)
    gold = true + 0.5 * np.random.default_rng(4).normal(size=(40, 8))
    found = surest_fall(gold, 8)
    assert (found.since, found.width) == (3, 4)
    assert found.fall == pytest.approx(gold[:, :4].mean() - gold[:, 4:].mean())


def test_nothing_to_compare_and_nothing_changed():
    assert surest_fall(np.ones((8, 1)), 5) is None
    assert surest_fall(np.ones((8, 6)), 5) is None
    assert not surest_fall(np.full((8, 5), 0.1), 5).certain
    assert surest_fall(np.tile([0.3, 0.1], (8, 1)), 2).certain  # every prompt fell alike


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ValueError, match="8 prompts or more"):
        surest_fall(np.ones((7, 2)), 5)
    with pytest.raises(ValueError, match="finite"):
        surest_fall(np.full((8, 2), np.nan), 5)
    with pytest.raises(ValueError, match="two looks"):
        surest_fall(np.ones((8, 2)), 1)


def test_the_gold_of_the_best_is_not_inflated_by_luck():
    """Flat gold of mean 0: the highest of 20 means of 16 lies at 1.87 of their deviation 1/4, and this nowhere."""
    rng = np.random.default_rng(5)
    gold = rng.normal(size=(400, 16, 20))
    raw = np.mean([each.mean(0).max() for each in gold])
    assert raw == pytest.approx(1.867 / 4, abs=0.03)
    assert np.mean([gold_at_best(each).mean() for each in gold]) == pytest.approx(0, abs=0.04)


def test_the_gold_of_a_clear_best_is_its_mean():
    gold = np.random.default_rng(6).normal(size=(16, 3)) + np.array([0, 10, 0])
    assert gold_at_best(gold).mean() == pytest.approx(gold[:, 1].mean())
