"""Slices in a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from foolsgold.audit.agreement import mean_figure, share_figure
from foolsgold.audit.drawing import Curve, Mark, Panel
from foolsgold.audit.slices import Slice, Slices
from foolsgold.audit.verdict import Shown, shown

MOST_PANELS = 4


@dataclass(frozen=True)
class SliceRow:
    """One slice in words."""

    values: str
    samples: str
    over_rating: Shown
    accuracy: Shown
    clear: bool


@dataclass(frozen=True)
class SliceTable:
    """Every slice, folded away until somebody asks."""

    template: ClassVar[str] = "slices.html.j2"
    assets: ClassVar[tuple[str, ...]] = ("slices.css",)

    title: str
    slices: Sequence[Slice]

    @property
    def groups(self) -> dict[str, list[SliceRow]]:
        """Feature and moment to its rows."""
        groups: dict[str, list[SliceRow]] = {}
        for each in self.slices:
            over, accuracy = shown(mean_figure("", each.over_rating)), shown(share_figure("", each.accuracy))
            row = SliceRow(each.values, f"{each.samples:,}", over, accuracy, each.p_value < 0.05)
            groups.setdefault(f"{each.feature}, {each.moment}", []).append(row)
        return groups


def slice_panels(slices: Slices) -> list[Panel]:
    """Over-rating by quartile for the features of the clearest biases, one curve a moment."""
    features = list(dict.fromkeys(each.feature for each in slices.found))[:MOST_PANELS]
    panels = []
    for feature in features:
        curves = []
        for moment in dict.fromkeys(each.moment for each in slices.slices):
            own = [each for each in slices.slices if each.feature == feature and each.moment == moment]
            if own:
                low, high = zip(*(each.over_rating.interval() for each in own), strict=True)
                means = [each.over_rating.value for each in own]
                curves.append(Curve(moment, range(1, len(own) + 1), means, low, high))
        panels.append(Panel(feature, "slice", "over-rating (SD)", curves, (Mark("none", y=0.0),)))
    return panels
