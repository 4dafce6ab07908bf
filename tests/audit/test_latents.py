"""Latents against the scores read from them; shrinkage against its definition; the ball's share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import LlamaConfig, LlamaForSequenceClassification

from foolsgold.audit.latents import LatentBall, latents_of, ledoit_wolf
from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel, TransformersRewardModel

PROMPTS = ["a poem:", "rain", "tell me of the sea"]
TEXTS = [" the rain falls", " on the sea and on the roof", " no"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(["the rain falls on the roof and on the sea"] * 4, 300)


def test_the_score_is_a_product_with_the_latent(tokenizer):
    torch.manual_seed(0)
    reward = TextReward(TextRewardModel(Decoder(DecoderConfig.sized(len(tokenizer), 32, 2))), tokenizer, batch_size=2)
    latents = latents_of(reward, PROMPTS, TEXTS)
    assert latents.shape == (3, 32)
    assert latents @ reward.model.head.detach().numpy()[0] == pytest.approx(reward(PROMPTS, TEXTS), abs=1e-5)


def test_also_in_models_that_transformers_runs(tokenizer):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_labels=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = TransformersRewardModel(LlamaForSequenceClassification(config).eval())
    reward = TextReward(model, tokenizer, batch_size=2)
    head = model.inner.score.weight.detach().numpy()[0]
    assert latents_of(reward, PROMPTS, TEXTS) @ head == pytest.approx(reward(PROMPTS, TEXTS), abs=1e-5)


def test_shrinkage_is_that_of_its_definition():
    """Ledoit and Wolf 2004, section 3.2, with their sums written out."""
    x = np.random.default_rng(0).normal(size=(30, 5)) @ np.diag([1, 1, 2, 3, 5.0])
    x -= x.mean(0)
    s = sum(np.outer(row, row) for row in x) / 30
    m = np.trace(s) / 5
    d2 = np.linalg.norm(s - m * np.eye(5)) ** 2
    b2 = min(sum(np.linalg.norm(np.outer(row, row) - s) ** 2 for row in x) / 30**2, d2)
    covariance, shrinkage = ledoit_wolf(x + 7)
    assert shrinkage == pytest.approx(b2 / d2)
    assert covariance == pytest.approx(b2 / d2 * m * np.eye(5) + (d2 - b2) / d2 * s)


def test_fewer_samples_than_dimensions_still_give_a_covariance():
    covariance, shrinkage = ledoit_wolf(np.random.default_rng(1).normal(size=(10, 40)))
    assert 0 < shrinkage <= 1
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_the_ball_holds_its_share_of_new_samples_and_not_of_others():
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(16, 16))
    ball = LatentBall.fit(rng.normal(size=(4000, 16)) @ mixing)
    assert ball.outside(rng.normal(size=(4000, 16)) @ mixing) == pytest.approx(0.01, abs=0.006)
    assert ball.outside(rng.normal(size=(100, 16)) @ mixing + 10 * mixing[0]) == 1
    # With the covariance all but known, squared distances are chi-squared of 16 degrees of freedom.
    assert ball.radius**2 == pytest.approx(stats.chi2.ppf(0.99, 16), rel=0.08)


def test_samples_of_a_prompt_stay_in_one_half():
    """Prompts lie far apart, a prompt's samples close together: half of them known, the others would seem to be too."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(100), 8)
    apart = rng.normal(size=(300, 64))
    latents = apart[groups] + 0.1 * rng.normal(size=(800, 64))
    new = np.repeat(apart[100:], 4, 0) + 0.1 * rng.normal(size=(800, 64))
    assert LatentBall.fit(latents, groups).outside(new) < 0.08
    assert LatentBall.fit(latents).outside(new) > 0.15


def test_distances_by_hand():
    ball = LatentBall(np.array([1.0, 0.0]), np.diag([2.0, 1.0]), radius=1.5)
    latents = np.array([[3.0, 0.0], [1.0, 2.0], [1.0, 0.0]])
    assert ball.distances(latents) == pytest.approx([1, 2, 0])
    assert ball.outside(latents) == pytest.approx(1 / 3)


def test_too_little_to_know_is_refused():
    with pytest.raises(UserError, match="give 100 or more"):
        LatentBall.fit(np.zeros((99, 3)))
    with pytest.raises(UserError, match="the same for all"):
        LatentBall.fit(np.ones((200, 3)))
    with pytest.raises(UserError, match="answer one prompt"):
        LatentBall.fit(np.ones((200, 3)), np.zeros(200, int))
