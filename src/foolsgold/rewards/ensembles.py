"""Several rewards as one that is harder to fool: what only some of them like, all of them pay less for.

Letters: M members, B completions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from foolsgold.errors import UserError
from foolsgold.policies.messages import Text
from foolsgold.rewards.protocol import Reward, is_async, reward_name
from foolsgold.rewards.text_reward_model import TokenPair

Module = TypeVar("Module", bound=torch.nn.Module)
Combine = Callable[[np.ndarray], np.ndarray]
"""Maps the members' scores `[M, B]` to one of each completion, `[B]`."""


def mean(scores: np.ndarray) -> np.ndarray:
    """The members' mean, `[B]`."""
    return scores.mean(0)


def worst_case(scores: np.ndarray) -> np.ndarray:
    """The least that any member gives, `[B]` (Coste et al. 2024)."""
    return scores.min(0)


def mean_minus_deviations(k: float) -> Combine:
    """The members' mean less `k` of their standard deviations.

    Coste et al. 2024 (uncertainty-weighted optimisation) take off the variance, which depends on the scores' scale;
    the deviation has the unit of the scores, so one `k` means the same everywhere.
    """
    return partial(_mean_minus_deviations, k=k)


def _mean_minus_deviations(scores: np.ndarray, k: float) -> np.ndarray:
    return scores.mean(0) - k * disagreement(scores)


def disagreement(scores: np.ndarray) -> np.ndarray:
    """Standard deviation of M members, `[M, B]` -> `[B]`; that of these members, not of all there might be."""
    return scores.std(0)


@dataclass(frozen=True)
class Judgement:
    """What an ensemble says of B completions; NaN where a member did not apply."""

    total: np.ndarray
    """float64 `[B]`, the reward"""
    disagreement: np.ndarray
    """float64 `[B]`, standard deviation of the members"""
    members: np.ndarray
    """float64 `[M, B]`, each member's score, its offset taken off"""


class Ensemble:
    """A reward made of rewards, all asked about every completion.

    Each completion's disagreement goes to TRL's `log_extra`, its mean to `log_metric`, under `<name>_disagreement`.

    Args:
      members: rewards that are plain functions, not async ones.
      combine: `mean`, `worst_case`, `mean_minus_deviations(k)`, or a function of your own.
      name: what to call it in tables.
      offsets: `[M]`, taken off each member's scores; see `centred`.

    Raises:
      UserError: there is no member, or an async one.
    """

    def __init__(
        self,
        members: Sequence[Reward],
        combine: Combine = mean,
        name: str = "ensemble",
        offsets: Sequence[float] | None = None,
    ):
        if not members:
            raise UserError("an ensemble needs at least one reward")
        for member in members:
            if is_async(member):
                raise UserError(f"{reward_name(member)} is async; members of an ensemble are plain functions")
        self.members, self.combine = tuple(members), combine
        self.offsets = np.zeros(len(members)) if offsets is None else np.asarray(offsets, np.float64)
        self.__name__ = name

    def centred(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Ensemble:
        """The same with every member's mean on these completions taken off.

        Comparisons leave open where a reward model's scores lie, so the member that happens to lie lowest would
        otherwise be the worst case of everything.
        """
        scores = self._ask(prompts, completions, columns)
        return Ensemble(self.members, self.combine, self.__name__, np.nanmean(scores, 1).tolist())

    def judge(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> Judgement:
        """Reward, disagreement and the members' scores."""
        return self._judgement(self._ask(prompts, completions, columns))

    def judge_tokens(self, pairs: Sequence[TokenPair]) -> Judgement:
        """As `judge`, of tokens.

        Raises:
          UserError: a member is no reward model, which alone can read tokens.
        """
        for member in self.members:
            if not hasattr(member, "scores"):
                raise UserError(f"{reward_name(member)} reads texts, not tokens; call the ensemble with texts")
        return self._judgement(np.array([member.scores(pairs) for member in self.members], np.float64))  # type: ignore[attr-defined]

    def scores(self, pairs: Sequence[TokenPair]) -> np.ndarray:
        """Rewards of tokens as a policy sampled them, float32 `[B]`; see `judge_tokens`."""
        return self.judge_tokens(pairs).total.astype(np.float32)

    def __call__(self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any) -> list[float | None]:
        """Rewards `[B]`, None where a member did not apply."""
        judgement = self.judge(prompts, completions, **columns)
        spread = [None if np.isnan(x) else float(x) for x in judgement.disagreement]
        if "log_extra" in columns:
            columns["log_extra"](f"{self.__name__}_disagreement", spread)
        known = [x for x in spread if x is not None]
        if "log_metric" in columns and known:
            columns["log_metric"](f"{self.__name__}_disagreement", sum(known) / len(known))
        return [None if np.isnan(x) else float(x) for x in judgement.total]

    def _ask(self, prompts: Sequence[Text], completions: Sequence[Text], columns: dict[str, Any]) -> np.ndarray:
        # Lists of its own for each member: one that sorts its completions must not shuffle the next one's.
        said = [m(prompts=list(prompts), completions=list(completions), **columns) for m in self.members]
        return np.array([[np.nan if x is None else float(x) for x in row] for row in said])  # type: ignore[union-attr]

    def _judgement(self, scores: np.ndarray) -> Judgement:
        scores = scores - self.offsets[:, None]
        return Judgement(self.combine(scores), disagreement(scores), scores)


def average_weights(models: Sequence[Module]) -> Module:
    """One reward model with the mean of all models' weights: an ensemble at the price of one.

    They must be fitted from one start, head included, on data or in orders of their own; weights that did not start
    together have no mean that means anything.

    Args:
      models: unchanged; the mean is taken in float32 and comes in the first one's types, in evaluation mode.

    Raises:
      ValueError: no models, or of different shapes.

    Source: Ramé et al. 2024 (WARM).
    """
    if not models:
        raise ValueError("there are no models to average")
    states = [model.state_dict() for model in models]
    first = {name: tensor.shape for name, tensor in states[0].items()}
    if any({name: tensor.shape for name, tensor in state.items()} != first for state in states):
        raise ValueError("models of different shapes have no mean; give models fitted from one start")
    averaged = copy.deepcopy(models[0])
    averaged.load_state_dict(
        {name: sum(state[name].float() for state in states) / len(states) for name in first}  # type: ignore[misc]
    )
    return averaged.eval()
