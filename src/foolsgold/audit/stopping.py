"""Stopping a run when gold falls: gold of the policy on fixed prompts while it trains, the best checkpoint kept.

Which look is best is chosen by noisy means, so that its own mean is too high, and later ones seem to fall from it.
Therefore the decision rests on `objectives.sequential.surest_fall`, which pays for comparing with every earlier look;
and `best_gold` of the metrics is the mean of `gold_at_best`, which is free of that luck. The checkpoint that is kept is
the one of the highest mean: with few prompts it may be a neighbour of the truly best.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.objectives.sequential import FEWEST_PROMPTS, Fall, gold_at_best, surest_fall
from foolsgold.policies.hub import LanguageModel, load_policy, save_policy
from foolsgold.policies.sampling import Sampling
from foolsgold.training.loop import Metrics, StopTraining
from foolsgold.training.rollouts import Task, derived_seed, draw_and_score


@dataclass(frozen=True)
class LookSettings:
    """When to look at gold, and what may be spent on it."""

    steps: int
    """Of the whole run."""
    budget: int
    """Gold labels for the whole run, spread over it; never more are spent."""
    every: int = 1
    """Fewest steps between looks; there are more where the budget does not last."""
    samples: int = 1
    """Completions a prompt. More prompts are worth more than more completions of each."""
    alpha: float = 0.05
    """Chance of ever stopping a run whose gold does not fall."""
    seed: int = 0
    """Of the random numbers that completions are drawn with, the same at every look, so that the same policy writes the
    same again, and differences between looks are those of the policies."""

    def spacing(self, prompts: int) -> int:
        """Steps from one look at `prompts` prompts to the next.

        Raises:
          UserError: there are too few prompts, or the budget does not pay for three looks at them.
        """
        if prompts < FEWEST_PROMPTS:
            raise UserError(f"{prompts} prompts cannot tell a fall of gold from luck; give {FEWEST_PROMPTS} or more")
        labels_a_look = prompts * self.samples
        paid = self.budget // labels_a_look
        if paid < 3:
            raise UserError(
                f"{self.budget} labels pay for {paid} looks of {prompts} prompts, {self.samples} completions each; it "
                f"takes 3 looks: give {3 * labels_a_look} labels or fewer prompts"
            )
        return max(self.every, math.ceil(self.steps / (paid - 1)))


class GoldLooks:
    """Gold of a run's looks, kept on disk, what it says, and the best policy.

    A step that was looked at already, before the run was killed, costs no labels again.

    Args:
      folder: of the looks and of the best policy; those of an earlier attempt at the same run are taken up.
      settings: of the looks.
      prompts: P, the same at every look.

    Raises:
      UserError: there are too few prompts, the budget does not pay for three looks at them, or the folder holds looks
        made with other settings.
    """

    def __init__(self, folder: str | Path, settings: LookSettings, prompts: int):
        self.folder, self.settings = Path(folder), settings
        self.labels_a_look = prompts * settings.samples
        self.spacing = settings.spacing(prompts)
        """Steps from one look to the next."""
        self.planned = 1 + math.ceil(settings.steps / self.spacing)
        """Looks of the whole run, those at the start and at the end included."""
        self._identity: dict[str, Any] = {**asdict(settings), "prompts": prompts}
        self.gold: dict[int, list[float]] = {}
        """Gold of each prompt, `[P]`, by step."""
        if self._path.exists():
            self._take_up()

    @property
    def _path(self) -> Path:
        return self.folder / "looks.json"

    def _take_up(self) -> None:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self.gold = {int(step): gold for step, gold in kept["gold"].items()}
            identity = kept["settings"]
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise UserError(f"{self._path} cannot be read ({error}); delete it to look afresh") from error
        if identity != self._identity:
            raise UserError(f"{self._path} was made with other settings ({identity}); name another folder")

    @property
    def labels(self) -> int:
        """Labels spent."""
        return len(self.gold) * self.labels_a_look

    @property
    def best_step(self) -> int | None:
        """The step of the highest mean, the first of equals; None before the first look."""
        return max(self.gold, key=lambda step: (float(np.mean(self.gold[step])), -step), default=None)

    @property
    def best(self) -> Path | None:
        """Folder of the best policy, which `load_policy` reads; None before the first look."""
        return None if self.best_step is None else self._place(self.best_step)

    def _place(self, step: int) -> Path:
        return self.folder / f"best-{step}"

    def due(self, step: int) -> bool:
        """Whether gold is wanted at this step: at the start, at the end, and once in every `spacing` steps between."""
        before = [known for known in self.gold if known < step]
        if step in self.gold or not before:
            return True
        waited = step // self.spacing > max(before) // self.spacing or step == self.settings.steps
        return waited and self.labels + self.labels_a_look <= self.settings.budget

    def look(self, step: int, measure: Callable[[], np.ndarray], save: Callable[[Path], object]) -> Metrics:
        """Figures of this step, which must be due.

        Args:
          measure: gives gold `[P]` of the policy as it is now; not called where this step's is known.
          save: writes the policy as it is now to a folder; called where it is the best so far.

        Raises:
          StopTraining: gold has surely fallen. It brings the figures.
          UserError: gold did not apply to some prompt.
        """
        if step not in self.gold:
            gold = np.asarray(measure(), np.float64)
            if not np.isfinite(gold).all():
                raise UserError(
                    f"step {step}: no gold for prompt {int(np.isfinite(gold).argmin()) + 1}; leave out prompts that "
                    "gold does not apply to"
                )
            self.gold[step] = gold.tolist()
            if self.best_step == step:
                save(self._place(step))
            self._write()
            for place in self.folder.glob("best-*"):
                if place != self.best:
                    shutil.rmtree(place, ignore_errors=True)
        steps = sorted(known for known in self.gold if known <= step)
        matrix = np.array([self.gold[known] for known in steps]).T
        fall = surest_fall(matrix, self.planned, self.settings.alpha)
        metrics = {"gold": float(matrix[:, -1].mean()), "gold_labels": float(len(steps) * self.labels_a_look)}
        if fall is not None:
            metrics |= {
                "best_gold": float(gold_at_best(matrix).mean()),
                "gold_fall": fall.fall,
                "gold_fall_at_least": fall.low,
            }
        if fall is not None and fall.certain:
            raise StopTraining(self._why(steps, fall), metrics)
        return metrics

    def _why(self, steps: list[int], fall: Fall) -> str:
        def side(last: int) -> str:
            first = last - fall.width + 1
            return f"step {steps[last]}" if first == last else f"steps {steps[first]} to {steps[last]}"

        confidence = f"{1 - self.settings.alpha:.0%} confidence over all looks"
        return (
            f"gold fell by {fall.fall:.4g} from {side(fall.since)} to {side(len(steps) - 1)} (at least {fall.low:.4g}, "
            f"with {confidence}); the best policy, of step {self.best_step}, is in {self.best}"
        )

    def _write(self) -> None:
        content = {"settings": self._identity, "best": self.best_step, "gold": self.gold}
        write_text(self._path, json.dumps(content, indent=1) + "\n")


class GoldStop:
    """A trainer's `evaluate`: measures gold where a look is due and ends the run when gold has surely fallen.

        stop = GoldStop(policy, Task(prompts, gold, tokenizer), sampling, LookSettings(steps, budget=2000), folder)
        train_policy(policy, task, settings, folder, evaluate=stop)
        stop.restore()

    The loop calls it every `evaluate_every` steps; looks fall on these.

    Args:
      policy: the model that is trained.
      task: fixed prompts, and gold as its rewards.
      sampling: how completions are drawn.
      settings: of the looks.
      folder: see `GoldLooks`.
      also: another evaluation, called every time; its figures join.
      stop_tokens: end tokens beside the tokenizer's, kept with the best policy.

    Raises:
      UserError: as `GoldLooks`.
    """

    def __init__(
        self,
        policy: LanguageModel,
        task: Task,
        sampling: Sampling,
        settings: LookSettings,
        folder: str | Path,
        also: Callable[[int], Metrics] | None = None,
        stop_tokens: tuple[int, ...] = (),
    ):
        self.policy, self.task, self.sampling, self.also = policy, task, sampling, also
        self.stop_tokens = stop_tokens
        self.looks = GoldLooks(folder, settings, len(task.prompts))

    def __call__(self, step: int) -> Metrics:
        """Figures after `step` steps.

        Raises:
          StopTraining: gold has surely fallen.
          RewardFailure: gold failed; its batch is on disk.
        """
        metrics = {} if self.also is None else self.also(step)
        if not self.looks.due(step):
            return metrics
        try:
            return metrics | self.looks.look(step, self._gold, self._save)
        except StopTraining as stop:
            raise StopTraining(stop.why, metrics | stop.metrics) from stop

    def _gold(self) -> np.ndarray:
        return gold_of_prompts(self.policy, self.task, self.sampling, self.looks.settings)

    def _save(self, folder: Path) -> None:
        save_policy(folder, self.policy, self.task.tokenizer, stop_tokens=self.stop_tokens)

    def restore(self) -> int | None:
        """Give the policy the weights of the best look, whose step is returned; None and no change before any look.

        A run may have ended without a fall that was certain; its best look is then restored all the same.
        """
        if self.looks.best is not None:
            best = load_policy(self.looks.best, device=self.policy.device).model
            self.policy.load_state_dict(best.state_dict())
        return self.looks.best_step


def gold_of_prompts(policy: LanguageModel, task: Task, sampling: Sampling, settings: LookSettings) -> np.ndarray:
    """Gold of each of the task's prompts, `[P]`, mean over its completions; NaN where it did not apply to one.

    Raises:
      RewardFailure: gold failed; its batch is on disk.
    """
    seed = derived_seed(settings.seed, 2**30)
    drawn = draw_and_score(policy, task, range(len(task.prompts)), sampling, settings.samples, seed)
    return drawn.scores.total.reshape(-1, settings.samples).mean(1)
