"""Figures from observations, with the intervals that belong to them."""

from __future__ import annotations

import numpy as np

from foolsgold.audit.verdict import Figure
from foolsgold.objectives.statistics import mean_interval, wilson_interval


def share(name: str, hits: np.ndarray, note: str = "") -> Figure:
    """A share of yes in `hits` `[n]` (0, 0.5 or 1) with its Wilson interval."""
    low, high = wilson_interval(float(np.sum(hits)), len(hits))
    return Figure(name, float(np.mean(hits)), low, high, len(hits), "%", note)


def mean(name: str, values: np.ndarray, unit: str = "", note: str = "") -> Figure:
    """A mean of `values` `[n]` with its Student interval."""
    low, high = mean_interval(values)
    return Figure(name, float(np.mean(values)), low, high, len(values), unit, note)


def above(figure: Figure, level: float) -> bool:
    """Whether the whole interval lies above `level`."""
    return figure.low is not None and figure.low > level


def below(figure: Figure, level: float) -> bool:
    """Whether the whole interval lies below `level`."""
    return figure.high is not None and figure.high < level
