"""How long a training phase may last: in games, which reproduces, or in minutes, which only resumes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    minutes: float | None = None
    games: int | None = None

    def __post_init__(self):
        if (self.minutes is None) == (self.games is None):
            raise ValueError("a budget is either in minutes or in games")
        if (self.minutes or self.games or 0) <= 0:
            raise ValueError("a budget must be positive")

    def spent(self, seconds: float, games: int) -> float:
        """The share of the budget used, at least 0, over 1 when overdrawn."""
        if self.games is not None:
            return games / self.games
        return seconds / (60 * self.minutes)  # type: ignore[operator]

    def __str__(self) -> str:
        return f"{self.games} games" if self.games is not None else f"{self.minutes:g} minutes"
