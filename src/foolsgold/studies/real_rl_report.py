"""The report of the study `real_rl`, from what was measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from foolsgold.audit.drawing import Curve, Panel, curves_svg
from foolsgold.audit.quotes import CodeQuotes, Quote
from foolsgold.audit.report import Plot, Prose, Section
from foolsgold.audit.tables import Comparison, cell
from foolsgold.objectives.statistics import mean_interval
from foolsgold.studies.real_rl_arm import ArmResult, PoolOfAnswers, Shown
from foolsgold.studies.real_rl_measure import Measured, chosen_at, pass_at
from foolsgold.studies.real_rl_pipeline import ProblemsPlan
from foolsgold.studies.real_rl_price import BEST_OF, KL_BUDGET

_EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")
TASKS = {
    "java": "translate a method from Java to Python; both are run on generated inputs, and must do the same",
    "code": "write a Python function; it must pass tests that nobody sees",
    "annotations": "find the invariant of a loop; a prover must prove the program with it",
}
"""What is asked and who checks, by world."""


def sections(measured: Measured, plan: ProblemsPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        Plot("Solved and liked, step by step", curves_svg(by_step(measured)), SHOWS_STEPS),
        Plot("Where to stop", curves_svg(to_stop(measured)), SHOWS_STOPS),
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
SHOWS_STOPS = (
    "Share of sampled answers to held-out problems that pass: left, the first steps drawn wide; right, against the way "
    "gone from the start. The best place to stop RL on the reward model is seen here with the verifier's help alone."
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
    arm, first, priced = measured.verifier.arm, measured.verifier.evaluations[0], measured.priced
    agree = 100 * float(measured.reviewers_agree.mean())
    return [
        f"Problems: {TASKS.get(plan.world, plan.world)}. Those measured on are of other families than those learned.",
        f"Supervised finetuning. A decoder of {plan.decoder.parameters:,} weights learns from nothing to answer as "
        f"people do, {plan.demonstrations:,} times; {100 * measured.demonstrations_pass.mean():.0f} % of their answers "
        "pass.",
        f"Comparisons. {plan.reviewers} simulated reviewers look at two answers of the policy to one problem and run "
        f"neither; where one passes and the other does not, they prefer it in {agree:.0f} % of pairs. A reward model, "
        f"the policy with a head, learns {plan.comparisons:,} of the comparisons, or as many as there are.",
        f"RL. {arm.steps} steps of {arm.method.upper()}, {arm.prompts} problems by {arm.samples} answers, learning "
        f"rate {arm.learning_rate:g}: once paid by the verifier"
        f"{', the share of checks passed counting' if arm.partial else ''}, once by the reward model, and once by the "
        "reward model less a price on KL, as RLHF is done; all else equal.",
        f"The price is {priced.price:.2f} standard deviations of the proxy a nat, set before RL by how proxies of the "
        "start's answers to one problem differ: if they were normal, the best policy would be "
        f"{KL_BUDGET:.2f} nats from the start, as far as the reward model's favourite of {BEST_OF} answers. "
        "The verifier was not asked.",
        f"Measured after 1, 2, 4 steps and so on and then every {arm.evaluate_every} steps, on {len(first.sampled)} "
        f"held-out problems and {len(first.train)} of the training families. Only a full pass counts.",
    ]


LABELS = ("RL on verifier", "RL on reward model", "reward model, KL priced")
COLORS = ("blue", "vermillion", "purple")


def by_step(measured: Measured) -> list[Panel]:
    return [_panel("solved: the verifier", measured, "sampled"), _panel("liked: the reward model", measured, "proxy")]


def to_stop(measured: Measured) -> list[Panel]:
    first = _panel("the first steps", measured, "sampled", lambda arm: np.log2(1 + arm.steps))
    way = _panel("by KL", measured, "sampled", lambda arm: np.sqrt(np.maximum(arm.kl, 0)))
    return [replace(first, x_label="log2 (1 + steps)"), replace(way, x_label="square root of KL from the start, nats")]


def others(measured: Measured) -> list[Panel]:
    return [_panel("training families", measured, "train"), _panel("likeliest answer", measured, "greedy")]


def _steps(arm: ArmResult) -> np.ndarray:
    return arm.steps


def _panel(title: str, measured: Measured, name: str, place: Callable[[ArmResult], np.ndarray] = _steps) -> Panel:
    """Mean over problems, `name` of each arm's evaluations, at `place` `[K]`, with its band."""
    curves = []
    for label, arm, color in zip(LABELS, measured.arms, COLORS, strict=True):
        values = getattr(arm, name)
        curves.append(Curve(label, place(arm), values.mean(0), *_band(values), color))
    percent = name != "proxy"
    return Panel(title, "steps of RL", "problems solved" if percent else "SD", curves, percent=percent)


def more_answers(measured: Measured) -> Panel:
    pools = [*(arm.end for arm in measured.arms), measured.start]
    curves = []
    for label, pool, color in zip((*LABELS, "start"), pools, (*COLORS, "green"), strict=True):
        k, values = pass_at(pool)
        curves.append(Curve(label, np.log2(k), values.mean(0), *_band(values), color))
    k, values = chosen_at(measured.start)
    curves.append(Curve("start, by reward model", np.log2(k), values.mean(0), color="green", dashed=True))
    return Panel("one of k answers passes", "log2 k", "problems solved", curves, percent=True)


def _band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.array([mean_interval(column) for column in values.T]).T
    return low, high


def outcomes(measured: Measured) -> Comparison:
    """How answers end, at the start and at the end of the arms."""
    ends = {"start": measured.verifier.evaluations[0]}
    ends |= {label: arm.evaluations[-1] for label, arm in zip(LABELS, measured.arms, strict=True)}
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
        cells = [_pass_cell(pool, inside) for pool in (measured.start, *(arm.end for arm in measured.arms))]
        rows.append([f"{grade}", f"{inside.sum()}", *cells])
    columns = ["grade", "problems", "start", *LABELS]
    return Comparison("From easy to hard", columns, rows, "Share of sampled answers that pass, with 95 % intervals.")


def _pass_cell(pool: PoolOfAnswers, inside: np.ndarray) -> str:
    values = pool.passed[inside].mean(1)
    low, high = mean_interval(values) if len(values) > 1 else (None, None)
    return cell(float(values.mean()), low, high, "%")


def loved(measured: Measured) -> CodeQuotes:
    """Answers that the reward model likes best of those that the verifier rejects."""
    evaluations = measured.reviewers.evaluations
    middle = len(evaluations) // 2
    picked = [evaluations[place] for place in (0, middle, -1)]
    quotes = [_quote(each, found.step) for found in picked for each in found.loved[:2]]
    last = measured.priced.evaluations[-1]
    quotes += [_quote(each, last.step, ", KL priced") for each in last.loved[:2]]
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


def _quote(each: Shown, step: int, note: str = "") -> Quote:
    facts = {"step": f"{step}{note}", "verifier": each.outcome, "reward model": f"{each.proxy:+.1f} SD"}
    text = _EMPTY_LINES.sub("\n…\n", each.text[:600].rstrip())
    return Quote(each.prompt.strip(), text, facts, each.detail[:160])
