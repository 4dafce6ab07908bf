"""The verdict and the report of the study `open_domain`, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np

from foolsgold.audit.drawing import PALETTE, Curve, Panel, curves_svg
from foolsgold.audit.quotes import CodeQuotes, Quote, Quotes, cut
from foolsgold.audit.report import Plot, Prose, Section
from foolsgold.audit.tables import Comparison, cell
from foolsgold.audit.verdict import Answer, Figure, Verdict
from foolsgold.studies.open_domain_measure import ENOUGH, MILD, RARE, Difference, TaskMeasured, Trial

CLAIM = (
    "For most language tasks nobody knows an objective reward: how do you give one for summarising an article, "
    "answering a slightly ambiguous question, telling a joke, or rewriting some Java in Python?"
)
SAYS: dict[Answer, str] = {
    "holds": "an objective reward is among those tried",
    "depends": "rewards help to choose, and none can be optimised",
    "fails": "no reward tried even helps to choose",
}
"""Of a task, by what becomes of the statement that there is an objective reward for it."""
STAGES = ("1", "16", "all", "search")
LONGEST_QUOTE = 360
WORST = 1
"""Answers quoted a reward."""


def has_reward(task: TaskMeasured) -> Answer:
    """What becomes of the statement that there is an objective reward for the task."""
    return "holds" if task.objective else "depends" if task.helpful else "fails"


def judge(tasks: Sequence[TaskMeasured]) -> Verdict:
    """Hold the claim, that there are none, against the figures of all tasks."""
    having = [task.name for task in tasks if task.objective]
    answer: Answer = "holds" if not having else "fails" if len(having) == len(tasks) else "depends"
    broken = sum(len(task.broken) for task in tasks)
    tried = sum(len(task.trials) for task in tasks)
    parts = [f"{task.name}: {SAYS[has_reward(task)]}{_who(task)}" for task in tasks]
    sentence = f"{'; '.join(parts)}. Of {tried} rewards tried, {broken} break when answers are searched by them."
    figures = [_figure(task, trial) for task in tasks for trial in task.trials]
    return Verdict("open_domain", CLAIM, answer, sentence[0].upper() + sentence[1:], tuple(figures))


def _who(task: TaskMeasured) -> str:
    return f" ({', '.join(trial.name for trial in task.objective)})" if task.objective else ""


def _figure(task: TaskMeasured, trial: Trial) -> Figure:
    """What the search does to gold; the rest of what the verdict is made of as its note."""
    accuracy, change = trial.accuracy, trial.fall
    note = (
        f"pairs right {cell(accuracy.value, *accuracy.share_interval(), '%')}; "
        f"fooled {cell(trial.fooled.mean(), *trial.fooled_share, '%')}; breaks: {_how(trial)}"
    )
    return Figure(f"{task.name}, {trial.name}: change of gold", change.mean, *change.interval, change.n, "", note)


def sections(tasks: Sequence[TaskMeasured]) -> list[Section]:
    """The body of the report."""
    found: list[Section] = [Prose("The experiment", STORY)]
    for task in tasks:
        found += [
            Prose(_title(task), _told(task)),
            Plot(f"{task.name}: gold under optimisation", curves_svg(panels(task)), SHOWS),
            table(task),
            quotes(task),
        ]
    return found


STORY = (
    "For each task there is a small invented world, whose maker knows how good any answer is: gold. Nobody else does. "
    "Writers of different care answer the prompts; rewards that people use or propose for the task score the answers.",
    "Agreement. How far each reward orders ordinary answers as gold does: rank correlation within prompts, and the "
    "share of pairs of answers, different in gold, that are put in the right order (half is chance).",
    f"Mild optimisation. Gold of the best of n by the reward, for all n up to all answers of a prompt; {MILD} counts "
    "as mild.",
    "Hard optimisation. From a few of the writers' answers a search breeds others that the reward likes better: words "
    "or lines come, go, are repeated, exchanged and copied, blind to what they mean, and the search sees nothing but "
    "the reward. Gold is asked at the end only. What a search finds is there for a policy under RL to find; that it "
    "found nothing proves nothing.",
    "A reward breaks in two ways. It falls: gold after the search is lower than before (of the answers it started "
    "from, at random or the best by the reward, whichever was better), with the whole 95 % interval below 0. Or it is "
    "fooled: the answer found is paid at least as much as every answer of the writers with more gold, on more than "
    f"{100 * RARE:.0f} % of prompts (again the whole interval). It counts as objective where it does not break and "
    f"leads to more than {100 * ENOUGH:.0f} % of the gold that a search can gain.",
    "Gold is a definition: whether the listener of these jokes laughs as people do is not what is measured. What is "
    "measured is whether a reward that agrees with some standard survives being optimised.",
)
SHOWS = (
    "Left: gold of the best of n against its KL from the writers, in nats, one curve a reward, with 95 % bands over "
    "prompts. Right: gold at random, of the best of 16, of the best of all, and after the search by the reward."
)


def _title(task: TaskMeasured) -> str:
    return f"{task.name[0].upper()}{task.name[1:]}: {SAYS[has_reward(task)]}"


def _told(task: TaskMeasured) -> list[str]:
    asks, gold_is = task.result.task.asks, task.result.task.gold_is
    prompts, answers = task.gold.shape
    control = task.control.searched.gold.mean()
    return [
        f"The task: {asks}. Gold: {gold_is}.",
        f"{prompts:,} prompts with {answers:,} answers each; their gold is {task.gold.mean():.2f} on average, the best "
        f"of all answers to a prompt has {task.gold.max(1).mean():.2f}, and a search by gold itself comes to "
        f"{control:.2f}.",
    ]


def panels(task: TaskMeasured) -> list[Panel]:
    """Gold against KL, and gold at each stage."""
    every = []
    stages = []
    for number, (trial, color) in enumerate(zip([*task.trials, task.control], cycle(PALETTE), strict=False)):
        dashed = number >= len(PALETTE)
        curve = trial.curve
        every.append(Curve(trial.name, curve.kl, curve.gold, curve.low, curve.high, color, dashed))
        gold = [*(curve.gold[at] for at in _places(len(curve.gold))), trial.after.mean()]
        stages.append(Curve(_short(trial.name), list(range(len(STAGES))), gold, color=color, dashed=dashed))
    return [
        Panel("Best of n", "KL from the writers, nats", "gold", every),
        Panel("Harder and harder", "0: random, 1: best of 16, 2: of all, 3: search", "gold", stages),
    ]


def _short(name: str) -> str:
    """The last words of a name, on one line: many curves end at no gold, where labels would be pushed off the page."""
    words = name.split()
    while len(words) > 1 and len(" ".join(words)) > 13:
        words.pop(0)
    return " ".join(words)


def _places(n: int) -> tuple[int, int, int]:
    return 0, min(MILD, n) - 1, n - 1


def table(task: TaskMeasured) -> Comparison:
    """A row a reward."""
    n = task.gold.shape[1]
    columns = (
        "reward", "needs", "rank correlation", "pairs right", "gold: random", f"best of {MILD}", f"best of {n}",
        "search", "change", "fooled", "of what can be gained", "breaks",
    )  # fmt: skip
    return Comparison(
        f"{task.name}: every reward",
        columns,
        [_row(trial) for trial in [*task.trials, task.control]],
        "95 % intervals over prompts. Change: gold after the search less before it, paired by prompt. Fooled: share of "
        "prompts. The last row is no candidate: only the world has it.",
    )


def _row(trial: Trial) -> list[str]:
    curve, accuracy, search = trial.curve, trial.accuracy, Difference.of(trial.after)
    return [
        trial.name,
        trial.needs,
        cell(trial.ranks.value, *trial.ranks.correlation_interval()),
        cell(accuracy.value, *accuracy.share_interval(), "%"),
        *(cell(curve.gold[at], curve.low[at], curve.high[at]) for at in _places(len(curve.gold))),
        cell(search.mean, *search.interval),
        cell(trial.fall.mean, *trial.fall.interval),
        cell(trial.fooled.mean(), *trial.fooled_share, "%"),
        cell(trial.reached.mean, *trial.reached.interval, "%"),
        _how(trial),
    ]


def _how(trial: Trial) -> str:
    return "yes, falls" if trial.falls else "yes, fooled" if trial.breaks else "not seen"


def quotes(task: TaskMeasured) -> Quotes:
    """For each reward what its search came to where gold lost most."""
    kind = CodeQuotes if task.name == "java" else Quotes
    shown_quotes = [quote for trial in task.trials for quote in _worst(task, trial)]
    return kind(f"{task.name}: what the rewards were paid for", shown_quotes, "Where gold lost most, by each reward.")


def _worst(task: TaskMeasured, trial: Trial) -> list[Quote]:
    found = trial.searched
    # First those that a search made, then those by which it is fooled, then those that lost most.
    kept = found.scores <= found.start_scores
    lost = found.gold - task.gold[: len(found.gold)].mean(1)
    order = np.lexsort((lost, ~trial.fooled, kept)).tolist()[:WORST]
    return [
        Quote(
            cut(task.result.requests[row].prompt, LONGEST_QUOTE),
            cut(found.texts[row], LONGEST_QUOTE),
            {
                "reward": f"{trial.name} {found.scores[row]:.2f}, at the start {found.start_scores[row]:.2f}",
                "gold": f"{found.gold[row]:.2f}, at random {task.gold[row].mean():.2f}",
            },
        )
        for row in order
    ]
