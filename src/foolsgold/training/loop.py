"""The loop under every trainer of language models: steps, schedule, checkpoints, and going on after a kill.

Whatever is random in a step is drawn from the seed and the step's number, never from a generator that runs on. A run
that was killed and goes on from its last checkpoint therefore ends with the same numbers.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from foolsgold.errors import UserError
from foolsgold.objectives.schedules import cosine
from foolsgold.training import checkpoint
from foolsgold.training.optimiser import AdamWSettings, FlatAdamW

Metrics = dict[str, float]

Schedule = Callable[[int, int], float]
"""Maps a step, from 0, and the number of steps to a share of the learning rate."""


@dataclass(frozen=True)
class LoopSettings:
    """What every trainer needs."""

    steps: int
    adamw: AdamWSettings = AdamWSettings()
    schedule: Schedule = partial(cosine, warmup=0.05)
    save_every: int = 50
    """Steps between checkpoints; a killed run goes on from the last."""
    evaluate_every: int = 0
    """Steps between calls of the evaluation hook, which is also called at the start and at the end; 0: at no time."""
    seed: int = 0
    dtype: torch.dtype | None = None
    """Of the working copy; bfloat16 where the machine is faster with it, where None."""


class StopTraining(Exception):
    """Raised by a hook (`evaluate`, `report`, or a trainer's `inspect`): the run ends here as if its steps were done.

    Args:
      why: one line, kept with the run's state.
      metrics: what the hook would have returned; they join the step's.
    """

    def __init__(self, why: str, metrics: Metrics | None = None):
        super().__init__(why)
        self.why, self.metrics = why, metrics or {}


@cache
def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step, which wants as much again.

    By default it hands large blocks back to the system and gets them page by page: a fifth of a small model's step.
    """
    with suppress(OSError, AttributeError):  # other systems have another malloc
        glibc = ctypes.CDLL("libc.so.6")
        glibc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD, bytes
        glibc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


class Loop:
    """Runs steps of a trainer on one model.

    Args:
      model: trained in place.
      settings: of the loop.
      folder: keeps `state.safetensors` and failures; an existing state is taken up. Nothing is kept where None.
    """

    def __init__(self, model: torch.nn.Module, settings: LoopSettings, folder: str | Path | None = None):
        keep_freed_memory()
        self.model, self.settings = model, settings
        self.folder = None if folder is None else Path(folder)
        self.optimiser = FlatAdamW(model, settings.adamw, settings.dtype)
        self.step = 0
        """Steps done."""
        self.memory: dict[str, Any] = {}
        """What a trainer must remember beside the weights, such as an adaptive KL coefficient; JSON holds it."""
        self.stopped = ""
        """Why a hook ended the run, which then stays ended; empty where none did."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._state_path.exists():
                self._resume()

    @property
    def _state_path(self) -> Path:
        assert self.folder is not None
        return self.folder / "state.safetensors"

    def _resume(self) -> None:
        tensors, meta = checkpoint.load(self._state_path)
        try:
            self.optimiser.load_state(tensors)
        except ValueError as error:
            raise UserError(f"{self._state_path} is of another model: {error}; name another folder") from error
        self.step, self.memory, self.stopped = meta["step"], meta["memory"], meta.get("stopped", "")

    def save(self) -> None:
        """Write the state; a kill at any moment leaves this one or the one before."""
        if self.folder is not None:
            meta = {"step": self.step, "memory": self.memory, "stopped": self.stopped}
            checkpoint.save(self._state_path, self.optimiser.state(), meta)

    def run(
        self,
        body: Callable[[int], Metrics],
        report: Callable[[int, Metrics], None] = lambda step, metrics: None,
        evaluate: Callable[[int], Metrics] | None = None,
    ) -> None:
        """Do the steps that are left; none where a hook has stopped the run. A hook may raise `StopTraining`.

        Args:
          body: does step number `step`, from 0: calls `backward` and `update`, returns what to log.
          report: is told of every finished step, from 1, with its metrics.
          evaluate: measures the model after `step` steps; its figures join the step's metrics.

        Raises:
          UserError: a loss or a gradient is not finite; the batch is on disk.
        """
        try:
            self._run(body, report, evaluate)
        except StopTraining as stop:  # from `body` or `report`: of `evaluate` the step is reported first
            self._stop(stop)
        self.model.eval()

    def _run(
        self,
        body: Callable[[int], Metrics],
        report: Callable[[int, Metrics], None],
        evaluate: Callable[[int], Metrics] | None,
    ) -> None:
        every, last = self.settings.evaluate_every, self.settings.steps
        if evaluate is not None and every and self.step == 0 and not self.stopped:
            report(0, self._evaluated(evaluate))
        while self.step < last and not self.stopped:
            self.model.train()
            metrics = body(self.step)
            self.step += 1
            if evaluate is not None and every and (self.step % every == 0 or self.step == last):
                metrics = metrics | self._evaluated(evaluate)
            if not self.stopped and (self.step % self.settings.save_every == 0 or self.step == last):
                self.save()
            report(self.step, metrics)

    def _stop(self, stop: StopTraining) -> None:
        self.stopped = self.stopped or stop.why
        self.save()

    def _evaluated(self, evaluate: Callable[[int], Metrics]) -> Metrics:
        self.model.eval()
        try:
            with torch.no_grad():
                return evaluate(self.step)
        except StopTraining as stop:
            self._stop(stop)
            return stop.metrics

    def backward(self, loss: torch.Tensor, batch: Mapping[str, torch.Tensor]) -> float:
        """Add the gradient of a micro-batch's loss to the step's; returns the loss.

        Args:
          loss: `[]`; losses of a step's micro-batches add up, so each must have its share of the whole already.
          batch: what it was made of, written to disk where the loss is not finite.

        Raises:
          UserError: the loss is NaN or infinite.
        """
        value = float(loss.detach())
        if not math.isfinite(value):
            raise UserError(self._failed(f"the loss is {value}", batch))
        loss.backward()
        self.optimiser.collect()
        return value

    def update(self, batch: Mapping[str, torch.Tensor] | None = None) -> float:
        """Step of the optimiser under the schedule; returns the gradient's norm before clipping.

        Raises:
          UserError: the gradient is not finite; the weights are as they were.
        """
        norm = self.optimiser.step(self.settings.schedule(self.step, self.settings.steps))
        if not math.isfinite(norm):
            raise UserError(self._failed(f"the gradient's norm is {norm}", batch or {}))
        return norm

    def _failed(self, what: str, batch: Mapping[str, torch.Tensor]) -> str:
        where = ""
        if self.folder is not None and batch:
            path = self.folder / f"failed-step-{self.step + 1}.safetensors"
            checkpoint.save(path, dict(batch), {"step": self.step, "what": what})
            where = f"; the batch is in {path}"
        return (
            f"step {self.step + 1}: {what}{where}. Try a lower learning rate; the run goes on from its last checkpoint"
        )

    def final_weights(self) -> dict[str, torch.Tensor]:
        """The trained model's state in float32."""
        return self.optimiser.master_weights(self.model)
