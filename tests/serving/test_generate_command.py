"""Completions from the command line, and rewards as it names them."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from foolsgold import cli
from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.hub import save_policy
from foolsgold.policies.tokenizer import train_bpe
from foolsgold.rewards.text_reward_model import TextRewardModel
from foolsgold.serving.reward_specs import absolute_spec, load_rewards, load_weighted
from foolsgold.serving.score_words import load_conditioning, save_conditioning, score_words
from foolsgold.training.score_conditioned import ScoreConditioning

REWARDS = """
def length(prompts, completions, **columns):
    return [float(len(text)) for text in completions]

def wanted(prompts, completions, number, **columns):
    return [None if n is None else n for n in number]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random policy, a random reward model, rewards and prompts."""
    folder = tmp_path_factory.mktemp("generate")
    tokenizer = train_bpe(["the cat sat on the mat"] * 3, 300, chat=True)
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig.sized(len(tokenizer), 32, 1))
    save_policy(folder / "model", decoder, tokenizer)
    TextRewardModel(decoder).save(folder / "rm", tokenizer)
    (folder / "rewards.py").write_text(REWARDS)
    rows = [{"prompt": "one", "number": 1}, {"prompt": [{"role": "user", "content": "two"}], "number": 2}]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def generate(folder, *words) -> None:
    sys.argv = ["foolsgold", "generate", "--model", str(folder / "model"), "--max-new-tokens", "6", *map(str, words)]
    cli.main()


def read(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_completions_are_printed_under_their_prompts(folder, capsys):
    generate(folder, "--prompt", "the cat", "--prompt", "the mat\\n", "--samples", 2, "--temperature", 0)
    shown = capsys.readouterr().out
    assert shown.count("> the cat\n") == shown.count("> the mat\n") == 2
    first, second = shown.split("> the cat\n")[1:3]
    assert first.strip() == second.split("> the mat")[0].strip()  # greedy


def test_completions_are_written_with_prompts_and_rewards(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    reward = ("--reward", f"{folder / 'rewards.py'}:wanted@2", "--reward", f"{folder / 'rewards.py'}:length@0")
    generate(folder, "--prompts", folder / "prompts.jsonl", "--samples", 3, "--output", out, *reward)
    rows = read(out)
    assert [row["reward"] for row in rows] == [2, 2, 2, 4, 4, 4]  # the rows' own column, twice
    assert rows[0]["prompt"] == "one"
    assert rows[3]["prompt"][0]["content"] == "two"
    generate(folder, "--prompts", folder / "prompts.jsonl", "--samples", 3, "--output", tmp_path / "again.jsonl")
    assert [row["completion"] for row in read(tmp_path / "again.jsonl")] == [row["completion"] for row in rows]


def test_the_best_of_n_is_the_one_that_scores_highest(folder, tmp_path):
    words = ("--prompt", "the cat", "--reward", f"{folder / 'rewards.py'}:length", "--output")
    generate(folder, "--samples", 8, *words, tmp_path / "all.jsonl")
    generate(folder, "--best-of", 8, *words, tmp_path / "best.jsonl")
    drawn, best = read(tmp_path / "all.jsonl"), read(tmp_path / "best.jsonl")
    assert len(best) == 1
    assert best[0]["reward"] == max(len(row["completion"]) for row in drawn)


def test_a_chat_model_is_given_messages_and_a_stop_ends_it(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    generate(folder, "--prompt", "hello", "--chat", "--samples", 60, "--output", out, "--stop", "a", "e", "t")
    rows = read(out)
    assert rows[0]["prompt"] == [{"role": "user", "content": "hello"}]
    stopped = [row["completion"] for row in rows if set(row["completion"]) & set("aet")]
    assert stopped
    assert all(set(text[-4:]) & set("aet") for text in stopped)  # the token that completes the stop is the last
    assert all(not set(text[:-4]) & set("aet") for text in stopped)


def test_a_score_conditioned_model_is_asked_for_the_best_score_unless_told(folder, tmp_path, monkeypatch):
    tokenizer = train_bpe(["the cat sat on the mat"] * 3, 300, chat=True)
    words = score_words(tokenizer, 3)
    assert [tokenizer.decode(word) for word in words] == [f"(score {i} of 3)\n" for i in (1, 2, 3)]
    conditioning = ScoreConditioning.fit(np.arange(9.0), words)
    save_conditioning(folder / "model", conditioning)
    try:
        kept = load_conditioning(folder / "model")
        assert kept.words == words
        assert kept.quantiles.edges.tolist() == [3, 6]
        seen = []

        def sample(model, prompts, *other):
            seen.append(prompts)
            raise UserError("seen")

        monkeypatch.setattr("foolsgold.policies.hub.sample", sample)
        for asked, word in (((), words[2]), (("--score", 1), words[0])):
            with pytest.raises(SystemExit):
                generate(folder, "--prompt", "the cat", *asked)
            assert seen.pop() == [tokenizer("the cat")["input_ids"] + word]
        with pytest.raises(SystemExit):
            generate(folder, "--prompt", "the cat", "--score", 4)
        assert not seen
    finally:
        (folder / "model" / "score_conditioning.json").unlink()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to answer"),
        (("--prompt", "a", "--best-of", 3), "--best-of needs a --reward"),
        (("--prompt", "a", "--score", 1), "not score-conditioned"),
        (("--prompt", "a", "--top-p", 0), "--top-p"),
        (("--prompt", "a", "--samples", 0), "--samples"),
        (("--prompt", "a", "--output", "x.txt"), "jsonl"),
    ],
)
def test_a_mistake_is_one_line(folder, capsys, words, message):
    with pytest.raises(SystemExit) as ended:
        generate(folder, *words)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_rewards_are_models_or_functions_with_names_and_weights(folder):
    function = f"{folder / 'rewards.py'}:length"
    model, weighted, plain = load_rewards([f"rm={folder / 'rm'}@0.5", f"long={function}@-1e-1", function])
    assert (model.name, model.weight) == ("rm", 0.5)
    assert (weighted.name, weighted.weight) == ("long", -0.1)
    assert (plain.name, plain.weight) == ("length", 1)
    assert plain.reward(prompts=["a"], completions=["bcd"]) == [3]
    (score,) = model.reward(prompts=["the cat"], completions=["sat"])
    assert np.isfinite(score)
    assert load_weighted(str(folder / "rm")).name == "reward_model"
    with pytest.raises(UserError, match="--reward is missing"):
        load_rewards([])
    with pytest.raises(UserError, match="no score head"):
        load_weighted(str(folder / "model"))


def test_rewards_are_found_from_other_folders(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert absolute_spec("a=rm@2") == f"a={folder / 'rm'}@2"
    assert absolute_spec("rewards.py:length@2") == f"{folder / 'rewards.py'}:length@2"
    assert absolute_spec("json:dumps") == "json:dumps"
    assert absolute_spec("some/model@0.1") == "some/model@0.1"
