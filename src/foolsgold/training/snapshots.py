"""Snapshots: the policy as it was along a run, for an audit that looks back, also while the run goes on."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from foolsgold.errors import UserError
from foolsgold.files import written
from foolsgold.policies.hub import Policy, save_policy
from foolsgold.training.rollouts import frozen_copy

_NAME = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class Snapshots:
    """Keeps a policy at some steps, each as a Hugging Face directory `step-00040`, of an adapter only the adapter.

    A snapshot is written under another name and renamed, so that a reader never finds half of one. One that is there
    stays: a run that was killed and repeats its step makes the same.
    """

    folder: Path
    """Of all snapshots of the run."""
    policy: Policy
    """What is trained, in place."""
    steps: frozenset[int]
    """After which it is kept. The start is not copied: it is the model that the run was given."""
    dtype: torch.dtype
    """Of the weights kept."""

    def keep(self, step: int, last: bool = False) -> None:
        """Keep the policy, which has done `step` steps, if this is one of the steps and it is not there yet.

        Args:
          last: it is the run's end, and kept whatever its step, unless nothing is to be kept.

        Raises:
          UserError: the disk is full or the folder cannot be written.
        """
        place = self.folder / f"step-{step:05}"
        if place.exists() or not self.steps or not (last or step in self.steps):
            return
        model = self.policy.model
        if any(parameter.dtype != self.dtype for parameter in model.parameters()):
            model = frozen_copy(model, self.dtype)
        part = self.folder / f".{place.name}.part"
        with written(self.folder):
            shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
            save_policy(part, model, self.policy.tokenizer, stop_tokens=self.policy.stop_tokens)
            part.rename(place)


def evenly_spread(steps: int, count: int) -> frozenset[int]:
    """`count` of the steps 1 to `steps`, or all if they are fewer, as far apart as can be, the last one among them.

    Raises:
      UserError: `count` is negative.
    """
    if count < 0:
        raise UserError(f"--snapshots {count} is negative; give 0 for none")
    return frozenset(-(-steps * i // count) for i in range(1, count + 1))


def kept_snapshots(folder: Path) -> list[tuple[int, Path]]:
    """Step and place of each whole snapshot in `folder`, in the order of steps."""
    return sorted((int(name[1]), each) for each in folder.glob("step-*") if (name := _NAME.fullmatch(each.name)))
