import numpy as np
import pytest
from audit_worlds import honest, turning, turning_gold

from foolsgold.audit.evidence import Samples
from foolsgold.audit.figures import above, below
from foolsgold.audit.gold_curve import GoldCurve, band, curve_of_best
from foolsgold.objectives.overoptimization import REINFORCEMENT_LEARNING


def curve(gold, at=None, kl=None):
    gold = np.asarray(gold, float)
    at = np.arange(gold.shape[1]) if at is None else np.asarray(at)
    return GoldCurve(REINFORCEMENT_LEARNING, at, at if kl is None else np.asarray(kl), gold, gold)


def test_best_of_n_meets_the_curve_that_is_known():
    found = curve_of_best(turning())
    assert found.at.tolist() == [1, 2, 4, 8, 16, 32, 64]
    low, high = band(found.gold)
    expected = turning_gold(found.at)
    assert ((low - 0.01 <= expected) & (expected <= high + 0.01)).all()
    assert found.gold.mean(0) == pytest.approx(expected, abs=0.03)


def test_best_of_n_ends_at_all_samples():
    assert curve_of_best(honest(samples=12)).at.tolist() == [1, 2, 4, 8, 12]


def test_the_peak_is_found_and_what_may_be_it():
    found = curve_of_best(turning())
    assert found.stop.at == 8
    assert found.stop.first <= 8 <= found.stop.last
    assert found.stop.last < 64
    assert found.stop.least_kl <= found.stop.kl <= found.stop.most_kl
    assert above(found.rise, 0)
    assert below(found.fall, 0)


def test_height_of_the_peak_is_measured_where_it_was_not_chosen():
    # Even prompts are highest at 1, odd ones at 2, by luck: each is measured at the other's peak and gains nothing.
    gold = [[0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]]
    found = curve(gold)
    assert found.at_peak.tolist() == [0, 0, 0, 0]
    assert found.rise.value == 0


def test_luck_among_many_checkpoints_is_no_height():
    rng = np.random.default_rng(0)
    curves = [curve(rng.normal(size=(20, 15))) for _ in range(300)]
    rises = [(each.at_peak - each.gold[:, 0]).mean() for each in curves]
    assert abs(np.mean(rises)) < 4 * np.std(rises) / np.sqrt(300)
    # The start is one of the points: what is said of the peak is never below it, nor of the end above the peak.
    assert all(each.rise.value >= 0 >= each.fall.value for each in curves)
    assert all(each.rise.low <= each.rise.value <= each.rise.high for each in curves)
    assert all(each.fall.low <= each.fall.value <= each.fall.high for each in curves)


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        ([0, 9, 0, 0], "all others are clearly worse"),
        ([0, 9, 9, 0], "from 1 to 2 no other is clearly better"),
        ([9, 0, 0, 9], "no other is clearly better at 0 and 3"),
    ],
)
def test_points_that_may_be_the_peak_in_words(gold, said):
    noise = np.random.default_rng(1).normal(size=(32, 4)) * 0.1
    assert curve(gold + noise - noise.mean(0)).rivals == said


def test_one_prompt_has_no_intervals():
    found = curve([[0, 2, 1]])
    assert (found.rise.value, found.rise.low) == (2, None)
    assert found.may_be_peak.all()
    assert band(found.gold) == (None, None)


def test_kl_of_the_range_need_not_rise_with_the_steps():
    gold = np.tile([0.0, 5.0, 5.0, 0.0], (4, 1))
    stop = curve(gold, at=[0, 10, 20, 30], kl=[0, 4, 3, 9]).stop
    assert (stop.at, stop.first, stop.last) == (10, 10, 20)
    assert (stop.kl, stop.least_kl, stop.most_kl) == (4, 3, 4)


def test_labels_of_a_part_tell_the_same_curve():
    whole = turning(prompts=300, samples=16)
    rng = np.random.default_rng(5)
    chance = np.full(whole.proxy.shape, 0.5)
    partly = Samples(whole.proxy, np.where(rng.random(chance.shape) < chance, whole.gold, np.nan), chance)
    full, part = curve_of_best(whole), curve_of_best(partly)
    low, high = band(part.gold)
    assert ((low <= full.gold.mean(0) + 0.02) & (full.gold.mean(0) - 0.02 <= high)).all()


@pytest.mark.parametrize(("index", "said"), [(0, "step 0"), (-1, "step 2,000")])
def test_places_in_words(index, said):
    assert curve(np.zeros((2, 2)), at=[0, 2000]).place(index) == said


def test_gold_too_rare_to_be_seen_at_the_top_is_not_lost():
    # One sample of 64 is good, in each prompt another one, never the one that the proxy likes best. Of 8 best samples
    # of a proxy that is unrelated to gold, 8 / 64 would be good: none of them shows nothing.
    gold, proxy = np.zeros((8, 64)), np.tile(np.arange(64.0), (8, 1))
    gold[np.arange(8), np.arange(8) * 7] = 1
    curve = curve_of_best(Samples(proxy, gold))
    # The top rests on 8 samples, the start on all 512: s = sqrt(1 / 64), error sqrt(1 / 64 (1 / 8 - 1 / 512)) = 0.0438.
    assert curve.unrelated_error[-1] == pytest.approx(0.04384, abs=1e-5)
    assert curve.unrelated_error[0] == pytest.approx(0)
    # 1 / 64 is lost, and Student's t of 7 degrees of freedom is 2.365.
    assert curve.gain.low == pytest.approx(-1 / 64 - 2.365 * 0.04384, abs=1e-4)
    assert curve.gain.high == pytest.approx(-1 / 64 + 2.365 * 0.04384, abs=1e-4)
    assert curve.may_be_peak.all()


def test_an_unrelated_proxy_seldom_fails_where_gold_is_rare():
    rng = np.random.default_rng(0)
    found = [curve_of_best(Samples(rng.normal(size=(24, 32)), (rng.random((24, 32)) < 0.04) * 1.0)) for _ in range(60)]
    assert sum(below(each.gain, 0) or above(each.gain, 0) for each in found) <= 6


def test_gold_that_is_gone_at_the_top_is_lost():
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(16, 64))
    curve = curve_of_best(Samples(proxy, ((proxy < 1) & (rng.random(proxy.shape) < 0.5)) * 1.0))
    assert below(curve.gain, 0)
    assert below(curve.fall, 0)
