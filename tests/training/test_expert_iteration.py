"""What is kept, that imitating it raises the reward, and runs that were cut off between and within rounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_task import EOS, adapted_llama, policy, task

from foolsgold.errors import UserError
from foolsgold.objectives.schedules import constant
from foolsgold.policies.generate import Samples, Sampling
from foolsgold.rewards.scoring import Scores
from foolsgold.training.expert_iteration import ExpertIterationSettings, best_of, expert_iteration
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.rollouts import Scored
from foolsgold.training.sft import SFTSettings


def settings(rounds=3, **others) -> ExpertIterationSettings:
    loop = LoopSettings(12, AdamWSettings(1e-2), constant, dtype=torch.float32)
    return ExpertIterationSettings(
        SFTSettings(loop, batch=16), rounds, **{"samples": 16, "sampling": Sampling(6), **others}
    )


def logged(*arguments, **keywords) -> dict[int, dict[str, float]]:
    """Metrics of every round, without times."""
    log = {}
    expert_iteration(*arguments, **keywords, report=lambda number, metrics: log.update({number: metrics}))
    return {
        number: {name: value for name, value in metrics.items() if name != "seconds"} for number, metrics in log.items()
    }


def scored(completions, rewards, stopped) -> Scored:
    """Two prompts with half of the completions each."""
    lengths = torch.tensor([len(each) for each in completions])
    tokens = torch.zeros((len(completions), int(lengths.max())), dtype=torch.int64)
    for row, each in zip(tokens, completions, strict=True):
        row[: len(each)] = torch.tensor(each)
    half = len(completions) // 2
    samples = Samples([[8]] * half + [[9]] * half, tokens, lengths, torch.zeros(tokens.shape), torch.tensor(stopped))
    total = np.array(rewards, float)
    texts = [" ".join(map(str, each)) for each in completions]
    return Scored(samples, [], texts, [], {}, Scores(("reward",), total[None], total), {})


DRAWN = scored(
    [[2, 1], [3, 1], [3, 1], [4, 1], [5, 5], [6, 1], [7, 1], [3, 3]],
    [0.5, 0.9, 0.2, math.nan, 2.0, -1.0, 0.6, 3.0],
    [True, True, True, True, False, True, True, False],
)


@pytest.mark.parametrize(
    ("top", "threshold", "expected"),
    [
        (1, -math.inf, [[3, 1], [7, 1]]),
        (2, -math.inf, [[3, 1], [2, 1], [7, 1], [6, 1]]),
        (3, -math.inf, [[3, 1], [2, 1], [7, 1], [6, 1]]),  # the worse [3, 1], NaN and what was cut off are out
        (0, 0.55, [[3, 1], [7, 1]]),
        (0, 0.5, [[3, 1], [2, 1], [7, 1]]),
        (1, 0.7, [[3, 1]]),
    ],
)
def test_the_best_whole_distinct_completions_are_kept(top, threshold, expected):
    kept = best_of(DRAWN, 4, top, threshold)
    assert [each.completion for each in kept] == expected
    assert [each.reward for each in kept] == sorted((e.reward for e in kept[:2]), reverse=True) + [
        each.reward for each in kept[2:]
    ]
    assert all(each.prompt == ([8] if each.completion in ([3, 1], [2, 1]) else [9]) for each in kept)


def test_where_nothing_ends_nothing_is_left_out():
    drawn = scored([[2, 2], [3, 3]], [1.0, 2.0], [False, False])
    assert [each.completion for each in best_of(drawn, 1, 1, -math.inf)] == [[2, 2], [3, 3]]


@pytest.mark.parametrize("from_start", [True, False])
def test_rounds_raise_the_reward(from_start):
    log = logged(policy(), task(), settings(4, from_start=from_start, top=2))
    assert log[1]["reward"] < 0.1
    assert log[4]["reward"] > 0.4
    for metrics in log.values():
        assert metrics["reward"] < metrics["kept_reward"] <= metrics["best_reward"] + 1e-9
        assert 11 <= metrics["kept"] <= 22


@pytest.mark.parametrize("from_start", [True, False])
def test_rounds_of_an_adapted_policy_change_its_adapter_only(from_start):
    adapted = adapted_llama()
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    log = logged(adapted, task(), settings(3, from_start=from_start, top=2))
    assert log[3]["reward"] > 2 * log[1]["reward"]
    changed = {name for name, value in adapted.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "lora_" in name}


class Killed(Exception):
    pass


@pytest.mark.parametrize("from_start", [True, False])
@pytest.mark.parametrize("where", ["while scoring round 2", "at the report of round 2"])
def test_a_killed_run_ends_with_the_same_weights(tmp_path, where, from_start):
    run, stop = settings(3, from_start=from_start, sampling=Sampling(6, stop_tokens=(EOS,))), [False]

    def reward(prompts, completions, trainer_state, **columns):
        if stop[0] and where.startswith("while") and trainer_state.global_step == 1:
            raise Killed
        return [text.split().count("w7") / 6 for text in completions]

    def until_2(number, metrics):
        if where.startswith("at") and number == 2:
            raise Killed

    whole, cut = policy(), policy()
    expected = logged(whole, task(reward), run, tmp_path / "whole")
    stop[0] = True
    failing = task(reward, failures=tmp_path / "failures")
    with pytest.raises((Killed, UserError)):
        expert_iteration(cut, failing, run, tmp_path / "cut", until_2)
    stop[0] = False
    again = policy()
    relog = logged(again, task(reward), run, tmp_path / "cut")
    assert set(relog) == {2, 3}
    for number, metrics in relog.items():  # the loss is not known of steps that were done before
        assert {**metrics, "loss": 0} == {**expected[number], "loss": 0}
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    finished = policy()
    assert logged(finished, task(reward), run, tmp_path / "cut") == {}
    assert torch.equal(finished.embedding.weight, whole.embedding.weight)


def test_evaluation_joins_the_rounds():
    log = logged(policy(), task(), settings(2), evaluate=lambda number: {"gold": float(number)})
    assert {number: metrics["gold"] for number, metrics in log.items()} == {0: 0.0, 1: 1.0, 2: 2.0}


def test_a_round_that_keeps_nothing_says_so():
    with pytest.raises(UserError, match=r"round 1 keeps no completion; lower the threshold"):
        expert_iteration(policy(), task(), settings(threshold=2.0))
    with pytest.raises(UserError, match="top 0 without a threshold"):
        settings(top=0)
    with pytest.raises(UserError, match="at least 1"):
        settings(samples=0)
