"""Which pair comes next: information by brute force, batches that do not repeat themselves, what repeats tell."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.labels.labelling import Labelling, Pair, Settings
from foolsgold.labels.next_pair import (
    STRATEGIES,
    Leads,
    choose_batch,
    disagreement,
    draw_uniformly,
    expected_information,
    foretellable,
    prioritise,
    uncertainty,
)
from foolsgold.labels.store import open_store
from foolsgold.rewards.ensembles import Ensemble


def entropy(p):
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_a_sure_model_is_unsure_only_of_its_raters():
    # A lead of log 3 is preferred in 3 of 4 cases: entropy 2 log 2 - 3/4 log 3 = 0.5623 nats, all of it the raters'.
    mean, variance = np.array([0.0, math.log(3)]), np.zeros(2)
    assert uncertainty(mean, variance) == pytest.approx([math.log(2), 2 * math.log(2) - 0.75 * math.log(3)])
    assert expected_information(mean, variance) == pytest.approx([0, 0], abs=1e-12)
    assert disagreement(mean, variance) == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 0.3), (1.5, 1.0), (-3.0, 2.5), (0.2, 5.0)])
def test_merits_against_drawn_models(mean, deviation):
    leads = np.random.default_rng(0).normal(mean, deviation, 1_000_000)
    chances = 1 / (1 + np.exp(-leads))
    whole = entropy(chances.mean())
    inside = chances.clip(1e-300, 1 - 1e-16)
    noise = np.mean(-inside * np.log(inside) - (1 - inside) * np.log1p(-inside))
    given = np.array([mean]), np.array([deviation**2])
    assert uncertainty(*given) == pytest.approx([whole], abs=2e-3)
    assert disagreement(*given) == pytest.approx([chances.std()], abs=2e-3)
    assert expected_information(*given) == pytest.approx([whole - noise], abs=4e-3)


def test_information_of_a_small_variance_is_fishers():
    # For v near 0 the information is v p (1 - p) / 2, half the expected squared change over the answer's variance.
    p = 0.8
    found = expected_information(np.array([math.log(4)]), np.array([1e-4]))
    assert found == pytest.approx([1e-4 * p * (1 - p) / 2], rel=1e-3)


def test_raters_noise_is_no_reason_to_ask():
    # The first lead is even but known, the second one-sided but unknown.
    leads = Leads(np.array([0.0, 1.0]), np.array([[0.01], [1.5]]))
    assert STRATEGIES["uncertainty"](leads, 1, 0).tolist() == [0]
    assert STRATEGIES["disagreement"](leads, 1, 0).tolist() == [1]
    assert STRATEGIES["information"](leads, 1, 0).tolist() == [1]


@pytest.mark.parametrize("name", ["disagreement", "information"])
def test_a_batch_does_not_ask_the_same_twice(name):
    # Three copies of the widest pair and one narrower, unrelated: the second choice is the unrelated one, for after one
    # answer the copies' variance of 4 falls to 4 / (1 + 4 E[p (1 - p)]), about 2.5.
    leads = Leads(np.zeros(4), np.array([[2.0, 0], [2.0, 0], [2.0, 0], [0, 1.8]]))
    assert STRATEGIES[name](leads, 2, 0)[1] == 3
    assert set(STRATEGIES[name](leads, 4, 0)) == {0, 1, 2, 3}


def greedy(leads, batch, merit):
    """The same by conditioning the whole covariance: an answer adds precision w = E[p (1 - p)] to that of its lead."""
    covariance = leads.factor @ leads.factor.T
    rows = []
    for _ in range(batch):
        merits = merit(leads.mean, np.diag(covariance))
        merits[rows] = -1
        rows.append(int(np.argmax(merits)))
        lead = leads.mean[rows[-1]] + covariance[rows[-1], rows[-1]] ** 0.5 * np.linspace(-8, 8, 2001)
        density = np.exp(-(np.linspace(-8, 8, 2001) ** 2) / 2)
        w = (density / (1 + np.exp(-lead)) / (1 + np.exp(lead))).sum() / density.sum()
        column = covariance[:, rows[-1]]
        covariance = covariance - np.outer(column, column) * w / (1 + w * column[rows[-1]])
    return rows


@pytest.mark.parametrize("merit", [uncertainty, disagreement, expected_information])
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_is_that_of_the_whole_covariance(merit, seed):
    rng = np.random.default_rng(seed)
    leads = Leads(rng.normal(size=400), rng.normal(size=(400, 6)) * rng.lognormal(-1, 0.7, (400, 1)))
    assert choose_batch(leads, 40, seed, merit).tolist() == greedy(leads, 40, merit)


@given(st.floats(-8, 8), st.lists(st.floats(0, 64), min_size=2, max_size=10))
def test_merits_do_not_fall_as_variances_grow(mean, variances):
    for merit in (uncertainty, disagreement, expected_information):
        found = merit(np.full(len(variances), mean), np.sort(variances))
        assert (np.diff(found) > -1e-6).all()


def test_greedy_choices_are_near_the_best_batch():
    # Joint information of a batch by enumeration of its answers under 4,000 drawn models.
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(4000, 3))
    features = rng.normal(size=(9, 3))

    def joint(rows):
        chance = 1 / (1 + np.exp(-weights @ features[list(rows)].T))
        total = 0.0
        for answers in itertools.product([0, 1], repeat=len(rows)):
            p = np.where(answers, chance, 1 - chance).prod(1).mean()
            total -= p * math.log(p)
        noise = -(chance * np.log(chance) + (1 - chance) * np.log(1 - chance)).sum(1).mean()
        return total - noise

    batches = {rows: joint(rows) for rows in itertools.combinations(range(9), 3)}
    chosen = tuple(sorted(STRATEGIES["information"](Leads(np.zeros(9), features), 3, 0)))
    assert batches[chosen] > 0.95 * max(batches.values())
    assert batches[chosen] > 1.2 * np.mean(list(batches.values()))


def test_leads_of_members():
    # Leads 1, 2, 3 of the first pair: mean 2, variance 1; both pairs vary together.
    leads = Leads.of_members(np.array([[1.0, 0], [2, 0], [3, 0]]), np.array([[0.0, 1], [0, 3], [0, 5]]))
    assert leads.mean.tolist() == [2, -3]
    np.testing.assert_allclose(leads.factor @ leads.factor.T, [[1, -2], [-2, 4]])
    assert len(leads) == 2


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (np.zeros((1, 3)), np.zeros((1, 3)), "two members"),
        (np.zeros((2, 3)), np.zeros((2, 4)), "shapes"),
        (np.full((2, 3), np.nan), np.zeros((2, 3)), "finite"),
    ],
)
def test_leads_of_members_refuse_what_is_none(a, b, says):
    with pytest.raises(ValueError, match=says):
        Leads.of_members(a, b)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 5), st.sampled_from(sorted(STRATEGIES)))
def test_a_batch_holds_different_rows(pairs, batch, seed, name):
    rng = np.random.default_rng(seed)
    leads = Leads(rng.normal(size=pairs), rng.normal(size=(pairs, 3)))
    if batch > pairs:
        with pytest.raises(ValueError, match="cannot be chosen"):
            STRATEGIES[name](leads, batch, seed)
        return
    rows = STRATEGIES[name](leads, batch, seed)
    assert len(rows) == len(set(rows.tolist())) == batch
    assert set(rows.tolist()) <= set(range(pairs))
    assert rows.tolist() == STRATEGIES[name](leads, batch, seed).tolist()


def test_uniform_is_uniform():
    leads = Leads(np.arange(5.0), np.ones((5, 1)))
    counts = np.bincount([row for seed in range(2000) for row in draw_uniformly(leads, 2, seed)], minlength=5)
    assert counts == pytest.approx(np.full(5, 800), abs=100)  # 4.6 standard deviations


@pytest.fixture
def project(tmp_path):
    """Eight pairs, the texts as long as what follows says, and an attention check."""
    with open_store(tmp_path / "pairs.sqlite") as store:
        settings = Settings(check_share=0, repeat_share=0)
        project = Labelling.create(store, "poems", "Which is better?", seed=1, settings=settings)
        project.add_pairs([Pair(f"prompt {i}", f"{i} good", f"{i} bad") for i in range(8)])
        project.add_pairs([Pair("check", "7 good", "7 bad", known="a")])
        yield project


def doubtful(wide):
    """Two members who differ about the pairs in `wide`, more about those that come earlier there."""

    def scores(prompts, completions):
        number = [int(text.split()[0]) for text in completions]
        doubt = np.array([len(wide) - wide.index(i) if i in wide else 0 for i in number], float)
        return np.stack([doubt, -doubt]) * [text.endswith("good") for text in completions]

    return scores


def given_to(project, rater):
    place = project.next_place(rater)
    project.judge(place.id, rater, "a")
    return place.prompt


def test_a_project_hands_out_what_was_chosen(project):
    ranked = partial(choose_batch, merit=lambda mean, variance: variance)
    assert prioritise(project, doubtful([5, 2]), ranked, 2, seed=0) == 2
    assert [given_to(project, "ann"), given_to(project, "ann")] == ["prompt 5", "prompt 2"]
    # The next batch replaces the last one, of which pair 7 was never judged.
    prioritise(project, doubtful([7]), ranked, 1, seed=0)
    prioritise(project, doubtful([0, 3]), ranked, 2, seed=0)
    assert {stored.pair.prompt: stored.pair.priority for stored in project.pairs() if stored.pair.priority} == {
        "prompt 5": 1,
        "prompt 2": 0.5,
        "prompt 0": 1,
        "prompt 3": 0.5,
    }
    assert [given_to(project, "ben"), given_to(project, "ben")] == ["prompt 0", "prompt 3"]


def test_pairs_that_nobody_can_score_are_not_chosen(project):
    def scores(prompts, completions):
        found = doubtful([1, 6])(prompts, completions)
        found[0, [text.startswith("1") for text in completions]] = np.nan
        return found

    assert prioritise(project, scores, STRATEGIES["information"], 100, seed=0) == 7
    assert given_to(project, "ann") == "prompt 6"


def test_an_ensemble_of_rewards_chooses(project):
    def long_is_good(prompts, completions, **columns):
        return [float(len(text)) for text in completions]

    def sixes(prompts, completions, **columns):
        return [5.0 if text == "6 bad" else 0.0 for text in completions]

    ensemble = Ensemble([long_is_good, sixes])
    prioritise(
        project, lambda prompts, texts: ensemble.judge(prompts, texts).members, STRATEGIES["disagreement"], 1, seed=0
    )
    assert given_to(project, "ann") == "prompt 6"


def test_what_repeats_tell_of_the_best_reward_model():
    assert foretellable(1.0) == (1, 1)
    assert foretellable(0.5) == foretellable(0.4) == (0.5, 0.5)
    # All pairs alike, p = 0.9: the same in 0.82, foretold in 0.9. Half sure, half even: 0.75, both times.
    assert foretellable(0.82).high == pytest.approx(0.9)
    assert foretellable(0.75).low == pytest.approx(0.75)
    with pytest.raises(ValueError, match="no share"):
        foretellable(1.2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_best_reward_model_lies_between(chances):
    p = np.array(chances)
    low, high = foretellable(float((p**2 + (1 - p) ** 2).mean()))
    assert low - 1e-9 <= np.maximum(p, 1 - p).mean() <= high + 1e-9
