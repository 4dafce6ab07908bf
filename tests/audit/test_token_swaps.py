"""Gradients equal those of transformers; swaps they propose beat random ones; what is found is a text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from foolsgold.audit.token_swaps import SwapSettings, first_order_gains, swap_tokens
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import encode_pair, train_bpe
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel, TransformersRewardModel, encode_pairs

PROMPTS = ["a poem about rain", "tell me of the sea"]
TEXTS = ["the rain falls on the roof and on the sea", "the sea is wide and the rain is cold"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe([*TEXTS, *PROMPTS, "a cold wide roof of rain and sea tells me a poem"] * 4, 400)


def random_reward(tokenizer, seed=0, **settings) -> TextReward:
    torch.manual_seed(seed)
    model = TextRewardModel(Decoder(DecoderConfig.sized(len(tokenizer), 32, 2)), seed=seed)
    with torch.no_grad():  # a fresh model's scores are all about equal
        for parameter in model.parameters():
            parameter.mul_(3)
    return TextReward(model, tokenizer, **settings)


def scorer(reward, prompts=PROMPTS):
    return lambda rows, texts: np.array(reward(prompts=[prompts[row] for row in rows], completions=list(texts)))


def expected_gains(classifier, table, pairs):
    """By transformers, one pair at a time."""
    for prompt, completion in pairs:
        tokens = torch.tensor([[*prompt, *completion]])
        embedded = table[tokens].detach().requires_grad_()
        mask = torch.ones_like(tokens)
        states = classifier.base_model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        classifier.score(states)[0, -1, 0].backward()
        slopes = embedded.grad[0, len(prompt) : -1] @ table.T
        yield slopes - slopes.gather(1, torch.tensor(completion[:-1])[:, None])


def test_gains_are_those_of_transformers_gradients(tmp_path, tokenizer):
    reward = random_reward(tokenizer, batch_size=1)
    reward.model.save(tmp_path, tokenizer)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    pairs = encode_pairs(tokenizer, PROMPTS, TEXTS)
    table = theirs.get_input_embeddings().weight.detach()
    for ours, expected in zip(first_order_gains(reward, pairs), expected_gains(theirs, table, pairs), strict=True):
        assert ours.shape == expected.shape
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-3)
    assert all(parameter.grad is None for parameter in reward.model.parameters())


def test_a_batch_gains_what_its_rows_gain_alone(tokenizer):
    pairs = encode_pairs(tokenizer, PROMPTS, TEXTS)
    together = list(first_order_gains(random_reward(tokenizer), pairs))
    for pair, gain in zip(pairs, together, strict=True):
        torch.testing.assert_close(next(first_order_gains(random_reward(tokenizer), [pair])), gain)


def test_models_of_other_families_have_gains_too(tokenizer):
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    reward = TextReward(TransformersRewardModel(GPT2ForSequenceClassification(config)), tokenizer)
    pairs = encode_pairs(tokenizer, PROMPTS, TEXTS)
    inner = reward.model.inner
    table = inner.get_input_embeddings().weight.detach()
    for ours, expected in zip(first_order_gains(reward, pairs), expected_gains(inner, table, pairs), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-3)


def test_places_that_are_not_read_gain_nothing(tokenizer):
    pairs = encode_pairs(tokenizer, PROMPTS[:1], TEXTS[:1])
    (gain,) = first_order_gains(random_reward(tokenizer, max_length=4), pairs)
    assert len(gain) == len(pairs[0][1]) - 1
    assert not gain[:-3].any()  # four tokens are read: three of the text, and the end
    assert (gain[-3:] != 0).any(1).all()


def random_gains(seed):
    generator = torch.Generator().manual_seed(seed)

    def gains(reward, pairs):
        for _, completion in pairs:
            yield torch.rand((len(completion) - 1, len(reward.tokenizer)), generator=generator)

    return gains


def test_gradients_beat_random_swaps_at_equal_scorings(tokenizer):
    settings = SwapSettings(steps=6, top=8, candidates=8)
    rises = []
    for seed in range(6):
        reward = random_reward(tokenizer, seed)
        rise = []
        for gains in (None, random_gains(seed)):
            swapped = swap_tokens(reward, scorer(reward), PROMPTS, TEXTS, settings, seed, gains=gains)
            assert 0.9 * 2 * 6 * 8 <= swapped.scorings <= 2 * 6 * 8
            rise.append(swapped.scores[-1] - swapped.scores[0])
        rises.append(rise)
    gradient, random = np.array(rises).transpose(1, 0, 2).reshape(2, -1)
    assert (gradient > random).mean() > 0.8
    assert gradient.mean() > 1.5 * random.mean() > 0


def test_what_is_found_is_a_text_with_the_score_that_is_told(tokenizer):
    reward = random_reward(tokenizer)
    swapped = swap_tokens(reward, scorer(reward), PROMPTS, TEXTS, SwapSettings(4, 16, 16), seed=0)
    assert swapped.scores.shape == (5, 2)
    assert (np.diff(swapped.scores, axis=0) >= 0).all()
    assert swapped.scores[-1] == pytest.approx(reward(prompts=PROMPTS, completions=swapped.texts), abs=1e-5)
    assert swapped.scores[0] == pytest.approx(reward(prompts=PROMPTS, completions=TEXTS), abs=1e-5)
    for prompt, text, start in zip(PROMPTS, swapped.texts, TEXTS, strict=True):
        before, after = (encode_pair(tokenizer, prompt, each)[1] for each in (start, text))
        assert len(before) == len(after)
        assert 1 <= sum(a != b for a, b in zip(before, after, strict=True)) <= 4
        assert not set(after[:-1]) & set(tokenizer.all_special_ids)


def test_tokens_that_a_text_does_not_keep_are_refused(tokenizer):
    """All gain lies on tokens that the text's own spelling would not give: special ones, and parts of a merge."""
    letters = next(token for token in tokenizer.get_vocab() if len(token) == 2 and token.isascii() and token.isalpha())
    first, second = tokenizer.convert_tokens_to_ids(list(letters))
    special = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    assert tokenizer(letters)["input_ids"] != [first, second]

    def tempting(reward, pairs):
        for _, completion in pairs:
            gain = torch.full((len(completion) - 1, len(tokenizer)), -1.0)
            gain[:, special] = 1.0
            gain[1:, second] = 2.0
            yield gain

    reward = random_reward(tokenizer)
    start = tokenizer.decode([first, tokenizer.convert_tokens_to_ids("Ġsea")])
    settings = SwapSettings(1, 2, 8)
    swapped = swap_tokens(reward, scorer(reward), PROMPTS[:1], [start], settings, seed=0, gains=tempting)
    assert (swapped.texts, swapped.scorings) == ([start], 0)


def test_an_empty_text_stays(tokenizer):
    reward = random_reward(tokenizer)
    swapped = swap_tokens(reward, scorer(reward), PROMPTS, ["", TEXTS[0]], SwapSettings(2, 8, 8), seed=0)
    assert swapped.texts[0] == ""
    assert swapped.scores[-1, 1] > swapped.scores[0, 1]
