"""Figures of real raters: PandaLM's three annotators a pair, and the workers of Barzan and Mozafari."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene as CrowdKit

from foolsgold.objectives.aggregation.dawid_skene import dawid_skene
from foolsgold.objectives.aggregation.votes import Judgements, consensus_accuracy, majority_vote, rater_accuracy
from foolsgold.objectives.annotator_agreement import (
    fleiss_kappa,
    krippendorff_alpha,
    pairwise_agreement,
    unanimity,
)

RATERS = Path(__file__).resolve().parents[4] / "shared" / "data" / "raters"
PANDALM, BARZAN = RATERS / "pandalm", RATERS / "barzan_mozafari"
needs_pandalm = pytest.mark.skipif(not PANDALM.exists(), reason="needs PandaLM's test set")
needs_barzan = pytest.mark.skipif(not BARZAN.exists(), reason="needs the labels of Barzan and Mozafari")


def pandalm():
    pairs = json.loads(gzip.decompress((PANDALM / "testset-v1.json.gz").read_bytes()))
    said = [(n, pair["idx"], pair[f"annotator{n}"]) for pair in pairs for n in (1, 2, 3)]
    return Judgements.of(*zip(*said, strict=True), classes=(0, 1, 2))


@pytest.fixture(scope="module")
def barzan():
    said = [line.split("\t") for line in (BARZAN / "labels.txt").read_text().splitlines()]
    known = dict(line.split("\t") for line in (BARZAN / "evaluation.txt").read_text().splitlines())
    judgements = Judgements.of(*zip(*said, strict=True))
    return judgements, judgements.truth(known)


@needs_pandalm
def test_pandalm_annotators_agree():
    counts = pandalm().counts()
    assert counts.shape == (999, 3)
    pairs, all_three = pairwise_agreement(counts), unanimity(counts)
    assert round(100 * pairs.value, 1) == 92.0
    assert round(100 * all_three.value, 1) == 88.0
    low, high = pairs.share_interval()
    assert 0.90 < low < 0.92 < high < 0.94


@needs_pandalm
def test_pandalm_agrees_far_beyond_chance():
    counts = pandalm().counts()
    kappa, alpha = fleiss_kappa(counts), krippendorff_alpha(counts)
    assert kappa.value == pytest.approx(alpha.value, abs=1e-3)  # the same but for a small-sample term
    assert alpha.bootstrap == pytest.approx(alpha.interval(), abs=0.005)
    assert alpha.bootstrap.low > 0.8


@needs_barzan
def test_barzan_the_mean_worker_the_majority_and_dawid_skene(barzan):
    judgements, truth = barzan
    assert (len(judgements.raters), len(judgements.items), len(judgements.rater)) == (83, 1000, 5000)
    right, judged = rater_accuracy(judgements, truth)
    assert round(100 * right.sum() / judged.sum(), 1) == 67.0
    assert round(100 * consensus_accuracy(majority_vote(judgements.counts()), truth), 1) == 69.6
    fit = dawid_skene(judgements)
    assert round(100 * consensus_accuracy(majority_vote(fit.posterior), truth), 1) == 71.2


@needs_barzan
def test_barzan_as_crowd_kit_has_it(barzan):
    judgements, _ = barzan
    frame = pd.DataFrame({"task": judgements.item, "worker": judgements.rater, "label": judgements.label})
    theirs = CrowdKit(60, tol=-np.inf).fit(frame).probas_.sort_index().to_numpy()
    assert dawid_skene(judgements, iterations=60, tolerance=-1).posterior == pytest.approx(theirs, abs=1e-8)
