"""foolsgold's worlds as a taskset of the library `verifiers` (v1), under the name that it looks for: foolsgold-tasks.

prime-rl or `vf-eval`:  --env.taskset.id foolsgold-tasks --env.taskset.world java
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal

import verifiers.v1 as vf

from foolsgold.rewards.verifiers.verdict import Verdict, Verifier
from foolsgold.rewards.verifiers.worlds import load_world

__all__ = ["FoolsgoldTaskset"]

World = Literal["java", "code", "annotations", "coq", "lean"]

_loaded = cache(load_world)  # a verifier keeps processes, which tasks share


class FoolsgoldTaskConfig(vf.TaskConfig):
    """How answers are rewarded."""

    partial: bool = False
    """Reward the share of checks passed by an answer that does not pass them all."""


class FoolsgoldTasksetConfig(vf.TasksetConfig):
    """Which problems."""

    world: World = "java"
    split: Literal["train", "test"] = "train"
    n: int = 1000
    seed: int = 0
    task: FoolsgoldTaskConfig = FoolsgoldTaskConfig()


class ProblemData(vf.TaskData):
    """A problem with what its verifier needs."""

    world: World
    columns: dict[str, Any]
    family: str
    grade: int
    reference: str
    """An answer that passes; the policy does not see it."""


class ProblemTask(vf.Task[ProblemData, vf.State, FoolsgoldTaskConfig]):
    """A problem, judged by its world's verifier on this machine: no container is needed, it has a sandbox."""

    @vf.reward
    async def verified(self, trace: vf.Trace) -> float:
        """1 for an answer that passes, else 0, or the share of its checks with `partial`."""
        verdict = await asyncio.to_thread(self._verdict, trace.last_reply)
        trace.info["verdict"] = {"outcome": verdict.outcome, "detail": verdict.detail}
        if self.config.partial and verdict.outcome != "refused":
            return verdict.share
        return float(verdict.outcome == "passed")

    async def validate(self, runtime: vf.Runtime) -> bool:
        """Whether the reference passes."""
        return (await asyncio.to_thread(self._verdict, self.data.reference)).outcome == "passed"

    def _verdict(self, answer: str) -> Verdict:
        verifier: Verifier = _loaded(self.data.world)[1]
        columns = {name: [value] for name, value in self.data.columns.items()}
        return verifier.verdicts([self.data.prompt], [answer], **columns)[0]


class FoolsgoldTaskset(vf.Taskset[ProblemTask, FoolsgoldTasksetConfig]):
    """`n` problems of a world's split."""

    def load(self) -> Iterable[ProblemTask]:
        config = self.config
        for problem in _loaded(config.world)[0].problems(config.split, config.n, config.seed):
            data = ProblemData(
                prompt=problem.prompt,
                world=config.world,
                columns=problem.columns,
                family=problem.family,
                grade=problem.grade,
                reference=problem.answer,
            )
            yield ProblemTask(data, config.task)
