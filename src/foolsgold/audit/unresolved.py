"""What an audit could not tell, sentence by sentence, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from foolsgold.audit.figures import above, below
from foolsgold.audit.trust import Trust
from foolsgold.audit.verdict import Figure, shown
from foolsgold.objectives.best_of_n import doublings
from foolsgold.objectives.label_budget import effective_labels

FEW_LABELS = 25
"""Below so many effective ones, intervals of 95 % held the truth in fewer than 9 of 10 simulations."""
FEW_PROMPTS = 8
"""Below so many, Student's intervals rest on too few prompts for anybody to see whether they may be used."""


def unresolved(trust: Trust) -> list[str]:
    """Empty where everything could be told."""
    parts = (_of_prompts, _of_labels, _of_effective_labels, _of_start, _of_curves, _of_agreement, _of_texts)
    return [sentence for part in parts for sentence in part(trust)]


def _of_prompts(trust: Trust) -> Iterator[str]:
    for moment, samples in trust.moments.items():
        count = len(samples.proxy)
        if count == 1:
            yield f"There is one prompt {moment}, so nothing there has an interval; measure at least {FEW_PROMPTS}."
        elif count < FEW_PROMPTS:
            yield f"Intervals {moment} rest on {count} prompts only and are rough; measure at least {FEW_PROMPTS}."


def _of_labels(trust: Trust) -> Iterator[str]:
    for moment, samples in trust.moments.items():
        known, size = int(samples.labelled.sum()), samples.gold.size
        if known < size:
            yield (
                f"Of {size:,} samples {moment} {known:,} have gold; the rest is estimated from these, and the "
                "intervals say how far that can be trusted."
                + ("" if samples.chance is not None else " It is taken that the gaps came about by chance alone.")
            )


def _of_effective_labels(trust: Trust) -> Iterator[str]:
    start = trust.evidence.start
    if start is None or start.labelled.all():
        return
    ns = doublings(start.proxy.shape[1])
    chance = start.chance if start.chance is not None else np.full(start.proxy.shape, start.labelled.mean())
    few = ns[effective_labels(start.proxy, start.labelled, chance, ns.tolist()) < FEW_LABELS]
    if len(few):
        told = f"n = {few[0]}" if len(few) == 1 else f"n = {few[0]} to {few[-1]}"
        yield (
            f"For the best of {told} fewer than {FEW_LABELS} labels' worth of samples were judged: intervals there are "
            "too narrow. Let the audit choose what is judged (--budget), or judge more."
        )


def _of_start(trust: Trust) -> Iterator[str]:
    start = trust.evidence.start
    if start is None:
        yield "Best of n was not measured: there are no samples of the policy before RL."
    elif start.proxy.shape[1] == 1:
        yield "Best of n was not measured: there is one sample a prompt."
    elif trust.best_of_n is None:
        yield "Best of n was not measured: the proxy gives all samples of a prompt the same reward."
    for moment, samples in trust.moments.items():
        gold = samples.gold[samples.labelled]
        if gold.min() == gold.max():
            yield f"Gold is {gold[0]:g} for every judged sample {moment}: whether the proxy agrees is unknown."
    if len(trust.run) > 1 and trust.run[0].step > 0:
        first = trust.run[0]
        yield (
            f"RL was not measured before step {first.step:,} ({first.kl:.2g} nats); what is said of its start is said "
            "of that checkpoint."
        )
    if len(trust.run) == 1:
        yield "RL was not audited: there is one checkpoint; two or more make a run."


def _of_curves(trust: Trust) -> Iterator[str]:
    for name, curve in trust.curves.items():
        place = curve.place(-1)
        if not above(curve.proxy_gain, 0):
            yield (
                f"{name}: the proxy did not clearly rise ({shown(curve.proxy_gain)}), so this says little about what "
                "more of it would do."
            )
        if curve.peak == len(curve.at) - 1:
            yield f"{name}: gold is highest at the last point measured, {place}; where it turns, if ever, is unknown."
        elif curve.may_be_peak[-1]:
            yield f"{name}: whether gold had turned by {place} cannot be told ({_said(curve.fall)})."
        if not above(curve.rise, 0) and not below(curve.gain, 0):
            yield f"{name}: whether gold rises at all cannot be told ({_said(curve.rise)})."
        cut = [f"{curve.place(k)} ({curve.kl[k]:.2g})" for k in np.flatnonzero(curve.kl < 0).tolist()]
        if cut:
            yield f"{name}: the estimate of KL is negative at {', '.join(cut)}; laws take it as 0."
        law = trust.laws[name]
        if isinstance(law, str):
            yield f"{name}: no law was fitted: {law}."
        elif not law.fits:
            yield f"{name}: the law of Gao et al. (2023) does not fit ({law.reading}); nothing is concluded from it."
        elif not math.isfinite(law.peak.high):
            yield f"{name}: the fitted law cannot say at which KL gold turns at the latest; it may never turn."


def _of_agreement(trust: Trust) -> Iterator[str]:
    for moment, found in trust.agreement_of_moments.items():
        if not found.within and len(trust.moments[moment].proxy) > 1:
            yield (
                f"Correlations {moment} compare samples of different prompts, as too few prompts have two judged ones; "
                "they say little about which of two answers the proxy prefers."
            )
        if not found.within:
            continue
        pairs = found.figures[-1]
        if pairs.low is not None and not above(pairs, 0.5) and not below(pairs, 0.5):
            yield f"Whether the proxy orders two samples {moment} better than chance cannot be told ({shown(pairs)})."


def _of_texts(trust: Trust) -> Iterator[str]:
    if all(samples.texts is None for samples in trust.moments.values()):
        yield "Which texts the proxy over-rates was not looked at: the evidence has no texts."


def _said(figure: Figure) -> str:
    return f"{figure.name}: {shown(figure)}"
