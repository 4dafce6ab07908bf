"""What the study `coding` runs: everything that follows from its dial."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from foolsgold.policies.decoder import DecoderConfig

Teaching = Literal["nothing", "people", "traces", "hidden", "distilled", "rl"]
"""nothing: the finetuned policy as it is. people: more of what it was finetuned on. traces: turns of episodes whose
visible tests passed. hidden: the same of those whose hidden tests passed too. distilled: the bodies that passed the
visible tests, as answers to their own prompts and to the first one. rl: policy gradient over turns."""


@dataclass(frozen=True)
class Arm:
    """What a copy of the finetuned policy goes on to learn, and is measured after."""

    name: str
    teaching: Teaching
    steps: int
    """Of the optimiser."""


@dataclass(frozen=True)
class CodingPlan:
    """Printed, and stored with the run."""

    seed: int
    minutes: float
    finetuning_steps: int
    attempts: int
    """People's answers to imitate."""
    run_attempts: int
    """More of them, which are run: those that fail are mended."""
    rl_steps: int
    test_problems: int
    width: int = 128
    layers: int = 4
    vocabulary: int = 512
    max_new_tokens: int = 112
    finetuning_batch: int = 32
    finetuning_rate: float = 3e-3
    visible: int = 3
    """Tests that are shown, of about ten."""
    rounds: int = 4
    """Measured."""
    test_samples: int = 2
    """Episodes of each held-out problem."""
    mutants: int = 2
    """Wrong programs for each held-out problem, at most."""
    turns: int = 3
    """In training."""
    rl_problems: int = 8
    """A step of RL."""
    rl_samples: int = 8
    """Episodes a problem."""
    rl_rate: float = 2e-4
    imitation_rate: float = 5e-4
    imitation_batch: int = 32

    @property
    def decoder(self) -> DecoderConfig:
        return DecoderConfig.sized(self.vocabulary, self.width, self.layers, max_positions=512)

    @property
    def problems(self) -> int:
        """Of the train split, each played once, by RL as for traces."""
        return self.rl_steps * self.rl_problems

    @property
    def arms(self) -> tuple[Arm, ...]:
        """RL plays as many episodes as there are traces, of some two turns each; the others learn as many rows."""
        imitation = self.rl_steps * self.rl_problems * self.rl_samples * 2 // self.imitation_batch
        return (
            Arm("rl", "rl", self.rl_steps),
            Arm("start", "nothing", 0),
            Arm("traces", "traces", imitation),
            Arm("hidden", "hidden", imitation),
            Arm("distilled", "distilled", imitation),
            Arm("people", "people", imitation),
        )

    @classmethod
    def of(cls, minutes: float, seed: int) -> CodingPlan:
        """By a table and not by the clock, so that a plan gives the same numbers whatever else the machine does."""
        part = min(1.0, minutes / 10)
        steps = max(20, round(minutes * STEPS_A_MINUTE["finetuning"]))
        return cls(
            seed=seed,
            minutes=minutes,
            finetuning_steps=steps,
            attempts=max(400, 16 * steps),
            run_attempts=max(100, min(12_000, 5 * steps)),
            rl_steps=max(2, round(minutes * STEPS_A_MINUTE["rl"])),
            test_problems=max(20, round(200 * part)),
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CodingPlan:
        """The plan of a stored run."""
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


STEPS_A_MINUTE = {"finetuning": 110, "rl": 4}
"""Of the run, on two quiet cores (AMD EPYC, Zen 5)."""
