"""The verdict and the report of an audit, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foolsgold.audit.agreement import Agreement, correlation_figure
from foolsgold.audit.drawing import Curve, Mark, Panel, curves_svg
from foolsgold.audit.figures import above, below
from foolsgold.audit.fitted_law import FittedLaw
from foolsgold.audit.gold_curve import GoldCurve, band
from foolsgold.audit.quotes import Quote, Quotes, cut
from foolsgold.audit.report import FigureTable, Plot, Prose, Section
from foolsgold.audit.slice_tables import SliceTable, slice_panels
from foolsgold.audit.trust import Trust
from foolsgold.audit.unresolved import unresolved
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown

CLAIM = "More of this proxy is more gold."
QUOTED = 600
"""Characters of a quoted text."""


def judge(trust: Trust) -> Verdict:
    """Hold the claim against the most optimised points that were measured: the end of the run, and the largest n.

    It holds if gold is clearly above the start there and not clearly below its peak; it fails if gold is clearly below
    the start; it depends if gold rose and clearly fell again, or nothing is clear. Of RL and best of n, one that fails
    is enough to fail, and both must hold to hold.
    """
    answers = [answer(curve) for curve in trust.curves.values()]
    overall: Answer = "depends"
    if "fails" in answers:
        overall = "fails"
    elif answers and set(answers) == {"holds"}:
        overall = "holds"
    told = [sentence(name, curve) for name, curve in trust.curves.items()]
    figures = [figure for name, curve in trust.curves.items() for figure in _figures(name, curve, trust.laws[name])]
    for moment, found in trust.agreement_of_moments.items():
        pearson, _, *pairs = found.figures
        figures += [replace(figure, name=f"{figure.name}, {moment}") for figure in (pearson, *pairs)]
    nothing = "Neither RL nor best of n was measured, so how far the proxy may be optimised cannot be told."
    return Verdict("audit", CLAIM, overall, " ".join(told) or nothing, tuple(figures))


def answer(curve: GoldCurve) -> Answer:
    """What one curve says about the claim; where the proxy itself did not clearly rise, it says nothing."""
    if not above(curve.proxy_gain, 0):
        return "depends"
    if below(curve.gain, 0):
        return "fails"
    return "holds" if above(curve.gain, 0) and not below(curve.fall, 0) else "depends"


def sentence(name: str, curve: GoldCurve) -> str:
    """Where to stop and what it is worth."""
    stop, end = curve.stop, curve.place(-1)
    who = f"Under {name}" if name == "RL" else "With the best of n"
    if not above(curve.proxy_gain, 0):
        return f"{who} the proxy itself did not clearly rise ({_said(curve.proxy_gain)}), which tells nothing of more."
    where = f"{curve.place(curve.peak)} ({curve.rivals}; {_nats(curve)})"
    if below(curve.gain, 0):
        fell = f"by {end} gold is below the start: {_said(curve.gain)}"
        advice = "do not optimise this proxy" if curve.peak == 0 else f"gold is highest at {where}; stop there at most"
        return f"{who}, {fell}; {advice}."
    if below(curve.fall, 0):
        rose = f"rises by {_said(curve.rise)}" if above(curve.rise, 0) else "does not clearly rise"
        return f"{who} gold {rose} until {where} and falls by {end}: {_said(curve.fall)}; stop at the peak."
    if above(curve.gain, 0):
        last = stop.at == curve.at[-1]
        so_far = "is still highest there" if last else f"is highest at {where}, not clearly higher than there"
        return f"{who} gold rises by {_said(curve.gain)} up to {end} and {so_far}."
    return f"{who} what happens to gold up to {end} is not clear: {_said(curve.gain)}; its highest is at {where}."


def sections(trust: Trust, extra: Sequence[Section] = ()) -> list[Section]:
    """The body of the report; `extra` stands before what could not be resolved."""
    body: list[Section] = [Prose("What was measured", _story(trust))]
    if trust.rl is not None:
        body.append(Plot("Gold beside proxy, step by step", curves_svg(_by_step(trust.rl)), SHOWS_STEPS))
    if trust.best_of_n is not None:
        body.append(Plot("Best of n", curves_svg(_by_n(trust.best_of_n)), SHOWS_N))
    if trust.curves:
        panels = [_by_kl(name, curve, trust.laws[name]) for name, curve in trust.curves.items()]
        body.append(Plot("Gold against KL, with the laws of over-optimization", curves_svg(panels), _shows_kl(trust)))
        body.append(_law_table(trust))
    body.append(_agreement(trust))
    if trust.slices.biases or trust.slices.slices:
        body += _slices(trust)
    for moment in trust.moments:
        if trust.over_rated[moment]:
            body.append(_quotes(trust, moment))
    told = unresolved(trust)
    return [*body, *extra, Prose("What could not be resolved", told or ["Nothing that was asked stayed open."])]


SHOWS_STEPS = (
    "Both against steps of RL on the same prompts: left the proxy, right gold. Bands are 95 % intervals over prompts, "
    "point by point; the line marks the checkpoint of the highest gold."
)
SHOWS_N = (
    "What the best of n by proxy would get, against doublings of n (0 is one sample, 4 is the best of 16), each n "
    "estimated without bias from all samples of a prompt; bands are 95 % intervals over prompts, point by point."
)


def _story(trust: Trust) -> list[str]:
    evidence = trust.evidence
    told = [f"Proxy: {evidence.proxy_name}. Gold: {evidence.gold_name}, the reward that counts."]
    if evidence.start is not None:
        prompts, samples = evidence.start.proxy.shape
        labels = int(evidence.start.labelled.sum())
        told.append(f"Before RL: {prompts:,} prompts with {samples:,} samples each, {labels:,} of them with gold.")
    if evidence.run:
        last = evidence.run[-1]
        prompts, samples = last.samples.proxy.shape
        labels = sum(int(each.samples.labelled.sum()) for each in evidence.run)
        told.append(
            f"RL: {len(evidence.run)} checkpoints up to step {last.step:,} and {last.kl:.3g} nats from the start, "
            f"{prompts:,} prompts with {samples:,} samples each; {labels:,} samples with gold."
        )
    told.append(
        "The stopping point is the one of the highest mean gold. How high it is, is measured on prompts that had no "
        "say in choosing it; the points from which it cannot be told apart hold the true peak in 95 of 100 audits."
    )
    return told


def _by_step(curve: GoldCurve) -> list[Panel]:
    mark = (Mark("highest gold", x=float(curve.at[curve.peak])),)
    return [
        Panel("proxy", "steps of RL", "proxy", [_drawn("proxy", curve.at, curve.proxy, "vermillion")], mark),
        Panel("gold", "steps of RL", "gold", [_drawn("gold", curve.at, curve.gold, "blue")], mark),
    ]


def _by_n(curve: GoldCurve) -> list[Panel]:
    doublings, label = np.log2(curve.at), "doublings of n (log₂ n)"
    mark = (Mark("highest gold", x=float(doublings[curve.peak])),)
    return [
        Panel("proxy of the best", label, "proxy", [_drawn("proxy", doublings, curve.proxy, "vermillion")], mark),
        Panel("gold of the best", label, "gold", [_drawn("gold", doublings, curve.gold, "blue")], mark),
    ]


def _by_kl(name: str, curve: GoldCurve, law: FittedLaw | str) -> Panel:
    kl = np.maximum(curve.kl, 0)
    order = np.argsort(kl, kind="stable")
    gained = (curve.gold - curve.gold[:, :1])[:, order]
    curves = [_drawn("measured", np.sqrt(kl[order]), gained, "blue")]
    if isinstance(law, FittedLaw) and law.fits:
        at = np.linspace(0, np.sqrt(law.kl.max()), 60) ** 2
        curves.append(Curve("law", np.sqrt(at), law.fit.gold(at), *law.resampled.gold(at), color="orange", dashed=True))
    return Panel(name, "√KL", "gold gained", curves)


def _shows_kl(trust: Trust) -> str:
    told = (
        "Gold gained since the start against the square root of KL from the policy at the start, in nats, with 95 % "
        "intervals over prompts."
    )
    for name, law in trust.laws.items():
        if isinstance(law, str):
            told += f" {name}: no law was fitted, as {law}."
        elif not law.fits:
            told += f" {name}: the law does not fit ({law.reading}) and is not drawn."
    return told


def _law_table(trust: Trust) -> FigureTable:
    figures = [
        replace(figure, name=f"{name}: {figure.name}")
        for name, law in trust.laws.items()
        if isinstance(law, FittedLaw)
        for figure in law.figures
    ]
    intro = (
        "R(d) = d (a − b d) for best of n, R(d) = d (a − b ln d) for RL, d the square root of KL (Gao et al. 2023)."
        if figures
        else _shows_kl(trust)
    )
    return FigureTable("The laws' coefficients", figures, intro)


def _agreement(trust: Trust) -> Section:
    along = trust.agreement_along_run
    if len(along) < 2:
        return FigureTable("Proxy and gold on single samples", trust.agreement.figures, INTRO_AGREEMENT)
    steps = np.array([each.step for each in trust.run])
    curves = [_along(name, steps, along, i) for i, name in enumerate(("Pearson", "Spearman"))]
    panels = [Panel("correlation", "steps of RL", "correlation", curves, (Mark("none", y=0.0),))]
    if not all(each.within for each in along):
        return Plot("Proxy and gold on single samples", curves_svg(panels), INTRO_CORRELATION)
    pairs = [_along("pairs ordered alike", steps, along, 2)]
    chance = (Mark("chance", y=0.5),)
    panels.append(Panel("pairs ordered as by gold", "steps of RL", "pairs", pairs, chance, percent=True))
    return Plot("Proxy and gold on single samples", curves_svg(panels), INTRO_AGREEMENT)


INTRO_CORRELATION = (
    "Correlation of proxy and gold among all samples of a checkpoint, with 95 % intervals over prompts. A policy that "
    "has found what the proxy over-rates writes samples on which the two part."
)
INTRO_AGREEMENT = (
    "Left: correlation of proxy and gold among samples of one prompt. Right: of two samples of one prompt that differ "
    "in gold, how often the proxy gives more to the better one. 95 % intervals over prompts. A policy that has found "
    "what the proxy over-rates writes samples on which the two part."
)


def _along(name: str, steps: np.ndarray, along: Sequence[Agreement], index: int) -> Curve:
    figures = [each.figures[index] for each in along]
    low, high = (
        np.array([np.nan if end is None else end for end in ends])
        for ends in ([figure.low for figure in figures], [figure.high for figure in figures])
    )
    return Curve(name, steps, [figure.value for figure in figures], low, high)


def _slices(trust: Trust) -> list[Section]:
    found = trust.slices
    figures = [
        correlation_figure(f"{each.feature}, {each.moment}", each.correlation, _adjusted(each.p_value))
        for each in found.biases
        if not math.isnan(each.correlation.value)
    ]
    said = "; ".join(str(each) for each in found.found)
    intro = (
        "Correlation of the proxy with each feature among samples equal in gold, and for all but length also equal in "
        f"length. {found.looked_at} slices and features were looked at, p-values are adjusted for all of them (Holm). "
        + (f"Clear: {said}." if said else "No feature is clearly over-rated or under-rated.")
    )
    body: list[Section] = [FigureTable("What the proxy over-rates", figures, intro)] if figures else []
    panels = slice_panels(found)
    if panels:
        body.append(Plot("Over-rating, slice by slice", curves_svg(panels), SHOWS_SLICES))
    return [*body, SliceTable("All slices", found.slices)]


SHOWS_SLICES = (
    "Samples sorted by a feature and cut at its quartiles, the lowest first: how much more the proxy gives them than "
    "to samples of equal gold, in standard deviations of the proxy, with 95 % intervals over prompts."
)


def _adjusted(p_value: float) -> str:
    return f"{'clear, ' if p_value < 0.05 else ''}adjusted p {'< 0.001' if p_value < 0.001 else f'= {p_value:.2g}'}"


def _quotes(trust: Trust, moment: str) -> Quotes:
    quotes = [
        Quote(
            cut(trust.prompt(moment, each.prompt), QUOTED),
            cut(each.text.strip(), QUOTED),
            {
                "proxy": f"{each.proxy:.3g}, above {100 * each.proxy_rank:.0f} %",
                "gold": f"{each.gold:.3g}, above {100 * each.gold_rank:.0f} %",
            },
        )
        for each in trust.over_rated[moment]
    ]
    intro = "High by proxy, low by gold: the samples whose two ranks lie furthest apart, one of each prompt."
    return Quotes(f"Most over-rated {moment}", quotes, intro)


def _figures(name: str, curve: GoldCurve, law: FittedLaw | str) -> list[Figure]:
    """What the verdict rests on."""
    stop = curve.stop
    where = "step" if curve.unit == "step" else "n"
    found = [
        Figure(
            f"{where} to stop at", stop.at, stop.first, stop.last, curve.prompts, note="the points that may be the peak"
        ),
        Figure("KL there", stop.kl, stop.least_kl, stop.most_kl, curve.prompts, "nats"),
        curve.start,
        curve.rise,
        curve.fall,
        curve.gain,
        curve.proxy_gain,
    ]
    if isinstance(law, FittedLaw) and law.fits:
        found.append(law.peak_figure)
    return [replace(figure, name=f"{name}: {figure.name}") for figure in found]


def _said(figure: Figure) -> str:
    """Value and interval; the sample size stands in the table."""
    parts = shown(figure)
    return f"{parts.value} {parts.interval}".strip()


def _nats(curve: GoldCurve) -> str:
    stop = curve.stop
    several = f", {stop.least_kl:.2g} to {stop.most_kl:.2g}" if stop.least_kl < stop.most_kl else ""
    return f"{stop.kl:.2g} nats{several}"


def _drawn(label: str, x: np.ndarray, values: np.ndarray, color: str) -> Curve:
    return Curve(label, x, values.mean(0), *band(values), color=color)
