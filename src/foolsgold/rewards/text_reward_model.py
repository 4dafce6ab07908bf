"""A reward model of texts: the policy's trunk and one number, read at the end token.

Letters: B texts, T tokens of the longest, D width. Scores are in nats of log-odds: a lead of 1 over another answer to
the same prompt makes preference e : 1 (Bradley and Terry 1952). Between prompts they say nothing.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from foolsgold.errors import UserError
from foolsgold.files import written
from foolsgold.policies.checkpoints import OutsideTheFamily, build, read_weights, resolve, save_decoder
from foolsgold.policies.decoder import STRIDE, Decoder
from foolsgold.policies.layouts import SharedPrompts
from foolsgold.policies.messages import Text
from foolsgold.policies.tokenizer import encode_pair, encode_prompt

TokenPair = tuple[Sequence[int], Sequence[int]]
"""Tokens of a prompt and of its completion, the end token last."""


class TextRewardModel(nn.Module):
    """How good a completion looks.

    Args:
      policy: its trunk is copied.
      seed: of the head, which starts small, so that all texts start about equal.
    """

    def __init__(self, policy: Decoder, seed: int = 0):
        super().__init__()
        self.trunk = copy.deepcopy(policy).requires_grad_(True)
        self.trunk.unembedding = None  # predicts tokens, which nobody asks for here
        self.trunk.config = replace(policy.config, tied=True)
        start = torch.randn((1, policy.config.width), generator=torch.Generator().manual_seed(seed)) * 0.02
        self.head = nn.Parameter(start.to(policy.device, policy.embedding.weight.dtype))
        """`[1, D]`"""

    @property
    def device(self) -> torch.device:
        return self.head.device

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Scores, float32 `[B]`, of right-padded rows of tokens `[B, T]`, read at token number `lengths` `[B]`."""
        states = self.trunk.hidden(tokens)
        last = states[torch.arange(len(tokens), device=tokens.device), lengths - 1]
        return F.linear(last.float(), self.head.float()).squeeze(-1)

    def scores_of(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> torch.Tensor:
        """Scores, float32 `[N, G]`, of G completions of each of N prompts, in prompt order; a prompt is read once."""
        samples = len(completions) // len(prompts)
        before, lengths = padded(prompts)
        after, ends = padded(completions)
        before, after = (F.pad(x, (0, -x.shape[1] % STRIDE)) for x in (before, after))
        before, after, lengths, ends = (x.to(self.device) for x in (before, after, lengths, ends))
        layout = SharedPrompts(lengths, before.shape[1], samples, after.shape[1])
        states = self.trunk.states(torch.cat((before.reshape(-1), after.reshape(-1))), layout)[before.numel() :]
        last = states.view(*after.shape, -1)[torch.arange(len(ends), device=self.device), ends - 1]
        return F.linear(last.float(), self.head.float()).view(-1, samples)

    def save(self, folder: str | Path, tokenizer: PreTrainedTokenizerBase) -> Path:
        """Write a sequence classifier of one label as transformers, TRL and RewardBench load it, tokenizer included.

        Where the tokenizer pads with its end token the saved one pads with another special token: transformers reads
        the score at the last token that is not padding, which must be the end token.

        Raises:
          UserError: the tokenizer has no other special token, or the folder cannot be written.
        """
        tokenizer = _padding_apart(tokenizer)
        extra = {
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "problem_type": "regression",  # else transformers' pipeline squeezes the score through a sigmoid
        }
        save_decoder(folder, self.trunk, classifier=self.head, extra=extra)
        with written(Path(folder)):
            tokenizer.save_pretrained(str(folder))
        return Path(folder)


class TransformersRewardModel(nn.Module):
    """A sequence classifier of one label of any family that transformers knows, behind the same call."""

    def __init__(self, inner: PreTrainedModel):
        super().__init__()
        self.inner = inner

    @property
    def device(self) -> torch.device:
        return self.inner.device

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """As `TextRewardModel.forward`, but read where this model reads: decoders at the last token not padding."""
        real = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        tokens = torch.where(real, tokens, self.inner.config.pad_token_id)
        return self.inner(input_ids=tokens, attention_mask=real.long()).logits[:, 0].float()

    def save(self, folder: str | Path, tokenizer: PreTrainedTokenizerBase) -> Path:
        """Write model and tokenizer as transformers does.

        Raises:
          UserError: the folder cannot be written.
        """
        with written(Path(folder)):
            self.inner.save_pretrained(str(folder))
            tokenizer.save_pretrained(str(folder))
        return Path(folder)


def load_reward_model(
    path_or_name: str | Path, dtype: torch.dtype | None = None
) -> TextRewardModel | TransformersRewardModel:
    """A reward model saved by us, by TRL or by transformers as a sequence classifier, in evaluation mode.

    Llama, Qwen2 and Qwen3 run on our decoder; with other families transformers runs, and a warning says so.

    Args:
      path_or_name: a directory, or a name on the Hugging Face hub.
      dtype: of the weights; that of the files where None.

    Raises:
      UserError: the model cannot be had or is damaged, has no score head, or one of several labels.
    """
    folder = resolve(path_or_name)
    try:
        weights = read_weights(folder)
    except OutsideTheFamily as outside:
        warnings.warn(f"{path_or_name} runs on transformers, not on our decoder: {outside}", stacklevel=2)
        return TransformersRewardModel(_load_classifier(folder, dtype))
    head = weights.others.get("score.weight")
    if head is None:
        raise _no_head(folder)
    if head.shape[0] != 1:
        raise UserError(f"{folder} tells {head.shape[0]} classes apart; a reward model has one label")
    decoder = build(weights, folder, dtype)
    model = TextRewardModel(decoder)
    model.head.data = head.to(decoder.embedding.weight.dtype)
    return model.eval()


def _load_classifier(folder: Path, dtype: torch.dtype | None) -> PreTrainedModel:
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            str(folder), dtype=dtype or "auto", use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # the code of many families, each with errors of its own
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{folder} cannot be loaded as a reward model ({type(error).__name__}: {reason})") from error
    if loading["missing_keys"]:
        raise _no_head(folder)
    if model.config.num_labels != 1:
        raise UserError(f"{folder} tells {model.config.num_labels} classes apart; a reward model has one label")
    if model.config.pad_token_id is None:
        raise UserError(f"{folder} names no padding token; set pad_token_id in its config.json")
    return model.eval()


def _no_head(folder: Path) -> UserError:
    return UserError(f"{folder} has no score head: it is no reward model; fit one to comparisons first")


def _padding_apart(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    if tokenizer.pad_token_id not in (None, tokenizer.eos_token_id):
        return tokenizer
    special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    others = [token for token in special if token != tokenizer.eos_token]
    if not others:
        raise UserError("the tokenizer pads with its end token, at which the score is read; give it a pad_token")
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.pad_token = min(others, key=lambda token: "pad" not in token.lower())
    return tokenizer


class TextReward:
    """A reward model as a `Reward`: the same scores for the same texts, whatever batch they come in, to rounding.

    Args:
      model: set to evaluation mode.
      tokenizer: that of the model.
      batch_size: texts of one forward.
      max_length: tokens of prompt and completion; a longer text loses its beginning. No limit where None.
      name: what to call it in tables.
      dtype: scores with a copy of the weights in this type; bfloat16 is about three times as fast as float32 on a CPU
        that multiplies it, and its scores are about 1 % off. With the model's own weights where None.
    """

    def __init__(
        self,
        model: TextRewardModel | TransformersRewardModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int = 64,
        max_length: int | None = None,
        name: str = "reward_model",
        dtype: torch.dtype | None = None,
    ):
        if dtype is not None:
            model = copy.deepcopy(model)
            for parameter in model.parameters():  # not its buffers: angles of positions need all their digits
                parameter.data = parameter.data.to(dtype)
        self.model, self.tokenizer = model.eval(), tokenizer
        self.batch_size, self.max_length = batch_size, max_length
        self.__name__ = name

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> list[float]:
        """Scores `[B]`; every completion counts as finished, an end token being added where there is none.

        Raises:
          UserError: as `encode_pair`.
        """
        return self.scores(encode_pairs(self.tokenizer, prompts, completions)).tolist()

    @torch.inference_mode()
    def scores(self, pairs: Sequence[TokenPair]) -> np.ndarray:
        """Scores of tokens as a policy sampled them, float32 `[B]`, read at the last token, end token or not."""
        lengths = np.array([len(prompt) + len(completion) for prompt, completion in pairs], np.int64)
        order = np.argsort(lengths, kind="stable")  # texts of like length together: less padding
        scores = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), self.batch_size):
            rows = order[start : start + self.batch_size]
            tokens, ends = pad_texts([pairs[row] for row in rows], self.max_length)
            scores[rows] = self.model(tokens.to(self.model.device), ends.to(self.model.device)).cpu().numpy()
        return scores


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Text], completions: Sequence[Text]
) -> list[TokenPair]:
    """`encode_pair` for B prompts and completions, plain texts all at once, each distinct prompt once.

    Raises:
      UserError: as `encode_pair`.
    """
    if not all(isinstance(text, str) for text in itertools.chain(prompts, completions)):
        pairs = zip(prompts, completions, strict=True)
        return [encode_pair(tokenizer, prompt, completion) for prompt, completion in pairs]
    if not len(completions):
        return []
    prompt_ids = {prompt: encode_prompt(tokenizer, prompt) for prompt in dict.fromkeys(prompts)}  # type: ignore[arg-type]
    completion_ids = tokenizer(list(completions), add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id
    return [
        (prompt_ids[prompt], ids if ids and ids[-1] == end else [*ids, end])  # type: ignore[index]
        for prompt, ids in zip(prompts, completion_ids, strict=True)
    ]


def pad_texts(pairs: Sequence[TokenPair], max_length: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts with their completions behind them, padded on the right with 0: int64 `[B, T]` and lengths `[B]`.

    Of a text above `max_length` tokens the end is kept, where its score is read.
    """
    texts = [[*prompt, *completion] for prompt, completion in pairs]
    return padded(texts if max_length is None else [text[-max_length:] for text in texts])


def padded(texts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens padded on the right with 0: int64 `[B, T]` and lengths `[B]`."""
    lengths = np.array([len(text) for text in texts], np.int64)
    tokens = np.zeros((len(texts), lengths.max()), np.int64)
    tokens[np.arange(tokens.shape[1]) < lengths[:, None]] = np.fromiter(
        itertools.chain.from_iterable(texts), np.int64, int(lengths.sum())
    )
    return torch.from_numpy(tokens), torch.from_numpy(lengths)
