"""Learning-rate multipliers: pure functions of the step and the number of steps.

`step` counts from 0 to `steps - 1`. Warm-up and decay are shares of the run, so nothing else changes when a run is
made longer. The first step already learns, and so does the last: decay would end at `steps`, one past it.
"""

from __future__ import annotations

import math


def constant(step: int, steps: int) -> float:
    """1 throughout."""
    return 1.0


def linear(step: int, steps: int, warmup: float = 0.0, final: float = 0.0) -> float:
    """Up in a straight line for the share `warmup` of the run, then down in another to `final`."""
    ramp, progress = _phases(step, steps, warmup)
    return ramp * (1 - (1 - final) * progress)


def cosine(step: int, steps: int, warmup: float = 0.0, final: float = 0.0) -> float:
    """Up in a straight line for the share `warmup` of the run, then down half a cosine to `final`.

    Source: Loshchilov and Hutter 2017, equation 5, without restarts.
    """
    ramp, progress = _phases(step, steps, warmup)
    return ramp * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))


def warmup_stable_decay(step: int, steps: int, warmup: float = 0.0, decay: float = 0.2, final: float = 0.0) -> float:
    """Up in a straight line, then 1, then for the last share `decay` of the run in a straight line down to `final`.

    A checkpoint of the stable phase can be trained on for any time and cooled down whenever a model is wanted.

    Source: Hu et al. 2024 (MiniCPM); the straight line, Hägele et al. 2024.
    """
    ramp, _ = _phases(step, steps, warmup)
    cooling_steps = max(1.0, decay * steps)
    progress = max(0.0, 1 - (steps - step) / cooling_steps)
    return ramp * (1 - (1 - final) * progress)


def _phases(step: int, steps: int, warmup: float) -> tuple[float, float]:
    """How far warm-up has come and how far what follows it has, both from 0 to 1."""
    warm_steps = round(warmup * steps)
    if step < warm_steps:
        return (step + 1) / warm_steps, 0.0
    return 1.0, (step - warm_steps) / (steps - warm_steps)
