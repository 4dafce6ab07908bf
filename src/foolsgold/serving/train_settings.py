"""Settings of `foolsgold train …`, one dataclass a command; nothing here loads torch, so that --help is quick.

What is None follows from the other settings, the model and the data, and is printed and stored with the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tyro.conf import UseAppendAction

from foolsgold.errors import UserError


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What every training command takes."""

    output: str = "runs"
    """Folder in which the run folder is made."""
    resume: str | None = None
    """Run folder to go on with; its own settings hold, and it ends with the same numbers."""
    seed: int = 0
    """Seed of everything that is random."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes the GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format to compute in; auto takes bfloat16 where the machine is faster with it. Weights are kept in
    float32 beside it either way."""
    steps: int | None = None
    """Optimiser steps."""
    learning_rate: float | None = None
    """Peak of AdamW's learning rate; smaller for wider models, ten times as high with LoRA."""
    schedule: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    """How the learning rate falls after warm-up; wsd stays up and falls in the last fifth."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.0
    """AdamW's, of matrices only."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    batch: int = 32
    """Rows of a step."""
    micro_batch: int = 0
    """Rows of a forward, for the sake of memory, 0 for all; it does not change the result."""
    save_every: int = 50
    """Steps between checkpoints."""
    evaluate_every: int | None = None
    """Steps between evaluations on held-out rows, a tenth of the run where not given; 0 for none."""
    held_out: float = 0.05
    """Share of the rows that is not trained on but evaluated."""

    def __post_init__(self) -> None:
        if self.seed < 0 or self.batch < 1 or self.micro_batch < 0 or self.save_every < 1:
            raise UserError("--seed and --micro-batch are at least 0, --batch and --save-every at least 1")
        if self.steps is not None and self.steps < 1:
            raise UserError(f"--steps {self.steps} leaves nothing to do; give at least 1")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise UserError(f"--learning-rate {self.learning_rate:g} must be above 0")
        if not 0 <= self.held_out < 1 or not 0 <= self.warmup < 1:
            raise UserError("--held-out and --warmup are shares from 0 up to but not 1")


@dataclass(frozen=True, kw_only=True)
class Start:
    """Training that starts from a model."""

    model: str | None = None
    """Folder of the model to start from, or its name on the Hugging Face hub."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """Training that may leave the model alone and fit an adapter."""

    lora: int = 0
    """Rank of a LoRA adapter to train in place of all weights; 0 for none."""
    lora_alpha: float | None = None
    """The adapter's output is multiplied by this over the rank; twice the rank where not given."""
    lora_targets: tuple[str, ...] = ()
    """Ends of the names of the linear layers to adapt, such as q_proj v_proj; all but the output where not given."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Training on a data set."""

    data: str | None = None
    """Data set: a .jsonl, .json, .parquet or .csv file, a folder with one a split, or a name on the Hugging Face hub;
    `:split` behind it names another split than train."""
    epochs: float = 1.0
    """Passes over the rows, where --steps is not given."""


@dataclass(frozen=True, kw_only=True)
class PretrainCommand(RunSettings, Start, Rows):
    """Next-token training on texts, from nothing or from a model.

    Data: rows with `text`, or `messages`.

    examples:
      foolsgold train pretrain --data texts.jsonl --size s --vocabulary 2048
      foolsgold train pretrain --data texts.jsonl --model Qwen/Qwen3-0.6B-Base --steps 1000
    """

    size: Literal["s", "m", "l"] = "s"
    """Of a new model: 4 layers of width 128, 6 of 384 or 12 of 768."""
    width: int | None = None
    """Width of a new model, in place of the size's; a multiple of 32."""
    layers: int | None = None
    """Layers of a new model, in place of the size's."""
    vocabulary: int = 4096
    """Tokens of a new model's byte-level BPE tokenizer, which is trained on the texts."""
    chat: bool = False
    """Give a new model's tokenizer a chat template."""
    block: int = 256
    """Tokens of a row; texts are put one behind the other and cut into rows."""
    weight_decay: float = 0.1
    """AdamW's, of matrices only."""


@dataclass(frozen=True, kw_only=True)
class SFTCommand(RunSettings, Adapter, Start, Rows):
    """Supervised finetuning: imitate completions.

    Data: rows with `prompt` and `completion`, plain text or chat messages; or `messages`, of which the last is learned.

    examples:
      foolsgold train sft --model runs/pretrain-…/model --data pairs.jsonl --epochs 2
      foolsgold train sft --model Qwen/Qwen3-0.6B --data trl-lib/Capybara --lora 16
      foolsgold train sft --resume runs/sft-…
    """

    max_length: int | None = None
    """Tokens of a row; longer ones lose the start of their prompt, then the end of their completion."""
    train_on_prompts: bool = False
    """Learn prompts too, not completions only."""


@dataclass(frozen=True, kw_only=True)
class RewardCommand(RunSettings, Start, Rows):
    """Fit a reward model to comparisons (Bradley and Terry).

    Data: rows with `prompt`, `chosen` and `rejected`, and perhaps `margin`, `probability` or counts of raters. The
    model becomes a sequence classifier with one label, as transformers, TRL and RewardBench read it.

    examples:
      foolsgold train reward --model runs/sft-…/model --data comparisons.jsonl
      foolsgold train reward --model Qwen/Qwen3-0.6B --data trl-lib/ultrafeedback_binarized --max-length 1024
    """

    max_length: int | None = None
    """Tokens of a prompt and a completion; longer ones lose their beginning."""
    centering: float = 0.0
    """Weight of a term that keeps scores around 0; 0.01 is usual."""
    held_out: float = 0.1
    """Share of the comparisons on which accuracy is measured."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Training on what the policy itself writes."""

    prompts: str | None = None
    """Data set with a column `prompt`; rewards get all its other columns. A file, folder or name."""
    reward: UseAppendAction[tuple[str, ...]] = ()
    """What judges completions, written [NAME=]PLACE[@WEIGHT]: a reward model's folder or name, or a function in
    file.py:function or package.module:function, called as TRL calls its reward functions. Given several times, the
    weighted sum counts; with @0 it is only logged, such as a gold reward beside the proxy."""
    samples: int = 8
    """Completions of each prompt."""
    max_new_tokens: int = 128
    """Tokens of a completion."""
    temperature: float = 1.0
    """Of sampling."""
    reward_time_limit: float = 60.0
    """Seconds that a reward may take for one batch."""
    snapshots: int = 10
    """Policies kept along the way, evenly spread, for foolsgold audit; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class RLCommand(RunSettings, Adapter, Drawing, Start):
    """Reinforcement learning from a reward: a learned one, one that cannot be fooled, or several.

    Data: rows with `prompt`. Log-probabilities, KL from the start and every reward are logged at each step.

    examples:
      foolsgold train rl --model runs/sft-…/model --prompts prompts.jsonl --reward runs/reward-…/model
      foolsgold train rl --model runs/sft-…/model --prompts prompts.jsonl --reward rm=runs/reward-…/model \\
          --reward short=rewards.py:brevity@0.1 --reward gold=rewards.py:gold@0 --algorithm rloo --kl 0.05
      foolsgold train rl --model runs/sft-…/model --prompts prompts.jsonl --reward runs/reward-…/model \\
          --reward gold=judge.py:gold@0 --gold-budget 640
      foolsgold train rl --model Qwen/Qwen3-0.6B --prompts prompts.jsonl --reward tests.py:passes --lora 16
    """

    algorithm: Literal["grpo", "dr_grpo", "rloo", "reinforce++", "dapo", "gspo", "cispo", "ppo"] = "grpo"
    """How advantages and the loss are made; ppo learns a value function beside the policy."""
    steps: int | None = 200
    """Batches of completions, each learned from before the next is drawn."""
    batch: int = 16
    """Prompts of a step."""
    micro_batch: int = 64
    """Completions of a forward; it does not change the result."""
    passes: int = 1
    """Passes over a step's completions."""
    minibatches: int = 1
    """Optimiser steps a pass."""
    kl: float = 0.05
    """Price of a nat of KL from the starting model; 0 for none."""
    kl_in: Literal["auto", "loss", "reward", "chi-squared"] = "auto"
    """Where the price is paid; auto: in the reward for rloo, reinforce++ and ppo, else in the loss. With chi-squared,
    --kl is the price of that divergence of whole completions, in the loss; with rloo, 0.003 kept most gold in the study
    gaming, about as much as 0.3 a nat."""
    kl_target: float | None = None
    """Nats a completion that a price in the reward is steered to."""
    mask_truncated: bool = False
    """Do not learn from completions that were cut off at --max-new-tokens."""
    truncated_reward: float | None = None
    """Reward of a completion that was cut off, in place of its own."""
    refills: int | None = None
    """How often prompts whose completions all got the same reward are replaced; 2 for dapo, else 0."""
    alarms: Literal["off", "chi-squared", "all"] = "chi-squared"
    """Alarm that is read every ten steps, without gold, and logged as alarm/…, where a reward is a reward model. In the
    study gaming chi-squared caught 91 % (77 to 97) of the runs whose gold fell, at 5 % (2 to 13) false alarms, as good
    as a limit on KL at 88 % (73 to 95); no other did better. Thresholds do not carry over from one world to another."""
    alarm_threshold: float | None = None
    """Chi-squared above which the run stops. Take it from runs of your own: foolsgold audit says what the alarm read up
    to the peak of gold."""
    gold_budget: int | None = None
    """Labels of the reward named gold, one completion each, to spend on held-out prompts along the way. The run stops
    when gold has surely fallen, and the model is the policy of the highest gold."""
    schedule: Literal["cosine", "linear", "constant", "wsd"] = "constant"
    """How the learning rate falls after warm-up."""


@dataclass(frozen=True, kw_only=True)
class DPOCommand(RunSettings, Adapter, Start, Rows):
    """Fit a policy to preferences directly, without a reward model: DPO, IPO or KTO.

    Data: rows with `prompt`, `chosen` and `rejected`; for KTO with `prompt`, `completion` and `label`, true or false.

    examples:
      foolsgold train dpo --model runs/sft-…/model --data comparisons.jsonl
      foolsgold train dpo --model runs/sft-…/model --data thumbs.jsonl --loss kto
    """

    loss: Literal["dpo", "ipo", "kto"] = "dpo"
    """Which loss: of comparisons (dpo, ipo) or of single judged completions (kto)."""
    beta: float = 0.1
    """Price of leaving the starting model."""
    max_length: int | None = None
    """Tokens of a prompt and a completion; longer ones lose the start of the prompt, then the completion's end."""


@dataclass(frozen=True, kw_only=True)
class ConditionedCommand(RunSettings, Adapter, Start, Rows):
    """Score-conditioned finetuning: learn which score each completion got, then ask for a high one.

    Data: rows with `prompt`, `completion` and `score`. `foolsgold generate` asks the finished model for its best score,
    or with --score for another.

    examples:
      foolsgold train conditioned --model runs/sft-…/model --data scored.jsonl --bins 5
    """

    bins: int = 5
    """Levels that scores are told as, of about equally many rows each."""
    max_length: int | None = None
    """Tokens of a row; longer ones lose the start of their prompt, then the end of their completion."""


@dataclass(frozen=True, kw_only=True)
class ExpertCommand(RunSettings, Adapter, Drawing, Start):
    """Expert iteration: draw, keep the best by reward, finetune on them, and again.

    Data: rows with `prompt`.

    examples:
      foolsgold train expert --model runs/sft-…/model --prompts prompts.jsonl --reward tests.py:passes --rounds 3
    """

    rounds: int = 3
    """How often to draw and finetune."""
    steps: int | None = 50
    """Optimiser steps of each round."""
    prompts_a_round: int = 0
    """Prompts of a round; 0 for all."""
    samples: int = 16
    """Completions of each prompt."""
    top: int = 1
    """Completions kept of each prompt, the best."""
    from_start: bool = True
    """Finetune the starting model anew in every round, so that errors do not add up."""


COMMANDS: dict[str, type[RunSettings]] = {
    "pretrain": PretrainCommand,
    "sft": SFTCommand,
    "reward": RewardCommand,
    "rl": RLCommand,
    "dpo": DPOCommand,
    "conditioned": ConditionedCommand,
    "expert": ExpertCommand,
}

HELP = """usage: foolsgold train COMMAND [settings]

commands, in the order of RLHF:
  pretrain     next-token training on texts, from nothing or from a model
  sft          supervised finetuning: imitate completions
  reward       fit a reward model to comparisons
  rl           reinforcement learning: GRPO, Dr. GRPO, RLOO, REINFORCE++, DAPO, GSPO, CISPO, PPO

and instead of the last two, or of the last:
  dpo          fit a policy to preferences directly: DPO, IPO, KTO
  conditioned  score-conditioned finetuning: learn what scored how, ask for a high score
  expert       expert iteration: draw, keep the best, imitate them, and again

Every command makes a run folder with its settings, metrics, TensorBoard events, checkpoints and the finished model;
--resume FOLDER goes on after an interruption. Settings: foolsgold train COMMAND --help
"""
