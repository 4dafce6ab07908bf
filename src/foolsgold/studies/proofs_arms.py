"""The arms of the study `proofs`: from one start, RL over turns, expert iteration by search, and more imitation.

RL goes first; expert iteration gets as many calls of the prover and as many steps to learn from as RL had, and more
imitation as many steps of students. Each arm is deterministic and goes on where it was killed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from foolsgold.files import write_text
from foolsgold.objectives.schedules import constant
from foolsgold.policies.decoder import Decoder
from foolsgold.rewards.text_reward_model import TokenPair, encode_pairs
from foolsgold.rewards.verifiers.proof_sessions import ProofSession
from foolsgold.rewards.verifiers.proof_turns import ProofTurns
from foolsgold.studies.kept_models import decaying_loop
from foolsgold.studies.proofs_pipeline import Metered, ProofsPipeline, accepted
from foolsgold.training.batches import batch_indices
from foolsgold.training.loop import LoopSettings, Metrics
from foolsgold.training.multi_turn import TurnSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.proof_search import PolicyProposals, SearchSettings, best_first
from foolsgold.training.rollouts import derived_seed, frozen_copy
from foolsgold.training.sft import SFTSettings, sft
from foolsgold.training.turn_gradient import TurnGradientSettings, train_on_turns

CHUNK = 32
"""Theorems searched before the budget is looked at."""

Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Spent:
    """What an arm took after the start."""

    calls: int = 0
    """Tactics that the prover was asked to take."""
    tokens: int = 0
    """Drawn from the policy."""
    rows: int = 0
    """Steps, a goal with its tactic, that were learned from, repeats counted."""
    updates: int = 0
    """Steps of the optimiser."""


@dataclass(frozen=True)
class RLStep:
    """What a step of RL says of itself."""

    calls: int
    tokens: int
    reward: float
    """Share of episodes that proved their theorem."""
    teach: float
    """Share of theorems that some episodes proved and some did not: only those are learned from."""


@dataclass(frozen=True)
class Round:
    """Of expert iteration."""

    searched: int
    """Theorems, repeats counted."""
    proofs: dict[str, list[list[str]]]
    """Prompts and tactics of the shortest proof found, by statement; all are accepted by the kernel."""
    calls: int
    tokens: int
    rejected: int
    """Proofs that the kernel did not accept."""


def rl_steps(folder: Path) -> list[RLStep]:
    """Of the run in `folder`, as far as it has come."""
    path = folder / "arms" / "rl.jsonl"
    if not path.exists():
        return []
    # A step that a killed run has done again stands there twice, the same; a last line may be cut off.
    lines = [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if line]
    by_step = {row.pop("step"): row for row in map(json.loads, lines)}
    return [RLStep(**by_step[step]) for step in sorted(by_step)]


def reinforce(pipeline: ProofsPipeline, session: ProofSession, tick: Tick) -> Decoder:
    """RL over turns: the reward is a proof without goals left, and nothing else."""
    plan, folder = pipeline.plan, pipeline.folder / "arms"
    folder.mkdir(exist_ok=True)
    problems = pipeline.problems("train")
    settings = TurnGradientSettings(
        LoopSettings(
            plan.rl_steps,
            AdamWSettings(plan.rl_rate),
            constant,
            save_every=10,
            seed=derived_seed(plan.seed, 4) % 2**31,
        ),
        TurnSettings(plan.turns, plan.samples, pipeline.sampling),
        plan.problems,
    )

    def train() -> Decoder:
        policy = pipeline.finetuned()
        world = Metered(ProofTurns(session, plan.tool), pipeline.tokenizer)

        def report(step: int, metrics: Metrics) -> None:
            row = RLStep(world.calls, world.tokens, metrics["reward"], metrics["groups_that_teach"])
            world.calls = world.tokens = 0
            with (folder / "rl.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **asdict(row)}) + "\n")
            tick(step, plan.rl_steps)

        train_on_turns(policy, pipeline.tokenizer, world, problems, settings, folder / "rl", report)
        if len(rl_steps(pipeline.folder)) != plan.rl_steps:  # killed between a checkpoint and its line
            shutil.rmtree(folder / "rl")
            return train()
        return policy

    return pipeline.policy("rl", train)


def iterate(pipeline: ProofsPipeline, session: ProofSession, budget: Spent, tick: Tick) -> Decoder:
    """Expert iteration: search proves theorems of the train split, the policy learns the proofs, and again."""
    plan = pipeline.plan

    def train() -> Decoder:
        policy = pipeline.finetuned()
        proofs: dict[str, list[list[str]]] = {}
        spent = 0
        for number in range(plan.rounds):
            path = pipeline.folder / "arms" / f"expert-{number + 1}.json"
            if not path.exists():
                left = budget.calls * (number + 1) // plan.rounds - spent
                found = _searched(pipeline, session, policy, number, left)
                write_text(path, json.dumps(asdict(found), ensure_ascii=False))
            found = Round(**json.loads(path.read_text(encoding="utf-8")))
            spent += found.calls
            proofs |= {
                statement: proof
                for statement, proof in found.proofs.items()
                if statement not in proofs or len(proof) < len(proofs[statement])
            }
            steps = list(dict.fromkeys((prompt, action) for proof in proofs.values() for prompt, action in proof))
            if steps:
                rows = encode_pairs(pipeline.tokenizer, *zip(*steps, strict=True))
                _learn(pipeline, policy, rows, budget.rows // plan.rounds, f"expert-{number + 1}", 5 + number)
            tick(number + 1, plan.rounds)
        return policy

    return pipeline.policy("expert", train)


def imitate(pipeline: ProofsPipeline, budget: Spent, tick: Tick) -> Decoder:
    """More of what the start learned, students' steps, as much as RL learned from: no prover has a say in it."""

    def train() -> Decoder:
        policy = pipeline.finetuned()
        _learn(pipeline, policy, pipeline.rows, budget.rows, "imitation", 20)
        tick(1, 1)
        return policy

    return pipeline.policy("imitation", train)


def spent(pipeline: ProofsPipeline, arm: str) -> Spent:
    """By a finished arm: rl, expert, imitation; nothing by any other."""
    plan = pipeline.plan
    steps = rl_steps(pipeline.folder)
    # Rows of theorems that teach; they have about as many as others.
    rows = round(sum(step.calls * step.teach for step in steps))
    if arm == "rl":
        return Spent(sum(step.calls for step in steps), sum(step.tokens for step in steps), rows, len(steps))
    if arm == "imitation":
        updates = _updates(pipeline, rows)
        return Spent(0, 0, updates * plan.batch, updates)
    if arm == "expert":
        rounds = expert_rounds(pipeline)
        # A round learns all that was proved so far, so nothing before the first proof.
        learning = sum(any(each.proofs for each in rounds[: i + 1]) for i in range(len(rounds)))
        updates = learning * _updates(pipeline, rows // plan.rounds)
        return Spent(
            sum(each.calls for each in rounds), sum(each.tokens for each in rounds), updates * plan.batch, updates
        )
    return Spent()


def expert_rounds(pipeline: ProofsPipeline) -> list[Round]:
    """Of a finished arm."""
    paths = [pipeline.folder / "arms" / f"expert-{i + 1}.json" for i in range(pipeline.plan.rounds)]
    return [Round(**json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def _updates(pipeline: ProofsPipeline, rows: int) -> int:
    return max(1, round(rows / pipeline.plan.batch))


def _learn(
    pipeline: ProofsPipeline, policy: Decoder, rows: list[TokenPair], count: int, name: str, number: int
) -> None:
    plan = pipeline.plan
    loop = decaying_loop(_updates(pipeline, count), plan.further_rate, derived_seed(plan.seed, number) % 2**31)
    settings = SFTSettings(loop, plan.batch, length_grouped=True)
    sft(policy, rows, settings, pipeline.folder / "checkpoints" / name)


def _searched(pipeline: ProofsPipeline, session: ProofSession, policy: Decoder, number: int, calls: int) -> Round:
    """Search for proofs of theorems of the train split, one after the other, until the prover was asked so often."""
    plan, problems = pipeline.plan, pipeline.problems("train")
    world = Metered(ProofTurns(session, plan.tool), pipeline.tokenizer)
    seed = derived_seed(plan.seed, 10, number)
    propose = PolicyProposals(frozen_copy(policy), pipeline.tokenizer, pipeline.sampling, plan.samples, seed)
    settings = SearchSettings(plan.expert_expansions, plan.turns, CHUNK)
    proofs: dict[str, list[list[str]]] = {}
    searched = rejected = 0
    while world.calls < calls:
        some = [problems[i] for i in batch_indices(len(problems), CHUNK, searched // CHUNK, int(seed % 2**31))]
        found = best_first(world, some, propose, settings)
        searched += len(some)
        solved = [
            (problem.columns["statement"], each.path) for problem, each in zip(some, found, strict=True) if each.solved
        ]
        for (statement, path), passes in zip(
            solved,
            accepted(session, plan.tool, [(statement, [action for _, action in path]) for statement, path in solved]),
            strict=True,
        ):
            rejected += not passes
            if passes and (statement not in proofs or len(path) < len(proofs[statement])):
                proofs[statement] = [list(step) for step in path]
        if not world.calls:
            break  # the policy proposes nothing
    return Round(searched, proofs, world.calls, propose.tokens, rejected)
