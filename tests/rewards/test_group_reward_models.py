"""Several heads on one trunk: the same scores by every path, and no pretence of being one score."""

import pytest
import torch

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.go_network import NetworkSize
from foolsgold.rewards.group_reward_models import BoardHeads, TextHeads, text_scores


def model() -> TextHeads:
    torch.manual_seed(0)
    return TextHeads(Decoder(DecoderConfig.sized(31, 32, 2)), 3, seed=1).eval()


PROMPTS = [[5, 6], [7, 8, 9]]
COMPLETIONS = [[10, 1], [11, 12, 13, 1], [14, 1], [15, 16, 1]]


def test_heads_score_alike_alone_in_a_batch_and_behind_a_shared_prompt():
    heads = model()
    pairs = [(PROMPTS[i // 2], text) for i, text in enumerate(COMPLETIONS)]
    whole = text_scores(heads, pairs)
    assert whole.shape == (4, 3)
    for pair, expected in zip(pairs, whole, strict=True):
        assert text_scores(heads, [pair])[0] == pytest.approx(expected, abs=1e-5)
    with torch.no_grad():
        shared = heads.scores_of(PROMPTS, COMPLETIONS).numpy()
    assert shared.shape == (2, 2, 3)
    assert shared.reshape(4, 3) == pytest.approx(whole, abs=1e-4)


def test_heads_start_apart():
    assert not torch.equal(model().head[0], model().head[1])


def test_several_heads_are_not_saved_as_one_score(tmp_path):
    with pytest.raises(UserError, match="no one score"):
        model().save(tmp_path, None)


@pytest.mark.parametrize("make", [lambda: BoardHeads(NetworkSize(1, 8), 1), lambda: TextHeads(model().trunk, 1)])
def test_one_head_is_another_class(make):
    with pytest.raises(ValueError, match="one head is a"):
        make()
