"""The study `conditioned`: train on (prompt, score) -> completion, ask for a high score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from foolsgold.audit.report import write_report
from foolsgold.audit.verdict import Verdict
from foolsgold.environments.poems.lexicon import lexicon
from foolsgold.environments.poems.world import Poems
from foolsgold.errors import UserError
from foolsgold.files import replacing, write_text
from foolsgold.objectives.schedules import cosine
from foolsgold.policies.checkpoints import load_decoder, save_decoder
from foolsgold.policies.decoder import Decoder
from foolsgold.policies.generate import generate
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.tokenizer import encode_prompt
from foolsgold.rewards.text_reward_model import encode_pairs
from foolsgold.studies import poem_arm
from foolsgold.studies.arms import run_arms
from foolsgold.studies.conditioned_measure import Answers, Conditioned, Measured
from foolsgold.studies.conditioned_report import judge, sections
from foolsgold.studies.overoptimization import Size
from foolsgold.studies.overoptimization_measure import PoolOfBest
from foolsgold.studies.poem_arm import Arm, standard_reward
from foolsgold.studies.poem_study import run_study
from foolsgold.studies.poems_pipeline import SCORE_WORDS, PoemsPipeline, PoemsPlan
from foolsgold.studies.poems_start import poems_plan, take_over
from foolsgold.studies.progress import Stages
from foolsgold.studies.standard_reward import StandardReward
from foolsgold.training.batches import pad_pairs
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.rollouts import derived_seed, frozen_copy
from foolsgold.training.run_folder import RunFolder
from foolsgold.training.score_conditioned import ScoreConditioning
from foolsgold.training.sft import SFTSettings, sft

STUDY = "conditioned"
VERSION = 1
BINS, DIGITS = 11, 4
"""Bins of scores, and binary digits of their numbers. Every digit at every place is learned in some bin, so numbers up
to 15 can be said, of which the last five were never seen."""
EPOCHS = 4
"""How often each poem is learned from."""
PIECE = 8
"""Prompts whose poems are drawn at once and kept together."""


def _schedule(step: int, steps: int) -> float:
    return cosine(step, steps, warmup=0.05, final=0.1)


@dataclass(frozen=True)
class ConditionedConfig:
    """RLHF without RL: learn what scored how, ask for a high score.

    A small model's poems are scored by the reward model; it is finetuned on (prompt, score) -> poem and then asked for
    each score, for the best one and for more than it ever saw. The same with the critic's scores tells the method from
    the proxy. RL and best of n with the same number of poems stand beside it.

    Examples:
      foolsgold run conditioned
      foolsgold run conditioned --from runs/overoptimization-20260101-120000 --size m
      foolsgold run conditioned --resume runs/conditioned-20260101-120000
    """

    size: Size = "s"
    """s: up to 10 minutes on two cores, m: up to 20, l: hours, or a larger machine."""
    seed: int = 0
    """Seed of everything that is random: the same seed gives the same numbers on the same machine."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Run folder of another study on poems, of the same size and seed, whose models and comparisons are copied in
    place of training anew."""
    resume: Path | None = None
    """Run folder to go on with; its own settings hold."""
    out: Path = Path("runs")
    """Where the run folder is made."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"--seed {self.seed} is negative; give 0 or more")
        if self.source is not None and self.resume is not None:
            raise UserError("a run that goes on has its models already; give --from or --resume, not both")


@dataclass(frozen=True)
class Plan:
    """Everything that follows from the dial; printed, and stored with the run."""

    size: Size
    poems: PoemsPlan
    source: str | None
    """Run folder that models and comparisons are copied from."""
    samples: int
    """Poems drawn for training, by RL too."""
    steps: int
    """Of score-conditioned training."""
    rl: Arm
    best_of: int
    """Poems a prompt that the finetuned policy writes for best of n: as many in all as the others learn from."""
    batch: int = 64
    learning_rate: float = 3e-3
    poems_each: int = 4
    """Poems a prompt for each score asked for."""

    @classmethod
    def of(cls, config: ConditionedConfig) -> Plan:
        poems = poems_plan(config.size, config.seed, config.source)
        source = None if config.source is None else str(config.source.resolve())
        samples = len(Poems().topics("train")) * len(lexicon().phrasings) * poems.poems_a_prompt
        arm = Arm("rl", poems.comparisons, poems.layers, kl_price=0.0, steps=1, evaluate_every=1)
        steps = samples // (arm.prompts * arm.samples)
        arm = Arm(**{**asdict(arm), "steps": steps, "evaluate_every": max(1, steps // 6)})
        learning = EPOCHS * samples // cls.batch
        return cls(config.size, poems, source, samples, learning, arm, samples // poem_arm.EVALUATED_PROMPTS)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan of a stored run."""
        return cls(**{**data, "poems": PoemsPlan(**data["poems"]), "rl": Arm(**data["rl"])})


class ScoreConditioned:
    """One run of the study."""

    def __init__(self, plan: Plan, folder: RunFolder, stages: Stages):
        self.plan, self.folder, self.stages = plan, folder, stages
        self.created = datetime.fromisoformat(folder.record["created"])
        self.pipeline = PoemsPipeline(plan.poems, folder.path, stages, self.created)
        self.prompts = self.pipeline.world.prompts("train", poem_arm.EVALUATED_PROMPTS, plan.poems.seed + 7)
        """Those on which RL is measured."""

    def run(self) -> Verdict:
        """All stages; writes verdict.json and report.html."""
        plan, pipeline = self.plan, self.pipeline
        if plan.source is not None:
            take_over(Path(plan.source), plan.poems, self.folder.path)
        pipeline.finetuned()
        proxy = self.proxy()
        pool = pipeline.pool()
        measured = Measured(
            by_proxy=self.conditioned("proxy", self.pool_scores(proxy), proxy),
            by_gold=self.conditioned("gold", pool.gold.ravel(), proxy),
            drawn=self.drawn(proxy),
            rl=run_arms(plan.poems, [plan.rl], self.folder.path, self.created, self.stages)[0],
            samples=plan.samples,
        )
        verdict = judge(measured)
        verdict.write(self.folder.path / "verdict.json")
        command = f"foolsgold run {STUDY} --size {plan.size} --seed {plan.poems.seed}"
        write_report(
            self.folder.path / "report.html", verdict, sections(measured, plan.poems), self.folder.record, command
        )
        return verdict

    def proxy(self) -> StandardReward:
        """The reward model, fitted to what readers preferred."""
        poems = self.plan.poems
        with self.stages.stage(f"reward model learns {poems.comparisons:,} comparisons", None) as tick:
            model = self.pipeline.reward_model(poems.comparisons, poems.layers, tick)
            return standard_reward(self.pipeline, self.pipeline.reward(model))

    def pool_scores(self, proxy: StandardReward) -> np.ndarray:
        """Proxy of all poems that the readers compared, `[samples]`."""
        path = self.folder.path / "pool_scores.npy"
        if not path.exists():
            with self.stages.stage("the reward model scores the poems", None), replacing(path) as part:
                np.save(part, np.array(proxy(*self.pool_rows()), np.float64))
        return np.load(path)

    def pool_rows(self) -> tuple[list[str], list[str]]:
        """Prompts and poems, `[samples]` each."""
        pool = self.pipeline.pool()
        prompts = [prompt for prompt, texts in zip(pool.prompts, pool.texts, strict=True) for _ in texts]
        return prompts, [text for texts in pool.texts for text in texts]

    def conditioned(self, name: str, scores: np.ndarray, proxy: StandardReward) -> Conditioned:
        """Train on (prompt, score) -> poem with these scores `[samples]`, and ask for every score there is a word for.

        A score is its bin's number in binary digits. Each is a word of the tokenizer that no text has, with other words
        at every place, so that what they mean adds up.
        """
        said = [encode_prompt(self.pipeline.tokenizer, word) for word in SCORE_WORDS]
        numbers = [f"{number:0{DIGITS}b}" for number in range(2**DIGITS)]
        words = [[t for place, digit in enumerate(each) for t in said[2 * place + int(digit)]] for each in numbers]
        conditioning = ScoreConditioning.fit(scores, words, BINS)
        policy = frozen_copy(self.trained(name, scores, conditioning))
        answers = []
        with self.stages.stage(f"asked for scores by {name}", len(words)) as tick:
            for number in range(len(words)):
                path = self.folder.path / "answers" / f"{name}-{number:02}.json"
                if not path.exists():
                    asked = [conditioning.ask(encode_prompt(self.pipeline.tokenizer, p), number) for p in self.prompts]
                    write_text(path, json.dumps(asdict(self.answer(policy, asked, proxy, number))))
                answers.append(Answers(**json.loads(path.read_text(encoding="utf-8"))))
                tick(number + 1, len(words))
        return Conditioned(conditioning.quantiles.medians, answers)

    def trained(self, name: str, scores: np.ndarray, conditioning: ScoreConditioning) -> Decoder:
        """The finetuned policy, finetuned further on the pool's poems with words for their scores."""
        plan, path = self.plan, self.folder.path / "models" / f"conditioned-{name}"
        if not (path / "config.json").exists():  # written last
            model = self.pipeline.finetuned()
            told_apart(model, conditioning.words, plan.poems.seed)
            rows = conditioning.rows(encode_pairs(self.pipeline.tokenizer, *self.pool_rows()), scores)
            loop = LoopSettings(
                plan.steps, AdamWSettings(plan.learning_rate), _schedule, save_every=200, seed=plan.poems.seed + 13
            )
            settings = SFTSettings(loop, plan.batch, length_grouped=True)
            state = self.folder.checkpoints / f"conditioned-{name}"
            with self.stages.stage(f"learns scores by {name}", plan.steps) as tick:
                sft(model, rows, settings, state, lambda step, _: tick(step, plan.steps))
            self.pipeline.tokenizer.save_pretrained(path)
            save_decoder(path, model)
        return load_decoder(path)  # also when just trained: a resumed run gets the same

    def answer(self, policy: Decoder, asked: Sequence[Sequence[int]], proxy: StandardReward, number: int) -> Answers:
        """Poems for the fixed prompts, with words for the score `number` behind them."""
        plan, pipeline = self.plan, self.pipeline
        drawn = generate(policy, asked, pipeline.sampling, derived_seed(plan.poems.seed, 14, number), plan.poems_each)
        completions = drawn.completions()
        texts = pipeline.tokenizer.batch_decode(completions, skip_special_tokens=True)
        prompts = [prompt for prompt in self.prompts for _ in range(plan.poems_each)]
        bare = [encode_prompt(pipeline.tokenizer, prompt) for prompt in prompts]
        batch = pad_pairs(list(zip(bare, completions, strict=True)), 0)
        said = token_log_probs(pipeline.policy, batch.tokens, batch.completion_mask).sum(1)
        scores, gold = np.array(proxy(prompts, texts)), np.array(pipeline.world.gold(prompts, texts), np.float64)
        return Answers(
            kl=float((drawn.log_probs.sum(1) - said).mean()),
            gold=gold.reshape(-1, plan.poems_each).mean(1).tolist(),
            proxy=scores.reshape(-1, plan.poems_each).mean(1).tolist(),
            poems=[
                (prompts[i], texts[i], float(scores[i]), float(gold[i])) for i in range(0, len(texts), plan.poems_each)
            ][:3],
        )

    def drawn(self, proxy: StandardReward) -> PoolOfBest:
        """The finetuned policy's poems for the same prompts, to pick the best from; pieces that are there are kept."""
        plan, pipeline, pieces = self.plan, self.pipeline, []
        with self.stages.stage(f"best of {plan.best_of:,}", len(self.prompts)) as tick:
            for start in range(0, len(self.prompts), PIECE):
                path = self.folder.path / "best_of_n" / f"piece-{start:05}.npz"
                prompts = self.prompts[start : start + PIECE]
                if not path.exists():
                    ids = [encode_prompt(pipeline.tokenizer, prompt) for prompt in prompts]
                    seed = derived_seed(plan.poems.seed, 15, start)
                    found = generate(pipeline.policy, ids, pipeline.sampling, seed, plan.best_of)
                    texts = pipeline.tokenizer.batch_decode(found.completions(), skip_special_tokens=True)
                    asked = [prompt for prompt in prompts for _ in range(plan.best_of)]
                    scores = np.array([proxy(asked, texts), pipeline.world.gold(asked, texts)], np.float64)
                    path.parent.mkdir(exist_ok=True)
                    with replacing(path) as part:
                        np.savez_compressed(part, scores=scores.reshape(2, len(prompts), -1))
                pieces.append(np.load(path)["scores"])
                tick(start + len(prompts), len(self.prompts))
        return PoolOfBest(*np.concatenate(pieces, 1))


@torch.no_grad()
def told_apart(model: Decoder, words: Sequence[Sequence[int]], seed: int) -> None:
    """Give the tokens of the words embeddings of their own, as wide apart as those of other tokens, in place.

    Of tokens that no text has pretraining leaves embeddings that are all but the same, since it knows them only as
    what never comes next; words so much alike take long to be told apart.
    """
    matrix, tokens = model.embedding.weight, sorted({token for word in words for token in word})
    fresh = torch.randn((len(tokens), matrix.shape[1]), generator=torch.Generator().manual_seed(seed))
    matrix[tokens] = (fresh * matrix.std()).to(matrix)


def main(config: ConditionedConfig) -> None:
    """Run or resume the study and say where the report is."""
    make_plan = partial(Plan.of, config)
    run_study(STUDY, VERSION, config.out, config.resume, make_plan, Plan.from_json, ScoreConditioned)
