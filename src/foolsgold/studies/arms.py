"""Arms of a study side by side in processes, with a bar each."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import datetime
from pathlib import Path

from foolsgold.studies.poem_arm import Arm, ArmResult, run_arm
from foolsgold.studies.poems_pipeline import PoemsPlan
from foolsgold.studies.progress import Stages


def run_arms(plan: PoemsPlan, arms: Sequence[Arm], folder: Path, created: datetime, stages: Stages) -> list[ArmResult]:
    """Results of all arms, in their order; arms whose result is there are not run again."""
    waiting = [arm for arm in arms if not (folder / "arms" / arm.name / "result.json").exists()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if waiting:
        # Spawned: a forked child would inherit threads of PyTorch and Numba that are not there.
        context = multiprocessing.get_context("spawn")
        total = sum(arm.steps for arm in waiting)
        with (
            ProcessPoolExecutor(min(cores, len(waiting)), context) as pool,
            stages.stage(f"{len(waiting)} arms of RL", total) as tick,
        ):
            pending: set[Future[Path]] = {pool.submit(run_arm, plan, arm, folder, created) for arm in waiting}
            try:
                while pending:
                    done, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()  # raises what the arm raised
                    tick(sum(_steps_done(folder, arm) for arm in waiting), total)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise
    return [ArmResult.read(folder / "arms" / arm.name / "result.json") for arm in arms]


def _steps_done(folder: Path, arm: Arm) -> int:
    here = folder / "arms" / arm.name
    if (here / "result.json").exists():
        return arm.steps
    try:
        part, done, _ = json.loads((here / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    return done if part == "RL" else 0
