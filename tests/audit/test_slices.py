import numpy as np
from audit_worlds import honest, loving_length

from foolsgold.audit.evidence import Samples
from foolsgold.audit.slices import look
from foolsgold.audit.text_features import LENGTH, NON_LETTERS, text_features


def test_the_love_of_length_is_found_and_nothing_else():
    samples = loving_length()
    found = look([("at the start", samples, text_features(samples.texts))])
    assert [each.feature for each in found.found] == [LENGTH]
    assert str(found.found[0]) == "at the start the proxy over-rates length in characters"
    over = [each.over_rating.value for each in found.slices if each.feature == LENGTH]
    assert over == sorted(over)
    assert over[0] < -0.3
    assert over[-1] > 0.3
    assert not any(each.p_value < 0.05 for each in found.slices if each.feature == NON_LETTERS)


def test_an_honest_proxy_has_no_bias_along_what_goes_with_gold():
    # Noise alone makes the proxy fall short of good samples; that is no over-rating of what the bad ones have.
    samples = honest(prompts=100)
    rng = np.random.default_rng(7)
    found = look([("", samples, {"skill": samples.gold + rng.normal(size=samples.gold.shape)})])
    assert not found.found
    assert all(each.p_value > 0.05 for each in found.slices)


def test_a_proxy_that_bends_gold_has_no_bias_either():
    samples = honest(prompts=100)
    found = look([("", Samples(np.tanh(samples.gold), samples.gold), {"skill": samples.gold**2})])
    assert all(abs(each.correlation.value) < 0.1 for each in found.biases)


def test_false_alarms_are_as_rare_as_said():
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(100):
        proxy, gold, *features = rng.normal(size=(8, 20, 4))
        found = look([("", Samples(proxy, gold), {str(i): values for i, values in enumerate(features)})])
        alarms += bool(found.found) or any(each.p_value < 0.05 for each in found.slices)
    assert alarms <= 12


def test_what_goes_with_length_is_not_blamed_for_it():
    samples = loving_length(love=2.0)
    features = text_features(samples.texts)
    features["words"] = features[LENGTH] + np.random.default_rng(0).normal(size=features[LENGTH].shape)
    assert [each.feature for each in look([("", samples, features)]).found] == [LENGTH]


def test_quartiles_of_few_values_are_what_there_is():
    values = np.array([[0, 0, 0, 0, 0, 1, 1, 7.0]] * 3)
    samples = honest(3, 8)
    found = look([("", samples, {"marks": values, "none": np.zeros((3, 8))})])
    assert [(each.feature, each.values, each.samples) for each in found.slices] == [
        ("marks", "0", 15),
        ("marks", "1", 6),
        ("marks", "7", 3),
    ]
    assert [each.feature for each in found.biases] == ["marks"]


def test_words_make_a_slice_each():
    samples = honest()
    language = np.where(np.arange(16) % 2, "en", "de") * np.ones((40, 1), dtype=object)
    biased = Samples(samples.proxy + 2 * (language == "de"), samples.gold)
    found = look([("", biased, {"language": language.astype(str)})])
    assert [(each.values, each.over_rating.value > 0, each.p_value < 0.05) for each in found.slices] == [
        ("de", True, True),
        ("en", False, True),
    ]
    assert found.biases == ()


def test_the_love_of_length_shows_in_a_part_of_the_labels():
    kept = 0.5
    samples = loving_length()
    rng = np.random.default_rng(4)
    gold = np.where(rng.random(samples.gold.shape) < kept, samples.gold, np.nan)
    part = Samples(samples.proxy, gold, np.full(gold.shape, kept), samples.texts)
    found = look([("", part, text_features(samples.texts))])
    assert [each.feature for each in found.found] == [LENGTH]


def test_a_column_of_yes_and_no_makes_two_slices():
    proxy, gold = np.random.default_rng(0).normal(size=(2, 10, 8))
    flag = np.random.default_rng(1).random((10, 8)) < 0.5
    found = look([("at the start", Samples(proxy, gold), {"flag": flag})])
    assert [each.samples for each in found.slices] == [(~flag).sum(), flag.sum()]
