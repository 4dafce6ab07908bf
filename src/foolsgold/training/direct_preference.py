"""Fit a policy to preferences directly: DPO and IPO to comparisons, KTO to single judged completions.

One trainer. A method is an `Objective`: which sequences a row is made of and what loss their log-probabilities give.

Letters: K rows, B of a step, M sequences a row (2 of a comparison, 1 of a judged completion), T tokens.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from foolsgold.errors import UserError
from foolsgold.objectives import direct_preference as objectives
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.rewards.text_reward_model import TokenPair
from foolsgold.training.batches import batch_indices, pad_pairs, truncated
from foolsgold.training.float32_weights import restore_float32
from foolsgold.training.loop import Loop, LoopSettings, Metrics
from foolsgold.training.optimiser import working_dtype
from foolsgold.training.text_reward_model import TextComparisons


@dataclass(frozen=True)
class DirectPreferenceSettings:
    """Of one run."""

    loop: LoopSettings
    batch: int = 32
    """Rows of a step."""
    micro_batch: int = 0
    """Rows of a forward, for the sake of memory; 0: the whole batch. It does not change the result."""
    max_length: int | None = None
    """Tokens of a row; a longer one loses the start of its prompt, then the end of its completion."""


@dataclass(frozen=True)
class Likelihoods:
    """Log-probabilities of whole completions, nats."""

    policy: torch.Tensor
    """float32 `[B, M]`"""
    reference: torch.Tensor
    """float32 `[B, M]`"""
    lengths: torch.Tensor
    """float32 `[B, M]`, tokens of each completion"""

    @property
    def log_ratio(self) -> torch.Tensor:
        """`[B, M]`, nats by which the policy finds the completion likelier than the reference does."""
        return self.policy - self.reference


class Objective(Protocol):
    """What one method needs of the trainer."""

    sequences: Sequence[TokenPair]
    """All (prompt, completion) that are ever read."""
    members: np.ndarray
    """int64 `[K, M]`, the sequences of each row that are learned from."""
    strangers: np.ndarray
    """int64 `[K, 0 or 1]`, sequences that a row's batch is measured on, without a gradient, before it is learned."""

    def loss(self, rows: np.ndarray, learned: Likelihoods, measured: Likelihoods) -> torch.Tensor:
        """Mean loss of rows `[B]`, `[]`; `measured` is of the whole batch, of which `rows` may be a part."""
        ...

    def figures(self, rows: np.ndarray, learned: Likelihoods, measured: Likelihoods) -> Metrics:
        """What to log of a batch."""
        ...


PairLoss = Callable[[Likelihoods], torch.Tensor]
"""Mean loss `[]` of comparisons, chosen in column 0, rejected in column 1."""


def dpo(beta: float = 0.1, label_smoothing: float = 0.0) -> PairLoss:
    """See `objectives.direct_preference.dpo_loss`."""

    def loss(pairs: Likelihoods) -> torch.Tensor:
        columns = (*pairs.policy.T, *pairs.reference.T)
        return objectives.dpo_loss(*columns, beta=beta, label_smoothing=label_smoothing)

    return loss


def ipo(beta: float = 0.1) -> PairLoss:
    """See `objectives.direct_preference.ipo_loss`."""
    return lambda pairs: objectives.ipo_loss(*pairs.policy.T, *pairs.reference.T, *pairs.lengths.T, beta=beta)


class Comparisons:
    """The objective of methods that learn from comparisons.

    Args:
      comparisons: K of them; DPO and IPO know neither margins nor shares of raters nor weights.
      loss: `dpo()`, `ipo()`, or one of your own.

    Raises:
      UserError: the comparisons carry margins, shares of raters or weights.
    """

    def __init__(self, comparisons: TextComparisons, loss: PairLoss):
        if any(x is not None for x in (comparisons.margins, comparisons.probabilities, comparisons.weights)):
            raise UserError("direct preference losses take plain comparisons; leave out margins, shares and weights")
        chosen = zip(comparisons.prompts, comparisons.chosen, strict=True)
        rejected = zip(comparisons.prompts, comparisons.rejected, strict=True)
        self.sequences: Sequence[TokenPair] = [*chosen, *rejected]
        self.members = np.arange(2 * len(comparisons)).reshape(2, -1).T
        self.strangers = np.empty((len(comparisons), 0), np.int64)
        self._loss = loss

    def loss(self, rows: np.ndarray, learned: Likelihoods, measured: Likelihoods) -> torch.Tensor:
        return self._loss(learned)

    def figures(self, rows: np.ndarray, learned: Likelihoods, measured: Likelihoods) -> Metrics:
        chosen, rejected = learned.log_ratio.T
        return {
            "accuracy": float((chosen > rejected).float().mean()),
            "margin": float((chosen - rejected).mean()),
            "chosen_log_ratio": float(chosen.mean()),
            "rejected_log_ratio": float(rejected.mean()),
        }


class JudgedCompletions:
    """The objective of KTO (Ethayarajh et al. 2024), which needs no pairs.

    Its reference point is measured on completions of other prompts. Each prompt has one such stranger for the whole
    run, drawn at random, so that the reference's view of it is worked out once like all others.

    Args:
      rows: K prompts and completions.
      desirable: bool `[K]`, thumbs up.
      beta: price of KL.
      desirable_weight, undesirable_weight: how much each kind counts; see `objectives.direct_preference.kto_loss`.
      seed: of the strangers.

    Raises:
      UserError: all rows have the same prompt, or there are not as many judgements as rows.
    """

    def __init__(
        self,
        rows: Sequence[TokenPair],
        desirable: Sequence[bool] | np.ndarray,
        beta: float = 0.1,
        desirable_weight: float = 1.0,
        undesirable_weight: float = 1.0,
        seed: int = 0,
    ):
        if len(rows) != len(desirable):
            raise UserError(f"{len(desirable)} judgements for {len(rows)} rows; give one a row")
        n = len(rows)
        strangers = _others([tuple(prompt) for prompt, _ in rows], seed)
        self.sequences: Sequence[TokenPair] = [*rows, *((rows[i][0], rows[j][1]) for i, j in enumerate(strangers))]
        self.members = np.arange(n)[:, None]
        self.strangers = np.arange(n, 2 * n)[:, None]
        self.desirable = torch.as_tensor(np.asarray(desirable, bool))
        self.beta, self.weights = beta, (desirable_weight, undesirable_weight)

    def loss(self, rows: np.ndarray, learned: Likelihoods, measured: Likelihoods) -> torch.Tensor:
        return objectives.kto_loss(
            learned.policy[:, 0],
            learned.reference[:, 0],
            self.desirable[rows].to(learned.policy.device),
            objectives.kto_reference_kl(measured.policy, measured.reference),
            beta=self.beta,
            desirable_weight=self.weights[0],
            undesirable_weight=self.weights[1],
        )

    def figures(self, rows: np.ndarray, learned: Likelihoods, measured: Likelihoods) -> Metrics:
        figures = {"reference_kl": float(objectives.kto_reference_kl(measured.policy, measured.reference))}
        desirable = self.desirable[rows].to(learned.policy.device)
        for name, kind in (("desirable_log_ratio", desirable), ("undesirable_log_ratio", ~desirable)):
            if kind.any():
                figures[name] = float(learned.log_ratio[kind].mean())
        return figures


def _others(prompts: Sequence[tuple[int, ...]], seed: int) -> np.ndarray:
    """For each row another one with another prompt: int64 `[K]`."""
    n = len(prompts)
    if len(set(prompts)) < 2:
        raise UserError("KTO measures its reference point on answers to other prompts; give rows of two or more")
    order = np.random.default_rng(seed).permutation(n)
    place = np.argsort(order)
    others = np.empty(n, np.int64)
    for row in range(n):
        step = 1
        while prompts[order[(place[row] + step) % n]] == prompts[row]:
            step += 1
        others[row] = order[(place[row] + step) % n]
    return others


def fit_preferences(
    policy: torch.nn.Module,
    objective: Objective,
    settings: DirectPreferenceSettings,
    folder: str | Path | None = None,
    report: Callable[[int, Metrics], None] = lambda step, metrics: None,
    evaluate: Callable[[int], Metrics] | None = None,
) -> Loop:
    """Train `policy` in place; it ends in float32. A run in `folder` is taken up where it stopped. Returns the loop.

    The reference is `policy` as it comes. What it says of every sequence is worked out once, before the first step;
    for a run that goes on, again from the same start.

    Args:
      policy: a `Decoder`, or any module that gives logits `[B, T, V]` for tokens `[B, T]`; the start, also where a
        killed run goes on.
      objective: `Comparisons(rows, dpo())`, `Comparisons(rows, ipo())` or `JudgedCompletions(rows, thumbs)`.
      report: gets every step's `loss`, `gradient_norm`, `rows_per_second` and the objective's figures; of comparisons
        the `accuracy` and the mean `margin` in log ratio, nats, without beta.

    Raises:
      UserError: there are no rows, a loss is not finite, or a run is taken up with another start than it had.
    """
    n, size = len(objective.members), settings.micro_batch or settings.batch
    if not n:
        raise UserError("there are no preferences to learn from; give at least one")
    sequences = [truncated(prompt, completion, settings.max_length) for prompt, completion in objective.sequences]
    lengths = torch.tensor([float(len(completion)) for _, completion in sequences])
    reference = _of_frozen_copy(policy, sequences, settings.loop.dtype, 2 * size)
    loop = Loop(policy, settings.loop, folder)
    _check_start(loop, reference)

    def read(indices: np.ndarray) -> Likelihoods:
        flat = indices.ravel()
        log_probs = completion_log_probs(policy, [sequences[i] for i in flat]) if len(flat) else reference[:0]
        columns = (log_probs, reference[flat], lengths[flat].to(reference.device))
        return Likelihoods(*(column.view(indices.shape) for column in columns))

    def body(step: int) -> Metrics:
        started = time.perf_counter()
        rows = batch_indices(n, settings.batch, step, settings.loop.seed)
        parts = [rows[i : i + size] for i in range(0, len(rows), size)]
        with torch.no_grad():
            measured = _joined([read(objective.strangers[part]) for part in parts])
        loss, seen = 0.0, []
        for part in parts:
            learned = read(objective.members[part])
            share = objective.loss(part, learned, measured) * (len(part) / len(rows))
            seen.append(replace(learned, policy=learned.policy.detach()))
            loss += loop.backward(share, {"rows": torch.from_numpy(part), "log_probs": seen[-1].policy})
        norm = loop.update({"rows": torch.from_numpy(rows)})
        return {
            "loss": loss,
            "gradient_norm": norm,
            **objective.figures(rows, _joined(seen), measured),
            "rows_per_second": len(rows) / (time.perf_counter() - started),
        }

    loop.run(body, report, evaluate)
    restore_float32(loop)
    return loop


def completion_log_probs(model: torch.nn.Module, pairs: Sequence[TokenPair]) -> torch.Tensor:
    """Log-probabilities of whole completions given their prompts, nats, float32 `[N]`."""
    # Padding stands where causality hides it, so any token does.
    batch = pad_pairs(pairs, pad=0).to(next(model.parameters()).device)
    return token_log_probs(model, batch.tokens, batch.completion_mask).sum(1)


@torch.no_grad()
def _of_frozen_copy(
    policy: torch.nn.Module, sequences: Sequence[TokenPair], dtype: torch.dtype | None, size: int
) -> torch.Tensor:
    """`completion_log_probs` of all sequences, `[N]`, in the precision that the policy will be trained in.

    The two then agree before the first step, which their difference would otherwise hide in rounding.
    """
    frozen = copy.deepcopy(policy).eval()
    device = next(policy.parameters()).device
    for parameter in frozen.parameters():
        parameter.data = parameter.data.to(dtype or working_dtype(device))
    order = np.argsort([len(prompt) + len(completion) for prompt, completion in sequences], kind="stable")
    found = torch.empty(len(sequences), device=device)
    for start in range(0, len(sequences), size):
        rows = order[start : start + size]
        found[rows] = completion_log_probs(frozen, [sequences[i] for i in rows])
    return found


def _check_start(loop: Loop, reference: torch.Tensor) -> None:
    mean = float(reference.mean())
    before = loop.memory.setdefault("reference_log_prob", mean)
    if abs(mean - before) > 1e-3 * abs(before):
        raise UserError(
            f"{loop.folder} was begun with another policy or other data (mean log-probability {before:.4f}, now "
            f"{mean:.4f}); give the ones it began with, or name another folder"
        )


def _joined(parts: Sequence[Likelihoods]) -> Likelihoods:
    return Likelihoods(
        torch.cat([part.policy for part in parts]),
        torch.cat([part.reference for part in parts]),
        torch.cat([part.lengths for part in parts]),
    )
