"""`foolsgold labels agreement`: how far raters agree beyond chance, and which two of them do."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from rich.console import Console
from rich.table import Table

from foolsgold.errors import UserError
from foolsgold.labels.exchange.rows import Notes
from foolsgold.objectives.aggregation.votes import Judgements
from foolsgold.objectives.annotator_agreement import (
    fleiss_kappa,
    krippendorff_alpha,
    pairwise_agreement,
    unanimity,
)
from foolsgold.objectives.statistics import Interval, wilson_interval
from foolsgold.serving.labels_aggregate import read_judged
from foolsgold.serving.labels_command import AgreementCommand

MOST_PAIRS = 15
"""Two raters a row, those who share most items."""


def agreement(command: AgreementCommand) -> None:
    """Print the measures of agreement and the raters two by two.

    Raises:
      UserError: the data cannot be read, or no item was judged by two.
    """
    notes = Notes()
    said = read_judged(command.data, command.project, notes).judgements
    counts = said.counts()
    shared = int((counts.sum(1) >= 2).sum())
    if not shared:
        raise UserError(f"{command.data}: no item was judged by two raters, so that there is nothing to agree on")
    same, all_same = pairwise_agreement(counts), unanimity(counts)
    kappa, alpha = fleiss_kappa(counts), krippendorff_alpha(counts, seed=command.seed)
    print(f"{len(said.item):,} judgements by {len(said.raters):,} raters; {shared:,} items were judged by two or more")
    table = Table("measure", "value", "95 % interval")
    table.add_row("two raters say the same", f"{same.value:.1%}", _shares(same.share_interval()))
    table.add_row("all raters of an item say the same", f"{all_same.value:.1%}", _shares(all_same.share_interval()))
    table.add_row("Fleiss' kappa", _number(kappa.value), _numbers(kappa.interval()))
    table.add_row("Krippendorff's alpha", _number(alpha.value), _numbers(alpha.bootstrap))
    console = Console()
    console.print(table)
    _print_pairs(said, console)
    for line in notes.lines:
        print(line)


def _print_pairs(said: Judgements, console: Console) -> None:
    """Raters two by two; each judged an item once."""
    answers = [dict[int, int]() for _ in said.raters]
    for rater, item, label in zip(said.rater.tolist(), said.item.tolist(), said.label.tolist(), strict=True):
        answers[rater][item] = label
    found = []
    for one, other in combinations(range(len(answers)), 2):
        both = answers[one].keys() & answers[other].keys()
        if both:
            found.append((len(both), sum(answers[one][i] == answers[other][i] for i in both), one, other))
    found.sort(key=lambda pair: -pair[0])
    table = Table("rater", "and", "items", "say the same", "95 % interval")
    for items, same, one, other in found[:MOST_PAIRS]:
        names = (str(said.raters[one]), str(said.raters[other]))
        table.add_row(*names, f"{items:,}", f"{same / items:.1%}", _shares(wilson_interval(same, items)))
    console.print(table)
    if len(found) > MOST_PAIRS:
        console.print(f"and {len(found) - MOST_PAIRS:,} pairs who share fewer items", highlight=False)


def _shares(interval: Interval) -> str:
    return f"{interval.low:.1%} to {interval.high:.1%}"


def _numbers(interval: Interval) -> str:
    return f"{_number(interval.low)} to {_number(interval.high)}"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
