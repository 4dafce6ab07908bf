"""The stages before RL of the study `gaming` on Go: people's games, a policy that imitates them, what the club says of
boards, reward models. Each is kept in the run folder as soon as it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from foolsgold.environments.go.amateurs import COMMON_TASTE, Club, noise_for_agreement
from foolsgold.environments.go.rules import BLACK
from foolsgold.files import replacing
from foolsgold.labels.board_comparisons import draw_pairs, impressions_for, judge_pairs, pool_boards
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.rewards.go_referees import area_scores
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel
from foolsgold.studies.go_pipeline import amateur_games, policy_games
from foolsgold.studies.progress import Stages
from foolsgold.training import checkpoint
from foolsgold.training.go_reward_model import BoardPairs, RewardModelSettings, fit_reward_model
from foolsgold.training.go_rollouts import GoGames, RawPlayer, draw_prompts, play_games, played_out
from foolsgold.training.imitation import imitate, positions_of_amateurs
from foolsgold.training.rollouts import derived_seed

Raters = Literal["club", "score"]
TASTES = {"held": COMMON_TASTE, "looks": np.array([0.2, 0.1, 0.8, 1.2, 0.6, 0.6, 0.6, 0.6], np.float32)}
"""By name, weights in the order of `environments.go.amateurs.IMPRESSIONS`."""
START_PROMPTS, START_GAMES = 128, 4
"""Games of the base policy against itself, which rewards are scaled and alarms fitted by."""


@dataclass(frozen=True)
class GoPlan:
    """What follows from the size: board, network and data before RL."""

    seed: int
    board: int
    network: NetworkSize
    """Of the policy and of the reward models."""
    amateur_games: int
    policy_games: int
    most_comparisons: int = 0
    """Pairs of boards that the club compares."""
    amateurs: int = 20
    whim: float = 0.1
    imitation_passes: float = 2.0
    agreement: float = 0.7
    """How often a member of the club agrees with the score about two boards that RL may end with; as often as it can
    where that is less."""
    moves: int | None = None
    """After so many a game is left unfinished and its board compared; gold is who wins when the base policy plays on
    for both sides. Games end by themselves where None."""
    evaluated_prompts: int = 64
    """Openings at an evaluation, each with a side to play."""
    taste: Literal["held", "looks"] = "held"
    """What the average member goes by: mostly what a side seems to hold, or mostly what is in danger and how tidy."""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GoPlan:
        return cls(**{**data, "network": NetworkSize(**data["network"])})


@dataclass(frozen=True)
class GoFit:
    """How a reward model comes about."""

    comparisons: int
    first: int
    """Comparison that it starts with."""
    order: int
    """Seed of the order in which comparisons come: what members of an ensemble differ in."""
    raters: Raters

    @property
    def name(self) -> str:
        """Of its file."""
        return f"reward-{self.comparisons}-first-{self.first}-order-{self.order}-{self.raters}"


@dataclass(frozen=True)
class ComparedBoards:
    """K pairs of boards out of a pool of P, and what was said of them."""

    pool: np.ndarray
    """uint16 `[P, ROWS, S]`"""
    a: np.ndarray
    """int64 `[K]`, rows of the pool"""
    b: np.ndarray
    color: np.ndarray
    """int8 `[K]`, the side that is judged"""
    club: np.ndarray
    """bool `[K]`, whether the club prefers a"""
    score: np.ndarray
    """bool `[K]`, whether a has the larger area for that side; what the club says where both have the same"""

    def pairs(self, first: int, count: int, raters: Raters) -> BoardPairs:
        """`count` of the comparisons from `first` on."""
        said = self.club if raters == "club" else self.score
        return BoardPairs(self.pool, self.a, self.b, self.color, said).rows(slice(first, first + count))


class GoPipeline:
    """The stages of one run, each made when it is first asked for."""

    def __init__(self, plan: GoPlan, folder: Path, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        founded = Club.founded(plan.amateurs, plan.seed)
        self.club = Club(founded.tastes * (TASTES[plan.taste] / COMMON_TASTE), founded.noise)

    @cached_property
    def base(self) -> GoNetwork:
        """Supervised finetuning: imitates the club's games."""
        plan, path = self.plan, self.folder / "models" / "base.safetensors"
        torch.manual_seed(plan.seed)
        network = GoNetwork(plan.network)
        if not path.exists():
            positions = positions_of_amateurs(self._amateur_games, plan.seed)
            with self.stages.stage("base policy imitates people", None) as tick:
                report = lambda step, steps, _: tick(step, steps)  # noqa: E731
                fitted = imitate(network, positions, plan.imitation_passes, plan.seed, report=report)
            _save(path, fitted)
        network.load_state_dict(checkpoint.load(path)[0])
        return network

    @cached_property
    def _amateur_games(self) -> list[Any]:
        plan = self.plan
        with self.stages.stage("amateurs play", plan.amateur_games) as tick:
            return amateur_games(self.club, plan.board, plan.amateur_games, plan.whim, plan.seed, tick)

    @cached_property
    def start(self) -> GoGames:
        """Games of the base policy against itself, from prompts of their own."""
        return self.games(self.base, START_PROMPTS, START_GAMES, derived_seed(self.plan.seed, 70))

    def games(self, policy: GoNetwork, prompts: int, each: int, seed: int) -> GoGames:
        """Games of a policy against the base policy; the same seed gives the same prompts and dice."""
        size, width = self.plan.board, prompts // 2 * each
        base = RawPlayer(self.base, size, width)
        player = base if policy is self.base else RawPlayer(policy, size, width)
        return play_games(player, base, draw_prompts(size, prompts, seed), each, seed, moves=self.plan.moves)

    def ended(self, games: GoGames) -> GoGames:
        """The games played to their end, where they were left unfinished: what gold is measured on."""
        if self.plan.moves is None:
            return games
        base = RawPlayer(self.base, self.plan.board, min(len(games.color), 256))
        return played_out(games, base, derived_seed(self.plan.seed, 79))

    @cached_property
    def compared(self) -> ComparedBoards:
        """Boards of people's and the base policy's games, compared by the club and by the score."""
        path = self.folder / "compared.npz"
        if not path.exists():
            found = self._compare()
            with replacing(path) as part:
                np.savez(part, **{each.name: getattr(found, each.name) for each in fields(found)})
        with np.load(path) as stored:
            return ComparedBoards(**stored)

    def _compare(self) -> ComparedBoards:
        plan = self.plan
        with self.stages.stage("base policy plays", plan.policy_games) as tick:
            own = policy_games(self.base, plan.board, plan.policy_games, plan.seed, tick)
        pool = pool_boards({"amateurs": [game.boards for game in self._amateur_games], "base policy": own})
        with self.stages.stage(f"people compare {plan.most_comparisons:,} pairs", None):
            a, b = draw_pairs(pool, plan.most_comparisons, plan.seed + 1)
            said = judge_pairs(self.tuned_club, pool, a, b, plan.seed + 1)
        area = area_scores(pool.states)[0]
        lead = np.where(said.color == BLACK, 1, -1) * (area[a] - area[b])
        score = np.where(lead == 0, said.prefers_a, lead > 0)
        return ComparedBoards(pool.states, a, b, said.color, said.prefers_a, score)

    @cached_property
    def tuned_club(self) -> Club:
        """The club, so noisy that a member agrees with the score of finished boards as often as planned."""
        pool, a, b, better = self._finished_pairs()
        color = np.full(len(a), BLACK)
        seen = impressions_for(pool[a], color), impressions_for(pool[b], color)
        noise, _ = noise_for_agreement(self.club, *seen, better, self.plan.agreement, self.plan.seed)
        return Club(self.club.tastes, noise)

    def _finished_pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Last boards of the base policy's games, rows a and b of pairs whose games end with other areas, and whether
        a's is Black's."""
        area = area_scores(self.ended(self.start).final)[0]
        a, b = np.random.default_rng([self.plan.seed, 72]).integers(0, len(area), (2, 2000))
        differ = area[a] != area[b]
        return self.start.final, a[differ], b[differ], (area[a] > area[b])[differ]

    def fitted(self, fit: GoFit) -> GoRewardModel:
        """A reward model of what the club said, or of what the score says of the same boards."""
        path = self.folder / "models" / f"{fit.name}.safetensors"
        if not path.exists():
            _save(path, self.fit(self.compared.pairs(fit.first, fit.comparisons, fit.raters), fit.order))
        return self.load(path)

    def load(self, path: Path) -> GoRewardModel:
        model = self._new_model()
        model.load_state_dict(checkpoint.load(path)[0])
        return model

    def _new_model(self) -> GoRewardModel:
        """All begin with the same weights, head included."""
        torch.manual_seed(self.plan.seed + 1)
        return GoRewardModel(self.plan.network)

    def fit(self, pairs: BoardPairs, order: int) -> GoRewardModel:
        """A reward model of any comparisons: few are seen many times, many twice."""
        batch = min(128, max(1, len(pairs) // 2))
        steps = max(100, 2 * len(pairs) // batch)
        # The mean of about the last fifth of the steps.
        settings = RewardModelSettings(batch, passes=steps * batch / len(pairs), average=1 - 5 / steps)
        return fit_reward_model(self._new_model(), pairs, settings, derived_seed(self.plan.seed, 73, order))

    def accuracy(self, model: GoRewardModel) -> np.ndarray:
        """Whether `model` prefers, of two last boards, the one whose game ends with the larger area: bool `[K]`."""
        pool, a, b, better = self._finished_pairs()
        margin = GoReward(model, self.plan.board).margin(pool)
        return (margin[a] > margin[b]) == better


class StandardMargin:
    """A reward for a side in standard deviations of what the start's final boards get, from their mean."""

    def __init__(self, reward: Callable[[np.ndarray, np.ndarray], np.ndarray], start: GoGames):
        self.reward = reward
        scores = reward(start.final, start.color)
        self.mean, self.deviation = float(scores.mean()), float(scores.std())

    def __call__(self, states: np.ndarray, color: np.ndarray) -> np.ndarray:
        """float64 `[K]`; as `rewards.go_ensembles.SidedReward`."""
        return (self.reward(states, color) - self.mean) / self.deviation


def _save(path: Path, model: torch.nn.Module) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(path, model.state_dict(), {})
