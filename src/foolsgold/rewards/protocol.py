"""The reward protocol, which is TRL's: a reward written for TRL's GRPOTrainer runs here, and ours run there.

A reward is a function, or any object that can be called, with keyword arguments:

    def brevity(prompts, completions, **columns):
        return [-float(len(completion)) for completion in completions]

It gets the batch's prompts and completions (strings, or lists of chat messages), the further columns of the data set
as lists of the same length, and what `foolsgold.rewards.scoring.Scorer` adds. It returns one number a completion, or
None where it does not apply. `async def` works too.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from foolsgold.errors import UserError

Rewards = list[float | None]


class Reward(Protocol):
    """What judges completions; see the module's docstring."""

    def __call__(
        self, *, prompts: list[Any], completions: list[Any], **columns: Any
    ) -> Rewards | Awaitable[Rewards]: ...


@dataclass(frozen=True)
class TrainerState:
    """How far training has come, for rewards that change on the way; fields are named as in transformers."""

    global_step: int = 0
    max_steps: int = 0
    """Steps planned; 0 outside training."""
    epoch: float = 0.0


def reward_name(reward: Callable[..., Any]) -> str:
    """What to call `reward` in tables: its `__name__`, else its class."""
    reward = _unwrapped(reward)
    return getattr(reward, "__name__", type(reward).__name__)


def is_async(reward: Callable[..., Any]) -> bool:
    """Whether calling `reward` gives something to await."""
    reward = _unwrapped(reward)
    return inspect.iscoroutinefunction(reward) or inspect.iscoroutinefunction(getattr(reward, "__call__", None))  # noqa: B004


def _unwrapped(reward: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(reward, functools.partial):
        reward = reward.func
    return reward


def load_reward(spec: str) -> Reward:
    """The user's own reward, from `path/to/file.py:function` or `package.module:function`.

    The file or module is imported: it is the user's program and may do anything. As with `python file.py`, it can
    import its neighbours.

    Raises:
      UserError: `spec` has another form, nothing lies there, importing it failed, or it holds no such function.
    """
    place, _, name = spec.rpartition(":")
    if not place or not name.isidentifier():
        raise UserError(f"no reward {spec!r}; write path/to/file.py:function or package.module:function")
    module = _module_from_file(Path(place)) if place.endswith(".py") else _module(place)
    if not hasattr(module, name):
        raise UserError(f"{place} has no {name!r}; it has {_functions(module)}")
    reward = getattr(module, name)
    if inspect.isclass(reward) or not callable(reward):
        raise UserError(f"{spec} is {_what(reward)}, not a function; it has {_functions(module)}")
    return cast(Reward, reward)


def _module_from_file(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise UserError(f"no file {path}; write path/to/file.py:function")
    # Two files of the same name in two folders are two modules.
    name = f"{path.stem}_{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # at the end: a neighbour must not hide a library
    loading = importlib.util.spec_from_file_location(name, path)
    assert loading is not None  # true of every name that ends in .py
    assert loading.loader is not None
    module = importlib.util.module_from_spec(loading)
    sys.modules[name] = module  # dataclasses and pickle look their module up by its name
    try:
        loading.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        hint = "; install it, or write path/to/file.py:function" if isinstance(error, ModuleNotFoundError) else ""
        raise UserError(f"{name} cannot be imported: {type(error).__name__}: {error}{hint}") from error


def _functions(module: ModuleType) -> str:
    """The functions that `module` itself defines, for a person who mistyped one."""
    own = [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    return ", ".join(own) or "no functions"


def _what(value: object) -> str:
    return "a class" if inspect.isclass(value) else f"of type {type(value).__name__}"
