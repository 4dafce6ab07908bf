import itertools
import math

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene as CrowdKit

from foolsgold.objectives.aggregation.dawid_skene import dawid_skene
from foolsgold.objectives.aggregation.votes import Judgements, consensus_accuracy, majority_vote


def crowd(seed, items=150, raters=12, classes=3, judged=5):
    """Judgements of raters who are right in 40 to 95 % of cases, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, items, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    accuracy = rng.uniform(0.4, 0.95, raters)
    item = np.repeat(np.arange(items), judged)
    rater = np.concatenate([rng.choice(raters, judged, replace=False) for _ in range(items)])
    right = rng.random(len(item)) < accuracy[rater]
    label = np.where(right, truth[item], (truth[item] + rng.integers(1, classes, len(item))) % classes)
    judgements = Judgements.of(rater, item, label, classes=range(classes))
    return judgements, truth, accuracy[list(judgements.raters)]


def as_frame(judgements):
    return pd.DataFrame({"task": judgements.item, "worker": judgements.rater, "label": judgements.label})


@pytest.mark.parametrize(("iterations", "classes"), [(1, 2), (3, 3), (40, 3)])
def test_agrees_with_crowd_kit_round_by_round(iterations, classes):
    judgements, _, _ = crowd(1, classes=classes)
    ours = dawid_skene(judgements, iterations=iterations, tolerance=-1)
    theirs = CrowdKit(iterations, tol=-np.inf).fit(as_frame(judgements))
    assert ours.iterations == iterations
    assert ours.posterior == pytest.approx(theirs.probas_.sort_index().sort_index(axis=1).to_numpy(), abs=1e-8)


def test_agrees_with_crowd_kit_where_some_answers_are_known():
    judgements, truth, _ = crowd(2)
    known = np.where(np.arange(len(truth)) < 30, truth, -1)
    ours = dawid_skene(judgements, known, iterations=30, tolerance=-1)
    theirs = CrowdKit(30, tol=-np.inf).fit(as_frame(judgements), pd.Series(truth[:30], index=range(30)))
    assert ours.posterior == pytest.approx(theirs.probas_.sort_index().sort_index(axis=1).to_numpy(), abs=1e-8)


def test_the_likelihood_is_that_of_the_model_by_enumeration():
    judgements = Judgements.of("aabbcc", "xyxyxy", [0, 1, 0, 1, 1, 1])
    fit = dawid_skene(judgements, iterations=2, tolerance=-1)
    total = 0.0
    for truth in itertools.product(range(2), repeat=2):
        each = math.prod(fit.prior[k] for k in truth)
        for r, i, k in zip(judgements.rater, judgements.item, judgements.label, strict=True):
            each *= fit.confusion[r, truth[i], k]
        total += each
    assert fit.log_likelihood == pytest.approx(math.log(total))


def test_every_round_is_more_likely():
    judgements, _, _ = crowd(3)
    likelihoods = [dawid_skene(judgements, iterations=n, tolerance=-1).log_likelihood for n in range(1, 30)]
    assert (np.diff(likelihoods) > -1e-9).all()


def test_finds_who_is_reliable_and_beats_the_majority():
    judgements, truth, accuracy = crowd(4, items=2000)
    fit = dawid_skene(judgements)
    assert fit.accuracy == pytest.approx(accuracy, abs=0.06)
    assert fit.confusion.sum(2) == pytest.approx(np.ones((12, 3)))
    ours = consensus_accuracy(majority_vote(fit.posterior), truth)
    assert ours > consensus_accuracy(majority_vote(judgements.counts()), truth) + 0.02


def test_one_who_always_says_the_opposite_is_believed_the_opposite():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 300)
    rows = [(r, i, int(t) if rng.random() < 0.85 else 1 - int(t)) for r in "abc" for i, t in enumerate(truth)]
    rows += [("liar", i, 1 - int(t)) for i, t in enumerate(truth)]
    fit = dawid_skene(Judgements.of(*zip(*rows, strict=True)))
    assert fit.accuracy[3] < 0.02
    assert consensus_accuracy(majority_vote(fit.posterior), truth) > 0.99


def test_smoothing_pulls_to_chance():
    judgements, _, _ = crowd(6)
    assert dawid_skene(judgements, smoothing=1e9).confusion == pytest.approx(np.full((12, 3, 3), 1 / 3), abs=1e-3)


def test_wrong_arguments_are_refused():
    judgements, truth, _ = crowd(7, items=20)
    with pytest.raises(ValueError, match="smoothing is -1"):
        dawid_skene(judgements, smoothing=-1)
    with pytest.raises(ValueError, match="from 0 to 2"):
        dawid_skene(judgements, np.full(20, 3))
    with pytest.raises(ValueError, match="each of 20 items"):
        dawid_skene(judgements, truth[:3])
