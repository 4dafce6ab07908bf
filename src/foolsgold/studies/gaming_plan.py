"""What the study `gaming` runs in either world: everything that follows from its dial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from foolsgold.errors import UserError
from foolsgold.policies.go_network import NetworkSize
from foolsgold.studies.gaming_arm import Trial, check
from foolsgold.studies.gaming_go_arm import GoDefence, GoTrial
from foolsgold.studies.gaming_go_arm import check as check_go
from foolsgold.studies.gaming_go_pipeline import GoPlan
from foolsgold.studies.overoptimization import Size
from foolsgold.studies.poems_pipeline import PoemsPlan
from foolsgold.studies.poems_start import poems_plan

STUDY = "gaming"
VERSION = 3

World = Literal["poems", "go", "unfinished-go"]

KL_PRICE, HIGH_KL_PRICE, CHI2_PRICE = 0.05, 0.3, 0.003
FAST = 2e-4
"""A learning rate at which runs move far also after few comparisons, where usual ones hardly do."""
ENSEMBLES = ("mean", "worst", "uncertainty", "warm", "worst of parts")
OTHERS = ("length-free", "capped", "shaped", "repair")


@dataclass(frozen=True)
class GamingConfig:
    """Reward gaming found and fined: every defence against RL that fools its reward model, and every alarm.

    A small model's poems are compared by readers, reward models learn what they like, and RL follows them under each
    defence, with the same steps and samples. An exact critic, whom nobody knows, tells how much gold each keeps. What
    every alarm read on the way, from the reward model alone, is held against the true peak.

    On Go, amateurs compare boards in place of poems, and who wins is gold. In unfinished games they are fooled.

    Examples:
      foolsgold run gaming --size s
      foolsgold run gaming --world go
      foolsgold run gaming --world unfinished-go
      foolsgold run gaming --seed 1
      foolsgold run gaming --resume runs/gaming-20260101-120000
      foolsgold run gaming --table runs/gaming-20260101-120000 runs/gaming-20260102-120000
    """

    size: Size = "m"
    """s: a dozen runs of RL, m: 91 (22 to 24 on Go), l: as many of a larger model, of more steps."""
    world: World = "poems"
    """What is written and judged: poems, games of Go, or games that are judged by their looks before they end."""
    seed: int = 0
    """Seed of everything that is random: the same seed gives the same numbers on the same machine."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Run folder of this study on poems, of the same size and seed, whose models and comparisons are copied in place
    of training anew."""
    table: tuple[Path, ...] = ()
    """Finished or unfinished runs of this study, of one world or several: one table of alarms over all that they have
    finished, and nothing is run."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold."""
    out: Path = Path("runs")
    """Where the run folder is made."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} is negative; give 0 or more")
        if self.source is not None and self.resume is not None:
            raise UserError("a run that goes on has its models already; give --from or --resume, not both")
        if self.source is not None and self.world != "poems":
            raise UserError(
                f"--from takes models of poems; leave it out with --world {self.world}, whose models take a minute"
            )


@dataclass(frozen=True)
class GamingPlan:
    """Everything that follows from the dial; printed, and stored with the run."""

    size: Size
    poems: PoemsPlan
    source: str | None
    """Run folder that models and comparisons are copied from."""
    trials: tuple[Trial, ...]
    world: Literal["poems"] = "poems"

    @classmethod
    def of(cls, config: GamingConfig) -> GamingPlan:
        # The policy of size s serves the grid of size m: what is asked is how runs differ, not how well one writes.
        stages: Size = "l" if config.size == "l" else "s"
        poems = poems_plan(stages, config.seed, config.source)
        found = trials(config.size, poems.layers)
        for trial in found:
            check(trial)
        most = max(fit.first + fit.comparisons for trial in found for fit in trial.fits)
        poems = replace(poems, most_comparisons=max(most, poems.most_comparisons))
        source = None if config.source is None else str(config.source.resolve())
        return cls(config.size, poems, source, found)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GamingPlan:
        """The plan of a stored run."""
        stored = tuple(Trial(**trial) for trial in data["trials"])
        return cls(**{**data, "poems": PoemsPlan(**data["poems"]), "trials": stored})


def trials(size: Size, layers: int) -> tuple[Trial, ...]:
    """The runs: defences with few and many comparisons, and what the alarms are to be tried on beside them."""
    steps, every = {"s": (48, 8), "m": (64, 8), "l": (240, 24)}[size]
    # A third seed where comparisons are few: 3 x 8,000 of them are more than are drawn.
    seeds = {500: (0,) if size == "s" else (0, 1, 2), 8_000: (0,) if size == "s" else (0, 1)}
    usual = Trial("", "none", 0, layers, steps, every)

    def trial(comparisons: int, seed: int, defence: Any = "none", **other: Any) -> Trial:
        told = "-".join(
            [defence, *(f"{value:g}" if isinstance(value, float) else str(value) for value in other.values())]
        )
        name = f"{told}-{comparisons}-{seed}".replace(" ", "-")
        return replace(usual, name=name, comparisons=comparisons, seed=seed, defence=defence, **other)

    found = []
    for comparisons, seed in ((amount, seed) for amount, each in seeds.items() for seed in each):
        found.append(trial(comparisons, seed))
        if size == "s":
            found += [trial(comparisons, seed, "worst"), trial(comparisons, seed, "warm")]
            found += [trial(comparisons, seed, "kl", price=KL_PRICE), trial(comparisons, seed, "repair")]
            continue
        found += [trial(comparisons, seed, defence) for defence in (*ENSEMBLES, *OTHERS)]
        found += [trial(comparisons, seed, "kl", price=price) for price in (KL_PRICE, HIGH_KL_PRICE)]
        found += [trial(comparisons, seed, "chi2", price=CHI2_PRICE)]
        found += [trial(comparisons, seed, method="grpo")]
        found += [trial(comparisons, seed, layers=1)]
    if size == "s":
        return (*found, trial(8_000, 0, raters="critic"))
    found += [
        trial(500, seed, defence, **more, learning_rate=FAST)
        for seed in seeds[500]
        for defence, more in (
            ("none", {}),
            ("kl", {"price": KL_PRICE}),
            ("kl", {"price": HIGH_KL_PRICE}),
            ("chi2", {"price": CHI2_PRICE}),
        )
    ]
    found += [
        trial(8_000, seed, defence, raters="critic", **more)
        for seed in seeds[8_000]
        for defence, more in (("none", {}), ("kl", {"price": KL_PRICE}))
    ]
    return tuple(found)


@dataclass(frozen=True)
class GoGamingPlan:
    """The same for Go."""

    size: Size
    go: GoPlan
    trials: tuple[GoTrial, ...]
    world: Literal["go", "unfinished-go"] = "go"

    @classmethod
    def of(cls, config: GamingConfig) -> GoGamingPlan:
        unfinished = config.world == "unfinished-go"
        found = unfinished_go_trials(config.size) if unfinished else go_trials(config.size)
        for trial in found:
            check_go(trial)
        most = max(fit.first + fit.comparisons for trial in found for fit in trial.fits)
        large = config.size == "l"
        board, network = 7 if large or unfinished else 5, NetworkSize(4, 32) if large else NetworkSize(2, 24)
        games = 2000 if large else 250 if unfinished else 500
        plan = GoPlan(config.seed, board, network, games, games, most)
        if unfinished:
            plan = replace(plan, moves=UNFINISHED_MOVES, taste="looks", evaluated_prompts=128)
        return cls(config.size, plan, found, "unfinished-go" if unfinished else "go")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GoGamingPlan:
        """The plan of a stored run."""
        stored = tuple(GoTrial(**trial) for trial in data["trials"])
        return cls(**{**data, "go": GoPlan.from_json(data["go"]), "trials": stored})


GO_AMOUNTS = (100, 10_000)
GO_KL_PRICE = 0.05
UNFINISHED_MOVES = 26
"""About half of a game on 7x7."""
UNFINISHED_AMOUNTS = (100, 1_000)
ALL_GO: tuple[GoDefence, ...] = ("none", "mean", "worst", "uncertainty", "warm", "capped", "kl", "repair")
FEW_GO: tuple[GoDefence, ...] = ("none", "worst", "kl")


def go_trials(size: Size) -> tuple[GoTrial, ...]:
    """The runs on Go: all defences with few comparisons, some with many, and runs paid by an honest reward model."""
    steps, every = GO_STEPS[size]
    many = GO_AMOUNTS[1]
    honest = [
        GoTrial(f"score-{many}-{seed}", "none", many, steps, every, "score", seed=seed)
        for seed in ((0,) if size == "s" else (0, 1))
    ]
    return (*_defended_go(size, GO_AMOUNTS, 3e-4), *honest)


def unfinished_go_trials(size: Size) -> tuple[GoTrial, ...]:
    """The same on unfinished games, where no rater knows what is honest; a step is longer, as a game has fewer."""
    return tuple(_defended_go(size, UNFINISHED_AMOUNTS, 5e-4))


GO_STEPS = {"s": (48, 8), "m": (64, 8), "l": (240, 24)}
"""Steps of a run, and between its evaluations."""


def _defended_go(size: Size, amounts: tuple[int, int], learning_rate: float) -> list[GoTrial]:
    asked = {amounts[0]: FEW_GO if size == "s" else ALL_GO, amounts[1]: FEW_GO}
    steps, every = GO_STEPS[size]
    return [
        GoTrial(
            f"{defence}-{comparisons}-{seed}",
            defence,
            comparisons,
            steps,
            every,
            price=GO_KL_PRICE if defence == "kl" else 0.0,
            seed=seed,
            learning_rate=learning_rate,
        )
        for comparisons, seed in product(amounts, (0,) if size == "s" else (0, 1))
        for defence in asked[comparisons]
    ]
