"""Settings of studies whose one dial is the minutes that they may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from foolsgold.errors import UserError


@dataclass(frozen=True)
class MinutesDial:
    """What such studies have in common; each gives `minutes` its own value, and adds settings of its own.

    Raises:
      UserError: the seed is negative, or the minutes are out of range.
    """

    minutes: float
    """What the run may take on two quiet cores; by it all steps and sizes are set, by a table, so that a slower
    machine takes longer and comes to the same."""
    seed: int = 0
    """Seed of everything that is random: the same seed gives the same numbers on the same machine."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold."""
    out: Path = Path("runs")
    """Where the run folder is made."""

    FEWEST: ClassVar[float] = 1.0
    """Minutes below which a study has nothing to measure."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} is negative; give 0 or more")
        if not self.FEWEST <= self.minutes <= 10_000:
            raise UserError(f"--minutes {self.minutes:g} is out of range; give {self.FEWEST:g} to 10000")
