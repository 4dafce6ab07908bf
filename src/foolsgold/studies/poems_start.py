"""Where a study on poems starts: with nothing, or with what an earlier run of the same size and seed has made."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from foolsgold.errors import UserError
from foolsgold.files import replacing, write_text
from foolsgold.studies.overoptimization import STAGES, Size
from foolsgold.studies.poems_pipeline import PoemsPlan

COMPARISONS = 8_000
"""Fitted by the reward model."""

_TAKEN = "taken_over.json"
"""Written last: what came from elsewhere is whole."""


def poems_plan(size: Size, seed: int, source: Path | None) -> PoemsPlan:
    """The three stages of the size; those of the run in `source`, where that is to be gone on from.

    Raises:
      UserError: `source` is no run on poems, has no finetuned policy, or differs in what the size and the seed set.
    """
    stages = STAGES[size]
    plan = PoemsPlan(
        seed=seed,
        width=stages["width"],
        layers=stages["layers"],
        pretraining_steps=stages["pretraining_steps"],
        finetuning_steps=stages["finetuning_steps"],
        comparisons=COMPARISONS,
        most_comparisons=COMPARISONS,
    )
    if source is None:
        return plan
    theirs = _plan_of(source)
    # How many pairs are drawn decides which are: the run's own number gives the run's own pairs.
    plan = replace(plan, most_comparisons=theirs.most_comparisons)
    differ = [each.name for each in fields(plan) if getattr(plan, each.name) != getattr(theirs, each.name)]
    if differ:
        told = ", ".join(f"{name} {getattr(theirs, name)} for {getattr(plan, name)}" for name in differ)
        raise UserError(f"{source} was made otherwise ({told}); give its own --size and --seed, or another run")
    _check_policy(source)
    return plan


def take_over(source: Path, plan: PoemsPlan, folder: Path) -> None:
    """Copy what the run in `source` has of the three stages into `folder`; what it lacks is made there.

    Raises:
      UserError: a file cannot be written, or the run in `source` is there no more.
    """
    if (folder / _TAKEN).exists():
        return
    _check_policy(source)
    reward_model = f"reward-{plan.comparisons}-{plan.layers}"
    taken = [
        path
        for name in ("tokenizer", "base", "finetuned", reward_model)
        # The file that tells that a model is whole comes last.
        for path in sorted((source / "models" / name).glob("*.*"), key=lambda path: path.name == "config.json")
    ]
    taken += [
        path for name in ("poems.npz", "judgements.npz", "comparisons.sqlite") if (path := source / name).exists()
    ]
    for path in taken:
        to = folder / path.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        with replacing(to) as part:
            shutil.copyfile(path, part)
    write_text(folder / _TAKEN, json.dumps([str(path) for path in taken], indent=2) + "\n")


def _check_policy(source: Path) -> None:
    if not (source / "models" / "finetuned" / "config.json").exists():
        raise UserError(f"{source} has no finetuned policy; let it go on, or name another run")


def _plan_of(source: Path) -> PoemsPlan:
    try:
        record: dict[str, Any] = json.loads((source / "config.json").read_text(encoding="utf-8"))
        return PoemsPlan(**record["config"]["poems"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{source} is no run on poems; name a run folder such as runs/overoptimization-20260101-120000"
        ) from None
