"""Combinations worked by hand; disagreement; averaged weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import encode_pair, train_bpe
from foolsgold.rewards.ensembles import Ensemble, average_weights, mean, mean_minus_deviations, worst_case
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel

# Means 2, 3; deviations sqrt(2 / 3) * 1 and 0.
TABLE = {"x": (1.0, 3.0), "y": (2.0, 3.0), "z": (3.0, 3.0)}


def member(name):
    def reward(prompts, completions, **columns):
        return [TABLE[name][int(completion)] for completion in completions]

    return reward


MEMBERS = [member(name) for name in TABLE]


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        (mean, [2, 3]),
        (worst_case, [1, 3]),
        (mean_minus_deviations(0.5), [2 - 0.5 * (2 / 3) ** 0.5, 3]),
    ],
)
def test_combinations_worked_by_hand(combine, expected):
    ensemble = Ensemble(MEMBERS, combine)
    assert ensemble(["p", "p"], ["0", "1"]) == pytest.approx(expected)
    judgement = ensemble.judge(["p", "p"], ["0", "1"])
    assert judgement.total.tolist() == pytest.approx(expected)
    assert judgement.disagreement.tolist() == pytest.approx([(2 / 3) ** 0.5, 0])
    assert judgement.members.tolist() == [[1, 3], [2, 3], [3, 3]]


def test_the_scorer_logs_the_disagreement():
    scores = Scorer([WeightedReward(Ensemble(MEMBERS, name="club"), 2.0)]).score(["p", "p"], ["0", "1"])
    assert scores.total.tolist() == [4, 6]
    assert scores.extras["club_disagreement"] == pytest.approx([(2 / 3) ** 0.5, 0])
    assert scores.metrics["club_disagreement"] == pytest.approx((2 / 3) ** 0.5 / 2)


def test_centred_members_start_level():
    def high(prompts, completions, **columns):
        return [100 + 2 * float(completion) for completion in completions]

    def low(prompts, completions, **columns):
        return [-float(completion) for completion in completions]

    ensemble = Ensemble([high, low], worst_case)
    assert ensemble(["p", "p"], ["0", "2"]) == [0, -2]
    # Means 102 and -1: high becomes -2 and 2, low 1 and -1.
    assert ensemble.centred(["p", "p"], ["0", "2"])(["p", "p"], ["0", "2"]) == [-2, -1]


def test_what_a_member_does_not_judge_the_ensemble_does_not():
    def shy(prompts, completions, **columns):
        return [None, 1.0]

    assert Ensemble([*MEMBERS, shy], worst_case)(["p", "p"], ["0", "1"]) == [None, 1]


def test_members_that_do_not_fit():
    async def slow(prompts, completions, **columns):
        return [0.0]

    with pytest.raises(UserError, match="slow is async"):
        Ensemble([slow])
    with pytest.raises(UserError, match="at least one"):
        Ensemble([])
    with pytest.raises(UserError, match="reads texts"):
        Ensemble(MEMBERS).scores([([1], [2])])


def models(tokenizer, seeds):
    torch.manual_seed(0)
    policy = Decoder(DecoderConfig.sized(len(tokenizer), 32, 1))
    return [TextRewardModel(policy, seed).eval() for seed in seeds]


def test_reward_models_judge_tokens():
    tokenizer = train_bpe(["rain on the sea"], 270)
    rewards = [TextReward(model, tokenizer) for model in models(tokenizer, [1, 2])]
    ensemble = Ensemble(rewards, worst_case)
    prompts, completions = ["rain", "sea"], ["on the sea", "on the rain"]
    pairs = [encode_pair(tokenizer, p, c) for p, c in zip(prompts, completions, strict=True)]
    expected = np.minimum(rewards[0](prompts, completions), rewards[1](prompts, completions))
    assert ensemble.scores(pairs).tolist() == pytest.approx(expected.tolist())
    assert ensemble(prompts, completions) == pytest.approx(expected.tolist())


def test_averaged_weights_of_heads_average_scores():
    tokenizer = train_bpe(["rain on the sea"], 270)
    first, second = models(tokenizer, [1, 2])
    averaged = average_weights([first, second])
    tokens, lengths = torch.tensor([[5, 6, 7]]), torch.tensor([3])
    expected = (first(tokens, lengths) + second(tokens, lengths)) / 2
    assert torch.allclose(averaged(tokens, lengths), expected, atol=1e-6)  # linear in the head, all else being equal
    assert torch.equal(first.head, models(tokenizer, [1])[0].head)
    wider = TextRewardModel(Decoder(DecoderConfig.sized(len(tokenizer), 64, 1)))
    with pytest.raises(ValueError, match="different shapes"):
        average_weights([first, wider])
