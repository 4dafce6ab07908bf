"""The verdict and the report of the study `overoptimization`, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foolsgold.audit.drawing import Curve, Mark, Panel, curves_svg
from foolsgold.audit.figures import above, below, mean, share
from foolsgold.audit.quotes import Quote, Quotes
from foolsgold.audit.report import FigureTable, Plot, Prose, Section
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.objectives.best_of_n import best_of_n_kl, doublings
from foolsgold.objectives.statistics import mean_interval
from foolsgold.studies.overoptimization_measure import Difference, LawOf, Measured
from foolsgold.studies.poem_arm import ArmResult
from foolsgold.studies.poems_pipeline import PoemsPlan

CLAIM = (
    "A reward model is a crappy proxy: the policy finds inputs that it scores highly for the wrong reasons "
    '("the the the the"), so you cannot run RLHF for long; after some hundred steps you stop.'
)
SD = "SD"
"""Unit of the proxy: standard deviations over poems of the finetuned policy."""


def judge(measured: Measured) -> Verdict:
    """Hold the claim against the figures."""
    turn, result = measured.turn, measured.main
    rise, fall = difference("gold, peak less start", turn.rise), difference("gold, end less peak", turn.fall)
    proxy = difference("proxy, end less start", turn.proxy, SD)
    answer: Answer = "fails"
    if above(proxy, 0) and below(fall, 0):
        answer = "holds" if above(rise, 0) else "depends"
    went = "rose" if above(rise, 0) else "did not clearly rise"
    then = "then fell" if below(fall, 0) else "then did not clearly fall"
    sentence = (
        f"Under RL without a price on KL the proxy rose by {shown(proxy)}; gold {went} until step "
        f"{turn.peak.step} ({shown(rise)}) and {then} by the end, step {result.evaluations[-1].step} ({shown(fall)})."
    )
    best, pool = measured.best_of_n.gold_curve, measured.best_of_n
    top = int(best.gold.argmax())
    figures = (
        difference("gold at the start", turn.start),
        rise,
        fall,
        proxy,
        Figure(
            "KL where gold is highest", turn.peak.kl, None, None, len(turn.peak.gold), "nats", f"step {turn.peak.step}"
        ),
        peak("KL at the peak, by the law of RL", measured.rl_law, len(result.gold)),
        Figure(
            f"gold of the best of {len(best.n):,} by proxy",
            float(best.gold[-1]),
            float(best.low[-1]),
            float(best.high[-1]),
            len(pool.gold),
            note=f"highest at n = {best.n[top]:,}: {best.gold[top]:.3f}",
        ),
        peak("KL at the peak, by the law of best of n", measured.best_of_n_law, len(pool.gold)),
        share("readers agree with the critic", measured.readers_agree),
        accuracy("reward model agrees with the readers", result.readers_accuracy, result.held_out),
        accuracy("reward model agrees with the critic", result.gold_accuracy, result.held_out),
        mean("gold of people's poems", measured.demonstrations_gold),
    )
    return Verdict("overoptimization", CLAIM, answer, sentence, figures)


def difference(name: str, found: Difference, unit: str = "") -> Figure:
    """A mean over prompts."""
    return Figure(name, found.mean, *found.interval, found.n, unit)


def accuracy(name: str, value: float, n: int) -> Figure:
    """A share of held-out pairs."""
    hits = np.zeros(n)
    hits[: round(value * n)] = 1
    return share(name, hits)


def peak(name: str, law: LawOf, n: int) -> Figure:
    """Where a law turns that was fitted to `n` prompts."""
    low, high = law.resampled.peak_kl
    note = f"R² {law.fit.r_squared:.2f}; it turns in {100 * law.resampled.share_with_peak:.0f} % of resamples"
    return Figure(name, law.fit.peak_kl, low, high, n, "nats", note)


def sections(measured: Measured, plan: PoemsPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        Plot("Gold beside proxy, step by step", curves_svg(by_step(measured)), SHOWS_STEPS),
        first_degenerate(measured),
        Plot("Against KL, with the laws of Gao, Schulman and Hilton", curves_svg(by_kl(measured)), SHOWS_KL),
        laws(measured),
        *(sweep(name, results, measured) for name, results in measured.sweeps.items()),
    ]


SHOWS_STEPS = (
    "Both against steps of RL on the same poems: left what the reward model says, right what the critic says; bands "
    "are 95 % intervals over prompts."
)
SHOWS_KL = (
    "Gold gained since the start against the square root of KL from the finetuned policy, in nats: points and the "
    "fitted law, for RL on the left and for the best of n on the right; bands are 95 % intervals over prompts."
)


def story(measured: Measured, plan: PoemsPlan) -> list[str]:
    """The experiment in words, in the order of the essay."""
    arm = measured.main.arm
    agree = 100 * float(measured.readers_agree.mean())
    return [
        f"Pretraining. A decoder of {plan.decoder.parameters:,} weights ({plan.layers} layers, width {plan.width}) "
        f"learns to foresee the next token of {plan.pretraining_texts:,} poems and lines of prose.",
        f"Supervised finetuning. It imitates {plan.demonstrations:,} poems that people wrote to prompts such as "
        f"“write a poem about the sea”: careful and careless ones, mean gold {measured.demonstrations_gold.mean():.2f} "
        f"of 1. Its own have {measured.pool_gold.mean():.2f}.",
        "Gold is an exact critic: rhyme, metre and topic, times real words, freshness and form. Nobody below knows it.",
        f"Comparisons. {plan.readers} simulated readers compare two of the policy's poems at a glance: topic words, "
        "pretty words, line ends that sound alike. They do not scan metre nor look for repetition, and they waver. "
        f"They prefer what the critic prefers in {agree:.0f} % of pairs.",
        f"Reward model. The policy's own trunk, fitted to {arm.comparisons:,} comparisons by Bradley and Terry's "
        "likelihood.",
        f"RL. {arm.steps} steps of RLOO, {arm.prompts} prompts by {arm.samples} poems each, reward model's score as "
        f"reward, price of KL {arm.kl_price:g}. Every {arm.evaluate_every} steps gold and proxy are measured on "
        f"{len(measured.main.evaluations[0].gold)} fixed prompts.",
        f"Best of n. For {len(measured.best_of_n.gold)} prompts {measured.best_of_n.gold.shape[1]:,} poems each; what "
        "the best of any n by proxy would give is estimated without bias from all of them.",
    ]


def curve(label: str, x: np.ndarray, values: np.ndarray, color: str | None = None) -> Curve:
    """Mean over prompts of `values` `[P, K]` with its band."""
    low, high = np.array([mean_interval(column) for column in values.T]).T
    return Curve(label, x, values.mean(0), low, high, color)


def by_step(measured: Measured) -> list[Panel]:
    result = measured.main
    steps = np.array([each.step for each in result.evaluations])
    mark = (Mark("peak of gold", x=measured.turn.peak.step),)
    return [
        Panel("proxy: the reward model", "steps of RL", SD, [curve("proxy", steps, result.proxy, "vermillion")], mark),
        Panel("gold: the critic", "steps of RL", "gold, 0 to 1", [curve("gold", steps, result.gold, "blue")], mark),
    ]


def by_kl(measured: Measured) -> list[Panel]:
    result, pool = measured.main, measured.best_of_n
    order = np.argsort(result.kl, kind="stable")
    gained = (result.gold - result.gold[:, :1])[:, order]
    n = doublings(pool.gold.shape[1])
    best, kl = pool.gold_curve, best_of_n_kl(n)
    start = best.gold[0]
    points = Curve(
        "best of n", np.sqrt(kl), best.gold[n - 1] - start, best.low[n - 1] - start, best.high[n - 1] - start
    )
    return [
        Panel(
            "RL",
            "√KL",
            "gold gained",
            [
                curve("measured", np.sqrt(result.kl[order]), gained, "blue"),
                law_curve(measured.rl_law, measured.rl_law.most),
            ],
        ),
        Panel(
            "best of n", "√KL", "gold gained", [points, law_curve(measured.best_of_n_law, measured.best_of_n_law.most)]
        ),
    ]


def law_curve(law: LawOf, most: float) -> Curve:
    """The fitted law up to `most` nats."""
    kl = np.linspace(0, np.sqrt(most), 60) ** 2
    return Curve("law", np.sqrt(kl), law.fit.gold(kl), *law.resampled.gold(kl), color="orange", dashed=True)


def laws(measured: Measured) -> FigureTable:
    """Coefficients of the fits."""
    figures = []
    for name, law in (("RL", measured.rl_law), ("best of n", measured.best_of_n_law)):
        sample = len(measured.main.gold) if name == "RL" else len(measured.best_of_n.gold)
        for letter, value, interval in (
            ("a", law.fit.a, law.resampled.a_interval),
            ("b", law.fit.b, law.resampled.b_interval),
        ):
            figures.append(Figure(f"{name}: {letter}", value, *interval, sample, note=f"R² {law.fit.r_squared:.2f}"))
        gained = law.resampled.peak_gold
        figures.append(Figure(f"{name}: gold gained at the peak", law.fit.peak_gold, *gained, sample))
    intro = "R(d) = d (a − b d) for best of n, R(d) = d (a − b ln d) for RL, d the square root of KL (Gao et al. 2023)."
    return FigureTable("The laws' coefficients", figures, intro)


def sweep(name: str, results: Sequence[ArmResult], measured: Measured) -> Section:
    """Arms that differ in one thing, gold and proxy against KL."""
    value = {"comparisons": "comparisons", "reward layers": "reward_layers", "kl price": "kl_price"}[name]
    arms = sorted(results, key=lambda result: getattr(result.arm, value))
    gold, proxy = [], []
    for result in arms:
        order = np.argsort(result.kl, kind="stable")
        label, d = f"{getattr(result.arm, value):,}", np.sqrt(result.kl[order])
        gold.append(Curve(label, d, result.gold.mean(0)[order]))
        proxy.append(Curve(label, d, result.proxy.mean(0)[order]))
    told = "; ".join(
        f"{getattr(result.arm, value):,}: the reward model agrees with the critic in "
        f"{100 * result.gold_accuracy:.0f} %, gold {result.gold.mean(0)[0]:.2f} → highest "
        f"{result.gold.mean(0).max():.2f} → end {result.gold.mean(0)[-1]:.2f} at {result.kl[-1]:.0f} nats"
        for result in arms
    )
    panels = [Panel("gold", "√KL", "gold, 0 to 1", gold), Panel("proxy", "√KL", SD, proxy)]
    return Plot(f"By {TITLES[name]}", curves_svg(panels), f"Shorter runs of RL by {TITLES[name]}. {told}.")


TITLES = {
    "comparisons": "number of comparisons",
    "reward layers": "layers of the reward model",
    "kl price": "price of a nat of KL",
}


def first_degenerate(measured: Measured) -> Section:
    """The first poems that the reward model loves and the critic does not, and the last."""
    high, low = np.quantile(measured.best_of_n.proxy, 0.99), np.quantile(measured.best_of_n.gold, 0.05)
    evaluations = measured.main.evaluations
    found = [(each.step, *poem) for each in evaluations for poem in each.poems if poem[2] > high and poem[3] < low]
    before = [(evaluations[0].step, *max(evaluations[0].poems, key=lambda poem: poem[3]))]
    at_peak = [(measured.turn.peak.step, *max(measured.turn.peak.poems, key=lambda poem: poem[3]))]
    end = [(evaluations[-1].step, *poem) for poem in evaluations[-1].poems[:2]]
    quotes = [
        quote(each, note)
        for group, note in (
            (before, "before RL"),
            (at_peak, "at the peak of gold"),
            ([found[i * len(found) // 3] for i in range(3)] if found else [], "degenerate"),
            (end, "at the end"),
        )
        for each in group
    ]
    told = (
        f"The first poem above the 99th percentile of proxy and below the 5th of gold came at step {found[0][0]}."
        if found
        else "None of the kept poems lay above the 99th percentile of proxy and below the 5th of gold."
    )
    intro = f"{told} Of each evaluation the six poems that the reward model likes best are kept."
    return Quotes("What the policy writes", quotes, intro)


def quote(found: tuple[int, str, str, float, float], note: str) -> Quote:
    step, prompt, text, proxy, gold = found
    facts = {"step": f"{step}", "proxy": f"{proxy:+.1f} {SD}", "gold": f"{gold:.2f}"}
    return Quote(prompt.strip(), text[:400].strip(), facts, note)
