"""Steps, schedule, evaluation; and a run that was cut off ends as one that was not."""

from __future__ import annotations

import pytest
import torch

from foolsgold.errors import UserError
from foolsgold.policies.decoder import Decoder, DecoderConfig
from foolsgold.policies.likelihood import token_log_probs
from foolsgold.training import checkpoint
from foolsgold.training.loop import Loop, LoopSettings, StopTraining
from foolsgold.training.optimiser import AdamWSettings


def fresh() -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig.sized(31, 32, 2))


def body_of(loop):
    def body(step):
        tokens = torch.randint(0, 31, (4, 9), generator=torch.Generator().manual_seed(step))
        loss = loop.backward(-token_log_probs(loop.model, tokens).mean(), {"tokens": tokens})
        loop.memory["seen"] = loop.memory.get("seen", 0) + 1
        return {"loss": loss, "norm": loop.update({"tokens": tokens})}

    return body


class Killed(Exception):
    pass


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_killed_run_ends_with_the_same_numbers(tmp_path, dtype):
    settings = LoopSettings(steps=10, save_every=3, dtype=dtype)
    whole = Loop(fresh(), settings, tmp_path / "whole")
    log = {}
    whole.run(body_of(whole), lambda step, metrics: log.update({step: metrics}))

    def until_7(step, metrics):
        if step == 7:
            raise Killed

    cut = Loop(fresh(), settings, tmp_path / "cut")
    with pytest.raises(Killed):
        cut.run(body_of(cut), until_7)
    again = Loop(fresh(), settings, tmp_path / "cut")
    assert again.step == 6
    relog = {}
    again.run(body_of(again), lambda step, metrics: relog.update({step: metrics}))
    assert list(relog) == [7, 8, 9, 10]
    assert all(log[step] == metrics for step, metrics in relog.items())
    assert torch.equal(again.optimiser.master, whole.optimiser.master)
    assert again.memory == {"seen": 10}


def test_evaluation_comes_at_the_start_every_so_often_and_at_the_end():
    loop = Loop(fresh(), LoopSettings(steps=7, evaluate_every=3))
    seen = {}
    loop.run(body_of(loop), lambda step, metrics: seen.update({step: metrics}), lambda step: {"gold": float(step)})
    assert {step for step, metrics in seen.items() if "gold" in metrics} == {0, 3, 6, 7}


def test_a_nan_loss_stops_and_leaves_the_batch(tmp_path):
    loop = Loop(fresh(), LoopSettings(steps=3), tmp_path)

    def body(step):
        tokens = torch.arange(6).view(2, 3)
        loop.backward(token_log_probs(loop.model, tokens).mean() * float("nan"), {"tokens": tokens})
        return {}

    with pytest.raises(UserError, match=r"step 1: the loss is nan; the batch is in .*failed-step-1"):
        loop.run(body)
    tensors, _ = checkpoint.load(tmp_path / "failed-step-1.safetensors")
    assert torch.equal(tensors["tokens"], torch.arange(6).view(2, 3))


def test_a_state_of_another_model_is_refused(tmp_path):
    loop = Loop(fresh(), LoopSettings(steps=1), tmp_path)
    loop.run(body_of(loop))
    with pytest.raises(UserError, match="another model"):
        Loop(Decoder(DecoderConfig.sized(31, 64, 2)), LoopSettings(steps=1), tmp_path)


def test_training_lowers_the_loss():
    loop = Loop(fresh(), LoopSettings(steps=30, adamw=AdamWSettings(learning_rate=1e-2)))
    tokens = torch.randint(0, 31, (4, 9), generator=torch.Generator().manual_seed(1))

    def body(step):
        loss = loop.backward(-token_log_probs(loop.model, tokens).mean(), {"tokens": tokens})
        loop.update()
        return {"loss": loss}

    losses = []
    loop.run(body, lambda step, metrics: losses.append(metrics["loss"]))
    assert losses[-1] < 0.7 * losses[0]


def test_an_evaluation_can_stop_the_run_for_good(tmp_path):
    settings = LoopSettings(steps=10, save_every=4, evaluate_every=1, dtype=torch.float32)

    def until_6(step):
        if step == 6:
            raise StopTraining("gold falls", {"gold": 0.5})
        return {"gold": 1.0}

    log = {}
    loop = Loop(fresh(), settings, tmp_path)
    loop.run(body_of(loop), lambda step, metrics: log.update({step: metrics}), until_6)
    assert (loop.step, loop.stopped) == (6, "gold falls")
    assert list(log) == [0, 1, 2, 3, 4, 5, 6]
    assert log[6]["gold"] == 0.5
    assert "loss" in log[6]
    assert not loop.model.training

    again = Loop(fresh(), settings, tmp_path)
    again.run(body_of(again), lambda step, metrics: log.update({step: {}}), until_6)
    assert (again.step, again.stopped) == (6, "gold falls")
    assert list(log) == [0, 1, 2, 3, 4, 5, 6]
    assert log[6]  # nothing was reported again
    assert torch.equal(again.optimiser.master, loop.optimiser.master)


def test_a_run_killed_before_it_stopped_stops_where_it_would_have(tmp_path):
    settings = LoopSettings(steps=10, save_every=4, evaluate_every=3, dtype=torch.float32)

    def until_6(step):
        if step == 6:
            raise StopTraining("enough")
        return {}

    def killed_at_5(step, metrics):
        if step == 5:
            raise Killed

    whole = Loop(fresh(), settings, tmp_path / "whole")
    whole.run(body_of(whole), evaluate=until_6)
    cut = Loop(fresh(), settings, tmp_path / "cut")
    with pytest.raises(Killed):
        cut.run(body_of(cut), killed_at_5, until_6)
    again = Loop(fresh(), settings, tmp_path / "cut")
    assert again.step == 4
    again.run(body_of(again), evaluate=until_6)
    assert (again.step, again.stopped) == (6, "enough")
    assert torch.equal(again.optimiser.master, whole.optimiser.master)


def test_a_report_can_stop_the_run_after_its_step(tmp_path):
    loop = Loop(fresh(), LoopSettings(steps=10, save_every=4, dtype=torch.float32), tmp_path)

    def report(step, metrics):
        if step == 3:
            raise StopTraining("seen enough")

    loop.run(body_of(loop), report)
    assert Loop(fresh(), loop.settings, tmp_path).step == 3
    assert (loop.step, loop.stopped) == (3, "seen enough")


def test_a_stop_within_a_step_leaves_the_step_undone(tmp_path):
    """As by a trainer's `inspect`, which sees rollouts before the policy learns from them."""
    loop = Loop(fresh(), LoopSettings(steps=10, save_every=4, dtype=torch.float32), tmp_path)
    body = body_of(loop)

    def inspected(step):
        if step == 3:
            raise StopTraining("an exploit")
        return body(step)

    seen = []
    loop.run(inspected, lambda step, metrics: seen.append(step))
    assert seen == [1, 2, 3]
    assert (loop.step, loop.stopped) == (3, "an exploit")
    assert Loop(fresh(), loop.settings, tmp_path).stopped == "an exploit"


def test_a_run_stopped_before_its_first_step_does_none():
    loop = Loop(fresh(), LoopSettings(steps=10, evaluate_every=5))

    def at_once(step):
        raise StopTraining("no budget")

    seen = []
    loop.run(body_of(loop), lambda step, metrics: seen.append(step), at_once)
    assert (loop.step, seen) == (0, [0])
