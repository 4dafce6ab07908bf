"""The three stages on poems, as every study of language models begins: pretraining, finetuning, a reward model.

Each result lies in the run folder as soon as it is there, models as Hugging Face directories; a stage whose result is
there is not done again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.environments.poems.world import Poems
from foolsgold.files import replacing
from foolsgold.labels.store import open_store
from foolsgold.labels.text_comparisons import as_comparisons
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.generate import generate
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import encode_prompt, load_tokenizer, train_bpe
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel, encode_pairs, load_reward_model
from foolsgold.studies.judged_pairs import Judged
from foolsgold.studies.kept_models import decaying_loop, kept_model, shortened, ticking
from foolsgold.studies.progress import Stages
from foolsgold.training.batches import pack
from foolsgold.training.length_free import fit_free_of_feature
from foolsgold.training.optimiser import working_dtype
from foolsgold.training.pretrain import PretrainSettings, pretrain
from foolsgold.training.rollouts import derived_seed, frozen_copy
from foolsgold.training.sft import SFTSettings, sft
from foolsgold.training.text_reward_model import (
    PreferenceAccuracy,
    RewardModelSettings,
    TextComparisons,
    fit_text_reward_model,
    measure,
)

SCORE_WORDS = tuple(f"<|score-{i}|>" for i in range(12))
"""Words of the tokenizer that no text has, for wanted scores."""

BLOCK = 128
"""Tokens of a row in pretraining."""


@dataclass(frozen=True)
class PoemsPlan:
    """What follows from the size: model, data and steps of the three stages."""

    seed: int
    width: int
    layers: int
    pretraining_steps: int
    finetuning_steps: int
    comparisons: int
    """Pairs of poems that readers compare for the reward model."""
    most_comparisons: int
    """Pairs compared in all, for a sweep."""
    vocabulary: int = 1024
    pretraining_texts: int = 60_000
    demonstrations: int = 120_000
    readers: int = 50
    poems_a_prompt: int = 128
    """Drawn from the finetuned policy for readers to compare."""
    held_out: int = 2_000
    """Pairs that no reward model is fitted to."""
    max_new_tokens: int = 64

    @property
    def decoder(self) -> DecoderConfig:
        return DecoderConfig.sized(self.vocabulary, self.width, self.layers, max_positions=256)


@dataclass(frozen=True)
class RewardFit:
    """How a reward model comes about."""

    comparisons: int
    layers: int
    """Of the policy's trunk, the first ones."""
    first: int = 0
    """Comparison that it starts with, of those not held out."""
    order: int = 0
    """Seed of the order in which comparisons come: what members of an ensemble differ in."""
    raters: Literal["readers", "critic"] = "readers"
    length_free: bool = False
    """Fitted with a second head for the length (ODIN)."""

    @property
    def name(self) -> str:
        """Of its folder."""
        usual = {"first": 0, "order": 0, "raters": "readers", "length_free": False}
        other = [f"-{key}-{getattr(self, key)}" for key, value in usual.items() if getattr(self, key) != value]
        return f"reward-{self.comparisons}-{self.layers}" + "".join(other)


@dataclass(frozen=True)
class PoemPool:
    """Poems of the finetuned policy, `poems_a_prompt` for each prompt, with what critic and readers make of them."""

    prompts: list[str]
    """`[P]`"""
    texts: list[list[str]]
    """`[P][N]`"""
    gold: np.ndarray
    """`[P, N]`"""


class PoemsPipeline:
    """One run's stages.

    Args:
      plan: of the stages.
      folder: of the run.
      stages: progress bars.
      created: when the run began, for the comparison store.
    """

    def __init__(self, plan: PoemsPlan, folder: Path, stages: Stages, created: datetime):
        self.plan, self.folder, self.stages, self.created = plan, folder, stages, created
        self.world = Poems()

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        path = self.folder / "models" / "tokenizer"
        if not all((path / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
            texts = self.world.pretraining_texts(20_000, self.plan.seed)
            train_bpe(texts, self.plan.vocabulary, SCORE_WORDS).save_pretrained(path)
        return load_tokenizer(path)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.plan.max_new_tokens, stop_tokens=(self.tokenizer.eos_token_id,))

    def base(self) -> Decoder:
        """Pretraining: the next token of poems and prose."""
        plan = self.plan

        def train() -> Decoder:
            torch.manual_seed(plan.seed)
            model = Decoder(plan.decoder)
            texts = self.world.pretraining_texts(plan.pretraining_texts, plan.seed + 1)
            ids = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
            blocks = pack(ids, BLOCK, self.tokenizer.eos_token_id)  # type: ignore[arg-type]
            settings = PretrainSettings(
                decaying_loop(plan.pretraining_steps, 3e-3, plan.seed, weight_decay=0.1), batch=32
            )
            with self.stages.stage("pretraining", plan.pretraining_steps) as tick:
                pretrain(model, blocks, settings, self._state("pretraining"), ticking(tick, plan.pretraining_steps))
            return model

        return kept_model(self.folder / "models" / "base", self.tokenizer, train)

    def finetuned(self) -> Decoder:
        """Supervised finetuning: people's poems, good and bad, to prompts."""
        plan = self.plan

        def train() -> Decoder:
            model = self.base()
            prompts, poems = zip(*self.world.demonstrations(plan.demonstrations, plan.seed + 2), strict=True)
            settings = SFTSettings(decaying_loop(plan.finetuning_steps, 2e-3, plan.seed), batch=64, length_grouped=True)
            rows = encode_pairs(self.tokenizer, prompts, poems)
            with self.stages.stage("supervised finetuning", plan.finetuning_steps) as tick:
                sft(model, rows, settings, self._state("finetuning"), ticking(tick, plan.finetuning_steps))
            return model

        return kept_model(self.folder / "models" / "finetuned", self.tokenizer, train)

    @cached_property
    def policy(self) -> Decoder:
        """The finetuned policy in the machine's fastest type, for sampling."""
        return frozen_copy(self.finetuned())

    @cached_property
    def prompts(self) -> list[str]:
        """All prompts of the training topics."""
        return sorted(set(self.world.prompts("train", 10_000, self.plan.seed)))

    def pool(self) -> PoemPool:
        """Poems for readers to compare."""
        plan, path = self.plan, self.folder / "poems.npz"
        if not path.exists():
            with self.stages.stage("the policy writes poems", len(self.prompts)) as tick:
                texts: list[str] = []
                for start in range(0, len(self.prompts), 8):
                    ids = [encode_prompt(self.tokenizer, prompt) for prompt in self.prompts[start : start + 8]]
                    seed = derived_seed(plan.seed, 3, start)
                    drawn = generate(self.policy, ids, self.sampling, seed, plan.poems_a_prompt)
                    texts += self.tokenizer.batch_decode(drawn.completions(), skip_special_tokens=True)
                    tick(start, len(self.prompts))
            asked = [prompt for prompt in self.prompts for _ in range(plan.poems_a_prompt)]
            with replacing(path) as part:
                np.savez_compressed(part, texts=np.array(texts), gold=np.array(self.world.gold(asked, texts)))
        kept = np.load(path)
        shape = len(self.prompts), plan.poems_a_prompt
        return PoemPool(self.prompts, kept["texts"].reshape(shape).tolist(), kept["gold"].reshape(shape))

    def some_poems(self, each: int) -> tuple[list[str], list[str], np.ndarray]:
        """Prompts, poems and gold of the first `each` poems to each prompt, or of as many as there are, `[B]` each."""
        pool, each = self.pool(), min(each, self.plan.poems_a_prompt)
        prompts = [prompt for prompt in pool.prompts for _ in range(each)]
        return prompts, [text for texts in pool.texts for text in texts[:each]], pool.gold[:, :each].ravel()

    @cached_property
    def judged(self) -> Judged:
        """Readers compare pairs of poems on one prompt; all pairs are in comparisons.sqlite."""
        plan, pool = self.plan, self.pool()
        rng = np.random.default_rng([plan.seed, 4])
        count = plan.held_out + plan.most_comparisons
        prompt, first = rng.integers(len(pool.prompts), size=count), rng.integers(plan.poems_a_prompt, size=count)
        second = (first + rng.integers(1, plan.poems_a_prompt, size=count)) % plan.poems_a_prompt
        prompts = [pool.prompts[p] for p in prompt]
        a = [pool.texts[p][i] for p, i in zip(prompt, first, strict=True)]
        b = [pool.texts[p][i] for p, i in zip(prompt, second, strict=True)]
        path = self.folder / "judgements.npz"
        if not path.exists():
            with self.stages.stage(f"{plan.readers} readers compare {count:,} pairs", None):
                readership = self.world.readers(plan.readers, plan.seed)
                said, reader = readership.compare(prompts, a, b, plan.seed + 5)
                with open_store(self.folder / "comparisons.sqlite") as store:
                    rows = as_comparisons(
                        prompts, a, b, said, reader, self.created, source_a="policy", source_b="policy"
                    )
                    store.add_many(rows)  # what an attempt that was cut off has added is not added again
                with replacing(path) as part:
                    np.savez_compressed(part, prefers_a=said)
        prefers_a = np.load(path)["prefers_a"]
        lead = pool.gold[prompt, first] - pool.gold[prompt, second]
        chosen = [x if yes else y for x, y, yes in zip(a, b, prefers_a, strict=True)]
        rejected = [y if yes else x for x, y, yes in zip(a, b, prefers_a, strict=True)]
        return Judged(prompts, chosen, rejected, np.where(prefers_a, lead, -lead))

    def reward_model(self, comparisons: int, layers: int, tick: Callable[[int, int], None]) -> TextRewardModel:
        """A reward model fitted to the first `comparisons` pairs; its trunk is the first layers of the policy's."""
        return self.fitted_reward(RewardFit(comparisons, layers), tick)

    def fitted_reward(self, fit: RewardFit, tick: Callable[[int, int], None]) -> TextRewardModel:
        """A reward model; all begin with the same weights, head included."""
        plan = self.plan
        path = self.folder / "models" / fit.name
        if not (path / "config.json").exists():
            start = plan.held_out + fit.first
            judged = self.judged if fit.raters == "readers" else self.judged.by_critic()
            rows = judged.rows(start, start + fit.comparisons, self.tokenizer)
            model = self.fit_reward(rows, fit.layers, fit.order, self._state(path.name), fit.length_free, tick)
            model.save(path, self.tokenizer)
        loaded = load_reward_model(path)
        assert isinstance(loaded, TextRewardModel)
        return loaded

    def fit_reward(
        self,
        rows: TextComparisons,
        layers: int,
        order: int,
        state: Path | None,
        length_free: bool = False,
        tick: Callable[[int, int], None] = lambda done, of: None,
    ) -> TextRewardModel:
        """A reward model fitted to any comparisons, a run in `state` being taken up."""
        plan, n = self.plan, len(rows)
        model = TextRewardModel(shortened(self.finetuned(), layers), plan.seed)
        steps = max(60, 2 * n // 64) if n <= 20_000 else n // 64
        loop = decaying_loop(steps, 5e-4, plan.seed + order, weight_decay=0.01)
        settings = RewardModelSettings(loop, batch=64, length_grouped=True)
        fit = fit_free_of_feature if length_free else fit_text_reward_model
        fit(model, rows, settings, folder=state, report=ticking(tick, steps))
        return model

    def accuracy(self, model: TextRewardModel) -> tuple[PreferenceAccuracy, np.ndarray]:
        """On held-out pairs: agreement with the readers, and, bool `[K]`, with the critic where there is no tie."""
        held_out = self.judged.rows(0, self.plan.held_out, self.tokenizer)
        return measure(model, held_out), self.judged.gold_agrees(self.reward(model), self.plan.held_out)

    def reward(self, model: TextRewardModel) -> TextReward:
        """The reward model as a reward, in the machine's fastest type."""
        return TextReward(model, self.tokenizer, 256, dtype=working_dtype("cpu"))

    def _state(self, name: str) -> Path:
        return self.folder / "checkpoints" / name
