"""The verdict and the report of the study `real_rl`, from what was measured."""

from __future__ import annotations

import re

import numpy as np

from foolsgold.audit.drawing import Curve, Panel, curves_svg
from foolsgold.audit.figures import above, below, mean, share
from foolsgold.audit.quotes import CodeQuotes, Quote
from foolsgold.audit.report import Plot, Prose, Section
from foolsgold.audit.tables import Comparison, cell
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.objectives.statistics import mean_interval
from foolsgold.studies.overoptimization_measure import Difference
from foolsgold.studies.real_rl_arm import ArmResult, PoolOfAnswers, Shown
from foolsgold.studies.real_rl_measure import Course, Measured, chosen_at, majority_passes, pass_at
from foolsgold.studies.real_rl_pipeline import ProblemsPlan

CLAIM = (
    "With a reward that cannot be fooled RL keeps improving, as in AlphaGo; with a vibe, which is all that RLHF has, "
    "it stalls or falls."
)
_EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")
TASKS = {
    "java": "translate a method from Java to Python; both are run on generated inputs, and must do the same",
    "code": "write a Python function; it must pass tests that nobody sees",
    "annotations": "find the invariant of a loop; a prover must prove the program with it",
}
"""What is asked and who checks, by world."""


def judge(measured: Measured) -> Verdict:
    """Hold the claim against the figures."""
    real, vibe = measured.on_verifier, measured.on_reviewers
    gain, fall, late = (_points(f"RL on the verifier: {name}", each) for name, each in _moves(real))
    vibe_gain, vibe_fall, vibe_late = (_points(f"RL on the reward model: {name}", each) for name, each in _moves(vibe))
    lead = _points("the verifier's lead at the end", measured.lead)
    improves = above(gain, 0) and not below(fall, 0)
    stalls = not above(vibe_late, 0) or below(vibe_fall, 0)
    answer: Answer = "fails"
    if above(gain, 0) and above(lead, 0):
        answer = "holds" if improves and stalls else "depends"
    then = "then fell" if below(fall, 0) else "did not fall"
    vibe_then = "fell from its peak" if below(vibe_fall, 0) else "stalled" if stalls else "went on rising"
    sentence = (
        f"After as many steps RL on the verifier changed the share of held-out problems solved by {shown(gain)} and "
        f"{then}; RL on the reward model changed it by {shown(vibe_gain)} and {vibe_then}."
    )
    sharper = "single answers; above 0: more than picking among answers that the start gives anyway"
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
            vibe_gain,
            vibe_late,
            vibe_fall,
            lead,
            _of("its proxy, end less start", Course.of(measured.reviewers.proxy).gain, "SD"),
            _points("greedy answers: verifier, end less start", Course.of(measured.verifier.greedy).gain),
            _points("greedy answers: reward model, end less start", Course.of(measured.reviewers.greedy).gain),
            _points("training families: verifier, end less start", Course.of(measured.verifier.train).gain),
            _points("training families: reward model, end less start", Course.of(measured.reviewers.train).gain),
            mean(
                f"majority of the start's {measured.start.passed.shape[1]} answers",
                majority_passes(measured.start),
                "%",
            ),
            _points("RL on the verifier less that majority", measured.sharpened, sharper),
            mean(
                f"any of the start's {measured.start.passed.shape[1]} answers", pass_at(measured.start)[1][:, -1], "%"
            ),
            share("reviewers prefer the answer that passes", measured.reviewers_agree),
            _accuracy("reward model agrees with reviewers", measured.reward_accuracy, measured.held_out),
            share("reward model prefers the answer that passes", measured.reward_agrees),
        ),
    )


def _moves(course: Course) -> list[tuple[str, Difference]]:
    return [("end less start", course.gain), ("end less peak", course.fall), ("end less middle", course.late)]


def _of(name: str, found: Difference, unit: str = "%") -> Figure:
    """A mean over problems."""
    return Figure(name, found.mean, *found.interval, found.n, unit)


def _points(name: str, found: Difference, note: str = "") -> Figure:
    """A difference of two pass rates."""
    low, high = found.interval
    return Figure(name, 100 * found.mean, 100 * low, 100 * high, found.n, "points", note)


def _accuracy(name: str, value: float, n: int) -> Figure:
    """A share of held-out pairs."""
    hits = np.zeros(n)
    hits[: round(value * n)] = 1
    return share(name, hits)


def sections(measured: Measured, plan: ProblemsPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        Plot("Solved and liked, step by step", curves_svg(by_step(measured)), SHOWS_STEPS),
        Plot("Seen families, and the likeliest answer", curves_svg(others(measured)), SHOWS_OTHERS),
        outcomes(measured),
        grades(measured),
        Plot("With more answers", curves_svg([more_answers(measured)]), SHOWS_MORE),
        loved(measured),
        fixed(measured),
    ]


SHOWS_STEPS = (
    "Held-out problems, of kinds that training never showed, against steps of RL: left the share of sampled answers "
    "that pass the verifier, right what the reward model says of the same answers; bands are 95 % intervals over "
    "problems."
)
SHOWS_OTHERS = (
    "Left, problems new to the policy but of families that it was trained on; right, the likeliest answer to each "
    "held-out problem."
)
SHOWS_MORE = (
    "Chance that one of k answers passes, if somebody could tell which. What rises at k = 1 and not at the largest k "
    "was in the start's answers already and has become likelier; what rises everywhere is new. The majority's text "
    "and the reward model's favourite are what the start could do without a verifier."
)


def story(measured: Measured, plan: ProblemsPlan) -> list[str]:
    """The experiment in words."""
    arm, first = measured.verifier.arm, measured.verifier.evaluations[0]
    agree = 100 * float(measured.reviewers_agree.mean())
    return [
        f"Problems: {TASKS.get(plan.world, plan.world)}. Those measured on are of other families than those learned.",
        f"Supervised finetuning. A decoder of {plan.decoder.parameters:,} weights learns from nothing to answer as "
        f"people do, {plan.demonstrations:,} times; {100 * measured.demonstrations_pass.mean():.0f} % of their answers "
        "pass.",
        f"Comparisons. {plan.reviewers} simulated reviewers look at two answers of the policy to one problem and run "
        f"neither; where one passes and the other does not, they prefer it in {agree:.0f} % of pairs. A reward model, "
        f"the policy with a head, learns {plan.comparisons:,} of the comparisons.",
        f"RL. {arm.steps} steps of {arm.method.upper()}, {arm.prompts} problems by {arm.samples} answers, learning "
        f"rate {arm.learning_rate:g}, no price on KL: once paid by the verifier"
        f"{', the share of checks passed counting' if arm.partial else ''}, once by the reward model, all else equal.",
        f"Measured every {arm.evaluate_every} steps on {len(first.sampled)} held-out problems and {len(first.train)} "
        "of the training families. Only a full pass counts.",
    ]


def curve(label: str, result: ArmResult, values: np.ndarray, color: str) -> Curve:
    """Mean over problems of `values` `[P, K]` with its band."""
    low, high = np.array([mean_interval(column) for column in values.T]).T
    return Curve(label, result.steps, values.mean(0), low, high, color)


def by_step(measured: Measured) -> list[Panel]:
    return [_panel("solved: the verifier", measured, "sampled"), _panel("liked: the reward model", measured, "proxy")]


def others(measured: Measured) -> list[Panel]:
    return [_panel("training families", measured, "train"), _panel("likeliest answer", measured, "greedy")]


def _panel(title: str, measured: Measured, name: str) -> Panel:
    percent = name != "proxy"
    curves = [
        curve("RL on verifier", measured.verifier, getattr(measured.verifier, name), "blue"),
        curve("RL on reward model", measured.reviewers, getattr(measured.reviewers, name), "vermillion"),
    ]
    return Panel(title, "steps of RL", "problems solved" if percent else "SD", curves, percent=percent)


def more_answers(measured: Measured) -> Panel:
    curves = []
    for label, pool, color in (
        ("RL on verifier", measured.verifier.end, "blue"),
        ("RL on reward model", measured.reviewers.end, "vermillion"),
        ("start", measured.start, "green"),
    ):
        k, values = pass_at(pool)
        curves.append(Curve(label, np.log2(k), values.mean(0), *_band(values), color))
    k, values = chosen_at(measured.start)
    curves.append(Curve("start, by reward model", np.log2(k), values.mean(0), color="purple", dashed=True))
    return Panel("one of k answers passes", "log2 k", "problems solved", curves, percent=True)


def _band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.array([mean_interval(column) for column in values.T]).T
    return low, high


def outcomes(measured: Measured) -> Comparison:
    """How answers end, at the start and at the end of both arms."""
    ends = {
        "start": measured.verifier.evaluations[0],
        "RL on the verifier": measured.verifier.evaluations[-1],
        "RL on the reward model": measured.reviewers.evaluations[-1],
    }
    names = sorted(
        {name for each in ends.values() for name in each.outcomes}, key=lambda name: (name != "passed", name)
    )
    rows = [
        [
            label,
            *(f"{100 * each.outcomes.get(name, 0.0):.1f} %" for name in names),
            f"{each.kl:.1f} nats",
            f"{each.entropy:.2f} nats",
        ]
        for label, each in ends.items()
    ]
    columns = ["policy", *names, "KL from the start", "entropy a token"]
    return Comparison("How answers end", columns, rows, "Share of sampled answers to held-out problems.")


def grades(measured: Measured) -> Comparison:
    """Pass rate by how hard held-out problems are."""
    rows = []
    of = np.array([problem.grade for problem in measured.tested])
    for grade in np.unique(of):
        inside = of == grade
        cells = [_pass_cell(pool, inside) for pool in (measured.start, measured.verifier.end, measured.reviewers.end)]
        rows.append([f"{grade}", f"{inside.sum()}", *cells])
    columns = ["grade", "problems", "start", "RL on the verifier", "RL on the reward model"]
    return Comparison("From easy to hard", columns, rows, "Share of sampled answers that pass, with 95 % intervals.")


def _pass_cell(pool: PoolOfAnswers, inside: np.ndarray) -> str:
    values = pool.passed[inside].mean(1)
    low, high = mean_interval(values) if len(values) > 1 else (None, None)
    return cell(float(values.mean()), low, high, "%")


def loved(measured: Measured) -> CodeQuotes:
    """Answers that the reward model likes best of those that the verifier rejects."""
    evaluations = measured.reviewers.evaluations
    places = sorted({0, 1, len(evaluations) // 2, len(evaluations) - 1})
    quotes = [_quote(each, evaluations[place].step) for place in places for each in evaluations[place].loved[:2]]
    intro = "On the way of RL on the reward model: what it scores highest of what does not pass."
    return CodeQuotes("Loved by the reward model, rejected by the verifier", quotes, intro)


def fixed(measured: Measured) -> CodeQuotes:
    """Test problems whose likeliest answer was wrong at the start and passes at the end of RL on the verifier."""
    before, after = measured.verifier.evaluations[0], measured.verifier.evaluations[-1]
    pairs = list(zip(before.likeliest, after.likeliest, measured.tested, strict=True))
    mended = [pair for pair in pairs if pair[0].outcome != "passed" and pair[1].outcome == "passed"]
    broken = sum(a.outcome == "passed" and b.outcome != "passed" for a, b, _ in pairs)
    one_each = list({problem.family: (a, b) for a, b, problem in reversed(mended)}.values())[:3]
    quotes = [quote for a, b in one_each for quote in (_quote(a, before.step), _quote(b, after.step))]
    intro = (
        f"Of {len(pairs)} likeliest answers to held-out problems RL on the verifier mended {len(mended)} and broke "
        f"{broken}. Before and after:"
    )
    return CodeQuotes("What RL on the verifier changed", quotes, intro)


def _quote(each: Shown, step: int) -> Quote:
    facts = {"step": f"{step}", "verifier": each.outcome, "reward model": f"{each.proxy:+.1f} SD"}
    text = _EMPTY_LINES.sub("\n…\n", each.text[:600].rstrip())
    return Quote(each.prompt.strip(), text, facts, each.detail[:160])
