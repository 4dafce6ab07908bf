"""Curves against all subsets; pools that go on after a kill; the completion that is served."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from tiny_task import EOS, adapted_llama, policy, share_of_w7, task

from foolsgold.errors import UserError
from foolsgold.policies.sampling import Sampling
from foolsgold.rewards.scoring import Scorer, WeightedReward
from foolsgold.training.best_of_n import Pool, best_of_n, draw_pool, pool_curves

SAMPLING = Sampling(8, stop_tokens=(EOS,))


def brevity(prompts, completions, **columns):
    return [-float(len(text)) for text in completions]


GOLD = Scorer([WeightedReward(brevity)], None)


@pytest.fixture(scope="module")
def writer():
    return policy(scale=3.0)


def test_curves_equal_all_subsets():
    rng = np.random.default_rng(0)
    proxy, gold = rng.normal(size=(3, 6)), rng.normal(size=(3, 6))
    curves = pool_curves(Pool(["a", "b", "c"], [["x"] * 6] * 3, [[[7]] * 6] * 3, proxy, gold), n_resamples=50)
    assert curves.gold.n.tolist() == [1, 2, 4, 6]
    for which, scores in ((curves.gold, gold), (curves.proxy, proxy)):
        for i, n in enumerate(which.n):
            subsets = [list(subset) for subset in combinations(range(6), n)]
            best = [scores[p, s[proxy[p, s].argmax()]] for p in range(3) for s in subsets]
            assert which.gold[i] == pytest.approx(np.mean(best))
            assert which.kl[i] == pytest.approx(np.log(n) - (n - 1) / n)
            assert which.low[i] <= which.gold[i] <= which.high[i]


def test_prompts_that_were_not_scored_are_left_out():
    proxy, gold = np.array([[1.0, 2.0], [np.nan, 5.0], [1.0, 0.0]]), np.array([[3.0, 4.0], [9.0, 9.0], [7.0, 8.0]])
    curves = pool_curves(Pool(["a", "b", "c"], [["x"] * 2] * 3, [[[7]] * 2] * 3, proxy, gold), n_resamples=10)
    assert curves.gold.gold.tolist() == [5.5, 5.5]  # of two, the proxy takes 4 and 7
    assert curves.proxy.gold.tolist() == [1.0, 1.5]
    with pytest.raises(UserError, match="no prompt"):
        pool_curves(Pool(["b"], [["x"] * 2], [[[7]] * 2], proxy[1:2], gold[1:2]))


@pytest.mark.parametrize("rows", [4, 13, 500])
def test_a_pool_holds_n_scored_completions_of_each_prompt(writer, rows):
    pool = draw_pool(writer, task(), GOLD, 6, SAMPLING, rows=rows)
    assert pool.prompts == [row.prompt for row in task().prompts]
    assert [len(texts) for texts in pool.texts] == [6] * 11
    for i, texts in enumerate(pool.texts):
        assert len(set(texts)) > 1
        assert pool.proxy[i].tolist() == share_of_w7([None] * 6, texts)
        assert pool.gold[i].tolist() == brevity([None] * 6, texts)


class Killed(Exception):
    pass


def test_a_pool_goes_on_after_a_kill(writer, tmp_path):
    whole = draw_pool(writer, task(), GOLD, 6, SAMPLING, rows=13)

    def until_3(done, of):
        assert of == 6
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        draw_pool(writer, task(), GOLD, 6, SAMPLING, rows=13, folder=tmp_path, report=until_3)
    scored = []

    def counted(prompts, completions, **columns):
        scored.append(len(prompts))
        return brevity(prompts, completions)

    counted.__name__ = "brevity"
    gold = Scorer([WeightedReward(counted)], None)
    again = draw_pool(writer, task(), gold, 6, SAMPLING, rows=13, folder=tmp_path)
    assert scored == [12, 12, 6]  # the last three pieces of six
    assert again.texts == whole.texts
    np.testing.assert_array_equal(again.proxy, whole.proxy)
    np.testing.assert_array_equal(again.gold, whole.gold)


def test_the_pool_of_another_policy_or_setting_is_refused(writer, tmp_path):
    draw_pool(writer, task(), GOLD, 2, Sampling(2), folder=tmp_path)
    with pytest.raises(UserError, match="differs in n, seed"):
        draw_pool(writer, task(), GOLD, 3, Sampling(2), seed=1, folder=tmp_path)
    with pytest.raises(UserError, match="differs in weights"):
        draw_pool(policy(seed=1), task(), GOLD, 2, Sampling(2), folder=tmp_path)


def test_drawing_leaves_the_policy_alone(writer):
    before = {name: value.clone() for name, value in writer.state_dict().items()}
    draw_pool(writer, task(), GOLD, 2, Sampling(2))
    assert all(torch.equal(value, before[name]) for name, value in writer.state_dict().items())
    assert all(parameter.requires_grad for parameter in writer.parameters())


@pytest.mark.parametrize("rows", [1, 20, 500])
def test_what_is_served_is_the_best_of_what_was_drawn(writer, rows):
    seen = {}

    def length(prompts, completions, **columns):
        for prompt, text in zip(prompts, completions, strict=True):
            seen.setdefault(prompt, []).append(text)
        return [float(len(text)) for text in completions]

    served = best_of_n(writer, task(length), 5, SAMPLING, seed=3, rows=rows)
    for prompt, best in zip([row.prompt for row in task().prompts], served, strict=True):
        assert len(seen[prompt]) == 5
        assert best.text == max(seen[prompt], key=len)
        assert best.reward == len(best.text)


def test_a_policy_that_runs_through_transformers_serves_too():
    served = best_of_n(adapted_llama(), task(), 16, SAMPLING)
    pool = draw_pool(adapted_llama(), task(), GOLD, 1, SAMPLING)
    assert np.mean([best.reward for best in served]) > pool.proxy.mean() + 0.1


def test_a_prompt_without_any_reward_is_named(writer):
    def first_only(prompts, **columns):
        return [1.0 if prompt == prompts[0] else None for prompt in prompts]

    with pytest.raises(UserError, match="prompt 2"):
        best_of_n(writer, task(first_only), 3, Sampling(1))
