import math

import numpy as np
import pytest
from audit_worlds import honest
from scipy import stats

from foolsgold.audit.agreement import Agreement
from foolsgold.audit.evidence import Samples


def test_an_honest_proxy_agrees_as_far_as_its_noise_lets_it():
    found = Agreement.of(honest(prompts=300))
    # Variance 1 of 2 is gold: correlation 1 / √2, and pairs agree in 1/2 + asin(1/√2)/π = 3/4 of cases.
    assert found.pearson.value == pytest.approx(math.sqrt(0.5), abs=0.03)
    assert found.accuracy.value == pytest.approx(0.75, abs=0.02)
    assert 0.6 < found.spearman.value < found.pearson.value
    assert found.within


def test_prompts_that_differ_are_no_agreement():
    rng = np.random.default_rng(0)
    base = 100 * rng.normal(size=(50, 1))
    noise = rng.normal(size=(2, 50, 8))
    found = Agreement.of(Samples(base + noise[0], base + noise[1]))
    low, high = found.pearson.correlation_interval()
    assert low < 0 < high


def test_one_sample_a_prompt_compares_prompts():
    rng = np.random.default_rng(1)
    gold = rng.normal(size=(80, 1))
    proxy = gold + rng.normal(size=(80, 1))
    found = Agreement.of(Samples(proxy, gold))
    assert not found.within
    assert found.pearson.value == pytest.approx(stats.pearsonr(proxy[:, 0], gold[:, 0]).statistic)
    assert found.spearman.value == pytest.approx(stats.spearmanr(proxy[:, 0], gold[:, 0]).statistic)
    assert math.isnan(found.accuracy.value)
    assert [figure.low is None for figure in found.figures] == [False, False]  # there are no pairs to tell of


def test_labels_with_chances_tell_the_same_as_all_labels():
    whole = honest(prompts=400)
    rng = np.random.default_rng(2)
    chance = np.where(whole.proxy > 0, 0.9, 0.4)
    part = Agreement.of(Samples(whole.proxy, np.where(rng.random(chance.shape) < chance, whole.gold, np.nan), chance))
    full = Agreement.of(whole)
    assert part.accuracy.value == pytest.approx(full.accuracy.value, abs=0.02)
    assert part.pearson.value == pytest.approx(full.pearson.value, abs=0.03)


def test_a_constant_tells_nothing():
    found = Agreement.of(Samples(np.ones((5, 4)), np.arange(20.0).reshape(5, 4)))
    assert math.isnan(found.pearson.value)
    assert math.isnan(found.spearman.value)
    assert found.accuracy.value == 0.5  # every pair is a tie of the proxy
