"""The study `coding` up to its arms: a policy that imitates people, and what it does when it plays the loop itself.

Each result lies in the run folder as soon as it is there; a stage whose result is there is not done again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from foolsgold.environments.code_tasks.world import CodeTasks
from foolsgold.environments.problems import Problem, Split
from foolsgold.files import write_text
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.sampling import Sampling
from foolsgold.policies.tokenizer import load_tokenizer, train_bpe
from foolsgold.rewards.text_reward_model import TokenPair, encode_pairs
from foolsgold.rewards.verifiers.coding_loop import CodingLoop, Feedback
from foolsgold.studies.coding_people import Failures, Pair, first_attempts, repairs_and_tests
from foolsgold.studies.coding_plan import CodingPlan
from foolsgold.studies.coding_traces import read_trace, trace
from foolsgold.studies.kept_models import decaying_loop, kept_model, ticking
from foolsgold.studies.progress import Stages
from foolsgold.training.multi_turn import Episode, TurnSettings, play
from foolsgold.training.rollouts import derived_seed, frozen_copy
from foolsgold.training.sft import SFTSettings, sft

TOKENIZER_TEXTS = 4_000
AT_ONCE = 32
"""Problems played side by side."""


@dataclass(frozen=True)
class Shown:
    """What people show."""

    attempts: list[Pair]
    repairs: list[Pair]
    tests: list[Pair]
    failures: Failures
    """Of those who mended."""

    @property
    def rows(self) -> list[Pair]:
        return [*self.attempts, *self.repairs, *self.tests]


class CodingPipeline:
    """One run's stages."""

    def __init__(self, plan: CodingPlan, folder: Path, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.world = CodeTasks()

    def loop(self, feedback: Feedback = "read", own_tests: bool = False, like: CodingLoop | None = None) -> CodingLoop:
        """The world of several turns; it knows what was run in the one that it is `like`."""
        others = self.shown.failures if feedback == "other" else {}
        loop = like or CodingLoop(self.plan.visible, seed=self.plan.seed)
        return replace(loop, own_tests=own_tests, feedback=feedback, others=others)

    @cached_property
    def shown(self) -> Shown:
        """What is imitated at first; the failures in it are computed once and kept."""
        path, plan = self.folder / "people.json", self.plan
        if not path.exists():
            with self.stages.stage(f"{plan.run_attempts:,} of people's attempts are run", None):
                repairs, tests, failures = repairs_and_tests(
                    CodingLoop(plan.visible, seed=plan.seed), self.world, plan.run_attempts, derived_seed(plan.seed, 1)
                )
                attempts = first_attempts(self.world, plan.attempts, derived_seed(plan.seed, 2))
                write_text(path, json.dumps(asdict(Shown(attempts, repairs, tests, failures))))
        kept = json.loads(path.read_text(encoding="utf-8"))
        pairs = {name: [(a, b) for a, b in kept[name]] for name in ("attempts", "repairs", "tests")}
        return Shown(**pairs, failures=kept["failures"])

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        path = self.folder / "models" / "tokenizer"
        if not all((path / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
            some = [
                pair
                for rows in (self.shown.attempts, self.shown.repairs, self.shown.tests)
                for pair in rows[:TOKENIZER_TEXTS]
            ]
            train_bpe([text for pair in some for text in pair], self.plan.vocabulary).save_pretrained(path)
        return load_tokenizer(path)

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.plan.max_new_tokens, stop_tokens=(self.tokenizer.eos_token_id,))

    def encoded(self, rows: Sequence[Pair]) -> list[TokenPair]:
        """Prompts and completions as tokens, each closed by the end token."""
        return encode_pairs(self.tokenizer, [prompt for prompt, _ in rows], [text for _, text in rows])

    def finetuned(self) -> Decoder:
        """Supervised finetuning from nothing: first attempts, repairs, tests."""
        plan = self.plan

        def train() -> Decoder:
            torch.manual_seed(plan.seed)
            model = Decoder(plan.decoder)
            loop = decaying_loop(plan.finetuning_steps, plan.finetuning_rate, plan.seed, weight_decay=0.1)
            # Prompts are not learned: they hold what people got wrong.
            settings = SFTSettings(loop, plan.finetuning_batch, length_grouped=True)
            rows = self.encoded(self.shown.rows)
            with self.stages.stage("supervised finetuning", plan.finetuning_steps) as tick:
                sft(
                    model,
                    rows,
                    settings,
                    self.folder / "checkpoints" / "finetuning",
                    ticking(tick, plan.finetuning_steps),
                )
            return model

        return kept_model(self.folder / "models" / "finetuned", self.tokenizer, train)

    def problems(self, split: Split, n: int, number: int) -> list[Problem]:
        """Problems of one purpose, which `number` names."""
        return self.world.problems(split, n, derived_seed(self.plan.seed, number) % 2**31)

    @property
    def tested(self) -> list[Problem]:
        """Of families that training never shows."""
        return self.problems("test", self.plan.test_problems, 7)

    @property
    def trained(self) -> list[Problem]:
        return self.problems("train", self.plan.problems, 3)

    def more_of_people(self) -> list[Pair]:
        """What the policy was finetuned on, with first attempts at other problems, as many as it played episodes."""
        n = self.plan.problems * self.plan.rl_samples
        attempts = first_attempts(self.world, n, derived_seed(self.plan.seed, 6))
        return [*attempts, *self.shown.repairs, *self.shown.tests]

    def traces(self) -> list[tuple[Episode, bool]]:
        """What the finetuned policy does on problems of the train split, and whether its last body is right."""
        path, plan = self.folder / "traces" / "train.jsonl", self.plan
        if not path.exists():
            loop, problems = self.loop(), self.trained
            policy = frozen_copy(self.finetuned())
            settings = TurnSettings(plan.turns, plan.rl_samples, self.sampling)
            lines = []
            with self.stages.stage("the policy plays the loop", len(problems)) as tick:
                for start in range(0, len(problems), AT_ONCE):
                    some = problems[start : start + AT_ONCE]
                    episodes = play(policy, self.tokenizer, loop, some, settings, derived_seed(plan.seed, 4, start))
                    of = [some[each.problem] for each in episodes]
                    right = loop.passes_hidden(of, [each.turns[-1].action for each in episodes])
                    lines += [trace(*each) for each in zip(episodes, of, right, strict=True)]
                    tick(start, len(problems))
            write_text(path, "".join(lines))
        return [read_trace(line) for line in path.read_text(encoding="utf-8").splitlines()]
