"""What the study `crowd` runs in either world: everything that follows from its dial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from foolsgold.errors import UserError
from foolsgold.policies.go_network import NetworkSize
from foolsgold.studies.crowd_tastes import CROWDS, Crowd
from foolsgold.studies.gaming_go_pipeline import GoPlan
from foolsgold.studies.poems_pipeline import PoemsPlan
from foolsgold.studies.poems_start import poems_plan

STUDY = "crowd"
VERSION = 1

World = Literal["poems", "go"]
Size = Literal["s", "m"]
RLRule = Literal["pooled", "worst group", "satisfied"]

KLS = (0.25, 0.5, 1.0, 2.0)
"""Nats at which policies are compared."""
MAIN_KL = 1.0
"""Nats of the figures that are quoted."""


@dataclass(frozen=True)
class CrowdConfig:
    """Many users, one policy: how is their satisfaction added up?

    Raters of several tastes compare what a small policy writes. Reward models learn from them: one for all, one for
    each group that EM finds, one head for each rater, a mean with its spread. Each rule of adding up (the pooled
    model, mean, majority, Borda, Nash, the worst group, the share of satisfied users) then makes a policy, all at the
    same KL, and other users of the same tastes say how many of them it satisfies.

    Examples:
      foolsgold run crowd
      foolsgold run crowd --size s
      foolsgold run crowd --world go
      foolsgold run crowd --from runs/gaming-20260101-120000
      foolsgold run crowd --resume runs/crowd-20260101-120000
    """

    size: Size = "m"
    """s: one crowd, two draws of its raters, no RL. m: three crowds, three draws, RL under three rules (on poems)."""
    world: World = "poems"
    """What is written and judged: poems, or games of Go as they stand after 26 moves."""
    seed: int = 0
    """Seed of everything that is random: the same seed gives the same numbers on the same machine."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Run folder of a study on poems, of size s and the same seed, whose policy is copied in place of training anew."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold."""
    out: Path = Path("runs")
    """Where the run folder is made."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} is negative; give 0 or more")
        if self.source is not None and self.resume is not None:
            raise UserError("a run that goes on has its policy already; give --from or --resume, not both")
        if self.source is not None and self.world != "poems":
            raise UserError(f"--from takes a policy of poems; leave it out with --world {self.world}")


@dataclass(frozen=True)
class Cell:
    """One draw of a crowd: its raters, what they say, the reward models that learn it, the users who are served."""

    name: str
    crowd: Crowd
    seed: int
    """Of raters, comparisons, reward models and users."""
    comparisons: int
    steps: int
    """Of each reward model's fit."""
    learning_rate: float = 5e-4
    layers: int = 2
    """Of the policy's trunk, the first ones, in reward models of texts."""
    raters: int = 50
    users: int = 200
    held_out: int = 1_000
    """Comparisons by the same raters that no reward model is fitted to."""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Cell:
        crowd = data["crowd"]
        return cls(**{**data, "crowd": Crowd(crowd["name"], tuple(crowd["tastes"]), tuple(crowd["shares"]))})


@dataclass(frozen=True)
class RLArm:
    """RL on one rule's reward."""

    name: str
    rule: RLRule
    cell: Cell
    """Whose raters are listened to, and whose users are served."""
    steps: int = 64
    evaluate_every: int = 8
    prompts: int = 16
    samples: int = 8
    learning_rate: float = 1e-4

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RLArm:
        return cls(**{**data, "cell": Cell.from_json(data["cell"])})


@dataclass(frozen=True)
class CrowdPlan:
    """Printed, and stored with the run."""

    world: World
    size: Size
    poems: PoemsPlan | None
    go: GoPlan | None
    source: str | None
    cells: tuple[Cell, ...]
    arms: tuple[RLArm, ...]
    prompts: int = 48
    """Prompts at which policies choose."""
    candidates: int = 64
    """Of each prompt, to choose among; as many others are there to be compared by raters."""
    kls: tuple[float, ...] = KLS

    def __post_init__(self) -> None:
        if MAIN_KL not in self.kls:
            raise ValueError(f"figures are quoted at {MAIN_KL:g} nat, which is not among {self.kls}")

    @classmethod
    def of(cls, config: CrowdConfig) -> CrowdPlan:
        found = cells(config.world, config.size, config.seed)
        if config.world == "go":
            go = GoPlan(config.seed, 7, NetworkSize(2, 24), amateur_games=250, policy_games=0, moves=26, taste="looks")
            return cls("go", config.size, None, go, None, found, ())
        source = None if config.source is None else str(config.source.resolve())
        poems = poems_plan("s", config.seed, config.source)
        rules: tuple[RLRule, ...] = ("pooled", "worst group", "satisfied") if config.size == "m" else ()
        arms = tuple(RLArm(f"rl-{rule}".replace(" ", "-"), rule, found[0]) for rule in rules)
        return cls("poems", config.size, poems, None, source, found, arms)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CrowdPlan:
        """The plan of a stored run."""
        poems = None if data["poems"] is None else PoemsPlan(**data["poems"])
        go = None if data["go"] is None else GoPlan.from_json(data["go"])
        cells = tuple(Cell.from_json(cell) for cell in data["cells"])
        arms = tuple(RLArm.from_json(arm) for arm in data["arms"])
        return cls(**{**data, "poems": poems, "go": go, "cells": cells, "arms": arms, "kls": tuple(data["kls"])})


def cells(world: World, size: Size, seed: int) -> tuple[Cell, ...]:
    """The draws, those of the minority of one in ten first."""
    crowds = CROWDS[world][:1] if size == "s" else CROWDS[world]
    usual = Cell("", crowds[0], 0, comparisons=4_000, steps=125)
    if world == "go":  # a smaller network, from nothing
        usual = replace(usual, steps=400, learning_rate=2e-3)
    return tuple(
        replace(usual, name=f"{crowd.name}-{number}".replace(" ", "-"), crowd=crowd, seed=1000 * seed + number)
        for crowd in crowds
        for number in range(2 if size == "s" else 3)
    )
