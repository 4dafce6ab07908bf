"""`foolsgold labels aggregate`: what raters who differ come to, pair by pair, and what each of them is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from foolsgold.errors import UserError
from foolsgold.labels.comparison import Comparison
from foolsgold.labels.exchange.crowd import ITEM, LABEL, labels_of, named_cell
from foolsgold.labels.exchange.pairs import JudgedPair, judged_pairs
from foolsgold.labels.exchange.rows import Notes, content_of, places
from foolsgold.objectives.aggregation.bradley_terry import bradley_terry
from foolsgold.objectives.aggregation.crowd_bt import crowd_bt
from foolsgold.objectives.aggregation.dawid_skene import dawid_skene
from foolsgold.objectives.aggregation.paired import PairedComparisons
from foolsgold.objectives.aggregation.votes import (
    Judgements,
    agreement_with_others,
    consensus_accuracy,
    majority_vote,
    rater_accuracy,
    vote_shares,
)
from foolsgold.serving.labels_command import AggregateCommand, Method
from foolsgold.serving.labels_exchange import comparisons_of, existing_store
from foolsgold.serving.labels_files import read_table, write_table

PREFERENCES = ("a", "b", "tie", "both_bad")
"""Labels of a pair."""
PRECISION = 0.1
"""Of the normal prior of Bradley–Terry scores, 1/nats²: candidates who won or lost all keep finite ones."""
MOST_SHOWN = 20
"""Raters in a printed table, those who agree least with the others."""
_SQLITE = b"SQLite format 3\0"
"""How a store's file begins."""


@dataclass(frozen=True)
class Judged:
    """What is to be added up."""

    judgements: Judgements
    pairs: list[JudgedPair]
    """The pairs that the items are, in their order; none for a crowd's table."""


@dataclass(frozen=True)
class Result:
    """Judgements added up."""

    rows: list[dict[str, Any]]
    """An item or a candidate each."""
    chances: np.ndarray | None = None
    """`[I, K]`, chance of each class to be called the item's; None where candidates are scored."""
    worth: dict[str, np.ndarray] = field(default_factory=dict)
    """What the model thinks of each rater, `[R]` by what it is called."""


def read_judged(place: str, project: str | None, notes: Notes) -> Judged:
    """Judgements of a store or of a crowd's table; of a rater's judgements of one item the last counts.

    Raises:
      UserError: the store or table cannot be read, or holds nothing.
    """
    if _is_store(place):
        with existing_store(place) as store:
            return of_comparisons(comparisons_of(store, project, None, notes), notes)
    if project is not None:
        raise UserError(f"--project is of a store, but {place} is a table")
    said = list(labels_of(read_table(place)))
    last = {(label.worker, label.item): label.label for label in said}
    _note_repeats(len(said) - len(last), notes)
    workers, items = zip(*last, strict=True)
    return Judged(Judgements.of(workers, items, list(last.values())), [])


def of_comparisons(said: Iterable[Comparison], notes: Notes) -> Judged:
    """Comparisons by pair; of a rater's judgements of one pair the last counts. Empty input is not allowed."""
    pairs = judged_pairs(said)
    votes = [(rater, pair.key, preferred) for pair in pairs for rater, preferred in pair.last_votes.items()]
    _note_repeats(sum(len(pair.votes) for pair in pairs) - len(votes), notes)
    raters, items, labels = zip(*votes, strict=True)
    return Judged(Judgements.of(raters, items, labels, PREFERENCES), pairs)


def _is_store(place: str) -> bool:
    """Whether `place` is the URL of a database or a file of SQLite."""
    if "://" in place:
        return True
    if not Path(place).is_file():
        return False
    with Path(place).open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _note_repeats(count: int, notes: Notes) -> None:
    if count:
        notes.left_out["earlier judgements by a rater who judged the item again"] += count


def add_up(judged: Judged, method: Method) -> Result:
    """By one of the methods.

    Raises:
      UserError: the method scores candidates, and a crowd's table names none.
    """
    if method in ("bradley-terry", "crowd-bt"):
        return _scored(judged, method)
    counts = judged.judgements.counts()
    if method == "majority":
        return Result(_item_rows(judged, vote_shares(counts)), majority_vote(counts))
    fit = dawid_skene(judged.judgements)
    rows = _item_rows(judged, fit.posterior)
    return Result(rows, majority_vote(fit.posterior), {"estimated accuracy": fit.accuracy})


def _item_rows(judged: Judged, chances: np.ndarray) -> list[dict[str, Any]]:
    said, votes = judged.judgements, np.bincount(judged.judgements.item)
    rows = []
    for i, (item, best) in enumerate(zip(said.items, chances.argmax(1), strict=True)):
        row = {
            "item": item,
            "label": said.classes[best],
            "probability": float(chances[i, best]),
            "votes": int(votes[i]),
        }
        pair = judged.pairs[i] if judged.pairs else None
        rows.append(row if pair is None else {**row, "prompt": pair.prompt, "a": pair.a, "b": pair.b})
    return rows


def _scored(judged: Judged, method: Method) -> Result:
    """Scores of candidates, in nats of log-odds; only those of one prompt can be told apart."""
    if not judged.pairs:
        raise UserError(f"{method} scores candidates, which a crowd's table does not name; give a store")
    compared = _paired(judged.pairs)
    worth = {}
    if method == "crowd-bt":
        fit = crowd_bt(compared)
        scores = fit.scores
        reliability = dict(zip(compared.raters, fit.reliability.tolist(), strict=True))
        worth["reliability"] = np.array([reliability.get(rater, np.nan) for rater in judged.judgements.raters])
    else:
        scores = bradley_terry(compared.pairs, PRECISION).scores
    times = np.bincount(np.concatenate([compared.a, compared.b]))
    rows = [
        {"prompt": prompt, "candidate": text, "score": float(score), "comparisons": int(count)}
        for (prompt, text), score, count in zip(compared.items, scores, times, strict=True)
    ]
    return Result(rows, worth=worth)


def _paired(pairs: Sequence[JudgedPair]) -> PairedComparisons:
    """Last votes as comparisons of (prompt, candidate); a text compared with itself tells nothing and is left out."""
    votes = [
        ((pair.prompt, pair.a), (pair.prompt, pair.b), {"a": 1.0, "b": 0.0}.get(preferred, 0.5), rater)
        for pair in pairs
        if pair.a != pair.b
        for rater, preferred in pair.last_votes.items()
    ]
    if not votes:
        raise UserError("there are no comparisons of two different candidates")
    a, b, outcomes, raters = zip(*votes, strict=True)
    return PairedComparisons.of(a, b, outcomes, raters)


def preferred_rows(said: Iterable[Comparison], method: Method, notes: Notes) -> list[dict[str, Any]]:
    """A row of TRL's preference columns for each pair, the better candidate chosen, and how sure that is.

    By majority in counts of raters, else in `probability`: `foolsgold train reward` reads both.
    """
    judged = of_comparisons(said, notes)
    notes.dropped["raters"] = len(judged.judgements.raters)
    scores = None
    if method in ("bradley-terry", "crowd-bt"):
        scores = {(row["prompt"], row["candidate"]): row["score"] for row in _scored(judged, method).rows}
    fit = dawid_skene(judged.judgements).posterior if method == "dawid-skene" else None
    rows = []
    for i, pair in enumerate(judged.pairs):
        votes = Counter(pair.last_votes.values())
        ties = votes["tie"] + votes["both_bad"]
        if scores is not None:
            lead = scores.get((pair.prompt, pair.a), 0.0) - scores.get((pair.prompt, pair.b), 0.0)
            chance = float(expit(lead))
        elif fit is not None:
            chance = float(fit[i, 0] + fit[i, 2:].sum() / 2)
        else:
            chance = (votes["a"] + ties / 2) / votes.total()
        chosen, rejected = (pair.a, pair.b) if chance >= 0.5 else (pair.b, pair.a)
        row = {"prompt": pair.prompt, "chosen": chosen, "rejected": rejected}
        texts: dict[str, Any] = {name: content_of(text) for name, text in row.items()}
        if method == "majority":
            won, lost = sorted([votes["a"], votes["b"]], reverse=True)
            rows.append({**texts, "chosen_count": won, "rejected_count": lost, "tie_count": ties})
        else:
            rows.append({**texts, "probability": max(chance, 1 - chance)})
    return rows


def aggregate(command: AggregateCommand) -> None:
    """Add up, print what the raters are worth and how right the outcome is, and write it.

    Raises:
      UserError: the data or the true labels cannot be read or do not fit.
    """
    notes = Notes()
    judged = read_judged(command.data, command.project, notes)
    result = add_up(judged, command.method)
    truth = None if command.gold is None else _truth(judged.judgements, command.gold)
    said = judged.judgements
    print(f"{len(said.item):,} judgements of {len(said.items):,} items by {len(said.raters):,} raters")
    _print_raters(said, result, truth)
    if truth is not None:
        right, known = rater_accuracy(said, truth)
        if result.chances is not None:
            share, items = consensus_accuracy(result.chances, truth), int((truth >= 0).sum())
            print(f"{command.method}: right about {share:.1%} of {items:,} items with a known label")
        print(f"a single judgement: {right.sum() / known.sum():.1%}")
    if command.out is not None:
        print(f"{len(result.rows):,} rows: {write_table(command.out, result.rows)}")
    for line in notes.lines:
        print(line)


def _truth(said: Judgements, place: str) -> np.ndarray:
    rows = read_table(place)
    known = {named_cell(row, ITEM, where): named_cell(row, LABEL, where) for where, row in places(rows)}
    try:
        truth = said.truth(known)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error
    if (truth < 0).all():
        raise UserError(f"{place} names none of the items that were judged")
    return truth


def _print_raters(said: Judgements, result: Result, truth: np.ndarray | None) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = {"agrees with another": agreement_with_others(said), **result.worth}
    if truth is not None:
        right, known = rater_accuracy(said, truth)
        columns["right"] = np.divide(right, known, out=np.full(len(known), np.nan), where=known > 0)
    count = np.bincount(said.rater, minlength=len(said.raters))
    order = np.argsort(np.nan_to_num(columns["agrees with another"], nan=2.0), kind="stable")
    table = Table("rater", "judgements", *columns)
    for r in order[:MOST_SHOWN]:
        cells = ["–" if np.isnan(each[r]) else f"{each[r]:.0%}" for each in columns.values()]
        table.add_row(str(said.raters[r]), f"{count[r]:,}", *cells)
    console = Console()
    console.print(table)
    if len(order) > MOST_SHOWN:
        console.print(f"and {len(order) - MOST_SHOWN} raters who agree more with the others", highlight=False)
