"""`foolsgold train …`: data, model and settings of a command line handed to a trainer, the result saved.

Each command is one function: it reads and checks everything first, so that a mistake costs no time and leaves no
folder, then trains within a `TrainingRun`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.hub import Policy
from foolsgold.policies.messages import Text, plain
from foolsgold.policies.tokenizer import encode_pair, encode_prompt, train_bpe
from foolsgold.rewards.text_reward_model import TextRewardModel, TokenPair
from foolsgold.serving.rollout_commands import expert_command, rl_command
from foolsgold.serving.score_words import save_conditioning, score_words
from foolsgold.serving.train_settings import (
    ConditionedCommand,
    DPOCommand,
    PretrainCommand,
    RewardCommand,
    SFTCommand,
)
from foolsgold.serving.training_run import (
    DTYPES,
    TrainingRun,
    device_of,
    required,
    resumed,
    settled,
    shell,
    split,
    start_policy,
    width_of,
)
from foolsgold.training import datasets
from foolsgold.training.batches import pack
from foolsgold.training.dataset_files import Rows, read_rows
from foolsgold.training.datasets import PreferenceRow
from foolsgold.training.direct_preference import (
    Comparisons,
    DirectPreferenceSettings,
    JudgedCompletions,
    Objective,
    completion_log_probs,
    dpo,
    fit_preferences,
    ipo,
)
from foolsgold.training.loop import Metrics
from foolsgold.training.pretrain import PretrainSettings, language_model_loss, pretrain
from foolsgold.training.rollouts import frozen_copy
from foolsgold.training.score_conditioned import ScoreConditioning
from foolsgold.training.sft import SFTSettings, sft, sft_loss
from foolsgold.training.text_reward_model import (
    RewardModelSettings,
    TextComparisons,
    agreement,
    fit_text_reward_model,
    measure,
)

MEASURED_AT_ONCE = 32
"""Rows of a forward in evaluation."""
SIZES = {"s": (128, 4), "m": (384, 6), "l": (768, 12)}
"""Width and layers."""
DATA = "a file such as rows.jsonl, or the name of a data set on the Hugging Face hub"


def pretrain_command(settings: PretrainCommand) -> Path:
    """Next-token training; returns the model's folder."""
    settings = resumed(settings, "pretrain")
    texts = datasets.texts(read_rows(required(settings.data, "--data", DATA)))
    policy = start_policy(settings) if settings.model else _new_policy(settings, texts)
    ids = _token_ids(policy.tokenizer, texts)
    blocks, held_out = split(list(pack(ids, settings.block, policy.tokenizer.eos_token_id)), *_share(settings))
    settings = settled(settings, width=width_of(policy), base_rate=3e-4, rows=len(blocks))
    with TrainingRun("pretrain", settings, ("loss", "held_out_loss")) as run:
        pretrain(
            policy.model,
            np.stack(blocks),
            PretrainSettings(run.loop, batch=settings.batch, micro_batch=settings.micro_batch),
            run.checkpoints,
            run.report,
            _evaluation(held_out, lambda: language_model_loss(policy.model, np.stack(held_out))),
        )
        model = run.save(policy)
        run.finish(model, shell("foolsgold", "train", "sft", "--model", model, "--data", "pairs.jsonl"))
    return model


def sft_command(settings: SFTCommand) -> Path:
    """Supervised finetuning; returns the model's folder."""
    settings = resumed(settings, "sft")
    pairs = _pairs(read_rows(required(settings.data, "--data", DATA)))
    policy = start_policy(settings)
    tokens = [encode_pair(policy.tokenizer, prompt, completion) for prompt, completion in pairs]
    rows, held_out = split(tokens, *_share(settings))
    settings = settled(settings, width=width_of(policy), base_rate=2e-5, rows=len(rows))
    with TrainingRun("sft", settings, ("loss", "held_out_loss")) as run:
        sft(
            policy.model,
            rows,
            SFTSettings(run.loop, settings.batch, settings.micro_batch, settings.max_length, settings.train_on_prompts),
            run.checkpoints,
            run.report,
            _evaluation(held_out, lambda: sft_loss(policy.model, held_out, train_on_prompts=settings.train_on_prompts)),
        )
        model = run.save(policy)
        run.finish(model, shell("foolsgold", "train", "reward", "--model", model, "--data", "comparisons.jsonl"))
    return model


def reward_command(settings: RewardCommand) -> Path:
    """Fit a reward model; returns its folder."""
    settings = resumed(settings, "reward")
    rows = datasets.preferences(read_rows(required(settings.data, "--data", DATA)))
    policy = start_policy(settings)
    if not isinstance(policy.model, Decoder):
        raise UserError(
            f"a reward model starts from a model of the Llama and Qwen family, not an adapter; {policy.source} is none"
        )
    kept, held_out = (
        encode_comparisons(policy.tokenizer, part, settings.max_length) if part else None
        for part in split(rows, *_share(settings))
    )
    assert kept is not None  # `split` leaves some to train on
    settings = settled(settings, width=width_of(policy), base_rate=1e-5, rows=len(kept))
    model = TextRewardModel(policy.model, settings.seed)
    with TrainingRun("reward", settings, ("loss", "accuracy", "held_out_accuracy")) as run:
        fit_text_reward_model(
            model,
            kept,
            RewardModelSettings(run.loop, settings.batch, settings.micro_batch, settings.centering),
            run.checkpoints,
            run.report,
            None if held_out is None else lambda step: measure(model, held_out).metrics(),
        )
        folder = model.save(run.folder.path / "model", policy.tokenizer)
        words = ("foolsgold", "train", "rl", "--model", settings.model or "", "--prompts", "prompts.jsonl")
        run.finish(folder, shell(*words, "--reward", folder))
    return folder


def dpo_command(settings: DPOCommand) -> Path:
    """DPO, IPO or KTO; returns the model's folder."""
    settings = resumed(settings, "dpo")
    rows = read_rows(required(settings.data, "--data", DATA))
    policy = start_policy(settings)
    objective, evaluate = _preferences(policy, rows, settings)
    settings = settled(settings, width=width_of(policy), base_rate=1e-6, rows=len(objective.members))
    with TrainingRun("dpo", settings, ("loss", "accuracy", "held_out_accuracy", "held_out_margin")) as run:
        fit_preferences(
            policy.model,
            objective,
            DirectPreferenceSettings(run.loop, settings.batch, settings.micro_batch, settings.max_length),
            run.checkpoints,
            run.report,
            evaluate,
        )
        model = run.save(policy)
        run.finish(model, shell("foolsgold", "generate", "--model", model, "--prompt", "…"))
    return model


def conditioned_command(settings: ConditionedCommand) -> Path:
    """Score-conditioned finetuning; returns the model's folder."""
    settings = resumed(settings, "conditioned")
    rows = datasets.scored(read_rows(required(settings.data, "--data", DATA)))
    policy = start_policy(settings)
    words = score_words(policy.tokenizer, settings.bins)
    conditioning = ScoreConditioning.fit([row.score for row in rows], words)
    pairs = [encode_pair(policy.tokenizer, row.prompt, row.completion) for row in rows]
    told = conditioning.rows(pairs, [row.score for row in rows])
    kept, held_out = split(told, *_share(settings))
    settings = settled(settings, width=width_of(policy), base_rate=2e-5, rows=len(kept))
    with TrainingRun("conditioned", settings, ("loss", "held_out_loss")) as run:
        sft(
            policy.model,
            kept,
            SFTSettings(run.loop, settings.batch, settings.micro_batch, settings.max_length),
            run.checkpoints,
            run.report,
            _evaluation(held_out, lambda: sft_loss(policy.model, held_out)),
        )
        model = run.save(policy)
        save_conditioning(model, conditioning)
        run.finish(model, shell("foolsgold", "generate", "--model", model, "--prompt", "…"))
    return model


def encode_comparisons(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[PreferenceRow], max_length: int | None
) -> TextComparisons:
    """Comparisons in tokens, with their margins where there are any, else with shares of raters where those differ."""
    columns: dict[str, Any] = {}
    if any(row.margin is not None for row in rows):
        columns["margins"] = np.array([row.margin or 0.0 for row in rows], np.float32)
    elif any(row.probability != 1 for row in rows):
        columns["probabilities"] = np.array([row.probability for row in rows], np.float32)
    prompts, chosen, rejected = ([getattr(row, name) for row in rows] for name in ("prompt", "chosen", "rejected"))
    return TextComparisons.encode(tokenizer, prompts, chosen, rejected, max_length, **columns)


def _preferences(policy: Policy, rows: Rows, settings: DPOCommand) -> tuple[Objective, Callable[[int], Metrics] | None]:
    """What to learn from, and an evaluation on held-out rows: how much likelier than at the start the good ones are."""
    tokenizer = policy.tokenizer
    if settings.loss == "kto":
        judged, unseen = split(datasets.unpaired(rows), *_share(settings))
        pairs = [encode_pair(tokenizer, row.prompt, row.completion) for row in judged]
        kto = JudgedCompletions(pairs, [row.label for row in judged], settings.beta, seed=settings.seed)
        others = [encode_pair(tokenizer, row.prompt, row.completion) for row in unseen]
        good, bad = ([pair for pair, row in zip(others, unseen, strict=True) if row.label is x] for x in (True, False))
        if not good or not bad:
            return kto, None
        ratios = _log_ratios(policy, [*good, *bad], settings)

        def compare(step: int) -> Metrics:
            found = ratios()
            return {"held_out_margin": float(found[: len(good)].mean() - found[len(good) :].mean())}

        return kto, compare
    kept, held_out = split(datasets.preferences(rows), *_share(settings))
    loss = {"dpo": dpo, "ipo": ipo}[settings.loss](settings.beta)
    objective = Comparisons(encode_comparisons(tokenizer, kept, None), loss)
    if not held_out:
        return objective, None
    other = encode_comparisons(tokenizer, held_out, None)
    chosen, rejected = (list(zip(other.prompts, answers, strict=True)) for answers in (other.chosen, other.rejected))
    ratios = _log_ratios(policy, [*chosen, *rejected], settings)

    def evaluate(step: int) -> Metrics:
        first, second = ratios().view(2, -1).numpy()
        leads = first - second
        return {"held_out_accuracy": float(agreement(leads, None).mean()), "held_out_margin": float(leads.mean())}

    return objective, evaluate


def _log_ratios(policy: Policy, pairs: Sequence[TokenPair], settings: DPOCommand) -> Callable[[], torch.Tensor]:
    """Measures by how many nats the policy finds each completion likelier than it does now: `[N]`."""

    def of(model: Any) -> torch.Tensor:
        parts = [pairs[i : i + MEASURED_AT_ONCE] for i in range(0, len(pairs), MEASURED_AT_ONCE)]
        with torch.no_grad():
            return torch.cat([completion_log_probs(model, part).cpu() for part in parts])

    model: Any = policy.model
    start = of(frozen_copy(model, DTYPES[settings.dtype]))  # in the type that it is trained in
    return lambda: of(model) - start


def _new_policy(settings: PretrainCommand, texts: Sequence[Text]) -> Policy:
    """A model with random weights and a tokenizer made for the texts."""
    width, layers = SIZES[settings.size]
    width, layers = settings.width or width, settings.layers or layers
    if width < 32 or width % 32 or layers < 1:
        raise UserError(f"--width {width} must be a multiple of 32 and --layers {layers} at least 1")
    chat = settings.chat or not all(isinstance(text, str) for text in texts)
    tokenizer = train_bpe(map(plain, texts), settings.vocabulary, chat=chat)
    torch.manual_seed(settings.seed)
    config = DecoderConfig.sized(len(tokenizer), width, layers, max_positions=max(2048, settings.block))
    return Policy(Decoder(config).to(device_of(settings)), tokenizer, "", (tokenizer.eos_token_id,))


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Text]) -> list[list[int]]:
    if all(isinstance(text, str) for text in texts):
        return list(tokenizer(list(texts), add_special_tokens=False)["input_ids"])
    return [encode_prompt(tokenizer, text) for text in texts]


def _pairs(rows: Rows) -> list[tuple[Text, Text]]:
    """Prompts and completions; of whole dialogues, the last turn is the completion."""
    if "messages" not in rows[0] or "prompt" in rows[0]:
        return [(row.prompt, row.completion) for row in datasets.prompt_completions(rows)]
    pairs: list[tuple[Text, Text]] = []
    for number, dialogue in enumerate(datasets.texts(rows), start=1):
        if isinstance(dialogue, str) or len(dialogue) < 2 or dialogue[-1]["role"] != "assistant":
            raise UserError(f"{rows.source}, row {number}: a dialogue ends with the assistant's answer to something")
        pairs.append((dialogue[:-1], dialogue[-1:]))
    return pairs


def _share(settings: Any) -> tuple[float, int]:
    return settings.held_out, settings.seed


def _evaluation(held_out: Sequence[Any], loss: Callable[[], float]) -> Callable[[int], Metrics] | None:
    return (lambda step: {"held_out_loss": loss()}) if held_out else None


COMMANDS: dict[str, Callable[[Any], Path]] = {
    "pretrain": pretrain_command,
    "sft": sft_command,
    "reward": reward_command,
    "dpo": dpo_command,
    "conditioned": conditioned_command,
    "rl": rl_command,
    "expert": expert_command,
}
