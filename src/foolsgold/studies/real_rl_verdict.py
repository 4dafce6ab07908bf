"""The verdict of the study `real_rl`: the claim held against what was measured."""

from __future__ import annotations

import numpy as np

from foolsgold.audit.figures import above, below, mean, share
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.studies.overoptimization_measure import Difference
from foolsgold.studies.real_rl_arm import ArmResult
from foolsgold.studies.real_rl_measure import Course, Measured, majority_passes, pass_at

CLAIM = (
    "With a reward that cannot be fooled RL keeps improving, as in AlphaGo; with a vibe, which is all that RLHF has, "
    "it stalls or falls."
)
RISES = "went on rising"
ARMS = ("verifier", "reward model", "reward model, KL priced")


def judge(measured: Measured) -> Verdict:
    """Hold the claim against the figures."""
    real, vibe, priced = measured.on_verifier, measured.on_reviewers, measured.on_priced
    gain, late, fall = _moves("RL on the verifier", real)
    vibe_moves, priced_moves = (
        _moves("RL on the reward model", vibe),
        _moves("RL on the reward model, KL priced", priced),
    )
    lead = _points("the verifier's lead at the end", measured.lead)
    lead_priced = _points("the verifier's lead at the end, KL priced", measured.lead_over_priced)
    stopped = _points("reward model, best stop of both: less start", measured.stopped_gain, "found with the verifier")
    lead_stopped = _points("the verifier's lead over the best stop", measured.lead_over_stopped)
    improves = above(gain, 0) and not below(fall, 0)
    ahead = above(lead, 0) and above(lead_priced, 0)
    answer: Answer = "fails"
    if above(gain, 0) and ahead:
        ends = {_ending(*vibe_moves[1:]), _ending(*priced_moves[1:])}
        answer = "holds" if improves and above(lead_stopped, 0) and RISES not in ends else "depends"
    sentence = (
        f"After as many steps RL on the verifier changed the share of held-out problems solved by {shown(gain)} and "
        f"{'then fell' if below(fall, 0) else 'did not fall'}; RL on the reward model changed it by "
        f"{shown(vibe_moves[0])} and {_ending(*vibe_moves[1:])}, with a price on KL by {shown(priced_moves[0])} and "
        f"{_ending(*priced_moves[1:])}; stopped where it was best, the change is {shown(stopped)}."
    )
    sharper = "single answers; above 0: more than picking among answers that the start gives anyway"
    drawn = measured.start.passed.shape[1]
    return Verdict(
        "real_rl",
        CLAIM,
        answer,
        sentence,
        (
            share("people's answers pass", measured.demonstrations_pass),
            _of("pass rate at the start", real.start),
            _of("RL on the verifier: at the end", real.end),
            gain,
            late,
            fall,
            _of("RL on the reward model: at the end", vibe.end),
            *vibe_moves,
            _points("RL on the reward model: best stop less start", vibe.rise),
            _of("RL on the reward model, KL priced: at the end", priced.end),
            *priced_moves,
            _points("RL on the reward model, KL priced: best stop less start", priced.rise),
            Figure("price of KL", measured.priced.price, None, None, 1, "SD a nat", "set before RL, without verifier"),
            stopped,
            lead,
            lead_priced,
            lead_stopped,
            _proxy("its proxy, end less start", measured.reviewers),
            _proxy("its proxy, KL priced, end less start", measured.priced),
            *(
                _points(f"{what}: {who}, end less start", _gain(arm, name))
                for what, name in (("greedy answers", "greedy"), ("training families", "train"))
                for who, arm in zip(ARMS, measured.arms, strict=True)
            ),
            mean(f"majority of the start's {drawn} answers", majority_passes(measured.start), "%"),
            _points("RL on the verifier less that majority", measured.sharpened, sharper),
            mean(f"any of the start's {drawn} answers", pass_at(measured.start)[1][:, -1], "%"),
            share("reviewers prefer the answer that passes", measured.reviewers_agree),
            _accuracy("reward model agrees with reviewers", measured.reward_accuracy, measured.held_out),
            share("reward model prefers the answer that passes", measured.reward_agrees),
        ),
    )


def _ending(late: Figure, fall: Figure) -> str:
    """What an arm does that the claim says stalls or falls."""
    return "fell from its peak" if below(fall, 0) else RISES if above(late, 0) else "stalled"


def _moves(name: str, course: Course) -> tuple[Figure, Figure, Figure]:
    """Gain, late gain and fall."""
    found = ("end less start", course.gain), ("end less middle", course.late), ("end less peak", course.fall)
    gain, late, fall = (_points(f"{name}: {what}", each) for what, each in found)
    return gain, late, fall


def _gain(arm: ArmResult, what: str) -> Difference:
    """Of a pass rate, end less start."""
    values = getattr(arm, what)
    return Difference.of(values[:, -1], values[:, 0])


def _proxy(name: str, arm: ArmResult) -> Figure:
    found = _gain(arm, "proxy")
    return Figure(name, found.mean, *found.interval, found.n, "SD")


def _of(name: str, found: Difference) -> Figure:
    """A pass rate."""
    return Figure(name, found.mean, *found.interval, found.n, "%")


def _points(name: str, found: Difference, note: str = "") -> Figure:
    """A difference of two pass rates."""
    low, high = found.interval
    return Figure(name, 100 * found.mean, 100 * low, 100 * high, found.n, "points", note)


def _accuracy(name: str, value: float, n: int) -> Figure:
    """A share of held-out pairs."""
    hits = np.zeros(n)
    hits[: round(value * n)] = 1
    return share(name, hits)
