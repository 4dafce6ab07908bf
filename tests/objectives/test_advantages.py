import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foolsgold.objectives.advantages import (
    dr_grpo_advantages,
    gae,
    grpo_advantages,
    reinforce_pp_advantages,
    reinforce_pp_baseline_advantages,
    rloo_advantages,
    token_rewards,
)

NAN = math.nan
ALL = [
    grpo_advantages,
    dr_grpo_advantages,
    rloo_advantages,
    reinforce_pp_advantages,
    reinforce_pp_baseline_advantages,
]
GROUPED = [function for function in ALL if function is not reinforce_pp_advantages]


def close(expected, tolerance=1e-5):
    return pytest.approx(expected, abs=tolerance)


def test_grpo_worked_by_hand():
    # Mean 2, sample deviation sqrt((4 + 0 + 4) / 2) = 2.
    assert grpo_advantages(torch.tensor([[0.0, 2.0, 4.0]]), eps=0)[0].tolist() == close([-1, 0, 1])


def test_grpo_eps_is_added_to_the_deviation():
    assert grpo_advantages(torch.tensor([[0.0, 2.0, 4.0]]), eps=2)[0].tolist() == close([-0.5, 0, 0.5])


def test_dr_grpo_worked_by_hand():
    assert dr_grpo_advantages(torch.tensor([[0.0, 2.0, 4.0]]))[0].tolist() == close([-2, 0, 2])


def test_rloo_worked_by_hand():
    # The others of 0, 2, 4 average 3, 2 and 1.
    assert rloo_advantages(torch.tensor([[0.0, 2.0, 4.0]]))[0].tolist() == close([-3, 0, 3])


def test_reinforce_pp_worked_by_hand():
    # 0, 2 | 4, 6: mean 3, sample variance (9 + 1 + 1 + 9) / 3 = 20/3.
    spread = math.sqrt(20 / 3)
    got = reinforce_pp_advantages(torch.tensor([[0.0, 2.0], [4.0, 6.0]]), eps=0)
    assert got.flatten().tolist() == close([-3 / spread, -1 / spread, 1 / spread, 3 / spread])


def test_reinforce_pp_needs_no_groups():
    one_a_prompt = reinforce_pp_advantages(torch.tensor([[0.0], [2.0], [4.0]]), eps=0)
    assert one_a_prompt[:, 0].tolist() == close([-1, 0, 1])


def test_reinforce_pp_baseline_worked_by_hand():
    # Less their groups' means: -1, 1 | -3, 3; mean 0, sample variance 20/3.
    spread = math.sqrt(20 / 3)
    got = reinforce_pp_baseline_advantages(torch.tensor([[0.0, 2.0], [4.0, 10.0]]), eps=0)
    assert got.flatten().tolist() == close([-1 / spread, 1 / spread, -3 / spread, 3 / spread])


rewards_with_gaps = st.integers(1, 4).flatmap(
    lambda g: st.lists(
        st.lists(st.one_of(st.just(NAN), st.integers(-5, 5).map(float)), min_size=g, max_size=g),
        min_size=1,
        max_size=4,
    )
)


def mean(values):
    return sum(values) / len(values)


def deviation(values):
    return math.sqrt(sum((v - mean(values)) ** 2 for v in values) / (len(values) - 1))


def brute(function, rewards):
    """Advantages by loops over plain numbers; deviations with 1e-4 added."""
    batch = [r for group in rewards for r in group if not math.isnan(r)]
    groups = [[r for r in group if not math.isnan(r)] for group in rewards]
    distances = [r - mean(group) for group in groups if len(group) > 1 for r in group]
    out = []
    for rewards_of_group, group in zip(rewards, groups, strict=True):
        row = []
        for i, r in enumerate(rewards_of_group):
            alone = len(batch if function is reinforce_pp_advantages else group) < 2
            if math.isnan(r) or alone:
                row.append(0.0)
            elif function is grpo_advantages:
                row.append((r - mean(group)) / (deviation(group) + 1e-4))
            elif function is dr_grpo_advantages:
                row.append(r - mean(group))
            elif function is rloo_advantages:
                row.append(r - mean([x for j, x in enumerate(rewards_of_group) if j != i and not math.isnan(x)]))
            elif function is reinforce_pp_advantages:
                row.append((r - mean(batch)) / (deviation(batch) + 1e-4))
            else:
                row.append((r - mean(group)) / (deviation(distances) + 1e-4))
        out.append(row)
    return out


@pytest.mark.parametrize("function", ALL)
@given(rewards=rewards_with_gaps)
def test_equals_loops_over_what_is_valid(function, rewards):
    got = function(torch.tensor(rewards, dtype=torch.float64)).tolist()
    for got_row, expected_row in zip(got, brute(function, rewards), strict=True):
        assert got_row == close(expected_row, 1e-9)


@pytest.mark.parametrize("function", GROUPED)
def test_a_skipped_completion_is_as_though_never_drawn(function):
    with_gap = function(torch.tensor([[1.0, NAN, 4.0, 7.0]]))[0]
    without = function(torch.tensor([[1.0, 4.0, 7.0]]))[0].tolist()
    assert with_gap.tolist() == close([without[0], 0, without[1], without[2]])


@pytest.mark.parametrize("function", GROUPED)
def test_alone_or_all_equal_teaches_nothing(function):
    got = function(torch.tensor([[NAN, 5.0, NAN], [NAN, NAN, NAN], [3.0, 3.0, 3.0]]))
    assert got.tolist() == [[0, 0, 0]] * 3


@pytest.mark.parametrize("function", ALL)
def test_a_batch_without_rewards_gives_zeros(function):
    assert function(torch.full((2, 3), NAN)).tolist() == [[0, 0, 0]] * 2


def test_token_rewards_worked_by_hand():
    # Price 0.5 a nat; the score falls on the last token of each completion, NaN scores on none.
    kl = torch.tensor([[1.0, 2.0, 9.0], [1.0, 1.0, 1.0]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    got = token_rewards(torch.tensor([10.0, NAN]), kl, mask, coefficient=0.5)
    assert got.tolist() == [[-0.5, 9.0, 0.0], [-0.5, -0.5, -0.5]]


def test_token_rewards_of_an_empty_row_are_zero():
    assert token_rewards(torch.ones(1), torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.bool), 0.1).tolist() == [[0, 0]]


def test_gae_worked_by_hand():
    # gamma 1, lambda 0.5. Surprises from the end: 1 - 0.4 = 0.6; 0 + 0.4 - 0.2 = 0.2; 0 + 0.2 - 0.5 = -0.3.
    # Advantages: 0.6; 0.2 + 0.5 * 0.6 = 0.5; -0.3 + 0.5 * 0.5 = -0.05. Returns: advantages plus values.
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.2, 0.4]])
    advantages, returns = gae(rewards, values, torch.ones(1, 3, dtype=torch.bool), gamma=1, lam=0.5)
    assert advantages[0].tolist() == close([-0.05, 0.5, 0.6])
    assert returns[0].tolist() == close([0.45, 0.7, 1.0])


def test_gae_equals_its_definition_and_skips_what_is_masked():
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(20, 7, generator=generator), torch.randn(20, 7, generator=generator)
    mask = torch.rand(20, 7, generator=generator) < 0.7
    advantages, returns = gae(rewards, values, mask, gamma=0.9, lam=0.8)
    for b in range(20):
        own = [t for t in range(7) if mask[b, t]]
        r, v = [rewards[b, t].item() for t in own], [values[b, t].item() for t in own] + [0.0]
        surprises = [r[i] + 0.9 * v[i + 1] - v[i] for i in range(len(own))]
        for i, t in enumerate(own):
            expected = sum(0.72 ** (j - i) * surprises[j] for j in range(i, len(own)))
            assert advantages[b, t].item() == close(expected)
            assert returns[b, t].item() == close(expected + v[i])
        assert all(advantages[b, t] == 0 == returns[b, t] for t in range(7) if t not in own)


def test_gae_with_lambda_1_and_no_values_is_the_reward_to_come():
    rewards = torch.tensor([[1.0, 2.0, 4.0]])
    advantages, _ = gae(rewards, torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool), lam=1)
    assert advantages[0].tolist() == [7, 6, 4]
