"""Evidence of an audit from the folders of studies, as far as they have come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from foolsgold.audit import go_evidence
from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.errors import UserError
from foolsgold.studies.poem_arm import Evaluation

Report = Callable[[int, int], None]


def evidence_of(folder: str | Path, seed: int = 0, report: Report = lambda done, of: None) -> Evidence:
    """What a run of the study `overoptimization` or `alphago` has measured so far, or can be measured from it.

    Nothing is written. Of `overoptimization`, a checkpoint's samples are the means of each prompt's poems, and the
    prompts of best of n are others than those of RL. Of `alphago`, games are played, which takes minutes.

    Args:
      folder: `runs/<study>-<stamp>`, finished or not.
      seed: of the games.
      report: is told how many of how many games are played.

    Raises:
      UserError: it is no run folder, or one of another study, or nothing is measured yet.
    """
    folder = Path(folder)
    study = record_of(folder)["study"]
    if study == "alphago":
        return go_evidence.evidence_of_run(folder, report, seed=seed)
    if study == "overoptimization":
        return _of_poems(folder)
    raise UserError(
        f"{folder} is a run of {study}, which keeps no gold beside a proxy; audit one of {', '.join(KNOWN)}"
    )


KNOWN = ("rl", "expert", "overoptimization", "alphago")
"""Whose runs can be audited."""


def record_of(folder: Path) -> dict[str, Any]:
    """`config.json` of a run folder, read without `RunFolder.open`, which mends what a running one is writing.

    Raises:
      UserError: it is no run folder.
    """
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if {"study", "config"} <= record.keys():
            return record
    except (OSError, ValueError, AttributeError):
        pass
    raise UserError(f"{folder} is no run folder (it has no config.json of a run); name one such as runs/rl-<stamp>")


def _of_poems(folder: Path) -> Evidence:
    # In the order of their names, which is that of steps.
    paths = sorted((folder / "arms" / "main").glob("evaluation-*.json"))
    run = tuple(_checkpoint(Evaluation(**json.loads(path.read_text(encoding="utf-8")))) for path in paths)
    start, prompts = _best_of_n(folder / "best_of_n.npz")
    if start is None and not run:
        raise UserError(f"{folder} has measured neither best of n nor a step of RL yet; audit it again later")
    return Evidence(start, run, prompts, "reward model, in standard deviations", "critic")


def _checkpoint(found: Evaluation) -> Checkpoint:
    proxy, gold = (np.array(means, np.float64)[:, None] for means in (found.proxy, found.gold))
    return Checkpoint(found.step, found.kl, Samples(proxy, gold))


def _best_of_n(path: Path) -> tuple[Samples | None, list[str] | None]:
    """Samples and prompts; runs of earlier versions kept no texts."""
    if not path.exists():
        return None, None
    with np.load(path) as kept:
        texts, prompts = (kept[name].tolist() if name in kept else None for name in ("texts", "prompts"))
        return Samples(kept["proxy"].astype(np.float64), kept["gold"].astype(np.float64), texts=texts), prompts
