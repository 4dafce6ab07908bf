"""The verdict and the report of the study `conditioned`, from what was measured."""

from __future__ import annotations

import numpy as np

from foolsgold.audit.drawing import Curve, Mark, Panel, curves_svg
from foolsgold.audit.figures import above, below, mean
from foolsgold.audit.quotes import Quote, Quotes
from foolsgold.audit.report import FigureTable, Plot, Prose, Section
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.studies.conditioned_measure import Conditioned, Measured
from foolsgold.studies.overoptimization_measure import Difference
from foolsgold.studies.overoptimization_report import SD, curve, difference
from foolsgold.studies.poems_pipeline import PoemsPlan

CLAIM = (
    "There is a cheap, do-it-yourself RLHF: train on (prompt, score) → completion, without any RL, and then ask for a "
    "high score."
)
BEST = "the best score"


def judge(measured: Measured) -> Verdict:
    """Hold the claim against the figures: does asking for the best score give better poems, by proxy and by gold?"""
    arm = measured.by_proxy
    obeys = less(arm, "the middle score", arm.proxy[:, arm.middle], arm.gold[:, arm.middle])
    gains = less(arm, "the finetuned policy", measured.finetuned_proxy, measured.finetuned_gold)
    beyond = [
        difference("proxy, beyond the best score less the best score", arm.beyond(arm.proxy), SD),
        difference("gold, beyond the best score less the best score", arm.beyond(arm.gold)),
    ]
    rl = [
        difference("proxy, RL less the finetuned policy", last(measured.rl.proxy, measured.finetuned_proxy), SD),
        difference("gold, RL less the finetuned policy", last(measured.rl.gold, measured.finetuned_gold)),
    ]
    answer: Answer = "fails"
    if above(obeys[0], 0):
        answer = "holds" if all(above(each, 0) for each in (*obeys, *gains)) else "depends"
    went = "more" if above(beyond[0], 0) else "less" if below(beyond[0], 0) else "neither more nor less"
    sentence = (
        f"Asked for the best score in place of the middle one, the policy trained on scores gave {told(obeys[0])} more "
        f"proxy and {told(obeys[1])} more gold; against the finetuned policy that is {told(gains[0])} and "
        f"{told(gains[1])}. Asked for more than it ever saw it gave {went} ({told(beyond[0])}). From as many poems RL "
        f"gained {told(rl[0])} of proxy and {told(rl[1])} of gold."
    )
    worth, interval = measured.worth
    most = measured.drawn.gold.shape[1]
    figures = (
        *obeys,
        *gains,
        difference("spread of proxy obtained, of the spread asked for", arm.spread(arm.proxy), "%"),
        *beyond,
        *rl,
        *less(arm, "RL", measured.rl.proxy[:, -1], measured.rl.gold[:, -1]),
        *less(arm, f"the best of {most:,}", measured.best_proxy, measured.best_gold),
        Figure("n whose best has the proxy of the best score", worth, *interval, len(arm.proxy)),
        kl("KL of the best score", arm.answers[arm.best].kl, len(arm.proxy)),
        kl("KL of RL", measured.rl.evaluations[-1].kl, len(arm.proxy)),
        *by_gold(measured),
    )
    return Verdict("conditioned", CLAIM, answer, sentence, figures)


def told(figure: Figure) -> str:
    """Value and interval for a sentence; the sample sizes stand in the table."""
    parts = shown(figure)
    return f"{parts.value} {parts.interval}".strip()


def less(arm: Conditioned, other: str, proxy: np.ndarray, gold: np.ndarray) -> list[Figure]:
    """Proxy and gold of the best score less those of something else, `[P]` each."""
    found = Difference.of(arm.proxy[:, arm.best], proxy), Difference.of(arm.gold[:, arm.best], gold)
    return [
        difference(f"proxy, {BEST} less {other}", found[0], SD),
        difference(f"gold, {BEST} less {other}", found[1]),
    ]


def last(rows: np.ndarray, start: np.ndarray) -> Difference:
    """The end of RL, of `[P, K]`, less the start, `[P]`."""
    return Difference.of(rows[:, -1], start)


def kl(name: str, nats: float, prompts: int) -> Figure:
    return Figure(name, nats, None, None, prompts, "nats", "from the finetuned policy")


def by_gold(measured: Measured) -> list[Figure]:
    """The same method taught the critic's scores."""
    arm = measured.by_gold
    _, obeys = less(arm, "the middle score", arm.proxy[:, arm.middle], arm.gold[:, arm.middle])
    _, gains = less(arm, "the finetuned policy", measured.finetuned_proxy, measured.finetuned_gold)
    beyond = difference("gold, beyond the best score less the best score", arm.beyond(arm.gold))
    spread = difference("spread of gold obtained, of the spread asked for", arm.spread(arm.gold), "%")
    return [
        Figure(f"taught gold: {each.name}", each.value, each.low, each.high, each.n, each.unit)
        for each in (obeys, gains, spread, beyond)
    ]


def sections(measured: Measured, plan: PoemsPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        Plot("Taught the reward model's scores", curves_svg(asked_for(measured, measured.by_proxy, True)), SHOWS_ASKED),
        Plot("Taught the critic's scores", curves_svg(asked_for(measured, measured.by_gold, False)), SHOWS_ASKED),
        beside(measured),
        Plot("RL with as many poems", curves_svg(by_samples(measured)), SHOWS_RL),
        wrote(measured),
    ]


SHOWS_ASKED = (
    "What poems have against the number of the score that was asked for. Right of the mark lie numbers that were never "
    "seen. Dashed: the median of the training poems of that score, which is what was asked for. Bands are 95 % "
    "intervals over prompts."
)
SHOWS_RL = (
    "Proxy and gold of RL against the poems that it has drawn, on the same prompts; lines: the finetuned policy, and "
    "the policy taught scores asked for the best. Bands are 95 % intervals over prompts."
)


def story(measured: Measured, plan: PoemsPlan) -> list[str]:
    """The experiment in words."""
    arm, rl = measured.by_proxy, measured.rl.arm
    prompts, most = measured.drawn.gold.shape
    return [
        f"A decoder of {plan.decoder.parameters:,} weights learns to write poems to prompts, then writes "
        f"{measured.samples:,} of them. Readers compare some; a reward model learns {plan.comparisons:,} of their "
        "preferences and scores all poems. Gold is an exact critic that nobody knows.",
        f"The scores are parted into {len(arm.asked)} bins of as many poems each, numbered from 0. The policy is "
        "finetuned on prompt, number, poem. The number stands behind the prompt in binary digits, with words of its "
        f"own for every place; each was learned in some bin, so that numbers from {arm.best + 1} to "
        f"{len(arm.answers) - 1} can be said although no poem ever had them.",
        "A second policy is taught the critic's scores in the same way: what it cannot do is the method's fault, not "
        "the proxy's.",
        f"Equal numbers of poems. RL draws as many in all: {rl.steps} steps of {rl.prompts} prompts by {rl.samples} "
        f"poems, against the same reward model, price of KL {rl.kl_price:g}. Best of n learns nothing and must draw "
        f"for each answer anew: as many poems give one answer to each of the {prompts:,} prompts, the best of "
        f"{most:,}. Poems drawn to measure are not counted.",
        f"All are measured on the same {prompts:,} prompts.",
    ]


def asked_for(measured: Measured, arm: Conditioned, taught_proxy: bool) -> list[Panel]:
    """Proxy and gold against the number asked for; first what was taught."""
    numbers, seen = np.arange(len(arm.answers)), np.arange(len(arm.asked))
    asked = Curve("asked for", seen, arm.asked, color="orange", dashed=True)
    panels = [
        Panel(
            name,
            "number of the score asked for",
            unit,
            [curve("obtained", numbers, values, color), *([asked] if taught else [])],
            (Mark("best seen", x=arm.best), Mark("finetuned policy", y=float(start.mean()))),
        )
        for name, unit, values, color, start, taught in (
            ("proxy", SD, arm.proxy, "vermillion", measured.finetuned_proxy, taught_proxy),
            ("gold", "gold, 0 to 1", arm.gold, "blue", measured.finetuned_gold, not taught_proxy),
        )
    ]
    return panels if taught_proxy else panels[::-1]


def beside(measured: Measured) -> FigureTable:
    """Every way to better poems, proxy and gold."""
    most = measured.drawn.gold.shape[1]
    figures = []
    for name, proxy, gold in (
        ("finetuned policy", measured.finetuned_proxy, measured.finetuned_gold),
        *((f"taught proxy, {what}", *found) for what, found in of_arm(measured.by_proxy)),
        *((f"taught gold, {what}", *found) for what, found in of_arm(measured.by_gold)),
        ("RL", measured.rl.proxy[:, -1], measured.rl.gold[:, -1]),
        (f"best of {most:,}", measured.best_proxy, measured.best_gold),
    ):
        figures += [mean(f"{name}: proxy", proxy, SD), mean(f"{name}: gold", gold)]
    return FigureTable(f"From {measured.samples:,} poems each", figures)


def of_arm(arm: Conditioned) -> list[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Proxy and gold `[P]` at the scores that matter."""
    places = {"worst score": 0, "middle score": arm.middle, "best score seen": arm.best, "highest number": -1}
    return [(name, (arm.proxy[:, place], arm.gold[:, place])) for name, place in places.items()]


def by_samples(measured: Measured) -> list[Panel]:
    result, arm = measured.rl, measured.by_proxy
    drawn = np.array([each.step for each in result.evaluations]) * result.arm.prompts * result.arm.samples
    return [
        Panel(
            name,
            "poems drawn",
            unit,
            [curve("RL", drawn, values, color)],
            (Mark("asked for the best", y=float(best.mean())), Mark("finetuned policy", y=float(start.mean()))),
        )
        for name, unit, values, color, best, start in (
            ("proxy", SD, result.proxy, "vermillion", arm.proxy[:, arm.best], measured.finetuned_proxy),
            ("gold", "gold, 0 to 1", result.gold, "blue", arm.gold[:, arm.best], measured.finetuned_gold),
        )
    ]


def wrote(measured: Measured) -> Quotes:
    """Poems at the scores that matter, those of the same prompts, and where RL ended."""
    quotes = []
    for taught, arm in (("proxy", measured.by_proxy), ("gold", measured.by_gold)):
        places = {"the worst": 0, "the middle": arm.middle, "the best seen": arm.best, "the highest number": -1}
        for what, place in places.items():
            quotes += [quote(poem, f"taught {taught}, asked for {what}") for poem in arm.answers[place].poems[:2]]
    end = measured.rl.evaluations[-1].poems[:2]
    return Quotes("What they write", [*quotes, *(quote(poem, "end of RL, liked best by proxy") for poem in end)])


def quote(found: tuple[str, str, float, float], note: str) -> Quote:
    prompt, text, proxy, gold = found
    return Quote(prompt.strip(), text[:400].strip(), {"proxy": f"{proxy:+.1f} {SD}", "gold": f"{gold:.2f}"}, note)
