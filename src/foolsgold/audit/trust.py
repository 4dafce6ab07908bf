"""How far a proxy reward can be trusted: everything that follows from the evidence of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foolsgold.audit.agreement import Agreement
from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.audit.fitted_law import FittedLaw, fit_law_of
from foolsgold.audit.gold_curve import GoldCurve, Stop, curve_of_best, curve_of_run
from foolsgold.audit.over_rated import OverRated, most_over_rated
from foolsgold.audit.slices import Slices, look
from foolsgold.audit.text_features import NOVELTY, novelty, text_features
from foolsgold.errors import UserError

START, END = "at the start", "at the end of the run"
KNOWN_TEXTS = 16
"""Of each prompt, against which novelty is measured: more of them take time and tell no more."""


@dataclass(frozen=True)
class Trust:
    """All measures of an audit, each worked out when it is first asked for.

    Raises:
      UserError: all proxy rewards, or all gold rewards, are the same.
    """

    evidence: Evidence
    seed: int = 0

    def __post_init__(self) -> None:
        everyone = [point.samples for point in self.evidence.run]
        if self.evidence.start is not None:
            everyone.append(self.evidence.start)
        for name, values in (
            (self.evidence.proxy_name, np.concatenate([each.proxy.ravel() for each in everyone])),
            (self.evidence.gold_name, np.concatenate([each.gold[each.labelled] for each in everyone])),
        ):
            if np.ptp(values) == 0:
                raise UserError(f"{name} gives every sample the reward {values[0]:g}; there is nothing to compare")

    @property
    def run(self) -> tuple[Checkpoint, ...]:
        return self.evidence.run

    @cached_property
    def best_of_n(self) -> GoldCurve | None:
        """Of the start policy; None without two samples a prompt, or where the proxy likes all equally."""
        start = self.evidence.start
        if start is None or not np.ptp(start.proxy, axis=1).any():
            return None
        return curve_of_best(start, self.seed)

    @cached_property
    def rl(self) -> GoldCurve | None:
        """Along the run; None of fewer than two checkpoints."""
        return curve_of_run(self.run, self.seed) if len(self.run) > 1 else None

    @property
    def curves(self) -> dict[str, GoldCurve]:
        """What was measured of "RL" and "best of n"."""
        both = {"RL": self.rl, "best of n": self.best_of_n}
        return {name: curve for name, curve in both.items() if curve is not None}

    @cached_property
    def laws(self) -> dict[str, FittedLaw | str]:
        """The law of each curve, or why none could be fitted."""
        return {name: fit_law_of(curve) for name, curve in self.curves.items()}

    @property
    def stop(self) -> Stop | None:
        """Where to stop RL, or else at which n; None where neither was measured."""
        return next((curve.stop for curve in self.curves.values()), None)

    @cached_property
    def moments(self) -> dict[str, Samples]:
        """The samples that are looked at closely: of the start, and of the end of the run."""
        start = self.evidence.start if self.evidence.start is not None else self.run[0].samples
        return {START: start} | ({END: self.run[-1].samples} if len(self.run) > 1 else {})

    @cached_property
    def agreement(self) -> Agreement:
        """Of proxy and gold at the start."""
        return Agreement.of(self.moments[START])

    @cached_property
    def agreement_along_run(self) -> tuple[Agreement, ...]:
        """At each checkpoint."""
        return tuple(Agreement.of(each.samples) for each in self.run)

    @property
    def agreement_of_moments(self) -> dict[str, Agreement]:
        """At the start, and at the end of the run."""
        return {START: self.agreement} | ({END: self.agreement_along_run[-1]} if len(self.run) > 1 else {})

    @cached_property
    def slices(self) -> Slices:
        """Where the proxy is wrong, by what texts and columns tell; empty without either."""
        return look([(moment, samples, self._features(samples)) for moment, samples in self.moments.items()])

    @cached_property
    def over_rated(self) -> dict[str, list[OverRated]]:
        """The worst of each moment; ranks at the end count the start's samples too."""
        first, *others = self.moments.items()
        found = {first[0]: most_over_rated(first[1])}
        return found | {moment: most_over_rated(samples, [first[1]]) for moment, samples in others}

    def prompt(self, moment: str, index: int) -> str:
        """The prompt to quote with a sample."""
        prompts = self.evidence.prompts
        known = prompts is not None and len(prompts) == len(self.moments[moment].proxy)
        return prompts[index] if known and prompts is not None else f"prompt {index + 1}"

    def _features(self, samples: Samples) -> dict[str, np.ndarray]:
        found = text_features(samples.texts) if samples.texts is not None else {}
        reference = self.evidence.start
        if reference is None or len(reference.proxy) != len(samples.proxy):
            reference = self.run[0].samples if self.run else None
        if samples.texts is not None and reference is not None and reference.texts is not None:
            found[NOVELTY] = novelty(samples.texts, [row[:KNOWN_TEXTS] for row in reference.texts])
        return found | dict(samples.columns or {})
