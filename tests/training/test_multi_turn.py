"""Episodes against a world worked by hand, what is kept of them, and that learning on turns opens more locks."""

from __future__ import annotations

import json

import pytest
import torch
from tiny_task import EOS, policy, tokenizer
from turn_task import PROBLEMS, Locks

from foolsgold.errors import UserError
from foolsgold.objectives.schedules import constant
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.policies.sampling import Sampling
from foolsgold.training.batches import pad_pairs
from foolsgold.training.loop import LoopSettings
from foolsgold.training.multi_turn import (
    Episode,
    Turn,
    TurnSettings,
    conversation,
    play,
    turns_to_imitate,
    write_traces,
)
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.turn_gradient import TurnGradientSettings, train_on_turns, turn_columns

SETTINGS = TurnSettings(turns=3, samples=5, sampling=Sampling(2, stop_tokens=(EOS,)))


def played(seed=0, settings=SETTINGS) -> list[Episode]:
    return play(policy(), tokenizer(), Locks(), PROBLEMS, settings, seed)


def test_an_episode_is_what_the_world_said_of_its_actions():
    episodes = played()
    assert [each.problem for each in episodes] == [i for i in range(4) for _ in range(5)]
    for each in episodes:
        found = 0
        for turn in each.turns:
            words = turn.action.split()
            assert turn.prompt == f"w{4 + each.problem} w{20 + found}"
            found += bool(words) and int(words[0][1:]) % 4 == each.problem
            assert turn.progress == found / 2
        assert each.solved == (found == 2)
        assert len(each.turns) == 3 or each.solved


def test_the_same_seed_plays_the_same_episodes_and_another_others():
    assert played() == played()
    assert played() != played(seed=1)


def test_chances_are_those_of_the_policy():
    turns = [turn for each in played() for turn in each.drawn]
    batch = pad_pairs([(turn.prompt, turn.completion) for turn in turns], 0)
    expected = token_log_probs(policy(), batch.tokens, batch.completion_mask)
    said = torch.tensor([value for turn in turns for value in turn.log_probs])
    torch.testing.assert_close(said, expected[batch.completion_mask], atol=1e-4, rtol=0)


def test_every_turn_has_its_episodes_advantage():
    episodes = played()
    columns = turn_columns(episodes, torch.arange(20.0), 0)
    assert columns["advantages"].tolist() == [float(i) for i, each in enumerate(episodes) for _ in each.turns]
    assert columns["old_log_probs"].shape == columns["mask"].shape


HAND = [
    Episode(0, [Turn("p", "a", 0.0, "no"), Turn("q", "b", 1.0, "yes")], solved=True),
    Episode(0, [Turn("p", "c", 0.5, ""), Turn("r", "d", 0.5, "")], solved=False),
    Episode(1, [Turn("p", "a", 1.0, "yes")], solved=True),
]


def test_traces_are_conversations(tmp_path):
    assert conversation(HAND[0])["completion"] == [
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "b"},
    ]
    lines = write_traces(tmp_path / "traces.jsonl", HAND, PROBLEMS).read_text().splitlines()
    assert [json.loads(line)["reward"] for line in lines] == [1.0, 0.0, 1.0]
    assert json.loads(lines[2])["problem"]["columns"] == {"remainder": 1}


def test_turns_of_solved_episodes_are_imitated_once():
    assert turns_to_imitate(HAND) == [("p", "a"), ("q", "b")]
    assert len(turns_to_imitate(HAND, only_solved=False)) == 4


def test_settings_that_play_nothing_are_refused():
    with pytest.raises(UserError, match="at least 1"):
        TurnSettings(turns=0)


def learned(folder, steps=36) -> float:
    """Share of locks that open after some steps."""
    model = policy()
    loop = LoopSettings(steps, AdamWSettings(1e-2), constant, dtype=torch.float32, save_every=7)
    settings = TurnGradientSettings(loop, TurnSettings(3, 16, SETTINGS.sampling), problems=4)
    train_on_turns(model, tokenizer(), Locks(), PROBLEMS, settings, folder)
    episodes = play(model, tokenizer(), Locks(), PROBLEMS, TurnSettings(2, 64, SETTINGS.sampling), 7)
    return sum(each.solved for each in episodes) / len(episodes)


def test_learning_opens_more_locks_and_goes_on_where_it_was_cut(tmp_path):
    before = sum(each.solved for each in played(settings=TurnSettings(2, 64, SETTINGS.sampling))) / 256
    whole = learned(tmp_path / "whole")
    assert whole > before + 0.3
    learned(tmp_path / "cut", steps=11)
    assert learned(tmp_path / "cut") == whole
