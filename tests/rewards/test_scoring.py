import asyncio
import json
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foolsgold.errors import UserError
from foolsgold.rewards.protocol import TrainerState
from foolsgold.rewards.scoring import RewardFailure, Scorer, WeightedReward, weighted_total

PROMPTS = ["Say a.", "Say bb."]
COMPLETIONS = ["a", "bb"]


def length(prompts, completions, **columns):
    return [len(completion) for completion in completions]


def has_b(prompts, completions, **columns):
    return [None if completion == "a" else 1.0 for completion in completions]


async def asks_a_server(prompts, completions, **columns):
    await asyncio.sleep(0.01)
    return [10.0 * len(completion) for completion in completions]


def returning(value):
    def reward(prompts, completions, **columns):
        return value

    return reward


@pytest.fixture
def scorer(tmp_path):
    def scorer(*rewards, time_limit_s=5.0):
        weighted = [each if isinstance(each, WeightedReward) else WeightedReward(each) for each in rewards]
        return Scorer(weighted, time_limit_s=time_limit_s, failures=tmp_path / "failures")

    return scorer


def test_components_and_total_of_a_batch(scorer):
    scores = scorer(
        WeightedReward(length, 2.0), WeightedReward(has_b, -1.0, "b"), WeightedReward(asks_a_server, 0.1)
    ).score(PROMPTS, COMPLETIONS)
    assert scores.names == ("length", "b", "asks_a_server")
    assert scores.components.dtype == np.float64
    np.testing.assert_array_equal(scores.components, [[1, 2], [np.nan, 1], [10, 20]])
    np.testing.assert_allclose(scores.total, [2 * 1 + 0.1 * 10, 2 * 2 - 1 + 0.1 * 20])
    assert scores.means == {"length": 1.5, "b": 1.0, "asks_a_server": 15.0}


def test_a_completion_that_no_reward_applies_to_has_no_total(scorer):
    scores = scorer(has_b).score(PROMPTS, COMPLETIONS)
    np.testing.assert_array_equal(scores.total, [np.nan, 1.0])
    assert scorer(returning([None, None])).score(PROMPTS, COMPLETIONS).means["reward"] != 0


rewards_of_trl = st.lists(
    st.lists(st.none() | st.floats(-100, 100, width=32), min_size=3, max_size=3), min_size=1, max_size=4
)


@settings(deadline=None)
@given(rewards_of_trl, st.data())
def test_the_total_is_that_of_trl(components, data):
    """The lines of GRPOTrainer that add the rewards up, in torch."""
    weights = data.draw(st.lists(st.floats(-2, 2, width=32), min_size=len(components), max_size=len(components)))
    per_function = torch.tensor([[float("nan") if r is None else r for r in row] for row in components]).double().T
    expected = (per_function * torch.tensor(weights).double().unsqueeze(0)).nansum(dim=1)
    expected[torch.isnan(per_function).all(dim=1)] = torch.nan
    ours = weighted_total(np.array(components, float), np.array(weights))
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-9)


@pytest.mark.parametrize(
    "values",
    [(1.0, 2.0), np.array([1, 2]), np.float32([1, 2]), torch.tensor([1.0, 2.0]), [np.float32(1), np.int64(2)],
     [torch.tensor(1), torch.tensor(2.0)], (float(n) for n in (1, 2))],
)  # fmt: skip
def test_numbers_of_every_library_are_rewards(scorer, values):
    np.testing.assert_array_equal(scorer(returning(values)).score(PROMPTS, COMPLETIONS).total, [1.0, 2.0])


def test_truth_values_are_rewards(scorer):
    np.testing.assert_array_equal(scorer(returning([True, False])).score(PROMPTS, COMPLETIONS).total, [1.0, 0.0])


def test_rewards_get_what_trl_gives_them(scorer):
    seen = {}

    def reward(prompts, completions, completion_ids, answer, trainer_state, log_extra, log_metric, **kwargs):
        seen.update(answer=answer, ids=completion_ids, step=trainer_state.global_step, rest=kwargs)
        log_extra("parsed", [completion.upper() for completion in completions])
        log_metric("accuracy", 0.5)
        log_metric("accuracy", 1.0)
        return [0.0, 0.0]

    scores = scorer(reward).score(
        PROMPTS, COMPLETIONS, trainer_state=TrainerState(7), answer=["A", "BB"], completion_ids=[[5], [6, 6]]
    )
    assert seen == {"answer": ["A", "BB"], "ids": [[5], [6, 6]], "step": 7, "rest": {}}
    assert scores.extras == {"parsed": ["A", "BB"]}
    assert scores.metrics == {"accuracy": 0.75}


def test_rewards_of_trl_run_unchanged(scorer):
    rewards = pytest.importorskip("trl.rewards")
    chats = [[{"role": "assistant", "content": text}] for text in ("<think>\nhm\n</think>\nyes", "yes")]
    prompts = [[{"role": "user", "content": "Is it?"}]] * 2
    punish = rewards.get_soft_overlong_punishment(max_completion_len=10, soft_punish_cache=4)
    scores = scorer(rewards.think_format_reward, punish).score(prompts, chats, completion_ids=[[1] * 4, [1] * 8])
    np.testing.assert_allclose(scores.components, [[1, 0], [0, -0.5]])  # 8 tokens: half of the way from 6 to 10


def test_a_reward_cannot_disturb_the_next_one(scorer):
    def sorts(prompts, completions, **columns):
        completions.reverse()
        return [0.0, 0.0]

    np.testing.assert_array_equal(scorer(sorts, length).score(PROMPTS, COMPLETIONS).components[1], [1, 2])


def test_async_rewards_run_together(scorer):
    met = []

    def meets(name, other):
        async def reward(prompts, completions, **columns):
            met.append(name)
            while other not in met:
                await asyncio.sleep(0.001)
            return [1.0, 1.0]

        return WeightedReward(reward, name=name)

    scores = scorer(meets("first", "second"), meets("second", "first")).score(PROMPTS, COMPLETIONS)
    np.testing.assert_array_equal(scores.total, [2.0, 2.0])


def test_async_rewards_keep_their_event_loop(scorer):
    loops = []

    async def reward(prompts, completions, **columns):
        loops.append(asyncio.get_running_loop())
        return [0.0, 0.0]

    one = scorer(reward, WeightedReward(reward, name="again"))
    one.score(PROMPTS, COMPLETIONS)
    one.score(PROMPTS, COMPLETIONS)
    assert len(set(loops)) == 1


def test_without_a_limit_a_reward_runs_on_the_callers_thread(scorer):
    threads = []

    def reward(prompts, completions, **columns):
        threads.append(threading.current_thread())
        return [0.0, 0.0]

    scorer(reward, time_limit_s=None).score(PROMPTS, COMPLETIONS)
    scorer(reward).score(PROMPTS, COMPLETIONS)
    assert threads[0] is threading.current_thread()
    assert threads[1] is not threading.current_thread()


def lookup(prompts, completions, answers=(), **columns):
    return [answers[0] for _ in completions]


async def async_lookup(prompts, completions, **columns):
    return [{}["answer"] for _ in completions]


async def server_is_silent(prompts, completions, **columns):
    raise TimeoutError("the server is silent")


def leaves(prompts, completions, **columns):
    raise SystemExit(3)


async def async_leaves(prompts, completions, **columns):
    raise SystemExit(3)


@pytest.mark.parametrize("time_limit_s", [5.0, None])
@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (lookup, r"raised IndexError: tuple index out of range \(.*test_scoring\.py, line \d+\)"),
        (async_lookup, r"raised KeyError: 'answer' \(.*test_scoring\.py, line \d+\)"),
        (server_is_silent, "raised TimeoutError: the server is silent"),
        (leaves, "raised SystemExit: 3"),
        (async_leaves, "SystemExit: 3"),
        (lambda completions: [0.0, 0.0], "raised TypeError: .* unexpected keyword argument 'prompts'"),
        (returning([1.0]), "returned 1 rewards for 2 completions"),
        (returning([]), "returned 0 rewards for 2 completions"),
        (returning(None), r"returned None \(NoneType\), not a list of 2 numbers"),
        (returning(1.0), r"returned 1.0 \(float\), not a list"),
        (returning(np.float64(1)), r"returned 1.0 \(float\), not a list"),
        (returning("12"), r"returned '12' \(str\), not a list"),
        (returning({"a": 1.0, "b": 2.0}), r"\(dict\), not a list"),
        (returning([0.5, "0.5"]), r"returned '0.5' \(str\) for completion 1"),
        (returning(np.zeros((2, 1))), r"returned \[0.0\] \(list\) for completion 0"),
        (returning([0.5, 1j]), r"\(complex\) for completion 1"),
        (returning([0.5, float("nan")]), "returned nan for completion 1; rewards are finite, or None"),
        (returning([float("-inf"), 1.0]), "returned -inf for completion 0"),
        (returning([10**400, 1.0]), "returned inf for completion 0"),
        (returning(torch.tensor([0.0, torch.nan])), "returned nan for completion 1"),
    ],
)
def test_a_reward_that_fails_is_named_and_its_batch_saved(scorer, tmp_path, reward, message, time_limit_s):
    failing = WeightedReward(reward, name="my reward!")
    with pytest.raises(RewardFailure, match=f"^reward 'my reward!' .*{message}") as raised:
        scorer(length, failing, time_limit_s=time_limit_s).score(PROMPTS, COMPLETIONS, answer=["a", None])
    path = tmp_path / "failures" / "my_reward_-001.jsonl"
    assert str(raised.value).endswith(f"; the batch is saved in {path}")
    assert isinstance(raised.value, UserError)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"prompt": "Say a.", "completion": "a", "answer": "a"},
        {"prompt": "Say bb.", "completion": "bb", "answer": None},
    ]


def test_a_reward_that_hangs_is_left_behind(scorer):
    release = threading.Event()
    began = time.monotonic()
    with pytest.raises(RewardFailure, match=r"reward 'hangs' took longer than 0\.2 s; the batch"):
        scorer(WeightedReward(lambda **columns: release.wait(60), name="hangs"), time_limit_s=0.2).score(
            PROMPTS, COMPLETIONS
        )
    assert time.monotonic() - began < 10
    release.set()


def test_an_async_reward_that_hangs_is_cancelled(scorer):
    cancelled = threading.Event()

    async def hangs(**columns):
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    with pytest.raises(RewardFailure, match=r"'hangs' took longer than 0\.2 s; the batch"):
        scorer(hangs, time_limit_s=0.2).score(PROMPTS, COMPLETIONS)
    assert cancelled.wait(5)


def test_an_event_loop_that_is_blocked_is_replaced(scorer):
    release = threading.Event()
    blocking = True

    async def blocks(completions, **columns):
        if blocking:
            release.wait(60)
        return [1.0 for _ in completions]

    one = scorer(blocks, time_limit_s=0.2)
    with pytest.raises(RewardFailure, match="without an await"):
        one.score(PROMPTS, COMPLETIONS)
    blocking = False
    np.testing.assert_array_equal(one.score(PROMPTS, COMPLETIONS).total, [1.0, 1.0])
    release.set()


def test_every_failure_keeps_its_batch_whatever_it_holds(scorer, tmp_path):
    one = scorer(returning([]))
    for completion in ("\ud800 half a character", "碁"):
        with pytest.raises(RewardFailure):
            one.score([[{"role": "user", "content": "?"}]], [completion], image=[b"\0"], ids=[torch.tensor([1])])
    rows = [json.loads((tmp_path / "failures" / f"reward-00{i}.jsonl").read_text()) for i in (1, 2)]
    assert [row["completion"] for row in rows] == ["\ud800 half a character", "碁"]
    assert rows[0]["prompt"] == [{"role": "user", "content": "?"}]
    assert rows[0]["image"] == "b'\\x00'"


def test_a_batch_that_cannot_be_saved_does_not_hide_the_failure(tmp_path):
    (tmp_path / "file").write_text("")
    one = Scorer([WeightedReward(returning([]))], failures=tmp_path / "file" / "failures")
    with pytest.raises(RewardFailure, match=r"returned 0 rewards .*; the batch could not be saved: cannot write"):
        one.score(PROMPTS, COMPLETIONS)


def test_columns_of_other_lengths_or_names_are_refused(scorer):
    one = scorer(length)
    with pytest.raises(ValueError, match="completions has 1 entries for 2 prompts"):
        one.score(PROMPTS, ["a"])
    with pytest.raises(ValueError, match="answer has 3 entries for 2 prompts"):
        one.score(PROMPTS, COMPLETIONS, answer=[1, 2, 3])
    with pytest.raises(ValueError, match="cannot be named log_extra"):
        one.score(PROMPTS, COMPLETIONS, log_extra=[1, 2])


def test_a_scorer_needs_rewards_with_names_weights_and_time():
    with pytest.raises(UserError, match="no reward is given"):
        Scorer([])
    with pytest.raises(UserError, match="two rewards have the same name: length, length"):
        Scorer([WeightedReward(length), WeightedReward(length)])
    with pytest.raises(UserError, match="must be above 0"):
        Scorer([WeightedReward(length)], time_limit_s=0)
    with pytest.raises(ValueError, match="finite number, not nan"):
        WeightedReward(length, float("nan"))
