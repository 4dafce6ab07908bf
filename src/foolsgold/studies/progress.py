"""What a study says on the terminal: what is run, one bar a stage with the time it took, the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from foolsgold.audit.verdict import Verdict, table
from foolsgold.training.run_folder import RunFolder


class Stages:
    """Progress bars of a study's stages, one under the other; a line a stage where nobody watches, as in a log."""

    def __init__(self, console: Console | None = None, quiet: bool = False):
        self.console = console or Console(quiet=quiet)
        self.progress = Progress(
            TextColumn("{task.description:<42}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Stages:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
        """A bar that the yielded function moves to (done, of how many); it pulses until then where `total` is None."""
        task = self.progress.add_task(name, total=total)

        def tick(done: int, of: int) -> None:
            self.progress.update(task, completed=done, total=of)

        began = time.perf_counter()
        yield tick
        if not self.console.is_terminal:
            self.console.print(f"{name}: {time.perf_counter() - began:.0f} s", highlight=False)
        known = self.progress.tasks[task].total or 1
        self.progress.update(task, completed=known, total=known)


def run_and_tell(folder: RunFolder, head: str, values: Mapping[str, Any], run: Callable[[Stages], Verdict]) -> None:
    """Print what is run, run it in `folder`, which is closed then, and print the verdict and where the report is.

    Args:
      head: one line, with marks of rich.
      values: settings to show; those that hold others are left out.
    """
    console = Console()
    console.print(head, highlight=False)
    for key, value in values.items():
        if not isinstance(value, dict | tuple):
            console.print(f"  {key:<22} {value}", highlight=False)
    console.print(f"  {'run folder':<22} {folder.path}", highlight=False, soft_wrap=True)
    with folder:
        with Stages(console) as stages:
            verdict = run(stages)
        console.print(table(verdict))
        console.print(f"report: {folder.path / 'report.html'}", highlight=False, soft_wrap=True)
