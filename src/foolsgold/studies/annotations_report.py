"""The verdict and the report of the study `annotations`, from what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from foolsgold.audit.drawing import Curve, Panel, curves_svg
from foolsgold.audit.figures import above, mean, share
from foolsgold.audit.quotes import CodeQuotes, Quote, cut
from foolsgold.audit.report import Plot, Prose, Section
from foolsgold.audit.tables import Comparison, cell
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.environments.problems import Problem
from foolsgold.objectives.statistics import mean_interval
from foolsgold.studies.annotations_arm import ArmResult, Method
from foolsgold.studies.annotations_figures import Measured
from foolsgold.studies.annotations_measure import RUNS, SAID, Ending
from foolsgold.studies.annotations_pipeline import AnnotationsPlan
from foolsgold.studies.overoptimization_measure import Difference

CLAIM = (
    "Let the model write the annotations and an engine prove the program with them: then there is an objective reward "
    "for the correctness of programs."
)
LABELS: dict[str, str] = {
    "start": "workers imitated",
    "expert": "expert iteration",
    "rl": "RL",
    "tries": "RL on tries",
    "turns": "RL on turns",
}
COLORS: dict[Method, str] = {"expert": "green", "rl": "blue", "tries": "orange", "turns": "vermillion"}


def judge(measured: Measured) -> Verdict:
    """Hold the claim against the figures.

    It holds where no proof is refuted, all that is paid by proofs alone proves more programs of unseen structure, and
    the model proves some of them that Houdini does not. It depends where RL gains but does not add to Houdini there.
    """
    rl = measured.arms["rl"].ending
    gain = _of("RL less start, sampled", measured.gain("rl"))
    added = _of("RL or Houdini less Houdini", measured.added(rl))
    added_trained = _of("RL or Houdini less Houdini, training families", measured.added_trained(rl))
    believed, refuted, states = measured.rechecked
    answer: Answer = "fails"
    if above(gain, 0) and not refuted:
        answer = "holds" if above(added, 0) else "depends"
    sentence = (
        f"Paid by proofs alone, RL changed the share of programs of unseen structure that an answer proves by "
        f"{shown(gain)}; of {believed:,} proofs believed other runs refute {refuted}. To Houdini, which learns nothing "
        f"and proves {100 * measured.houdini.tested.mean():.1f} % of them, the model adds {shown(added)}; of the "
        f"structures it was trained on {shown(added_trained)}."
    )
    figures = [share("workers' annotations prove", measured.workers)]
    for name, ending in measured.policies.items():
        figures += _of_policy(LABELS[name], ending)
    turns = measured.turns
    figures += [
        gain,
        _of("RL less start, mean over held-out families", measured.gain_by_family("rl")),
        _of("RL less start, sampled, training families", measured.gain_trained("rl")),
        _of("expert iteration less start, sampled", measured.gain("expert")),
        _of("RL less expert iteration, sampled", measured.lead("rl", "expert")),
        _of(f"{turns} turns of RL on turns less {turns} tries of RL on tries", measured.read),
        _of(f"RL on turns: {turns} turns less {turns} independent answers", measured.told),
        mean(f"RL: any of {turns} independent answers", rl.proved(turns), "%"),
        share("Houdini", measured.houdini.tested),
        share("Houdini, training families", measured.houdini.trained),
        share("RL's likeliest answer or Houdini", measured.union(rl)),
        share("RL's likeliest answer or Houdini, training families", measured.union_trained(rl)),
        added,
        added_trained,
        Figure("proofs believed", believed, None, None, believed),
        Figure("of them refuted by other runs", refuted, None, None, believed, note=f"{states:,} states looked at"),
    ]
    return Verdict("annotations", CLAIM, answer, sentence, tuple(figures))


def _of_policy(label: str, ending: Ending) -> list[Figure]:
    tries = ending.tested.shape[1]
    return [
        share(f"{label}: likeliest answer", ending.greedy),
        mean(f"{label}: sampled answer", ending.proved(1), "%"),
        mean(f"{label}: any of {tries} answers", ending.proved(tries), "%"),
        mean(f"{label}: sampled, training families", ending.proved_trained(1), "%"),
    ]


def _of(name: str, found: Difference) -> Figure:
    """A mean over programs."""
    return Figure(name, found.mean, *found.interval, found.n, "%")


def sections(measured: Measured, plan: AnnotationsPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        Plot("Programs proved, as answers are drawn", curves_svg(by_answers(measured)), SHOWS_ANSWERS),
        policies(measured),
        Plot("Tries and turns", curves_svg([tries_and_turns(measured)]), SHOWS_TURNS),
        families("Held-out families", measured, measured.tested, _tested, measured.houdini.tested),
        families("Training families", measured, measured.trained, _trained, measured.houdini.trained),
        what_was_said(measured),
        mended(measured),
    ]


SHOWS_ANSWERS = (
    "Share of sampled answers that prove their program, against the answers that training has drawn and had judged: "
    "left of families that training never shows, right of those it does; bands are 95 % intervals over programs."
)
SHOWS_TURNS = (
    "Lines: some of k independent answers proves the program. Dashed: an episode of k answers does, each of which was "
    "written after reading the counterexamples to those before."
)


def story(measured: Measured, plan: AnnotationsPlan) -> list[str]:
    """The experiment in words."""
    problems, arm = plan.problems, measured.arms["rl"].arm
    believed, refuted, states = measured.rechecked
    return [
        "A program with a loop and an assertion is given; an invariant is asked for. z3 must prove, over all integers, "
        "that it holds at first, that the loop keeps it, and that it proves the assertion. Nothing less is paid.",
        f"Workers. A decoder of {problems.decoder.parameters:,} weights learns from nothing to annotate as workers do: "
        f"{problems.demonstrations:,} annotations, of which {100 * measured.workers.mean():.0f} % prove their program, "
        f"and {plan.second_opinions:,} second ones by other workers after a counterexample to the first.",
        f"Four ways to go on, each from this policy with {arm.answers:,} answers drawn and judged: expert iteration "
        f"({arm.rounds} rounds); RL ({arm.method.upper()}, {arm.prompts} programs by {arm.samples} answers, learning "
        f"rate {arm.learning_rate:g}); RL on tries, whose episodes are up to {plan.turns} answers to the same prompt, "
        "and RL on turns, whose prompts show the answers before and the engine's counterexamples. Episodes of both are "
        "paid if one of their answers proves the program.",
        f"Measured on {len(measured.tested)} programs of families that training never shows, and on "
        f"{len(measured.trained)} new ones of the families trained on, beside Houdini, a search through simple "
        "candidates that learns nothing.",
        f"Each of the {believed:,} different proofs that were believed was held against {RUNS} more runs of its "
        f"program on plain integers, {states:,} states in all: {refuted} were refuted.",
    ]


def by_answers(measured: Measured) -> list[Panel]:
    """Programs proved against answers drawn."""
    return [
        Panel(
            title,
            "answers drawn",
            "programs proved",
            [_course(result, LABELS[name], COLORS[name], what) for name, result in measured.arms.items()],
            percent=True,
        )
        for title, what in (("held-out families", "sampled"), ("training families", "train"))
    ]


def _course(result: ArmResult, label: str, color: str, what: str) -> Curve:
    values = np.array([getattr(each, what) for each in result.evaluations])
    low, high = np.array([mean_interval(row) for row in values]).T
    return Curve(label, [each.drawn for each in result.evaluations], values.mean(1), low, high, color)


def policies(measured: Measured) -> Comparison:
    """Each policy and Houdini, with 95 % intervals."""
    turns, tries = measured.turns, measured.start.tested.shape[1]
    rows = [
        [
            LABELS[name],
            *(
                _cell(values)
                for values in (
                    ending.greedy,
                    ending.proved(1),
                    ending.proved(turns),
                    ending.proved_by(turns),
                    ending.proved(tries),
                    measured.union(ending),
                )
            ),
        ]
        for name, ending in measured.policies.items()
    ]
    alone = _cell(measured.houdini.tested)
    rows.append(["Houdini", alone, "–", "–", "–", "–", alone])
    columns = ["policy", "likeliest", "sampled", f"{turns} tries", f"{turns} turns", f"{tries} tries", "with Houdini"]
    intro = "Programs of held-out families that are proved. The last column: by the likeliest answer or by Houdini."
    return Comparison("Who proves what", columns, rows, intro)


def tries_and_turns(measured: Measured) -> Panel:
    """Solved by k answers, independent or after reading."""
    turns = measured.turns
    k = np.arange(1, turns + 1)
    curves = []
    for name, color in (("start", "purple"), ("rl", "blue"), ("tries", "orange"), ("turns", "vermillion")):
        ending = measured.policies[name]
        independent = np.array([ending.proved(int(each)).mean() for each in k])
        reading = np.array([ending.proved_by(int(each)).mean() for each in k])
        curves += [
            Curve(LABELS[name], k, independent, color=color),
            Curve(f"{LABELS[name]}, reading", k, reading, color=color, dashed=True),
        ]
    return Panel("within k answers", "k", "programs proved", curves, percent=True)


def _tested(ending: Ending) -> np.ndarray:
    return ending.proved(1)


def _trained(ending: Ending) -> np.ndarray:
    return ending.proved_trained(1)


def families(
    title: str,
    measured: Measured,
    problems: list[Problem],
    values: Callable[[Ending], np.ndarray],
    houdini: np.ndarray,
) -> Comparison:
    """Programs proved by a sampled answer, family by family."""
    of = np.array([problem.family for problem in problems])
    endings = measured.policies
    rows = []
    for family in sorted(set(of)):
        inside = of == family
        cells = (_cell(each[inside]) for each in (*(values(ending) for ending in endings.values()), houdini))
        rows.append([family, f"{inside.sum()}", *cells])
    columns = ["family", "programs", *(LABELS[name] for name in endings), "Houdini"]
    return Comparison(title, columns, rows, "Programs proved by a sampled answer, with 95 % intervals.")


def what_was_said(measured: Measured) -> Comparison:
    """How answers end, policy by policy."""
    rows = [
        [LABELS[name], *(f"{100 * ending.said[each]:.1f} %" for each in SAID)]
        for name, ending in measured.policies.items()
    ]
    intro = (
        "Sampled answers to held-out programs: proved, or the first condition with a counterexample. Undecided: z3 "
        "gave up within the effort it is given."
    )
    return Comparison("What the engine said", ["policy", *SAID], rows, intro)


def mended(measured: Measured) -> CodeQuotes:
    """Episodes of RL on turns that needed a counterexample."""
    quotes = []
    for (program, _), *turns in measured.arms["turns"].ending.episodes:
        lines = [f"{' '.join(answer.split())}\n  {note}" for answer, note in turns]
        quotes.append(Quote(program, cut("\n".join(lines), 600), {"turns": f"{len(turns)}"}))
    intro = "RL on turns: what it proposed, what the engine said, what it proposed then."
    if not quotes:
        intro = "RL on turns proved no held-out program after a counterexample."
    return CodeQuotes("Read and mended", quotes, intro)


def _cell(values: np.ndarray | Iterable[float]) -> str:
    found = np.asarray(values, float)
    if len(found) < 2:
        return cell(float(found.mean()), unit="%")
    low, high = np.clip(mean_interval(found), 0, 1)
    return cell(float(found.mean()), float(low), float(high), "%")
