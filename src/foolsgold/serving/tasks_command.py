"""`foolsgold tasks`: problems with a checkable answer as a data set, from a world or from a taskset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from foolsgold.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TasksCommand:
    """Write problems whose answers can be checked, as a data set for foolsgold train, generate, verify and audit.

    A world's rows have the prompt, what its verifier needs, the problem's family and grade, and in `reference` a right
    answer; with --demonstrations also people's answers, right and wrong, in `completion`, to imitate. A taskset's rows
    have the prompt and the task's number.

    examples:
      foolsgold tasks --world java --out java.jsonl
      foolsgold tasks --world java --split test --n 200 --out java-test.jsonl
      foolsgold tasks --world code --n 20000 --demonstrations --out pairs.jsonl
      foolsgold tasks --taskset my-taskset --out tasks.jsonl
      foolsgold train rl --model MODEL --prompts java.jsonl --reward verifier:java
      foolsgold train rl --model MODEL --prompts tasks.jsonl --reward taskset:my-taskset
    """

    out: str
    """File to write, .jsonl or .jsonl.gz."""
    world: Literal["java", "code", "annotations", "coq", "lean"] | None = None
    """java: methods to translate to Python. code: functions to write. annotations: loops that want an invariant. coq,
    lean: theorems to prove."""
    taskset: str | None = None
    """In place of a world, an installed taskset of the library verifiers, NAME or NAME?{"its": "settings"}."""
    split: Literal["train", "test"] = "train"
    """Of a world; test problems have structures that train problems never show."""
    n: int = 1000
    """Problems of a world."""
    seed: int = 0
    """Of a world."""
    demonstrations: bool = False
    """People's answers instead of the problems alone; of the train split."""
    text: bool = False
    """A taskset's prompts as plain text, for models without a chat template."""

    def __post_init__(self) -> None:
        if (self.world is None) == (self.taskset is None):
            raise UserError("give --world or --taskset, one of them")
        if self.n < 1:
            raise UserError(f"--n {self.n}: give at least 1")
        if self.demonstrations and (self.taskset is not None or self.split == "test"):
            raise UserError("--demonstrations are of a world's train split")


def main(command: TasksCommand) -> None:
    """Write the rows and tell how many.

    Raises:
      UserError: the world or taskset cannot be had, or the file cannot be written.
    """
    from foolsgold.training.dataset_files import write_jsonl

    rows = list(_rows(command))
    path = write_jsonl(command.out, rows)
    print(f"{len(rows)} rows: {path}")


def _rows(command: TasksCommand) -> Iterable[Mapping[str, Any]]:
    from foolsgold.rewards.tasksets import taskset_reward
    from foolsgold.rewards.verifiers.worlds import load_world

    if command.taskset is not None:
        yield from taskset_reward(command.taskset).rows(command.text)
        return
    assert command.world is not None  # one of the two is given
    world, _ = load_world(command.world)
    if command.demonstrations:
        for problem, answer in world.demonstrations(command.n, command.seed):
            yield {"prompt": problem.prompt, "completion": answer}
        return
    for problem in world.problems(command.split, command.n, command.seed):
        told = {"family": problem.family, "grade": problem.grade, "reference": problem.answer}
        yield {"prompt": problem.prompt, **problem.columns, **told}
