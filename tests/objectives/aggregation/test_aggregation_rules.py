"""Which properties the rules have, tried on random electorates, and for those they lack, an electorate that shows it.

The table in docs/aggregation.md says the same.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from foolsgold.objectives.aggregation.rules import RULES, Users
from foolsgold.objectives.aggregation.social_choice import condorcet_winner

ALL = list(RULES)
OURS = settings(deadline=None, max_examples=20)
ASPIRATION, GROUPS = 5, 2


def users(utilities, aspiration=ASPIRATION, weight=None, group=None):
    utilities = np.asarray(utilities, float)
    voters = len(utilities)
    if group is None:
        group = np.arange(voters) % GROUPS
    return Users(utilities, np.full(voters, float(aspiration)), np.asarray(group), weight)


@st.composite
def electorates(draw, ties=False):
    """Users with distinct utilities from 0 to 10, an odd number of them, so that no two candidates tie."""
    candidates = draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    voters = 2 * draw(st.integers(1, 5)) + 1
    rows = [rng.permutation(11)[:candidates] for _ in range(voters)]
    return np.array(rows) if not ties else rng.integers(0, 3, (voters, candidates))


def lottery(rule, utilities, **options):
    return RULES[rule](users(utilities, **options))


@pytest.mark.parametrize("rule", ALL)
@given(electorates(ties=True), st.randoms(use_true_random=False))
@OURS
def test_neutral_names_of_candidates_do_not_matter(rule, utilities, random):
    order = list(range(utilities.shape[1]))
    random.shuffle(order)
    assert lottery(rule, utilities[:, order]) == pytest.approx(lottery(rule, utilities)[order], abs=1e-6)


@pytest.mark.parametrize("rule", ALL)
@given(electorates(ties=True), st.randoms(use_true_random=False))
@OURS
def test_anonymous_names_of_users_do_not_matter(rule, utilities, random):
    order = list(range(len(utilities)))
    random.shuffle(order)
    group = np.arange(len(utilities)) % GROUPS
    moved = lottery(rule, utilities[order], group=group[order])
    assert moved == pytest.approx(lottery(rule, utilities), abs=1e-6)


@pytest.mark.parametrize("rule", ALL)
@given(electorates(ties=True))
@OURS
def test_a_weight_of_2_is_two_users(rule, utilities):
    group = np.arange(len(utilities)) % GROUPS
    weight = np.ones(len(utilities))
    weight[0] = 2
    doubled = lottery(rule, utilities[[0, *range(len(utilities))]], group=group[[0, *range(len(utilities))]])
    assert lottery(rule, utilities, weight=weight) == pytest.approx(doubled, abs=1e-6)


MAJORITY = [[6, 5, 0]] * 3 + [[0, 9, 1]] * 2
"""Three of five prefer the first candidate to all others; the second is acceptable to all."""


@pytest.mark.parametrize("rule", ["plurality", "copeland", "nash"])
@given(electorates())
@OURS
def test_majority_a_favourite_of_more_than_half_wins(rule, utilities):
    utilities[: len(utilities) // 2 + 1, 0] = 11
    assert lottery(rule, utilities)[0] == pytest.approx(1)


@pytest.mark.parametrize("rule", ["borda", "mean", "worst group", "satisfied"])
def test_majority_lacked(rule):
    assert lottery(rule, MAJORITY)[0] == 0


@pytest.mark.parametrize("rule", ["copeland", "nash"])
@given(electorates())
@OURS
def test_condorcet_who_beats_everyone_wins(rule, utilities):
    shares = users(utilities).shares
    winner = condorcet_winner(shares)
    assume(winner is not None)
    assert lottery(rule, utilities)[winner] == pytest.approx(1)


COMPROMISE = [[8, 6, 0]] * 4 + [[0, 6, 8]] * 3 + [[4, 6, 3]] * 2
"""The second candidate beats both others but is the favourite of only two of nine."""


def test_condorcet_lacked_by_plurality():
    assert condorcet_winner(users(COMPROMISE).shares) == 1
    assert lottery("plurality", COMPROMISE).tolist() == [1, 0, 0]


@pytest.mark.parametrize("rule", ["borda", "mean", "worst group", "satisfied"])
def test_condorcet_lacked(rule):
    assert condorcet_winner(users(MAJORITY).shares) == 0
    assert lottery(rule, MAJORITY)[0] == 0


@pytest.mark.parametrize("rule", ["borda", "copeland", "nash"])
@given(electorates())
@OURS
def test_condorcet_loser_who_is_beaten_by_everyone_never_wins(rule, utilities):
    loser = condorcet_winner(users(-utilities).shares)
    assume(loser is not None)
    assert lottery(rule, utilities)[loser] == pytest.approx(0, abs=1e-9)


LOSER = [[10, 1, 0]] * 2 + [[2, 4, 3]] + [[2, 3, 4]] * 2
"""Three of five rank the first candidate last; the other two love it, and split are they who do not."""


@pytest.mark.parametrize(
    ("rule", "utilities", "options"),
    [
        ("plurality", [[9, 1, 0]] * 3 + [[0, 9, 8]] * 2 + [[0, 8, 9]] * 2, {}),
        ("mean", LOSER, {}),
        ("worst group", LOSER, {"group": [0, 1, 0, 1, 1]}),
        ("satisfied", LOSER, {}),
    ],
)
def test_condorcet_loser_lacked(rule, utilities, options):
    assert condorcet_winner(users(-np.array(utilities)).shares) == 0
    assert lottery(rule, utilities, **options)[0] == 1


@pytest.mark.parametrize("rule", ["plurality", "borda", "copeland", "nash", "mean", "worst group"])
@given(electorates())
@OURS
def test_pareto_what_everyone_likes_less_never_wins(rule, utilities):
    worse = np.hstack([utilities, utilities[:, [0]] - 0.5])
    assert lottery(rule, worse)[-1] == pytest.approx(0, abs=1e-9)


@given(electorates(ties=True))
@OURS
def test_pareto_satisfied_what_everyone_likes_less_never_wins_alone(utilities):
    worse = np.hstack([utilities, utilities[:, [0]] - 0.5])
    chances = lottery("satisfied", worse)
    assert chances[-1] <= chances[0]


def test_pareto_lacked():
    # Both candidates satisfy both users.
    assert lottery("satisfied", [[9, 8], [7, 6]]).tolist() == [0.5, 0.5]


CLONABLE = ["nash", "mean", "worst group", "satisfied"]


def cloned(utilities, candidate, seed):
    """Two copies more of a candidate, which every user places next to it, each in an order of the user's own."""
    noise = np.random.default_rng(seed).uniform(-1e-6, 1e-6, (len(utilities), 3))
    copies = utilities[:, [candidate]] + noise
    return np.hstack([np.delete(utilities, candidate, 1).astype(float), copies])


@pytest.mark.parametrize("rule", CLONABLE)
@given(electorates(), st.integers(0, 9), st.integers(0, 1000))
@OURS
def test_clones_of_a_candidate_change_nothing_for_the_others(rule, utilities, candidate, seed):
    candidate %= utilities.shape[1]
    before = lottery(rule, utilities, aspiration=4.5)
    assume(before.max() == 1 or rule == "nash")
    after = lottery(rule, cloned(utilities, candidate, seed), aspiration=4.5)
    assert after[:-3] == pytest.approx(np.delete(before, candidate), abs=1e-6)


def test_clones_split_the_vote():
    utilities = np.array([[9, 0]] * 6 + [[0, 9]] * 5)
    assert lottery("plurality", utilities).tolist() == [1, 0]
    # Each copy of the first candidate keeps a third of its six voters.
    copies = np.hstack(
        [utilities[:, [1]], utilities[:, [0]] + np.array([[0.1, 0.2, 0.3], [0.2, 0.3, 0.1]] * 5 + [[3, 2, 1]])]
    )
    assert lottery("plurality", copies).tolist() == [1, 0, 0, 0]


def test_clones_lift_whom_they_lose_to():
    # The first beats the second, and wins. Copies of the second, which all rank just below it, lift it by Borda.
    assert lottery("borda", [[9, 5]] * 3 + [[0, 5]] * 2).tolist() == [1, 0]
    assert lottery("borda", [[9, 5, 4, 3]] * 3 + [[0, 5, 4, 3]] * 2).tolist() == [0, 1, 0, 0]


def test_clones_tip_copeland():
    # A cycle: 0 beats 1, 1 beats 2, 2 beats 0; all tie. Two copies more of 1 give 0, who beats them, two wins more.
    cycle = np.array([[3, 2, 0], [1, 9, 5], [4, 0, 9]])
    assert lottery("copeland", cycle) == pytest.approx([1 / 3] * 3)
    assert lottery("copeland", cycle[:, [0, 1, 1, 1, 2]]).tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("rule", ["mean", "worst group", "satisfied"])
@given(electorates())
@OURS
def test_irrelevant_alternatives_do_not_matter(rule, utilities):
    before, after = lottery(rule, utilities[:, :-1]), lottery(rule, utilities)
    assume(after[-1] == 0)
    assert after[:-1].tolist() == before.tolist()


@pytest.mark.parametrize(
    ("rule", "utilities"),
    [
        # Without the last candidate the first one wins by plurality only as long as the last takes votes of the second.
        ("plurality", [[9, 5, 1]] * 3 + [[1, 9, 5]] * 2 + [[1, 5, 9]] * 2),
        ("borda", [[9, 5, 4]] * 3 + [[0, 5, 4]] * 2),
        ("copeland", [[9, 5, 1]] * 1 + [[1, 9, 5]] * 1 + [[5, 1, 9]] * 1),
        ("nash", [[9, 5, 1]] * 1 + [[1, 9, 5]] * 1 + [[5, 1, 9]] * 1),
    ],
)
def test_irrelevant_alternatives_lacked(rule, utilities):
    """Who of the first two is ahead depends on whether the third stands."""
    utilities = np.array(utilities)
    two, three = lottery(rule, utilities[:, :2]), lottery(rule, utilities)
    assert np.sign(round(two[0] - two[1], 9)) != np.sign(round(three[0] - three[1], 9))


@pytest.mark.parametrize("rule", ["plurality", "borda", "nash", "mean", "satisfied"])
@given(electorates(), st.integers(0, 1000))
@settings(OURS, suppress_health_check=[HealthCheck.filter_too_much])
def test_reinforcement_two_electorates_that_agree_agree_together(rule, utilities, seed):
    rng = np.random.default_rng(seed)
    other = np.array([rng.permutation(11)[: utilities.shape[1]] for _ in range(3)])
    first, second = lottery(rule, utilities), lottery(rule, other)
    assume(first.max() > 1 - 1e-9 and second.max() > 1 - 1e-9 and first.argmax() == second.argmax())
    # The candidate that both choose alone; where ties or lotteries meet there may be several that both could choose.
    assert lottery(rule, np.vstack([utilities, other])) == pytest.approx(first, abs=1e-6)


def test_reinforcement_lacked_by_the_worst_group():
    here, there = np.array([[0, 2, 3], [2, 1, 0]]), np.array([[2, 1, 0], [0, 1, 3]])
    assert lottery("worst group", here).tolist() == [0, 1, 0]
    assert lottery("worst group", there).tolist() == [0, 1, 0]
    # Group means are 1, 1.5, 1.5 and 1, 1, 1.5.
    assert lottery("worst group", np.vstack([here, there])).tolist() == [0, 0, 1]


def test_reinforcement_lacked_by_copeland():
    here = np.repeat([[4, 2, 1, 3, 0], [2, 1, 4, 0, 3], [0, 2, 1, 4, 3]], [2, 2, 1], axis=0)
    there = np.repeat([[3, 0, 1, 4, 2], [0, 1, 2, 3, 4], [4, 0, 1, 3, 2]], [3, 2, 3], axis=0)
    assert lottery("copeland", here).tolist() == [0, 0, 0, 1, 0]
    assert lottery("copeland", there).tolist() == [0, 0, 0, 1, 0]
    assert lottery("copeland", np.vstack([here, there])).tolist() == [1, 0, 0, 0, 0]
