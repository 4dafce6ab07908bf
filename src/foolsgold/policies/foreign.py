"""Causal language models of any family that transformers knows, behind the calls that `Decoder` has.

They train, sample and save through transformers' own code, several times slower than `Decoder`. LoRA adapters (Hu et
al. 2022), which peft puts into a transformers model, live here too.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from foolsgold.errors import UserError
from foolsgold.policies.checkpoints import resolve
from foolsgold.policies.generate import Samples, Sampling, draw

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


class TransformersModel(torch.nn.Module):
    """A causal language model of transformers, perhaps with a LoRA adapter: `model(tokens)` gives logits."""

    def __init__(self, inner: PreTrainedModel | PeftModel):
        super().__init__()
        self.inner: Any = inner  # transformers' and peft's classes pass attributes on in ways that mypy cannot see

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of the next token, `[B, T, V]`, for right-padded rows of tokens `[B, T]`."""
        return self.inner(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False).logits

    def train(self, mode: bool = True) -> TransformersModel:
        """Stays in evaluation mode, without dropout.

        Dropout would set log-probabilities in training apart from the sampler's, and its randomness is one that a
        resumed run does not find again.
        """
        return super().train(False)

    @property
    def device(self) -> torch.device:
        return self.inner.device

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""
        return self.inner.get_input_embeddings().num_embeddings


def load_transformers(folder: Path, dtype: torch.dtype | None = None) -> TransformersModel:
    """The model in a Hugging Face directory, or the adapter in one with its base model, in evaluation mode.

    Args:
      dtype: of the weights; that of the files where None.

    Raises:
      UserError: transformers cannot load it from safetensors with its own code.
    """
    if (folder / ADAPTER_CONFIG).exists():
        return _load_adapter(folder, dtype)
    try:
        inner = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=dtype or "auto", use_safetensors=True, trust_remote_code=False
        )
    except Exception as error:  # the code of hundreds of models, each with errors of its own
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"transformers cannot load {folder} as a causal language model from safetensors "
            f"({type(error).__name__}: {reason})"
        ) from error
    return TransformersModel(inner.eval())


def _load_adapter(folder: Path, dtype: torch.dtype | None) -> TransformersModel:
    try:
        base = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / ADAPTER_CONFIG} is damaged or names no base model") from error
    if not (folder / ADAPTER_WEIGHTS).exists():
        raise UserError(f"{folder} has no {ADAPTER_WEIGHTS}; only safetensors are read, since pickles could run code")
    inner = load_transformers(resolve(base), dtype).inner
    try:
        return TransformersModel(PeftModel.from_pretrained(inner, str(folder)).eval())
    except Exception as error:  # what peft and the base model's modules raise where the two do not fit
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"the adapter {folder} does not fit its base model {base} ({reason})") from error


def add_lora(model: TransformersModel, rank: int, alpha: float, targets: Sequence[str], seed: int) -> TransformersModel:
    """The same model with a new LoRA adapter, of which alone the weights are trainable.

    Args:
      alpha: the adapter's output is multiplied by alpha / rank.
      targets: ends of the names of the linear layers to adapt; all but the output matrix where empty.
      seed: of the adapter's start.

    Raises:
      UserError: rank or alpha is not positive, or no layer has such a name.
    """
    if rank < 1 or alpha <= 0:
        raise UserError(f"a LoRA adapter needs a rank of at least 1 and an alpha above 0, not {rank} and {alpha}")
    settings = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # peft divides it as it is
        target_modules=list(targets) or "all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fan_in_fan_out")  # peft sets it right by itself
        torch.manual_seed(seed)
        try:
            return TransformersModel(get_peft_model(model.inner, settings).eval())
        except ValueError as error:
            raise UserError(f"no LoRA adapter on {', '.join(targets)}: {str(error).splitlines()[0]}") from error


@torch.no_grad()
def generate_with_transformers(
    model: TransformersModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seed: int,
    samples: int = 1,
    decode: Callable[[list[int]], str] | None = None,
) -> Samples:
    """As `foolsgold.policies.generate.generate`: transformers runs the model and its cache, the tokens are drawn here.

    What the model's generation_config.json asks for (penalties, top-k …) is left out, so that samples come from the
    distribution whose log-probabilities they carry.
    """
    repeated = [list(prompt) for prompt in prompts for _ in range(samples)]
    longest = max(map(len, repeated))
    tokens = torch.zeros((len(repeated), longest), dtype=torch.int64)
    mask = torch.zeros_like(tokens)
    for row, prompt in enumerate(repeated):
        tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    drawing = _Drawing(len(repeated), sampling, seed, decode)
    with _own_generation_config(model.inner):
        model.inner.generate(
            input_ids=tokens.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=GenerationConfig(do_sample=False, max_new_tokens=sampling.max_new_tokens, pad_token_id=0),
            logits_processor=LogitsProcessorList([drawing]),
            stopping_criteria=StoppingCriteriaList([_AllEnded(drawing)]),
        )
    return Samples(repeated, drawing.tokens, drawing.lengths, drawing.log_probs, drawing.stopped)


@contextmanager
def _own_generation_config(inner: Any) -> Iterator[None]:
    """transformers fills what a call leaves open from the model's own generation config."""
    owner = inner.get_base_model() if isinstance(inner, PeftModel) else inner
    kept, owner.generation_config = owner.generation_config, GenerationConfig()
    try:
        yield
    finally:
        owner.generation_config = kept


class _Drawing(LogitsProcessor):
    """Draws every row's next token and leaves transformers, which searches greedily, no other."""

    def __init__(self, rows: int, sampling: Sampling, seed: int, decode: Callable[[list[int]], str] | None):
        self.sampling, self.decode, self.step = sampling, decode, 0
        shape = (sampling.max_new_tokens, rows)
        self.uniforms = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
        self.stops = torch.tensor(sampling.stop_tokens, dtype=torch.int64)
        self.tokens = torch.zeros(shape[::-1], dtype=torch.int64)
        self.log_probs = torch.zeros(shape[::-1])
        self.lengths = torch.zeros(rows, dtype=torch.int64)
        self.stopped = torch.zeros(rows, dtype=torch.bool)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        drawn, said = draw(scores, self.uniforms[self.step].to(scores.device), self.sampling)
        only = torch.full_like(scores, -torch.inf).scatter_(-1, drawn[:, None], 0.0)
        alive = ~self.stopped
        self.tokens[alive, self.step] = drawn.cpu()[alive]
        self.log_probs[alive, self.step] = said.cpu()[alive]
        self.step += 1
        self.lengths[alive] = self.step
        ended = torch.isin(drawn.cpu(), self.stops)
        if self.sampling.stop_strings and self.decode is not None:
            texts = [self.decode(row) for row in self.tokens[:, : self.step].tolist()]
            ended |= torch.tensor([any(stop in text for stop in self.sampling.stop_strings) for text in texts])
        self.stopped |= ended
        return only


class _AllEnded(StoppingCriteria):
    def __init__(self, drawing: _Drawing):
        self.drawing = drawing

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **other: object) -> torch.Tensor:  # type: ignore[override]
        return self.drawing.stopped.to(input_ids.device)


def save_transformers(
    folder: Path, model: TransformersModel, weights: Mapping[str, torch.Tensor] | None = None, merge: bool = False
) -> None:
    """Write the model, or its adapter alone where it has one, as safetensors.

    Args:
      weights: in place of the model's own, under the names of `model.state_dict()`.
      merge: writes a model that holds the adapter in its own weights and needs no peft.
    """
    if weights is not None or merge:
        model = copy.deepcopy(model)
    if weights is not None:
        for name, parameter in model.named_parameters():  # tied ones come once, under the optimiser's name for them
            parameter.data = weights[name].detach().to(parameter.device, copy=True)
    inner = model.inner
    if merge and isinstance(inner, PeftModel):
        inner = inner.merge_and_unload()
    inner.save_pretrained(str(folder))
