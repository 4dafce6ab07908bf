"""Policies by path or by name on the Hugging Face hub: loaded, sampled from, adapted with LoRA, saved.

Models of the Llama and Qwen family become a `Decoder`; others, and all models with a LoRA adapter, run through
transformers. Only safetensors are read and written, and no code of a model's repository is run.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.errors import UserError
from foolsgold.files import write_text, written
from foolsgold.policies import foreign
from foolsgold.policies.checkpoints import OutsideTheFamily, build, read_weights, resolve, save_decoder
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.foreign import TransformersModel
from foolsgold.policies.generate import Samples, Sampling, generate
from foolsgold.policies.tokenizer import load_tokenizer

LanguageModel = Decoder | TransformersModel
"""What this module loads, and what can be drawn from and trained."""


@dataclass(frozen=True)
class Policy:
    """A language model with what belongs to it."""

    model: LanguageModel
    tokenizer: PreTrainedTokenizerBase
    source: str
    """Path or name it was loaded from."""
    stop_tokens: tuple[int, ...]
    """Tokens that end a completion: the tokenizer's end token and those of generation_config.json."""


def load_policy(
    path_or_name: str | Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Policy:
    """The model and tokenizer of a Hugging Face directory or of a name on the hub, in evaluation mode.

    A directory with a LoRA adapter is loaded together with its base model. A model outside the Llama and Qwen family
    is loaded by transformers, with a warning that says why.

    Args:
      dtype: of the weights; that of the files where None.
      device: the CPU where None.

    Raises:
      UserError: the model or its tokenizer cannot be had, is damaged, or the two do not fit.
    """
    folder = resolve(path_or_name)
    tokenizer = load_tokenizer(folder)
    if (folder / foreign.ADAPTER_CONFIG).exists():
        return _policy(foreign.load_transformers(folder, dtype).to(device), tokenizer, path_or_name, folder)
    model: LanguageModel
    try:
        model = build(read_weights(folder), folder, dtype)
    except OutsideTheFamily as reason:
        warnings.warn(
            f"{path_or_name} runs through transformers, several times slower than models of the Llama and Qwen family: "
            f"{reason}",
            stacklevel=2,
        )
        model = foreign.load_transformers(folder, dtype)
    return _policy(model.to(device), tokenizer, path_or_name, folder)


def with_lora(
    path_or_name: str | Path,
    rank: int = 16,
    alpha: float = 32.0,
    targets: Sequence[str] = (),
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Policy:
    """A policy of which only a new LoRA adapter is trainable (Hu et al. 2022); at first it says what its base says.

    Args:
      alpha: the adapter's output is multiplied by alpha / rank.
      targets: ends of the names of the linear layers to adapt, such as `q_proj`; all but the output matrix where empty.
      seed: of the adapter's start.
      dtype, device: as in `load_policy`.

    Raises:
      UserError: as `load_policy`; or rank or alpha is not positive, or no layer has such a name.
    """
    folder = resolve(path_or_name)
    if (folder / foreign.ADAPTER_CONFIG).exists():
        raise UserError(f"{path_or_name} is a LoRA adapter already; merge it into its base model first")
    tokenizer = load_tokenizer(folder)
    model = foreign.add_lora(foreign.load_transformers(folder, dtype), rank, alpha, targets, seed)
    return _policy(model.to(device), tokenizer, path_or_name, folder)


def _policy(model: LanguageModel, tokenizer: PreTrainedTokenizerBase, source: str | Path, folder: Path) -> Policy:
    rows = model.config.vocabulary if isinstance(model, Decoder) else model.vocabulary
    if len(tokenizer) > rows:
        raise UserError(
            f"the tokenizer of {source} has {len(tokenizer)} tokens, but its model knows {rows}; they are not a pair"
        )
    return Policy(model, tokenizer, str(source), (tokenizer.eos_token_id, *_further_stops(folder, tokenizer)))


def _further_stops(folder: Path, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """End tokens of generation_config.json beside the tokenizer's: chat models end a turn and a text differently."""
    try:
        named = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))["eos_token_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    tokens = named if isinstance(named, list) else [named]
    return [token for token in tokens if isinstance(token, int) and token != tokenizer.eos_token_id]


def sample(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seed: int,
    samples: int = 1,
    decode: Callable[[list[int]], str] | None = None,
) -> Samples:
    """Draw `samples` completions of each prompt from any model of this module; see `generate`.

    Raises:
      ValueError: there are no prompts, one is empty, or stop strings come without `decode`.
    """
    if isinstance(model, Decoder):
        return generate(model, prompts, sampling, seed, samples, decode)
    if not prompts or not all(prompts):
        raise ValueError("there must be at least one prompt and each needs at least one token")
    if sampling.stop_strings and decode is None:
        raise ValueError("stop strings need `decode`")
    return foreign.generate_with_transformers(model, prompts, sampling, seed, samples, decode)


def save_policy(
    folder: str | Path,
    model: LanguageModel,
    tokenizer: PreTrainedTokenizerBase,
    weights: Mapping[str, torch.Tensor] | None = None,
    merge: bool = False,
    stop_tokens: Sequence[int] = (),
) -> Path:
    """Write a Hugging Face directory that transformers and `load_policy` read, or a LoRA adapter that peft reads.

    Args:
      folder: made where missing.
      weights: in place of the model's own, such as `Loop.final_weights()`; the model stays as it is.
      merge: of a model with an adapter, write one whole model instead of the adapter.
      stop_tokens: end tokens beside the tokenizer's, as in `Policy`.

    Raises:
      UserError: the disk is full or the folder cannot be written.
    """
    folder = Path(folder)
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save_pretrained(str(folder))
    special = _special_tokens(tokenizer, stop_tokens)
    if isinstance(model, Decoder):
        if weights is not None:
            with torch.device("meta"):
                model = Decoder(model.config)
            model.load_state_dict(weights, assign=True)
        save_decoder(folder, model, extra=special)
        write_text(folder / "generation_config.json", json.dumps(special, indent=2) + "\n")
    else:
        with written(folder):
            foreign.save_transformers(folder, model, weights, merge)
    return folder


def _special_tokens(tokenizer: PreTrainedTokenizerBase, stop_tokens: Sequence[int]) -> dict[str, Any]:
    """What config.json and generation_config.json say of special tokens."""
    stops = list(dict.fromkeys([tokenizer.eos_token_id, *stop_tokens]))
    return {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": stops if len(stops) > 1 else stops[0],
        "pad_token_id": tokenizer.pad_token_id,
    }
