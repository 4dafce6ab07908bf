import pytest

from foolsgold.training.budget import Budget


def test_games_count_games_and_not_the_clock():
    budget = Budget(games=200)
    assert [budget.spent(1e6, games) for games in (0, 50, 200, 300)] == [0, 0.25, 1, 1.5]


def test_minutes_count_the_clock_and_not_games():
    budget = Budget(minutes=0.5)
    assert [budget.spent(seconds, 10**6) for seconds in (0, 15, 30, 60)] == [0, 0.5, 1, 2]


@pytest.mark.parametrize("limits", [{}, {"minutes": 1.0, "games": 1}])
def test_exactly_one_limit(limits):
    with pytest.raises(ValueError, match="either"):
        Budget(**limits)


@pytest.mark.parametrize("limits", [{"minutes": 0.0}, {"minutes": -1.0}, {"games": 0}, {"games": -5}])
def test_a_limit_is_positive(limits):
    with pytest.raises(ValueError, match="positive"):
        Budget(**limits)


def test_in_words():
    assert str(Budget(games=200)) == "200 games"
    assert str(Budget(minutes=2.0)) == "2 minutes"
    assert str(Budget(minutes=0.25)) == "0.25 minutes"
