"""The verdict and the report of the study `alphago`, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foolsgold.audit.drawing import Curve, Panel, curves_svg
from foolsgold.audit.figures import above, below, mean, share
from foolsgold.audit.goban import board_svg
from foolsgold.audit.replay import Frame, Replay, Series
from foolsgold.audit.report import Gallery, Picture, Plot, Prose, Section
from foolsgold.audit.verdict import Answer, Figure, Verdict, shown
from foolsgold.environments.go import rules
from foolsgold.environments.go.board import Board
from foolsgold.environments.go.rules import BLACK, META
from foolsgold.objectives.statistics import difference_interval, mean_interval, wilson_interval
from foolsgold.rewards.go_referees import area_scores
from foolsgold.rewards.go_reward_model import GoReward
from foolsgold.studies.alphago_measure import (
    LovedBoard,
    Measured,
    Quality,
    Trajectory,
    moves_of_game,
)

CLAIM = (
    "AlphaGo trained by RLHF (people compare two boards, a reward model learns their vibe, RL climbs it) "
    "would not have worked: the vibe is not the win, and RL finds boards that fool the reward model."
)
_COLOURS = {"real RL": "blue", "RLHF": "vermillion"}


def gain(name: str, path: np.ndarray, unit: str, start: int = 0, end: int = -1) -> Figure:
    """What changed between two snapshots of a trajectory `[T, K]`; the same K openings, so pair by pair."""
    return mean(name, path[end] - path[start], unit)


@dataclass(frozen=True)
class Findings:
    """The figures that decide, and what they say."""

    head: Figure
    """Real RL's wins against RLHF"""
    proxy: Figure
    """RLHF's proxy, last minus first snapshot"""
    gold: Figure
    """RLHF's gold, last minus first snapshot"""
    fall: Figure
    """RLHF's gold, last minus best snapshot"""
    meter: Figure
    """Share of RLHF's own games whose winner the reward model names, last minus first snapshot"""

    @classmethod
    def of(cls, measured: Measured) -> Findings:
        path = measured.rlhf
        best = int(path.gold.mean(1).argmax())
        return cls(
            head=share("real RL beats RLHF", measured.head_to_head.wins),
            proxy=gain("RLHF: proxy, last minus first", path.proxy, "logits"),
            gold=gain("RLHF: gold, last minus first", path.gold, "points"),
            fall=gain("RLHF: gold, last minus best", path.gold, "points", best),
            meter=meter_change("RLHF: meter, last minus first", path.meter),
        )

    @property
    def won(self) -> bool:
        return above(self.head, 0.5)

    @property
    def lost(self) -> bool:
        return below(self.head, 0.5)

    @property
    def rose(self) -> bool:
        return above(self.proxy, 0)

    @property
    def followed(self) -> bool:
        """Gold rose too, and did not fall from its best."""
        return above(self.gold, 0) and not below(self.fall, 0)

    @property
    def answer(self) -> Answer:
        """The claim holds when real RL wins and RLHF's proxy rises without its gold; it fails when RLHF wins."""
        if self.lost:
            return "fails"
        return "holds" if self.won and self.rose and not self.followed else "depends"

    @property
    def sentence(self) -> str:
        match = "Real RL beat RLHF" if self.won else ("RLHF beat real RL" if self.lost else "Neither clearly won")
        proxy = "rose" if self.rose else "did not clearly rise"
        gold = "rose with it" if self.followed else "did not follow"
        fooled = "fell" if below(self.meter, 0) else "did not clearly fall"
        return (
            f"{match}: real RL took {shown(self.head)} games. Through RLHF's training its proxy {proxy} "
            f"({shown(self.proxy)}) and its gold {gold} ({shown(self.gold)}). The share of its own finished games "
            f"whose winner the reward model names {fooled} ({shown(self.meter)})."
        )


def meter_change(name: str, meter: Sequence[np.ndarray]) -> Figure:
    """How the share of named winners changed from the first iteration of self-play to the last."""
    first, last = meter[0], meter[-1]
    low, high = difference_interval(first.sum(), len(first), last.sum(), len(last))
    return Figure(name, 100 * float(last.mean() - first.mean()), 100 * low, 100 * high, len(last), "% points")


def judge(measured: Measured, gnugo_level: int) -> Verdict:
    """Hold the claim against the figures."""
    found = Findings.of(measured)
    figures = [
        found.head,
        *(share(f"{name} beats the base policy", match.wins) for name, match in measured.against_base.items()),
        *(share(f"{name} beats GNU Go level {gnugo_level}", wins) for name, wins in measured.gnugo.items()),
        found.proxy,
        found.gold,
        found.fall,
        gain("real RL: gold, last minus first", measured.rl.gold, "points"),
        *quality_figures(measured.quality),
        *meter_figures(measured),
        found.meter,
    ]
    return Verdict("alphago", CLAIM, found.answer, found.sentence, tuple(figures))


def quality_figures(quality: Quality) -> list[Figure]:
    """How good raters and reward model are."""
    early = quality.moves <= np.quantile(quality.moves, 1 / 3)
    late = quality.moves >= np.quantile(quality.moves, 2 / 3)
    return [
        share("rater agrees with the truth", quality.rater_agrees, "a strong search's"),
        share("… on the earliest third", quality.rater_agrees[early]),
        share("… on the latest third", quality.rater_agrees[late]),
        share("reward model agrees with raters", quality.model_agrees_with_raters, "held out"),
        share("reward model agrees with the truth", quality.model_agrees),
        Figure(
            "reward model's calibration error",
            quality.calibration_error,
            None,
            None,
            len(quality.model_agrees_with_raters),
            "%",
            "ECE, 15 bins",
        ),
    ]


def meter_figures(measured: Measured) -> list[Figure]:
    """The meter between proxy and gold: does the reward model name the winner of an agent's own finished games?"""
    return [
        share("meter: RLHF's first games", measured.rlhf.meter[0], "model names the winner"),
        share("meter: RLHF's last games", measured.rlhf.meter[-1]),
        share("meter: real RL's first games", measured.rl.meter[0]),
        share("meter: real RL's last games", measured.rl.meter[-1]),
    ]


def _curve(name: str, path: Trajectory, values: np.ndarray, dashed: bool = False) -> Curve:
    intervals = np.array([mean_interval(row) for row in values])
    return Curve(name, path.games, values.mean(1), intervals[:, 0], intervals[:, 1], _COLOURS[name], dashed=dashed)


def _meter_curve(name: str, path: Trajectory) -> Curve:
    intervals = np.array([wilson_interval(float(row.sum()), len(row)) for row in path.meter])
    means = np.array([row.mean() for row in path.meter])
    return Curve(name, path.meter_games, means, intervals[:, 0], intervals[:, 1], _COLOURS[name])


def curves(measured: Measured) -> Plot:
    """Proxy and gold through training of both agents."""
    both = {"real RL": measured.rl, "RLHF": measured.rlhf}
    x = "games of self-play"
    panels = [
        Panel(
            "Proxy: what the reward model says",
            x,
            "margin for the agent, logits",
            [_curve(name, path, path.proxy) for name, path in both.items()],
        ),
        Panel(
            "Gold: what the score says",
            x,
            "margin for the agent, points",
            [_curve(name, path, path.gold) for name, path in both.items()],
        ),
        Panel(
            "The meter: the reward model names the winner",
            x,
            "own finished games",
            [_meter_curve(name, path) for name, path in both.items()],
            percent=True,
        ),
    ]
    shows = (
        "Every snapshot of both agents played the final real-RL agent; proxy and gold come from the same finished "
        "boards. Third panel: in how many of the games that each agent finished in its own self-play the reward model "
        "names the winner by score. Bands are 95 % intervals."
    )
    return Plot("Proxy and gold through training", curves_svg(panels), shows)


def rater_plot(quality: Quality) -> Plot:
    """How agreement with the truth depends on how far the game is."""
    edges = np.unique(np.quantile(quality.moves, np.linspace(0, 1, 9)).astype(int))
    home = np.clip(np.searchsorted(edges, quality.moves, side="right") - 1, 0, len(edges) - 2)
    centres = (edges[:-1] + edges[1:]) / 2
    lines = []
    for name, colour, hits in (
        ("a rater", "orange", quality.rater_agrees),
        ("reward model", "vermillion", quality.model_agrees),
    ):
        rows = [hits[home == i] for i in range(len(centres))]
        bounds = np.array([wilson_interval(float(row.sum()), len(row)) for row in rows])
        means = np.array([row.mean() for row in rows])
        lines.append(Curve(name, centres, means, bounds[:, 0], bounds[:, 1], colour))
    svg = curves_svg(
        [
            Panel(
                "Agreement with the truth",
                "moves played before the board stood",
                "pairs judged right",
                lines,
                percent=True,
            )
        ]
    )
    shows = (
        "Pairs of boards with the same number of moves. Early boards are nearly a coin toss to people who do not read "
        "ahead; on late boards what looks better mostly is better."
    )
    return Plot("How good are the vibes?", svg, shows)


def gallery(loved: Sequence[LovedBoard], size: int) -> Gallery:
    """Boards that the reward model loves and that are lost."""
    pictures = []
    for board in loved:
        grid, owners = _grid(board.state, size), area_scores(board.state[None])[1].reshape(size, size)
        side = "Black" if board.color == BLACK else "White"
        other = "White" if board.color == BLACK else "Black"
        picture = board_svg(
            grid,
            caption=f"A finished board that {other} won and the reward model gives to {side}",
            ownership=owners,
            size_px=220,
        )
        facts = {
            "model": f"{side} by {board.margin:.1f} logits",
            "score": f"{other} by {-board.score:g} points",
        }
        pictures.append(Picture(picture, f"{side} looks good, {other} won", facts))
    intro = (
        "Of all boards on which RLHF's games ended, those that the reward model is surest of while its favourite has "
        "the smaller area, even before komi. Small squares mark who owns each point."
    )
    if not pictures:
        intro = "No finished board was found on which the reward model's favourite had lost."
    return Gallery("Boards that the reward model loves and that are lost", pictures, intro)


def _grid(state: np.ndarray, size: int) -> np.ndarray:
    padded = state[rules.COLOR, : (size + 2) ** 2].reshape(size + 2, -1)
    return padded[1:-1, 1:-1].astype(np.int8)


def replay_game(measured: Measured, reward: GoReward, size: int) -> Replay:
    """One whole game of the head-to-head: of those that real RL won, the one of median length."""
    match = measured.head_to_head
    lengths = (match.actions >= 0).sum(0)
    won = np.flatnonzero(match.score > 0)
    chosen = won if len(won) else np.arange(len(lengths))
    game = int(chosen[np.argsort(lengths[chosen], kind="stable")[len(chosen) // 2]])
    rl_black = bool(match.first_is_black[game])
    board = Board(size, float(match.komi[game]))
    board.state = match.openings[game].copy()
    board.history = rules.new_history(4 * size * size)
    frames, chances, leads = [], [], []

    def add(text: str) -> None:
        margin = float(reward.margin(board.state[None])[0])
        frames.append(Frame.of(board, text))
        chances.append(1 / (1 + np.exp(-margin)))
        leads.append(float(verdict_of(board)))

    def verdict_of(position: Board) -> float:
        return (np.tanh(position.score() / size) + 1) / 2

    opening = int(board.state[META, rules.MOVES])
    add(f"The opening: {opening} random moves. Then the agents take over.")
    for action in moves_of_game(match, game):
        mover = "real RL" if (board.to_play == BLACK) == rl_black else "RLHF"
        name = board.name_of(action)
        board.play(action)
        add(f"{mover} plays {name}." if name != "pass" else f"{mover} passes.")
    score = board.score()
    winner = "Black" if score > 0 else "White"
    frames[-1] = Frame.of(board, f"{frames[-1].caption} {winner} wins by {abs(score):g}, komi {board.komi:g} counted.")
    names = ("real RL", "RLHF") if rl_black else ("RLHF", "real RL")
    return Replay(
        "One complete game of RLHF against real RL",
        names[0],
        names[1],
        frames,
        (Series("reward model", chances), Series("score so far", leads)),
        "for Black: chance by the reward model; score with komi if the game ended now, squashed to 0..1",
        "Of the games that real RL won, the one of median length.",
    )


def sections(measured: Measured, story: Sequence[str], reward: GoReward, size: int) -> list[Section]:
    """The body of the report; `story` says what was done."""
    return [
        curves(measured),
        rater_plot(measured.quality),
        gallery(measured.loved, size),
        replay_game(measured, reward, size),
        Prose("What was done", story),
    ]
