"""Episodes of several turns: a policy plays them, and the traces are kept as data to train on.

Letters: E episodes side by side, G of them a problem.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from transformers import PreTrainedTokenizerBase

from foolsgold.environments.problems import Problem
from foolsgold.environments.turns import TurnWorld
from foolsgold.errors import UserError
from foolsgold.files import write_text
from foolsgold.policies.generate import Samples
from foolsgold.policies.hub import LanguageModel, sample
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import encode_prompt
from foolsgold.training.rollouts import derived_seed

State = TypeVar("State")


@dataclass(frozen=True)
class Turn:
    """One action and what came of it."""

    prompt: str
    action: str
    progress: float
    """After the action, from 0 to 1."""
    note: str
    """What the world said of it."""


@dataclass(frozen=True)
class Drawn:
    """A turn as tokens, for trainers."""

    prompt: list[int]
    completion: list[int]
    log_probs: list[float]
    """Of each token of the completion, nats, as the sampler drew it."""


@dataclass(frozen=True)
class Episode:
    """A problem from its first state to its end."""

    problem: int
    """Its place among the problems that were played."""
    turns: list[Turn]
    solved: bool
    drawn: list[Drawn] = field(default_factory=list, repr=False)
    """One a turn."""

    @property
    def reward(self) -> float:
        """1 where the goal was reached, else 0: nothing in between can be collected."""
        return float(self.solved)


@dataclass(frozen=True)
class TurnSettings:
    """How episodes are played.

    Raises:
      UserError: no turn or no sample.
    """

    turns: int = 4
    """At most."""
    samples: int = 1
    """G, episodes a problem."""
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        if self.turns < 1 or self.samples < 1:
            raise UserError(f"turns and samples are at least 1, not {self.turns} and {self.samples}")


def play(
    policy: LanguageModel,
    tokenizer: PreTrainedTokenizerBase,
    world: TurnWorld[State],
    problems: Sequence[Problem],
    settings: TurnSettings,
    seed: int,
    report: Callable[[int, int], None] = lambda turn, going: None,
) -> list[Episode]:
    """Play `settings.samples` episodes of each problem, those of a problem side by side; E episodes in all.

    Args:
      report: is told of each turn, from 1, how many episodes take it.

    Raises:
      VerifierFailure: the world's verifier failed.
    """
    states = [state for state in world.start(problems) for _ in range(settings.samples)]
    turns: list[list[Turn]] = [[] for _ in states]
    drawn: list[list[Drawn]] = [[] for _ in states]
    solved = [False] * len(states)
    going = list(range(len(states)))
    for number in range(settings.turns):
        if not going:
            break
        report(number + 1, len(going))
        prompts = [world.prompt(states[i]) for i in going]
        decode = tokenizer.decode if settings.sampling.stop_strings else None
        ids = [encode_prompt(tokenizer, prompt) for prompt in prompts]
        samples = sample(policy, ids, settings.sampling, derived_seed(seed, number), 1, decode)  # type: ignore[arg-type]
        actions = tokenizer.batch_decode(samples.completions(), skip_special_tokens=True)
        steps = world.step([states[i] for i in going], actions)
        for i, prompt, action, step, tokens in zip(going, prompts, actions, steps, _drawn(samples), strict=True):
            states[i], solved[i] = step.state, step.solved
            turns[i].append(Turn(prompt, action, step.progress, step.note))
            drawn[i].append(tokens)
        going = [i for i, step in zip(going, steps, strict=True) if not step.ended]
    return [Episode(i // settings.samples, turns[i], solved[i], drawn[i]) for i in range(len(states))]


def _drawn(samples: Samples) -> list[Drawn]:
    rows = zip(samples.prompts, samples.completions(), samples.log_probs.tolist(), strict=True)
    return [Drawn(prompt, tokens, chances[: len(tokens)]) for prompt, tokens, chances in rows]


def conversation(episode: Episode, columns: dict[str, Any] | None = None) -> dict[str, Any]:
    """An episode in TRL's conversational form: `prompt` and `completion` of messages, `reward`, `solved`, `progress`.

    What the world says after the first turn is the user's; a turn's prompt follows in full, as the policy read it.
    """
    messages: list[dict[str, str]] = []
    for turn in episode.turns:
        messages += [{"role": "user", "content": turn.prompt}, {"role": "assistant", "content": turn.action}]
    return {
        "prompt": messages[:1],
        "completion": messages[1:],
        "reward": episode.reward,
        "solved": episode.solved,
        "progress": [turn.progress for turn in episode.turns],
        "notes": [turn.note for turn in episode.turns],
        **(columns or {}),
    }


def write_traces(path: str | Path, episodes: Iterable[Episode], problems: Sequence[Problem] = ()) -> Path:
    """Write episodes as JSONL, one a line in the form of `conversation`, with their problems' columns where given.

    Raises:
      UserError: the file cannot be written.
    """
    lines = []
    for each in episodes:
        columns = {"problem": asdict(problems[each.problem])} if problems else {}
        lines.append(json.dumps(conversation(each, columns), ensure_ascii=False) + "\n")
    return write_text(Path(path), "".join(lines))


def turns_to_imitate(episodes: Iterable[Episode], only_solved: bool = True) -> list[tuple[str, str]]:
    """(prompt, action) of each turn of solved episodes, equal ones once: what finetuning on traces learns from.

    Args:
      only_solved: else of all episodes.
    """
    kept = (each for each in episodes if each.solved or not only_solved)
    return list(dict.fromkeys((turn.prompt, turn.action) for each in kept for turn in each.turns))
