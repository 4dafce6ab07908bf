"""What adding up gains: on real raters, and on simulated ones of whom everything is known.

    python bench/aggregation_raters.py [--seeds 20]
    python bench/aggregation_raters.py --barzan FOLDER      # labels.txt and evaluation.txt: ipeirotis/Get-Another-Label
    python bench/aggregation_raters.py --pandalm FILE       # testset-v1.json, or .json.gz: WeOpenML/PandaLM

The last line is one JSON object. Intervals are 95 %; of answers told, the range over 20 draws of them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats
from scipy.special import expit

from foolsgold.objectives.aggregation.bradley_terry import bradley_terry
from foolsgold.objectives.aggregation.crowd_bt import crowd_bt
from foolsgold.objectives.aggregation.dawid_skene import dawid_skene
from foolsgold.objectives.aggregation.mixture import group_mixture
from foolsgold.objectives.aggregation.paired import PairedComparisons
from foolsgold.objectives.aggregation.votes import Judgements, majority_vote, rater_accuracy
from foolsgold.objectives.agreement import ratio
from foolsgold.objectives.annotator_agreement import fleiss_kappa, krippendorff_alpha, pairwise_agreement, unanimity
from foolsgold.objectives.statistics import Interval, mean_interval, wilson_interval

KNOWN = 100
"""Items of Barzan and Mozafari whose answers are told, to see what attention checks are worth."""
Row = tuple[str, float, Interval]


@dataclass(frozen=True)
class Arguments:
    barzan: Path | None = None
    """Folder with labels.txt (worker, item, label) and evaluation.txt (item, truth)."""
    pandalm: Path | None = None
    """PandaLM's test set with three annotators a pair."""
    seeds: int = 20
    """Crowds simulated for each number."""


def barzan(folder: Path) -> list[Row]:
    """Accuracies, shares from 0 to 1."""
    said = [line.split("\t") for line in (folder / "labels.txt").read_text().splitlines()]
    known = dict(line.split("\t") for line in (folder / "evaluation.txt").read_text().splitlines())
    judgements = Judgements.of(*zip(*said, strict=True))
    truth = judgements.truth(known)

    def right(posterior: np.ndarray) -> np.ndarray:
        return majority_vote(posterior)[np.arange(len(truth)), truth]

    def row(name: str, each: np.ndarray) -> Row:
        return name, float(each.mean()), wilson_interval(each.sum(), len(each))

    right_labels, judged = rater_accuracy(judgements, truth)
    labels = ratio(right_labels.astype(float), judged.astype(float))
    counts = judgements.counts()
    votes, model = right(counts), right(dawid_skene(judgements).posterior)
    gain = model - votes
    told, told_votes = [], []
    for seed in range(20):
        chosen = np.random.default_rng(seed).permutation(len(truth)) < KNOWN
        fit = dawid_skene(judgements, np.where(chosen, truth, -1))
        told.append(right(fit.posterior)[~chosen].mean())
        told_votes.append(votes[~chosen].mean())
    more = np.array(told) - np.array(told_votes)
    alpha = krippendorff_alpha(counts)
    return [
        ("a label drawn at random is right", labels.value, labels.interval()),
        row("majority", votes),
        row("Dawid–Skene", model),
        ("Dawid–Skene less majority", float(gain.mean()), mean_interval(gain)),
        row("Dawid–Skene, smoothing 1", right(dawid_skene(judgements, smoothing=1).posterior)),
        (f"{KNOWN} answers told, less majority, other items", float(more.mean()), Interval(more.min(), more.max())),
        ("Krippendorff's alpha", alpha.value, alpha.bootstrap),
    ]  # fmt: skip


def pandalm(file: Path) -> list[Row]:
    """Agreement, shares from 0 to 1."""
    content = file.read_bytes()
    pairs = json.loads(gzip.decompress(content) if file.suffix == ".gz" else content)
    said = [(n, pair["idx"], pair[f"annotator{n}"]) for pair in pairs for n in (1, 2, 3)]
    counts = Judgements.of(*zip(*said, strict=True), classes=(0, 1, 2)).counts()
    two, three, kappa, alpha = (
        pairwise_agreement(counts),
        unanimity(counts),
        fleiss_kappa(counts),
        krippendorff_alpha(counts),
    )
    return [
        ("two annotators agree", two.value, two.share_interval()),
        ("all three agree", three.value, three.share_interval()),
        ("Fleiss' kappa", kappa.value, kappa.interval()),
        ("Krippendorff's alpha", alpha.value, alpha.bootstrap),
    ]


def labelled(seed: int, spammers: float) -> list[float]:
    """Accuracy of majority, Dawid–Skene, and Dawid–Skene smoothed: 500 items, five labels each, 50 raters."""
    rng = np.random.default_rng(seed)
    truth, accuracy = rng.integers(0, 2, 500), rng.uniform(0.65, 0.9, 50)
    accuracy[: round(50 * spammers)] = 0.5
    item = np.repeat(np.arange(500), 5)
    rater = np.concatenate([rng.choice(50, 5, replace=False) for _ in range(500)])
    label = np.where(rng.random(2500) < accuracy[rater], truth[item], 1 - truth[item])
    judgements = Judgements.of(rater, item, label)
    believed = [judgements.counts(), *(dawid_skene(judgements, smoothing=s).posterior for s in (0, 1))]
    return [float(majority_vote(each)[np.arange(500), truth].mean()) for each in believed]


def compared(seed: int, spammers: float) -> list[float]:
    """Kendall's tau with the truth of Bradley–Terry and Crowd-BT: 30 items, 40 raters of 40 comparisons each."""
    rng = np.random.default_rng(seed)
    scores, reliability = rng.normal(size=30) * 1.5, rng.uniform(0.85, 1, 40)
    reliability[: round(40 * spammers)] = 0.5
    rater = np.repeat(np.arange(40), 40)
    a = rng.integers(0, 30, 1600)
    b = (a + rng.integers(1, 30, 1600)) % 30
    preferred = rng.random(1600) < expit(scores[a] - scores[b])
    said = np.where(rng.random(1600) < reliability[rater], preferred, ~preferred).astype(float)
    comparisons = PairedComparisons(a, b, said, rater, tuple(range(30)), tuple(range(40)))
    fits = bradley_terry(comparisons.pairs, 0.1).scores, crowd_bt(comparisons).scores
    return [float(stats.kendalltau(fit, scores)[0]) for fit in fits]


def grouped(seed: int, each: int) -> list[float]:
    """Share of new comparisons foretold, for the majority and for a minority of one in ten.

    By the pooled model, and by the mixture, which knows a rater by the `each` comparisons that it was fitted to: 200
    raters, five features.
    """
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(2, 5)) * 1.5
    group = (np.arange(200) < 20).astype(int)
    rater = np.repeat(np.arange(200), each + 50)
    fitted = np.arange(len(rater)) % (each + 50) < each
    x = rng.normal(size=(len(rater), 5))
    y = rng.random(len(x)) < expit((x * weights[group[rater]]).sum(1))
    pooled = group_mixture(x[fitted], y[fitted], rater[fitted], 1)
    mixed = group_mixture(x[fitted], y[fitted], rater[fitted], 2, seed=seed)
    foretold = []
    for fit in (pooled, mixed):
        chance = (expit(x @ fit.weights.T) * fit.membership[rater]).sum(1)
        right = ((chance > 0.5) == y)[~fitted]
        foretold += [float(right[group[rater[~fitted]] == g].mean()) for g in (0, 1)]
    return foretold


def table(title: str, first: str, columns: Sequence[str], rows: dict[str, np.ndarray]) -> Table:
    """Means over seeds with their intervals; rows `[seeds, columns]`."""
    made = Table(title=title, box=box.SIMPLE, title_justify="left")
    made.add_column(first)
    for column in columns:
        made.add_column(column, justify="right")
    for name, values in rows.items():
        cells = [(values[:, c].mean(), mean_interval(values[:, c])) for c in range(values.shape[1])]
        made.add_row(name, *(f"{mean:.3f} ({low:.3f}–{high:.3f})" for mean, (low, high) in cells))
    return made


def main(arguments: Arguments) -> None:
    console, found = Console(width=140), {}
    for name, source, measure in (
        ("Barzan and Mozafari", arguments.barzan, barzan),
        ("PandaLM", arguments.pandalm, pandalm),
    ):
        if source is not None:
            real = Table(title=name, box=box.SIMPLE, title_justify="left")
            for column in ("what", "value", "interval"):
                real.add_column(column)
            for what, value, (low, high) in measure(source):
                real.add_row(what, f"{value:.3f}", f"{low:.3f}–{high:.3f}")
                found[f"{name}: {what}"] = round(value, 4)
            console.print(real)
    spam = (0.0, 0.2, 0.4, 0.6)
    random = "raters at random"
    simulated = [
        ("Labels: accuracy", random, ("majority", "Dawid–Skene", "smoothed by 1"), labelled, spam),
        ("Comparisons: Kendall's tau with the truth", random, ("Bradley–Terry", "Crowd-BT"), compared, spam),
        (
            "One in ten wants something else: share of new comparisons foretold",
            "comparisons a rater",
            ("pooled: majority", "pooled: minority", "mixture: majority", "mixture: minority"),
            grouped,
            (5, 10, 20, 40),
        ),
    ]  # fmt: skip
    for title, first, columns, simulate, settings in simulated:
        rows = {
            f"{setting:.0%}" if simulate is not grouped else str(setting): np.array(
                [simulate(seed, setting) for seed in range(arguments.seeds)]  # type: ignore[operator]
            )
            for setting in settings
        }
        console.print(table(title, first, columns, rows))
        for name, values in rows.items():
            for column, mean in zip(columns, values.mean(0), strict=True):
                found[f"{title}, {column}, {name}"] = round(float(mean), 4)
    print(json.dumps({"bench": "aggregation_raters", "found": found}))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
