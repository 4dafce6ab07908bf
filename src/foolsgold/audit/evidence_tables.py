"""Evidence from a table, one row a sample: CSV, JSONL, JSON or Parquet, whoever wrote it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.errors import UserError
from foolsgold.training.dataset_files import read_rows


class _Row(NamedTuple):
    values: Mapping[str, Any]
    place: str
    """For messages."""


def read_table(path: str | Path, columns: Sequence[str] = ()) -> Evidence:
    """The evidence that a table holds.

    Columns:
      prompt: text or any id; rows of the same belong to one prompt.
      prompt_id: says so instead, for prompts that are the same word for word and yet count as several.
      proxy: a number.
      gold: a number or true and false; empty where nobody judged. At least one sample has it.
      step: of RL; empty for samples of the policy that RL began with. Rows of step 0 are the start as well, unless
        others have no step; rows without a step are the checkpoint 0 as well, unless others have step 0.
      kl: nats a completion from that policy; needed of every step but 0. It may be the same in all rows of a step, or
        each sample's own log-ratio of both policies, of which the mean is taken.
      completion, or text: what the policy wrote.
      chance: with what chance a sample was to be judged, see `Samples`; of all rows or of none.

    Each step needs the same prompts, and within a step each prompt equally many samples.

    Args:
      path: the file; see `read_rows`.
      columns: further columns along which to ask whether the proxy is wrong, numbers or words.

    Raises:
      UserError: a column is missing, a value is no number, or samples are lacking; names the row, or step and prompt.
    """
    rows = read_rows(path)
    for name in ("prompt", "proxy", "gold", *columns):
        if not any(name in row for row in rows):
            raise UserError(f"{path} has no column {name!r}; it has {', '.join(map(str, rows[0]))}")
    by_step: dict[int | None, dict[str, list[_Row]]] = {}
    for number, row in enumerate(rows, start=1):
        step, place = row.get("step"), f"{path}, row {number}"
        if _empty(row.get("prompt")):
            raise UserError(f"{place} has no prompt")
        at = None if _empty(step) else _whole(step, place)
        whose = row["prompt"] if _empty(row.get("prompt_id")) else row["prompt_id"]
        by_step.setdefault(at, {}).setdefault(_key(whose), []).append(_Row(row, place))
    for step, groups in by_step.items():
        _check_counts(path, step, groups)
    pool = by_step.get(None)
    steps = {step: groups for step, groups in by_step.items() if step is not None}
    if pool is not None and steps and 0 not in steps and pool.keys() == next(iter(steps.values())).keys():
        steps[0] = pool
    named = steps[min(steps)] if steps else pool or {}
    prompts = list(named)
    run = tuple(_checkpoint(path, step, steps[step], prompts, columns) for step in sorted(steps))
    start = next((each.samples for each in run if each.step == 0), None)
    if pool is not None:
        # In the order of the run's prompts where they are the same, so that both can be compared prompt by prompt.
        start = _samples(path, None, pool, prompts if pool.keys() == set(prompts) else list(pool), columns)
    quoted = [_key(named[prompt][0].values["prompt"]) for prompt in prompts]
    # Other prompts at the start, as many as in the run by chance, must not be quoted with the run's words.
    same = pool is None or len(pool) != len(prompts) or pool.keys() == set(prompts)
    return Evidence(start, run, quoted if same else None)


def _check_counts(path: str | Path, step: int | None, groups: Mapping[str, list[_Row]]) -> None:
    """Each prompt has as many samples as most of the step's prompts do."""
    usual = Counter(len(rows) for rows in groups.values()).most_common(1)[0][0]
    for prompt, rows in groups.items():
        if len(rows) != usual:
            raise UserError(
                f"{path}: {_at(step)} prompt {_cut(prompt)} has {len(rows)} samples where others have {usual}; give "
                "each prompt equally many"
            )


def _checkpoint(
    path: str | Path, step: int, groups: Mapping[str, list[_Row]], prompts: list[str], columns: Sequence[str]
) -> Checkpoint:
    if differ := groups.keys() ^ set(prompts):
        some = min(differ)
        raise UserError(
            f"{path}: {_at(step)} prompt {_cut(some)} {'is new' if some in groups else 'is lacking'}; measure every "
            "step on the same prompts"
        )
    kl = np.array([[_number(row, "kl") for row in groups[prompt]] for prompt in prompts])
    if np.isnan(kl).any():
        if step != 0 or not np.isnan(kl).all():
            raise UserError(
                f"{path}: {_at(step)} some samples have no kl; give nats from the policy that RL began with"
            )
        kl = np.zeros_like(kl)
    by_prompt = kl.mean(1)
    apart = len(kl) > 1 and np.ptp(kl) > 0
    error = float(by_prompt.std(ddof=1) / np.sqrt(len(kl))) if apart else math.nan
    return Checkpoint(step, float(kl.mean()), _samples(path, step, groups, prompts, columns), error)


def _samples(
    path: str | Path, step: int | None, groups: Mapping[str, list[_Row]], prompts: Iterable[str], columns: Sequence[str]
) -> Samples:
    rows = [groups[prompt] for prompt in prompts]
    proxy, gold, chance = (
        np.array([[_number(row, name) for row in group] for group in rows]) for name in ("proxy", "gold", "chance")
    )
    written = [[row.values.get("completion", row.values.get("text")) for row in group] for group in rows]
    texts = None
    if any(not _empty(text) for group in written for text in group):
        texts = [["" if text is None else _key(text) for text in group] for group in written]
    own = {name: _column([[row.values.get(name) for row in group] for group in rows]) for name in columns}
    if np.isnan(gold).all():
        raise UserError(f"{path}: {_at(step)} no sample has gold; judge some, or leave these rows out")
    if np.isnan(chance).any() and not np.isnan(chance).all():
        raise UserError(f"{path}: {_at(step)} {np.isnan(chance).sum()} samples have no chance; give it for all or none")
    return Samples(proxy, gold, None if np.isnan(chance).all() else chance, texts, own or None)


def _column(values: list[list[Any]]) -> np.ndarray:
    """Numbers if all are, else words."""
    try:
        numbers = np.array(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.array([[math.nan]])
    return (
        numbers if np.isfinite(numbers).all() else np.array([["" if x is None else str(x) for x in r] for r in values])
    )


def _number(row: _Row, name: str) -> float:
    """The value as a number; NaN where empty."""
    value: Any = row.values.get(name)
    if _empty(value):
        if name == "proxy":
            raise UserError(f"{row.place} has no proxy; every sample needs one")
        return math.nan
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        value = value.strip().lower() == "true"
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{row.place}: {name} is {_cut(str(value))}, which is no number") from None
    if math.isinf(number) or (math.isnan(number) and name == "proxy"):
        raise UserError(f"{row.place}: {name} is {_cut(str(value))}; it must be a finite number")
    return number


def _whole(value: Any, place: str) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not number.is_integer():
        raise UserError(f"{place}: step is {_cut(str(value))}; it must be a whole number")
    return int(number)


def _empty(value: Any) -> bool:
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)
    )


def _key(value: Any) -> str:
    """Text as it is; a dialogue or an id as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _at(step: int | None) -> str:
    return "without a step," if step is None else f"at step {step}"


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
