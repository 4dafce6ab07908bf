"""Policy gradient on Go: a network without search learns from what a referee says of its finished games.

It plays the policy it starts as, at most as well as moves alone can: no search makes up for what it does not know, and
its distance from the start is a KL in nats, as for texts. The referee is all that RLHF and real RL differ in.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from foolsgold.environments.go.features import expand_planes
from foolsgold.errors import UserError
from foolsgold.objectives.advantages import rloo_advantages
from foolsgold.objectives.policy_gradient import Normalizer, per_constant_length, reinforce_loss
from foolsgold.policies.go_network import GoNetwork
from foolsgold.policies.search import Referee
from foolsgold.training import checkpoint
from foolsgold.training.go_rollouts import GoGames, OwnMoves, RawPlayer, draw_prompts, play_games
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import Loop, LoopSettings, Metrics
from foolsgold.training.self_play import snapshot_path

_SUM = per_constant_length(1)

GameReward = Callable[[GoGames], np.ndarray]
"""Maps finished games to the policy's reward for each, float64 `[B]`."""


@dataclass(frozen=True)
class GoPolicyGradientSettings:
    """Of one run.

    Raises:
      UserError: a number that nothing can be learned with.
    """

    size: int
    """Side of the board."""
    loop: LoopSettings
    """A step is one batch of games and one update; weights are float32 whatever its `dtype` says."""
    prompts: int = 16
    """Openings a step, an even number: each is played with both colours."""
    games: int = 8
    """Games of each, which are compared with each other."""
    reward: Literal["win", "margin"] = "margin"
    """What the referee says of a game: the result in [-1, 1], or the margin in sides of the board."""
    advantages: Callable[[torch.Tensor], torch.Tensor] = rloo_advantages
    """See `objectives.advantages`."""
    kl: KLSettings = KLSettings()
    """Price of KL from the base policy; a completion is a game, a token one move."""
    moves: int | None = None
    """See `training.go_rollouts.play_games`."""
    snapshot_every: int = 20
    """Steps between the networks that are kept; the first and the last are kept, too."""
    micro_batch: int = 64
    """Games of a forward; changes memory and speed, not the result."""

    def __post_init__(self) -> None:
        if self.games < 2 or min(self.snapshot_every, self.micro_batch) < 1:
            raise UserError(f"games >= 2, snapshot_every >= 1 and micro_batch >= 1, not {self}")


def train_go_policy(
    base: GoNetwork,
    referee: Referee | GameReward,
    settings: GoPolicyGradientSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[GoNetwork, int], Metrics] | None = None,
    start: GoNetwork | None = None,
) -> GoNetwork:
    """Train a copy of `base` in games against `base`; returns it.

    Metrics of a step are means over its games: `reward`, the true `score_win` and `score_margin` (points), `kl` (nats a
    game) with its standard error `kl_se`, `moves` of the policy's own; and `loss`, `gradient_norm` and `sampler_kl`
    (nats a move from the sampler's rounding of the network to the network that learns).

    Args:
      referee: says what games are worth; a function of games says it of the policy's side by itself.
      folder: keeps state and snapshots (`training.self_play.snapshot_path`); a run there is taken up where it stopped
        and ends with the same numbers.
      report: is told of every step, from 1, with its metrics.
      evaluate: measures the network after some steps, every `settings.loop.evaluate_every`; its figures join the
        step's.
      start: what the policy begins as, `base` where None; KL is from `base` all the same.

    Raises:
      UserError: a loss or gradient is not finite; the batch is on disk.
    """
    network = copy.deepcopy(start or base).requires_grad_(True)
    loop = Loop(network, replace(settings.loop, dtype=torch.float32), folder)
    seed, width = settings.loop.seed, settings.prompts // 2 * settings.games
    opponent = RawPlayer(base, settings.size, width)

    def keep() -> None:
        if loop.folder is not None:
            checkpoint.save(snapshot_path(loop.folder, loop.step), loop.final_weights(), {"step": loop.step})

    def step(number: int) -> Metrics:
        if number % settings.snapshot_every == 0:
            keep()
        prompts = draw_prompts(settings.size, settings.prompts, seed, number)
        player = RawPlayer(network, settings.size, width)
        games = play_games(player, opponent, prompts, settings.games, seed, number, settings.moves)
        rewards = referee(games) if callable(referee) else referee_rewards(games, referee, settings)
        figures = game_figures(games, rewards)
        price = settings.kl.price(loop.memory)
        fined = torch.from_numpy(games.grouped(rewards - price * games.log_ratio))
        settings.kl.steer(loop.memory, figures["kl"])
        return figures | _learn(loop, games, settings.advantages(fined).flatten().float(), settings)

    loop.run(step, report, None if evaluate is None else lambda number: evaluate(network, number))
    keep()
    return network.requires_grad_(False)


def referee_rewards(games: GoGames, referee: Referee, settings: GoPolicyGradientSettings) -> np.ndarray:
    """What the referee says of each game for the policy's side, float64 `[B]`; see `settings.reward`."""
    results, margins = referee.judge(games.final, games.komi)
    return games.sign * (results if settings.reward == "win" else margins / settings.size).astype(np.float64)


def game_figures(games: GoGames, rewards: np.ndarray) -> Metrics:
    """Means over games, of what `train_go_policy` reports."""
    kl = games.mean_kl
    return {
        "reward": float(rewards.mean()),
        "score_win": float(games.won.mean()),
        "score_margin": float(games.score.mean()),
        "kl": kl.mean,
        "kl_se": kl.standard_error,
        "moves": len(games.own) / len(rewards),
    }


def move_log_probs(network: GoNetwork, moves: OwnMoves) -> torch.Tensor:
    """Log-probabilities of moves under `network`, nats, float32 `[M]`, with a gradient."""
    device = next(network.parameters()).device
    planes = torch.from_numpy(expand_planes(moves.binary, moves.scalars)).to(device)
    logits = network(planes).policy.masked_fill(torch.from_numpy(~moves.allowed).to(device), -torch.inf)
    return logits.log_softmax(-1).gather(1, torch.from_numpy(moves.actions).to(device)[:, None])[:, 0]


def _learn(loop: Loop, games: GoGames, advantages: torch.Tensor, settings: GoPolicyGradientSettings) -> Metrics:
    """One update on all games; `advantages` `[B]`."""
    own, count = games.own, len(advantages)
    device = next(loop.model.parameters()).device
    normalizer = Normalizer(torch.tensor(count, device=device), torch.tensor(len(own), device=device))
    figures = {"loss": 0.0, "sampler_kl": 0.0}
    for start in range(0, count, settings.micro_batch):
        part = own.rows(slice(*np.searchsorted(own.game, [start, start + settings.micro_batch])))
        # One row holds the moves of all games: a loss that sums over moves need not know where a game ends.
        columns = {
            "old_log_probs": torch.from_numpy(part.log_probs)[None].to(device),
            "reference_log_probs": torch.from_numpy(part.base_log_probs)[None].to(device),
            "advantages": advantages[torch.from_numpy(part.game)][None].to(device),
            "mask": torch.ones((1, len(part)), dtype=torch.bool, device=device),
        }
        log_probs = move_log_probs(loop.model, part)[None]  # type: ignore[arg-type]
        loss = reinforce_loss(
            log_probs,
            columns["old_log_probs"],
            columns["advantages"],
            columns["mask"],
            aggregate=_SUM,
            normalizer=normalizer,
        )
        total = loss.value + settings.kl.loss(log_probs, columns, _SUM, normalizer)
        figures["loss"] += loop.backward(total, columns)
        figures["sampler_kl"] += float(loss.approx_kl)
    return {**figures, "gradient_norm": loop.update()}
