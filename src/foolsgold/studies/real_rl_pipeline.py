"""A world of problems up to RL: a policy that imitates people's answers, reviewers who compare its own, a reward model.

Each result lies in the run folder as soon as it is there, models as Hugging Face directories; a stage whose result is
there is not done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.environments.problems import Problem, Split
from foolsgold.files import replacing
from foolsgold.labels.store import open_store
from foolsgold.labels.text_comparisons import as_comparisons
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.generate import Samples, generate
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import encode_prompt, load_tokenizer, train_bpe
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel, encode_pairs, load_reward_model
from foolsgold.rewards.verifiers.verdict import Verdict, Verifier
from foolsgold.rewards.verifiers.worlds import load_world
from foolsgold.studies.judged_pairs import Judged
from foolsgold.studies.kept_models import decaying_loop, kept_model, ticking
from foolsgold.studies.progress import Stages
from foolsgold.studies.standard_reward import StandardReward
from foolsgold.training.datasets import PromptRow, keyword_lists
from foolsgold.training.optimiser import working_dtype
from foolsgold.training.rollouts import derived_seed, frozen_copy
from foolsgold.training.sft import SFTSettings, sft
from foolsgold.training.text_reward_model import (
    PreferenceAccuracy,
    RewardModelSettings,
    fit_text_reward_model,
    measure,
)

STANDARD_PROBLEMS = 200
"""Whose answers set the scale of the proxy."""


@dataclass(frozen=True)
class ProblemsPlan:
    """What follows from the dial: model, data and steps of the stages before RL."""

    seed: int
    world: str
    """As `load_world` names it."""
    width: int
    layers: int
    vocabulary: int
    max_new_tokens: int
    demonstrations: int
    finetuning_steps: int
    finetuning_rate: float
    asked: int
    """Problems of the train split whose answers reviewers compare."""
    comparisons: int
    """Fitted by the reward model."""
    reward_steps: int
    problems: int
    """Of the train split, for RL."""
    finetuning_batch: int = 32
    answers: int = 8
    """Drawn from the finetuned policy for each problem asked."""
    reviewers: int = 50
    held_out: int = 1_000
    """Pairs that the reward model is not fitted to."""
    reward_rate: float = 5e-4
    tokenizer_texts: int = 5_000

    @property
    def decoder(self) -> DecoderConfig:
        return DecoderConfig.sized(self.vocabulary, self.width, self.layers, max_positions=512)


class Remembered:
    """A verifier that judges no answer twice: RL draws the same ones again and again."""

    def __init__(self, verifier: Verifier):
        self.verifier, self.name = verifier, verifier.name
        self._known: dict[tuple[str, str], Verdict] = {}

    def verdicts(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[Verdict]:
        """As the verifier's own, without records; a prompt must belong to one problem only."""
        asked = list(zip(prompts, completions, strict=True))
        new = {pair: row for row, pair in enumerate(asked) if pair not in self._known}
        if new:
            rows = list(new.values())
            # Tokens and what else a scorer adds do not belong to the problem.
            lists = {name: of for name, of in columns.items() if isinstance(of, list) and name != "completion_ids"}
            of_new = {name: [column[row] for row in rows] for name, column in lists.items()}
            found = self.verifier.verdicts([prompts[row] for row in rows], [completions[row] for row in rows], **of_new)
            for pair, verdict in zip(new, found, strict=True):
                self._known[pair] = replace(verdict, record={})
        return [self._known[pair] for pair in asked]


@dataclass(frozen=True)
class Answers:
    """S answers of a policy to each of P problems, those of a problem side by side."""

    prompts: list[str]
    """`[P S]`"""
    texts: list[str]
    """`[P S]`"""
    verdicts: list[Verdict]
    """`[P S]`"""
    drawn: Samples
    samples: int
    """S"""

    @property
    def passed(self) -> np.ndarray:
        """bool `[P, S]`"""
        return np.array([each.outcome == "passed" for each in self.verdicts]).reshape(-1, self.samples)


class ProblemsPipeline:
    """One run's stages.

    Args:
      plan: of the stages.
      folder: of the run.
      stages: progress bars.
      created: when the run began, for the comparison store.
    """

    def __init__(self, plan: ProblemsPlan, folder: Path, stages: Stages, created: datetime):
        self.plan, self.folder, self.stages, self.created = plan, folder, stages, created
        self.world, verifier = load_world(plan.world)
        self.verifier = Remembered(verifier)

    @cached_property
    def demonstrations(self) -> list[tuple[Problem, str]]:
        return self.world.demonstrations(self.plan.demonstrations, self.plan.seed)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        path = self.folder / "models" / "tokenizer"
        if not all((path / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
            some = self.demonstrations[: self.plan.tokenizer_texts]
            texts = [text for problem, answer in some for text in (problem.prompt, answer)]
            train_bpe(texts, self.plan.vocabulary).save_pretrained(path)
        return load_tokenizer(path)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.plan.max_new_tokens, stop_tokens=(self.tokenizer.eos_token_id,))

    def finetuned(self) -> Decoder:
        """Supervised finetuning from nothing: people's answers, right and wrong, and the problems too."""
        plan = self.plan

        def train() -> Decoder:
            torch.manual_seed(plan.seed)
            model = Decoder(plan.decoder)
            problems, answers = zip(*self.demonstrations, strict=True)
            rows = encode_pairs(self.tokenizer, [problem.prompt for problem in problems], answers)
            loop = decaying_loop(plan.finetuning_steps, plan.finetuning_rate, plan.seed, weight_decay=0.1)
            settings = SFTSettings(loop, plan.finetuning_batch, train_on_prompts=True, length_grouped=True)
            with self.stages.stage("supervised finetuning", plan.finetuning_steps) as tick:
                sft(model, rows, settings, self._state("finetuning"), ticking(tick, plan.finetuning_steps))
            return model

        return kept_model(self.folder / "models" / "finetuned", self.tokenizer, train)

    @cached_property
    def policy(self) -> Decoder:
        """The finetuned policy in the machine's fastest type, for sampling."""
        return frozen_copy(self.finetuned())

    def problems(self, split: Split, n: int, number: int) -> list[Problem]:
        """Problems of one purpose, which `number` names; those of a split have all its families."""
        return self.world.problems(split, n, derived_seed(self.plan.seed, number) % 2**31)

    def answer(
        self, policy: Decoder, problems: Sequence[Problem], samples: int, seed: int, greedy: bool = False
    ) -> Answers:
        """Let a policy answer and have the verifier judge."""
        sampling = replace(self.sampling, temperature=0.0) if greedy else self.sampling
        drawn = generate(
            policy, [encode_prompt(self.tokenizer, each.prompt) for each in problems], sampling, seed, samples
        )
        texts = self.tokenizer.batch_decode(drawn.completions(), skip_special_tokens=True)
        asked = [PromptRow(each.prompt, each.columns) for each in problems for _ in range(samples)]
        prompts = [each.prompt for each in problems for _ in range(samples)]
        verdicts = self.verifier.verdicts(prompts, texts, **keyword_lists(asked))
        return Answers(prompts, texts, verdicts, drawn, samples)

    @cached_property
    def pool(self) -> tuple[list[str], list[str], np.ndarray]:
        """The finetuned policy's answers for reviewers to compare: prompts and texts `[P S]`, passed `[P, S]`."""
        plan, path = self.plan, self.folder / "answers.npz"
        if not path.exists():
            problems = self.problems("train", plan.asked, 1)
            with self.stages.stage("the policy answers", len(problems)) as tick:
                parts = []
                for start in range(0, len(problems), 64):
                    some = problems[start : start + 64]
                    parts.append(self.answer(self.policy, some, plan.answers, derived_seed(plan.seed, 2, start)))
                    tick(start, len(problems))
            prompts = [prompt for part in parts for prompt in part.prompts]
            texts = [text for part in parts for text in part.texts]
            passed = np.concatenate([part.passed for part in parts])
            with replacing(path) as part_file:
                np.savez_compressed(part_file, prompts=np.array(prompts), texts=np.array(texts), passed=passed)
        with np.load(path) as kept:
            return kept["prompts"].tolist(), kept["texts"].tolist(), kept["passed"]

    @cached_property
    def judged(self) -> Judged:
        """Reviewers compare two different answers to one problem; all pairs are in comparisons.sqlite.

        The first `held_out` pairs are for measuring.
        """
        plan = self.plan
        prompts, texts, passed = self.pool
        first, second = different_pairs(texts, plan.answers, plan.held_out + plan.comparisons, plan.seed)
        asked, a, b = (
            [column[i] for i in rows] for column, rows in ((prompts, first), (texts, first), (texts, second))
        )
        path = self.folder / "judgements.npz"
        if not path.exists():
            with self.stages.stage(f"{plan.reviewers} reviewers compare {len(a):,} pairs", None):
                said, who = self.world.reviewers(plan.reviewers, plan.seed).compare(asked, a, b, plan.seed + 5)
                with open_store(self.folder / "comparisons.sqlite") as store:
                    rows = as_comparisons(
                        asked,
                        a,
                        b,
                        said,
                        who,
                        self.created,
                        "simulated reviewers",
                        source_a="policy",
                        source_b="policy",
                    )
                    store.add_many(rows)  # what an attempt that was cut off has added is not added again
                with replacing(path) as part:
                    np.savez_compressed(part, prefers_a=said)
        with np.load(path) as kept:
            prefers_a = kept["prefers_a"]
        lead = passed.ravel()[first].astype(float) - passed.ravel()[second]
        chosen = [x if yes else y for x, y, yes in zip(a, b, prefers_a, strict=True)]
        rejected = [y if yes else x for x, y, yes in zip(a, b, prefers_a, strict=True)]
        return Judged(asked, chosen, rejected, np.where(prefers_a, lead, -lead))

    def reward_model(self) -> TextRewardModel:
        """A reward model fitted to what reviewers said; it begins as the finetuned policy."""
        plan, path = self.plan, self.folder / "models" / "reward"
        if not (path / "config.json").exists():
            rows = self.judged.rows(plan.held_out, len(self.judged.prompts), self.tokenizer)
            model = TextRewardModel(self.finetuned(), plan.seed)
            loop = decaying_loop(plan.reward_steps, plan.reward_rate, plan.seed, weight_decay=0.01)
            settings = RewardModelSettings(loop, batch=64, length_grouped=True)
            with self.stages.stage(f"reward model learns {len(rows):,} comparisons", plan.reward_steps) as tick:
                fit_text_reward_model(
                    model, rows, settings, folder=self._state("reward"), report=ticking(tick, plan.reward_steps)
                )
            model.save(path, self.tokenizer)
        loaded = load_reward_model(path)
        assert isinstance(loaded, TextRewardModel)
        return loaded

    @cached_property
    def reward(self) -> TextReward:
        """The reward model as a reward, in the machine's fastest type."""
        return TextReward(self.reward_model(), self.tokenizer, 256, dtype=working_dtype("cpu"))

    @property
    def standard_answers(self) -> tuple[list[str], list[str]]:
        """Prompts and answers of the finetuned policy by which the reward model's scale is set."""
        count = STANDARD_PROBLEMS * self.plan.answers
        prompts, texts, _ = self.pool
        return prompts[:count], texts[:count]

    @cached_property
    def proxy(self) -> StandardReward:
        """The same in standard deviations over the finetuned policy's answers."""
        return StandardReward(self.reward, *self.standard_answers)

    def accuracy(self) -> tuple[PreferenceAccuracy, np.ndarray]:
        """Of the reward model on held-out pairs: agreement with reviewers, and, bool, with the verifier; no ties."""
        held_out = self.judged.rows(0, self.plan.held_out, self.tokenizer)
        return measure(self.reward_model(), held_out), self.judged.gold_agrees(self.reward, self.plan.held_out)

    def _state(self, name: str) -> Path:
        return self.folder / "checkpoints" / name


def different_pairs(texts: Sequence[str], each: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` pairs of rows of `texts` `[P each]` that answer one problem in different words, at random; fewer where
    there are fewer.

    Returns: (first row, second row), int64 `[K]` each, in an order at random.
    """
    pairs = []
    for start in range(0, len(texts), each):
        first_rows = {text: row for row, text in reversed(list(enumerate(texts[start : start + each], start)))}
        rows = sorted(first_rows.values())
        pairs += [(a, b) for i, a in enumerate(rows) for b in rows[i + 1 :]]
    rng = np.random.default_rng([seed, 4])
    kept = np.array(pairs, np.int64).reshape(-1, 2)[rng.permutation(len(pairs))[:count]]
    swapped = rng.random(len(kept)) < 0.5
    return np.where(swapped, kept[:, 1], kept[:, 0]), np.where(swapped, kept[:, 0], kept[:, 1])
