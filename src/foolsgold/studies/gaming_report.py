"""The verdict and the report of the study `gaming`, from what was measured."""

from __future__ import annotations

import numpy as np

from foolsgold.audit.alarm_table import DetectorRow
from foolsgold.audit.drawing import PALETTE, Curve, Mark, Panel, curves_svg
from foolsgold.audit.figures import above
from foolsgold.audit.report import Plot, Prose, Section
from foolsgold.audit.tables import Comparison, cell
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.studies.gaming_arm import LABELS_A_ROUND, ROUNDS
from foolsgold.studies.gaming_measure import LEVELS, Kept, Measured
from foolsgold.studies.gaming_trial import MEMBERS
from foolsgold.studies.poems_pipeline import PoemsPlan

CLAIM = "Reward gaming is like gaming in finance: it must be found, and it must be fined."
FALSE_ALARMS = 0.05


def judge(measured: Measured) -> Verdict:
    """Hold the claim against the figures: do alarms find gaming, and does any defence keep gold at equal compute?"""
    alarm = next((row for row in measured.alarms if row.alarm not in ("kl", "step")), measured.alarms[0])
    caught = Figure(
        f"over-optimized runs caught by “{alarm.alarm}”",
        alarm.caught,
        *alarm.caught_interval,
        alarm.over_optimized,
        "%",
        "after the peak, before the end",
    )
    false = Figure("its false alarms", alarm.false_alarms, *alarm.false_alarms_interval, alarm.runs, "%")
    lost = Figure("gold lost where it stops runs", alarm.gold_lost, *_ends(alarm), alarm.over_optimized)
    without = Figure("gold lost where nothing does", alarm.gold_lost_without, None, None, alarm.over_optimized)
    best = {amount: strongest(measured, amount) for amount in amounts(measured)}
    fines = [
        Figure(
            f"gold kept by “{name}”, {amount:,} comparisons",
            found.end_more,
            *found.end_interval,
            prompts(measured),
            note="at the end, more than without defence",
        )
        for amount, (name, found) in best.items()
    ]
    found_out = alarm.gold_lost_interval.high < alarm.gold_lost_without and alarm.caught > 0.5
    fined = all(above(figure, 0) for figure in fines)
    answer: Answer = "holds" if found_out and fined else "depends" if found_out or fined else "fails"
    if not alarm.over_optimized:
        answer = "depends"  # nobody gamed anything
    found = (
        f"The best alarm, {alarm.alarm}, caught {shown(caught)} of the runs whose gold fell, at {shown(false)} false "
        f"alarms; stopped by it they lost {alarm.gold_lost:.3f} of gold in place of {alarm.gold_lost_without:.3f}. "
        if alarm.over_optimized
        else f"Gold surely fell in none of the {alarm.runs} runs: there was nothing for alarms to find. "
    )
    sentence = found + " ".join(
        f"With {amount:,} comparisons “{name}” kept most: {shown(figure)} more than no defence after as many steps."
        for (amount, (name, _)), figure in zip(best.items(), fines, strict=True)
    )
    return Verdict("gaming", CLAIM, answer, sentence, (caught, false, lost, without, *fines))


def amounts(measured: Measured) -> list[int]:
    return sorted({amount for amount, _ in measured.defences})


def strongest(measured: Measured, amount: int) -> tuple[str, Kept]:
    """The defence that keeps most gold at the end; chosen by the figure that is then quoted, so a little too good."""
    found = [(name, kept) for (each, name), kept in measured.defences.items() if each == amount and name != "none"]
    return max(found, key=lambda each: each[1].end_more)


def prompts(measured: Measured) -> int:
    return len(measured.results[0].gold)


def _ends(row: DetectorRow) -> tuple[float | None, float | None]:
    low, high = row.gold_lost_interval
    return (low, high) if low == low else (None, None)


def sections(measured: Measured, plan: PoemsPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        *compared(measured),
        Plot("When KL cannot help", curves_svg([tails(measured)]), SHOWS_TAILS),
        Prose("What ensembles cannot see", [shared(measured)]),
    ]


def compared(measured: Measured) -> list[Section]:
    """Defences and alarms, in either world."""
    return [
        *(defence_table(measured, amount) for amount in amounts(measured)),
        *(defence_plot(measured, amount) for amount in amounts(measured)),
        alarm_table(measured),
        alarm_plot(measured),
    ]


SHOWS_TAILS = (
    "Gold of the best of n by gold plus an error that has nothing to do with it, of one size in its middle half. With "
    "light tails more selection is more gold. With heavy tails the highest proxy is soon the largest error, and the "
    "gold of what is picked falls back towards where it began: no price on KL tells the two apart (Kwa et al. 2024). "
    "Bands are 95 % intervals over prompts."
)


def story(measured: Measured, plan: PoemsPlan) -> list[str]:
    """The experiment in words."""
    trial, runs = measured.results[0].trial, len(measured.results)
    accuracies = [result.gold_accuracy for result in measured.results]
    return [
        f"A policy of {plan.decoder.parameters:,} weights writes poems; {plan.readers} simulated readers compare them "
        "at a glance; reward models learn what they like; an exact critic, whom nobody below knows, is gold.",
        f"{runs} runs of RL, {trial.steps} steps of {trial.prompts} prompts by {trial.samples} poems each, with or "
        f"without a defence, from reward models fitted to {', '.join(f'{n:,}' for n in amounts(measured))} comparisons "
        f"(they agree with the critic on {100 * min(accuracies):.0f} to {100 * max(accuracies):.0f} % of pairs). Some "
        "differ in method (GRPO), in the reward model's layers, or in that the critic himself compared, so that there "
        "are honest runs too.",
        f"Ensembles have {MEMBERS} members, fitted to the same comparisons in orders of their own, or to a quarter of "
        f"them each (worst of parts). Repair asks readers, {ROUNDS} times on the way, about {LABELS_A_ROUND} pairs of "
        "what the policy writes by then and what it wrote at first, and fits the reward model anew.",
    ]


def defence_table(measured: Measured, amount: int) -> Comparison:
    """Gold kept, by defence."""
    rows = []
    for (each, name), found in measured.defences.items():
        if each != amount:
            continue
        own = name != "none"
        levels = [
            cell(found.at[level][0], *found.at[level][1]) if own and level in found.at else "–" for level in LEVELS
        ]
        rows.append([
            name,
            cell(round(found.end, 3)),
            cell(found.end_more, *found.end_interval) if own else "–",
            cell(round(found.peak, 3)),
            f"{found.peak_kl:.1f} nats, step {found.peak_step:g}",
            f"{found.last_kl:.0f} nats",
            *levels,
            f"{found.labels:,}",
        ])  # fmt: skip
    rows = rows[:1] + sorted(rows[1:], key=lambda row: -measured.defences[amount, row[0]].end)
    columns = [
        "defence", "gold at the end", "more than none", "highest gold", "there", "KL at the end",
        *(f"more at {level:g} nats" for level in LEVELS), "labels beside",
    ]  # fmt: skip
    seeds = len(measured.defences[amount, "none"].trials)
    intro = (
        f"Means over {seeds} run{'s' if seeds > 1 else ''} of each; differences are paired by prompt and seed, with "
        "95 % intervals over prompts (not over seeds). A dash: the KL was not reached."
    )
    return Comparison(f"Defences, {amount:,} comparisons", columns, rows, intro)


def defence_plot(measured: Measured, amount: int) -> Plot:
    """Gold against steps and KL of the first seed's runs."""
    chosen = ["none", *[name for name, _ in ranked(measured, amount)][: len(PALETTE) - 1]]
    by_step, by_kl = [], []
    for name in chosen:
        trials = {trial.name for trial in measured.defences[amount, name].trials}
        run = next(result for result in measured.results if result.trial.name in trials)
        mean, order = run.gold.mean(0), np.argsort(run.kl, kind="stable")
        by_step.append(Curve(name, run.steps, mean, dashed=name == "none"))
        by_kl.append(Curve(name, np.sqrt(run.kl[order]), mean[order], dashed=name == "none"))
    panels = [
        Panel("at equal compute", "steps of RL", "gold, 0 to 1", by_step),
        Panel("at equal KL", "√KL", "gold, 0 to 1", by_kl),
    ]
    told = f"Gold of runs of one seed, {amount:,} comparisons: none, and the defences that kept most at the end."
    return Plot(f"Gold under defences, {amount:,} comparisons", curves_svg(panels), told)


def ranked(measured: Measured, amount: int) -> list[tuple[str, Kept]]:
    """Defences by gold at the end."""
    found = [(name, kept) for (each, name), kept in measured.defences.items() if each == amount and name != "none"]
    return sorted(found, key=lambda each: -each[1].end)


def alarm_table(measured: Measured) -> Comparison:
    """What each alarm is worth."""
    rows = [
        [
            row.alarm,
            cell(row.threshold),
            cell(row.false_alarms, *row.false_alarms_interval, "%"),
            cell(row.caught, *row.caught_interval, "%"),
            cell(row.delay, *row.delay_interval),
            cell(row.gold_lost, *row.gold_lost_interval),
        ]
        for row in measured.alarms
    ]
    first = measured.alarms[0]
    columns = ["alarm", "threshold", "false alarms", "caught", "delay", "gold lost"]
    intro = (
        f"{first.runs} runs, of which the gold of {first.over_optimized} surely fell. Each alarm's threshold is set so "
        f"that at most {100 * FALSE_ALARMS:.0f} % of runs ring before the peak of their gold, by runs of other reward "
        "models only. Caught: first rung after the peak and before the end. Delay: from the peak to the alarm, in "
        "units of the steps to the peak. Gold lost: from the peak to where the alarm stops the run, early or late; "
        f"{first.gold_lost_without:.3f} where nothing stops it. KL and the number of steps are no alarms but what "
        "alarms must beat."
    )
    return Comparison("Alarms from the reward model alone", columns, rows, intro)


def alarm_plot(measured: Measured) -> Plot:
    """Readings of the best alarms along runs, those that grow a thousandfold by their logarithm."""
    panels = []
    for row in [each for each in measured.alarms if each.alarm not in ("kl", "step")][:3]:
        curves = []
        highest = max(float(np.nanmax(run.readings[row.alarm])) for run in measured.watched)
        far = highest > 1000 * max(1.0, abs(row.threshold))
        for kind, color in ((True, "vermillion"), (False, "blue")):
            runs = [run for run in measured.watched if run.over_optimized == kind]
            shared_steps = [run for run in runs if np.array_equal(run.steps, runs[0].steps)]
            if shared_steps:
                readings = np.array([run.readings[row.alarm] for run in shared_steps])
                readings = np.log10(1 + np.maximum(readings, 0)) if far else readings
                low, middle, high = np.quantile(readings, [0.1, 0.5, 0.9], axis=0)
                label = "gold fell" if kind else "gold did not fall"
                curves.append(Curve(label, shared_steps[0].steps, middle, low, high, color))
        if curves:
            threshold = Mark("threshold", y=float(np.log10(1 + max(row.threshold, 0.0))) if far else row.threshold)
            label = "log₁₀ (1 + reading)" if far else "reading"
            panels.append(Panel(row.alarm, "steps of RL", label, curves, (threshold,)))
    told = "Readings of the best alarms: median over runs, bands from the lowest to the highest tenth of the runs."
    return Plot("What alarms read", curves_svg(panels), told)


def tails(measured: Measured) -> Panel:
    curves = [
        Curve(tail.name, np.log2(tail.n), tail.gold, tail.low, tail.high, color)
        for tail, color in zip(measured.tails, ("blue", "vermillion"), strict=True)
    ]
    start = Mark("a single poem", y=float(measured.gold.mean()))
    return Panel("gold of the best of n", "log2 n", "gold, 0 to 1", curves, (start,))


def shared(measured: Measured) -> str:
    """The negative control in words."""
    told = "; ".join(f"{name}: {value:.2f}" for name, value in measured.shared_error.items())
    return (
        "Members of an ensemble that were fitted to the same readers share what the readers do not see. Correlation "
        f"between two members' errors, that is between what gold does not tell of their scores: {told}. An error that "
        "all members share is no disagreement, and neither their worst nor their mean takes it off (Eisenstein et al. "
        "2023)."
    )
