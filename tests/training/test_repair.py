"""A world of a few texts in which the reward's favourite is an exploit until raters have seen it; pairs by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_task import EOS, policy, task, tokenizer

from foolsgold.errors import UserError
from foolsgold.objectives.schedules import constant
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.text_reward_model import TextReward, TextRewardModel
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_gradient import ALGORITHMS, PolicyGradientSettings, train_policy
from foolsgold.training.repair import (
    Answers,
    Candidates,
    Exploit,
    Pairs,
    by_disagreement,
    by_lead,
    choose_pairs,
    draw_candidates,
    joined,
    repair,
)
from foolsgold.training.rollouts import RolloutSettings
from foolsgold.training.text_reward_model import RewardModelSettings, TextComparisons, fit_text_reward_model

ARMS = ["g" * i + "x" * j for i in range(7) for j in range(7 - i)]
"""Texts of at most six letters: g for what is good, x for what goes with it."""
START = ["", "gxx", "ggxxxx"]
"""What the start writes: more care shows in more of both, and x is what one sees."""


def features(texts):
    return np.array([[text.count("g"), text.count("x")] for text in texts], float)


def gold(texts):
    return features(texts) @ [1.0, -0.3]


class World:
    """A policy over the arms, and linear rewards fitted to comparisons by ridge logistic regression."""

    def __init__(self):
        self.start = np.array([0.98 / 3 if text in START else 0.02 / (len(ARMS) - 3) for text in ARMS])
        self.chances, self.asked, self.fails_in = self.start, [], None
        a, b = zip(*[(x, y) for x in START for y in START if gold([x]) > gold([y])], strict=True)
        self.old = Answers(Pairs([""] * 30, list(a) * 10, list(b) * 10), [1.0] * 30)

    def fit(self, answers, number=0, folder=None):
        both = self.old + answers
        lead = features(both.pairs.a) - features(both.pairs.b)
        weights = np.zeros(2)
        for _ in range(300):
            chance = 1 / (1 + np.exp(-lead @ weights))
            weights += 0.02 * (lead.T @ (np.array(both.prefers_a) - chance) / len(lead) * 10 - 0.1 * weights)
        return Linear(weights)

    def train(self, reward, number=0, folder=None):
        tilted = self.start * np.exp(np.array(reward([""] * len(ARMS), ARMS)) / 0.3)
        self.chances = tilted / tilted.sum()

    def draw(self, number):
        rng = np.random.default_rng(number)
        return Candidates([""], [rng.choice(ARMS, 40, p=self.chances).tolist()], [START])

    def compare(self, pairs, number):
        if number == self.fails_in:
            raise ConnectionError
        self.asked.append(number)
        lead = gold(pairs.a) - gold(pairs.b)
        return 1 / (1 + np.exp(-4 * lead))

    def repaired(self, folder=None, **options):
        reward = self.fit(Answers(Pairs([], [], []), []))
        self.train(reward)
        return repair(self.draw, self.compare, self.fit, self.train, reward, 2, 12, folder=folder, **options)


class Linear:
    def __init__(self, weights):
        self.weights = weights

    def __call__(self, prompts, completions, **columns):
        return (features(completions) @ self.weights).tolist()

    @property
    def favourite(self):
        return ARMS[int(np.argmax(self([""] * len(ARMS), ARMS)))]


def test_the_repaired_reward_no_longer_ranks_the_exploit_first():
    world = World()
    fooled = world.fit(Answers(Pairs([], [], []), []))
    assert fooled.favourite == "xxxxxx"
    world.train(fooled)
    assert world.chances @ gold(ARMS) < world.start @ gold(ARMS)
    found = world.repaired()
    assert found.reward.favourite == "gggggg"
    assert world.chances @ gold(ARMS) > world.start @ gold(ARMS)
    assert world.asked == [1, 2]
    assert len(found.answers) <= 24


def test_a_repair_that_was_cut_off_asks_nobody_twice(tmp_path):
    whole, cut, again = World(), World(), World()
    expected = whole.repaired(tmp_path / "whole")
    cut.fails_in = 2
    with pytest.raises(ConnectionError):
        cut.repaired(tmp_path / "cut")
    found = again.repaired(tmp_path / "cut")
    assert again.asked == [2]
    assert found.answers == expected.answers
    assert found.reward.weights.tolist() == expected.reward.weights.tolist()


def test_raters_must_answer_every_pair():
    for said in (lambda pairs, number: [1.0] * (len(pairs) + 1), lambda pairs, number: [2.0] * len(pairs)):
        world = World()
        world.compare = said
        with pytest.raises(UserError, match="one from 0 to 1 for each"):
            world.repaired()


CANDIDATES = Candidates(["p", "q"], [["aa", "a", "aa"], ["aaa", "aaaaa"]], [["-"], ["--"]])


def letters(prompts, now, start):
    return np.array([float(len(text)) for text in now])


def unordered(pairs):
    return [(prompt, *sorted([a, b])) for prompt, a, b in zip(pairs.prompts, pairs.a, pairs.b, strict=True)]


def test_the_most_overrated_of_each_prompt_in_turn():
    pairs = choose_pairs(CANDIDATES, letters, 3, seed=0)
    assert unordered(pairs) == [("q", "--", "aaaaa"), ("p", "-", "aa"), ("q", "--", "aaa")]
    assert len(choose_pairs(CANDIDATES, letters, 99, seed=0)) == 4  # "aa" once
    first = [choose_pairs(CANDIDATES, letters, 1, seed).a[0] for seed in range(40)]
    assert 8 < first.count("--") < 32  # the new one is not always shown first


def test_exploits_come_first_up_to_half_of_the_budget():
    exploits = [Exploit("p", "!"), Exploit("q", "aaaaa"), Exploit("p", "?")]
    pairs = choose_pairs(CANDIDATES, letters, 4, 0, exploits)
    assert unordered(pairs) == [("p", "!", "-"), ("q", "--", "aaaaa"), ("p", "-", "aa"), ("q", "--", "aaa")]
    with pytest.raises(UserError, match="'r'"):
        choose_pairs(CANDIDATES, letters, 4, 0, [Exploit("r", "!")])
    with pytest.raises(UserError, match="budget of 0"):
        choose_pairs(CANDIDATES, letters, 0, 0)


def test_overrating_worked_by_hand():
    def length(prompts, completions, **columns):
        return [float(len(text)) for text in completions]

    def minus(prompts, completions, **columns):
        return [-float(len(text)) for text in completions]

    asked = ["p", "p"], ["aaa", "a"], ["-", "--"]
    assert by_lead(length)(*asked).tolist() == [2, -1]
    assert by_disagreement([length, minus])(*asked).tolist() == [2, 1]


def test_answers_become_comparisons():
    words = tokenizer()
    answers = Answers(Pairs(["w2", "w3"], ["w4", "w5"], ["w6", "w7"]), [0.25, 1.0])
    rows = answers.encode(words)
    assert [list(text) for text in rows.chosen] == [[6, EOS], [5, EOS]]
    assert [list(text) for text in rows.rejected] == [[4, EOS], [7, EOS]]
    assert rows.probabilities.tolist() == [0.75, 1]
    both = joined(TextComparisons([[2]], [[8, EOS]], [[9, EOS]]), rows, weight=3.0)
    assert [list(text) for text in both.chosen] == [[8, EOS], [6, EOS], [5, EOS]]
    assert both.probabilities.tolist() == [1, 0.75, 1]
    assert both.weights.tolist() == [1, 3, 3]
    with pytest.raises(ValueError, match="margins"):
        joined(TextComparisons([[2]], [[8]], [[9]], margins=np.ones(1)), rows)


def test_two_policies_write_to_the_same_prompts():
    drawn = draw_candidates(policy(), policy(1), tokenizer(), ["w3 w4", "w5"], Sampling(4, stop_tokens=(EOS,)), 3, 0)
    assert [len(texts) for texts in (*drawn.now, *drawn.start)] == [3] * 4
    assert drawn.now != drawn.start
    again = draw_candidates(policy(), policy(1), tokenizer(), ["w3 w4", "w5"], Sampling(4, stop_tokens=(EOS,)), 3, 0)
    assert drawn == again


@pytest.mark.slow
def test_a_language_model_is_repaired(tmp_path):
    """The first reward takes w8 for w7; raters like w7 and dislike w8. Two rounds of 96 labels."""
    words, sampling = tokenizer(), Sampling(8, stop_tokens=(EOS,))

    def share(word, texts):
        return np.array([text.split().count(word) / max(1, len(text.split())) for text in texts])

    def first_reward(prompts, completions, **columns):
        return (share("w7", completions) / 2 + share("w8", completions)).tolist()

    def ask(pairs, number):
        lead = share("w7", pairs.a) - share("w8", pairs.a) - share("w7", pairs.b) + share("w8", pairs.b)
        return 1 / (1 + np.exp(-20 * lead))

    def train(reward, number, here):
        rl = PolicyGradientSettings(
            LoopSettings(15, AdamWSettings(1e-2), constant, seed=number, dtype=torch.float32),
            RolloutSettings(8, 8, sampling),
            ALGORITHMS["grpo"],
        )
        train_policy(trained, task(reward), rl, here / "policy", reference=start)

    def fit(answers, number, here):
        model = TextRewardModel(start)
        loop = LoopSettings(80, AdamWSettings(3e-3), dtype=torch.float32)
        fit_text_reward_model(model, answers.encode(words), RewardModelSettings(loop), here / "reward")
        return TextReward(model, words)

    trained, start = policy(), policy()
    train(first_reward, 0, tmp_path)
    rows = [row.prompt for row in task().prompts]

    def writes():
        return [text for texts in draw_candidates(trained, start, words, rows, sampling, 16, 5).now for text in texts]

    assert share("w8", writes()).mean() > 0.5
    found = repair(
        lambda number: draw_candidates(trained, start, words, rows, sampling, 16, number),
        ask, fit, train, first_reward, 2, 96, folder=tmp_path,
    )  # fmt: skip
    good, bad = found.reward(["w3 w4"] * 2, ["w7 " * 8, "w8 " * 8])
    assert good > bad
    assert share("w8", writes()).mean() < 0.1
