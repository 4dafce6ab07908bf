"""`foolsgold generate`: completions of prompts, all that were drawn or the best by a reward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tyro.conf import UseAppendAction

from foolsgold.errors import UserError

if TYPE_CHECKING:
    from foolsgold.policies.hub import Policy
    from foolsgold.policies.messages import Text
    from foolsgold.training.datasets import PromptRow

TOGETHER = 256
"""Completions drawn at once."""


@dataclass(frozen=True, kw_only=True)
class GenerateCommand:
    """Draw completions of prompts from a model, and keep the best by a reward where there is one.

    Completions are printed, or written as JSONL with --output: one row each with its prompt and, with --reward, the
    reward.

    examples:
      foolsgold generate --model runs/sft-…/model --prompt "Write a poem about paperclips."
      foolsgold generate --model runs/rl-…/model --prompts prompts.jsonl --samples 4 --output completions.jsonl
      foolsgold generate --model runs/sft-…/model --prompts prompts.jsonl --reward runs/reward-…/model --best-of 16
    """

    model: str | None = None
    """Folder of a model, or its name on the Hugging Face hub."""
    prompt: UseAppendAction[tuple[str, ...]] = ()
    """A prompt; given several times, several. It is taken as it is; \\n is a line break."""
    prompts: str | None = None
    """Data set with a column `prompt`, texts or chat messages."""
    chat: bool = False
    """Give each --prompt to the model as a user's message."""
    samples: int = 1
    """Completions of each prompt."""
    best_of: int | None = None
    """Draw so many completions of each prompt and keep the one with the highest reward."""
    reward: UseAppendAction[tuple[str, ...]] = ()
    """What judges completions, written [NAME=]PLACE[@WEIGHT], as for foolsgold train rl."""
    score: int | None = None
    """Which score to ask a score-conditioned model for, from 1 up; the best where not given."""
    max_new_tokens: int = 128
    """Tokens of a completion."""
    temperature: float = 1.0
    """Of sampling; 0 takes the likeliest token."""
    top_k: int = 0
    """Draw from the k likeliest tokens; 0 from all."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together hold this probability."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion."""
    seed: int = 0
    """The same seed gives the same completions."""
    output: str | None = None
    """File to write, .jsonl or .jsonl.gz; printed where not given."""
    device: str = "auto"
    """cpu or cuda; auto takes the GPU where there is one."""

    def __post_init__(self) -> None:
        if self.samples < 1 or (self.best_of is not None and self.best_of < 1):
            raise UserError("--samples and --best-of are at least 1")
        if self.best_of is not None and not self.reward:
            raise UserError("--best-of needs a --reward to choose by")
        if self.best_of is not None and self.samples > 1:
            raise UserError("--best-of keeps one completion of each prompt; leave out --samples")
        if self.max_new_tokens < 1 or self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise UserError(
                "--max-new-tokens is at least 1, --temperature and --top-k at least 0, --top-p above 0 up to 1"
            )
        if self.chat and self.prompts:
            raise UserError("--chat is for --prompt; in --prompts, write messages")


def main(command: GenerateCommand) -> None:
    """Draw, judge, print or write.

    Raises:
      UserError: model, prompts or rewards cannot be had, or a reward failed.
    """
    from foolsgold.policies.hub import load_policy
    from foolsgold.serving.training_run import device_of, required
    from foolsgold.training.dataset_files import write_jsonl

    asked = _prompts(command)
    model = required(command.model, "--model", "the folder of a model, or its name on the Hugging Face hub")
    rows = _completed(load_policy(model, device=device_of(command)), asked, command)
    if command.output is not None:
        write_jsonl(command.output, rows)
        return
    for row in rows:
        reward = f"  [{row['reward']:.4g}]" if "reward" in row else ""
        prompt = row["prompt"] if isinstance(row["prompt"], str) else row["prompt"][-1]["content"]
        print(f"> {prompt.rstrip()}{reward}\n{row['completion']}\n", flush=True)


def _prompts(command: GenerateCommand) -> list[PromptRow]:
    from foolsgold.training.dataset_files import read_rows
    from foolsgold.training.datasets import PromptRow, prompts

    texts = [text.replace("\\n", "\n") for text in command.prompt]
    given = [PromptRow([{"role": "user", "content": text}] if command.chat else text, {}) for text in texts]
    rows = given + (prompts(read_rows(command.prompts)) if command.prompts else [])
    if not rows:
        raise UserError("there is nothing to answer; give --prompt or --prompts")
    return rows


def _completed(policy: Policy, asked: list[PromptRow], command: GenerateCommand) -> Iterator[dict[str, Any]]:
    """Prompt, completion and, where there are rewards, the reward, a row each."""
    from foolsgold.policies.generate import Sampling
    from foolsgold.policies.hub import sample
    from foolsgold.policies.tokenizer import encode_prompt
    from foolsgold.rewards.scoring import Scorer
    from foolsgold.serving.reward_specs import load_rewards
    from foolsgold.serving.training_run import device_of
    from foolsgold.training.datasets import keyword_lists

    tokenizer, count = policy.tokenizer, command.best_of or command.samples
    scorer = Scorer(load_rewards(command.reward, device_of(command)), None) if command.reward else None
    sampling = Sampling(
        command.max_new_tokens, command.temperature, command.top_k, command.top_p, policy.stop_tokens, command.stop
    )
    decode: Any = tokenizer.decode if command.stop else None
    ids = _with_score(policy, [encode_prompt(tokenizer, row.prompt) for row in asked], command)
    together = max(1, TOGETHER // count)
    for start in range(0, len(asked), together):
        drawn = sample(policy.model, ids[start : start + together], sampling, command.seed + start, count, decode)
        completions = drawn.completions()
        texts = tokenizer.batch_decode(completions, skip_special_tokens=True)
        repeated = [row for row in asked[start : start + together] for _ in range(count)]
        rows = [{"prompt": row.prompt, "completion": text} for row, text in zip(repeated, texts, strict=True)]
        if scorer is not None:
            answers = [_in_form_of(row.prompt, text) for row, text in zip(repeated, texts, strict=True)]
            columns: dict[str, Any] = {"completion_ids": completions, **keyword_lists(repeated)}
            scores = scorer.score([row.prompt for row in repeated], answers, **columns).total.tolist()
            rows = [{**row, "reward": score} for row, score in zip(rows, scores, strict=True)]
        yield from _best(rows, count) if command.best_of else rows


def _in_form_of(prompt: Text, text: str) -> Text:
    """A completion as rewards get it: to messages, one message of the assistant."""
    return text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]


def _best(rows: list[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    for start in range(0, len(rows), count):
        yield max(rows[start : start + count], key=lambda row: (row["reward"] == row["reward"], row["reward"]))


def _with_score(policy: Policy, ids: list[list[int]], command: GenerateCommand) -> list[list[int]]:
    """Prompts that ask for a score, where the model was trained to be asked."""
    from foolsgold.serving.score_words import load_conditioning

    conditioning = load_conditioning(policy.source)
    if conditioning is None:
        if command.score is not None:
            raise UserError(f"{policy.source} is not score-conditioned; leave out --score")
        return ids
    if command.score is not None and not 1 <= command.score <= len(conditioning.words):
        raise UserError(f"--score {command.score}: this model knows scores from 1 to {len(conditioning.words)}")
    bin = None if command.score is None else command.score - 1
    return [conditioning.ask(prompt, bin) for prompt in ids]
