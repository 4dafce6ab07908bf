"""Arms of a study side by side in processes, with one bar for all."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from foolsgold.studies.poem_arm import ArmResult, run_arm
from foolsgold.studies.progress import Stages


class AnyArm(Protocol):
    """What sets one run apart from the others of a study."""

    @property
    def name(self) -> str: ...

    @property
    def steps(self) -> int: ...


Run = Callable[[Any, Any, Path, datetime], Path]
"""Runs or resumes, by a study's plan, an arm of the run in a folder; its result is `arms/<name>/result.json`."""


def run_arms(
    plan: Any,
    arms: Sequence[AnyArm],
    folder: Path,
    created: datetime,
    stages: Stages,
    run: Run = run_arm,
    read: Callable[[Path], Any] = ArmResult.read,
    kind: str = "arms of RL",
) -> list[Any]:
    """Results of all arms, in their order; arms whose result is there are not run again."""
    waiting = [arm for arm in arms if not (folder / "arms" / arm.name / "result.json").exists()]
    if waiting:
        total = sum(arm.steps for arm in waiting)
        with stages.stage(f"{len(waiting)} {kind}", total) as tick:
            in_processes(
                run,
                [(plan, arm, folder, created) for arm in waiting],
                lambda: tick(sum(_steps_done(folder, arm) for arm in waiting), total),
            )
    return [read(folder / "arms" / arm.name / "result.json") for arm in arms]


def in_processes(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], watch: Callable[[], None]) -> None:
    """Call a function with each of the jobs' arguments, one process a core; `watch` is called every second."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Spawned: a forked child would inherit threads of PyTorch and Numba that are not there.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(cores, len(jobs)), context, _end_with_parent) as pool:
        pending: set[Future[Any]] = {pool.submit(function, *job) for job in jobs}
        try:
            while pending:
                done, pending = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()  # raises what the job raised
                watch()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _end_with_parent() -> None:
    """Lets no arm go on where nobody waits for it: a parent that is killed cannot end its children itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _steps_done(folder: Path, arm: AnyArm) -> int:
    here = folder / "arms" / arm.name
    if (here / "result.json").exists():
        return arm.steps
    try:
        part, done, _ = json.loads((here / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    return done if part == "RL" else 0
