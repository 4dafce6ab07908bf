"""A run of TRL's GRPO trainer, stopped when gold falls."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerControl, TrainerState

from foolsgold.audit.trl_callback import GoldStopCallback
from foolsgold.errors import UserError
from foolsgold.policies.hub import load_policy
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.training.datasets import PromptRow
from foolsgold.training.rollouts import Task


def tokenizer() -> PreTrainedTokenizerFast:
    words = {"<pad>": 0, "<eos>": 1, **{f"w{i}": i for i in range(2, 16)}}
    model = Tokenizer(models.WordLevel(words, "<pad>"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=model, pad_token="<pad>", eos_token="<eos>")


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=None, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config)


PROMPTS = [f"w{2 + i} w3" for i in range(12)]


def callback(gold, folder, **settings) -> GoldStopCallback:
    task = Task([PromptRow(prompt, {}) for prompt in PROMPTS], Scorer([WeightedReward(gold)], None), tokenizer())
    return GoldStopCallback(task, Sampling(6), **{"budget": 60, **settings}, folder=folder)


def arguments(world_size=1):
    return type("Arguments", (), {"world_size": world_size})()


def falling(calls):
    """Gold that falls from look to look, whatever is written."""

    def gold(prompts, completions, **columns):
        calls.append(len(completions))
        return [-float(len(calls))] * len(completions)

    return gold


def test_the_model_is_left_as_it_was(tmp_path):
    model, state, calls = llama().train(), TrainerState(max_steps=4), []
    before = torch.get_rng_state()
    control = TrainerControl()
    stop = callback(falling(calls), tmp_path)
    stop.on_train_begin(arguments(), state, control, model=model)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert not control.should_training_stop
    kept = load_policy(stop.looks.best).model.state_dict()
    assert torch.equal(kept["embedding.weight"], model.get_input_embeddings().weight)
    state.global_step = 1
    stop.on_step_end(arguments(), state, control, model=model)
    assert control.should_training_stop
    assert "gold fell by 1 from step 0 to step 1" in stop.stopped
    assert state.log_history[-1]["gold_stop/gold"] == -2
    assert calls == [12, 12]


def test_looks_need_a_trainer_of_one_process(tmp_path):
    stop = callback(falling([]), tmp_path)
    with pytest.raises(UserError, match="call train"):
        _ = stop.looks
    with pytest.raises(UserError, match="this run has 2"):
        stop.on_train_begin(arguments(2), TrainerState(max_steps=4), TrainerControl(), model=llama())


@pytest.mark.slow
def test_a_grpo_run_stops_and_a_resumed_one_pays_nothing_again(tmp_path):
    pytest.importorskip("trl")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    def reward(completions, **columns):
        return [float(text.split().count("w7")) for text in completions]

    def train(calls):
        stop = callback(falling(calls), tmp_path / "gold", every=2)
        config = GRPOConfig(
            str(tmp_path / "trl"), max_steps=4, per_device_train_batch_size=4, num_generations=4,
            max_completion_length=6, report_to=[], use_cpu=True, bf16=False, save_strategy="no", beta=0.0,
        )  # fmt: skip
        trainer = GRPOTrainer(
            llama(), reward, config, Dataset.from_list([{"prompt": prompt} for prompt in PROMPTS]),
            processing_class=tokenizer(), callbacks=[stop],
        )  # fmt: skip
        trainer.train()
        return trainer, stop

    calls: list[int] = []
    trainer, stop = train(calls)
    assert trainer.state.global_step == 2
    assert "gold fell" in stop.stopped
    assert stop.looks.best_step == 0
    assert calls == [12, 12]
    assert np.isfinite(stop.log[2]["gold_fall_at_least"])
    again = train(calls)[0]
    assert again.state.global_step == 2
    assert calls == [12, 12]
