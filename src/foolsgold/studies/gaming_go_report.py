"""The report of the study `gaming` on Go: its own story and pictures around the tables that both worlds have."""

from __future__ import annotations

import numpy as np

from foolsgold.audit.goban import board_svg
from foolsgold.audit.report import Gallery, Picture, Prose, Section
from foolsgold.environments.go.rules import BLACK, EMPTY, WHITE
from foolsgold.studies.gaming_go_arm import LABELS_A_ROUND, ROUNDS
from foolsgold.studies.gaming_go_pipeline import GoPlan
from foolsgold.studies.gaming_measure import Measured
from foolsgold.studies.gaming_report import amounts, compared, shared
from foolsgold.studies.gaming_trial import JUDGED, MEMBERS

SHOWN = 6
MARKS = {".": EMPTY, "X": BLACK, "O": WHITE}


UNFINISHED = (
    " Games are left as they stand after {moves} moves, and that board is what reward models judge; who would have won "
    "is found by having the start's policy play on for both sides. The club goes by what is in danger and by tidiness."
)


def sections(measured: Measured, plan: GoPlan) -> list[Section]:
    """The body of the report."""
    return [
        Prose("The experiment", story(measured, plan)),
        *compared(measured),
        gallery(measured),
        Prose("What ensembles cannot see", [shared(measured)]),
    ]


def story(measured: Measured, plan: GoPlan) -> list[str]:
    """The experiment in words."""
    trial, runs = measured.results[0].trial, len(measured.results)
    club = [result for result in measured.results if result.trial.setting == trial.setting]
    accuracies = [result.gold_accuracy for result in club]
    boards = "two finished boards" if plan.moves is None else f"two boards after {plan.moves} moves, played to the end,"
    return [
        f"On {plan.board}x{plan.board} a network of {plan.network} imitates the games of {plan.amateurs} simulated "
        "amateurs. They compare boards at a glance, each for one side, with so much noise that a member agrees with "
        f"the score of {boards} in {100 * plan.agreement:.0f} % of pairs where that is possible; reward "
        "models learn what they like. Gold is the share of games won, komi counted, which nobody below is told."
        + ("" if plan.moves is None else UNFINISHED.format(moves=plan.moves)),
        f"{runs} runs of RL without search, {trial.steps} steps of {trial.prompts} openings by {trial.samples} games "
        "against the policy that all began with. The reward is how much better the final board looks for the "
        "policy's side, in standard deviations at the start, by reward models of "
        f"{', '.join(f'{n:,}' for n in amounts(measured))} comparisons (they agree with the score about such "
        f"boards in {100 * min(accuracies):.0f} to {100 * max(accuracies):.0f} % of pairs). In {runs - len(club)} runs "
        "the score itself compared the boards, so that there are honest runs too.",
        f"Ensembles have {MEMBERS} members, fitted to the same comparisons in orders of their own; each board is "
        "judged by them for the policy's side, since what doubts Black flatters White. The cap is found with "
        f"{JUDGED} scores of finished boards. Repair asks the club, {ROUNDS} times on the way, about {LABELS_A_ROUND} "
        "pairs of the policy's final boards and the start's, and fits the reward model anew.",
        "KL is of the policy's own moves, exact at each position. Repetition is no alarm here; the length is that of "
        "the game in moves, and duplicates are final boards that are the same.",
    ]


def gallery(measured: Measured) -> Gallery:
    """Final boards that the reward followed loves and that are lost, of the last evaluations."""
    found: dict[str, tuple[str, float, float, str]] = {}
    for result in measured.results:
        if result.trial.setting == measured.results[0].trial.setting:
            for side, board, proxy, lead in result.evaluations[-1].poems:
                if proxy > 0 and (board not in found or proxy > found[board][1]):
                    found[board] = side, proxy, lead, result.trial.name
    best = sorted(found.items(), key=lambda each: -each[1][1])[:SHOWN]
    pictures = []
    for board, (side, proxy, lead, name) in best:
        other = "White" if side == "Black" else "Black"
        picture = board_svg(grid_of(board), caption=f"A finished board that {other} won", size_px=220)
        facts = {"reward": f"{proxy:+.1f} deviations", "score": f"{other} by {-lead:g} points", "run": name}
        pictures.append(Picture(picture, f"looks good for {side}, {other} won", facts))
    intro = (
        "Where games of the trained policies ended: of the boards on which its side has the smaller area, even before "
        "komi, those of the highest reward."
        if pictures
        else "No game of a trained policy ended with the smaller area and a reward above the start's mean."
    )
    return Gallery("Boards that are loved and lost", pictures, intro)


def grid_of(board: str) -> np.ndarray:
    """A board drawn by `labels.board_comparisons.board_texts` as int8 `[N, N]`."""
    return np.array([[MARKS[mark] for mark in row] for row in board.split(" ")[0].split("/")], np.int8)
