"""`foolsgold train rl --alarms`: what a run's own samples say of over-optimization, without gold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from foolsgold.audit.alarm_callback import Probes, alarm_callback
from foolsgold.audit.alarms import Alarms, Watched
from foolsgold.audit.latents import latents_of
from foolsgold.errors import UserError
from foolsgold.policies.hub import Policy
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import WeightedReward
from foolsgold.rewards.text_reward_model import TextReward
from foolsgold.training.loop import Metrics
from foolsgold.training.rollouts import Rollouts, Scored, Task, derived_seed, draw_and_score, frozen_copy

PROMPTS, EACH = 128, 4
"""Of the starting policy's completions that alarms are fitted to, at most and at least."""
FEWEST = 256
EVERY = 10
"""Steps between readings."""


class AlarmWatch:
    """Alarms on one reward model of a run; `inspect` is a trainer's, and `readings` adds what was read to a step's
    metrics, as `alarm/<name>`.

    Args:
      policy: as it is at the start, from which the reference is drawn.
      task: that the policy is trained on.
      proxy: the reward model that is watched, one of the task's rewards.
    """

    def __init__(self, policy: Policy, task: Task, proxy: WeightedReward, sampling: Sampling, seed: int):
        reward = proxy.reward
        assert isinstance(reward, TextReward)
        prompts = range(min(PROMPTS, len(task.prompts)))
        each = max(EACH, -(-FEWEST // len(prompts)))
        drawn = draw_and_score(policy.model, task, prompts, sampling, each, derived_seed(seed, 2**29))
        alarms = Alarms.of(watched_of(drawn, task.scorer.rewards.index(proxy), reward), seed=seed)
        probes = Probes(
            latents=partial(latents_of, reward),
            reference=frozen_copy(policy.model),
            temperature=sampling.temperature,
            component=proxy.name,
        )
        self._read: dict[int, Metrics] = {}
        self.inspect: Callable[[int, Rollouts], None] = alarm_callback(
            alarms, probes, self._read.__setitem__, EVERY, seed=seed
        )

    def readings(self, step: int) -> Metrics:
        """What was read at this step; empty at most steps."""
        return self._read.pop(step, {})


def watched_of(drawn: Scored, component: int, reward: TextReward) -> Watched:
    """Completions that were drawn and scored, as alarms see them.

    Args:
      component: place of the watched reward among those of the task.

    Raises:
      UserError: the reward did not apply to some completion.
    """
    proxy = drawn.scores.components[component]
    if np.isnan(proxy).any():
        raise UserError("the reward that --alarms watch must apply to every completion")
    lengths = drawn.samples.lengths.double().numpy()
    return Watched(
        proxy=proxy,
        texts=drawn.texts,
        lengths=lengths,
        log_probs=drawn.samples.log_probs.double().sum(1).numpy() / np.maximum(lengths, 1),
        latents=latents_of(reward, drawn.prompts, drawn.answers),
        groups=np.unique([str(prompt) for prompt in drawn.prompts], return_inverse=True)[1],
    )


def watchable(rewards: Sequence[WeightedReward], settings: Any) -> WeightedReward | None:
    """The reward model that alarms are to watch; None where none are wanted.

    Raises:
      UserError: no reward that is trained on is a reward model.
    """
    if not settings.alarms:
        return None
    found = next((each for each in rewards if each.weight and isinstance(each.reward, TextReward)), None)
    if found is None:
        raise UserError("--alarms read a reward model's states; give one as --reward, or leave them out")
    return found
