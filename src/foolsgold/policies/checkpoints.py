"""Decoders read from and written to Hugging Face directories: config.json beside safetensors, sharded or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download, split_torch_state_dict_into_shards
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from foolsgold.errors import UserError
from foolsgold.files import replacing, write_text
from foolsgold.policies.decoder import Decoder, DecoderConfig, RopeScaling, rope_frequencies

FAMILY = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
"""`model_type` of transformers to the prefix of its classes."""

WANTED = ["*.json", "*.safetensors", "*.model", "*.jinja"]
"""What is downloaded: no pickles, no code."""

INDEX = "model.safetensors.index.json"


class OutsideTheFamily(Exception):
    """The checkpoint is no decoder of ours; the message says in which way."""


@dataclass(frozen=True)
class Weights:
    """A directory's content under our names."""

    config: DecoderConfig
    decoder: dict[str, torch.Tensor]
    others: dict[str, torch.Tensor]
    """What the decoder has no place for, under the names in the file, such as `score.weight`."""
    raw: dict[str, Any]
    """config.json as it is."""


def resolve(path_or_name: str | Path) -> Path:
    """The directory of a model given by path or by its name on the Hugging Face hub, downloaded where needed.

    Raises:
      UserError: there is neither such a directory nor such a name, or the hub cannot be reached.
    """
    path = Path(path_or_name)
    if path.is_dir():
        return path
    if path.is_absolute() or str(path_or_name).startswith((".", "~")) or str(path_or_name).count("/") > 1:
        raise UserError(f"there is no model directory {path}; name one with a config.json in it")
    try:
        return Path(snapshot_download(str(path_or_name), allow_patterns=WANTED))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path_or_name} is neither a directory nor a model that the Hugging Face hub lets us have ({reason})"
        ) from error


def read_raw_config(folder: Path) -> dict[str, Any]:
    """config.json of a model directory.

    Raises:
      UserError: it is missing or no JSON object.
    """
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} is no model directory: its config.json is missing or damaged ({error})") from error
    if not isinstance(raw, dict):
        raise UserError(f"{folder / 'config.json'} holds no JSON object")
    return raw


def read_config(raw: Mapping[str, Any]) -> DecoderConfig:
    """The shape that a config.json of transformers describes.

    Raises:
      OutsideTheFamily: the model is of another family or has a part that `Decoder` lacks.
    """
    kind = raw.get("model_type")
    if kind not in FAMILY:
        raise OutsideTheFamily(f"model_type {kind!r} is none of {', '.join(FAMILY)}")
    if raw.get("hidden_act", "silu") != "silu":
        raise OutsideTheFamily(f"hidden_act {raw['hidden_act']!r} is not silu")
    if raw.get("mlp_bias"):
        raise OutsideTheFamily("its MLP has biases")
    if raw.get("use_sliding_window") or any(x != "full_attention" for x in raw.get("layer_types") or ()):
        raise OutsideTheFamily("some layers attend within a sliding window")
    if raw.get("quantization_config"):
        raise OutsideTheFamily("its weights are quantised")
    bias = bool(raw.get("attention_bias", False))
    heads = raw["num_attention_heads"]
    theta, scaling = _rope(raw)
    return DecoderConfig(
        vocabulary=raw["vocab_size"],
        width=raw["hidden_size"],
        layers=raw["num_hidden_layers"],
        heads=heads,
        kv_heads=raw.get("num_key_value_heads") or heads,
        hidden=raw["intermediate_size"],
        head_size=raw.get("head_dim") or raw["hidden_size"] // heads,
        rope_theta=theta,
        rope_scaling=scaling,
        norm_epsilon=raw.get("rms_norm_eps", 1e-6),
        qk_norm=kind == "qwen3",
        qkv_bias=True if kind == "qwen2" else bias,
        output_bias=False if kind == "qwen2" else bias,
        tied=bool(raw.get("tie_word_embeddings", False)),
        max_positions=raw.get("max_position_embeddings", 2048),
    )


def _rope(raw: Mapping[str, Any]) -> tuple[float, RopeScaling | None]:
    """Base and stretching, from the one table of new configs or from the two fields of old ones."""
    table = raw.get("rope_parameters") or {**(raw.get("rope_scaling") or {})}
    theta = float(table.get("rope_theta") or raw.get("rope_theta") or 10_000.0)
    kind = table.get("rope_type") or table.get("type") or "default"
    if kind == "default" and table.get("partial_rotary_factor", 1.0) == 1.0:
        return theta, None
    if kind == "llama3":
        return theta, RopeScaling(
            float(table["factor"]),
            float(table["low_freq_factor"]),
            float(table["high_freq_factor"]),
            int(table["original_max_position_embeddings"]),
        )
    raise OutsideTheFamily(f"rotary positions of type {kind!r}")


def read_weights(folder: Path) -> Weights:
    """All of a model directory, on the CPU, in the types of the files.

    Raises:
      UserError: files are missing or damaged, or their tensors do not fit config.json.
      OutsideTheFamily: as `read_config`.
    """
    raw = read_raw_config(folder)
    config = read_config(raw)
    tensors = _read_tensors(folder)
    prefix = "" if "embed_tokens.weight" in tensors else "model."
    decoder: dict[str, torch.Tensor] = {}
    for ours, parts in _names(config):
        theirs = [name if name.startswith("lm_head") else prefix + name for name in parts]
        if ours == "unembedding.weight" and theirs[0] not in tensors:
            continue  # a sequence classifier has none
        missing = [name for name in theirs if name not in tensors]
        if missing:
            raise UserError(f"{folder} lacks the tensor {missing[0]}, which its config.json calls for")
        found = [tensors.pop(name) for name in theirs]
        decoder[ours] = torch.cat(found) if len(found) > 1 else found[0]
    if config.tied:
        tensors.pop("lm_head.weight", None)
    return Weights(config, decoder, tensors, raw)


def load_decoder(path_or_name: str | Path, dtype: torch.dtype | None = None) -> Decoder:
    """The decoder in a Hugging Face directory or of a name on the hub, on the CPU, in evaluation mode.

    Args:
      path_or_name: a directory with config.json and safetensors, or a name such as `Qwen/Qwen3-0.6B`.
      dtype: of the weights; that of the files where None.

    Raises:
      UserError: the model cannot be had or is damaged.
      OutsideTheFamily: it is no decoder of ours; load it with `transformers`.
    """
    folder = resolve(path_or_name)
    return build(read_weights(folder), folder, dtype)


def build(weights: Weights, folder: Path, dtype: torch.dtype | None = None) -> Decoder:
    """A decoder with these weights; `folder` is named in errors.

    Raises:
      UserError: the tensors do not fit the config.
    """
    config = weights.config
    if not config.tied and "unembedding.weight" not in weights.decoder:
        config = DecoderConfig(**{**vars(config), "tied": True})
    with torch.device("meta"):
        decoder = Decoder(config)
    try:
        decoder.load_state_dict(weights.decoder, assign=True)
    except RuntimeError as error:
        raise UserError(f"{folder}: {str(error).strip().splitlines()[-1].strip()}") from error
    decoder.frequencies = rope_frequencies(config)
    for parameter in decoder.parameters():
        parameter.requires_grad_(True)
    return decoder.to(dtype).eval() if dtype else decoder.eval()


def save_decoder(
    folder: str | Path,
    decoder: Decoder,
    *,
    classifier: torch.Tensor | None = None,
    extra: Mapping[str, Any] | None = None,
    max_shard_bytes: int = 5_000_000_000,
) -> Path:
    """Write a decoder so that transformers loads it: LlamaForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM.

    Args:
      folder: made where missing; files there of the same names are replaced one by one, config.json last.
      decoder: its weights are written in their own type.
      classifier: `[1, D]`, a head that makes it a sequence classifier of one label, in place of the output matrix.
      extra: further entries of config.json, such as `eos_token_id`.

    Raises:
      UserError: the disk is full or the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = decoder.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    for ours, theirs in _names(decoder.config):
        if theirs == ["lm_head.weight"]:
            if classifier is None:
                tensors["lm_head.weight"] = state[ours]
            continue
        sizes = _split(decoder.config, ours, len(theirs))
        parts = state[ours].split(sizes) if sizes else [state[ours]]
        tensors |= {f"model.{name}": part for name, part in zip(theirs, parts, strict=True)}
    if classifier is not None:
        tensors["score.weight"] = classifier.reshape(1, -1)
    _write_tensors(
        folder, {name: x.detach().cpu().contiguous().clone() for name, x in tensors.items()}, max_shard_bytes
    )
    raw = _raw_config(decoder.config, classifier is not None, state["embedding.weight"].dtype) | dict(extra or {})
    write_text(folder / "config.json", json.dumps(raw, indent=2) + "\n")
    return folder


def _raw_config(config: DecoderConfig, classifies: bool, dtype: torch.dtype) -> dict[str, Any]:
    """config.json as transformers reads it."""
    if config.qk_norm:
        kind = "qwen3"
    elif config.qkv_bias and not config.output_bias:
        kind = "qwen2"
    else:
        kind = "llama"
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if scaling := config.rope_scaling:
        rope |= {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_frequency_factor,
            "high_freq_factor": scaling.high_frequency_factor,
            "original_max_position_embeddings": scaling.original_positions,
        }
    raw = {
        "architectures": [FAMILY[kind] + ("ForSequenceClassification" if classifies else "ForCausalLM")],
        "model_type": kind,
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_epsilon,
        "rope_parameters": rope,
        "tie_word_embeddings": config.tied,
        "dtype": str(dtype).removeprefix("torch."),
    }
    if kind != "qwen2":
        raw["attention_bias"] = config.qkv_bias
    if classifies:
        raw |= {"num_labels": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    return raw


def _names(config: DecoderConfig) -> Iterator[tuple[str, list[str]]]:
    """Our tensors and, for each, the tensors of transformers that are stacked in it."""
    yield "embedding.weight", ["embed_tokens.weight"]
    for i in range(config.layers):
        ours, theirs = f"blocks.{i}", f"layers.{i}"
        yield f"{ours}.attention_norm.weight", [f"{theirs}.input_layernorm.weight"]
        for part in ("weight", "bias")[: 1 + config.qkv_bias]:
            yield f"{ours}.qkv.{part}", [f"{theirs}.self_attn.{x}_proj.{part}" for x in "qkv"]
        if config.qk_norm:
            yield f"{ours}.query_norm.weight", [f"{theirs}.self_attn.q_norm.weight"]
            yield f"{ours}.key_norm.weight", [f"{theirs}.self_attn.k_norm.weight"]
        for part in ("weight", "bias")[: 1 + config.output_bias]:
            yield f"{ours}.output.{part}", [f"{theirs}.self_attn.o_proj.{part}"]
        yield f"{ours}.mlp_norm.weight", [f"{theirs}.post_attention_layernorm.weight"]
        yield f"{ours}.gate_up.weight", [f"{theirs}.mlp.gate_proj.weight", f"{theirs}.mlp.up_proj.weight"]
        yield f"{ours}.down.weight", [f"{theirs}.mlp.down_proj.weight"]
    yield "norm.weight", ["norm.weight"]
    if not config.tied:
        yield "unembedding.weight", ["lm_head.weight"]


def _split(config: DecoderConfig, name: str, parts: int) -> list[int]:
    """Rows of each part of a stacked tensor; none for a tensor that stands alone."""
    if parts == 3:
        return [config.heads * config.head_size] + 2 * [config.kv_heads * config.head_size]
    return [config.hidden, config.hidden] if parts == 2 else []


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    index = folder / INDEX
    if index.exists():
        try:
            names = sorted({str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()})
        except (ValueError, KeyError, AttributeError) as error:
            raise UserError(f"{index} is damaged: {error}") from error
    else:
        names = ["model.safetensors"]
    tensors: dict[str, torch.Tensor] = {}
    for name in names:
        if Path(name).name != name:
            raise UserError(f"{index} names {name!r}, which is no file of its own folder")
        if not (folder / name).exists():
            raise UserError(f"{folder} has no {name}; only safetensors are read, since pickled weights could run code")
        try:
            tensors |= load_file(folder / name)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{folder / name} is damaged: {error}") from error
    return tensors


def _write_tensors(folder: Path, tensors: dict[str, torch.Tensor], max_shard_bytes: int) -> None:
    split = split_torch_state_dict_into_shards(tensors, max_shard_size=max_shard_bytes)
    for name, keys in split.filename_to_tensors.items():
        with replacing(folder / name) as part:
            try:
                save_file({key: tensors[key] for key in keys}, part, metadata={"format": "pt"})
            except SafetensorError as error:
                raise UserError(f"cannot write {folder / name}: {error}") from error
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")
    else:
        (folder / INDEX).unlink(missing_ok=True)  # of an older save
