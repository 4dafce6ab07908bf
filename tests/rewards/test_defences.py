"""Caps, shapes and proxy points worked by hand; every defence by its name."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.rewards.defences import (
    DEFENCES,
    Capped,
    References,
    Shaped,
    StartSamples,
    log_sigmoid,
    make_defended,
    proxy_point,
    sigmoid,
)
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel


def number(prompts, completions, **columns):
    """The completion's own number; no reward for a dash."""
    return [None if text == "-" else float(text) for text in completions]


def test_what_is_above_the_cap_counts_as_the_cap():
    capped = Capped(number, 2.0)
    assert capped(["p"] * 4, ["-5", "1.5", "9", "-"]) == [-5, 1.5, 2, None]
    assert Scorer([WeightedReward(capped)]).score(["p"], ["9"]).means == {"number": 2}
    with pytest.raises(UserError, match="finite"):
        Capped(number, math.nan)


def test_async_rewards_are_refused():
    async def slow(prompts, completions, **columns):
        return [0.0]

    with pytest.raises(UserError, match="slow is async"):
        Capped(slow, 1.0)


def test_transforms_worked_by_hand():
    lead = np.array([0.0, math.log(3), -800.0, 800.0])
    assert log_sigmoid(lead).tolist() == pytest.approx([-math.log(2), math.log(3 / 4), -800, 0])
    assert sigmoid(lead).tolist() == pytest.approx([1 / 2, 3 / 4, 0, 1])


def test_references_are_the_quantile_of_each_prompt():
    # The middle of 1 2 3 4 5 is 3; q has too few of its own; the middle of all, 1 2 3 4 5 9, is 3.5.
    references = References.of(["p"] * 5 + ["q", "q"], [1, 2, 3, 4, 5, 9, None], quantile=0.5)
    assert references(["p", "q", "never seen"]).tolist() == [3, 3.5, 3.5]
    chat = [{"role": "user", "content": "hi"}]
    assert References.of([chat] * 4, [1.0] * 4)([[dict(chat[0])]]).tolist() == [1]
    with pytest.raises(UserError, match="no reward applies"):
        References.of(["p"], [None])


def test_shaped_is_the_chance_to_beat_the_reference():
    shaped = Shaped(number, References({"p": 1.0}, 0.0), sigmoid)
    # Leads log 3 and 0 over 1 and over 0.
    assert shaped(["p", "q", "p"], [str(1 + math.log(3)), "0", "-"]) == pytest.approx([3 / 4, 1 / 2, None])
    gains = np.diff(Shaped(number, References({}, 0.0))(["p"] * 4, ["-2", "-1", "4", "5"]))
    assert gains[0] > 0.8 > 0.02 > gains[2] > 0  # a point far below counts for much more than one far above


def test_the_proxy_point_of_a_hill():
    rng = np.random.default_rng(0)
    proxy = rng.uniform(-1, 3, 1500)
    gold = -((proxy - 1.2) ** 2) + rng.normal(0, 0.5, 1500)
    found = proxy_point(proxy, gold)
    assert found.value == pytest.approx(1.2, abs=0.35)
    assert found.interval.low <= 1.2 <= found.interval.high
    assert found.falls


def test_where_gold_never_falls_the_point_is_at_the_end():
    rng = np.random.default_rng(1)
    proxy = rng.normal(size=600)
    found = proxy_point(proxy, proxy + rng.normal(0, 0.2, 600))
    assert found.value > np.quantile(proxy, 0.9)
    assert not found.falls


def test_a_noiseless_tent_worked_by_hand():
    # 60 completions make 8 bins of 8 or 7; the peak at 29 lies in the fourth, numbers 24 to 31 (mean 27.5).
    proxy = np.arange(60.0)
    assert proxy_point(proxy, -np.abs(proxy - 29), resamples=10).value == 27.5


def test_completions_without_gold_are_left_out():
    rng = np.random.default_rng(2)
    proxy = rng.normal(size=200)
    gold = np.where(np.arange(200) % 2, np.nan, -(proxy**2))
    kept = ~np.isnan(gold)
    assert proxy_point(proxy, gold, 20) == proxy_point(proxy[kept], gold[kept], 20)
    with pytest.raises(UserError, match="20 completions with gold"):
        proxy_point(proxy[:40], gold[:40])
    with pytest.raises(UserError, match="have 30 or more"):
        proxy_point(np.ones(50), rng.normal(size=50))
    with pytest.raises(UserError, match="0 completions"):
        proxy_point(proxy, np.full(200, np.nan))


TOKENIZER = train_bpe(["rain on the sea and on the roof"], 280)
PROMPTS = ["rain"] * 20 + ["sea"] * 20
COMPLETIONS = [" ".join(["on", "the", "sea", "roof"][i % 4 : 4] * (1 + i % 5)) for i in range(40)]


def members(seeds):
    torch.manual_seed(0)
    policy = Decoder(DecoderConfig.sized(len(TOKENIZER), 32, 1))
    models = [TextRewardModel(policy, seed).eval() for seed in seeds]
    for model in models:
        model.head.data *= 20
    return [TextReward(model, TOKENIZER) for model in models]


@pytest.mark.parametrize("which", DEFENCES)
def test_every_defence_is_a_reward(which):
    rewards = members([1, 2, 3])
    scores = np.array([reward(PROMPTS, COMPLETIONS) for reward in rewards])
    start = StartSamples(PROMPTS, COMPLETIONS, gold=-((scores[0] - scores[0].mean()) ** 2))
    centred = scores - scores.mean(1, keepdims=True)
    capped = np.minimum(scores[0], proxy_point(scores[0], start.gold).value)
    reference = np.repeat(np.quantile(scores[0].reshape(2, 20), 0.85, axis=1), 20)
    expected = {
        "none": scores[0],
        "mean": centred.mean(0),
        "worst": centred.min(0),
        "uncertainty": centred.mean(0) - 0.5 * centred.std(0),
        "warm": scores.mean(0),  # the members differ in their heads alone, and scores are linear in those
        "capped": capped,
        "shaped": -np.log1p(np.exp(reference - scores[0])),
    }[which]
    defended = make_defended(rewards, which, start, k=0.5)
    scored = Scorer([WeightedReward(defended)], time_limit_s=None).score(PROMPTS, COMPLETIONS)
    assert scored.total.tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_defences_that_cannot_be_made():
    start = StartSamples(PROMPTS, COMPLETIONS)
    with pytest.raises(UserError, match="choose one of none, mean"):
        make_defended(members([1, 2]), "armour", start)
    with pytest.raises(UserError, match="at least one"):
        make_defended([], "none", start)
    with pytest.raises(UserError, match="several reward models"):
        make_defended(members([1]), "worst", start)
    with pytest.raises(UserError, match="judged"):
        make_defended(members([1]), "capped", start)
