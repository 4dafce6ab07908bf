from datetime import UTC, datetime

import pytest

from foolsgold.labels.project import Vote
from foolsgold.labels.rater_statistics import RaterStatistics, Share, project_statistics
from foolsgold.objectives.statistics import wilson_interval

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def vote(pair: int, rater: str, choice: str, kind: str = "pair", swapped: bool = False, seconds: float | None = None):
    return Vote(pair, rater, choice, None, seconds, NOON, kind, swapped, "a" if kind == "check" else None)


def of(votes: list[Vote], rater: str) -> RaterStatistics:
    return {found.rater: found for found in project_statistics(10, 0, votes).raters}[rater]


def test_by_hand():
    votes = [
        vote(1, "anna", "a", seconds=4.0),  # left
        vote(2, "anna", "a", swapped=True, seconds=6.0),  # right
        vote(3, "anna", "tie", seconds=5.0),
        vote(4, "anna", "skipped", seconds=90.0),
        vote(1, "anna", "b", "repeat", swapped=True),  # left again, the other candidate
        vote(3, "anna", "both_bad", "repeat"),
        vote(9, "anna", "a", "check"),
        vote(1, "ben", "a", seconds=9.0),
        vote(2, "ben", "b"),
        vote(3, "ben", "both_bad"),
        vote(9, "ben", "b", "check"),
        vote(1, "cleo", "b"),
    ]
    found = project_statistics(10, 3, votes)
    # Pair 1: anna and ben alike, cleo alone; pair 2: apart; pair 3: a tie is a tie.
    assert found.agreement == Share(2, 5)
    assert (found.pairs, found.finished, found.judged, found.median_seconds) == (10, 3, 7, 7.0)
    anna, ben, cleo = found.raters
    assert anna == RaterStatistics(
        rater="anna",
        judged=6,
        skipped=1,
        median_seconds=5.0,
        left_chosen=Share(3, 4),
        ties=Share(2, 6),
        checks_right=Share(1, 1),
        repeats_same=Share(1, 2),
        agreement=Share(2, 4),
        flags=(),
    )
    assert (ben.checks_right, ben.agreement) == (Share(0, 1), Share(2, 4))
    assert (cleo.agreement, cleo.median_seconds) == (Share(0, 2), None)
    assert found.left_chosen == Share(4, 8)


def test_shares():
    assert Share(3, 4).value == 0.75
    assert Share(3, 4).interval == wilson_interval(3, 4)
    assert Share(0, 0).value is None


@pytest.mark.parametrize("swapped_left", [True, False])
def test_one_side_again_and_again_is_flagged(swapped_left):
    def votes(left: int, n: int) -> list[Vote]:
        answers = ["b" if (i < left) == swapped_left else "a" for i in range(n)]
        return [vote(i, "anna", answer, swapped=swapped_left) for i, answer in enumerate(answers)]

    assert of(votes(40, 40), "anna").flags == ("prefers the left side: 40 of 40",)
    assert of(votes(2, 40), "anna").flags == ("prefers the right side: 38 of 40",)
    assert of(votes(25, 40), "anna").flags == ()
    assert of(votes(19, 19), "anna").flags == ()  # too few to say


def test_missed_checks_are_flagged():
    def votes(right: int) -> list[Vote]:
        return [vote(i, "anna", "a" if i < right else "tie", "check", swapped=i % 2 == 0) for i in range(8)]

    assert of(votes(5), "anna").flags == ("misses attention checks: 5 of 8 right",)
    assert of(votes(6), "anna").flags == ()


def test_who_answers_repeats_otherwise_is_flagged():
    first = [vote(i, "anna", "ab"[i % 2]) for i in range(30)]
    again = [vote(i, "anna", "ba"[i % 2] if i < 20 else "ab"[i % 2], "repeat") for i in range(30)]
    assert of(first + again, "anna").flags == ("contradicts themselves: 10 of 30 repeats judged as before",)
    same = [vote(i, "anna", "ab"[i % 2], "repeat") for i in range(30)]
    assert of(first + same, "anna").flags == ()


def test_who_disagrees_with_everybody_and_hurries_is_flagged():
    votes = [vote(i, rater, "ab"[i % 2], seconds=9.0) for i in range(40) for rater in ("anna", "ben")]
    votes += [vote(i, "cleo", "ba"[i % 2], seconds=2.0) for i in range(40)]
    assert of(votes, "cleo").flags == (
        "disagrees with the others: 0 of 80 answers alike",
        "hurries: 2.0 s a pair where the median rater takes 9.0 s",
    )
    assert of(votes, "anna").flags == ()
