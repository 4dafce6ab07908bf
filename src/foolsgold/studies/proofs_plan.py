"""What the study `proofs` runs: everything that follows from its dial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foolsgold.environments.theorems.formulas import Tool
from foolsgold.policies.decoder import DecoderConfig

RL_SHARE = 0.3
"""Of the time, for RL; expert iteration has the same tactics, and the rest is measured and learned from students."""
GRADES = 4


@dataclass(frozen=True)
class Table:
    """What things take on two quiet cores (AMD EPYC, Zen 5), by which minutes become steps."""

    rl_s: float
    """A step of RL, in seconds, rounded up: the machine is seldom quiet."""
    largest: int
    """Expansions of a search of a held-out theorem at most."""


TABLE: dict[Tool, Table] = {"coq": Table(1.0, 128), "lean": Table(6.0, 64)}
"""Lean as WebAssembly takes some 50 times as long for a tactic, and one Lean does the work of two processes."""


@dataclass(frozen=True)
class Plan:
    """Printed, and stored with the run."""

    minutes: float
    seed: int
    tool: Tool
    students: int
    """Theorems with proofs by students, to learn steps from."""
    finetuning_steps: int
    train: int
    """Theorems for RL and for search."""
    test: int
    """Theorems of other families."""
    rl_steps: int
    tries: int
    """At each test theorem."""
    expansions: int
    """Of a search of a test theorem at most."""
    expert_expansions: int = 32
    """Of a search of a train theorem at most."""
    width: int = 128
    layers: int = 3
    vocabulary: int = 320
    max_new_tokens: int = 28
    batch: int = 64
    """Rows of a step of finetuning."""
    finetuning_rate: float = 3e-3
    further_rate: float = 1e-3
    """Of finetuning that goes on: expert iteration, and more of the students' steps."""
    rl_rate: float = 3e-4
    problems: int = 16
    """Theorems of a step of RL."""
    samples: int = 8
    """Episodes a theorem; also the tactics that are drawn where a search expands a goal."""
    turns: int = 16
    """Tactics of a proof at most."""
    rounds: int = 3
    """Of expert iteration."""

    @classmethod
    def of(cls, tool: Tool, minutes: float, seed: int) -> Plan:
        """By the table and not by the clock, so that a plan gives the same numbers whatever else the machine does."""
        part = min(1.0, minutes / 10)
        # Short runs spend more of their time on the start: where it proves nothing, RL has nothing to pay.
        start = min(1.0, minutes / 6)
        return cls(
            minutes=minutes,
            seed=seed,
            tool=tool,
            students=max(400, round(5_000 * start)),
            finetuning_steps=max(300, round(2_500 * start)),
            train=max(40, round(800 * part)),
            test=GRADES * max(3, round(30 * part)),
            rl_steps=max(4, round(RL_SHARE * 60 * minutes / TABLE[tool].rl_s)),
            tries=8 if part < 1 else 16,
            expansions=min(TABLE[tool].largest if minutes < 20 else 256, max(16, round(256 * part))),
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan of a stored run."""
        return cls(**data)

    @property
    def decoder(self) -> DecoderConfig:
        return DecoderConfig.sized(self.vocabulary, self.width, self.layers, max_positions=256)
