"""Adding up judgements: how fast, against crowd-kit.

    OMP_NUM_THREADS=1 python bench/aggregation.py [--judgements 1000000] [--rounds 3]

Contestants take turns in one process, from arrays in memory to the answer, with as many rounds of EM. The last line is
one JSON object.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import tyro
from crowdkit.aggregation import BradleyTerry, DawidSkene, MajorityVote, NoisyBradleyTerry
from rich.console import Console
from scipy.special import expit

from foolsgold.objectives.aggregation.bradley_terry import bradley_terry
from foolsgold.objectives.aggregation.crowd_bt import crowd_bt
from foolsgold.objectives.aggregation.dawid_skene import dawid_skene
from foolsgold.objectives.aggregation.mixture import group_mixture
from foolsgold.objectives.aggregation.paired import PairedComparisons
from foolsgold.objectives.aggregation.votes import Judgements, majority_vote
from foolsgold.objectives.annotator_agreement import fleiss_kappa, krippendorff_alpha
from rounds import machine, print_table, take_turns

EM_ROUNDS = 10
FEW = 50
"""Crowd-kit's noisy Bradley–Terry gets this many times fewer comparisons: it loops over them in Python."""
NOTES = [
    "labels: 2,000 raters, three classes, five labels an item; comparisons: 1,000 items, 2,000 raters",
    f"Dawid–Skene: {EM_ROUNDS} rounds of EM each, the same posteriors; ours with the time to code the names",
    "Bradley–Terry: theirs until its own criterion, ours to the last digits",
    "Crowd-BT: theirs is another model, noisy Bradley–Terry with reliability and bias; its rate is of "
    f"{FEW} times fewer comparisons",
]


@dataclass(frozen=True)
class Arguments:
    judgements: int = 1_000_000
    rounds: int = 3
    """How often each contestant is measured."""


@dataclass(frozen=True)
class Crowd:
    """What is added up: labels and comparisons, as arrays."""

    rater: np.ndarray
    item: np.ndarray
    label: np.ndarray
    compared: PairedComparisons

    @classmethod
    def drawn(cls, judgements: int) -> Crowd:
        rng = np.random.default_rng(0)
        items = -(-judgements // 5)
        item = np.arange(judgements) // 5
        rater = rng.integers(0, 2000, judgements)
        truth, accuracy = rng.integers(0, 3, items), rng.uniform(0.4, 0.95, 2000)
        label = np.where(rng.random(judgements) < accuracy[rater], truth[item], rng.integers(0, 3, judgements))
        a = rng.integers(0, 1000, judgements)
        b = (a + rng.integers(1, 1000, judgements)) % 1000
        scores, reliability = rng.normal(size=1000), rng.uniform(0.5, 1, 2000)
        preferred = rng.random(judgements) < expit(scores[a] - scores[b])
        said = np.where(rng.random(judgements) < reliability[rater], preferred, ~preferred)
        names = tuple(range(1000)), tuple(range(2000))
        return cls(rater, item, label, PairedComparisons(a, b, said.astype(float), rater, *names))

    @property
    def labels_frame(self) -> pd.DataFrame:
        return pd.DataFrame({"task": self.item, "worker": self.rater, "label": self.label})

    def pairs_frame(self, n: int) -> pd.DataFrame:
        """The first `n` comparisons."""
        a, b = self.compared.a[:n], self.compared.b[:n]
        preferred = np.where(self.compared.outcome[:n] == 1, a, b)
        return pd.DataFrame({"worker": self.compared.rater[:n], "left": a, "right": b, "label": preferred})


Contest = dict[str, tuple[Callable[[], object], int]]
"""Who, what they do, and with how many judgements."""


def contests(crowd: Crowd) -> dict[str, Contest]:
    """Per task the contestants, ours first."""
    n = len(crowd.rater)
    few = max(1, n // FEW)
    labels, pairs, little = crowd.labels_frame, crowd.pairs_frame(n), crowd.pairs_frame(few)

    def ours() -> Judgements:
        return Judgements.of(crowd.rater, crowd.item, crowd.label)

    counts = ours().counts()
    features = np.random.default_rng(1).normal(size=(n, 8))
    return {
        "majority": {
            "foolsgold": (lambda: majority_vote(ours().counts()), n),
            "crowd-kit": (lambda: MajorityVote().fit_predict(labels), n),
        },
        "Dawid–Skene": {
            "foolsgold": (lambda: dawid_skene(ours(), iterations=EM_ROUNDS, tolerance=-1), n),
            "crowd-kit": (lambda: DawidSkene(EM_ROUNDS, tol=-np.inf).fit(labels), n),
        },
        "Bradley–Terry": {
            "foolsgold": (lambda: bradley_terry(crowd.compared.pairs), n),
            "crowd-kit": (lambda: BradleyTerry(n_iter=1000).fit(pairs), n),
        },
        "Crowd-BT": {
            "foolsgold": (lambda: crowd_bt(crowd.compared), n),
            "crowd-kit": (lambda: NoisyBradleyTerry().fit(little), few),
        },
        "two groups, 8 features": {
            "foolsgold": (lambda: group_mixture(features, crowd.compared.outcome, crowd.rater, 2, starts=1), n),
        },
        "Fleiss' kappa": {"foolsgold": (lambda: fleiss_kappa(counts), n)},
        "Krippendorff's alpha": {"foolsgold": (lambda: krippendorff_alpha(counts), n)},
    }


def rate(work: Callable[[], object], judgements: int) -> float:
    """Judgements a second."""
    began = time.perf_counter()
    work()
    return judgements / (time.perf_counter() - began)


def check(crowd: Crowd) -> None:
    """That both add up to the same, before anything is timed."""
    some = slice(None, min(len(crowd.rater), 20_000))
    judgements = Judgements.of(crowd.rater[some], crowd.item[some], crowd.label[some])
    theirs = DawidSkene(EM_ROUNDS, tol=-np.inf).fit(crowd.labels_frame[some]).probas_
    posterior = dawid_skene(judgements, iterations=EM_ROUNDS, tolerance=-1).posterior
    if not np.allclose(posterior, theirs.loc[list(judgements.items)].sort_index(axis=1), atol=1e-6):
        raise SystemExit("the contestants do not agree on Dawid–Skene")


def main(arguments: Arguments) -> None:
    crowd = Crowd.drawn(arguments.judgements)
    check(crowd)
    found: dict[str, dict[str, float]] = {"ratios": {}, "seconds": {}}
    rows: list[tuple[str, ...]] = []
    for task, contest in contests(crowd).items():
        measured = take_turns(
            {who: lambda work=work, n=n: rate(work, n) for who, (work, n) in contest.items()}, arguments.rounds
        )
        for who, rates in measured.items():
            first = who == "foolsgold"
            ratio = measured["foolsgold"].over(rates)
            if first:
                found["seconds"][task] = round(arguments.judgements / rates.median, 2)
            else:
                found["ratios"][f"{task} / {who}"] = round(ratio.median, 1)
            rows.append((task if first else "", who, str(rates), "" if first else f"{ratio} x", ""))
    title = f"Adding up {arguments.judgements:,} judgements"
    print_table(Console(width=140), title, rows, NOTES, rate="judgements/s")
    print(json.dumps({"bench": "aggregation", "machine": machine(), **found}))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
