"""The verdict and the report of the study `gap`, from what was measured."""

from __future__ import annotations

import numpy as np

from foolsgold.audit.drawing import Curve, Mark, Panel, curves_svg
from foolsgold.audit.figures import above, mean, share
from foolsgold.audit.quotes import Quote, Quotes
from foolsgold.audit.report import FigureTable, Plot, Prose, Section
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.objectives.best_of_n import doublings
from foolsgold.objectives.statistics import mean_interval
from foolsgold.studies.gap_measure import (
    CRITIC,
    ITSELF,
    KEPT,
    PARTS,
    READER,
    REWARD_MODEL,
    TASTE,
    VERIFIERS,
    Measured,
)
from foolsgold.studies.poems_pipeline import PoemsPlan

CLAIM = (
    "RLHF still helps, because of the gap between generating and discriminating: it is easier to pick the best of "
    "several answers than to write one."
)
COLORS = {REWARD_MODEL: "vermillion", TASTE: "orange", READER: "green", ITSELF: "purple", CRITIC: "blue"}
LEARNED = (REWARD_MODEL, READER)
"""Who picks in RLHF: people, and the model of them."""


def judge(measured: Measured) -> Verdict:
    """Hold the claim against the figures: do a reader and the reward model pick better than the policy writes?"""
    n, most = measured.n, measured.pool.gold.shape[1]
    gains = {name: gain(measured, name, n) for name in (*VERIFIERS, CRITIC)}
    accuracies = {name: accuracy(measured, name) for name in VERIFIERS}
    better = [above(gains[name], 0) for name in LEARNED]
    tells = [above(accuracies[name], 0.5) for name in LEARNED]
    answer: Answer = "holds" if all(better) and all(tells) else "depends" if any(better) else "fails"
    sentence = (
        f"Of {n} poems the reward model picks one that has {told(gains[REWARD_MODEL])} more gold than what the policy "
        f"writes, a reader at a glance one that has {told(gains[READER])} more; the critic's own pick has "
        f"{told(gains[CRITIC])} more. Of two poems the reward model names the better one in "
        f"{told(accuracies[REWARD_MODEL])} of cases, the reader in {told(accuracies[READER])}, the policy's own "
        f"likelihood in {told(accuracies[ITSELF])}."
    )
    figures = (
        mean("gold of the policy's poems", measured.generator),
        *gains.values(),
        gain(measured, REWARD_MODEL, most),
        *(recovered(measured, name, n) for name in VERIFIERS),
        *accuracies.values(),
        filtered(measured, REWARD_MODEL),
        filtered(measured, ITSELF),
        share("readers agree with the critic", measured.readers_agree, "pairs as compared for the reward model"),
        mean("gold of people's poems", measured.demonstrations_gold),
    )
    return Verdict("gap", CLAIM, answer, sentence, figures)


def told(figure: Figure) -> str:
    """Value and interval for a sentence; the sample sizes stand in the table."""
    parts = shown(figure)
    return f"{parts.value} {parts.interval}".strip()


def gain(measured: Measured, name: str, n: int) -> Figure:
    """Gold that picking adds, over prompts."""
    curve = measured.curves[name].gold
    top = int(curve.argmax())
    note = f"gold {curve[n - 1]:.3f}; highest at n = {top + 1:,}: {curve[top]:.3f}"
    return mean(f"best of {n:,} by {name}, less the policy's", measured.gain(name, n), note=note)


def recovered(measured: Measured, name: str, n: int) -> Figure:
    """Share of the critic's gain."""
    found = measured.recovered(name, n)
    value = f"best of {n:,} by {name}, share of the critic's gain"
    return Figure(value, found.value, *found.interval, found.n, "%", "a ratio of means over prompts")


def accuracy(measured: Measured, name: str) -> Figure:
    """Share of pairs in which the better poem is named, over prompts."""
    found = measured.accuracy(name)
    found = found[~np.isnan(found)]
    what, note = f"{name} names the better of two", "mean over prompts of the share of pairs"
    if len(found) < 2:
        return Figure(what, float("nan"), None, None, len(found), "%", "hardly any two poems differ in gold")
    return Figure(what, float(found.mean()), *mean_interval(found), len(found), "%", note)


def filtered(measured: Measured, name: str) -> Figure:
    """The generation-verification gap."""
    return mean(f"generation-verification gap of {name}", measured.filtered(name), note=f"best 1 of {KEPT} kept")


def sections(measured: Measured, plan: PoemsPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        Plot("Gold of the best of n, by who picks", curves_svg(picking(measured)), SHOWS_PICKING),
        Plot("Who names the better of two", curves_svg(telling(measured)), SHOWS_TELLING),
        gaps(measured),
        parts(measured),
        picks(measured),
    ]


SHOWS_PICKING = (
    "Left: gold of the picked poem against the number of poems to pick from, in doublings (0 is one poem, 4 is 16); "
    "picking by chance stays at the policy's own mean. Right: the gain as a share of the critic's. Bands are 95 % "
    "intervals over prompts; each n is estimated without bias from all poems of a prompt."
)
SHOWS_TELLING = (
    "Share of pairs of poems on one prompt in which the one with more gold is named, against how far the two lie apart "
    "in gold; the mean of the prompts that have such pairs, with 95 % intervals."
)


def story(measured: Measured, plan: PoemsPlan) -> list[str]:
    """The experiment in words."""
    pool = measured.pool
    prompts, each = pool.gold.shape
    return [
        f"A decoder of {plan.decoder.parameters:,} weights learns to write poems to prompts such as “write a poem "
        f"about the sea”. For {prompts:,} prompts it writes {each:,} poems each that nobody below has seen before.",
        "Gold is an exact critic: rhyme, metre and topic, times real words, freshness and form. It picks as well as "
        "anybody can, and is the bound for all others, who do not know it.",
        f"The reward model is fitted to {plan.comparisons:,} comparisons of other poems of the same policy by "
        f"{plan.readers} simulated readers. The readers themselves pick in two ways. Their mean taste is what they "
        "would agree on if none of them wavered. One reader at a glance, another for each prompt, has a taste of their "
        "own and wavers: noise is added to what they like about each poem such that of any two they prefer one with "
        "exactly the chance that it has in the comparisons. Readers do not scan metre nor look for repetition.",
        "The policy itself picks by its mean log-probability of a token: does it know which of its poems are good?",
        "The generation-verification gap is the gold of what a verifier's filter keeps, here the best "
        f"1 of {KEPT} of each prompt's poems, less the gold of all (Song et al. 2024).",
    ]


def picking(measured: Measured) -> list[Panel]:
    n = doublings(measured.pool.gold.shape[1])
    gold, shares = [], []
    for name, color in COLORS.items():
        curve = measured.curves[name]
        gold.append(Curve(name, np.log2(n), curve.gold[n - 1], curve.low[n - 1], curve.high[n - 1], color))
        if name != CRITIC:
            found = [measured.recovered(name, each) for each in n[1:].tolist()]
            low, high = np.array([each.interval for each in found]).T
            shares.append(Curve(name, np.log2(n[1:]), [each.value for each in found], low, high, color))
    base = (Mark("chance", y=float(measured.generator.mean())),)
    axis = "doublings of n (log₂ n)"
    return [
        Panel("gold", axis, "gold, 0 to 1", gold, base),
        Panel("share of the critic's gain", axis, "share", shares, (Mark("chance", y=0.0),), percent=True),
    ]


def telling(measured: Measured) -> list[Panel]:
    curves = []
    for name in VERIFIERS:
        rows = measured.accuracy_by_lead(name)
        known = np.flatnonzero((~np.isnan(rows)).sum(0) > 1)
        if len(known):
            values = [column[~np.isnan(column)] for column in rows.T[known]]
            low, high = np.array([mean_interval(column) for column in values]).T
            means = [column.mean() for column in values]
            curves.append(Curve(name, measured.mean_leads[known], means, low, high, COLORS[name]))
    if not curves:  # all poems of every prompt are equally good
        curves.append(Curve("nobody", [0.0], [0.5]))
    mark = (Mark("chance", y=0.5),)
    return [Panel("the better of two is named", "lead in gold of the better one", "pairs", curves, mark, percent=True)]


def gaps(measured: Measured) -> FigureTable:
    """The gap of each verifier, also as a share of the room above the generator."""
    figures = []
    for name in (*VERIFIERS, CRITIC):
        figures.append(filtered(measured, name))
        room = 1 - measured.generator
        relative = measured.filtered(name)[room > 0] / room[room > 0]
        low, high = mean_interval(relative)
        what = f"{name}: as a share of the room up to 1"
        figures.append(Figure(what, float(relative.mean()), low, high, len(relative), "%", "mean over prompts"))
    return FigureTable("The generation-verification gap", figures)


def parts(measured: Measured) -> FigureTable:
    """In what the picked poems are better."""
    n = measured.n
    figures = []
    for name in (REWARD_MODEL, READER, ITSELF, CRITIC):
        gains = measured.part_gain(name, n)
        figures += [
            mean(f"{name}: {part.replace('_', ' ')}", column) for part, column in zip(PARTS, gains.T, strict=True)
        ]
    intro = f"What picking the best of {n} adds to each part of gold, each from 0 to 1, less the policy's own."
    return FigureTable("In what the picked poems are better", figures, intro)


def picks(measured: Measured) -> Quotes:
    """For some prompts the poem that each would pick of all, and one drawn at random."""
    pool = measured.pool
    chosen = list(dict.fromkeys(pool.prompts))[:2]
    quotes = []
    for row in (pool.prompts.index(prompt) for prompt in chosen):
        who = {"drawn at random": 0} | {
            f"picked by {name}": int(pool.scores[name][row].argmax()) for name in (REWARD_MODEL, READER, ITSELF, CRITIC)
        }
        for note, column in who.items():
            facts = {"gold": f"{pool.gold[row, column]:.2f}"} | {
                part.replace("_", " "): f"{value:.2f}"
                for part, value in zip(PARTS, pool.parts[row, column], strict=True)
            }
            quotes.append(Quote(pool.prompts[row].strip(), pool.texts[row][column][:400].strip(), facts, note))
    return Quotes(f"Picked from {pool.gold.shape[1]:,}", quotes)
