"""What all commands of `foolsgold train` share: the run folder, the model to start from, progress, the saved result."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from foolsgold.errors import UserError
from foolsgold.objectives import schedules
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.hub import Policy, load_policy, save_policy, with_lora
from foolsgold.serving.train_settings import RunSettings
from foolsgold.training import checkpoint
from foolsgold.training.loop import LoopSettings, Metrics, Schedule
from foolsgold.training.optimiser import AdamWSettings, working_dtype
from foolsgold.training.run_folder import RunFolder

VERSION = 1
SCHEDULES: dict[str, Any] = {
    "cosine": schedules.cosine,
    "linear": schedules.linear,
    "wsd": schedules.warmup_stable_decay,
    "constant": partial(schedules.linear, final=1.0),
}
DTYPES = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16}
EVALUATIONS = 10
LINES = 20
"""Progress lines of a run where there is no terminal."""

Settings = TypeVar("Settings", bound=RunSettings)
T = TypeVar("T")


class TrainingRun:
    """One run of a command, new or taken up again; use it as a context.

    Args:
      name: of the command.
      settings: with nothing left open.
      shown: metrics that progress shows.
      total: what is counted, where that is not the settings' steps.
      done: how much of it the folder of checkpoints holds.
    """

    def __init__(
        self,
        name: str,
        settings: RunSettings,
        shown: Sequence[str],
        total: int | None = None,
        done: Callable[[Path], int] | None = None,
    ):
        self.name, self.settings, self.shown = name, settings, shown
        self.console = Console(highlight=False, soft_wrap=True)
        self.total = total or settings.steps or 0
        done = done or steps_done
        if settings.resume is None:
            self.folder = RunFolder.create(settings.output, name, _stored(settings), VERSION)
        else:
            self.folder = RunFolder.open(settings.resume, name, VERSION)
            # Without a checkpoint also the evaluation before the first step comes again.
            self.folder.truncate_after(done(self.checkpoints) or -1)
        self.progress = Progress(
            TextColumn(name),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.bar = self.progress.add_task(name, total=self.total, completed=done(self.checkpoints), figures="")

    def __enter__(self) -> TrainingRun:
        self.console.print(f"[bold]{self.name}[/bold]")
        for field, value in self.folder.config.items():
            if value not in (None, [], ""):
                self.console.print(f"  {field:<18} {value}", markup=False)
        self.console.print(f"  {'run folder':<18} {self.folder.path}", markup=False)
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()
        self.folder.close()

    @property
    def checkpoints(self) -> Path:
        """Where the loop keeps its state."""
        return self.folder.checkpoints

    @property
    def loop(self) -> LoopSettings:
        """The loop's settings."""
        settings = self.settings
        assert settings.learning_rate is not None
        return LoopSettings(
            steps=settings.steps or 0,
            adamw=AdamWSettings(settings.learning_rate, weight_decay=settings.weight_decay, clip=settings.clip),
            schedule=schedule_of(settings),
            save_every=settings.save_every,
            evaluate_every=settings.evaluate_every or 0,
            seed=settings.seed,
            dtype=DTYPES[settings.dtype],
        )

    def report(self, step: int, metrics: Metrics) -> None:
        """Log a step's metrics and show how far the run is."""
        self.folder.log(step, **metrics)
        figures = "  ".join(f"{name} {metrics[name]:.4g}" for name in self.shown if name in metrics)
        self.progress.update(self.bar, completed=step, figures=figures)
        due = step % math.ceil(self.total / LINES) == 0 or step == self.total
        if not self.console.is_terminal and (due or any(name.startswith("held_out") for name in metrics)):
            self.console.print(f"step {step}/{self.total}  {figures}", markup=False)

    def save(self, policy: Policy, weights: dict[str, torch.Tensor] | None = None) -> Path:
        """Write the trained model, whole, to `model` in the run folder, and a LoRA adapter by itself to `adapter`."""
        keep = partial(
            save_policy, model=policy.model, tokenizer=policy.tokenizer, weights=weights, stop_tokens=policy.stop_tokens
        )
        if getattr(self.settings, "lora", 0):
            keep(self.folder.path / "adapter")
        return keep(self.folder.path / "model", merge=True)

    def say(self, words: str) -> None:
        """Print a line above the bar."""
        self.console.print(words, markup=False)

    def finish(self, model: Path, next_command: str) -> None:
        """Say where the finished model is and what may follow."""
        self.progress.stop()
        self.console.print(f"model: {model}\nnext:  {next_command}", markup=False)


def steps_done(checkpoints: Path) -> int:
    """Steps of an interrupted run that its last checkpoint holds."""
    state = checkpoints / "state.safetensors"
    return checkpoint.load(state)[1]["step"] if state.exists() else 0


def schedule_of(settings: RunSettings) -> Schedule:
    """The learning rate's course."""
    return partial(SCHEDULES[settings.schedule], warmup=settings.warmup)


def resumed(settings: Settings, name: str) -> Settings:
    """The settings of the run to go on with, or, of a new run, `settings` with local paths made absolute.

    Raises:
      UserError: it is no run folder of this command.
    """
    if settings.resume is None:
        places = {field: getattr(settings, field, None) for field in ("model", "data", "prompts")}
        return replace(settings, **{field: absolute(place) for field, place in places.items() if place})  # type: ignore[arg-type]
    with RunFolder.open(settings.resume, name, VERSION) as folder:
        stored: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in folder.config.items()
        }
    known = {field.name for field in fields(settings)}
    if stored.keys() - known:
        raise UserError(f"{settings.resume} was made by another version of foolsgold; start a new run")
    return type(settings)(**stored, resume=settings.resume)


def absolute(place: str) -> str:
    """A path, perhaps with `:something` behind it, that a resumed run finds from any folder; names as they are."""
    head, colon, tail = place.rpartition(":")
    if colon and not Path(place).exists() and Path(head).exists():
        return f"{Path(head).resolve()}:{tail}"
    return str(Path(place).resolve()) if Path(place).exists() else place


def _stored(settings: RunSettings) -> dict[str, Any]:
    return {key: value for key, value in asdict(settings).items() if key != "resume"}


def settled(settings: Settings, *, width: int, base_rate: float, rows: int = 0) -> Settings:
    """The same settings with what was left open filled in.

    The learning rate falls with the square of the width, from 2e-3 at most: it meets the rates that are usual for
    checkpoints of width 1024 (`base_rate`) and those that models of a few million weights learn well with.

    Args:
      width: of the model.
      base_rate: learning rate at width 1024.
      rows: that an epoch trains on.
    """
    rate = min(base_rate * (1024 / width) ** 2, 2e-3) * (10 if getattr(settings, "lora", 0) else 1)
    steps = settings.steps or max(1, math.ceil(rows * getattr(settings, "epochs", 1.0) / settings.batch))
    every = settings.evaluate_every
    epochs = {"epochs": round(steps * settings.batch / rows, 3)} if rows else {}
    return replace(
        settings,
        **epochs,  # type: ignore[arg-type]
        learning_rate=settings.learning_rate or float(f"{rate:.2g}"),
        steps=steps,
        evaluate_every=math.ceil(steps / EVALUATIONS) if every is None else every,
    )


def start_policy(settings: Any) -> Policy:
    """The model that `settings` name, with a new LoRA adapter where they ask for one, on its device.

    Raises:
      UserError: none is named, or it cannot be loaded.
    """
    device = device_of(settings)
    model = required(settings.model, "--model", "the folder of a model, or its name on the Hugging Face hub")
    if not getattr(settings, "lora", 0):
        return load_policy(model, device=device)
    dtype = DTYPES[settings.dtype] or working_dtype(device)
    alpha = settings.lora_alpha or 2.0 * settings.lora
    return with_lora(model, settings.lora, alpha, settings.lora_targets, settings.seed, dtype, device)


def device_of(settings: Any) -> str:
    """`cpu` or `cuda`.

    Raises:
      UserError: there is no GPU that torch can use.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UserError("torch sees no CUDA GPU; leave out --device cuda")
    return "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"


def required(value: str | None, option: str, what: str) -> str:
    """`value`, which the user must have given.

    Raises:
      UserError: it is missing.
    """
    if value is None:
        raise UserError(f"{option} is missing; give {what}")
    return value


def width_of(policy: Policy) -> int:
    """Size of the model's states."""
    model = policy.model
    return model.config.width if isinstance(model, Decoder) else model.inner.get_input_embeddings().embedding_dim


def split(rows: Sequence[T], held_out: float, seed: int) -> tuple[list[T], list[T]]:
    """Rows to train on and rows held out, at random, both in their order; at least one is held out where any are.

    Raises:
      UserError: nothing is left to train on.
    """
    count = math.ceil(held_out * len(rows))
    if count >= len(rows):
        raise UserError(f"{len(rows)} rows are too few to hold out {held_out:g} of them; give more, or --held-out 0")
    chosen = set(np.random.default_rng([seed, 1]).permutation(len(rows))[:count].tolist())
    return [row for i, row in enumerate(rows) if i not in chosen], [rows[i] for i in sorted(chosen)]


def shell(*words: str | Path) -> str:
    """A command line to paste."""
    return shlex.join(str(word) for word in words)
