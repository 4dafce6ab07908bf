import pytest
import torch

from foolsgold.policies.go_network import GoNetwork, NetworkSize
from foolsgold.policies.search import SearchSettings
from foolsgold.rewards.go_referees import ScoreReferee
from foolsgold.training.budget import Budget
from foolsgold.training.go_learner import LearnerSettings
from foolsgold.training.self_play import SelfPlay, SelfPlaySettings, load_snapshot
from foolsgold.training.self_play_worker import WorkerSettings

GAMES = 40
SETTINGS = SelfPlaySettings(
    worker=WorkerSettings(
        size=5,
        games=4,
        full=SearchSettings(simulations=4, considered=4),
        fast=SearchSettings(simulations=2, considered=2),
        full_share=0.5,
    ),
    learner=LearnerSettings(batch=16),
    games_an_iteration=8,
    reuse=1.0,
    window=120,
    snapshots=3,
    seed=4,
)


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def start(folder, **changes):
    torch.manual_seed(0)
    network = GoNetwork(NetworkSize(2, 8))
    settings = SelfPlaySettings(**{**vars(SETTINGS), **changes})
    return SelfPlay(network, ScoreReferee(), settings, Budget(games=GAMES), folder)


def weights_of(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    play = start(folder)
    return folder, play, play.run()


def differing(one, other):
    return [name for name, tensor in weights_of(one).items() if not torch.equal(tensor, other.state_dict()[name])]


def test_two_runs_with_the_same_seed_end_with_the_same_weights(uninterrupted, tmp_path):
    assert differing(uninterrupted[2], start(tmp_path).run()) == []


def test_another_seed_ends_elsewhere(uninterrupted, tmp_path):
    assert differing(uninterrupted[2], start(tmp_path, seed=5).run())


def killed_after(folder, iterations):
    """A run that dies right after an iteration, as by a signal."""

    def report(progress, metrics, games):
        if progress.iteration == iterations:
            raise Killed

    with pytest.raises(Killed):
        start(folder).run(report)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(uninterrupted, tmp_path, iterations):
    killed_after(tmp_path, iterations)
    resumed = start(tmp_path)
    assert resumed.progress.iteration == iterations
    assert differing(uninterrupted[2], resumed.run()) == []
    assert resumed.progress.games == uninterrupted[1].progress.games
    assert [tuple(s) for s in resumed.progress.snapshots] == uninterrupted[1].progress.snapshots


def test_a_run_can_be_killed_while_it_plays(uninterrupted, tmp_path, monkeypatch):
    play = start(tmp_path)
    finish, calls = play._take_in, []

    def interrupted(positions, games):
        calls.append(games)
        finish(positions, games)  # the games are on the disk, the checkpoint that counts them is not
        if len(calls) == 3:
            raise Killed

    monkeypatch.setattr(play, "_take_in", interrupted)
    with pytest.raises(Killed):
        play.run()
    resumed = start(tmp_path)
    assert resumed.progress.iteration == 2
    assert differing(uninterrupted[2], resumed.run()) == []


def test_the_budget_of_games_is_met(uninterrupted):
    _, play, _ = uninterrupted
    assert GAMES <= play.progress.games < GAMES + 2 * SETTINGS.worker.games
    assert play.progress.share >= 1


def test_the_last_iteration_is_no_handful_of_games(tmp_path):
    play = start(tmp_path, games_an_iteration=GAMES - 3)
    play.run()
    assert play.progress.iteration == 1


def test_training_moves_the_weights(uninterrupted, tmp_path):
    untrained = start(tmp_path).learner.averaged
    assert differing(uninterrupted[2], untrained)


def test_snapshots_run_from_the_first_network_to_the_last(uninterrupted):
    folder, play, final = uninterrupted
    iterations = [iteration for iteration, _, _ in play.progress.snapshots]
    assert iterations[0] == 0
    assert iterations[-1] == play.progress.iteration
    assert len(iterations) == SETTINGS.snapshots
    torch.manual_seed(0)
    like = GoNetwork(NetworkSize(2, 8))
    assert differing(load_snapshot(folder, 0, like), like) == []
    assert differing(load_snapshot(folder, iterations[-1], like), final) == []


def test_a_finished_run_has_nothing_left_to_do(uninterrupted):
    folder, play, final = uninterrupted
    again = start(folder)
    assert differing(again.run(), final) == []
    assert again.progress.games == play.progress.games
    assert not list(folder.glob("positions-*"))


def test_every_iteration_is_reported_with_its_games(tmp_path):
    reports = []
    play = start(tmp_path)
    play.run(lambda progress, metrics, games: reports.append((progress.games, metrics, len(games.result))))
    assert sum(games for _, _, games in reports) == play.progress.games
    assert [total for total, _, _ in reports] == sorted(total for total, _, _ in reports)
    assert all(metrics["referee_agrees_with_score"] == 1 for _, metrics, _ in reports)
    assert "loss_policy" not in reports[0][1], "the first iteration has no games to learn from"
    assert "loss_policy" in reports[-1][1]
