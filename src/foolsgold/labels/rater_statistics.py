"""What the judgements of a project say about its raters: pace, position bias, attention, consistency, agreement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from foolsgold.labels.project import Vote
from foolsgold.objectives.statistics import Interval, wilson_interval

LEAST = 20
"""Judgements before anything is said against a rater."""
LEAST_CHECKS = 4
CHECKS_RIGHT = 0.75
HURRY = 1 / 3
"""Who takes less than this share of the median rater's time is in a hurry."""
STRICT = 2.58
"""Normal quantile of the intervals that raise a flag, 99 %: of a hundred honest raters about one is flagged."""


@dataclass(frozen=True)
class Share:
    """How many of `n`."""

    count: float
    n: int

    @property
    def value(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> Interval:
        """95 %, Wilson."""
        return wilson_interval(self.count, self.n)


@dataclass(frozen=True)
class RaterStatistics:
    """One rater's judgements in force."""

    rater: str
    judged: int
    """Pairs, checks and repeats; without skips."""
    skipped: int
    median_seconds: float | None
    left_chosen: Share
    """Of the judgements that prefer one: it was on the left. Sides are random, so that one half is fair."""
    ties: Share
    """Ties and "both bad" among all judgements."""
    checks_right: Share
    repeats_same: Share
    """Pairs shown again, sides swapped, and judged as before."""
    agreement: Share
    """With each other rater's answer to the same pair, ties as an answer of their own."""
    flags: tuple[str, ...]
    """Why this rater is suspicious, a sentence each."""


@dataclass(frozen=True)
class ProjectStatistics:
    """A project's judgements in force."""

    pairs: int
    """Without attention checks."""
    finished: int
    """Pairs with as many judgements as they want, or places out for the rest."""
    judged: int
    """Without checks, repeats and skips."""
    median_seconds: float | None
    left_chosen: Share
    agreement: Share
    """Pairs of raters who answered the same pair alike; "both bad" is a tie here."""
    raters: tuple[RaterStatistics, ...]


def project_statistics(pairs: int, finished: int, votes: Sequence[Vote]) -> ProjectStatistics:
    """Statistics of a project with so many pairs, in all and finished."""
    by_rater: dict[str, list[Vote]] = defaultdict(list)
    by_pair: dict[int, dict[str, str]] = defaultdict(dict)
    for vote in votes:
        by_rater[vote.rater].append(vote)
        if vote.kind == "pair" and vote.choice != "skipped":
            by_pair[vote.pair_id][vote.rater] = _answer(vote)
    agreeing = _agreement(by_pair)
    medians = {rater: _median(own) for rater, own in by_rater.items()}
    known = [seconds for seconds in medians.values() if seconds is not None]
    usual = median(known) if known else None
    raters = [
        _rater(rater, own, agreeing.get(rater, Share(0, 0)), medians[rater], usual)
        for rater, own in sorted(by_rater.items())
    ]
    return ProjectStatistics(
        pairs=pairs,
        finished=finished,
        judged=sum(vote.kind == "pair" and vote.choice != "skipped" for vote in votes),
        median_seconds=usual,
        left_chosen=_left(votes),
        agreement=Share(sum(own.count for own in agreeing.values()) / 2, sum(own.n for own in agreeing.values()) // 2),
        raters=tuple(raters),
    )


def _answer(vote: Vote) -> str:
    return "tie" if vote.choice == "both_bad" else vote.choice


def _agreement(by_pair: dict[int, dict[str, str]]) -> dict[str, Share]:
    same: dict[str, int] = defaultdict(int)
    met: dict[str, int] = defaultdict(int)
    for answers in by_pair.values():
        counts: dict[str, int] = defaultdict(int)
        for answer in answers.values():
            counts[answer] += 1
        for rater, answer in answers.items():
            same[rater] += counts[answer] - 1
            met[rater] += len(answers) - 1
    return {rater: Share(same[rater], met[rater]) for rater in met}


def _median(votes: Sequence[Vote]) -> float | None:
    measured = [vote.seconds for vote in votes if vote.seconds is not None and vote.choice != "skipped"]
    return median(measured) if measured else None


def _left(votes: Sequence[Vote]) -> Share:
    decided = [vote for vote in votes if vote.choice in ("a", "b")]
    return Share(sum((vote.choice == "b") == vote.swapped for vote in decided), len(decided))


def _rater(
    rater: str, votes: list[Vote], agreement: Share, seconds: float | None, usual: float | None
) -> RaterStatistics:
    judged = [vote for vote in votes if vote.choice != "skipped"]
    first = {vote.pair_id: _answer(vote) for vote in judged if vote.kind == "pair"}
    repeats = [vote for vote in judged if vote.kind == "repeat" and vote.pair_id in first]
    checks = [vote for vote in judged if vote.kind == "check"]
    left = _left(judged)
    right = Share(sum(vote.choice == vote.known for vote in checks), len(checks))
    same = Share(sum(_answer(vote) == first[vote.pair_id] for vote in repeats), len(repeats))
    ties = Share(sum(vote.choice in ("tie", "both_bad") for vote in judged), len(judged))
    return RaterStatistics(
        rater=rater,
        judged=len(judged),
        skipped=len(votes) - len(judged),
        median_seconds=seconds,
        left_chosen=left,
        ties=ties,
        checks_right=right,
        repeats_same=same,
        agreement=agreement,
        flags=tuple(_flags(left, right, same, agreement, seconds, usual, len(judged))),
    )


def _flags(
    left: Share, right: Share, same: Share, agreement: Share, seconds: float | None, usual: float | None, judged: int
) -> list[str]:
    flags = []
    low, high = wilson_interval(left.count, left.n, STRICT)
    if left.n >= LEAST and not low <= 0.5 <= high:
        side = "left" if low > 0.5 else "right"
        chosen = left.count if low > 0.5 else left.n - left.count
        flags.append(f"prefers the {side} side: {chosen:.0f} of {left.n}")
    if right.n >= LEAST_CHECKS and right.count / right.n < CHECKS_RIGHT:
        flags.append(f"misses attention checks: {right.count:.0f} of {right.n} right")
    if same.n >= LEAST and wilson_interval(same.count, same.n, STRICT).low < 0.5:
        flags.append(f"contradicts themselves: {same.count:.0f} of {same.n} repeats judged as before")
    if agreement.n >= LEAST and wilson_interval(agreement.count, agreement.n, STRICT).high < 0.5:
        flags.append(f"disagrees with the others: {agreement.count:.0f} of {agreement.n} answers alike")
    if judged >= LEAST and seconds is not None and usual is not None and seconds < HURRY * usual:
        flags.append(f"hurries: {seconds:.1f} s a pair where the median rater takes {usual:.1f} s")
    return flags
