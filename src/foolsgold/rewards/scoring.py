"""Several weighted rewards as one number a completion, guarded against rewards that fail.

A reward that fails stops training, since a policy trained on made-up numbers is worse than none. The batch it failed
on is saved first, so that it can be looked at.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.policies.messages import Text
from foolsgold.rewards.protocol import Reward, TrainerState, is_async, reward_name
from foolsgold.rewards.time_limit import EventLoop, OverTime, call

_OURS = ("trainer_state", "log_extra", "log_metric")
"""Keywords that TRL gives to every reward, and so do we."""


class RewardFailure(UserError):
    """A reward raised an error, ran out of time or returned what is no reward."""


@dataclass(frozen=True)
class WeightedReward:
    """One reward of several."""

    reward: Reward
    weight: float = 1.0
    name: str = ""
    """What to call it; empty: as it calls itself."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise ValueError(f"a reward's weight is a finite number, not {self.weight}")
        if not self.name:
            object.__setattr__(self, "name", reward_name(self.reward))


@dataclass(frozen=True)
class Scores:
    """Rewards of B completions."""

    names: tuple[str, ...]
    """`[n_rewards]`"""
    components: np.ndarray
    """float64 `[n_rewards, B]`, NaN where a reward did not apply"""
    total: np.ndarray
    """float64 `[B]`, sum of weight times reward over the rewards that applied; NaN where none did"""
    extras: dict[str, list[Any]] = field(default_factory=dict)
    """Columns `[B]` that rewards logged with `log_extra`."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Means of what rewards logged with `log_metric`."""

    @property
    def means(self) -> dict[str, float]:
        """Each reward's mean over the completions it applied to, NaN where there were none."""
        applied = ~np.isnan(self.components)
        sums = np.where(applied, self.components, 0.0).sum(1)
        counts = applied.sum(1)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        return dict(zip(self.names, means.tolist(), strict=True))


class Scorer:
    """Scores completions with all of its rewards.

    Rewards run one after the other, while those written with `async def` run beside them, together.
    """

    def __init__(
        self,
        rewards: Sequence[WeightedReward],
        time_limit_s: float | None = 60.0,
        failures: str | Path = "failures",
    ):
        """
        Args:
          time_limit_s: what each reward may take for one batch, in seconds. With a limit, rewards run on threads
            other than the caller's; None lifts it, for rewards that must run where they were made.
          failures: folder in which batches that a reward failed on are saved.

        Raises:
          UserError: there is no reward, two have the same name, or the limit is not above 0.
        """
        names = [each.name for each in rewards]
        if not names:
            raise UserError("no reward is given; give at least one")
        if len(set(names)) < len(names):
            raise UserError(f"two rewards have the same name: {', '.join(names)}; name each of them")
        if time_limit_s is not None and not time_limit_s > 0:
            raise UserError(f"a reward's time limit is {time_limit_s} s; it must be above 0")
        self.rewards = tuple(rewards)
        self.time_limit_s = time_limit_s
        self.failures = Path(failures)
        self._loop = EventLoop()

    def score(
        self,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        *,
        trainer_state: TrainerState | None = None,
        **columns: Sequence[Any],
    ) -> Scores:
        """Rewards of B completions.

        Every reward gets, as in TRL, `prompts`, `completions`, `columns`, `trainer_state` and the functions
        `log_extra(column, values)` and `log_metric(name, value)`.

        Args:
          prompts: `[B]`.
          completions: `[B]`.
          columns: `[B]` each: the data set's further columns, and `completion_ids` where there are any.

        Raises:
          RewardFailure: a reward raised an error, took longer than the limit, or returned anything but B finite
            numbers or None. The message says where the batch lies.
          ValueError: the lengths differ, or a column has a name that rewards get from us.
        """
        batch = {"prompts": list(prompts), "completions": list(completions), **columns}
        for name, column in batch.items():
            if len(column) != len(prompts):
                raise ValueError(f"{name} has {len(column)} entries for {len(prompts)} prompts")
            if name in _OURS:
                raise ValueError(f"a column cannot be named {name}: rewards get something else by this name")
        extras: dict[str, list[Any]] = {}
        logged: dict[str, list[float]] = {}
        given = {
            "trainer_state": trainer_state or TrainerState(),
            "log_extra": lambda column, values: extras.setdefault(column, []).extend(values),
            "log_metric": lambda name, value: logged.setdefault(name, []).append(float(value)),
        }
        waiting = [self._start(each.reward, batch, given) for each in self.rewards]
        components = np.empty((len(self.rewards), len(prompts)))
        for i, (each, result) in enumerate(zip(self.rewards, waiting, strict=True)):
            try:
                components[i] = _numbers(result(), len(prompts))
            except (Exception, SystemExit) as error:
                raise self._failure(each.name, error, batch) from error
        return Scores(
            names=tuple(each.name for each in self.rewards),
            components=components,
            total=weighted_total(components, np.array([each.weight for each in self.rewards])),
            extras=extras,
            metrics={name: sum(values) / len(values) for name, values in logged.items()},
        )

    def _start(self, reward: Reward, batch: Mapping[str, Any], given: Mapping[str, Any]) -> Callable[[], Any]:
        """Begins an async reward; any other one begins when the function returned is called."""
        # Lists of its own for each reward: one that sorts its completions must not shuffle the next one's.
        function = functools.partial(reward, **{name: list(column) for name, column in batch.items()}, **given)
        if is_async(reward):
            return self._loop.start(function, self.time_limit_s)  # type: ignore[arg-type]
        return lambda: call(function, self.time_limit_s)

    def _failure(self, name: str, error: BaseException, batch: Mapping[str, Sequence[Any]]) -> RewardFailure:
        if isinstance(error, OverTime):
            reason = f"took longer than {self.time_limit_s:g} s" + (f" ({error})" if str(error) else "")
        elif isinstance(error, _NoRewards):
            reason = f"returned {error}"
        else:
            reason = f"raised {type(error).__name__}: {error}{_place(error)}"
        try:
            saved = f"the batch is saved in {save_batch(batch, self.failures, name)}"
        except UserError as unsaved:
            saved = f"the batch could not be saved: {unsaved}"
        return RewardFailure(f"reward {name!r} {reason}; {saved}")


def weighted_total(components: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of weight times reward, rewards that do not apply left out: `[n, B]`, `[n]` -> float64 `[B]`.

    NaN where no reward applies, as in TRL: 0 would be a reward like another, which nobody gave.
    """
    total = np.nansum(components * weights[:, None], axis=0)
    return np.where(np.isnan(components).all(0), np.nan, total)


def save_batch(batch: Mapping[str, Sequence[Any]], folder: Path, name: str) -> Path:
    """Write a batch as JSONL, one line a completion, to a new file in `folder`; what JSON cannot hold as its `repr`.

    Raises:
      UserError: the folder cannot be written.
    """
    singular = {"prompts": "prompt", "completions": "completion"}
    names = [singular.get(column, column) for column in batch]
    rows = (dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True))
    lines = "".join(json.dumps(row, default=repr) + "\n" for row in rows)
    stem = re.sub(r"\W+", "_", name)
    taken = set(folder.glob(f"{stem}-*.jsonl"))
    path = next(path for i in itertools.count(1) if (path := folder / f"{stem}-{i:03}.jsonl") not in taken)
    return write_text(path, lines)


class _NoRewards(Exception):
    """What came back is not one number a completion; the message goes on from "returned"."""


def _numbers(returned: Any, count: int) -> list[float]:
    """`[count]`, NaN for None. Numbers are those of Python, NumPy and torch, and truth values, as TRL takes them."""
    if hasattr(returned, "tolist"):
        returned = returned.tolist()
    if isinstance(returned, (str, bytes, Mapping)) or not isinstance(returned, Iterable):
        raise _NoRewards(f"{_shown(returned)}, not a list of {count} numbers")
    values = list(returned)
    if len(values) != count:
        raise _NoRewards(f"{len(values)} rewards for {count} completions")
    return [_number(i, value) for i, value in enumerate(values)]


def _number(i: int, value: Any) -> float:
    if value is None:
        return math.nan
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, (int, float)):
        raise _NoRewards(f"{_shown(value)} for completion {i}; a reward is a number, or None where it does not apply")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _NoRewards(f"{number} for completion {i}; rewards are finite, or None where they do not apply")
    return number


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:60] + '…'} ({type(value).__name__})"


def _place(error: BaseException) -> str:
    """Where the reward's own code raised, since people are shown no stack trace."""
    frames = traceback.extract_tb(error.__traceback__)
    here = str(Path(__file__).parent)
    inner = [frame for frame in frames if not frame.filename.startswith(here)]
    return f" ({inner[-1].filename}, line {inner[-1].lineno})" if inner else ""
