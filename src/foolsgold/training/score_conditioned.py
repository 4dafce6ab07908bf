"""Train on what completions scored, ask for a high score: RLHF with nothing but supervised finetuning.

Rows become (prompt, words for the score) -> completion. The words stand behind the prompt, next to what they govern
and where no cut of a long prompt takes them away. Training is `sft`; its mask leaves the words unlearned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from foolsgold.errors import UserError
from foolsgold.objectives.quantiles import RewardQuantiles, reward_quantiles
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.generate import Sampling, generate
from foolsgold.rewards.text_reward_model import TokenPair
from foolsgold.training import checkpoint
from foolsgold.training.loop import Metrics
from foolsgold.training.sft import SFTSettings, sft

Tokens = Sequence[int]


@dataclass(frozen=True)
class ScoreConditioning:
    """How scores are said to a policy."""

    quantiles: RewardQuantiles
    words: Sequence[Tokens]
    """Tokens that ask for each bin, the worst first: one reserved token each, or a written number.

    There may be more words than bins, to ask for more than was ever seen. Only words whose tokens were learned in
    other bins, such as the digits of a number, can mean anything there.
    """

    @classmethod
    def fit(cls, scores: ArrayLike, words: Sequence[Tokens], n_bins: int | None = None) -> ScoreConditioning:
        """Bins of about equally many scores.

        Args:
          scores: `[N]`, of the completions to learn from.
          words: at least as many as bins.
          n_bins: as many as words where None; few different scores give fewer.

        Raises:
          UserError: there are fewer words than bins, or a score is not finite.
        """
        n_bins = len(words) if n_bins is None else n_bins
        if not 1 <= n_bins <= len(words):
            raise UserError(f"{len(words)} words cannot name {n_bins} bins of scores; give one a bin, at least one")
        if not np.isfinite(scores).all():
            raise UserError("a score is not finite; leave out completions that could not be scored")
        return cls(reward_quantiles(scores, n_bins), words)

    def rows(self, pairs: Sequence[TokenPair], scores: ArrayLike) -> list[TokenPair]:
        """Prompts and completions `[N]` as rows for `sft`, each prompt followed by the words for its score."""
        bins = self.quantiles.bin_of(scores).tolist()
        return [(self.ask(prompt, bin), completion) for (prompt, completion), bin in zip(pairs, bins, strict=True)]

    def ask(self, prompt: Tokens, bin: int | None = None) -> list[int]:
        """Tokens after which a completion of this bin is sampled; of the best bin seen where None.

        Raises:
          UserError: there are no words for such a bin.
        """
        bin = self.quantiles.best if bin is None else bin
        if not 0 <= bin < len(self.words):
            raise UserError(f"there are no words for bin {bin}; ask for one from 0 to {len(self.words) - 1}")
        return [*prompt, *self.words[bin]]


@dataclass(frozen=True)
class QuarkSettings:
    """Rounds of sampling at the best bin, scoring and learning from all that was sampled so far (Lu et al. 2022)."""

    sft: SFTSettings
    """Of one round."""
    rounds: int = 5
    samples: int = 1
    """Completions of each prompt a round."""
    sampling: Sampling = Sampling()
    """Its stop tokens end a completion."""
    n_bins: int | None = None
    """Bins of scores; as many as words where None."""


def quark(
    model: Decoder,
    prompts: Sequence[Tokens],
    score: Callable[[Sequence[TokenPair]], np.ndarray],
    words: Sequence[Tokens],
    settings: QuarkSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int, ScoreConditioning], Metrics] | None = None,
) -> ScoreConditioning:
    """Train `model` in place; it ends in float32. Returns the last round's bins, to ask with.

    The paper's penalty on KL from the start is left out: the loss is `sft`'s. What the policy said in earlier rounds
    stays in the pool and in training.

    Args:
      prompts: asked in every round, in the first without words for a score.
      score: of B prompts and completions, `[B]`, such as `TextReward.scores`.
      words: see `ScoreConditioning`.
      folder: keeps each round's samples and state; a run there is taken up where it stopped.
      report: gets every step's metrics of `sft`, steps of all rounds counted together, with the `round`, from 1, and
        the mean `sampled_score` of what it drew.
      evaluate: measures the model, given the bins to ask with, every `loop.evaluate_every` steps.

    Raises:
      UserError: there are no prompts; or as `ScoreConditioning.fit` and `sft`.
    """
    if not prompts:
        raise UserError("there are no prompts; give at least one")
    pairs: list[TokenPair] = []
    scores = np.empty(0)
    conditioning: ScoreConditioning | None = None
    steps = settings.sft.loop.steps
    for number in range(settings.rounds):
        where = None if folder is None else Path(folder) / f"round-{number + 1}"
        seed = _seed(settings.sft.loop.seed, number)
        asked = [prompt if conditioning is None else conditioning.ask(prompt) for prompt in prompts]
        drawn, found = _sampled(model, prompts, asked, score, settings, seed, where)
        pairs, scores = pairs + drawn, np.concatenate([scores, found])
        conditioning = ScoreConditioning.fit(scores, words, settings.n_bins)
        told, measured = _of_round(number, conditioning, float(found.mean()), steps, report, evaluate)
        own = replace(settings.sft, loop=replace(settings.sft.loop, seed=seed))
        sft(model, conditioning.rows(pairs, scores), own, where, told, measured)
    assert conditioning is not None
    return conditioning


def _of_round(
    number: int,
    conditioning: ScoreConditioning,
    sampled_score: float,
    steps: int,
    report: Callable[[int, Metrics], None],
    evaluate: Callable[[int, ScoreConditioning], Metrics] | None,
) -> tuple[Callable[[int, Metrics], None], Callable[[int], Metrics] | None]:
    """What `sft` reports to and is measured by in one round, where steps of all rounds are counted together."""

    def told(step: int, metrics: Metrics) -> None:
        if step or not number:  # the start of a round is the end of the one before, which was told already
            report(number * steps + step, metrics | {"round": number + 1.0, "sampled_score": sampled_score})

    def measured(step: int) -> Metrics:
        assert evaluate is not None
        return evaluate(number * steps + step, conditioning) if step or not number else {}

    return told, None if evaluate is None else measured


def _sampled(
    model: Decoder,
    prompts: Sequence[Tokens],
    asked: Sequence[Tokens],
    score: Callable[[Sequence[TokenPair]], np.ndarray],
    settings: QuarkSettings,
    seed: int,
    folder: Path | None,
) -> tuple[list[TokenPair], np.ndarray]:
    """A round's completions under their bare prompts, with scores; those on disk where it was sampled before."""
    path = None if folder is None else folder / "samples.safetensors"
    whose = [prompt for prompt in prompts for _ in range(settings.samples)]
    if path is not None and path.exists():
        tensors, _ = checkpoint.load(path)
        completions = [ids.tolist() for ids in tensors["tokens"].split(tensors["lengths"].tolist())]
        return list(zip(whose, completions, strict=True)), tensors["scores"].numpy()
    completions = generate(model, asked, settings.sampling, seed, settings.samples).completions()
    pairs: list[TokenPair] = list(zip(whose, completions, strict=True))
    scores = np.asarray(score(pairs), np.float64)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flat = torch.tensor([token for ids in completions for token in ids])
        lengths = torch.tensor([len(ids) for ids in completions])
        checkpoint.save(path, {"tokens": flat, "lengths": lengths, "scores": torch.from_numpy(scores)}, {})
    return pairs, scores


def _seed(seed: int, number: int) -> int:
    """A seed of its own for each round."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
