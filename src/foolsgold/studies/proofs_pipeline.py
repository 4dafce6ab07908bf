"""The study `proofs` up to RL: theorems, students' steps, a prover, and a policy that imitates the steps.

Each result lies in the run folder as soon as it is there; a stage whose result is there is not done again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.environments.problems import Problem, Split
from foolsgold.environments.theorems.formulas import Tool
from foolsgold.environments.theorems.world import Theorems
from foolsgold.environments.turns import Step
from foolsgold.files import write_text
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import load_tokenizer, train_bpe
from foolsgold.rewards.text_reward_model import TokenPair, encode_pairs
from foolsgold.rewards.verifiers import coq, lean
from foolsgold.rewards.verifiers.proof_sessions import ProofSession
from foolsgold.rewards.verifiers.proof_turns import Place, ProofTurns
from foolsgold.studies.kept_models import decaying_loop, kept_model
from foolsgold.studies.proofs_plan import Plan
from foolsgold.training.rollouts import derived_seed
from foolsgold.training.sft import SFTSettings, sft


def session_of(tool: Tool) -> ProofSession:
    """A prover that takes single steps only; it starts when it is first asked."""
    if tool == "coq":
        return coq.CoqSession(tactics=coq.STEPS)
    return lean.LeanSession(tactics=lean.STEPS)


def script_of(actions: Sequence[str], tool: Tool) -> str:
    """Tactics as one script, in the prover's words."""
    return " ".join(f"{action}." for action in actions) if tool == "coq" else "; ".join(actions)


def accepted(session: ProofSession, tool: Tool, proofs: Sequence[tuple[str, Sequence[str]]]) -> list[bool]:
    """Whether the kernel accepts each proof, as statement and tactics; equal ones are checked once."""
    known: dict[tuple[str, str], bool] = {}
    asked = [(statement, script_of(actions, tool)) for statement, actions in proofs]
    for statement, script in asked:
        if (statement, script) not in known:
            known[statement, script] = session.check(statement, script).outcome == "passed"
    return [known[each] for each in asked]


class Metered:
    """A world of proofs that counts what it is asked."""

    def __init__(self, world: ProofTurns, tokenizer: PreTrainedTokenizerBase):
        self._world, self._tokenizer = world, tokenizer
        self.name, self.calls, self.tokens = world.name, 0, 0
        """`calls`: tactics tried, also those whose answer is remembered; `tokens`: that they have, ends counted."""

    def start(self, problems: Sequence[Problem]) -> list[Place]:
        return self._world.start(problems)

    def prompt(self, state: Place) -> str:
        return self._world.prompt(state)

    def key(self, state: Place) -> Hashable:
        return self._world.key(state)

    def step(self, states: Sequence[Place], actions: Sequence[str]) -> list[Step[Place]]:
        self.calls += len(actions)
        if actions:
            self.tokens += sum(len(ids) + 1 for ids in self._tokenizer(list(actions))["input_ids"])
        return self._world.step(states, actions)


class ProofsPipeline:
    """One run's stages before its arms, in the run's `folder`."""

    def __init__(self, plan: Plan, folder: Path):
        self.plan, self.folder = plan, folder
        self._theorems = Theorems(plan.tool)

    @cached_property
    def steps(self) -> list[tuple[str, str]]:
        """Goals and the tactics that students took, right and wrong."""
        steps = self._kept("steps", lambda: self._theorems.steps(self.plan.students, self._seed(1)))
        return [(goal, tactic) for goal, tactic in steps]

    def problems(self, split: Split) -> list[Problem]:
        """Theorems to prove."""
        n = self.plan.train if split == "train" else self.plan.test
        number = 2 if split == "train" else 3

        def made() -> list[dict[str, Any]]:
            return [asdict(each) for each in self._theorems.problems(split, n, self._seed(number))]

        return [Problem(**each) for each in self._kept(split, made)]

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        path = self.folder / "models" / "tokenizer"
        if not all((path / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
            train_bpe((text for pair in self.steps for text in pair), self.plan.vocabulary).save_pretrained(path)
        return load_tokenizer(path)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.plan.max_new_tokens, stop_tokens=(self.tokenizer.eos_token_id,))

    @property
    def rows(self) -> list[TokenPair]:
        """The students' steps as tokens."""
        return encode_pairs(self.tokenizer, *zip(*self.steps, strict=True))

    def finetuned(self, tick: Callable[[int, int], None] = lambda done, of: None) -> Decoder:
        """Supervised finetuning from nothing on the students' steps; the start of every arm."""
        plan = self.plan

        def train() -> Decoder:
            torch.manual_seed(plan.seed)
            model = Decoder(plan.decoder)
            loop = decaying_loop(plan.finetuning_steps, plan.finetuning_rate, plan.seed, weight_decay=0.1)
            settings = SFTSettings(loop, plan.batch, train_on_prompts=True, length_grouped=True)
            folder = self.folder / "checkpoints" / "finetuning"
            sft(model, self.rows, settings, folder, lambda step, metrics: tick(step, plan.finetuning_steps))
            return model

        return kept_model(self.folder / "models" / "start", self.tokenizer, train)

    def policy(self, name: str, train: Callable[[], Decoder]) -> Decoder:
        """An arm's policy: trained once, then taken from the folder."""
        return kept_model(self.folder / "models" / name, self.tokenizer, train)

    def _seed(self, number: int) -> int:
        return derived_seed(self.plan.seed, number) % 2**31

    def _kept(self, name: str, make: Callable[[], list[Any]]) -> list[Any]:
        path = self.folder / "theorems" / f"{name}.json"
        if not path.exists():
            write_text(path, json.dumps(make(), ensure_ascii=False))
        return list(json.loads(path.read_text(encoding="utf-8")))
