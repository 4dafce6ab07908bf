"""What RL made of three rules, for the report of the study `crowd`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foolsgold.audit.drawing import Curve, Panel
from foolsgold.audit.tables import Comparison, cell
from foolsgold.audit.verdict import Figure
from foolsgold.objectives.statistics import mean_interval
from foolsgold.studies.crowd_arm import RLResult
from foolsgold.studies.crowd_plan import MAIN_KL

SHOWS_RL = (
    "Share of (user, poem) that satisfies against the root of KL, as far as RL came in the same number of steps; bands "
    "are 95 % intervals over prompts."
)


def minority_by_rl(trained: Sequence[RLResult]) -> list[Figure]:
    """The minority's satisfaction by RL on each rule, as far as all arms came."""
    level = shared_kl(trained)
    found = []
    for result in trained:
        values = at_kl(result, level)[-1]
        if values.size:
            name = f"RL on “{result.arm.rule}”: satisfied in the minority at {level:.1f} nats"
            found.append(
                Figure(name, float(values.mean()), *_inside(values), len(values), "%", "over prompts, one draw")
            )
    return found


def shared_kl(trained: Sequence[RLResult]) -> float:
    """Nats that every arm reached."""
    return min((float(result.kl.max()) for result in trained), default=0.0)


def by_rl(trained: Sequence[RLResult]) -> Comparison:
    """What RL made of three rules: at the main KL, as far as all came, and at the end of each."""
    tastes, levels = trained[0].arm.cell.crowd.tastes, (MAIN_KL, shared_kl(trained))
    rows = []
    for result in trained:
        rows.append([
            result.arm.rule,
            *(_mean_cell(each) for level in levels for each in at_kl(result, level)),
            *(_mean_cell(each) for each in result.satisfied[-1]),
            f"{result.kl[-1]:.1f} nats",
            cell(result.evaluations[-1].gold),
        ])  # fmt: skip
    columns = [
        "reward", *(f"{name} at {level:.1f} nats" for level in levels for name in tastes),
        *(f"{name} at the end" for name in tastes),
        "KL at the end", "gold at the end",
    ]  # fmt: skip
    arm = trained[0].arm
    intro = (
        f"{arm.steps} steps of RLOO, {arm.prompts} prompts by {arm.samples} poems, no price on KL, on one draw of the "
        "crowd; satisfied users by taste, with 95 % intervals over prompts. The worst group's reward has the weights "
        f"that are best at {MAIN_KL:g} nat; “satisfied” pays the share of raters whose bar a poem reaches."
    )
    return Comparison("RL on three rules", columns, rows, intro)


def _mean_cell(values: np.ndarray) -> str:
    return cell(float(values.mean()), *_inside(values), "%") if values.size else "–"


def _inside(values: np.ndarray) -> tuple[float, float]:
    """Interval of the mean of shares, within what a share can be."""
    low, high = mean_interval(values)
    return max(low, 0.0), min(high, 1.0)


def at_kl(result: RLResult, level: float) -> np.ndarray:
    """`[G, P]`, when the arm first came to `level` nats, between evaluations by the root of KL; `[G, 0]` if never."""
    root, wanted = np.sqrt(result.kl), level**0.5
    beyond = np.flatnonzero(root >= wanted)
    if not len(beyond) or beyond[0] == 0:
        return np.zeros((result.satisfied.shape[1], 0))
    k = int(beyond[0])
    part = (wanted - root[k - 1]) / (root[k] - root[k - 1])
    return (1 - part) * result.satisfied[k - 1] + part * result.satisfied[k]


def rl_panels(trained: Sequence[RLResult]) -> list[Panel]:
    """Each group's satisfaction along RL."""
    panels = []
    for g, taste in enumerate(trained[0].arm.cell.crowd.tastes):
        found = []
        for result in trained:
            order = np.argsort(result.kl, kind="stable")
            values = result.satisfied[order, g]
            low, high = np.array([mean_interval(each) for each in values]).T
            found.append(Curve(result.arm.rule, np.sqrt(result.kl[order]), values.mean(1), low, high))
        panels.append(Panel(f"users of the taste “{taste}”", "√KL", "satisfied", found, percent=True))
    return panels
