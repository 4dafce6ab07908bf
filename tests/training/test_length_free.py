"""Raters who like a word and length: the kept head follows the word alone. Losses by hand, kills, what is refused."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest
import torch

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel, load_reward_model
from foolsgold.training.length_free import (
    Feature,
    FreeOfFeature,
    correlation,
    disentangling_loss,
    fit_free_of_feature,
)
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.text_reward_model import (
    RewardModelSettings,
    TextComparisons,
    fit_text_reward_model,
    score_pairs,
)

VOCABULARY, END, LIKED = 31, 1, 7


def completion(rng):
    words = rng.integers(8, VOCABULARY, rng.integers(2, 12)).tolist()
    if rng.random() < 0.5:
        words[rng.integers(len(words))] = LIKED
    return [*words, END]


def comparisons(n, seed):
    """Raters give 2 nats for the liked word and 0.4 for each token."""
    rng = np.random.default_rng(seed)
    prompts, chosen, rejected = [], [], []
    for _ in range(n):
        a, b = completion(rng), completion(rng)
        lead = 2.0 * ((LIKED in a) - (LIKED in b)) + 0.4 * (len(a) - len(b))
        first = rng.random() < 1 / (1 + math.exp(-lead))
        prompts.append([5, 6])
        chosen.append(a if first else b)
        rejected.append(b if first else a)
    return TextComparisons(prompts, chosen, rejected)


def fresh() -> TextRewardModel:
    torch.manual_seed(0)
    return TextRewardModel(Decoder(DecoderConfig.sized(VOCABULARY, 32, 2)), 0)


def settings(steps, batch=32, **other):
    loop = LoopSettings(steps, AdamWSettings(learning_rate=3e-3), **{"dtype": torch.float32, **other})
    return RewardModelSettings(loop, batch)


def by_length_and_word(model, n=400):
    """Correlation of scores with the length, and how much more often completions with the word score above those
    without, of the same length."""
    rng = np.random.default_rng(9)
    plain = [[*rng.integers(8, VOCABULARY, rng.integers(2, 12)).tolist(), END] for _ in range(n)]
    with_word = [[LIKED, *text[1:]] for text in plain]
    with torch.no_grad():
        yes, no = score_pairs(model, [[5, 6]] * n, with_word, plain)
    lengths = torch.tensor([float(len(text)) for text in plain])
    return float(torch.corrcoef(torch.stack([no, lengths]))[0, 1]), float((yes > no).float().mean())


def test_the_kept_head_follows_the_word_and_not_the_length():
    rows, usual, free = comparisons(800, 0), fresh(), fresh()
    fit_text_reward_model(usual, rows, settings(100))
    log = {}
    fit_free_of_feature(free, rows, settings(100), report=lambda step, metrics: log.update({step: metrics}))
    assert by_length_and_word(usual)[0] > 0.7
    bound, follows = by_length_and_word(free)
    assert abs(bound) < 0.35
    assert follows > 0.9
    assert log[100]["other_correlation"] > 0.8
    assert abs(log[100]["cosine"]) < 0.2
    assert log[100]["accuracy"] > 0.6


def test_losses_worked_by_hand():
    # (1, 2, 3) and (2, 4, 9): centred (-1, 0, 1) and (-3, -1, 4): 7 / sqrt(2 * 26).
    scores, feature = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 9.0])
    assert correlation(scores, feature).item() == pytest.approx(7 / math.sqrt(52))
    assert correlation(torch.ones(3), feature) == 0
    loss = disentangling_loss(-scores, feature, feature, torch.tensor(-0.5), FreeOfFeature(2.0, 3.0))
    assert loss.item() == pytest.approx(2 * (7 / math.sqrt(52) - 1) + 3 * 0.5)


def test_the_first_step_logs_the_loss_of_its_batch():
    rows, model, log = comparisons(6, 0), fresh(), {}
    feature = Feature(np.arange(6.0), np.arange(6.0)[::-1] * 2)
    with torch.no_grad():
        kept = torch.cat(score_pairs(model, rows.prompts, rows.chosen, rows.rejected))
    fit_free_of_feature(model, rows, settings(1, batch=6), feature, report=lambda step, metrics: log.update(metrics))
    # In the batch's own order a correlation is the same.
    expected = np.corrcoef(kept.numpy(), np.concatenate([feature.chosen, feature.rejected]))[0, 1]
    assert log["correlation"] == pytest.approx(expected, abs=1e-4)
    assert log["loss"] == pytest.approx(
        math.log(2) + abs(log["correlation"]) - log["other_correlation"] + abs(log["cosine"]), abs=0.05
    )


def test_any_number_can_be_the_feature():
    """Free of the word, the kept head follows the length."""
    rows, model = comparisons(800, 0), fresh()
    held = [np.array([float(LIKED in text) for text in column]) for column in (rows.chosen, rows.rejected)]
    fit_free_of_feature(model, rows, settings(100), Feature(*held))
    bound, follows = by_length_and_word(model)
    assert bound > 0.5
    assert follows < 0.8


def test_what_is_kept_is_an_ordinary_reward_model(tmp_path):
    tokenizer = train_bpe(["the rain falls on the sea"] * 4, 300)
    rows = TextComparisons.encode(tokenizer, ["rain: "] * 2, ["the rain", "the sea falls"], ["roof", "no"])
    torch.manual_seed(0)
    model = TextRewardModel(Decoder(DecoderConfig.sized(len(tokenizer), 32, 1)))
    fit_free_of_feature(model, rows, settings(3, batch=2))
    model.save(tmp_path, tokenizer)
    texts = ["rain: "], ["the sea"]
    assert TextReward(load_reward_model(tmp_path), tokenizer)(*texts) == pytest.approx(
        TextReward(model, tokenizer)(*texts), abs=1e-6
    )


def test_a_killed_run_ends_with_the_same_numbers(tmp_path):
    plan, rows = settings(6, batch=5, save_every=2, dtype=torch.bfloat16), comparisons(13, 0)

    def fitted(folder, until=None):
        model = fresh()

        def report(step, metrics):
            if step == until:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            fit_free_of_feature(model, rows, plan, folder=folder, report=report)
        return model

    whole = fitted(tmp_path / "whole")
    fitted(tmp_path / "cut", until=5)
    again = fitted(tmp_path / "cut")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_what_makes_no_sense_is_refused():
    rows = comparisons(4, 0)
    with pytest.raises(UserError, match="no comparisons"):
        fit_free_of_feature(fresh(), comparisons(0, 0), settings(1))
    with pytest.raises(UserError, match="3 of 4"):
        fit_free_of_feature(fresh(), rows, settings(1), Feature(np.arange(3.0), np.ones(3)))
    with pytest.raises(UserError, match="no micro_batch"):
        fit_free_of_feature(fresh(), rows, RewardModelSettings(settings(1).loop, micro_batch=2))
    with pytest.raises(UserError, match="same for all"):
        Feature(np.ones(3), np.ones(3))
    with pytest.raises(UserError, match="finite"):
        Feature(np.array([1.0, np.nan]), np.ones(2))
