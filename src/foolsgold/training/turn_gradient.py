"""Policy gradient over episodes of several turns: every turn of an episode gets the episode's advantage.

The reward is the goal alone, reached or not, as the world's verifier says; episodes of the same problem are compared
with each other, as completions of the same prompt are in GRPO and RLOO.

Letters: N problems of a step, G episodes of each, B turns in all, T tokens of the longest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.environments.problems import Problem
from foolsgold.environments.turns import TurnWorld
from foolsgold.objectives.policy_gradient import Normalizer
from foolsgold.policies.hub import LanguageModel
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.training.batches import batch_indices, pad_pairs
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.loop import Loop, LoopSettings, Metrics
from foolsgold.training.multi_turn import Episode, TurnSettings, play
from foolsgold.training.policy_batches import Columns, Updates, learn, loss_figures
from foolsgold.training.policy_gradient import ALGORITHMS, Algorithm
from foolsgold.training.rollouts import derived_seed


@dataclass(frozen=True)
class TurnGradientSettings:
    """Of one run."""

    loop: LoopSettings
    """A step of the loop is one batch of episodes with all of its updates."""
    episodes: TurnSettings = TurnSettings(samples=8)
    problems: int = 16
    """N, problems a step."""
    algorithm: Algorithm = ALGORITHMS["grpo"]
    updates: Updates = Updates()


def train_on_turns(
    policy: LanguageModel,
    tokenizer: PreTrainedTokenizerBase,
    world: TurnWorld[Any],
    problems: Sequence[Problem],
    settings: TurnGradientSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
) -> Loop:
    """Train `policy` in place; it ends in float32. A run in `folder` is taken up where it stopped. Returns the loop.

    Raises:
      VerifierFailure: the world's verifier failed; it is no reward of 0.
      UserError: a loss or gradient is not finite; its batch is on disk.
    """
    loop = Loop(policy, settings.loop, folder)
    sampling, samples = settings.episodes.sampling, settings.episodes.samples
    aggregate = settings.algorithm.aggregate(sampling.max_new_tokens)

    def loss_of(part: Columns, normalizer: Normalizer) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        mask, old = part["mask"], part["old_log_probs"]
        log_probs = token_log_probs(policy, part["tokens"], mask, sampling.temperature)
        loss = settings.algorithm.loss(
            log_probs, old, part["advantages"], mask, aggregate=aggregate, normalizer=normalizer
        )
        return loss.value, loss_figures(loss, log_probs, old, mask, normalizer)

    def step(number: int) -> Metrics:
        start = time.perf_counter()
        chosen = batch_indices(len(problems), settings.problems, number, settings.loop.seed).tolist()
        policy.eval()
        seed = derived_seed(settings.loop.seed, number)
        episodes = play(policy, tokenizer, world, [problems[i] for i in chosen], settings.episodes, seed)
        policy.train()
        played = time.perf_counter()
        rewards = torch.tensor([each.reward for each in episodes]).view(-1, samples)
        advantages = settings.algorithm.advantages(rewards).flatten()
        columns = turn_columns(episodes, advantages, tokenizer.pad_token_id or 0)
        figures = learn(loop, columns, columns["advantages"].nonzero().flatten(), settings.updates, number, loss_of)
        seconds = {"seconds/play": played - start, "seconds/update": time.perf_counter() - played}
        lengths = [len(each.turns) for each in episodes]
        teach = float((rewards.amax(1) > rewards.amin(1)).float().mean())
        return {
            "reward": float(rewards.mean()),
            "turns": sum(lengths) / len(lengths),
            "groups_that_teach": teach,
            **figures,
            **seconds,
        }

    loop.run(step, report, evaluate)
    restore_float32(loop)
    return loop


def turn_columns(episodes: Sequence[Episode], advantages: torch.Tensor, pad: int) -> Columns:
    """All turns as rows `[B]`, in the order of episodes, each with its own of the `advantages` `[N G]`."""
    turns = [turn for each in episodes for turn in each.drawn]
    batch = pad_pairs([(turn.prompt, turn.completion) for turn in turns], pad)
    mask = batch.completion_mask
    said = torch.tensor([value for turn in turns for value in turn.log_probs])
    return {
        "tokens": batch.tokens,
        "lengths": batch.lengths,
        "mask": mask,
        "old_log_probs": torch.zeros(mask.shape).masked_scatter(mask, said),
        "advantages": advantages.repeat_interleave(torch.tensor([len(each.drawn) for each in episodes])),
    }
