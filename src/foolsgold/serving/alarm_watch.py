"""`foolsgold train rl --alarms`: what a run's own samples say of over-optimization, without gold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from foolsgold.audit.alarm_callback import Probes, alarm_callback
from foolsgold.audit.alarms import NEEDS, Alarms, Watched
from foolsgold.audit.latents import latents_of
from foolsgold.errors import UserError
from foolsgold.policies.hub import LanguageModel, Policy
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import WeightedReward
from foolsgold.rewards.text_reward_model import TextReward
from foolsgold.serving.train_settings import RLCommand
from foolsgold.training.loop import Metrics, StopTraining
from foolsgold.training.rollouts import Rollouts, Scored, Task, derived_seed, draw_and_score, frozen_copy

PROMPTS = 128
"""Whose completions by the starting policy alarms are fitted to, at most."""
FEWEST = 256
"""Completions that alarms are fitted to."""
EACH = 4
"""Completions of each prompt where all alarms are read: the cloud of known states wants more of them."""
EVERY = 10
"""Steps between readings."""
ROWS = {"chi-squared": 256, "all": 64}
"""Rollouts of a step that are read, at most. The study `gaming` read chi-squared from 256."""
DEFAULT = "chi-squared"


class AlarmWatch:
    """Alarms on one reward model of a run; `inspect` is a trainer's, and `readings` adds what was read to a step's
    metrics, as `alarm/<name>`.

    Args:
      policy: as it is at the start, from which the reference is drawn.
      task: that the policy is trained on.
      proxy: the reward model that is watched, one of the task's rewards.
      settings: `alarms` and `alarm_threshold`, temperature and seed among them.

    Raises:
      UserError: the reward did not apply to some completion.
    """

    def __init__(self, policy: Policy, task: Task, proxy: WeightedReward, sampling: Sampling, settings: RLCommand):
        reward, everything = proxy.reward, settings.alarms == "all"
        assert isinstance(reward, TextReward)
        prompts = range(min(PROMPTS, len(task.prompts)))
        each = max(EACH if everything else 1, -(-FEWEST // len(prompts)))
        drawn = draw_and_score(policy.model, task, prompts, sampling, each, derived_seed(settings.seed, 2**29))
        start = watched_of(drawn, task.scorer.rewards.index(proxy), reward if everything else None)
        names = tuple(NEEDS) if everything else (DEFAULT,)
        self.reference: LanguageModel = frozen_copy(policy.model)
        """The starting policy, which KL may be measured from as well."""
        probes = Probes(
            latents=partial(latents_of, reward) if everything else None,
            reference=self.reference,
            temperature=sampling.temperature,
            component=proxy.name,
        )
        self.threshold: float | None = settings.alarm_threshold
        self._read: dict[int, Metrics] = {}
        self.inspect: Callable[[int, Rollouts], None] = alarm_callback(
            Alarms.of(start, seed=settings.seed, names=names),
            probes,
            self._log,
            EVERY,
            ROWS[settings.alarms],
            settings.seed,
        )

    def _log(self, step: int, readings: Metrics) -> None:
        self._read[step] = readings
        reading = readings[f"alarm/{DEFAULT}"]
        if self.threshold is not None and reading > self.threshold:
            told = f"the alarm {DEFAULT} read {reading:.4g} at step {step}, above {self.threshold:.4g}"
            raise StopTraining(f"{told}; what gold did, it cannot know", self.readings(step))

    def readings(self, step: int) -> Metrics:
        """What was read at this step; empty at most steps."""
        return self._read.pop(step, {})


def watched_of(drawn: Scored, component: int, reward: TextReward | None) -> Watched:
    """Completions that were drawn and scored, as alarms see them.

    Args:
      component: place of the watched reward among those of the task.
      reward: whose states are looked at; None leaves them out.

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
        latents=None if reward is None else latents_of(reward, drawn.prompts, drawn.answers),
        groups=np.unique([str(prompt) for prompt in drawn.prompts], return_inverse=True)[1],
    )


def watchable(rewards: Sequence[WeightedReward], settings: RLCommand) -> WeightedReward | None:
    """The reward model that alarms are to watch; None where none are wanted, or none is trained on.

    Raises:
      UserError: what was asked for cannot be watched.
    """
    trained_on = (each for each in rewards if each.weight and isinstance(each.reward, TextReward))
    found = None if settings.alarms == "off" else next(trained_on, None)
    if found is None and (settings.alarms == "all" or settings.alarm_threshold is not None):
        raise UserError(
            "alarms watch a reward model: give one as --reward, and --alarms chi-squared or all, or neither"
        )
    return found
