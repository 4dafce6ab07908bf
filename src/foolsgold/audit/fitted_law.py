"""The law of over-optimization fitted to a measured curve: its peak, whether it fits, whether it foretells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foolsgold.audit.figures import below
from foolsgold.audit.gold_curve import GoldCurve, over_prompts
from foolsgold.audit.verdict import Figure
from foolsgold.objectives.goodness_of_fit import Extrapolation, LackOfFit, extrapolation, lack_of_fit
from foolsgold.objectives.overoptimization import Fit, ResampledFits, fit_law, resample_fits
from foolsgold.objectives.peak import PeakInterval, peak_interval

FEWEST_POINTS = 3
"""Different KL above 0: one more than the law has unknowns, so that it can be seen not to fit."""
FARTHEST = 100
"""Times the largest measured KL, beyond which a peak is as good as none and shown as infinite."""
START_KL = 0.01
"""The first point counts as the start up to this share of the largest KL."""


@dataclass(frozen=True)
class FittedLaw:
    """A law fitted to the gold gained since the first point of a curve, resampled over prompts."""

    kl: np.ndarray
    """`[K']`, of the points it was fitted to, nats."""
    prompts: int
    left_out: int
    """Points at the end that it was not fitted to, see `_before_floor`."""
    fit: Fit
    resampled: ResampledFits
    peak: PeakInterval
    misfit: LackOfFit
    forecast: Extrapolation | None
    """Fitted to the first half of the way, held against the rest; None where too few points lie in the first half."""

    @property
    def fits(self) -> bool:
        return self.misfit.fits

    @property
    def reading(self) -> str:
        """How well it fits, in short."""
        p = self.misfit.p_value
        chance = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
        left = f", without the last {self.left_out} points" if self.left_out else ""
        return f"R² {self.misfit.r_squared:.2f}, lack of fit {chance}{left}"

    @property
    def peak_figure(self) -> Figure:
        """KL of the peak with Fieller's interval; 0 where the law falls from the start on, to turn up, if ever, beyond
        what was measured."""
        if not math.isfinite(self.peak.peak) and (self.fit.gold(self.kl[self.kl > 0]) < 0).all():
            note = "by the law gold falls from the start, as far as was measured"
            return Figure("KL at the law's peak", 0.0, None, None, self.prompts, "nats", note)
        kind = {
            "bounded": "the law's peak lies within",
            "at least": "gold rises up to the lower end by the law; it may never turn",
            "never": "by the law gold never turns",
            "unknown": "where the law turns cannot be told",
        }[self.peak.kind]
        beyond = (
            "; beyond what was measured" if math.isfinite(self.peak.peak) and self.peak.peak > self.kl.max() else ""
        )
        ends = (self.peak.peak, min(self.peak.low, self.peak.peak), max(self.peak.high, self.peak.peak))
        value, low, high = (kl if kl <= FARTHEST * self.kl.max() else math.inf for kl in ends)
        if low == math.inf:  # so are all three, and an interval tells nothing
            return Figure("KL at the law's peak", value, None, None, self.prompts, "nats", f"far away, if ever; {kind}")
        return Figure("KL at the law's peak", value, low, high, self.prompts, "nats", kind + beyond)

    @property
    def figures(self) -> list[Figure]:
        """For the report; coefficients and peak only of a law that fits."""
        told = [
            Figure("R²", self.misfit.r_squared, None, None, self.prompts, note=f"{self._verdict}: {self.reading}"),
        ]
        if not self.fits:
            return told
        told += [
            Figure("a", self.fit.a, *self.resampled.a_interval, self.prompts),
            Figure("b", self.fit.b, *self.resampled.b_interval, self.prompts),
            self.peak_figure,
        ]
        if self.forecast is not None:
            note = f"fitted up to {self.forecast.fitted_kl:.3g} nats, at {self.forecast.kl.max():.3g} nats; " + (
                "0 would be a true forecast" if self.forecast.holds else "the forecast is clearly wrong"
            )
            error = self.forecast.error_interval
            told.append(Figure("forecast less measured gold", self.forecast.error, *error, self.prompts, note=note))
        return told

    @property
    def _verdict(self) -> str:
        return "the law fits" if self.fits else "the law does not fit"


def fit_law_of(curve: GoldCurve) -> FittedLaw | str:
    """The curve's law, or why none can be fitted.

    KL that is estimated below 0 counts as 0.
    """
    kl = np.maximum(curve.kl, 0)
    error = 0.0 if curve.kl_error is None or np.isnan(curve.kl_error[0]) else float(curve.kl_error[0])
    if curve.prompts < 2:
        return "one prompt does not tell the noise"
    if kl[0] > max(START_KL * kl.max(), 2 * error):
        return f"the first point lies {kl[0]:.2g} nats from the policy it all began with, whose gold is not known"
    kept = _before_floor(curve)
    kl, gained = kl[:kept], (curve.gold - curve.gold[:, :1])[:, :kept]
    kl[0] = 0.0
    if len(np.unique(kl[kl > 0])) < FEWEST_POINTS:
        return f"it takes points at {FEWEST_POINTS} different KL above 0, and there are {len(np.unique(kl[kl > 0]))}"
    if np.ptp(gained) == 0:
        return "gold never changes"
    try:
        forecast = extrapolation(curve.law, kl, gained)
    except ValueError:  # too few points within the first half of the way
        forecast = None
    return FittedLaw(
        kl,
        curve.prompts,
        len(curve.at) - kept,
        fit_law(curve.law, kl, gained.mean(0)),
        resample_fits(curve.law, kl, gained, seed=curve.seed),
        peak_interval(curve.law, kl, gained),
        lack_of_fit(curve.law, kl, gained),
        forecast,
    )


def _before_floor(curve: GoldCurve) -> int:
    """How many points the law is fitted to: up to the first at which half of the way to gold's lowest is fallen.

    Only where that lowest is clearly below the start. Gold often has a floor, such as a score of 0, which the law knows
    nothing of; the way from the start to the floor needs no knowledge of gold's scale. Where gold falls to 0, it ends
    at half of the start's gold. A law without a floor is fitted as well by the points before.
    """
    mean = curve.gold.mean(0)
    lowest = int(mean.argmin())
    if not below(over_prompts("", curve.gold[:, lowest] - curve.gold[:, 0]), 0):
        return len(mean)
    halfway = int(np.argmax(mean <= (mean[0] + mean[lowest]) / 2))
    return min(max(halfway + 1, FEWEST_POINTS + 1), len(mean))
