"""One run of the study `gaming` on Go: policy gradient of a policy without search, under a defence.

It plays the policy it starts as, and is paid for how much better its side of the final board looks to reward models;
the score says how many games it wins. A run is a process of its own with one thread, as other arms are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from foolsgold.audit.alarms import Alarms, Watched
from foolsgold.audit.go_latents import board_latents
from foolsgold.environments.go.rules import BLACK, WHITE
from foolsgold.files import replacing
from foolsgold.labels.board_comparisons import BoardPool, board_texts, judge_pairs
from foolsgold.objectives.schedules import constant
from foolsgold.policies.go_network import GoNetwork
from foolsgold.rewards.go_ensembles import GoEnsemble, SidedReward, StartBoards, defended_boards
from foolsgold.rewards.go_referees import area_scores
from foolsgold.rewards.go_reward_model import GoReward, GoRewardModel
from foolsgold.studies.gaming_go_pipeline import GoFit, GoPipeline, GoPlan, Raters, StandardMargin
from foolsgold.studies.gaming_trial import JUDGED, MEMBERS, TrialResult, keep_watched, watched_so_far
from foolsgold.studies.poem_arm import Evaluation, ticking
from foolsgold.studies.progress import Stages
from foolsgold.training import checkpoint
from foolsgold.training.go_policy_gradient import GoPolicyGradientSettings, train_go_policy
from foolsgold.training.go_reward_model import BoardPairs
from foolsgold.training.go_rollouts import GoGames
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import LoopSettings, Metrics
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.rollouts import derived_seed

GoDefence = Literal["none", "mean", "worst", "uncertainty", "warm", "capped", "kl", "repair"]
GAMES_EACH = 4
"""Games of each opening and colour at an evaluation."""
ROUNDS, LABELS_A_ROUND = 3, 100
"""Of repair: it asks for so many more comparisons, on the way."""
EXHIBITS = 6


@dataclass(frozen=True)
class GoTrial:
    """What sets a run apart."""

    name: str
    defence: GoDefence
    comparisons: int
    steps: int
    evaluate_every: int
    raters: Raters = "club"
    """The score as a rater makes an honest reward model."""
    price: float = 0.0
    """Of the defence kl: a nat, in standard deviations of the proxy."""
    seed: int = 0
    """Also which comparisons are read."""
    prompts: int = 16
    samples: int = 8
    """Games of each."""
    learning_rate: float = 3e-4

    @property
    def group(self) -> str:
        """Runs of one group follow reward models fitted to the same comparisons."""
        return f"{self.raters}-{self.comparisons}-{self.seed}"

    @property
    def setting(self) -> str:
        """Defences are compared on runs of one setting, that of the first run."""
        return self.raters

    @property
    def fits(self) -> list[GoFit]:
        """The members, the first alone being what no defence follows."""
        first = self.seed * self.comparisons
        return [GoFit(self.comparisons, first, 100 * self.seed + member, self.raters) for member in range(MEMBERS)]


def fit_go_reward_model(plan: GoPlan, fit: GoFit, folder: Path) -> None:
    """Fit a reward model where it is not there yet; called in a process of its own."""
    torch.set_num_threads(1)
    with Stages(quiet=True) as stages:
        GoPipeline(plan, folder, stages).fitted(fit)


def run_go_trial(plan: GoPlan, trial: GoTrial, folder: Path, created: datetime) -> Path:
    """Run or resume a trial of the run in `folder`; returns where its result lies. Nothing in it is of its time."""
    torch.set_num_threads(1)
    here = folder / "arms" / trial.name
    result = here / "result.json"
    if not result.exists():
        tick = ticking(here)("RL")
        with Stages(quiet=True) as stages:
            _GoTrial(GoPipeline(plan, folder, stages), trial, here, tick).run().write(result)
    return result


class _GoTrial:
    """A trial at work."""

    def __init__(self, pipeline: GoPipeline, trial: GoTrial, here: Path, tick: Callable[[int, int], None]):
        self.pipeline, self.trial, self.here, self.tick = pipeline, trial, here, tick
        self.models = [pipeline.fitted(fit) for fit in trial.fits]
        self.members = GoEnsemble([GoReward(model, pipeline.plan.board) for model in self.models])
        self.first = self._standard(GoEnsemble(self.members.members[:1]))
        start = self._watched(pipeline.start)
        self.alarms = Alarms.of(start, pipeline.plan.evaluated_prompts * GAMES_EACH, seed=pipeline.plan.seed)

    def run(self) -> TrialResult:
        trial = self.trial
        if trial.defence == "repair":
            labels = self._repair()
        else:
            self._reinforce(self._standard(self._defended()), 0, trial.steps, self.here / "policy")
            labels = JUDGED if trial.defence == "capped" else 0
        right = self.pipeline.accuracy(self.models[0])
        return TrialResult(trial, *watched_so_far(self.here), labels, float(right.mean()), len(right))

    def _standard(self, reward: SidedReward) -> StandardMargin:
        return StandardMargin(reward, self.pipeline.start)

    def _defended(self) -> SidedReward:
        """What the policy is to follow."""
        start, plan = self.pipeline.start, self.pipeline.plan
        judged = np.random.default_rng([plan.seed, 74]).permutation(len(start.color))[:JUDGED]
        known = np.full(len(start.color), np.nan)
        known[judged] = self.pipeline.ended(start).score[judged]
        which = "none" if self.trial.defence == "kl" else self.trial.defence
        return defended_boards(self.models, which, plan.board, StartBoards(start.final, start.color, known))

    def _reinforce(
        self, reward: StandardMargin, done: int, steps: int, folder: Path, start: GoNetwork | None = None
    ) -> GoNetwork:
        """`steps` more steps of RL after `done`, from the network `start`; returns what became of it."""
        trial, plan = self.trial, self.pipeline.plan
        seed = derived_seed(plan.seed, 75, trial.seed, done)
        settings = GoPolicyGradientSettings(
            plan.board,
            LoopSettings(steps, AdamWSettings(trial.learning_rate), constant, 20, trial.evaluate_every, seed),
            trial.prompts,
            trial.samples,
            kl=KLSettings(in_reward=trial.price),
            moves=plan.moves,
            snapshot_every=steps,
        )

        def evaluate(network: GoNetwork, step: int) -> Metrics:
            if not (done and step == 0):  # measured already, at the end of the steps before
                keep_watched(self.here, *self._evaluation(network, reward, done + step))
            return {}

        return train_go_policy(
            self.pipeline.base,
            lambda games: reward(games.final, games.color),
            settings,
            folder,
            lambda step, metrics: self.tick(done + step, trial.steps),
            evaluate,
            start,
        )

    def _evaluation(self, network: GoNetwork, reward: StandardMargin, step: int) -> tuple[Evaluation, dict[str, float]]:
        # The same dice at every evaluation of every run, so that runs differ in what the policy does alone.
        seed = derived_seed(self.pipeline.plan.seed, 76)
        games = self.pipeline.games(network, self.pipeline.plan.evaluated_prompts, GAMES_EACH, seed)
        scores, ended = reward(games.final, games.color), self.pipeline.ended(games)
        evaluation = Evaluation(
            step=step,
            kl=games.mean_kl.mean,
            gold=games.grouped(ended.won).mean(1).tolist(),
            proxy=games.grouped(scores).mean(1).tolist(),
            poems=exhibits(games, scores, ended),
        )
        readings = self.alarms.read(self._watched(games))
        readings.pop("repetition")  # of words, which boards have none of
        return evaluation, {**readings, "kl": evaluation.kl, "step": float(step)}

    def _watched(self, games: GoGames) -> Watched:
        """As the first reward model and the other members see it, whatever the policy follows."""
        lengths = np.bincount(games.own.game, minlength=len(games.color))
        return Watched(
            proxy=self.first(games.final, games.color),
            lengths=lengths,
            log_probs=np.bincount(games.own.game, games.own.log_probs, len(games.color)) / np.maximum(lengths, 1),
            log_ratios=games.log_ratio,
            members=self.members.margins(games.final, games.color),
            latents=board_latents(self.models[0], games.final, games.color),
            groups=np.arange(len(games.color)) // games.group,
            texts=board_texts(games.final),
        )

    def _repair(self) -> int:
        """RL in equal parts, before each of which but the first the club is asked about how its games end by then."""
        trial, pipeline = self.trial, self.pipeline
        part = trial.steps // (ROUNDS + 1) // trial.evaluate_every * trial.evaluate_every
        fit = trial.fits[0]
        known = pipeline.compared.pairs(fit.first, fit.comparisons, fit.raters)
        reward = self.first
        policy = self._reinforce(reward, 0, part, self.here / "policy")
        for number in range(1, ROUNDS + 1):
            here = self.here / f"round-{number:02}"
            known = joined(known, self._asked(policy, reward, number, here))
            reward = self._standard(GoEnsemble([GoReward(self._refitted(known, here), pipeline.plan.board)]))
            steps = part if number < ROUNDS else trial.steps - number * part
            policy = self._reinforce(reward, number * part, steps, here / "policy", policy)
        return ROUNDS * LABELS_A_ROUND

    def _asked(self, policy: GoNetwork, reward: StandardMargin, number: int, here: Path) -> BoardPairs:
        """What the club says of final boards, the policy's against the start's from the same prompts: of those in which
        the policy's leads most by the reward, which gains where it is wrong, too."""
        path = here / "answers.npz"
        if not path.exists():
            plan = self.pipeline.plan
            seed = derived_seed(plan.seed, 77, self.trial.seed, number)
            count = max(plan.evaluated_prompts, 2 * (LABELS_A_ROUND // GAMES_EACH))
            now, start = (self.pipeline.games(each, count, GAMES_EACH, seed) for each in (policy, self.pipeline.base))
            lead = reward(now.final, now.color) - reward(start.final, start.color)
            chosen = np.argsort(-lead, kind="stable")[:LABELS_A_ROUND]
            swapped = np.random.default_rng([seed, 78]).random(len(chosen)) < 0.5
            a, b = np.where(swapped, [chosen + len(lead), chosen], [chosen, chosen + len(lead)])
            boards, color = np.concatenate([now.final, start.final]), now.color[chosen]
            pool = BoardPool(boards, np.arange(len(boards)), np.repeat(["now", "start"], len(lead)))
            said = judge_pairs(self.pipeline.tuned_club, pool, a, b, seed, color).prefers_a
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                np.savez(part, pool=boards, a=a, b=b, color=color, prefers_a=said)
        with np.load(path) as stored:
            return BoardPairs(**stored)

    def _refitted(self, known: BoardPairs, here: Path) -> GoRewardModel:
        path = here / "model.safetensors"
        if not path.exists():
            checkpoint.save(path, self.pipeline.fit(known, self.trial.fits[0].order).state_dict(), {})
        return self.pipeline.load(path)


def joined(old: BoardPairs, new: BoardPairs) -> BoardPairs:
    """Old comparisons with new ones behind them."""
    return BoardPairs(
        np.concatenate([old.pool, new.pool]),
        np.concatenate([old.a, new.a + len(old.pool)]),
        np.concatenate([old.b, new.b + len(old.pool)]),
        np.concatenate([old.color, new.color]),
        np.concatenate([old.prefers_a, new.prefers_a]),
    )


def exhibits(games: GoGames, scores: np.ndarray, ended: GoGames) -> list[tuple[str, str, float, float]]:
    """Last boards of the highest `scores` `[B]` among those where the policy's side has the smaller area in the end,
    which is before komi, since reward models do not know it: side, board, score, and the area's lead in points."""
    area = games.sign * area_scores(ended.final)[0]
    texts = board_texts(games.final)
    found: dict[str, int] = {}
    for k in np.argsort(-scores, kind="stable"):
        if area[k] < 0:
            found.setdefault(texts[k], int(k))
    names = {BLACK: "Black", WHITE: "White"}
    shown = list(found.values())[:EXHIBITS]
    return [(names[int(games.color[k])], texts[k], float(scores[k]), float(area[k])) for k in shown]


def check(trial: GoTrial) -> None:
    """Refuse what would only fail later.

    Raises:
      ValueError: an unknown defence, a price that the defence has no use for, or too few steps for repair.
    """
    if trial.defence not in get_args(GoDefence):
        raise ValueError(f"{trial.name}: defence {trial.defence!r}")
    if (trial.price > 0) != (trial.defence == "kl"):
        raise ValueError(f"{trial.name}: a price of {trial.price} under the defence {trial.defence!r}")
    if trial.defence == "repair" and trial.steps // (ROUNDS + 1) < trial.evaluate_every:
        raise ValueError(f"{trial.name}: {trial.steps} steps leave no evaluation between {ROUNDS} rounds")
