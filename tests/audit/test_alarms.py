"""Each alarm by hand or against what it must say; readings of real rollouts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from foolsgold.audit.alarm_callback import Probes, alarm_callback
from foolsgold.audit.alarms import (
    Alarms,
    BeyondTilt,
    ChiSquared,
    Disagreement,
    Drift,
    Duplicates,
    Watched,
    largest_gain,
)
from foolsgold.errors import UserError
from foolsgold.training.batches import pad_pairs
from foolsgold.training.rollouts import Rollouts


def reference(count=512, seed=0, **shift) -> Watched:
    """Samples in five latent dimensions, three members that agree but for noise; `shift` is added to columns."""
    rng = np.random.default_rng(seed)
    proxy = rng.normal(size=count)
    words = [f"word{i}" for i in range(12)]  # so few that pairs of them come again
    columns = {
        "proxy": proxy,
        "lengths": rng.integers(10, 20, count).astype(float),
        "log_probs": rng.normal(-2, 0.3, count),
        "log_ratios": np.zeros(count),
        "members": proxy + 0.2 * rng.normal(size=(3, count)),
        "latents": rng.normal(size=(count, 5)),
    }
    texts = [" ".join(rng.choice(words, 12)) for _ in range(count)]
    return Watched(texts=texts, **{name: column + shift.get(name, 0) for name, column in columns.items()})


def test_the_reference_itself_rings_rarely():
    alarms = Alarms.of(reference(2048), batch=64, chance=0.01)
    later = [alarms.read(reference(64, seed)) for seed in range(1, 101)]
    for name, threshold in alarms.thresholds.items():
        assert sum(each[name] > threshold for each in later) <= 8, name


@pytest.mark.parametrize(
    ("alarm", "shift"),
    [
        ("disagreement", {"members": np.array([[0.0], [1.0], [2.0]])}),
        ("outliers", {"latents": 3.0}),
        ("proxy", {"proxy": 1.0}),
        ("length", {"lengths": -5.0}),
        ("length", {"lengths": 5.0}),
        ("collapse", {"log_probs": 1.0}),
    ],
)
def test_each_alarm_rings_at_its_own_fault_alone(alarm, shift):
    alarms = Alarms.of(reference())
    readings = alarms.read(reference(64, 7, **shift))
    rung = {name for name, threshold in alarms.thresholds.items() if readings[name] > threshold}
    assert rung == {alarm}


def test_repetition_and_duplicates():
    alarms = Alarms.of(reference())
    plain = reference(64, 3)
    texts = ["the the the the the the"] * 16 + list(plain.texts[16:])
    readings = alarms.read(Watched(plain.proxy, texts))
    assert readings["repetition"] > 10 * alarms.thresholds["repetition"]
    assert readings["duplicates"] == pytest.approx(15 / 64)
    assert Duplicates().score(plain) == 0


def test_disagreement_by_hand():
    """Members of means 0 and 10 and deviations 1 and 2; both at their means agree; one deviation up against one down
    leaves 1 between each and their mean."""
    fitted = Disagreement.fit(Watched(np.zeros(2), members=np.array([[-1.0, 1], [8, 12]])))
    assert fitted.score(Watched(np.zeros(1), members=np.array([[0.0], [10]]))) == 0
    assert fitted.score(Watched(np.zeros(2), members=np.array([[1.0, 0], [8, 10]]))) == pytest.approx(0.5)


def test_drift_by_hand():
    fitted = Drift.fit(Watched(np.zeros(2), lengths=np.array([8.0, 12])), "lengths", either_way=True)
    assert fitted.score(Watched(np.zeros(2), lengths=np.array([5.0, 7]))) == pytest.approx(2)


def dual_gain(proxy: np.ndarray, kl: float) -> float:
    """Donsker and Varadhan's bound as it stands, the least over all l."""

    def bound(log_l: float) -> float:
        return (math.log(np.exp(math.exp(log_l) * proxy).mean()) + kl) / math.exp(log_l)

    return minimize_scalar(bound, bounds=(-8, 4), method="bounded").fun - proxy.mean()


@pytest.mark.parametrize("kl", [0.01, 0.3, 1.0])
def test_the_tilt_reaches_the_bound(kl):
    proxy = np.array([0.0, 1.0, 1.5, 4.0, -2.0, 0.3])
    assert largest_gain(proxy, kl) == pytest.approx(dual_gain(proxy, kl), rel=1e-3)


def test_the_largest_gain_at_its_ends():
    proxy = np.array([0.0, 0.0, 1.0, 3.0])
    assert largest_gain(proxy, -0.1) == 0
    assert largest_gain(proxy, 0.0) == 0
    assert largest_gain(proxy, math.log(4)) == pytest.approx(2)  # all weight on the highest
    assert largest_gain(proxy, 50.0) == pytest.approx(2)
    assert largest_gain(np.ones(5), 1.0) == 0
    normal = np.random.default_rng(0).normal(size=100_000)
    assert largest_gain(normal, 0.5) == pytest.approx(1, rel=0.02)  # sqrt(2 KL) of a normal proxy


def test_a_tilted_reference_reaches_the_tilt_and_new_texts_exceed_it():
    base = np.random.default_rng(1).normal(size=4096)
    alarm = BeyondTilt.fit(Watched(base))
    rng = np.random.default_rng(2)
    weight = np.exp(base) / np.exp(base).sum()
    drawn, log_ratio = rng.choice(base, 4096, p=weight), np.full(4096, weight @ np.log(4096 * weight))
    assert log_ratio[0] == pytest.approx(0.5, abs=0.05)  # for a normal proxy 1/2, and the gain is 1
    assert alarm.score(Watched(drawn, log_ratios=log_ratio)) == pytest.approx(1, abs=0.05)
    assert alarm.score(Watched(drawn / 3, log_ratios=np.full(4096, 0.5))) < 0.5
    assert alarm.score(Watched(drawn + 6, log_ratios=np.full(4096, 5.0))) > 1.5
    assert abs(alarm.score(Watched(base[:64], log_ratios=np.zeros(64)))) < 1  # at the start nothing but luck


def test_chi_squared_by_hand():
    """Ratios 3 and 1 on the policy's samples: a mean of 2, chi-squared 1; a gain of 1/4 deviation leaves 3/4."""
    alarm = ChiSquared.fit(Watched(np.array([-4.0, 4.0])))
    now = Watched(np.array([0.0, 2.0]), log_ratios=np.log([3.0, 1.0]))
    assert alarm.score(now) == pytest.approx(1 - 0.25)
    assert math.isfinite(alarm.score(Watched(np.zeros(2), log_ratios=np.array([900.0, 800.0]))))


def test_alarms_without_their_columns_are_left_out():
    plain = reference()
    alarms = Alarms.of(Watched(plain.proxy, lengths=plain.lengths))
    assert set(alarms.read(Watched(plain.proxy))) == {"proxy"}
    assert set(alarms.thresholds) == {"proxy", "length"}


def test_thresholds_are_wider_where_prompts_differ():
    """A proxy that is all prompt: 64 samples of 8 prompts tell as little as 8 samples."""
    proxy = np.repeat(np.random.default_rng(0).normal(size=128), 8)
    grouped = Alarms.of(Watched(proxy, groups=np.repeat(np.arange(128), 8)))
    single = Alarms.of(Watched(proxy))
    assert grouped.thresholds["proxy"] > 2 * single.thresholds["proxy"]


def test_mistakes_are_named():
    with pytest.raises(UserError, match="no samples"):
        Watched(np.zeros(0))
    with pytest.raises(UserError, match="members has 3 entries for 2"):
        Watched(np.zeros(2), members=np.zeros((2, 3)))
    with pytest.raises(UserError, match="256 or more"):
        Alarms.of(reference(255))


def rollouts() -> Rollouts:
    """Four completions of two prompts."""
    pairs = [([2, 3], [4, 5]), ([2, 3], [6]), ([7], [8, 9, 4]), ([7], [8, 9])]
    batch = pad_pairs(pairs, 0)
    log_probs = torch.where(batch.completion_mask, -1.5, 0.0)
    rewards = torch.tensor([[1.0, float("nan")], [3.0, 4.0]])
    return Rollouts(
        ["a", "a", "b", "b"], ["x y", "z", "u v x", "u v"], batch, log_probs, rewards, {"mine": 2 * rewards},
        torch.ones(4, dtype=torch.bool), ~rewards.isnan().flatten(),
    )  # fmt: skip


class Uniform(torch.nn.Module):
    """Ten tokens, all as likely."""

    device = torch.device("cpu")

    def forward(self, tokens):
        return torch.zeros((*tokens.shape, 10))


def test_rollouts_are_watched_row_by_row():
    seen = []

    def members(prompts, completions):
        seen.append((prompts, completions))
        return np.zeros((2, len(prompts)))

    watched = Probes(members=members, reference=Uniform(), component="mine").watch(rollouts())
    assert seen == [(["a", "b", "b"], ["x y", "u v x", "u v"])]  # the one without a reward is left out
    assert watched.proxy.tolist() == [2, 6, 8]
    assert watched.groups.tolist() == [0, 1, 1]
    assert watched.lengths.tolist() == [2, 3, 2]
    assert watched.log_probs == pytest.approx([-1.5] * 3)
    assert watched.log_ratios == pytest.approx(np.array([2, 3, 2]) * (math.log(10) - 1.5))
    with pytest.raises(UserError, match="no reward is named 'other'; there are mine"):
        Probes(component="other").watch(rollouts())


def test_the_callback_reads_every_so_often():
    log = {}
    alarms = Alarms.of(reference())
    inspect = alarm_callback(alarms, Probes(), lambda step, readings: log.update({step: readings}), every=4, rows=3)
    for step in range(1, 10):
        inspect(step, rollouts())
    assert list(log) == [1, 4, 8]
    assert set(log[4]) == {f"alarm/{name}" for name in ("proxy", "repetition", "length", "collapse", "duplicates")}
