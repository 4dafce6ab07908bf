"""Progress of a study on the terminal: one bar a stage, with the time it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


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
