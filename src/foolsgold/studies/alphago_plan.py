"""The dial of the study `alphago`, and everything that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from foolsgold.errors import UserError
from foolsgold.policies.go_network import NetworkSize
from foolsgold.policies.search import SearchSettings
from foolsgold.training.budget import Budget
from foolsgold.training.self_play import SelfPlaySettings
from foolsgold.training.self_play_worker import WorkerSettings

BOARDS = (5, 7, 9)
DEFAULT_MINUTES = {5: 1.0, 7: 3.5, 9: 10.0}


@dataclass(frozen=True)
class AlphaGoConfig:
    """Train AlphaGo by RLHF and by real RL, and let them play each other.

    The same network, search and compute twice; only the referee differs: a reward model fitted to 100,000 comparisons
    of two boards by simulated amateurs, or the score of the game. Ends in a report with a measured verdict.

    Examples:
      foolsgold run alphago
      foolsgold run alphago --board 5 --games 4000 --seed 1
      foolsgold run alphago --resume runs/alphago-20260101-120000
    """

    board: int = 7
    """Side of the board: 5, 7 or 9."""
    minutes: float | None = None
    """Minutes of self-play for real RL, RLHF plays as many games; 1, 3.5 and 10 on 5x5, 7x7 and 9x9 unless given."""
    games: int | None = None
    """Games of self-play for each agent instead of minutes: the same seed then gives the same numbers."""
    seed: int = 0
    """Seed of everything that is random."""
    agreement: float = 0.7
    """How often a rater agrees with the truth about a pair of boards; the raters' noise is set to meet it."""
    people: Literal["beginners", "counters"] = "beginners"
    """Beginners are impressed by what stands out; counters look at boards nearly as the score does."""
    sgf: tuple[Path, ...] = ()
    """Game records, files or folders, for the base policy to imitate in place of the amateurs' games."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold."""
    out: Path = Path("runs")
    """Where the run folder is made."""

    def __post_init__(self) -> None:
        if self.board not in BOARDS:
            raise UserError(f"board size {self.board} is not offered by this study; choose --board 5, 7 or 9")
        if self.minutes is not None and self.games is not None:
            raise UserError("give --minutes or --games, not both")
        if (self.minutes is not None and self.minutes <= 0) or (self.games is not None and self.games < 2):
            raise UserError("the budget is empty; give --minutes above 0 or --games of at least 2")
        if not 0.5 < self.agreement < 1:
            raise UserError(f"--agreement {self.agreement} is no share between 0.5 and 1; 0.7 is usual")
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} is negative; give 0 or more")


@dataclass(frozen=True)
class Plan:
    """Everything that follows from the dial; printed, and stored with the run."""

    board: int
    seed: int
    agreement: float
    people: str
    sgf: tuple[str, ...]
    minutes: float | None
    games: int | None
    network: NetworkSize
    simulations: int = 32
    amateurs: int = 20
    amateur_games: int = 2000
    whim: float = 0.1
    imitation_passes: float = 1.5
    policy_games: int = 1000
    comparisons: int = 100_000
    held_out: int = 5_000
    true_pairs: int = 2_000
    true_simulations: int = 64
    snapshots: int = 8
    curve_games: int = 100
    match_games: int = 400
    gnugo_games: int = 20
    gnugo_level: int = 1
    gallery: int = 6

    @classmethod
    def of(cls, config: AlphaGoConfig) -> Plan:
        minutes = config.minutes
        if minutes is None and config.games is None:
            minutes = DEFAULT_MINUTES[config.board]
        return cls(
            board=config.board,
            seed=config.seed,
            agreement=config.agreement,
            people=config.people,
            sgf=tuple(str(path.resolve()) for path in config.sgf),
            minutes=minutes,
            games=config.games,
            network=NetworkSize(6, 64) if config.board == 9 else NetworkSize(4, 32),
        )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        network = NetworkSize(**values["network"])
        return cls(**{**values, "network": network, "sgf": tuple(values["sgf"])})

    @property
    def budget(self) -> Budget:
        return Budget(minutes=self.minutes) if self.games is None else Budget(games=self.games)

    @property
    def self_play(self) -> SelfPlaySettings:
        quota = 512 if self.games is None else max(2, min(512, self.games // 8))
        worker = WorkerSettings(self.board, full=SearchSettings(simulations=self.simulations))
        return SelfPlaySettings(worker, games_an_iteration=quota, snapshots=self.snapshots, seed=self.seed)

    @property
    def match_search(self) -> SearchSettings:
        return SearchSettings(simulations=self.simulations, gumbel_scale=0.0)
