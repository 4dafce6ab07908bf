"""What the commands of all studies on poems do: make or take up a run folder, say what is run, run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from foolsgold.audit.verdict import Verdict
from foolsgold.studies.poems_pipeline import PoemsPlan
from foolsgold.studies.progress import Stages, run_and_tell
from foolsgold.training.run_folder import RunFolder


class PoemStudyPlan(Protocol):
    """Everything that follows from a study's settings; a dataclass."""

    @property
    def size(self) -> str: ...

    @property
    def poems(self) -> PoemsPlan: ...


P = TypeVar("P", bound=PoemStudyPlan)


class PoemStudy(Protocol):
    """A study ready to run."""

    def run(self) -> Verdict: ...


def run_study(
    name: str,
    version: int,
    out: Path,
    resume: Path | None,
    make_plan: Callable[[], P],
    stored_plan: Callable[[dict[str, Any]], P],
    study: Callable[[P, RunFolder, Stages], PoemStudy],
) -> None:
    """Run the study `name`, or resume the run in `resume`, and print where the report is.

    Args:
      version: of the meaning of the stored plan.
      out: where a new run folder is made.
      make_plan: the plan of a new run.
      stored_plan: the plan of a run that goes on, from its config.
      study: made from the plan, the run folder and progress bars.

    Raises:
      UserError: `resume` is no run of this study, or the disk is full.
    """
    if resume is None:
        plan = make_plan()
        folder = RunFolder.create(out, name, asdict(plan), version)  # type: ignore[call-overload]
    else:
        folder = RunFolder.open(resume, name, version)
        plan = stored_plan(folder.config)
    head = f"[bold]{name}[/bold], size {plan.size}: {plan.poems.decoder.parameters:,} weights"
    values: Mapping[str, Any] = {**asdict(plan), **asdict(plan.poems)}  # type: ignore[call-overload]
    run_and_tell(folder, head, values, lambda stages: study(plan, folder, stages).run())
