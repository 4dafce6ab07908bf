"""A taskset of the library `verifiers`, made here: its tasks as prompts, its scoring against its own."""

from __future__ import annotations

import asyncio
import sys

import pytest

from foolsgold.environments.loops.world import Loops
from foolsgold.errors import UserError
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.tasksets import Taskset, taskset_reward

pytest.importorskip("verifiers.v1")

SUMS = """
import verifiers.v1 as vf

__all__ = ["Sums"]

class Config(vf.TasksetConfig):
    largest: int = 9

class Data(vf.TaskData):
    answer: str

class Sum(vf.Task[Data, vf.State, vf.TaskConfig]):
    @vf.reward(weight=2.0)
    async def right(self, trace) -> float:
        return float(trace.last_reply.strip() == self.data.answer)

    @vf.reward(weight=0.5)
    async def short(self, task, trace) -> float:
        return float(len(trace.last_reply) < 4)

    @vf.metric
    async def turns(self, trace) -> float:
        return trace.num_turns

class Sums(vf.Taskset[Sum, Config]):
    def load(self):
        for i in range(self.config.largest):
            yield Sum(Data(prompt=f"{i} + 1 =", system_prompt="Answer by a number." if i else None, answer=str(i + 1)),
                      self.config.task)
"""
BOXED = SUMS.replace("Sum", "Boxed").replace("self, trace) -> float:\n        return float(trace",
                                             "self, trace, runtime) -> float:\n        return float(trace")  # fmt: skip
ENDLESS = SUMS.replace("Sum", "Endless").replace("    def load", "    INFINITE = True\n\n    def load")


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    for name, source in (("toy_sums", SUMS), ("toy_boxed", BOXED), ("toy_endless", ENDLESS)):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)


def test_tasks_become_prompts_and_their_scoring_a_reward(plugins):
    taskset = Taskset("toy-sums", settings={"largest": 3})
    assert taskset.rows() == [
        {"prompt": [{"role": "user", "content": "0 + 1 ="}], "task": 0},
        {
            "prompt": [{"role": "system", "content": "Answer by a number."}, {"role": "user", "content": "1 + 1 ="}],
            "task": 1,
        },
        {
            "prompt": [{"role": "system", "content": "Answer by a number."}, {"role": "user", "content": "2 + 1 ="}],
            "task": 2,
        },
    ]
    assert taskset.rows(as_text=True)[0]["prompt"] == "0 + 1 ="
    prompts = [taskset.prompts[i] for i in (0, 1, 1)]
    answers = ["1", "the number 2", [{"role": "assistant", "content": " 2"}]]
    assert asyncio.run(taskset(prompts, answers, task=[0, 1, 1])) == [2.5, 0.0, 2.5]


def test_it_is_a_reward_like_another(plugins):
    taskset = taskset_reward('toy-sums?{"take": 2}')
    scorer = Scorer([WeightedReward(taskset)])
    rows = taskset.rows()
    scores = scorer.score([row["prompt"] for row in rows], ["1", "1"], task=[row["task"] for row in rows])
    assert scores.total.tolist() == [2.5, 0.5]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("toy-nothing", "cannot be loaded"),
        ("toy-boxed", "a runtime to be scored in"),
        ("toy-endless", "never ends"),
        ('toy-sums?{"larger": 3}', "cannot be loaded"),
        ("toy-sums?3", "no JSON object"),
        ('toy-sums?{"largest": 0}', "has no tasks"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(plugins, spec, said):
    with pytest.raises(UserError, match=said):
        taskset_reward(spec)


def test_an_answer_without_its_task_is_no_zero(plugins):
    taskset = taskset_reward("toy-sums")
    with pytest.raises(UserError, match="column task"):
        asyncio.run(taskset(["a"], ["b"]))
    with pytest.raises(UserError, match="column task"):
        asyncio.run(taskset(["a"], ["b"], task=[9]))


def test_our_worlds_load_there_and_come_back_as_a_reward():
    taskset = Taskset("foolsgold-tasks", settings={"world": "annotations", "n": 3, "split": "test"})
    problems = Loops().problems("test", 3, 0)
    rows = taskset.rows(as_text=True)
    assert [row["prompt"] for row in rows] == [each.prompt for each in problems]
    answers = [problems[0].answer, "true", problems[2].answer]
    assert asyncio.run(taskset(taskset.prompts, answers, task=[0, 1, 2])) == [1.0, 0.0, 1.0]
