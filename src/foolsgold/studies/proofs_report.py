"""The verdict and the report of the study `proofs`, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foolsgold.audit.drawing import Curve, Panel, curves_svg
from foolsgold.audit.figures import above, mean, share
from foolsgold.audit.quotes import CodeQuotes, Quote
from foolsgold.audit.report import Plot, Prose, Section
from foolsgold.audit.tables import Comparison, cell
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.objectives.best_of_n import doublings
from foolsgold.objectives.statistics import mean_interval
from foolsgold.studies.overoptimization_measure import Difference
from foolsgold.studies.proofs_measure import BRUTE_FORCE, POLICIES, RANKED, Measured
from foolsgold.studies.proofs_pipeline import script_of
from foolsgold.studies.proofs_plan import Plan

CLAIM = (
    "A proof checker gives exact feedback, the state, the action, the progress and the goal, so RL on proofs is real "
    "RL: it gets better at proving, not at pleasing."
)
NAMES = {
    "start": "start",
    "imitation": "more imitation",
    "expert": "expert iteration",
    "rl": "RL over turns",
    BRUTE_FORCE: BRUTE_FORCE,
    "start, ranked": "brute force ranked by the start",
    "expert, ranked": "brute force ranked by expert iteration",
    "rl, ranked": "brute force ranked by RL",
}
SHORT = {"start, ranked": "by the start", "expert, ranked": "by expert iteration", "rl, ranked": "by RL"}
"""Of curves that stand together."""
COLORS = {"start": "green", "imitation": "orange", "expert": "purple", "rl": "blue", BRUTE_FORCE: "vermillion"}
BOOK = "by the rules that the theorems were made with, which both provers know"
FEW = 16
"""Expansions of a short search."""


def judge(measured: Measured, plan: Plan) -> Verdict:
    """Hold the claim against the figures."""
    gains = {
        name: _of(f"{NAMES[name]} less start, single tries", measured.lead(name, "start")) for name in POLICIES[1:]
    }
    leads = {
        name: _of(f"{NAMES[name]} less more imitation, single tries", measured.lead(name, "imitation"))
        for name in ("expert", "rl")
    }
    real = [name for name in ("expert", "rl") if above(gains[name], 0) and above(leads[name], 0)]
    answer: Answer = "holds" if "rl" in real else "depends" if real else "fails"
    brute = [
        _of(f"{NAMES[name]} less brute force, search of {n} expansions", measured.search_lead(name, BRUTE_FORCE, n))
        for name in ("start", "expert", "rl", *RANKED)
        for n in sorted({FEW, measured.most})
    ]
    brute += [
        _of(f"brute force ranked by {NAMES[name]} less by the start, {FEW} expansions", found)
        for name in ("expert", "rl")
        for found in [measured.search_lead(f"{name}, ranked", "start, ranked", FEW)]
    ]
    passed, found = measured.accepted
    sentence = (
        f"RL over turns changed the share of held-out theorems proved at a single try by {shown(gains['rl'])}, expert "
        f"iteration with as many tactics by {shown(gains['expert'])}, more imitation of students by "
        f"{shown(gains['imitation'])}."
    )
    accepted = np.zeros(found)
    accepted[:passed] = 1
    figures = [
        *(mean(f"{NAMES[name]}: single tries", measured.single(name), "%") for name in POLICIES),
        *gains.values(),
        *leads.values(),
        *(mean(f"{NAMES[name]}: one of 8 tries", measured.results[name].solved_in(8), "%") for name in POLICIES),
        *(
            share(f"{NAMES[name]}: search of {n} expansions", measured.results[name].solved_within(n))
            for name in (*POLICIES, BRUTE_FORCE, *RANKED)
            for n in sorted({FEW, measured.most})
        ),
        *brute,
        *_rl_figures(measured),
        share("proofs found that the kernel accepts", accepted),
        *_agreement(measured),
    ]
    return Verdict("proofs", CLAIM, answer, sentence, tuple(figures))


def _rl_figures(measured: Measured) -> list[Figure]:
    """Of the course of RL on theorems of the train split: a tenth of its steps at either end."""
    rewards = np.array([step.reward for step in measured.rl])
    few = max(2, len(rewards) // 10)
    if len(rewards) < 2 * few:
        return []
    note = "theorems of the train split"
    return [
        mean("RL: proofs among its episodes at first", rewards[:few], "%", note),
        mean("RL: proofs among its episodes at last", rewards[-few:], "%", note),
    ]


def _agreement(measured: Measured) -> list[Figure]:
    told = measured.agreement
    if told is None:
        return []
    note = f"the shortest proof of each of {told.proofs} theorems, {told.translated} of them in its words"
    counts = (
        (f"{told.tool} accepts the same proofs", told.accepted, told.translated, note),
        (f"{told.tool} accepts those by the book", told.accepted_by_the_book, told.by_the_book, BOOK),
    )
    return [share(name, np.arange(of) < hits, about) for name, hits, of, about in counts if of]


def _of(name: str, found: Difference) -> Figure:
    """A mean over theorems."""
    return Figure(name, found.mean, *found.interval, found.n, "%")


def sections(measured: Measured, plan: Plan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        Plot("Search", curves_svg([by_expansions(measured), by_calls(measured)]), SHOWS_SEARCH),
        Plot("Brute force, ranked", curves_svg([ranked(measured)]), SHOWS_RANKED),
        Plot("Tries, and the course of RL", curves_svg([by_tries(measured), course(measured)]), SHOWS_TRIES),
        compute(measured),
        grades(measured),
        lengths(measured),
        quotes(measured, plan),
    ]


SHOWS_SEARCH = (
    "Held-out theorems proved by best-first search: left against states expanded, right against tactics tried, whose "
    "number is what the prover's time goes into. Brute force tries all that fits; a policy proposes what it draws. "
    "Bands are 95 % intervals over theorems."
)
SHOWS_RANKED = (
    "What learning adds to brute force: the same search over all tactics that fit, each as likely as a policy finds "
    "it. At the left end the order is all that counts, at the right end it no longer does."
)
SHOWS_TRIES = (
    "Left, the chance that one of k whole tries proves a held-out theorem; right, the share of RL's episodes, on "
    "theorems of the train split, that end in a proof, mean over five steps."
)


def story(measured: Measured, plan: Plan) -> list[str]:
    """The experiment in words."""
    return [
        f"Theorems of propositional logic, {plan.train} to train on and {len(measured.tested)} of other families to "
        f"measure on, in {len({each.grade for each in measured.tested})} grades by the length of the shortest "
        "proof. A turn is one tactic on the first goal; no tactic that searches is allowed. A tactic that is refused "
        "ends the try.",
        f"The start. A decoder of {plan.decoder.parameters:,} weights learns from nothing, in {plan.finetuning_steps} "
        f"steps, the tactics that students took on {plan.students:,} theorems, right and wrong.",
        f"RL over turns. {plan.rl_steps} steps of GRPO, {plan.problems} theorems by {plan.samples} episodes; the "
        "reward is 1 where no goal is left, else 0.",
        f"Expert iteration. {plan.rounds} rounds: best-first search of at most {plan.expert_expansions} expansions "
        "proves what it can, and the policy learns the steps of the shortest proofs; with as many tactics tried and "
        "as many steps learned as RL.",
        "More imitation. As many steps learned as RL, of students. Brute force. The same search without a policy: all "
        "tactics that fit the goal, each as likely as the others; it knows which fit, which a policy has to learn. "
        "Ranked: the same with the tactics as likely as a policy finds them.",
        "Every proof counted was checked by the kernel.",
    ]


def by_expansions(measured: Measured) -> Panel:
    curves = _search(measured, "expansions", (*POLICIES, BRUTE_FORCE))
    return Panel("by states expanded", "log2 expansions", "theorems proved", curves, percent=True)


def by_calls(measured: Measured) -> Panel:
    curves = _search(measured, "calls", (*POLICIES, BRUTE_FORCE))
    return Panel("by tactics tried", "log2 tactics", "theorems proved", curves, percent=True)


def ranked(measured: Measured) -> Panel:
    curves = _search(measured, "calls", (BRUTE_FORCE, *RANKED))
    return Panel("by tactics tried, all that fit", "log2 tactics", "theorems proved", curves, percent=True)


def _search(measured: Measured, by: str, names: Sequence[str]) -> list[Curve]:
    """A curve a policy, as far as its longest search went: beyond that nothing is known."""
    curves = []
    for name in names:
        result = measured.results[name]
        at = doublings(max(getattr(result.searched, by)))
        values = np.stack([result.solved_within(int(n), by) for n in at], axis=1)
        curves.append(_curve(SHORT.get(name, NAMES[name]), np.log2(at), values, COLORS[RANKED.get(name, name)]))
    return curves


def by_tries(measured: Measured) -> Panel:
    tried = measured.results["start"].tried
    assert tried is not None
    ks = doublings(len(tried.solved[0]))
    curves = [
        _curve(
            NAMES[name],
            np.log2(ks),
            np.stack([measured.results[name].solved_in(int(k)) for k in ks], axis=1),
            COLORS[name],
        )
        for name in POLICIES
    ]
    return Panel("one of k tries", "log2 k", "theorems proved", curves, percent=True)


def course(measured: Measured) -> Panel:
    rewards = np.array([step.reward for step in measured.rl])
    window = min(5, len(rewards))
    smooth = np.convolve(rewards, np.ones(window) / window, "valid")
    steps = np.arange(window, len(rewards) + 1)
    return Panel(
        "RL on train theorems",
        "steps",
        "episodes with a proof",
        [Curve("RL over turns", steps, smooth, color="blue")],
        percent=True,
    )


def _curve(label: str, x: np.ndarray, values: np.ndarray, color: str) -> Curve:
    """Mean over theorems of `values` `[P, K]` with its band."""
    low, high = np.array([mean_interval(column) for column in values.T]).T
    return Curve(label, x, values.mean(0), low, high, color)


def compute(measured: Measured) -> Comparison:
    """What each arm took after the start, and what a search of a held-out theorem takes."""
    rows = []
    for name, result in measured.results.items():
        arm = measured.spent.get(name)
        took = [f"{value:,}" for value in vars(arm).values()] if arm else ["–"] * 4
        tries = "–" if result.tried is None else f"{np.mean(result.tried.calls):.1f}"
        rows.append([NAMES[name], *took, tries, f"{np.mean(result.searched.calls):,.0f}"])
    columns = [
        "policy", "tactics tried", "tokens drawn", "steps learned", "updates", "tactics a try", "tactics a search",
    ]  # fmt: skip
    intro = (
        "The first four columns are what an arm took after the start. A step learned is a goal with its tactic, "
        "repeats counted. Of RL, those of theorems that teach."
    )
    return Comparison("Compute", columns, rows, intro)


def grades(measured: Measured) -> Comparison:
    """Single tries, and the longest search, by how long the shortest proof is."""
    of = np.array([problem.grade for problem in measured.tested])
    rows = []
    for grade in np.unique(of):
        inside = of == grade
        singles = [_cell(measured.single(name)[inside]) for name in POLICIES]
        search = [
            _cell(measured.results[name].solved_within(measured.most)[inside])
            for name in ("start", "expert", "rl", BRUTE_FORCE)
        ]
        rows.append([f"{grade}", f"{inside.sum()}", *singles, *search])
    columns = ["grade", "theorems", *(f"{NAMES[name]}, single tries" for name in POLICIES)]
    columns += [f"{NAMES[name]}, search" for name in ("start", "expert", "rl", BRUTE_FORCE)]
    return Comparison("From easy to hard", columns, rows, f"Searches of at most {measured.most} expansions.")


def _cell(values: np.ndarray) -> str:
    """A mean; of yes and no with the interval of a share."""
    figure = share("", values) if set(values) <= {0.0, 1.0} or len(values) < 2 else mean("", values, "%")
    return cell(figure.value, figure.low, figure.high, "%")


def lengths(measured: Measured) -> Comparison:
    """Proofs found by search beside the shortest ones."""
    rows = []
    for name in measured.results:
        found, shortest, kept = measured.lengths(name)
        if len(found):
            shares = (found == shortest, found < shortest, kept)
            rows.append([
                NAMES[name], f"{len(found)}", f"{np.median(found):.0f}", f"{np.median(shortest):.0f}",
                *(f"{shown(each).value} {shown(each).interval}" for each in (share("", hits) for hits in shares)),
            ])  # fmt: skip
    columns = ["policy", "proofs", "median tactics", "median of the shortest", "as short", "shorter", "by the book"]
    intro = (
        "Of theorems that a policy's search proved; the shortest are those by the book, which are the rules that "
        "the theorems were made with. A prover's tactics can do more: Coq's apply takes a conjunction apart by itself. "
        "A policy that is paid for proofs finds such ways, and the kernel accepts them."
    )
    return Comparison("How long the proofs are", columns, rows, intro)


def quotes(measured: Measured, plan: Plan) -> CodeQuotes:
    """Theorems that no try of the start proved, and how RL or expert iteration prove them."""
    chosen: list[Quote] = []
    start = measured.single("start")
    for row in sorted(range(len(measured.tested)), key=lambda row: -measured.tested[row].grade):
        for name in ("rl", "expert"):
            result = measured.results[name]
            script = result.tried.scripts[row] if result.tried else []
            if start[row] == 0 and script and len(chosen) < 6:
                problem = measured.tested[row]
                facts = {
                    "by": NAMES[name],
                    "grade": f"{problem.grade}",
                    "of its tries": f"{100 * measured.single(name)[row]:.0f} %",
                    "shortest": f"{measured.shortest[row]} tactics",
                }
                chosen.append(Quote(problem.prompt.strip(), script_of(script, plan.tool).replace(". ", ".\n"), facts))
                break
    tries = plan.tries
    return CodeQuotes(
        "Proved at a single try", chosen, f"Theorems of which none of the start's {tries} tries was a proof."
    )
