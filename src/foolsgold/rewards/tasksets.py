"""Tasksets of the library `verifiers` (v1): their tasks as prompts, their scoring as a reward.

Tasks are judged by what the policy wrote alone. A task that needs a container, tools or a runtime to prepare or to
score it is refused at once: half of its rewards would silently be missing.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from foolsgold.errors import UserError
from foolsgold.policies.messages import Message, Text, plain
from foolsgold.rewards.protocol import Rewards

TASKSET = "taskset:"
"""Begins the place of a reward that is a taskset."""


class Taskset:
    """Some tasks of an installed taskset, and the reward for answers to them.

    As a reward it is `async def`, so the tasks of a batch are scored side by side, and needs the column `task` of
    `rows`.
    """

    def __init__(self, name: str, take: int | None = None, settings: Mapping[str, Any] | None = None):
        """
        Args:
          name: as `verifiers` names it: an installed package that exports a taskset.
          take: tasks at most; None takes all of a finite one.
          settings: of the taskset, by name.

        Raises:
          UserError: `verifiers` is not installed, there is no such taskset, its settings are wrong, it has no tasks, or
            its tasks cannot be judged by an answer alone.
        """
        try:
            from verifiers.v1.utils import loaders
        except ImportError as error:
            raise UserError(f"tasksets need the package verifiers: pip install foolsgold[tasksets] ({error})") from None
        self.name = self.__name__ = name
        self.settings = dict(settings or {})
        try:
            config = loaders.taskset_config_type(name).model_validate({**self.settings, "id": name})
            loaded = loaders.load_taskset(config)
        except Exception as error:  # a plugin may raise what it likes
            raise UserError(f"the taskset {name!r} cannot be loaded: {_line(error)}") from error
        if take is None and not loaded.bounded:
            raise UserError(f"the taskset {name!r} never ends; say how many tasks to take")
        self.tasks: list[Any] = list(itertools.islice(iter(loaded), take))
        if not self.tasks:
            raise UserError(f"the taskset {name!r} has no tasks")
        _check(self.tasks[0], name)

    @cached_property
    def prompts(self) -> list[Text]:
        """Of each task: messages, the system's first where there is one."""
        return [_messages(task.data) for task in self.tasks]

    def rows(self, as_text: bool = False) -> list[dict[str, Any]]:
        """One a task: `prompt`, and `task`, its number here, which the reward asks for.

        Args:
          as_text: prompts as plain text, for policies without a chat template.
        """
        return [
            {"prompt": plain(prompt) if as_text else prompt, "task": number}
            for number, prompt in enumerate(self.prompts)
        ]

    async def __call__(
        self, prompts: list[Text], completions: list[Text], task: Sequence[int] | None = None, **columns: Any
    ) -> Rewards:
        """Each answer's weighted sum of its task's rewards.

        Raises:
          UserError: there is no column `task`, or it names tasks that were not taken.
        """
        if task is None or not all(isinstance(each, int) and 0 <= each < len(self.tasks) for each in task):
            raise UserError(f"the column task must hold numbers of the {len(self.tasks)} tasks of {self.name!r}")
        scored = zip(task, prompts, completions, strict=True)
        return list(await asyncio.gather(*[_score(self.tasks[number], *texts) for number, *texts in scored]))


async def _score(task: Any, prompt: Text, completion: Text) -> float:
    from verifiers.v1.configs.agent import AgentConfig
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.state import State
    from verifiers.v1.trace import AgentInfo, Trace, TraceTask
    from verifiers.v1.types import AssistantMessage, SystemMessage, UserMessage
    from verifiers.v1.utils.generic import concrete_type

    trace: Any = Trace(
        task=TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash),
        state=(concrete_type(type(task), State) or State)(),
        agent=AgentInfo(config=AgentConfig()),
    )
    kinds = {"system": SystemMessage, "user": UserMessage, "assistant": AssistantMessage}
    asked: list[Message] = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    for number, message in enumerate([*asked, {"role": "assistant", "content": plain(completion)}]):
        kind = kinds.get(message["role"])
        if kind is None:
            raise UserError(f"a prompt of a taskset has no messages by {message['role']!r}")
        node = MessageNode(
            parent=number - 1 if number else None,
            message=kind(content=plain([message])),
            sampled=number == len(asked),
        )
        trace.nodes.append(node)
    trace.is_completed = trace.ok = True
    await task.score(trace)
    return float(trace.reward)


def _messages(data: Any) -> list[Message]:
    system = [{"role": "system", "content": data.system_prompt}] if data.system_prompt else []
    if isinstance(data.prompt, str):
        return [*system, {"role": "user", "content": data.prompt}]
    if not data.prompt:
        raise UserError(f"task {data.idx} has no prompt; its user opens the conversation, which is not done here")
    return [*system, *({"role": each.role, "content": plain([each.model_dump()])} for each in data.prompt)]


def _check(task: Any, name: str) -> None:
    """Refuse what an answer alone cannot be judged by."""
    from verifiers.v1.task import Task

    kind = type(task)
    needs = [
        what
        for what, needed in (
            ("a container", kind.NEEDS_CONTAINER),
            ("tools", bool(kind.toolsets(task.config))),
            ("a runtime to be set up in", kind.setup is not Task.setup or kind.finalize is not Task.finalize),
            ("a runtime to be scored in", any(map(_asks_for_runtime, (*task.hooks("reward"), *task.hooks("metric"))))),
            ("a reward", not task.hooks("reward") and not task.plugged_judges()),
        )
        if needed
    ]
    if needs:
        raise UserError(f"the taskset {name!r} cannot be used here: its tasks need {', '.join(needs)}")


def _asks_for_runtime(function: Any) -> bool:
    parameter = inspect.signature(function).parameters.get("runtime")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def taskset_reward(spec: str) -> Taskset:
    """A taskset from `taskset:NAME` or `taskset:NAME?{"its": "settings"}`, in JSON; `take` bounds its tasks.

    Raises:
      UserError: it is written differently, or cannot be loaded.
    """
    name, _, told = spec.removeprefix(TASKSET).partition("?")
    try:
        settings = json.loads(told) if told else {}
        take = settings.pop("take", None)
    except (ValueError, AttributeError):
        raise UserError(f'{told!r} is no JSON object of settings; write taskset:NAME?{{"take": 100}}') from None
    return Taskset(name, take, settings)
