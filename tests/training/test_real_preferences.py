"""A small reward model from nothing on real human preferences, beside the baseline of length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from foolsgold.objectives.statistics import wilson_interval
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.rewards.text_reward_model import TextRewardModel
from foolsgold.training.batches import pack
from foolsgold.training.dataset_files import read_rows
from foolsgold.training.datasets import preferences
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.pretrain import PretrainSettings, pretrain
from foolsgold.training.text_reward_model import (
    RewardModelSettings,
    TextComparisons,
    fit_text_reward_model,
    measure,
)

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "preferences" / "hh_harmless_test.jsonl.gz"


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="no human preferences here")
def test_a_reward_model_of_human_preferences_beats_length(capsys):
    rows = preferences(read_rows(str(DATA)))
    order = np.random.default_rng(0).permutation(len(rows))
    rows = [rows[i] for i in order]
    cut = len(rows) * 4 // 5
    told = [f"{row.prompt}{row.chosen}" for row in rows[:cut]]
    tokenizer = train_bpe(told, 2048)
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig.sized(len(tokenizer), 128, 2, 512))
    blocks = pack(tokenizer(told, add_special_tokens=False)["input_ids"], 256, tokenizer.eos_token_id)
    pretrain(decoder, blocks, PretrainSettings(LoopSettings(200, AdamWSettings(2e-3)), batch=8))
    columns = ([row.prompt for row in rows], [row.chosen for row in rows], [row.rejected for row in rows])
    comparisons = TextComparisons.encode(tokenizer, *columns, max_length=256)
    model = TextRewardModel(decoder)
    train, held_out = comparisons.rows(np.arange(cut)), comparisons.rows(np.arange(cut, len(rows)))
    adamw = AdamWSettings(3e-4, weight_decay=0.1)
    settings = RewardModelSettings(LoopSettings(cut // 16, adamw), batch=16, length_grouped=True)
    fit_text_reward_model(model, train, settings)
    found = measure(model, held_out)
    longer = sum(len(row.chosen) > len(row.rejected) for row in rows[cut:])
    shorter = sum(len(row.chosen) < len(row.rejected) for row in rows[cut:])
    with capsys.disabled():
        print(f"\nheld-out accuracy {found.accuracy:.3f} {found.interval} of {found.n}")
        for name, right in (("longer", longer), ("shorter", shorter)):
            share = right / found.n
            print(f"the {name} answer is the chosen one: {share:.3f} {wilson_interval(right, found.n)}")
    assert found.n == len(rows) - cut
    assert found.accuracy > longer / found.n  # people want harmless answers here, not long ones
    assert found.interval.low > 0.5  # it has learned something about people
