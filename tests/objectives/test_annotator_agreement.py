import math

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.objectives.annotator_agreement import (
    fleiss_kappa,
    interval_scaled,
    krippendorff_alpha,
    nominal,
    ordinal,
    pairwise_agreement,
    unanimity,
)

# Fleiss 1971 as retold everywhere: ten subjects, fourteen raters, five categories; kappa 0.210.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)

# Krippendorff 2011 (Computing Krippendorff's alpha-reliability), example C: four observers, twelve units, * missing.
OBSERVERS = ["123321412***", "1233224125*3", "*3332342251*", "12332441251*"]
VALUES = np.arange(1, 6)


def counts_of(rows, values=VALUES):
    table = np.array([[math.nan if c == "*" else float(c) for c in row] for row in rows])
    return np.stack([(table == v).sum(0) for v in values], 1), table


def crowd(rng, items=60, raters=4, classes=3, right=0.7, missing=0.2):
    truth = rng.integers(0, classes, items)
    said = np.where(rng.random((raters, items)) < right, truth, rng.integers(0, classes, (raters, items)))
    table = np.where(rng.random((raters, items)) < missing, np.nan, said)
    return np.stack([(table == k).sum(0) for k in range(classes)], 1), table


def test_fleiss_as_published():
    assert fleiss_kappa(FLEISS).value == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(
    ("distance", "published"),
    [(nominal, 0.743), (ordinal, 0.815), (interval_scaled(VALUES), 0.849)],
)
def test_alpha_as_published(distance, published):
    assert krippendorff_alpha(counts_of(OBSERVERS)[0], distance).value == pytest.approx(published, abs=5e-4)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_alpha_is_that_of_the_package_krippendorff(seed):
    counts, table = crowd(np.random.default_rng(seed))
    for level, distance in (("nominal", nominal), ("ordinal", ordinal), ("interval", interval_scaled(range(3)))):
        theirs = krippendorff.alpha(table, value_domain=range(3), level_of_measurement=level)
        assert krippendorff_alpha(counts, distance, n_resamples=1).value == pytest.approx(theirs)


def test_the_jackknife_leaves_out_one_item_at_a_time():
    counts, _ = crowd(np.random.default_rng(1), items=15, missing=0)
    for distance in (nominal, ordinal):
        each = [krippendorff_alpha(np.delete(counts, i, 0), distance, 1).value for i in range(15)]
        assert krippendorff_alpha(counts, distance, 1).error == pytest.approx(np.std(each) * math.sqrt(14))


def test_the_bootstrap_draws_whole_items():
    counts, _ = crowd(np.random.default_rng(2), items=40, missing=0)
    rng = np.random.default_rng(3)
    drawn = [krippendorff_alpha(counts[rng.integers(0, 40, 40)], n_resamples=1).value for _ in range(1500)]
    assert krippendorff_alpha(counts, n_resamples=4000).bootstrap == pytest.approx(
        np.quantile(drawn, [0.025, 0.975]), abs=0.03
    )


def test_intervals_cover_the_truth():
    # Three raters, right with chance 0.7 or else guessing one of three: two agree beyond chance with 0.7 squared.
    held = {"kappa": [], "jackknife": [], "bootstrap": []}
    for seed in range(300):
        counts, _ = crowd(np.random.default_rng(seed), items=80, raters=3, missing=0)
        alpha = krippendorff_alpha(counts, n_resamples=400)
        intervals = fleiss_kappa(counts).interval(), alpha.interval(), alpha.bootstrap
        for name, (low, high) in zip(held, intervals, strict=True):
            held[name].append(low <= 0.49 <= high)
    for name, inside in held.items():
        assert 0.91 <= np.mean(inside) <= 0.985, name


def test_kappa_of_unequal_numbers_of_labels_by_hand():
    # Agreement 1 and 1/3; labels used: (1 + 1/3) / 2 and (0 + 2/3) / 2; chance 4/9 + 1/9.
    kappa = fleiss_kappa([[2, 0], [1, 2], [1, 0]])
    assert kappa.value == pytest.approx((2 / 3 - 5 / 9) / (4 / 9))
    assert kappa.prompts == 2


def test_agreement_by_hand():
    counts = [[3, 0, 0], [2, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert pairwise_agreement(counts)[:1] == (pytest.approx(4 / 9),)
    assert unanimity(counts).value == pytest.approx(1 / 3)
    low, high = unanimity(counts).share_interval()
    assert 0 < low < 1 / 3 < high < 1


def test_one_label_only_has_no_chance_to_compare_with():
    counts = [[3, 0], [3, 0]]
    assert math.isnan(fleiss_kappa(counts).value)
    assert math.isnan(krippendorff_alpha(counts).value)
    assert pairwise_agreement(counts).value == 1


def test_perfect_agreement_is_1():
    counts = [[3, 0], [0, 3], [3, 0]]
    assert fleiss_kappa(counts).value == 1
    assert krippendorff_alpha(counts).value == 1


def test_a_million_judgements_take_a_moment():
    counts = np.random.default_rng(0).multinomial(5, [0.5, 0.3, 0.2], 200_000)
    alpha = krippendorff_alpha(counts)
    assert alpha.value == pytest.approx(0, abs=0.005)
    assert alpha.bootstrap.low < 0 < alpha.bootstrap.high


@pytest.mark.parametrize(("counts", "message"), [([[1, 0]], "no item has two"), ([1, 2], "items, labels")])
def test_what_is_no_table_is_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        fleiss_kappa(counts)
