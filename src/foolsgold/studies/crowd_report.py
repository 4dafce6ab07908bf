"""The verdict and the report of the study `crowd`, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from foolsgold.audit.drawing import Curve, Mark, Panel, curves_svg
from foolsgold.audit.figures import above, below, share
from foolsgold.audit.report import Plot, Prose, Section
from foolsgold.audit.tables import Comparison
from foolsgold.audit.verdict import Answer, Figure, Verdict
from foolsgold.studies.crowd_arm import RLResult
from foolsgold.studies.crowd_cell import GROUPS, LEADS, RATERS, TRUTH
from foolsgold.studies.crowd_measure import START, CrowdMeasured, Estimate
from foolsgold.studies.crowd_plan import MAIN_KL, CrowdPlan, World
from foolsgold.studies.crowd_rl_report import SHOWS_RL, by_rl, minority_by_rl, rl_panels
from foolsgold.studies.crowd_rules import ASPIRATION, CAUTIOUS, POOLED, RULES

CLAIM = (
    "There are many users: how is their satisfaction added up? One reward model of everybody's comparisons answers "
    "without being asked, and serves those who are many."
)
GOLD = {"poems": "the critic's gold", "go": "games won"}
MAXMIN = "worst group"
LABELS = {MAXMIN: "worst group (MaxMin)", "majority": "majority (Copeland)"}
"""Rules whose names alone might be misread."""


def judge(measured: Sequence[CrowdMeasured], trained: Sequence[RLResult]) -> Verdict:
    """Hold the claim against the figures of the crowd with a minority of one in ten."""
    crowd = measured[0]
    smallest = len(crowd.crowd.tastes) - 1
    minority = f"group {smallest}"
    lost = _points("pooled: the minority, less the start", crowd.over_start(minority, POOLED))
    spared = _points("MaxMin less pooled: the group that fares worst", crowd.more("worst group", MAXMIN))
    price = _points("MaxMin less pooled: all users", crowd.more("satisfied", MAXMIN))
    served = _points("pooled: all users, less the start", crowd.over_start("satisfied", POOLED))
    hidden = below(lost, 0)
    decides = above(spared, 0)
    answer: Answer = "holds" if hidden and decides else "depends" if hidden or decides else "fails"
    sentence = (
        f"At {MAIN_KL:g} nat the pooled reward model's policy satisfies {_cell(crowd.figure('satisfied', POOLED))} of "
        f"users, {100 * crowd.figure('satisfied', START, kl=0.0).value:.0f} % at the start, and of the minority "
        f"{_cell(crowd.figure(minority, POOLED))}; the rule of the worst group (MaxMin), which is told nothing more "
        f"than who said what, satisfies {_cell(crowd.figure('worst group', MAXMIN, GROUPS))} of the group that fares "
        f"worst and {_cell(crowd.figure('satisfied', MAXMIN, GROUPS))} of all."
    )
    rows = [
        served,
        lost,
        _figure("pooled: satisfied users", crowd.figure("satisfied", POOLED)),
        _figure("pooled: satisfied in the minority", crowd.figure(minority, POOLED)),
        spared,
        price,
        *(
            _points(f"{rule} less pooled: all users", crowd.more("satisfied", rule))
            for rule in ("satisfied", "Nash", "Borda")
        ),
        *(
            _points(f"{rule} less pooled: the group that fares worst", crowd.more("worst group", rule))
            for rule in ("satisfied", "Nash", "Borda")
        ),
        share("minority better off by pooled than at the start", crowd.users_better_off(POOLED, group=smallest)),
        share("… and by MaxMin", crowd.users_better_off(MAXMIN, GROUPS, smallest)),
        _figure("pooled reward model foretells comparisons", crowd.accuracy(LEADS[0])),
        _figure("… of the minority", crowd.accuracy(LEADS[0], smallest)),
        _figure("… its calibration error", crowd.calibration_error(LEADS[0])),
        _figure("… its calibration error on the minority", crowd.calibration_error(LEADS[0], smallest)),
        _figure("a head a group foretells the minority", crowd.accuracy(LEADS[1], smallest)),
        _figure("raters whom EM put among their like", crowd.rightly_grouped),
        *minority_by_rl(trained),
    ]
    return Verdict("crowd", CLAIM, answer, sentence, tuple(rows))


def _figure(name: str, found: Estimate) -> Figure:
    """A share, over draws of the crowd."""
    low, high = found.interval
    if low != low:
        return Figure(name, found.value, None, None, found.n, "%")
    # Student's interval of a few draws may reach beyond what a share can be.
    return Figure(name, found.value, max(low, 0.0), min(high, 1.0), found.n, "%", "t over draws")


def _points(name: str, found: Estimate) -> Figure:
    """A difference of two shares."""
    low, high = (None if end != end else 100 * end for end in found.interval)
    return Figure(name, 100 * found.value, low, high, found.n, "points", "t over draws")


def _cell(found: Estimate, unit: str = "%") -> str:
    """To a tenth of a per cent, or a thousandth: draws that are nearly alike are luck, not precision."""
    low, high = found.interval
    if unit != "%":
        return (f"{found.value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low == low else "")).replace("-", "−")
    inside = f" [{100 * max(low, 0.0):.1f}, {100 * min(high, 1.0):.1f}]" if low == low else ""
    return f"{100 * found.value:.1f} %{inside}"


def sections(measured: Sequence[CrowdMeasured], trained: Sequence[RLResult], plan: CrowdPlan) -> list[Section]:
    """The body of the report."""
    several = [crowd for crowd in measured if len(crowd.crowd.tastes) > 1]
    found: list[Section] = [Prose("The experiment", story(measured, plan))]
    for crowd in several:
        found += [by_rule(crowd, plan.world), Plot(f"More or less KL: {crowd.crowd.name}", curves(crowd), SHOWS_KL)]
    found += [by_voters(several[0]), hides(measured), discord(measured)]
    if trained:
        found += [
            by_rl(trained),
            Plot("RL on three rules, step by step", curves_svg(rl_panels(trained)), SHOWS_RL),
        ]
    return found


SHOWS_KL = (
    "Left all users, right the group that fares worst, against how far the policy went; the mean over draws of the "
    "crowd. Rules add up the groups that EM found. The line is what the start gives."
)


def story(measured: Sequence[CrowdMeasured], plan: CrowdPlan) -> list[str]:
    """The experiment in words."""
    first = measured[0].cells[0]
    what = "poems" if plan.world == "poems" else "boards after 26 moves on 7x7"
    tastes = "; ".join(
        f"{crowd.crowd.name}: "
        + ", ".join(
            f"{name} {100 * part:.0f} %" for name, part in zip(crowd.crowd.tastes, crowd.crowd.shares, strict=True)
        )
        for crowd in measured
    )
    against = measured[0].conflict
    return [
        f"A small policy makes {what}. {first.raters} raters compare {first.comparisons:,} pairs of them; each likes "
        f"what raters of one taste like, more or less. Crowds: {tastes}. In the first one what a mean user of the "
        f"minority likes correlates by {_signed(against[0, -1])} with what one of the majority likes, among "
        "candidates of one prompt.",
        "Reward models of the same trunk learn from the same comparisons: one for all (Bradley and Terry); a head a "
        "group, raters being put into groups by EM from nothing but what they said; a head a rater, shrunk towards the "
        "rest; a mean and a spread, which sees no names.",
        f"A rule then makes a policy that chooses among {plan.candidates} candidates of each of "
        f"{measured[0].results[0].pooled.shape[0]} prompts, none of which raters have seen. At a given KL the best "
        "policy by a rule is known exactly (the tilt by its reward; for the worst group and Nash the saddle point), so "
        "that rules differ in what they want and in nothing else.",
        f"{first.users} other users of the same tastes say what they get. A candidate satisfies a user who likes it as "
        f"well as the best {100 * (1 - ASPIRATION):.0f} % of what the start offers at the prompt. Everything but the "
        f"policy is drawn anew {len(measured[0].cells)} times, and intervals are Student's over these draws: few, and "
        "so wide.",
    ]


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def by_rule(crowd: CrowdMeasured, world: World) -> Comparison:
    """Who is satisfied by which rule at the main KL."""
    rows = [_row("the start", crowd, START, "", 0.0), _row("pooled reward model", crowd, POOLED, "")]
    rows += [_row(LABELS.get(name, name), crowd, name, GROUPS) for name in RULES]
    rows.append(_row(CAUTIOUS, crowd, CAUTIOUS, ""))
    columns = ["rule", "all users", *crowd.crowd.tastes, "worst group", "better off", GOLD[world]]
    intro = (
        f"Share of (user, candidate) that satisfies at {MAIN_KL:g} nat, by users' taste; users who like what they get "
        "better than the start's. Rules but the pooled model and the mean less its spread add up the groups found by "
        "EM, weighted by their raters."
    )
    return Comparison(f"Whom each rule satisfies: {crowd.crowd.name}", columns, rows, intro)


def _row(label: str, crowd: CrowdMeasured, rule: str, who: str, kl: float = MAIN_KL) -> list[str]:
    groups = [f"group {g}" for g in range(len(crowd.crowd.tastes))]
    names = ["satisfied", *groups, "worst group", "better off"]
    cells = [_cell(crowd.figure(name, rule, who, kl)) for name in names]
    if rule == START:  # a quarter by what satisfied means; nobody fares better than there
        cells = [f"{100 * crowd.figure(name, rule, who, kl).value:.1f} %" for name in names[:-1]] + ["–"]
    return [label, *cells, _cell(crowd.figure("gold", rule, who, kl), "")]


def curves(crowd: CrowdMeasured) -> Markup:
    """Satisfaction against KL."""
    lines = {"pooled": (POOLED, ""), **{name: (name, GROUPS) for name in ("Borda", "satisfied", "Nash", MAXMIN)}}
    panels = []
    for title, name in (("all users", "satisfied"), ("the group that fares worst", "worst group")):
        start = crowd.figure(name, START, kl=0.0).value
        found = [
            Curve(
                label,
                np.array([0.0, *crowd.kls]),
                np.array([start, *(crowd.figure(name, rule, who, kl).value for kl in crowd.kls)]),
                dashed=label == "pooled",
            )
            for label, (rule, who) in lines.items()
        ]
        panels.append(Panel(title, "KL, nats", "satisfied", found, (Mark("the start", y=start),), percent=True))
    return curves_svg(panels)


def by_voters(crowd: CrowdMeasured) -> Comparison:
    """The same rules by what they are told of the voters."""
    rows = []
    for name in RULES:
        cells = []
        for who in (GROUPS, RATERS, TRUTH):
            cells += [_cell(crowd.figure("satisfied", name, who)), _cell(crowd.figure("worst group", name, who))]
        rows.append([name, *cells])
    columns = ["rule", *(f"{who}: {what}" for who in (GROUPS, RATERS, TRUTH) for what in ("all", "worst"))]
    intro = (
        "The same rules when they add up the groups that EM found, every rater by a head of the rater's own, or what "
        "the raters truly like, which nobody can know: the difference is what reward models lose."
    )
    return Comparison(f"Who is added up: {crowd.crowd.name}", columns, rows, intro)


def hides(measured: Sequence[CrowdMeasured]) -> Comparison:
    """Accuracy and calibration of reward models, by group."""
    rows = []
    for crowd in measured:
        for model in LEADS:
            if model == LEADS[1] and len(crowd.crowd.tastes) == 1:
                continue  # one group is everybody
            last = len(crowd.crowd.tastes) - 1
            rows.append([
                f"{crowd.crowd.name}: {model}",
                _cell(crowd.accuracy(model)),
                _cell(crowd.accuracy(model, 0)),
                _cell(crowd.accuracy(model, last)) if last else "–",
                _cell(crowd.calibration_error(model)),
                _cell(crowd.calibration_error(model, last)) if last else "–",
            ])  # fmt: skip
    columns = [
        "reward model",
        "agrees",
        "with the largest group",
        "with the smallest",
        "calibration error",
        "on the smallest",
    ]
    intro = (
        "On comparisons by the same raters that no model was fitted to. A pooled model may look calibrated, since its "
        "doubts are right on average, and be surely wrong about a minority. The last row of each crowd is how often a "
        "rater's word follows the rater's liking: the rest is chance."
    )
    return Comparison("What the pooled reward model hides", columns, rows, intro)


def discord(measured: Sequence[CrowdMeasured]) -> Comparison:
    """What a mean and a spread tell of discord without names, and what EM finds with them."""
    rows = [
        [
            crowd.crowd.name,
            _cell(crowd.explained),
            _cell(crowd.discord, ""),
            _cell(crowd.rightly_grouped) if len(crowd.crowd.tastes) > 1 else "–",
        ]
        for crowd in measured
    ]
    columns = ["crowd", "r² of mean and spread", "spread found with true spread", "raters put among their like"]
    intro = (
        "r² is the share of the variance of worth that lies between candidates (Siththaranjan et al. 2024): the lower, "
        "the more is hidden. Beside it the correlation, within prompts, of the spread that the model finds with how "
        "far raters truly differ."
    )
    return Comparison("Discord, without names and with them", columns, rows, intro)
