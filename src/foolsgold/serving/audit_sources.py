"""What `foolsgold audit` can audit: policies, with or without a run, tables, and the folders of studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from foolsgold.audit.collect import (
    Drawing,
    Drawn,
    as_evidence,
    ask,
    choose,
    draw_checkpoints,
    draw_start,
    shares,
)
from foolsgold.audit.evidence import Evidence, Samples
from foolsgold.audit.evidence_tables import read_table
from foolsgold.audit.gold_labels import Draw, read_labels, with_labels, write_requests
from foolsgold.errors import UserError
from foolsgold.policies.hub import Policy, load_policy
from foolsgold.policies.messages import plain
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.serving.audit_command import AuditCommand
from foolsgold.serving.reward_specs import load_rewards, load_weighted
from foolsgold.serving.rollout_commands import SNAPSHOTS
from foolsgold.serving.training_run import device_of, required
from foolsgold.studies.progress import Stages
from foolsgold.studies.study_evidence import evidence_of, record_of
from foolsgold.training import datasets
from foolsgold.training.dataset_files import read_rows
from foolsgold.training.datasets import PromptRow
from foolsgold.training.optimiser import working_dtype
from foolsgold.training.rollouts import Task
from foolsgold.training.snapshots import evenly_spread, kept_snapshots

TRAINING = ("rl", "expert")
"""Commands whose run folders hold snapshots."""
STUDY_PARTS = ("arms/main/evaluation-*.json", "best_of_n.npz", "checkpoints/*/network-*.safetensors")
"""Files in which studies keep what they have measured and trained."""
MAX_NEW_TOKENS = 128


class Source(Protocol):
    """Something to audit."""

    warnings: list[str]
    """What could not be measured, a line each."""

    @property
    def ended(self) -> bool:
        """Whether nothing new is to come."""
        ...

    def measure(self, folder: Path, stages: Stages) -> Evidence | None:
        """The evidence as far as it has come, pieces of it kept in `folder`; None where people are to judge first.

        Raises:
          UserError: there is nothing yet, or a reward or the disk failed.
        """
        ...


def source_of(command: AuditCommand, planned: int | None = None) -> Source:
    """What the command names, loaded.

    Args:
      planned: checkpoints of the run, as an interrupted audit knew it.

    Raises:
      UserError: something is missing, cannot be had, or does not fit.
    """
    if command.table is not None:
        return Table(read_table(command.table))
    if command.run is None:
        return Policies.given(command)
    folder = Path(command.run)
    record = record_of(folder)
    if record["study"] in TRAINING:
        return Policies.of_run(command, folder, record["config"], planned)
    if command.gold or command.prompts or command.budget:
        raise UserError(f"{folder} is a study, which measures gold itself; leave out --gold, --prompts and --budget")
    return Study(folder, command.seed)


@dataclass
class Table:
    """Samples that somebody else drew and judged."""

    evidence: Evidence
    warnings: list[str] = field(default_factory=list)
    ended: bool = True

    def measure(self, folder: Path, stages: Stages) -> Evidence:
        return self.evidence


@dataclass
class Study:
    """A run of a study that measures gold beside proxy itself."""

    folder: Path
    seed: int
    warnings: list[str] = field(default_factory=list)
    found: Evidence | None = None
    parts: set[Path] = field(default_factory=set)
    """Files that `found` rests on."""

    @property
    def ended(self) -> bool:
        return (self.folder / "verdict.json").exists()

    def measure(self, folder: Path, stages: Stages) -> Evidence:
        parts = {path for pattern in STUDY_PARTS for path in self.folder.glob(pattern)}
        if self.found is None or parts != self.parts:
            with stages.stage(f"evidence of {self.folder.name}", None) as tick:
                self.found, self.parts = evidence_of(self.folder, self.seed, tick), parts
        return self.found


@dataclass
class Policies:
    """A policy and, where it was trained, its snapshots, to be drawn from."""

    command: AuditCommand
    policy: Policy
    prompts: list[PromptRow]
    proxy: list[WeightedReward]
    gold: list[WeightedReward] | None
    """None: people judge."""
    drawing: Drawing
    time_limit_s: float = 60.0
    run: Path | None = None
    planned: int = 0
    """Checkpoints that the run has or is to have, the start included, among which the budget is divided."""
    warnings: list[str] = field(default_factory=list)
    drawn: dict[int | None, Drawn] = field(default_factory=dict)
    """By step, None for the start: what is drawn so far."""
    lost: set[int] = field(default_factory=set)
    """Steps whose snapshot could not be read."""
    found: Evidence | None = None
    """What follows from all that is drawn."""

    def __post_init__(self) -> None:
        self.budgets = shares(self.command.budget, self.planned)
        """Labels of the start and of each checkpoint."""

    @classmethod
    def given(cls, command: AuditCommand) -> Policies:
        """A policy that was not trained on the proxy.

        Raises:
          UserError: something is missing or cannot be had.
        """
        device = device_of(command)
        place = required(command.prompts, "--prompts", "a file of rows with a column prompt")
        proxy = required(command.proxy, "--proxy", "a reward model's folder, or a function as in rewards.py:proxy")
        gold = _gold(command, required(command.gold, "--gold", "what truly counts, as in rewards.py:gold"))
        policy = _frozen(required(command.policy, "--policy", "the folder of a model"), device)
        sampling = Sampling(command.max_new_tokens or MAX_NEW_TOKENS, stop_tokens=policy.stop_tokens)
        drawing = Drawing(sampling, command.samples, command.run_samples, command.seed)
        weighted = load_weighted(proxy, device)
        if not weighted.weight:
            raise UserError(f"--proxy {proxy} has a weight of 0; leave out the weight")
        return cls(command, policy, _prompts(place, command), [weighted], gold, drawing)

    @classmethod
    def of_run(cls, command: AuditCommand, run: Path, config: dict[str, Any], planned: int | None) -> Policies:
        """A run of `foolsgold train rl` or `expert`; `planned` as an interrupted audit knew it.

        Raises:
          UserError: something is missing or cannot be had.
        """
        device = device_of(command)
        rewards = load_rewards(config["reward"], device)
        named = [replace(each, weight=1.0) for each in rewards if not each.weight and each.name == "gold"]
        if command.gold is None and not named:
            raise UserError(f"{run} logged no reward gold=…@0; give --gold, what truly counts, as in rewards.py:gold")
        policy = _frozen(config["model"], device)
        tokens = command.max_new_tokens or config["max_new_tokens"]
        sampling = Sampling(tokens, config["temperature"], stop_tokens=policy.stop_tokens)
        count = len(evenly_spread(config.get("rounds") or config["steps"], config.get("snapshots", 0)))
        if planned is None:
            planned = 1 + (len(kept_snapshots(run / SNAPSHOTS)) if _ended(run) else count)
        source = cls(
            command,
            policy,
            _prompts(command.prompts or config["prompts"], command),
            [each for each in rewards if each.weight],
            named if command.gold is None else _gold(command, command.gold),
            Drawing(sampling, command.samples, command.run_samples, command.seed),
            config["reward_time_limit"],
            run,
            planned if count else 0,
        )
        if not count:
            source.warnings.append(f"{run} kept no snapshots, so nothing is known of RL; train with --snapshots 10")
        return source

    @property
    def ended(self) -> bool:
        return self.run is None or _ended(self.run)

    @property
    def snapshots(self) -> list[tuple[int, Path | None]]:
        """Those that are there by now, the start first; none where the run keeps none."""
        return [(0, None), *kept_snapshots(self.run / SNAPSHOTS)] if self.run is not None and self.planned else []

    def measure(self, folder: Path, stages: Stages) -> Evidence | None:
        task, before = Task(self.prompts, self._scorer(self.proxy, folder), self.policy.tokenizer), len(self.drawn)
        self._draw(task, folder / "pieces", stages)
        if self.found is None or len(self.drawn) > before:
            found = self._judged(task, folder, stages)
            if not found:
                return None
            judges = "people" if self.gold is None else _names(self.gold)
            self.found = as_evidence(found, _names(self.proxy), judges)
        return self.found

    def _scorer(self, rewards: Sequence[WeightedReward], folder: Path) -> Scorer:
        return Scorer(rewards, self.time_limit_s, folder / "failures")

    def _judged(self, task: Task, folder: Path, stages: Stages) -> list[tuple[Drawn, Samples]]:
        """All that is drawn, with gold; nothing where people have not judged yet."""
        start, each = self.budgets
        drawn = list(self.drawn.values())
        draws = [choose(of, start if of.step is None else each, self.command.seed) for of in drawn]
        if self.gold is None:
            return self._judged_by_people(draws, folder)
        gold, found = self._scorer(self.gold, folder), []
        with stages.stage(f"{_names(self.gold)} judges", len(draws)) as tick:
            for of, draw in zip(drawn, draws, strict=True):
                found.append((of, ask(gold, task, of, draw, place=self.command.gold)))
                tick(len(found), len(draws))
        return found

    def _draw(self, task: Task, pieces: Path, stages: Stages) -> None:
        """What is not drawn yet."""
        if None not in self.drawn:
            with stages.stage("completions of the policy", None) as tick:
                self.drawn[None] = draw_start(self.policy.model, task, self.drawing, pieces, tick)
        new = [(step, place) for step, place in self.snapshots if step not in self.drawn and step not in self.lost]
        if new:
            with stages.stage("completions of snapshots", len(new)) as tick:
                warn = self.warnings.append
                found = draw_checkpoints(self.policy.model, new, task, self.drawing, pieces, tick, warn)
            self.drawn |= {each.step: each for each in found}
            self.lost |= {step for step, _ in new} - self.drawn.keys()

    def _judged_by_people(self, draws: Sequence[Draw], folder: Path) -> list[tuple[Drawn, Samples]]:
        """Nothing where people have not judged yet: what they are to judge is then in `to-judge.jsonl`."""
        path, requests = Path(self.command.gold or ""), folder / "to-judge.jsonl"
        if not path.exists():
            if not requests.exists():  # else somebody may be at work in it
                write_requests(requests, draws, self.command.seed)
            return []
        labels = read_labels(path)
        found, unanswered = [], 0
        unmatched = frozenset(labels)
        for drawn, draw in zip(self.drawn.values(), draws, strict=True):
            try:
                judged = with_labels(draw.pool, labels)
            except UserError as problem:
                if drawn.step is None:
                    raise
                self.warnings.append(f"step {drawn.step} is left out: {problem}")
                continue
            found.append((drawn, judged.samples))
            unanswered, unmatched = unanswered + judged.unanswered, unmatched & judged.unmatched
        if unanswered:
            self.warnings.append(f"{unanswered} completions that were to be judged have no judgement.")
        if unmatched:
            self.warnings.append(f"{len(unmatched)} judged texts in {path} are no samples of this audit.")
        return found


def _frozen(place: str, device: str) -> Policy:
    """A policy to be drawn from and not trained, in the machine's fastest type, so that copies of it take no memory."""
    policy = load_policy(place, working_dtype(device), device)
    policy.model.requires_grad_(False)
    return policy


def _gold(command: AuditCommand, place: str) -> list[WeightedReward] | None:
    if command.judged_by_people:
        if command.budget is None and not Path(place).exists():
            raise UserError(f"there is no file {place}; give --budget, how many completions people are to judge for it")
        return None
    return [replace(load_weighted(place, device_of(command)), weight=1.0)]


def _ended(run: Path) -> bool:
    """Whether a training run is over: it writes its model last."""
    return (run / "model").exists()


def _prompts(place: str, command: AuditCommand) -> list[PromptRow]:
    """Distinct prompts of a data set, at random where there are too many, in their order."""
    distinct = list({plain(row.prompt): row for row in reversed(datasets.prompts(read_rows(place)))}.values())[::-1]
    chosen = np.random.default_rng([command.seed, 3]).permutation(len(distinct))[: command.max_prompts]
    return [distinct[i] for i in sorted(chosen.tolist())]


def _names(rewards: Sequence[WeightedReward]) -> str:
    """A reward by its name, a weighted sum by its terms."""
    if [each.weight for each in rewards] == [1.0]:
        return rewards[0].name
    return " + ".join(f"{each.weight:g} {each.name}" for each in rewards)
