"""Alarms read while a policy trains, from a few of the rollouts that each step draws and scores anyway.

A reading costs one forward of the reference policy, of the reward model and of the ensemble's members over some rows,
where these are asked at all, and draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from foolsgold.audit.alarms import Alarms, Watched
from foolsgold.errors import UserError
from foolsgold.policies.hub import LanguageModel
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.messages import Text
from foolsgold.training.policy_batches import as_columns, per_token
from foolsgold.training.rollouts import Rollouts, derived_seed

Asked = Callable[[list[Text], list[Text]], np.ndarray]
"""Maps B prompts and completions to an array."""


@dataclass(frozen=True)
class Probes:
    """What is found out about rollouts beside what they bring; None leaves it out."""

    latents: Asked | None = None
    """`[B, D]`: `partial(latents_of, reward)`."""
    members: Asked | None = None
    """`[M, B]`: `lambda prompts, completions: ensemble.judge(prompts, completions).members`."""
    reference: LanguageModel | None = None
    """That KL is measured from, with weights that training does not touch; see `rollouts.frozen_copy`."""
    temperature: float = 1.0
    """That rollouts are drawn at."""
    component: str = ""
    """The reward that is the proxy, by name; empty: the weighted sum of all."""

    def watch(self, rollouts: Rollouts, rows: torch.Tensor | None = None) -> Watched:
        """What alarms see of the rollouts at `rows` `[R]`, int64; of all where None. Rows without a proxy are left out.

        Raises:
          UserError: there is no such component, or no row has a proxy.
        """
        if self.component and self.component not in rollouts.components:
            known = ", ".join(rollouts.components)
            raise UserError(f"no reward is named {self.component!r}; there are {known}")
        proxy = (rollouts.components[self.component] if self.component else rollouts.rewards).flatten()
        rows = torch.arange(len(proxy)) if rows is None else rows
        rows = rows[~proxy[rows].isnan()]
        prompts = [rollouts.prompts[row] for row in rows]
        texts = [rollouts.texts[row] for row in rows]
        answers: list[Text] = [
            text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        drawn = rollouts.log_probs[rows].double().sum(1)
        return Watched(
            proxy=proxy[rows].double().numpy(),
            texts=texts,
            lengths=rollouts.lengths[rows].double().numpy(),
            log_probs=(drawn / rollouts.lengths[rows].clamp(min=1)).numpy(),
            log_ratios=None if self.reference is None else (drawn - self._said(rollouts, rows)).numpy(),
            members=None if self.members is None else np.asarray(self.members(prompts, answers), np.float64),
            latents=None if self.latents is None else self.latents(prompts, answers),
            groups=np.unique([str(prompt) for prompt in prompts], return_inverse=True)[1],
        )

    def _said(self, rollouts: Rollouts, rows: torch.Tensor) -> torch.Tensor:
        """Log-probability of each completion under the reference, nats, `[R]`."""
        reference = self.reference
        assert reference is not None
        columns = {name: column[rows] for name, column in as_columns(rollouts).items()}

        def says(tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return token_log_probs(reference, tokens, mask, self.temperature)

        return per_token(says, columns, 32, reference.device).double().sum(1)


def alarm_callback(
    alarms: Alarms,
    probes: Probes,
    log: Callable[[int, dict[str, float]], None],
    every: int = 10,
    rows: int = 64,
    seed: int = 0,
) -> Callable[[int, Rollouts], None]:
    """A trainer's `inspect`: at every `every`th step, and the first, reads the alarms.

    Args:
      log: gets the step and the readings as `alarm/<name>`; it may raise `StopTraining`.
      rows: of the step's rollouts that are looked at, drawn by `seed` and step.
    """

    def inspect(step: int, rollouts: Rollouts) -> None:
        if step % every and step != 1:
            return
        generator = torch.Generator().manual_seed(derived_seed(seed, step))
        picked = torch.randperm(len(rollouts.texts), generator=generator)[:rows]
        readings = alarms.read(probes.watch(rollouts, picked))
        log(step, {f"alarm/{name}": reading for name, reading in readings.items()})

    return inspect
