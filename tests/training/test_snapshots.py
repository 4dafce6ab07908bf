"""Policies kept along a run: which, whole ones only, and the same after a kill."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny_task import EOS, adapted_llama, policy, task, tokenizer

from foolsgold.errors import UserError
from foolsgold.policies.hub import Policy, load_policy
from foolsgold.policies.sampling import Sampling
from foolsgold.training import snapshots
from foolsgold.training.loop import LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.policy_gradient import PolicyGradientSettings, train_policy
from foolsgold.training.rollouts import RolloutSettings
from foolsgold.training.snapshots import Snapshots, evenly_spread, kept_snapshots


@pytest.mark.parametrize(
    ("steps", "count", "expected"),
    [(200, 10, set(range(20, 201, 20))), (7, 2, {4, 7}), (3, 10, {1, 2, 3}), (5, 1, {5}), (5, 0, set())],
)
def test_snapshots_are_evenly_spread_and_end_with_the_last_step(steps, count, expected):
    assert evenly_spread(steps, count) == expected


def test_fewer_than_none_is_refused():
    with pytest.raises(UserError, match="--snapshots -1"):
        evenly_spread(5, -1)


def of(folder, steps, model=None, dtype=torch.float32) -> Snapshots:
    model = model or policy()
    return Snapshots(folder, Policy(model, tokenizer(), "start", (EOS,)), frozenset(steps), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_snapshot_is_the_policy_of_its_step(tmp_path, dtype):
    kept = of(tmp_path, {2}, dtype=dtype)
    for step in range(4):
        kept.keep(step)
    ((step, place),) = kept_snapshots(tmp_path)
    assert (step, place.name) == (2, "step-00002")
    assert json.loads((place / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")
    found = load_policy(place)
    assert found.stop_tokens == (EOS,)
    for name, value in policy().state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value.to(dtype))
    assert next(kept.policy.model.parameters()).dtype == torch.float32  # what is trained stays as it is


def test_the_end_is_kept_whatever_its_step_unless_nothing_is(tmp_path):
    of(tmp_path / "some", {10, 20}).keep(13, last=True)
    of(tmp_path / "none", ()).keep(13, last=True)
    assert [step for step, _ in kept_snapshots(tmp_path / "some")] == [13]
    assert kept_snapshots(tmp_path / "none") == []


def test_half_a_snapshot_is_never_found(tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def half(folder, *other, **more):
        folder.mkdir()
        (folder / "config.json").write_text("{")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "save_policy", half)
        with pytest.raises(Killed):
            of(tmp_path, {1}).keep(1)
    assert kept_snapshots(tmp_path) == []
    of(tmp_path, {1}).keep(1)
    ((_, place),) = kept_snapshots(tmp_path)
    assert load_policy(place).model.config == policy().config
    assert [each.name for each in tmp_path.iterdir()] == ["step-00001"]


def test_snapshots_come_in_the_order_of_their_steps(tmp_path):
    for name in ("step-100000", "step-00020", "step-00003", ".step-00004.part", "step-x"):
        (tmp_path / name).mkdir()
    assert [step for step, _ in kept_snapshots(tmp_path)] == [3, 20, 100000]


def test_of_an_adapter_only_the_adapter_is_kept(tmp_path):
    of(tmp_path, {1}, adapted_llama()).keep(1)
    names = {each.name for each in (tmp_path / "step-00001").iterdir()}
    assert "adapter_model.safetensors" in names
    assert "model.safetensors" not in names


class Killed(Exception):
    pass


def test_a_killed_run_keeps_the_same_snapshots(tmp_path):
    """Killed between saving its state and reporting the step, the run does not come by that step again."""
    settings = PolicyGradientSettings(
        LoopSettings(4, AdamWSettings(1e-3), save_every=2, dtype=torch.float32),
        RolloutSettings(2, 4, Sampling(4, stop_tokens=(EOS,))),
    )

    def trained(folder, killed_at=None):
        model = policy(scale=2.0)
        kept = of(folder / "snapshots", {2, 4}, model)

        def report(step, metrics):
            if step == killed_at:
                raise Killed
            kept.keep(step)

        train_policy(model, task(), settings, folder, report, inspect=lambda step, _: kept.keep(step - 1))
        return [(step, load_file(place / "model.safetensors")) for step, place in kept_snapshots(kept.folder)]

    whole = trained(tmp_path / "whole")
    with pytest.raises(Killed):
        trained(tmp_path / "cut", killed_at=2)
    cut = trained(tmp_path / "cut")
    assert [step for step, _ in whole] == [step for step, _ in cut] == [2, 4]
    assert all(
        torch.equal(ours[name], theirs[name])
        for (_, ours), (_, theirs) in zip(whole, cut, strict=True)
        for name in ours
    )
    embedding = "model.embed_tokens.weight"
    assert not torch.equal(whole[0][1][embedding], whole[1][1][embedding])
