"""Policy gradient on Go: the gradient written out, learning, prices of KL, interrupted runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foolsgold.environments.go import rules
from foolsgold.environments.go.features import expand_planes
from foolsgold.errors import UserError
from foolsgold.objectives.schedules import constant
from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.training.go_policy_gradient import GoPolicyGradientSettings, train_go_policy
from foolsgold.training.go_rollouts import RawPlayer, draw_prompts, play_games
from foolsgold.training.kl_penalty import KLSettings
from foolsgold.training.loop import Loop, LoopSettings
from foolsgold.training.optimiser import AdamWSettings
from foolsgold.training.self_play import load_snapshot, snapshot_path

SIZE = 5


def base() -> GoNetwork:
    torch.manual_seed(7)
    return GoNetwork(NetworkSize(1, 8))


def settings(steps: int = 1, rate: float = 1e-2, seed: int = 0, **others) -> GoPolicyGradientSettings:
    loop = LoopSettings(steps, AdamWSettings(rate), constant, save_every=2, seed=seed)
    return GoPolicyGradientSettings(SIZE, loop, **{"prompts": 4, "games": 4, "snapshot_every": 2, **others})


class CentreReferee:
    """Black wins with more stones than White on the middle line: something a small network learns in a few steps."""

    def judge(self, states, komi):
        line = states[:, rules.COLOR, [rules.point_of(10 + x, SIZE) for x in range(SIZE)]]
        margins = (line == rules.BLACK).sum(1) - (line == rules.WHITE).sum(1).astype(np.float32)
        return np.sign(margins), margins


def log_of(*arguments, **keywords) -> list[dict[str, float]]:
    log = []
    train_go_policy(*arguments, **keywords, report=lambda step, metrics: log.append(metrics))
    return log


def differing(one: GoNetwork, other: GoNetwork) -> list[str]:
    return [name for name, tensor in one.state_dict().items() if not torch.equal(tensor, other.state_dict()[name])]


@pytest.mark.parametrize("reward", ["win", "margin"])
@pytest.mark.parametrize("micro_batch", [5, 64])
def test_the_gradient_is_that_of_rloo(monkeypatch, reward, micro_batch):
    seen, update = [], Loop.update
    monkeypatch.setattr(
        Loop, "update", lambda self, batch=None: (seen.append(self.optimiser.gradient.clone()), update(self, batch))[1]
    )
    train_go_policy(base(), ScoreReferee(), settings(reward=reward, micro_batch=micro_batch, seed=3))
    network = base()
    player = RawPlayer(network, SIZE, 8)
    games = play_games(player, player, draw_prompts(SIZE, 4, 3), 4, 3)
    value = games.won * 2 - 1 if reward == "win" else games.score / SIZE
    own = games.own
    planes = torch.from_numpy(expand_planes(own.binary, own.scalars))
    logits = torch.where(torch.from_numpy(own.allowed), network(planes).policy, -torch.inf)
    log_probs = logits.log_softmax(1)[torch.arange(len(own)), torch.from_numpy(own.actions)]
    loss = torch.zeros(())
    for game in range(16):
        others = [i for i in range(game // 4 * 4, game // 4 * 4 + 4) if i != game]
        advantage = value[game] - np.mean(value[others])
        loss = loss - advantage * log_probs[torch.from_numpy(own.game == game)].sum() / 16
    parameters = list(network.parameters())
    ordered = [p for p in parameters if p.ndim >= 2] + [p for p in parameters if p.ndim < 2]
    found = torch.autograd.grad(loss, ordered, allow_unused=True)
    expected = torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(ordered, found, strict=True)]
    )
    assert expected.norm() > 0
    torch.testing.assert_close(seen[0], expected, rtol=1e-3, atol=1e-5)


def test_metrics_of_the_first_step_are_those_of_the_games():
    (metrics,) = log_of(base(), CentreReferee(), settings(seed=3))
    player = RawPlayer(base(), SIZE, 8)
    games = play_games(player, player, draw_prompts(SIZE, 4, 3), 4, 3)
    margins = CentreReferee().judge(games.final, games.komi)[1]
    assert metrics["reward"] == pytest.approx(np.where(games.color == rules.BLACK, margins, -margins).mean() / SIZE)
    assert metrics["score_margin"] == pytest.approx(games.score.mean())
    assert metrics["score_win"] == pytest.approx((games.score > 0).mean())
    assert metrics["moves"] == len(games.own) / 16
    assert metrics["kl"] == metrics["kl_se"] == 0
    assert 0 <= metrics["sampler_kl"] < 1e-3  # what playing in bfloat16 costs
    assert metrics["gradient_norm"] > 0


@pytest.fixture(scope="module")
def free():
    """Metrics of a run without a price of KL."""
    return log_of(base(), CentreReferee(), settings(20, prompts=8, games=8))


def test_the_referees_reward_rises_and_the_policy_leaves_its_start(free):
    first, last = (np.mean([metrics["reward"] for metrics in part]) for part in (free[:4], free[-4:]))
    assert last > first + 0.2
    assert free[-1]["kl"] > 3 * free[-1]["kl_se"] > 0


@pytest.mark.parametrize("kl", [KLSettings(in_reward=3.0), KLSettings(in_loss=3.0)], ids=["in reward", "in loss"])
def test_a_price_holds_the_policy_near_its_start(free, kl):
    held = log_of(base(), CentreReferee(), settings(10, prompts=8, games=8, kl=kl))
    assert held[-1]["kl"] < 0.3 * free[9]["kl"]


class Killed(Exception):
    pass


def killed_after(steps: int):
    def report(step, metrics):
        if step == steps:
            raise Killed

    return report


@pytest.mark.parametrize("steps", [2, 3])
def test_a_killed_run_goes_on_with_the_same_numbers(tmp_path, steps):
    plan = settings(5, kl=KLSettings(in_reward=0.1, target=0.5))
    whole = train_go_policy(base(), ScoreReferee(), plan, tmp_path / "whole")
    with pytest.raises(Killed):
        train_go_policy(base(), ScoreReferee(), plan, tmp_path / "killed", killed_after(steps))
    resumed = train_go_policy(base(), ScoreReferee(), plan, tmp_path / "killed")
    assert differing(whole, resumed) == []
    assert differing(whole, base())
    kept = {path.name for path in (tmp_path / "whole").glob("network-*")}
    assert kept == {path.name for path in (tmp_path / "killed").glob("network-*")}
    assert kept == {snapshot_path(tmp_path, step).name for step in (0, 2, 4, 5)}


def test_snapshots_run_from_the_base_policy_to_the_last_network(tmp_path):
    trained = train_go_policy(base(), ScoreReferee(), settings(3), tmp_path)
    assert differing(load_snapshot(tmp_path, 0, base()), base()) == []
    assert differing(load_snapshot(tmp_path, 3, base()), trained) == []
    assert differing(load_snapshot(tmp_path, 2, base()), trained)


def test_the_base_policy_stays_as_it_is():
    start = base()
    train_go_policy(start, ScoreReferee(), settings(2))
    assert differing(start, base()) == []


@pytest.mark.parametrize("changes", [{"games": 1}, {"snapshot_every": 0}, {"micro_batch": 0}])
def test_settings_that_nothing_can_be_learned_with(changes):
    with pytest.raises(UserError, match="games >= 2"):
        replace(settings(), **changes)
