"""Gold where it is dear: samples are drawn, people or a function judge those, and the rest is estimated.

    draw = draw_labels(pool, budget=300)
    write_requests("labels.jsonl", [draw])                 # people fill in "gold"
    found = with_labels(pool, read_labels("labels.jsonl"))

A function judges by `collect.ask`. A sample that was drawn and got no gold counts as passed over at
random: what is left was then drawn with chances smaller by the share that was judged. Where judges pass over what is
hard to judge, estimates lean to what is easy.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from foolsgold.audit.evidence import Samples
from foolsgold.errors import UserError
from foolsgold.objectives.label_budget import drawn, importance_of_best, inclusion_chances
from foolsgold.policies.messages import Text
from foolsgold.training.dataset_files import read_rows, write_jsonl


@dataclass(frozen=True)
class Pool:
    """N samples of one policy for each of P prompts, their gold not known yet.

    Raises:
      ValueError: the fields do not fit each other.
    """

    prompts: Sequence[Text]
    """`[P]`"""
    texts: Sequence[Sequence[str]]
    """`[P][N]`, completions."""
    proxy: np.ndarray
    """float64 `[P, N]`"""
    name: str = ""
    """Whose, such as "start" or "step 100"; pools whose requests go into one file need names that differ."""

    def __post_init__(self) -> None:
        if {(len(self.prompts), len(row)) for row in self.texts} != {self.proxy.shape}:
            raise ValueError(f"proxy {self.proxy.shape} does not fit {len(self.prompts)} prompts and their texts")

    def ids(self) -> list[list[str]]:
        """Names of the samples `[P][N]`, the same on every machine, equal where a prompt has the same text again."""
        seen: Counter[str] = Counter()
        named = []
        for prompt, row in zip(self.prompts, self.texts, strict=True):
            said = _said(prompt)
            named.append([_hash(self.name, said, str(seen[said]), text) for text in row])
            seen[said] += 1
        return named


@dataclass(frozen=True)
class Draw:
    """The samples of a pool that are to be judged."""

    pool: Pool
    chance: np.ndarray
    """float64 `[P, N]`, with what chance each was to be drawn."""
    chosen: np.ndarray
    """bool `[P, N]`"""


def draw_labels(pool: Pool, budget: int, importance: np.ndarray | None = None, seed: int = 0) -> Draw:
    """Choose `budget` samples to be judged.

    Args:
      importance: `[P, N]`, to whose proportion samples are drawn; None: what serves the curve of the best of n. All
        equal serves means of the pool.

    Raises:
      ValueError: as `inclusion_chances`.
    """
    chance = inclusion_chances(importance_of_best(pool.proxy) if importance is None else importance, budget)
    return Draw(pool, chance, drawn(chance, seed))


def write_requests(path: str | Path, draws: Sequence[Draw], seed: int = 0) -> Path:
    """Write what is to be judged, as JSONL in random order, for people to fill in `gold`.

    A line is {"prompt", "completion", "gold": null, "chance", "copies", "asked", "id"}: `copies` of the samples drawn
    have this text, `asked` were drawn from its pool in all, `id` names pool and text. The proxy and who wrote it are
    left out, as judges who see them are no longer independent of them. Show judges the prompt and the completion
    only: what the proxy likes has a large chance.

    Args:
      path: ends in .jsonl or .jsonl.gz.

    Raises:
      UserError: two pools have the same name, nothing is chosen, or the file cannot be written.
    """
    names = [draw.pool.name for draw in draws]
    if len(set(names)) < len(names):
        raise UserError(f"pools to be judged in one file need names that differ; got {', '.join(map(repr, names))}")
    rows = [row for draw in draws for row in _requests(draw)]
    if not rows:
        raise UserError("no sample is chosen, so there is nothing to judge")
    return write_jsonl(path, (rows[i] for i in np.random.default_rng(seed).permutation(len(rows))))


@dataclass(frozen=True)
class Label:
    """What is known of one text that stands in a file of labels."""

    gold: float | None
    """Mean over those who judged it, None where nobody did."""
    chance: float | None = None
    """With what chance it was drawn; None: somebody chose it."""
    copies: int | None = None
    """So many of the samples drawn have this text; None: all that have it."""
    asked: int | None = None
    """So many samples of its pool were drawn; None: those in the file."""


def read_labels(path: str | Path) -> dict[str, Label]:
    """Labels by the `id` of the text, of a file as `write_requests` writes it, with lines of several judges mixed.

    People who chose for themselves what to judge give {"prompt", "completion", "gold"}; the key is then `text_key`.
    Where gold is null or empty nobody judged. Judges of one text are averaged. CSV and Parquet do as well.

    Raises:
      UserError: there is no such file, none is judged, a row is broken, or rows of one text contradict each other
        about how it was drawn; the message names the row.
    """
    found: dict[str, list[Label]] = defaultdict(list)
    for i, row in enumerate(read_rows(path), start=1):
        key, label = _label(row, f"{path}, row {i}")
        if key in found and replace(label, gold=None) != replace(found[key][0], gold=None):
            raise UserError(f"{path}, row {i}: an earlier row has this text with another chance, copies or asked")
        found[key].append(label)
    judged = {key: [each.gold for each in labels if each.gold is not None] for key, labels in found.items()}
    if not any(judged.values()):
        raise UserError(f'{path} has no row with a number as "gold"; have some judged first')
    return {key: replace(found[key][0], gold=math.fsum(g) / len(g) if g else None) for key, g in judged.items()}


@dataclass(frozen=True)
class Labelled:
    """Samples with the labels that were found for them."""

    samples: Samples
    unmatched: frozenset[str]
    """Keys of judged texts that no sample has."""
    unanswered: int
    """Samples that were asked for and not judged."""


def with_labels(pool: Pool, labels: Mapping[str, Label]) -> Labelled:
    """Put gold and chances in their places.

    Where somebody chose what to judge, the samples have no chances: gaps in gold are then taken to have come about
    regardless of proxy and gold.

    Raises:
      UserError: no judged text is a sample's, or labels of several draws, or of a draw and chosen by somebody, are
        mixed.
    """
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for p, names in enumerate(pool.ids()):
        for i, name in enumerate(names):
            places[name].append((p, i))
            places[text_key(pool.prompts[p], pool.texts[p][i])].append((p, i))
    fitting = {key: label for key, label in labels.items() if key in places}
    judged = {key for key, label in labels.items() if label.gold is not None}
    if not judged & fitting.keys():
        raise UserError(
            f"none of the {len(judged)} judged texts is a sample of {pool.name or 'the policy'}; "
            "audit the same policy, prompts and seed that the requests were written for"
        )
    if len({(label.chance is None, label.asked) for label in fitting.values()}) > 1:
        raise UserError("labels of several draws, or drawn ones and chosen ones, are mixed; give those of one draw")
    gold, chance = np.full((2, *pool.proxy.shape), np.nan)
    asked = 0
    for key, label in fitting.items():
        # Copies of a text have the same proxy, hence the same chance: which of them were drawn makes no difference.
        where = tuple(np.transpose(places[key][: label.copies]))
        gold[where] = np.nan if label.gold is None else label.gold
        chance[where] = np.nan if label.chance is None else label.chance
        asked += len(where[0])
    any_label = next(iter(fitting.values()))
    asked = any_label.asked or asked
    samples = _judged(pool, gold, None if any_label.chance is None else chance, asked)
    return Labelled(samples, frozenset(judged - fitting.keys()), asked - int(samples.labelled.sum()))


def text_key(prompt: Text, completion: str) -> str:
    """The key of a label that belongs to all samples of this text, whoever wrote them."""
    return _hash(_said(prompt), completion)


def _judged(pool: Pool, gold: np.ndarray, chance: np.ndarray | None, asked: int) -> Samples:
    """Samples with what gold `[P, N]` there is of `asked` that were drawn, chances scaled by the share of answers."""
    if chance is not None:
        labelled = ~np.isnan(gold)
        # Chances of samples without gold count for nothing, and may stand in no file.
        chance = np.where(labelled, chance * labelled.sum() / asked, labelled.mean())
    return Samples(pool.proxy, gold, chance, pool.texts)


def _requests(draw: Draw) -> Iterator[dict[str, Any]]:
    """Rows of a draw, one a text."""
    chances: dict[str, list[float]] = defaultdict(list)
    texts: dict[str, tuple[Text, str]] = {}
    ids = draw.pool.ids()
    for p, i in np.argwhere(draw.chosen):
        texts[ids[p][i]] = (draw.pool.prompts[p], draw.pool.texts[p][i])
        chances[ids[p][i]].append(float(draw.chance[p, i]))
    for name, (prompt, completion) in texts.items():
        yield {
            "prompt": prompt,
            "completion": completion,
            "gold": None,
            # Equal but for proxies that are not quite the same twice; what counts are the sums of 1 / chance.
            "chance": statistics.harmonic_mean(chances[name]),
            "copies": len(chances[name]),
            "asked": int(draw.chosen.sum()),
            "id": name,
        }


def _label(row: Mapping[str, Any], place: str) -> tuple[str, Label]:
    """Key and label of one row of a file."""
    gold = _number(row.get("gold"), f"{place}: gold")
    chance = _number(row.get("chance"), f"{place}: chance")
    if chance is not None and not 0 < chance <= 1:
        raise UserError(f"{place}: chance is {chance:g}; it must be above 0 and at most 1")
    copies, asked = (_count(row.get(name), f"{place}: {name}") for name in ("copies", "asked"))
    label = Label(gold, chance, copies, asked)
    if asked is not None and isinstance(name := row.get("id"), str):
        return name, label  # and not by its text, which a program for judging may have stripped of blanks
    if isinstance(prompt := row.get("prompt"), (str, list)) and isinstance(completion := row.get("completion"), str):
        return text_key(prompt, completion), label
    raise UserError(f'{place} has no "prompt" and "completion"')


def _count(value: Any, place: str) -> int | None:
    number = _number(value, place)
    if number is not None and (number < 1 or number % 1):
        raise UserError(f"{place} is {number:g}; it must be a whole number from 1 up")
    return None if number is None else int(number)


def _number(value: Any, place: str) -> float | None:
    """`value` as a number; tables of CSV hold it in letters, and nothing where there is none."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{place} is {str(value)[:60]!r}; it must be a number, or null")
    return number


def _said(prompt: Text) -> str:
    return json.dumps(prompt, sort_keys=True)


def _hash(*texts: str) -> str:
    return blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()
