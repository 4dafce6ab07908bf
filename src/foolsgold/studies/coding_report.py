"""The verdict and the report of the study `coding`, from what was measured."""

from __future__ import annotations

import numpy as np

from foolsgold.audit.drawing import Curve, Panel, curves_svg
from foolsgold.audit.figures import above, mean, share
from foolsgold.audit.quotes import CodeQuotes, Quote
from foolsgold.audit.report import Plot, Prose, Section
from foolsgold.audit.tables import Comparison, cell
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.objectives.statistics import mean_interval, wilson_interval
from foolsgold.studies.coding_arm import Mode, Rounds
from foolsgold.studies.coding_measure import Measured, gamed_more, gaming
from foolsgold.studies.coding_plan import CodingPlan
from foolsgold.studies.overoptimization_measure import Difference
from foolsgold.training.multi_turn import Episode

CLAIM = (
    "A coding agent writes tests, writes code, runs them, reads the failures and repeats: a reward that cannot be "
    "fooled, and the traces train the next model."
)
TAUGHT = {
    "start": "finetuned policy",
    "people": "more of people's work",
    "traces": "solved traces, by visible tests",
    "hidden": "solved traces, by hidden tests",
    "distilled": "solved bodies, by visible tests",
    "rl": "RL over turns",
}
"""Arms in words, in the order of the report."""
PLAYED: dict[Mode, str] = {
    "read": "failure read",
    "other": "another's failure read",
    "none": "tries anew, reads nothing",
    "own": "own tests",
}
"""Modes in words."""


def judge(measured: Measured) -> Verdict:
    """Hold the claim against the figures."""
    rounds = measured.start["read"].hidden.shape[2]
    beyond = _of("the loop less as many tries that read nothing", measured.beyond_retry())
    reading = _of("the loop less reading another problem's failure", measured.of_reading())
    gains = {arm: _of(f"{TAUGHT[arm]}: gain after {rounds} rounds", measured.gain(arm)) for arm in TAUGHT}
    own = _of("own tests less given ones", measured.between(("start", "own"), ("start", "read")))
    own_first = Difference.of(measured.start["own"].solved[:, -1], measured.start["own"].solved[:, 0])
    more_than_people = _of(
        "solved traces less more of people's work", measured.between(("traces", "read"), ("people", "read"))
    )
    helps, teaches = above(beyond, 0) and above(reading, 0), above(gains["traces"], 0) and above(more_than_people, 0)
    fooled = {arm: share(f"{TAUGHT[arm]}: pass the visible tests, fail hidden ones", gaming(result.rounds["read"]))
              for arm, result in ((arm, measured.arms[arm]) for arm in TAUGHT)}  # fmt: skip
    more_fooled = _of(
        "RL over turns: episodes that pass the visible tests only, end less start",
        gamed_more(measured.arms["rl"].rounds["read"], measured.start["read"]),
    )
    answer: Answer = "depends"
    if helps and teaches and not above(more_fooled, 0) and above(_of("", own_first), 0):
        answer = "holds"
    elif not above(beyond, 0) and not any(above(gains[arm], 0) for arm in ("traces", "distilled", "rl")):
        answer = "fails"
    first = _of("", measured.gain("rl", 0))
    sentence = (
        f"After {rounds} rounds the loop solved {_points(beyond)} points more of the held-out problems than trying "
        f"anew, and {_points(reading)} more than when it read another problem's failure; with own tests in place of "
        f"given ones {_points(own)}. Training on its solved traces changed that by {_points(gains['traces'])}, on the "
        f"bodies that passed by {_points(gains['distilled'])}, on more of people's work by {_points(gains['people'])}, "
        f"RL over turns by {_points(gains['rl'])} (its first attempts by {_points(first)}). Of what passed the visible "
        f"tests {shown(fooled['start'])} failed hidden ones before, {shown(fooled['rl'])} after RL."
    )
    tests = measured.tests
    asked = tests.readable > 0
    return Verdict(
        "coding",
        CLAIM,
        answer,
        sentence,
        (
            share("people's first attempts pass", measured.people_pass),
            mean("solved at the first attempt", measured.start["read"].solved[:, 0], "%"),
            mean(f"solved after {rounds} rounds, failures read", measured.start["read"].solved[:, -1], "%"),
            mean(f"solved after {rounds} rounds, another's failure read", measured.start["other"].solved[:, -1], "%"),
            mean(f"solved after {rounds} tries that read nothing", measured.start["none"].solved[:, -1], "%"),
            mean(f"solved after {rounds} rounds on own tests", measured.start["own"].solved[:, -1], "%"),
            _of("the loop: last round less first", measured.repaired()),
            beyond,
            reading,
            own,
            _of("own tests: last round less first", own_first),
            _ratio("own tests that the right function passes", tests.right, tests.readable),
            mean("own tests that can be read, of a problem", tests.readable.astype(float)),
            share("problems with a test that can be read", asked),
            _ratio("wrong programs that fail a right test of one's own", tests.caught, tests.mutants),
            _ratio("wrong programs that fail a given test", tests.caught_by_given, tests.mutants),
            *(gains[arm] for arm in TAUGHT if arm != "start"),
            *(
                _of(f"{TAUGHT[arm]}: gain at the first attempt", measured.gain(arm, 0))
                for arm in TAUGHT
                if arm != "start"
            ),
            more_than_people,
            _of(
                "solved bodies less more of people's work",
                measured.between(("distilled", "read"), ("people", "read")),
            ),
            _of(
                "the same at the first attempt",
                measured.between(("distilled", "read"), ("people", "read"), 0),
            ),
            _of("RL less solved traces", measured.between(("rl", "read"), ("traces", "read"))),
            _of(
                "chosen by hidden tests less by visible ones", measured.between(("hidden", "read"), ("traces", "read"))
            ),
            *(fooled[arm] for arm in TAUGHT),
            more_fooled,
            _of("RL over turns: the loop less trying anew", measured.beyond_retry("rl")),
            _of("RL over turns: the loop less another's failure", measured.of_reading("rl")),
        ),
    )


def _points(figure: Figure) -> str:
    """In the middle of a sentence."""
    parts = shown(figure)
    return f"{parts.value.removesuffix(' %')} {parts.interval}"


def _of(name: str, found: Difference) -> Figure:
    """A mean over problems."""
    return Figure(name, found.mean, *found.interval, found.n, "%")


def _ratio(name: str, hits: np.ndarray, of: np.ndarray) -> Figure:
    """`hits` `[P]` of `of` `[P]`, all problems together."""
    low, high = wilson_interval(float(hits.sum()), int(of.sum()))
    return Figure(name, float(hits.sum() / max(of.sum(), 1)), low, high, int(of.sum()), "%")


def _fooled(name: str, rounds: Rounds) -> Figure:
    hits = gaming(rounds)
    return _ratio(name, hits, np.ones(len(hits), np.int64))


SHOWS_ROUNDS = (
    "Held-out problems, of kinds that training never showed, whose current body passes all tests, by round: left the "
    "finetuned policy with the failure read, with another problem's failure in its place, and with tries that read "
    "nothing; right policies that went on to learn, all reading the failure. An episode ends when the visible tests "
    "pass. Bands are 95 % intervals over problems."
)


def sections(measured: Measured, plan: CodingPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        Plot("Round by round", curves_svg([by_feedback(measured), by_teaching(measured)]), SHOWS_ROUNDS),
        taught(measured),
        played(measured),
        mended(measured),
        fooled(measured),
    ]


def story(measured: Measured, plan: CodingPlan) -> list[str]:
    """The experiment in words."""
    solved = np.mean([episode.solved for episode, _ in measured.traces])
    return [
        "Problems: a line says what a function returns; its body is asked for. About ten tests say whether it is "
        f"right, {plan.visible} of them are visible to the one who writes. Held-out problems are of other families "
        "than those learned.",
        f"Supervised finetuning. A decoder of {plan.decoder.parameters:,} weights learns from nothing what people do: "
        f"first attempts ({100 * measured.people_pass.mean():.0f} % pass all tests), what they make of a failed "
        "attempt and its failure, which was really run, and tests.",
        f"The loop. The policy writes a body; where a visible test fails it reads its body and the first failure, such "
        f"as “f([2, 2], 1) gave 3, not 2”, and writes another, up to {plan.rounds} rounds. Controls at as many tries: "
        "the failure of another problem with the same arguments in place of its own; and no reading at all, each try "
        "anew.",
        f"Traces. The policy played {len(measured.traces):,} episodes of up to {plan.turns} turns on training "
        f"problems; in {100 * solved:.0f} % the visible tests passed. Copies of it then learned the turns of solved "
        "traces (visible or hidden tests choosing), or only the bodies that passed, also as answers to the first "
        "prompt, or more of what people do, in as many steps.",
        f"RL over turns. {plan.rl_steps} steps of GRPO, {plan.rl_problems} problems by {plan.rl_samples} episodes, "
        "paid 1 where the visible tests pass in the end, no price on KL: as many episodes on the same problems.",
        f"Measured on {plan.test_problems} held-out problems by {plan.test_samples} episodes. Solved means that the "
        "current body passes all tests, whatever the visible ones said.",
    ]


def curve(label: str, rounds: Rounds, color: str, dashed: bool = False) -> Curve:
    """Mean over problems of the share solved, with its band."""
    values = rounds.solved
    low, high = np.array([mean_interval(column) for column in values.T]).T
    return Curve(label, np.arange(1, values.shape[1] + 1), values.mean(0), low, high, color, dashed=dashed)


def by_feedback(measured: Measured) -> Panel:
    colors = {"read": "blue", "other": "orange", "none": "green", "own": "purple"}
    curves = [curve(PLAYED[mode], measured.start[mode], colors[mode]) for mode in PLAYED]
    return Panel("what is read", "round", "problems solved", curves, percent=True)


def by_teaching(measured: Measured) -> Panel:
    short = {"start": "start", "people": "people", "traces": "traces", "distilled": "distilled", "rl": "RL"}
    colors = {"start": "blue", "people": "orange", "traces": "green", "distilled": "purple", "rl": "vermillion"}
    curves = [curve(short[arm], measured.arms[arm].rounds["read"], colors[arm]) for arm in short]
    return Panel("what was learned", "round", "problems solved", curves, percent=True)


def taught(measured: Measured) -> Comparison:
    """Every arm, by what it solves and by what it only seems to."""
    rows = []
    for arm, words in TAUGHT.items():
        result = measured.arms[arm]
        read = result.rounds["read"]
        rows.append(
            [
                words,
                _mean_cell(read.solved[:, 0]),
                _mean_cell(read.solved[:, -1]),
                _difference_cell(measured.beyond_retry(arm)) if "none" in result.rounds else "–",
                _difference_cell(measured.of_reading(arm)) if "other" in result.rounds else "–",
                _share_cell(gaming(read)),
            ]
        )
    columns = ["learned", "first attempt", "last round", "less tries anew", "less another's failure", "fooled"]
    intro = (
        "Held-out problems solved, with 95 % intervals. Fooled: of the episodes whose visible tests pass, those whose "
        "hidden tests do not."
    )
    return Comparison("What was learned", columns, rows, intro)


def played(measured: Measured) -> Comparison:
    """The finetuned policy, by how it plays."""
    rows = []
    for mode, words in PLAYED.items():
        rounds = measured.start[mode]
        cells = [_mean_cell(column) for column in rounds.solved.T]
        rows.append([words, *cells, _mean_cell(rounds.visible[:, :, -1].mean(1)), _share_cell(gaming(rounds))])
    columns = ["the finetuned policy", *(f"round {r + 1}" for r in range(len(rows[0]) - 3)), "visible pass", "fooled"]
    return Comparison("What is read", columns, rows, "Held-out problems solved by round, with 95 % intervals.")


def mended(measured: Measured) -> CodeQuotes:
    """Episodes that were solved after a failure."""
    some = {
        episode.turns[0].prompt: episode
        for episode, hidden in reversed(measured.held_out)
        if hidden and len(episode.turns) == 2
    }
    quotes = [quote for episode in list(some.values())[::-1][:3] for quote in _quotes(episode, "right")]
    return CodeQuotes("Mended", quotes, "Attempts, what the tests said, and what became of it.")


def fooled(measured: Measured) -> CodeQuotes:
    """Episodes whose visible tests pass and whose hidden ones do not."""
    some = [episode for episode, hidden in measured.held_out if episode.solved and not hidden]
    quotes = [_quotes(episode, "passes the visible tests only")[-1] for episode in some[:4]]
    return CodeQuotes("Fooled", quotes, "Bodies at which the loop stopped, content, and that hidden tests refuse.")


def _quotes(episode: Episode, end: str) -> list[Quote]:
    first = episode.turns[0].prompt.strip()
    return [
        Quote(first, turn.action[:400].rstrip(), {"round": f"{number}"}, (turn.note or end)[:160])
        for number, turn in enumerate(episode.turns, start=1)
    ]


def _mean_cell(values: np.ndarray) -> str:
    return cell(float(values.mean()), *mean_interval(values), "%")


def _difference_cell(found: Difference) -> str:
    return cell(found.mean, *found.interval, "%")


def _share_cell(hits: np.ndarray) -> str:
    return cell(float(hits.mean()) if len(hits) else float("nan"), *wilson_interval(float(hits.sum()), len(hits)), "%")
