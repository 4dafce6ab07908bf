"""Evidence collected: completions of a policy and of snapshots of its training, with proxy and gold of each.

First everything is drawn and scored by the proxy, which is cheap. Then it is chosen what gold is asked for, and asked.
All of it is kept on disk piece by piece: an audit that was interrupted goes on, and one of a running folder measures
only what is new.

Letters: P prompts, N completions of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foolsgold.audit.evidence import Checkpoint, Evidence, Samples
from foolsgold.audit.gold_labels import Draw, draw_labels
from foolsgold.audit.gold_labels import Pool as LabelPool
from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.objectives.kl import SequenceKL, sequence_kl
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.hub import LanguageModel, load_policy
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.messages import Text, plain
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import encode_prompt
from foolsgold.rewards.scoring import Scorer
from foolsgold.training.batches import pad_pairs
from foolsgold.training.best_of_n import Pool, draw_pool
from foolsgold.training.datasets import keyword_lists
from foolsgold.training.optimiser import working_dtype
from foolsgold.training.policy_batches import per_token
from foolsgold.training.rollouts import Task, derived_seed, frozen_copy

ASKED_TOGETHER = 64
"""Completions that gold is asked for at once, and at most paid for twice after an interruption."""
ROWS = 256
"""Completions drawn at once."""
FORWARD = 32
"""Rows of a forward for the KL."""
LEAST_LABELS = 2
"""Fewer of one policy tell nothing about their own error."""

Report = Callable[[int, int], None]


def _silent(done: int, of: int) -> None:
    pass


@dataclass(frozen=True)
class Drawing:
    """How completions are drawn, of the start and of all checkpoints alike.

    Raises:
      UserError: tokens would not come from the policy's whole distribution, to which the KL belongs.
    """

    sampling: Sampling
    """A temperature other than 1 is part of the policy: the KL is then that between both policies at it."""
    samples: int = 64
    """Of each prompt before RL; best of n is known for n up to this."""
    run_samples: int = 4
    """Of each prompt at a checkpoint."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sampling.plain:
            raise UserError(
                "an audit draws from the whole distribution, else there is no KL: no top-k, no top-p, and a "
                f"temperature above 0, not {self.sampling}"
            )
        if self.samples < 2 or self.run_samples < 1:
            raise UserError(f"2 samples or more and 1 at a checkpoint, not {self.samples} and {self.run_samples}")


@dataclass(frozen=True)
class Drawn:
    """What one policy wrote, with its proxy rewards."""

    pool: Pool
    step: int | None
    """Of RL; None for the completions before RL that stand for best of n."""
    kl: SequenceKL
    """From the policy before RL."""
    folder: Path
    """Where its pieces lie."""

    @property
    def name(self) -> str:
        """Whose completions these are, in a file of labels."""
        return "start" if self.step is None else f"step {self.step}"


def draw_start(policy: LanguageModel, task: Task, drawing: Drawing, folder: Path, report: Report = _silent) -> Drawn:
    """Completions of the policy before RL.

    Args:
      task: prompts and the proxy.
      folder: of all pieces.
      report: is told how many of how many pieces are done.

    Raises:
      UserError: the proxy gives a completion no reward, or the folder holds pieces of something else.
      RewardFailure: a reward failed; its batch is on disk.
    """
    pool = _pool(policy, task, drawing, drawing.samples, 0, folder / "start", report)
    return Drawn(pool, None, SequenceKL(0.0, 0.0), folder / "start")


def draw_checkpoints(
    reference: LanguageModel,
    snapshots: Sequence[tuple[int, Path | None]],
    task: Task,
    drawing: Drawing,
    folder: Path,
    report: Report = _silent,
    warn: Callable[[str], None] = lambda line: None,
) -> list[Drawn]:
    """Completions of each snapshot, with the same random numbers, and its KL from the reference.

    Args:
      reference: the policy before RL.
      snapshots: step and Hugging Face directory of each; None for the reference itself.
      report: is told how many of how many snapshots are done.
      warn: is told of each snapshot that cannot be read, which is then left out.

    Raises:
      UserError, RewardFailure: as `draw_start`; besides, a snapshot has another vocabulary than the reference.
    """
    reference = frozen_copy(reference)
    found = []
    for i, (step, place) in enumerate(snapshots):
        model = reference
        if place is not None:
            try:
                loaded = load_policy(place, working_dtype(reference.device), reference.device)
            except (UserError, OSError) as problem:
                warn(f"step {step} is left out, since its snapshot cannot be read: {problem}")
                continue
            _check_pair(loaded.model, loaded.tokenizer, reference, task, place)
            model = frozen_copy(loaded.model.requires_grad_(False))  # shares its memory
        here = folder / f"step-{step:05}"
        pool = _pool(model, task, drawing, drawing.run_samples, 1, here, _silent)
        kl = SequenceKL(0.0, 0.0) if place is None else _kl(model, reference, task, pool, drawing, here / "kl.json")
        found.append(Drawn(pool, step, kl, here))
        report(i + 1, len(snapshots))
    return found


def _pool(
    policy: LanguageModel, task: Task, drawing: Drawing, samples: int, number: int, folder: Path, report: Report
) -> Pool:
    seed = derived_seed(drawing.seed, number)
    pool = draw_pool(policy, task, None, samples, drawing.sampling, seed, ROWS, folder, report)
    missing = np.argwhere(np.isnan(pool.proxy))
    if len(missing):
        raise UserError(
            f"the proxy gives no reward to {len(missing)} of {pool.proxy.size} completions, first to one of prompt "
            f"{missing[0][0] + 1}; leave such prompts out"
        )
    return pool


def _check_pair(model: LanguageModel, tokenizer: Any, reference: LanguageModel, task: Task, place: Path) -> None:
    same = _vocabulary(model) == _vocabulary(reference) and len(tokenizer) == len(task.tokenizer)
    if not same or [encode_prompt(tokenizer, row.prompt) for row in task.prompts] != task.ids:
        raise UserError(f"{place} and the policy before RL have different vocabularies; there is no KL between them")


def _vocabulary(model: LanguageModel) -> int:
    return model.config.vocabulary if isinstance(model, Decoder) else model.vocabulary


def _kl(
    model: LanguageModel, reference: LanguageModel, task: Task, pool: Pool, drawing: Drawing, path: Path
) -> SequenceKL:
    """Mean over completions of the log ratio, both sides by the same forward, so that the same weights give 0."""
    if path.exists():
        return SequenceKL(*json.loads(path.read_text(encoding="utf-8")))
    pairs = [(ids, said) for ids, of_prompt in zip(task.ids, pool.tokens, strict=True) for said in of_prompt]
    batch = pad_pairs(pairs, task.tokenizer.pad_token_id or 0)
    columns = {"tokens": batch.tokens, "lengths": batch.lengths, "mask": batch.completion_mask}
    temperature = drawing.sampling.temperature
    policy_says, reference_says = (
        per_token(partial(token_log_probs, each, temperature=temperature), columns, FORWARD, each.device)
        for each in (model, reference)
    )
    found = sequence_kl(policy_says, reference_says, batch.completion_mask)
    write_text(path, json.dumps(found))
    return found


def shares(budget: int | None, checkpoints: int) -> tuple[int | None, int | None]:
    """Labels for the start and for each checkpoint: half for best of n, half for all of RL alike.

    The first half says how far the proxy goes before anything is trained, and finds what only rare completions show;
    the second says where RL stands.

    Args:
      budget: of all; None where everything is judged.
      checkpoints: how many there are, or are to be.

    Raises:
      UserError: too few for any.
    """
    if budget is None:
        return None, None
    start, each = (budget - budget // 2, budget // 2 // checkpoints) if checkpoints else (budget, LEAST_LABELS)
    if min(start, each) < LEAST_LABELS:
        least = 2 * LEAST_LABELS * max(checkpoints, 1)
        raise UserError(f"a budget of {budget} labels is too small for {checkpoints} checkpoints; give {least} or more")
    return start, each


def choose(drawn: Drawn, budget: int | None, seed: int) -> Draw:
    """What gold is asked for: for best of n what it hangs on, at a checkpoint all completions with the same chance.

    Args:
      budget: labels for these; None, or as many as there are: all.
    """
    pool = LabelPool(drawn.pool.prompts, drawn.pool.texts, drawn.pool.proxy, drawn.name)
    ones = np.ones(pool.proxy.shape)
    if budget is None or budget >= ones.size:
        return Draw(pool, ones, ones.astype(bool))
    place = 0 if drawn.step is None else drawn.step + 1
    return draw_labels(pool, budget, None if drawn.step is None else ones, derived_seed(seed, 2, place))


def ask(
    gold: Scorer, task: Task, drawn: Drawn, draw: Draw, report: Report = _silent, place: str | None = None
) -> Samples:
    """The completions of `drawn` with the gold of those in `draw`; what is judged is kept in the folder of `drawn`.

    Args:
      report: is told how many of how many batches are judged.
      place: where gold comes from; what another place has judged is not taken for it, be its name the same.

    Raises:
      UserError: gold gives no completion a reward, or not to one that was chosen at random, which no other can stand
        for.
      RewardFailure: a reward failed; its batch is on disk.
    """
    pool, cells = drawn.pool, np.argwhere(draw.chosen).tolist()
    found = np.full(pool.proxy.shape, np.nan)
    starts = range(0, len(cells), ASKED_TOGETHER)
    for i, start in enumerate(starts):
        batch = cells[start : start + ASKED_TOGETHER]
        path = drawn.folder / f"gold-{i:05}.json"
        names = [[each.name, each.weight] for each in gold.rewards]
        question = {"gold": names, "place": place, "cells": batch}
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if {name: kept.get(name) for name in question} != question:
            kept = {**question, "rewards": _judged(gold, task, pool, batch)}
            write_text(path, json.dumps(kept))
        found[tuple(np.transpose(batch))] = kept["rewards"]
        report(i + 1, len(starts))
    everything = bool(draw.chosen.all())
    if not everything and np.isnan(found[draw.chosen]).any():
        raise UserError(
            f"gold gives no reward to {np.isnan(found[draw.chosen]).sum()} of {len(cells)} completions that were "
            "chosen to be judged; leave such prompts out, or give no budget"
        )
    return Samples(pool.proxy, found, None if everything else draw.chance, pool.texts)


def _judged(gold: Scorer, task: Task, pool: Pool, cells: list[list[int]]) -> list[float]:
    rows = [task.prompts[prompt] for prompt, _ in cells]
    answers = [_answer(row.prompt, pool.texts[p][n]) for row, (p, n) in zip(rows, cells, strict=True)]
    columns: dict[str, Any] = {"completion_ids": [pool.tokens[p][n] for p, n in cells], **keyword_lists(rows)}
    return gold.score([row.prompt for row in rows], answers, **columns).total.tolist()


def _answer(prompt: Text, text: str) -> Text:
    """A completion in the form of its prompt, as rewards get it: to messages, one message of the assistant."""
    return text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]


def as_evidence(found: Sequence[tuple[Drawn, Samples]], proxy_name: str, gold_name: str) -> Evidence:
    """All of it: the start, and checkpoints in the order of their steps.

    Raises:
      UserError: there is nothing.
    """
    starts = [samples for drawn, samples in found if drawn.step is None]
    run = [
        Checkpoint(drawn.step, drawn.kl.mean, samples, drawn.kl.standard_error)
        for drawn, samples in found
        if drawn.step is not None
    ]
    return Evidence(
        start=starts[0] if starts else None,
        run=tuple(sorted(run, key=lambda each: each.step)),
        prompts=[plain(prompt) for prompt in found[0][0].pool.prompts] if found else None,
        proxy_name=proxy_name,
        gold_name=gold_name,
    )
