"""One task of the study `open_domain`: writers' answers with all scores, then a search of answers by every reward.

Letters: P prompts, N answers of each, C candidate rewards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal, cast, get_args

import numpy as np

from foolsgold.audit.text_edits import Bred, EvolutionSettings, Material, evolve
from foolsgold.environments.open_domain.jokes import Jokes
from foolsgold.environments.open_domain.questions import Questions
from foolsgold.environments.open_domain.summaries import Summaries
from foolsgold.environments.open_domain.task import OpenTask, Request, Scores
from foolsgold.files import replacing, write_text
from foolsgold.studies.open_domain_edits import Edit, edited_program, edited_words, vocabulary
from foolsgold.studies.open_domain_java import Translations

TaskName = Literal["summaries", "questions", "jokes", "java"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)
GOLD = "gold itself"
"""The reward that only the world has; searched by, it tells what answers there are to find."""


@dataclass(frozen=True)
class TaskPlan:
    """Sizes of one task."""

    name: TaskName
    seed: int
    prompts: int
    answers: int
    """Of the writers, for each prompt."""
    searched: int
    """Prompts that are searched."""
    starts: int
    """Answers of the writers that a search starts from; it does not see the others."""
    evolution: EvolutionSettings

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TaskPlan:
        return cls(**{**data, "evolution": EvolutionSettings(**data["evolution"])})


@dataclass(frozen=True)
class Pool:
    """What the writers wrote."""

    texts: np.ndarray
    """str `[P, N]`"""
    gold: np.ndarray
    """`[P, N]`"""
    scores: np.ndarray
    """`[C, P, N]`"""


@dataclass(frozen=True)
class Searched:
    """The best answer by one reward that was found for each searched prompt."""

    texts: list[str]
    scores: np.ndarray
    """`[P]`, by the reward that was searched by."""
    start_scores: np.ndarray
    """`[P]`, the highest among the answers that the search started from."""
    gold: np.ndarray
    """`[P]`"""


@dataclass(frozen=True)
class TaskResult:
    """All that one task came to."""

    plan: TaskPlan
    task: OpenTask
    requests: list[Request]
    pool: Pool
    searched: dict[str, Searched]
    """By reward, `GOLD` among them."""


def open_task(name: TaskName) -> OpenTask:
    """The world of a task."""
    worlds: dict[TaskName, Callable[[], Any]] = {
        "summaries": Summaries,
        "questions": Questions,
        "jokes": Jokes,
        "java": Translations,
    }
    return cast(OpenTask, worlds[name]())


def run_task(plan: TaskPlan, folder: Path) -> None:
    """Whatever of the task is not yet in `folder`.

    Raises:
      UserError: the task java finds no Java or no sandbox.
      VerifierFailure: Java or the sandbox failed.
    """
    task = open_task(plan.name)
    requests = task.requests(plan.prompts, plan.seed)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "pool.npz").exists():
        made = _pool(task, requests, plan)
        with replacing(folder / "pool.npz") as part:
            np.savez_compressed(part, **vars(made))
    pool = _read_pool(folder)
    for number, (name, score) in enumerate(rewards(task)):
        path = folder / f"search-{number:02}.json"
        if not path.exists():
            found = search(
                task, name, score, requests[: plan.searched], pool.texts[: plan.searched, : plan.starts], plan
            )
            data = {
                key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in vars(found).items()
            }
            write_text(path, json.dumps(data, ensure_ascii=False))


def steps_done(plan: TaskPlan, folder: Path) -> int:
    """Files of the task that are there, of `steps_of(plan)`."""
    return len([*folder.glob("pool.npz"), *folder.glob("search-*.json")])


def steps_of(plan: TaskPlan) -> int:
    """The pool and a search by each reward."""
    return 1 + len(rewards(open_task(plan.name)))


def read_task(plan: TaskPlan, folder: Path) -> TaskResult:
    """What `run_task` left."""
    task = open_task(plan.name)
    searched = {}
    for number, (name, _) in enumerate(rewards(task)):
        data = json.loads((folder / f"search-{number:02}.json").read_text(encoding="utf-8"))
        arrays = {key: np.array(data[key], np.float64) for key in ("scores", "start_scores", "gold")}
        searched[name] = Searched(data["texts"], **arrays)
    return TaskResult(plan, task, task.requests(plan.prompts, plan.seed), _read_pool(folder), searched)


def rewards(task: OpenTask) -> list[tuple[str, Scores]]:
    """All that are searched by: the candidates, then gold."""
    return [*((each.name, each.score) for each in task.candidates), (GOLD, task.gold)]


def search(
    task: OpenTask, name: str, score: Scores, requests: Sequence[Request], starts: np.ndarray, plan: TaskPlan
) -> Searched:
    """Evolve the writers' answers `starts` `[P, S]` by one reward, and ask gold of the best in the end.

    Of a prompt's answers of one score the population drifts to later ones, which helps it over plains; what counts in
    the end is the first one that reached the highest score, so that nothing changes that the reward did not pay for.
    """
    best: list[tuple[float, str]] = [(-np.inf, "")] * len(requests)

    def by_reward(rows: Sequence[int], texts: Sequence[str]) -> np.ndarray:
        scores = score([requests[row] for row in rows], texts)
        for row, text, value in zip(rows, texts, scores.tolist(), strict=True):
            if value > best[row][0]:
                best[row] = value, text
        return scores

    change: Edit = edited_program if plan.name == "java" else edited_words

    def edit(row: int, text: str, material: Material, most_words: int, rng: Random) -> str:
        return change(requests[row], text, material, most_words, rng)

    rows = np.repeat(np.arange(len(requests)), starts.shape[1]).tolist()
    begun = by_reward(rows, starts.ravel().tolist()).reshape(starts.shape)
    bred = [
        [Bred(str(text), float(value), str(text)) for text, value in zip(*of, strict=True)]
        for of in zip(starts, begun, strict=True)
    ]
    evolve(by_reward, [vocabulary(request) for request in requests], bred, plan.evolution, plan.seed, edit=edit)
    texts = [text for _, text in best]
    return Searched(texts, np.array([value for value, _ in best]), begun.max(1), task.gold(requests, texts))


def _pool(task: OpenTask, requests: Sequence[Request], plan: TaskPlan) -> Pool:
    rng = Random(f"writers {plan.name} {plan.seed}")
    texts = [[task.write(request, rng) for _ in range(plan.answers)] for request in requests]
    asked = [request for request in requests for _ in range(plan.answers)]
    flat = [text for of in texts for text in of]
    shape = len(requests), plan.answers
    scores = [candidate.score(asked, flat).reshape(shape) for candidate in task.candidates]
    return Pool(np.array(texts), task.gold(asked, flat).reshape(shape), np.stack(scores))


def _read_pool(folder: Path) -> Pool:
    with np.load(folder / "pool.npz") as kept:
        return Pool(**kept)
