"""Scores equal those of transformers on the same directory, both ways; batching and tokens change nothing."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    Qwen2Config,
    Qwen2ForSequenceClassification,
    Qwen3Config,
    Qwen3ForSequenceClassification,
    pipeline,
)

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.tokenizer import encode_pair, train_bpe
from foolsgold.rewards.protocol import reward_name
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.rewards.text_reward_model import (
    TextReward,
    TextRewardModel,
    TransformersRewardModel,
    encode_pairs,
    load_reward_model,
    pad_texts,
)

PROMPTS = ["a poem about rain", "a poem", "a poem about rain", "tell"]
COMPLETIONS = ["the rain falls on the roof and on the sea", "no", "rain", "the sea"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(["the rain falls on the roof and on the sea"] * 4, 300, chat=True)


def reward_model(tokenizer, tied=True):
    torch.manual_seed(0)
    config = DecoderConfig.sized(len(tokenizer), 32, 2)
    model = TextRewardModel(Decoder(dataclasses.replace(config, tied=tied)), seed=1)
    with torch.no_grad():  # scores of a fresh model are all about equal; these differ
        for parameter in model.parameters():
            parameter.mul_(3)
    return model.eval()


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_reads_what_we_save_and_so_do_we(tmp_path, tokenizer, tied):
    model = reward_model(tokenizer, tied)
    model.save(tmp_path, tokenizer)
    ours = TextReward(model, tokenizer)(PROMPTS, COMPLETIONS)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    texts = [p + c + saved.eos_token for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    with torch.no_grad():
        logits = theirs(**saved(texts, return_tensors="pt", padding=True)).logits
    assert logits.shape == (4, 1)
    assert np.ptp(ours) > 0.1
    assert logits[:, 0].tolist() == pytest.approx(ours, abs=1e-4)
    scored = pipeline("text-classification", model=str(tmp_path), device="cpu")(texts, batch_size=4)
    assert [row["score"] for row in scored] == pytest.approx(ours, abs=1e-4)
    again = load_reward_model(tmp_path)
    assert isinstance(again, TextRewardModel)
    assert TextReward(again, saved)(PROMPTS, COMPLETIONS) == ours


def test_the_chat_template_travels_along(tmp_path, tokenizer):
    model = reward_model(tokenizer)
    model.save(tmp_path, tokenizer)
    chats = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    ours = TextReward(model, tokenizer)(chats, COMPLETIONS)
    saved, theirs = (
        AutoTokenizer.from_pretrained(tmp_path),
        AutoModelForSequenceClassification.from_pretrained(tmp_path),
    )
    for chat, completion, score in zip(chats, COMPLETIONS, ours, strict=True):
        whole = [*chat, {"role": "assistant", "content": completion}]
        ids = saved.apply_chat_template(whole, return_tensors="pt", return_dict=True)["input_ids"]
        assert theirs(input_ids=ids).logits.item() == pytest.approx(score, abs=1e-4)


def test_a_tokenizer_that_pads_with_its_end_token_is_saved_with_another_padding(tmp_path, tokenizer):
    padless = AutoTokenizer.from_pretrained(reward_model(tokenizer).save(tmp_path / "a", tokenizer))
    padless.pad_token = padless.eos_token
    model = reward_model(tokenizer)
    saved = AutoTokenizer.from_pretrained(model.save(tmp_path / "b", padless))
    assert saved.pad_token_id == 0
    assert padless.pad_token == padless.eos_token
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "b")
    texts = [p + c + saved.eos_token for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    logits = theirs(**saved(texts, return_tensors="pt", padding=True)).logits[:, 0]
    assert logits.tolist() == pytest.approx(TextReward(model, tokenizer)(PROMPTS, COMPLETIONS), abs=1e-4)


SHAPE = {
    "vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "num_labels": 1, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (LlamaConfig, LlamaForSequenceClassification),
        (Qwen2Config, Qwen2ForSequenceClassification),
        (Qwen3Config, Qwen3ForSequenceClassification),
    ],
)
def test_classifiers_made_by_transformers(tmp_path, config, kind):
    torch.manual_seed(1)
    theirs = kind(config(**SHAPE)).eval()
    theirs.save_pretrained(tmp_path)
    ours = load_reward_model(tmp_path)
    assert isinstance(ours, TextRewardModel)
    check_equal(ours, theirs, 60)


def test_another_family_runs_on_transformers_and_says_so(tmp_path):
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=2, num_labels=1, pad_token_id=0)
    theirs = GPT2ForSequenceClassification(config).eval()
    theirs.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="runs on transformers"):
        ours = load_reward_model(tmp_path)
    assert isinstance(ours, TransformersRewardModel)
    check_equal(ours, theirs, 60)


def check_equal(ours, theirs, vocabulary):
    tokens = torch.randint(1, vocabulary, (5, 9), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([9, 3, 1, 7, 9])
    tokens[torch.arange(9) >= lengths[:, None]] = 0
    with torch.no_grad():
        expected = theirs(input_ids=tokens, attention_mask=(tokens != 0).long()).logits[:, 0]
        assert torch.allclose(ours(tokens, lengths), expected, atol=1e-4)


def test_what_is_no_reward_model_is_refused(tmp_path):
    LlamaForCausalLM(LlamaConfig(**SHAPE)).save_pretrained(tmp_path / "policy")
    with pytest.raises(UserError, match="no score head"):
        load_reward_model(tmp_path / "policy")
    LlamaForSequenceClassification(LlamaConfig(**{**SHAPE, "num_labels": 3})).save_pretrained(tmp_path / "three")
    with pytest.raises(UserError, match="3 classes"):
        load_reward_model(tmp_path / "three")
    gpt2 = GPT2Config(vocab_size=60, n_embd=32, n_layer=1, n_head=2, num_labels=1)
    GPT2ForSequenceClassification(gpt2).save_pretrained(tmp_path / "padless")
    with pytest.warns(UserWarning, match="runs on transformers"), pytest.raises(UserError, match="pad_token_id"):
        load_reward_model(tmp_path / "padless")


def test_batching_changes_nothing_and_padding_is_not_read(tokenizer):
    model = reward_model(tokenizer)
    alone = TextReward(model, tokenizer, batch_size=1)(PROMPTS, COMPLETIONS)
    together = TextReward(model, tokenizer, batch_size=4)(PROMPTS, COMPLETIONS)
    assert together == pytest.approx(alone, abs=1e-5)
    assert TextReward(model, tokenizer, batch_size=3)(PROMPTS[::-1], COMPLETIONS[::-1]) == pytest.approx(
        alone[::-1], abs=1e-5
    )


def test_scores_of_tokens_are_those_of_their_texts(tokenizer):
    reward = TextReward(reward_model(tokenizer), tokenizer)
    pairs = [encode_pair(tokenizer, p, c) for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert encode_pairs(tokenizer, PROMPTS, COMPLETIONS) == pairs
    assert reward.scores(pairs).tolist() == reward(PROMPTS, COMPLETIONS)
    assert reward([], []) == []


def test_scores_in_bfloat16_are_close_and_leave_the_model_alone(tokenizer):
    model = reward_model(tokenizer)
    exact = TextReward(model, tokenizer)(PROMPTS, COMPLETIONS)
    fast = TextReward(model, tokenizer, dtype=torch.bfloat16)(PROMPTS, COMPLETIONS)
    assert fast == pytest.approx(exact, abs=0.03 * float(np.ptp(exact)))
    assert fast != exact
    assert model.head.dtype == torch.float32


def test_a_long_text_loses_its_beginning():
    tokens, lengths = pad_texts([([1, 2, 3], [4, 5]), ([6], [7])], max_length=3)
    assert tokens.tolist() == [[3, 4, 5], [6, 7, 0]]
    assert lengths.tolist() == [3, 2]


def test_the_policy_keeps_its_own_weights(tokenizer):
    policy = Decoder(DecoderConfig.sized(len(tokenizer), 32, 1))
    before = policy.embedding.weight.clone()
    model = TextRewardModel(policy)
    with torch.no_grad():
        model.trunk.embedding.weight.add_(1)
    assert torch.equal(policy.embedding.weight, before)
    assert torch.equal(TextRewardModel(policy, 3).head, TextRewardModel(policy, 3).head)
    assert not torch.equal(TextRewardModel(policy, 3).head, TextRewardModel(policy, 4).head)


def test_it_is_a_reward(tokenizer):
    reward = TextReward(reward_model(tokenizer), tokenizer, name="taste")
    scores = Scorer([WeightedReward(reward, 2.0)], time_limit_s=None).score(
        PROMPTS, COMPLETIONS, completion_ids=[0] * 4
    )
    assert reward_name(reward) == "taste"
    assert scores.total.tolist() == pytest.approx([2 * score for score in reward(PROMPTS, COMPLETIONS)])


def test_loading_ours_warns_of_nothing(tmp_path, tokenizer):
    reward_model(tokenizer).save(tmp_path, tokenizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_reward_model(tmp_path)
